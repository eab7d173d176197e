"""Torch files: every format that torch.save writes, and damaged ones."""

import argparse
import io
import pickle
import struct
import subprocess
import sys
import types
import zipfile

import pytest
import torch
from unit.published import hostile, omegaconf_config

from speechbrain_e2v.published.pickle_scan import (
    BrokenCheckpoint,
    RefusedPickle,
    scan_pickle,
)
from speechbrain_e2v.published.to_container import to_container
from speechbrain_e2v.published.torch_file import StandIn, load_torch_file


def some_state():
    torch.manual_seed(0)
    table = torch.randn(6, 5)
    return {
        "transposed": table.t(),
        "slice": table[2:4, 1::2],
        "shared": table,
        "half": torch.randn(3).half(),
        "bfloat": torch.randn(4).bfloat16(),
        "double": torch.randn(2).double(),
        "integers": torch.tensor([[1, -2], [3, 2**40]]),
        "flags": torch.tensor([True, False]),
        "parameter": torch.nn.Parameter(torch.randn(2, 2)),
        "scalar": torch.tensor(3.5),
        "empty": torch.zeros(0, 768),
    }


def written_by_zip(path, state):
    torch.save({"model": state}, path)


def written_by_older_torch(path, state):
    torch.save({"model": state}, path, _use_new_zipfile_serialization=False)


@pytest.mark.parametrize("write", [written_by_zip, written_by_older_torch])
def test_tensors_equal_bit_for_bit(tmp_path, write):
    path, state = tmp_path / "x.pt", some_state()
    write(path, state)
    found = load_torch_file(path)["model"]
    assert list(found) == list(state)
    for name, expected in state.items():
        assert found[name].shape == expected.shape, name
        assert found[name].dtype == expected.dtype, name
        assert torch.equal(found[name], expected.detach()), name


def test_a_bare_pickle_is_no_torch_file(tmp_path):
    (tmp_path / "x.pt").write_bytes(pickle.dumps({"model": some_state()}, 2))
    with pytest.raises(RefusedPickle, match="_load_from_bytes"):
        load_torch_file(tmp_path / "x.pt")
    refused(tmp_path / "y.pt", "torch.save did not", pickle.dumps([1], 2))


def test_a_module_state_dict(tmp_path):
    module = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.LayerNorm(3))
    torch.save(module.state_dict(), tmp_path / "x.pt")  # carries _metadata
    content = load_torch_file(tmp_path / "x.pt")
    for name, value in module.state_dict().items():
        assert torch.equal(content[name], value)


def test_a_whole_module_is_refused(tmp_path):
    torch.save(torch.nn.Linear(2, 3), tmp_path / "x.pt")
    with pytest.raises(RefusedPickle, match=r"torch\.nn\.modules\.linear"):
        load_torch_file(tmp_path / "x.pt")


def test_a_config_of_omegaconf(tmp_path, monkeypatch):
    pytest.importorskip("omegaconf")
    config = omegaconf_config.make(monkeypatch)
    torch.save({"cfg": config}, tmp_path / "x.pt")
    cfg = load_torch_file(tmp_path / "x.pt")["cfg"]
    assert isinstance(cfg, StandIn)
    assert to_container(cfg) == omegaconf_config.PLAIN


@pytest.mark.parametrize(("version", "data"), list(omegaconf_config.recorded()))
def test_configs_that_earlier_omegaconf_wrote(tmp_path, version, data):
    in_zip(tmp_path / "x.pt", data)
    content = load_torch_file(tmp_path / "x.pt")
    assert to_container(content["cfg"]) == omegaconf_config.PLAIN, version


def test_nothing_of_a_stand_in_runs(tmp_path, monkeypatch):
    class Node:
        def __init__(self):
            self.value = 768

        def __setstate__(self, state):
            raise AssertionError("must not run")

    Node.__module__ = "fairseq.tiny"
    Node.__qualname__ = "Node"
    module = types.ModuleType("fairseq.tiny")
    module.Node = Node
    for name in ("fairseq", "fairseq.tiny"):
        monkeypatch.setitem(sys.modules, name, module)
    torch.save({"args": argparse.Namespace(width=Node())}, tmp_path / "x.pt")
    content = load_torch_file(tmp_path / "x.pt")
    assert type(content["args"]) is not argparse.Namespace
    assert to_container(content) == {"args": {"width": {"value": 768}}}


def test_what_others_allowed_does_not_count(tmp_path):
    torch.save({"args": argparse.Namespace(width=768)}, tmp_path / "x.pt")
    before = set(torch.serialization.get_safe_globals())
    with torch.serialization.safe_globals([argparse.Namespace]):
        content = load_torch_file(tmp_path / "x.pt")
        assert argparse.Namespace in torch.serialization.get_safe_globals()
    assert to_container(content) == {"args": {"width": 768}}
    assert set(torch.serialization.get_safe_globals()) == before


def in_zip(path, data):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x/data.pkl", data)
        archive.writestr("x/version", "3")
        archive.writestr("x/data/0", bytes(8))


def test_hostile_pickles_in_a_torch_zip(tmp_path):
    trace, path = tmp_path / "was_here", tmp_path / "x.pt"
    for asked, data in hostile.pickles(trace):
        in_zip(path, data)
        with pytest.raises(RefusedPickle) as refusal:
            load_torch_file(path)
        assert asked in str(refusal.value)
    assert not trace.exists()


def test_hostile_pickle_behind_the_older_header(tmp_path):
    path, trace = tmp_path / "x.pt", tmp_path / "was_here"
    attack = hostile.Calls(eval, f"open({str(trace)!r}, 'w')")
    torch.save(attack, path, _use_new_zipfile_serialization=False)
    with pytest.raises(RefusedPickle, match=r"builtins\.eval"):
        load_torch_file(path)
    assert not trace.exists()


GROWING = """
import pathlib, resource, sys, time, warnings
from speechbrain_e2v.published.read import Files, read_files
def gib():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
before = gib()
for path in sorted(pathlib.Path(sys.argv[1]).iterdir()):
    start = time.process_time()
    try:
        read_files(Files(path))
        outcome = "read"
    except ValueError as error:
        outcome = f"{type(error).__name__}: {error}"
    seconds = time.process_time() - start
    assert seconds < 10, (path.name, seconds)
    assert gib() - before < 1, (path.name, gib() - before)
    print(f"{path.name}\t{outcome}")
"""


def test_small_files_that_would_grow_or_never_end(tmp_path):
    """In a process of its own, whose memory and time are its own."""
    names = []
    for number, (name, config) in enumerate(hostile.growing()):
        storage = (
            b"(X\x07\x00\x00\x00storagectorch\nFloatStorage\n"
            b"X\x01\x00\x00\x000X\x03\x00\x00\x00cpuK\x02tQ"
        )
        tensor = (
            b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + b"K\x00"
            b"K\x02\x85K\x01\x85\x89ccollections\nOrderedDict\n)RtR"
        )
        data = (
            b"\x80\x02}(X\x03\x00\x00\x00cfg" + config + b"X\x05\x00\x00\x00"
            b"model}X\x01\x00\x00\x00w" + tensor + b"su."
        )
        in_zip(tmp_path / f"{number:02d} {name}.pt", data)
        names.append(name)
    done = subprocess.run(
        [sys.executable, "-c", GROWING, str(tmp_path)],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    outcomes = dict(line.split("\t", 1) for line in done.stdout.splitlines())
    assert len(outcomes) == len(names) > 10
    for name, outcome in outcomes.items():
        assert (
            "BrokenCheckpoint" in outcome
            or "Refused" in outcome
            or (
                "lists" in name and "this is no published checkpoint" in outcome
            )
        ), (name, outcome)


def test_optimizer_state_stays_in_the_file(tmp_path):
    path = tmp_path / "x.pt"
    state = {"exp_avg": torch.ones(100, 2**20)}  # 400 MiB
    content = {"model": {"w": torch.ones(2)}, "last_optimizer_state": state}
    torch.save(content, path)
    del state, content
    code = (
        "import resource, sys\n"
        "from speechbrain_e2v.published.read import Files, read_files\n"
        "rss = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "before = rss()\n"
        "read_files(Files(__import__('pathlib').Path(sys.argv[1])))\n"
        "print((rss() - before) / 2**10)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert float(done.stdout) < 100  # MiB


def refused(path, match, content=None, **options):
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(BrokenCheckpoint, match=match) as error:
        load_torch_file(path, **options)
    assert path.name in str(error.value)
    assert "\n" not in str(error.value)


def test_zip_bomb_of_zeros(tmp_path):
    plain, bomb = io.BytesIO(), tmp_path / "bomb.pt"
    torch.save({"model": {"w": torch.zeros(2_000_000)}}, plain)
    with (
        zipfile.ZipFile(plain) as source,
        zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as target,
    ):
        for entry in source.infolist():
            target.writestr(entry.filename, source.read(entry))
    assert bomb.stat().st_size < 20_000
    assert torch.load(bomb)["model"]["w"].numel() == 2_000_000  # torch takes it
    refused(bomb, "bomb")


def test_entries_that_overlap(tmp_path):
    """Many names for one piece of data: more declared than there is."""
    path = tmp_path / "x.pt"
    torch.save({"model": {"w": torch.zeros(10_000)}}, path)
    with zipfile.ZipFile(path, "a") as archive:
        entry = archive.getinfo("x/data/0")
        for copy in range(1, 20):
            twin = zipfile.ZipInfo(f"x/data/{copy}")
            for field in ("header_offset", "CRC", "file_size"):
                setattr(twin, field, getattr(entry, field))
            twin.compress_size = entry.compress_size
            archive.filelist.append(twin)
            archive.NameToInfo[twin.filename] = twin
        archive._didModify = True
    refused(path, "declares")


@pytest.mark.parametrize("count", [30_000, 400_000])
def test_entries_without_end(tmp_path, count):
    """As many names as one likes for one empty piece of data."""
    local = struct.pack("<4s5H3L2H", b"PK\3\4", 20, *[0] * 7, 1, 0) + b"x"
    names = (b"%07d" % number for number in range(count))
    head = struct.pack("<4s6H3L5H2L", b"PK\1\2", 20, 20, *[0] * 7, 7, *[0] * 6)
    directory = b"".join(head + name for name in names)
    end = struct.pack(
        "<4s4H2LH", b"PK\5\6", 0, 0, 0, 0, len(directory), len(local), 0
    )
    match = "more than .* (entries|bytes)"
    refused(tmp_path / "x.pt", match, local + directory + end)


def test_too_large_for_the_limit(tmp_path):
    path = tmp_path / "x.pt"
    torch.save({"model": {"w": torch.zeros(5000)}}, path)
    refused(path, "limit of 10000", max_bytes=10_000)
    content = load_torch_file(path, max_bytes=100_000)
    assert content["model"]["w"].shape == (5000,)


def test_a_number_that_stands_for_a_terabyte(tmp_path):
    path = tmp_path / "x.pt"
    torch.save({"model": {"w": torch.zeros(1).expand(10**12)}}, path)
    refused(path, "does not fit its storage")


@pytest.mark.parametrize("new", [True, False])
def test_truncated_anywhere(tmp_path, new):
    path = tmp_path / "x.pt"
    state = {"a": torch.randn(50), "b": torch.randn(7)}
    torch.save({"model": state}, path, _use_new_zipfile_serialization=new)
    whole = path.read_bytes()
    for end in range(0, len(whole), 41):
        path.write_bytes(whole[:end])
        refused(path, "again|compressed|holds|damaged|declares|web|none")


def test_flipped_bit_in_the_weights(tmp_path):
    path = tmp_path / "x.pt"
    torch.save({"model": {"w": torch.ones(1000)}}, path)
    content = bytearray(path.read_bytes())
    content[content.find(torch.ones(2).numpy().tobytes()) + 400] ^= 1
    path.write_bytes(content)
    refused(path, "CRC")


def test_storage_without_data_in_the_older_format(tmp_path):
    """torch would take the memory as it finds it."""
    path = tmp_path / "x.pt"
    torch.save(
        {"model": {"v": torch.ones(7), "w": torch.ones(5)}},
        path,
        _use_new_zipfile_serialization=False,
    )
    stream = io.BytesIO(path.read_bytes())
    for _ in range(4):
        scan_pickle(stream)
    start = stream.tell()
    keys, rest = pickle.load(stream), stream.read()
    count = int.from_bytes(rest[:8], "little")
    one = pickle.dumps(keys[:1], 2) + rest[: 8 + 4 * count]
    path.write_bytes(stream.getvalue()[:start] + one)
    refused(path, "a storage has no data")


def test_storage_of_another_length_in_the_older_format(tmp_path):
    path = tmp_path / "x.pt"
    torch.save(
        {"model": {"w": torch.ones(1000)}},
        path,
        _use_new_zipfile_serialization=False,
    )
    content = path.read_bytes()
    numel = (1000).to_bytes(8, "little")
    assert content.count(numel) == 1
    path.write_bytes(content.replace(numel, (10**12).to_bytes(8, "little")))
    refused(path, "storage")


@pytest.mark.parametrize(
    ("start", "match"),
    [
        (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS pointer"),
        (b"<!DOCTYPE html><html>", "web page"),
        (b"", "empty"),
        (b"RIFF....WAVEfmt ", "damaged or no checkpoint"),
    ],
)
def test_files_that_are_no_checkpoints(tmp_path, start, match):
    (tmp_path / "x.pt").write_bytes(start)
    refused(tmp_path / "x.pt", match)


def test_other_zip_archives(tmp_path):
    path = tmp_path / "x.pt"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.txt", "hello")
    refused(path, "not a torch checkpoint")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x/data.pkl", b"N.")
        archive.writestr("x/constants.pkl", b")." * 9)
    refused(path, "TorchScript")
