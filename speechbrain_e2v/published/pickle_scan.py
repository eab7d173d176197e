"""What a checkpoint's pickle would do, followed without doing it.

A pickle is a program. torch's weights-only reader runs none of its calls but
those of a list; yet it is not bounded: a few bytes make it hash, copy or
allocate without end, and it refuses without naming the culprit. So a file is
first followed here, on a stack that holds sizes instead of values.
"""

import io
import math
import pickletools
from dataclasses import dataclass, field
from typing import Any

import torch
from torch._utils import IMPORT_MAPPING, NAME_MAPPING  # as torch reads names

from speechbrain_e2v.files.foreign_text import shown
from speechbrain_e2v.published.pickle_names import (
    CALLS,
    PARAMETER,
    REAL,
    STORAGES,
    TENSORS,
    is_allowed,
)

MAX_INSTRUCTIONS = 400_000  # a checkpoint with optimizer state has 20,000
_MAX_WORK = 4_000_000  # values copied or hashed by what is called
_MAX_NAMES = 100
_MAX_DIMENSIONS = 16
_MAX_DEPTH = 50  # of tuples, which are hashed recursively
DAMAGED = "the file is damaged or incomplete, download or copy it again"

_ATOMS = {
    "BINFLOAT": "float",
    "BININT": "number",
    "BININT1": "number",
    "BININT2": "number",
    "BINUNICODE": "text",
    "EMPTY_DICT": "dict",
    "EMPTY_LIST": "list",
    "EMPTY_SET": "set",
    "EMPTY_TUPLE": "tuple",
    "LONG1": "number",
    "NEWFALSE": "flag",
    "NEWTRUE": "flag",
    "NONE": "none",
    "SHORT_BINSTRING": "text",
}


class BrokenCheckpoint(ValueError):
    """The file is damaged, incomplete or inconsistent."""


class RefusedPickle(ValueError):
    """The file asks for something that weights do not need."""


@dataclass(slots=True, eq=False)
class _Value:
    """What is known of a value without making it.

    `held` is the literal, a tuple's members, a name, or a storage's length.
    """

    kind: str
    held: Any = ()
    weight: int = 1  # values to copy or hash, each time it is used
    depth: int = 0

    @property
    def nested(self) -> int:
        return self.weight if self.kind == "tuple" else 1


@dataclass
class Scan:
    """What a pickle refers to."""

    names: set[str] = field(default_factory=set)
    storages: dict[str, tuple[int, torch.dtype]] = field(default_factory=dict)
    texts: list[str] = field(default_factory=list)


def scan_pickle(stream: io.BytesIO) -> Scan:
    """Follow one pickle; the stream then stands behind it.

    Raises RefusedPickle with the name or instruction that is asked for, and
    BrokenCheckpoint when it is not whole or would take too much.

    >>> import argparse, pickle
    >>> data = pickle.dumps({"args": argparse.Namespace(a=3)}, protocol=2)
    >>> scan_pickle(io.BytesIO(data)).names
    {'argparse.Namespace'}
    >>> scan_pickle(io.BytesIO(pickle.dumps(print, protocol=2)))
    Traceback (most recent call last):
    speechbrain_e2v.published.pickle_scan.RefusedPickle: it asks for ...
    """
    machine, foreign = _Machine(), None
    texts: list[str] = machine.scan.texts
    protocol: Any = 2
    try:
        for opcode, argument, _ in pickletools.genops(stream):
            kind = opcode.name
            machine.count_instruction()
            if isinstance(argument, str):
                texts.append(argument)
            if kind in ("GLOBAL", "INST"):
                argument = machine.name(*str(argument).split(" ", 1))
            elif kind == "STACK_GLOBAL":
                argument = machine.name(*texts[-2:])
            if kind == "PROTO" and argument != 2:
                protocol = argument
            # Behind an instruction unknown to torch, only names are of use.
            if foreign is None and not machine.follow(kind, argument):
                foreign = kind
    except (BrokenCheckpoint, RefusedPickle):
        raise
    except (IndexError, KeyError, TypeError, ValueError) as error:
        if foreign is None:
            raise BrokenCheckpoint(
                f"its pickle is not whole ({shown(error)}): {DAMAGED}"
            ) from None
    if foreign is None and protocol != 2:
        foreign = f"PROTO {protocol}"
    if foreign is not None:
        raise RefusedPickle(
            f"it asks for the pickle instruction {foreign}, which torch.save "
            "does not write; nothing of it was run. If the file is yours, "
            "save it again with torch.save and its default protocol"
        )
    return machine.scan


class _Machine:
    def __init__(self) -> None:
        self.scan = Scan()
        self.stack: list[_Value] = []
        self.below: list[list[_Value]] = []  # stacks under each MARK
        self.memo: dict[int, _Value] = {}
        self.instructions = 0
        self.work = 0

    def follow(self, kind: str, argument: Any) -> bool:
        """Do to the stack what an instruction does; False for foreign ones."""
        stack = self.stack
        match kind:
            case "PROTO" | "STOP":
                pass
            case "GLOBAL":
                stack.append(argument)
            case "BINPUT" | "LONG_BINPUT":
                self.memo[argument] = stack[-1]
            case "BINGET" | "LONG_BINGET":
                stack.append(self.memo[argument])
            case "MARK":
                self.below.append(stack)
                self.stack = []
            case "TUPLE1" | "TUPLE2" | "TUPLE3":
                items = [stack.pop() for _ in range(int(kind[-1]))]
                stack.append(_tuple_of(items[::-1]))
            case "TUPLE":
                items = self.marked()
                self.stack.append(_tuple_of(items))
            case "APPEND":
                self.fill("list", [stack.pop()])
            case "APPENDS":
                self.fill("list", self.marked())
            case "SETITEM":
                _, key = stack.pop(), stack.pop()
                self.fill("dict", [key])
            case "SETITEMS":
                self.fill("dict", self.marked()[::2])
            case "BINPERSID":
                stack.append(self.storage(stack.pop()))
            case "REDUCE" | "NEWOBJ":
                args, function = stack.pop(), stack.pop()
                stack.append(self.call(function, args))
            case "BUILD":
                self.charge(stack.pop().weight)
                if stack[-1].kind != "object" and stack[-1].held != "ordered":
                    raise BrokenCheckpoint("it changes what has no state")
            case _ if kind in _ATOMS:
                held = () if argument is None else argument
                stack.append(_Value(_ATOMS[kind], held))
            case _:
                return False
        return True

    def count_instruction(self) -> None:
        self.instructions += 1
        if self.instructions > MAX_INSTRUCTIONS:
            raise BrokenCheckpoint(
                f"it has more than {MAX_INSTRUCTIONS} pickle instructions"
            )

    def charge(self, values: int) -> None:
        self.work += values
        if self.work > _MAX_WORK:
            raise BrokenCheckpoint(f"it copies more than {_MAX_WORK} values")

    def marked(self) -> list[_Value]:
        items, self.stack = self.stack, self.below.pop()
        return items

    def fill(self, kind: str, items: list[_Value]) -> None:
        target, weight = self.stack[-1], sum(item.nested for item in items)
        if target.kind != kind:
            raise BrokenCheckpoint(f"it fills a {target.kind} as a {kind}")
        target.weight += weight
        self.charge(weight)

    def name(self, module: str, qualified: str) -> _Value:
        if (module, qualified) in NAME_MAPPING:  # Python 2's spelling
            module, qualified = NAME_MAPPING[module, qualified]
        full = f"{IMPORT_MAPPING.get(module, module)}.{qualified}"
        if not is_allowed(full):
            raise RefusedPickle(
                f"it asks for {shown(full)}, which no file of weights needs; "
                "nothing of it was run. Get the file from its official "
                "origin; if that is where it is from, report the name"
            )
        self.scan.names.add(full)
        if len(self.scan.names) > _MAX_NAMES:
            raise BrokenCheckpoint(f"it names more than {_MAX_NAMES} things")
        return _Value("name", full)

    def call(self, function: _Value, args: _Value) -> _Value:
        if function.kind != "name" or args.kind != "tuple":
            raise BrokenCheckpoint("it calls something that is not a name")
        name = function.held
        self.charge(sum(item.weight for item in args.held))
        if name in TENSORS:
            _demand_view(*args.held[:4])
            return _Value("tensor")
        if name not in REAL:
            return _Value("object")
        kinds = tuple(item.kind for item in args.held)
        if kinds not in CALLS.get(name, ()) or (
            name == "_codecs.encode" and args.held[1].held != "latin1"
        ):
            raise BrokenCheckpoint(f"it calls {name} in a way of its own")
        if name == "collections.OrderedDict":
            return _Value("dict", "ordered")
        return _Value("tensor" if name == PARAMETER else "value")

    def storage(self, identifier: _Value) -> _Value:
        """Take ('storage', type, key, device, count[, view])."""
        items = identifier.held if identifier.kind == "tuple" else ()
        kinds = [item.kind for item in items]
        if kinds[:5] == ["text", "name", "text", "text", "number"]:
            word, kind, key, _, count = (item.held for item in items[:5])
            if (
                word == "storage"
                and kind in STORAGES
                and count >= 0
                and kinds[5:] in ([], ["none"])
            ):
                found = count, STORAGES[kind]
                if self.scan.storages.setdefault(key, found) == found:
                    return _Value("storage", count)
        raise BrokenCheckpoint("it refers to data of an unknown kind")


def _tuple_of(items: list[_Value]) -> _Value:
    depth = 1 + max((item.depth for item in items), default=0)
    weight = 1 + sum(item.nested for item in items)
    if depth > _MAX_DEPTH or weight > _MAX_WORK:
        raise BrokenCheckpoint("its tuples are nested too deeply")
    return _Value("tuple", tuple(items), weight, depth)


def _demand_view(
    storage: _Value, offset: _Value, shape: _Value, stride: _Value
) -> None:
    """Demand that a tensor lies within its storage, each number once."""
    views = shape.kind == stride.kind == "tuple" and storage.kind == "storage"
    sizes = (offset, *shape.held, *stride.held) if views else ()
    if (
        not views
        or not len(shape.held) == len(stride.held) <= _MAX_DIMENSIONS
        or any(size.kind != "number" or size.held < 0 for size in sizes)
    ):
        raise BrokenCheckpoint("a tensor has no proper shape or storage")
    lengths = [size.held for size in shape.held]
    steps = [size.held for size in stride.held]
    count = math.prod(lengths)
    reach = offset.held + sum(
        (length - 1) * step for length, step in zip(lengths, steps, strict=True)
    )
    # A stride of zero would let one number stand for a terabyte.
    if count and (reach >= storage.held or count > storage.held):
        raise BrokenCheckpoint(
            f"a tensor of shape {tuple(lengths)} does not fit its storage of "
            f"{storage.held} numbers"
        )
