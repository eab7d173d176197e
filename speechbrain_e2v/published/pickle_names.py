"""What a checkpoint's pickle may name, and what we put in its place.

Nothing here is the thing that was named: a config class becomes a StandIn
that holds what would have been given to it, a tensor becomes a StoredTensor.
Names that are not listed are refused by the caller.
"""

from dataclasses import dataclass, field

import torch

from speechbrain_e2v.published.stored_tensor import (
    BrokenCheckpoint,
    StoredTensor,
)

STORAGE_TYPES = {
    "torch.FloatStorage": torch.float32,
    "torch.DoubleStorage": torch.float64,
    "torch.HalfStorage": torch.float16,
    "torch.BFloat16Storage": torch.bfloat16,
    "torch.LongStorage": torch.int64,
    "torch.IntStorage": torch.int32,
    "torch.ShortStorage": torch.int16,
    "torch.CharStorage": torch.int8,
    "torch.ByteStorage": torch.uint8,
    "torch.BoolStorage": torch.bool,
}
_TORCH_TYPES = (
    "float32 float64 float16 bfloat16 float double half long int int64 int32 "
    "int16 int8 uint8 bool"
)
_BUILTIN_TYPES = (
    "int float str bool complex bytes bytearray list tuple dict set frozenset "
    "object range slice type"
)
_INERT = {
    "argparse.Namespace",
    "collections.deque",
    "numpy.dtype",
    "numpy.ndarray",
    "numpy.core.multiarray.scalar",
    "numpy.core.multiarray._reconstruct",
    "numpy._core.multiarray.scalar",
    "numpy._core.multiarray._reconstruct",
    "pathlib.Path",
    "pathlib.PosixPath",
    "pathlib.WindowsPath",
    "pathlib.PurePosixPath",
    "torch.device",
    *STORAGE_TYPES,
    *(f"torch.{name}" for name in _TORCH_TYPES.split()),
    *(f"builtins.{name}" for name in _BUILTIN_TYPES.split()),
}
_INERT_PACKAGES = (
    "enum",
    "examples",
    "fairseq",
    "funasr",
    "omegaconf",
    "typing",
)
"""Packages of config classes; ``examples`` is fairseq's user directory."""


@dataclass(frozen=True)
class Name:
    """A name that a pickle asked for; nothing is imported."""

    full: str


@dataclass(eq=False)
class StandIn:
    """What an object of a config class was made of; it does nothing.

    Arguments
    ---------
    name : str
        Full name of the class.
    args : tuple
        What its constructor would have been given.
    state : object
        Usually a dict of its attributes.
    items : list
        What would have been put in if it is a kind of list or dict.
    """

    name: str
    args: tuple = ()
    state: object = None
    items: list = field(default_factory=list)


def is_allowed(name):
    """Tell whether a pickle may name this.

    Arguments
    ---------
    name : str
        Module and qualified name, joined by a dot.

    Returns
    -------
    bool

    Example
    -------
    >>> is_allowed("argparse.Namespace"), is_allowed("os.system")
    (True, False)
    """
    if name in _INERT or name in CONSTRUCTORS:
        return True
    package = name.split(".")[0]
    return package in _INERT_PACKAGES or package.startswith("fairseq_user_dir_")


def modern_name(module, name):
    """Join module and name, Python 2's spelling of builtins made today's."""
    old = {"__builtin__": "builtins", "copy_reg": "copyreg"}
    return f"{old.get(module, module)}.{name}"


def dictionary_key(value):
    """Return a value that is safe to hash, or refuse it.

    Hashing a deeply nested tuple would exhaust the stack of the interpreter.
    """
    simple = (str, bytes, int, float, bool, type(None), Name, StandIn)
    parts = value if isinstance(value, tuple) else (value,)
    if not all(isinstance(part, simple) for part in parts):
        raise BrokenCheckpoint(
            "a dictionary key or set member is neither text nor number"
        )
    return value


def construct(name, args):
    """Do what stands for calling a name.

    Arguments
    ---------
    name : Name
    args : tuple

    Returns
    -------
    object
        Plain data, StoredTensor or StandIn.
    """
    if not isinstance(name, Name) or not isinstance(args, tuple):
        raise BrokenCheckpoint("it calls something that is not a name")
    if name.full in CONSTRUCTORS:
        return CONSTRUCTORS[name.full](*args)
    return StandIn(name.full, args)


def _tensor(storage, offset, shape, stride, *_):
    return StoredTensor(storage, offset, shape, stride)


def _first(value, *_):
    return value


def _dictionary(pairs=()):
    pairs = pairs.items() if isinstance(pairs, dict) else pairs
    return {dictionary_key(key): value for key, value in pairs}


def _set(members=()):
    return {dictionary_key(member) for member in members}


def _bytes(text="", *_):
    return text if isinstance(text, bytes) else text.encode("latin-1")


def _subscript(origin, args):
    """Stand for ``List[str]``: operator.getitem, on typing's names only."""
    if not isinstance(origin, Name) or not origin.full.startswith("typing."):
        raise BrokenCheckpoint("it indexes something that is no type hint")
    return StandIn(origin.full, (args,))


def _sequence(members=()):
    return list(members)


CONSTRUCTORS = {
    "_codecs.encode": _bytes,
    "builtins.bytearray": _bytes,
    "builtins.bytes": _bytes,
    "builtins.dict": _dictionary,
    "builtins.frozenset": _set,
    "builtins.list": _sequence,
    "builtins.set": _set,
    "builtins.tuple": lambda members=(): tuple(members),
    "collections.Counter": _dictionary,
    "collections.OrderedDict": _dictionary,
    "collections.defaultdict": (
        lambda factory=None, pairs=(): _dictionary(pairs)
    ),
    "copyreg._reconstructor": lambda name, *_: construct(name, ()),
    "operator.getitem": _subscript,
    "torch.Size": lambda sizes=(): tuple(sizes),
    "torch._tensor._rebuild_from_type_v2": lambda function, kind, args, state: (
        construct(function, args)
    ),
    "torch._utils._rebuild_parameter": _first,
    "torch._utils._rebuild_parameter_with_state": _first,
    "torch._utils._rebuild_tensor": _tensor,
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch.nn.parameter.Parameter": _first,
}
"""Names that give plain data or tensors; ours, never the named function."""
