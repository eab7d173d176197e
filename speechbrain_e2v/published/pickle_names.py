"""What a checkpoint's pickle may name: what torch's reader knows itself, and
classes of configs, which become inert stand-ins. All else is refused."""

import torch

STORAGES = {
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
_TYPES = (
    "float32 float64 float16 bfloat16 float double half long int int64 int32 "
    "int16 int8 uint8 bool"
)
TENSORS = ("torch._utils._rebuild_tensor", "torch._utils._rebuild_tensor_v2")
PARAMETER = "torch._utils._rebuild_parameter"
# The kinds of arguments with which torch.save and pickle write these calls.
CALLS = {
    "_codecs.encode": (("text", "text"),),
    "builtins.set": (("list",),),
    "collections.OrderedDict": ((),),
    "torch.Size": (("tuple",),),
    "torch.device": (("text",), ("text", "number")),
    PARAMETER: (("tensor", "flag", "dict"),),
}
REAL = {
    *(f"torch.{name}" for name in _TYPES.split()),
    *STORAGES,
    *TENSORS,
    *CALLS,
}
"""Names that torch's reader knows itself."""

_BUILTINS = "int float str bool bytes list tuple dict frozenset object type"
_INERT = {
    *(f"builtins.{name}" for name in [*_BUILTINS.split(), "range", "slice"]),
    "argparse.Namespace",
    "collections.defaultdict",
    "collections.deque",
    "copyreg._reconstructor",
    "numpy.dtype",
    "numpy.ndarray",
    "numpy.core.multiarray.scalar",
    "numpy.core.multiarray._reconstruct",
    "numpy._core.multiarray.scalar",
    "numpy._core.multiarray._reconstruct",
    "_operator.getitem",  # List[str] in old type hints
    "operator.getitem",
    "pathlib.Path",
    "pathlib.PosixPath",
    "pathlib.WindowsPath",
    "pathlib.PurePosixPath",
}
_INERT_PACKAGES = ("enum", "fairseq", "funasr", "omegaconf", "typing")
# `examples` is fairseq's user directory, which it also imports by path.
_INERT_PREFIXES = ("examples.", "fairseq_user_dir_")


def is_allowed(name: str) -> bool:
    """Tell whether a pickle may name this, module and name joined by a dot.

    >>> is_allowed("argparse.Namespace"), is_allowed("os.system")
    (True, False)
    """
    return (
        name in REAL
        or name in _INERT
        or name.split(".")[0] in _INERT_PACKAGES
        or name.startswith(_INERT_PREFIXES)
    )
