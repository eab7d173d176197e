"""Pickles are data here: nothing in them runs, whatever they ask for."""

import argparse
import collections
import enum
import io
import pickle
import sys
import types

import pytest
from unit.published import hostile

from speechbrain_e2v.published import restricted_unpickler
from speechbrain_e2v.published.pickle_names import Name, StandIn
from speechbrain_e2v.published.restricted_unpickler import (
    RefusedPickle,
    unpickle,
)
from speechbrain_e2v.published.stored_tensor import BrokenCheckpoint
from speechbrain_e2v.published.to_container import plain


def read(data):
    return unpickle(io.BytesIO(data), "here.pt")


def test_everything_hostile_is_refused_by_name(tmp_path):
    trace = tmp_path / "was_here"
    count = 0
    for asked, data in hostile.pickles(trace):
        with pytest.raises(RefusedPickle) as refusal:
            read(data)
        assert asked in str(refusal.value), str(refusal.value)
        assert "here.pt" in str(refusal.value)
        count += 1
    assert count > 20
    assert not trace.exists()


def test_the_attacks_are_real(tmp_path):
    trace = tmp_path / "was_here"
    done = 0
    for asked, data in hostile.pickles(trace):
        if asked.split(".")[-1] in ("eval", "exec", "open", "system"):
            result = pickle.loads(data)
            if hasattr(result, "close"):
                result.close()
            assert trace.exists(), asked
            trace.unlink()
            done += 1
    assert done >= 6


def test_real_functions_are_never_in_reach():
    # BUILD on a function or class would change it for the whole process.
    for name in ("torch._utils\n_rebuild_tensor_v2", "argparse\nNamespace"):
        attack = f"\x80\x02c{name}\nN}}\x8c\x07__doc__"
        attack = attack.encode("latin-1") + b"K\x01s\x86b."
        with pytest.raises(BrokenCheckpoint, match="no state"):
            read(attack)
    assert isinstance(read(b"\x80\x02cargparse\nNamespace\n."), Name)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_plain_data_equals_the_standard_reader(protocol):
    data = {
        "numbers": [0, 1, -1, 255, 256, 2**31, -(2**40), 2**80, 0.1, -1e300],
        "flags": (True, False, None),
        "text": ["", "ascii", "Ümläut 生气", "x" * 300],
        "bytes": [b"", b"\x00\xff" * 200],
        "sets": {1, "a", (2, 3)},
        "nested": [[[{"a": (1,)}], (1, 2), (1, 2, 3), (1, 2, 3, 4)]],
        "ordered": collections.OrderedDict([("b", 1), ("a", 2)]),
        "counted": collections.Counter("hello"),
        "default": collections.defaultdict(list, {"k": [1]}),
        7: "number as key",
    }
    data["shared"] = data["numbers"]
    result = read(pickle.dumps(data, protocol))
    assert result == data
    assert list(result["ordered"]) == ["b", "a"]
    assert result["shared"] is result["numbers"]


def test_a_list_that_holds_itself():
    loop = []
    loop.append(loop)
    result = read(pickle.dumps(loop))
    assert result[0] is result


def test_config_classes_become_inert_stand_ins(monkeypatch):
    class Node:
        """Stands for a class of omegaconf."""

        def __init__(self, value=None):
            raise AssertionError("must not run")

        def __setstate__(self, state):
            raise AssertionError("must not run")

    class Modality(enum.Enum):
        AUDIO = 1

    for cls, name in (
        (Node, "omegaconf.nodes"),
        (Modality, "examples.data2vec.data.modality"),
    ):
        cls.__module__, cls.__qualname__ = name, cls.__name__
        module = types.ModuleType(name)
        setattr(module, cls.__name__, cls)
        for end in range(1, name.count(".") + 1):
            parent = ".".join(name.split(".")[:end])
            monkeypatch.setitem(sys.modules, parent, types.ModuleType(parent))
        monkeypatch.setitem(sys.modules, name, module)
    node = object.__new__(Node)
    node.__dict__["_val"] = 768
    config = {
        "args": argparse.Namespace(width=node, deep={"list": [1, None]}),
        "modality": Modality.AUDIO,
    }
    data = pickle.dumps(config)
    result = read(data)
    assert isinstance(result["args"], StandIn)
    assert result["args"].name == "argparse.Namespace"
    assert plain(result) == {
        "args": {"width": 768, "deep": {"list": [1, None]}},
        "modality": 1,
    }


def test_type_hints_of_structured_configs():
    hint = read(
        b"\x80\x02coperator\ngetitem\nctyping\nList\nc__builtin__\nstr\n\x86R."
    )
    assert hint.name == "typing.List"
    with pytest.raises(BrokenCheckpoint, match="type hint"):
        read(b"\x80\x02coperator\ngetitem\n]K\x00\x86R.")


def test_deep_nesting_neither_crashes_nor_hangs():
    depth = 300_000
    tuples = b"\x80\x02K\x01" + b"\x85" * depth + b"."
    lists = b"\x80\x02" + b"]" * depth + b"a" * (depth - 1) + b"."
    for data in (tuples, lists):
        value = read(data)
        with pytest.raises(ValueError, match="deep"):
            plain(value)
    # As a key it would be hashed, recursively, in C.
    with pytest.raises(BrokenCheckpoint, match="key"):
        read(b"\x80\x02}K\x01" + b"\x85" * depth + b"K\x02s.")


def test_instructions_are_limited(monkeypatch):
    monkeypatch.setattr(restricted_unpickler, "MAX_INSTRUCTIONS", 1000)
    with pytest.raises(BrokenCheckpoint, match="more than 1000"):
        read(b"\x80\x02" + b"]" * 2000 + b".")


def test_damage_is_called_damage():
    whole = pickle.dumps({"a": [1, 2.5, "text" * 100], "b": (1, 2, 3, 4)})
    assert read(whole)["a"][1] == 2.5
    for end in range(len(whole)):
        with pytest.raises(BrokenCheckpoint, match=r"here\.pt"):
            read(whole[:end])
    for data in (b"", b".", b"\x80\x02a.", b"\x80\x02h\x05.", b"t.", b"\xff"):
        with pytest.raises(BrokenCheckpoint):
            read(data)


def test_random_bytes_only_raise_our_errors():
    whole = pickle.dumps(
        {"a": [1, 2.5, "text"], "o": collections.OrderedDict(a=1)}
    )
    state = 12345
    for _ in range(3000):
        broken = bytearray(whole)
        for _ in range(3):
            state = (1103515245 * state + 12345) % 2**31
            broken[state % len(broken)] = (state >> 8) % 256
        try:
            read(bytes(broken))
        except (RefusedPickle, BrokenCheckpoint):
            pass
