"""Pickles are data here: nothing in them runs, whatever they ask for."""

import argparse
import collections
import enum
import io
import pickle
import random

import numpy as np
import pytest
import torch
from unit.published import hostile

from speechbrain_e2v.published import pickle_scan
from speechbrain_e2v.published.pickle_scan import (
    BrokenCheckpoint,
    RefusedPickle,
    scan_pickle,
)


def scan(data):
    return scan_pickle(io.BytesIO(data))


def test_everything_hostile_is_refused_by_name(tmp_path):
    trace = tmp_path / "was_here"
    count = 0
    for asked, data in hostile.pickles(trace):
        with pytest.raises(RefusedPickle) as refusal:
            scan(data)
        assert asked in str(refusal.value), str(refusal.value)
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


@pytest.mark.parametrize(
    "name", ["torch._utils\n_rebuild_tensor_v2", "argparse\nNamespace"]
)
def test_functions_and_classes_are_never_changed(name):
    # BUILD would change it for the whole process.
    attack = f"\x80\x02c{name}\nN}}X\x07\x00\x00\x00__doc__".encode("latin-1")
    with pytest.raises(BrokenCheckpoint, match="no state"):
        scan(attack + b"K\x01s\x86b.")


def test_what_torch_writes_is_known():
    class Modality(enum.Enum):
        AUDIO = 1

    Modality.__module__ = "argparse"  # any allowed name
    Modality.__qualname__ = "Namespace"
    data = {
        "numbers": [0, 1, -1, 255, 256, 2**31, -(2**40), 2**80, 0.1, -1e300],
        "flags": (True, False, None),
        "text": ["", "ascii", "Ümläut 生气", "x" * 300],
        "bytes": [b"", b"\x00\xff" * 200],
        "sets": {1, "a", (2, 3)},
        "nested": [[[{"a": (1,)}], (1, 2), (1, 2, 3), (1, 2, 3, 4)]],
        "ordered": collections.OrderedDict([("b", 1), ("a", 2)]),
        "default": collections.defaultdict(list),
        "namespace": argparse.Namespace(a=1),
        "numpy": [np.float64(0.25), np.arange(3)],
        "torch": [torch.float32, torch.device("cuda", 0), torch.Size([2, 3])],
        7: "number as key",
    }
    data["shared"] = data["numbers"]
    names = scan(pickle.dumps(data, protocol=2)).names
    assert {"argparse.Namespace", "numpy.dtype", "torch.float32"} <= names


def test_other_protocols_are_refused_with_a_way_out():
    for protocol in (0, 4, 5):
        with pytest.raises(RefusedPickle, match="instruction .* save it again"):
            scan(pickle.dumps({"a": ["text", 1.5]}, protocol))


def test_instructions_are_limited(monkeypatch):
    monkeypatch.setattr(pickle_scan, "MAX_INSTRUCTIONS", 1000)
    with pytest.raises(BrokenCheckpoint, match="more than 1000"):
        scan(b"\x80\x02" + b"]" * 2000 + b".")


def test_damage_is_called_damage():
    whole = pickle.dumps({"a": [1, 2.5, "text" * 9], "b": (1, 2, 3, 4)}, 2)
    scan(whole)
    for end in range(len(whole)):
        with pytest.raises(BrokenCheckpoint):
            scan(whole[:end])
    for data in (b"", b"\x80\x02a.", b"\x80\x02h\x05.", b"t.", b"\xff"):
        with pytest.raises(BrokenCheckpoint):
            scan(data)


def test_random_bytes_only_raise_our_errors():
    whole = pickle.dumps(
        {"a": [1, 2.5, "text"], "o": collections.OrderedDict(a=1)}, 2
    )
    chance = random.Random(12345)
    for _ in range(3000):
        broken = bytearray(whole)
        for _ in range(3):
            broken[chance.randrange(len(broken))] = chance.randrange(256)
        try:
            scan(bytes(broken))
        except (RefusedPickle, BrokenCheckpoint):
            pass
