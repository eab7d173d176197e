"""A pickle reader that can call nothing.

Published checkpoints are pickles, and a pickle is a program: the standard
reader imports whatever it names and calls it. This one interprets the same
instructions with a table of plain data, tensors and inert stand-ins; anything
else is refused by name, before anything of it could run.

``torch.load(weights_only=True)`` does not suffice (tried with torch 2.11): it
wants config classes listed beforehand and cannot list those of the older
format; it refuses protocols 0 and 4, unpacks 390 kB to 400 MB, takes a tensor
of 10**12 numbers over a storage of one, and reads the optimizer state.
"""

import pickletools

from speechbrain_e2v.published.pickle_names import (
    Name,
    StandIn,
    construct,
    dictionary_key,
    is_allowed,
    modern_name,
)
from speechbrain_e2v.published.stored_tensor import (
    BrokenCheckpoint,
    StoredTensor,
)

MAX_INSTRUCTIONS = 5_000_000
"""A checkpoint with optimizer state has some ten thousand."""

_LITERALS = frozenset(
    "INT BININT BININT1 BININT2 LONG LONG1 LONG4 STRING BINSTRING "
    "SHORT_BINSTRING BINBYTES SHORT_BINBYTES BINBYTES8 BYTEARRAY8 UNICODE "
    "SHORT_BINUNICODE BINUNICODE BINUNICODE8 FLOAT BINFLOAT".split()
)
_FRESH = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_TUPLE": tuple,
    "EMPTY_LIST": list,
    "EMPTY_DICT": dict,
    "EMPTY_SET": set,
}


class RefusedPickle(ValueError):
    """The file asks for something that weights do not need."""


def unpickle(stream, origin, storage=None, extra=None):
    """Interpret one pickle; the stream then stands behind it.

    Arguments
    ---------
    stream : binary file
        Must not promise more bytes than it has (see torch_files).
    origin : str or Path
        Named in errors.
    storage : callable, optional
        Called with torch's persistent identifier (a tuple), returns a
        Storage. Without it such identifiers are refused.
    extra : dict of str to callable, optional
        More names and what stands for calling them.

    Returns
    -------
    object
        Plain data, StoredTensor, Name and StandIn.

    Raises
    ------
    RefusedPickle
        With the name that was asked for.
    BrokenCheckpoint
        When it is no complete pickle.

    Example
    -------
    >>> import argparse, io, pickle
    >>> data = pickle.dumps({"sizes": [1, 2], "args": argparse.Namespace(a=3)})
    >>> result = unpickle(io.BytesIO(data), "example")
    >>> result["sizes"], result["args"].name, result["args"].state
    ([1, 2], 'argparse.Namespace', {'a': 3})
    """
    machine = _Machine(origin, storage, extra or {})
    try:
        return machine.run(stream)
    except (RefusedPickle, BrokenCheckpoint) as error:
        raise type(error)(f"{origin}: {error}") from None
    except (
        AttributeError,
        IndexError,
        KeyError,
        OverflowError,
        RecursionError,
        TypeError,
        ValueError,
    ) as error:
        raise BrokenCheckpoint(
            f"{origin} is damaged or no checkpoint ({error}): copy or "
            "download it again."
        ) from error


class _Machine:
    def __init__(self, origin, storage, extra):
        self.origin = origin
        self.storage = storage
        self.extra = extra
        self.stack = []
        self.below = []  # stacks under each MARK
        self.memo = {}

    def run(self, stream):
        for count, (opcode, argument, _) in enumerate(
            pickletools.genops(stream)
        ):
            if count >= MAX_INSTRUCTIONS:
                raise BrokenCheckpoint(
                    f"more than {MAX_INSTRUCTIONS} pickle instructions"
                )
            kind = opcode.name
            if kind in _LITERALS:
                self.stack.append(argument)
            elif kind in _FRESH:
                self.stack.append(_FRESH[kind]())
            else:
                handler = getattr(self, f"do_{kind.lower()}", None)
                if handler is None:
                    raise RefusedPickle(
                        f"asks for the pickle instruction {kind}, which no "
                        "checkpoint needs; nothing of it was run"
                    )
                handler(argument)
        return self.stack.pop()

    def marked(self):
        items = self.stack
        self.stack = self.below.pop()
        return items

    def name(self, module, qualified):
        if not isinstance(module, str) or not isinstance(qualified, str):
            raise BrokenCheckpoint("a name in it is no text")
        full = modern_name(module, qualified)
        if full not in self.extra and not is_allowed(full):
            raise RefusedPickle(
                f"asks for {full}, which no file of weights needs; nothing of "
                "it was run. Get the file from its official origin; if that "
                "is where it is from, report the name."
            )
        return Name(full)

    def call(self, name, args):
        if isinstance(name, Name) and name.full in self.extra:
            return self.extra[name.full](*args)
        return construct(name, args)

    def do_nothing(self, _):
        pass

    do_proto = do_frame = do_stop = do_nothing

    def do_mark(self, _):
        self.below.append(self.stack)
        self.stack = []

    def do_pop(self, _):
        if self.stack:
            self.stack.pop()
        else:
            self.marked()

    def do_pop_mark(self, _):
        self.marked()

    def do_dup(self, _):
        self.stack.append(self.stack[-1])

    def do_put(self, index):
        self.memo[index] = self.stack[-1]

    do_binput = do_long_binput = do_put

    def do_memoize(self, _):
        self.memo[len(self.memo)] = self.stack[-1]

    def do_get(self, index):
        self.stack.append(self.memo[index])

    do_binget = do_long_binget = do_get

    def do_tuple(self, _):
        items = tuple(self.marked())  # before self.stack is looked up
        self.stack.append(items)

    def do_tuple1(self, _):
        self.stack[-1:] = [(self.stack[-1],)]

    def do_tuple2(self, _):
        self.stack[-2:] = [(self.stack[-2], self.stack[-1])]

    def do_tuple3(self, _):
        self.stack[-3:] = [tuple(self.stack[-3:])]

    def do_list(self, _):
        items = self.marked()
        self.stack.append(items)

    def do_dict(self, _):
        items = self.marked()
        self.stack.append({})
        self.set_items(items)

    def do_frozenset(self, _):
        members = self.marked()
        self.stack.append({dictionary_key(member) for member in members})

    def do_append(self, _):
        self.append_items([self.stack.pop()])

    def do_appends(self, _):
        self.append_items(self.marked())

    def append_items(self, items):
        target = self.stack[-1]
        if isinstance(target, StandIn):
            target = target.items
        if not isinstance(target, list):
            raise BrokenCheckpoint("it appends to something that is no list")
        target.extend(items)

    def do_additems(self, _):
        members = self.marked()
        if not isinstance(self.stack[-1], set):
            raise BrokenCheckpoint("it adds to something that is no set")
        self.stack[-1].update(dictionary_key(member) for member in members)

    def do_setitem(self, _):
        value, key = self.stack.pop(), self.stack.pop()
        self.set_items([key, value])

    def do_setitems(self, _):
        self.set_items(self.marked())

    def set_items(self, items):
        target = self.stack[-1]
        pairs = zip(items[::2], items[1::2], strict=True)
        if isinstance(target, StandIn):
            target.items.extend(pairs)
        elif isinstance(target, dict):
            target.update((dictionary_key(key), value) for key, value in pairs)
        else:
            raise BrokenCheckpoint("it fills something that is no dictionary")

    def do_global(self, argument):
        module, _, qualified = argument.partition(" ")
        self.stack.append(self.name(module, qualified))

    def do_stack_global(self, _):
        qualified, module = self.stack.pop(), self.stack.pop()
        self.stack.append(self.name(module, qualified))

    def do_inst(self, argument):
        module, _, qualified = argument.partition(" ")
        name = self.name(module, qualified)
        args = tuple(self.marked())
        self.stack.append(self.call(name, args))

    def do_obj(self, _):
        name, *args = self.marked()
        self.stack.append(self.call(name, tuple(args)))

    def do_reduce(self, _):
        args, name = self.stack.pop(), self.stack.pop()
        self.stack.append(self.call(name, args))

    do_newobj = do_reduce

    def do_newobj_ex(self, _):
        keywords, args, name = (self.stack.pop() for _ in range(3))
        self.stack.append(self.call(name, args))
        if keywords:
            self.append_items([keywords])

    def do_build(self, _):
        state, target = self.stack.pop(), self.stack[-1]
        if isinstance(target, StandIn):
            target.state = state
        elif not isinstance(target, (dict, list, set, StoredTensor)):
            raise BrokenCheckpoint("it changes something that has no state")
        # Attributes of dictionaries (torch's version notes) are not needed.

    def do_binpersid(self, _):
        identifier = self.stack.pop()
        if self.storage is None:
            raise BrokenCheckpoint("it refers to data outside of the file")
        self.stack.append(self.storage(identifier))
