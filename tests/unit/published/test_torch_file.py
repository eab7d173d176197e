"""Torch files: every format that torch.save writes, and damaged ones."""

import io
import pickle
import zipfile

import pytest
import torch
from unit.published import hostile

from speechbrain_e2v.published.restricted_unpickler import RefusedPickle
from speechbrain_e2v.published.stored_tensor import BrokenCheckpoint
from speechbrain_e2v.published.torch_file import open_checkpoint


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


def written_by_pickle(path, state):
    path.write_bytes(pickle.dumps({"model": state}))


@pytest.mark.parametrize(
    "write", [written_by_zip, written_by_older_torch, written_by_pickle]
)
def test_tensors_equal_bit_for_bit(tmp_path, write):
    path, state = tmp_path / "x.pt", some_state()
    write(path, state)
    with open_checkpoint(path) as content:
        found = content["model"]
        assert list(found) == list(state)
        for name, expected in state.items():
            tensor = found[name].read()
            assert found[name].shape == tensor.shape == expected.shape, name
            assert tensor.dtype == found[name].dtype == expected.dtype, name
            assert torch.equal(tensor, expected.detach()), name
            assert tensor.is_contiguous()


def test_a_module_state_dict(tmp_path):
    module = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.LayerNorm(3))
    torch.save(module.state_dict(), tmp_path / "x.pt")  # carries _metadata
    with open_checkpoint(tmp_path / "x.pt") as content:
        for name, value in module.state_dict().items():
            assert torch.equal(content[name].read(), value)


def test_a_whole_module_is_refused(tmp_path):
    torch.save(torch.nn.Linear(2, 3), tmp_path / "x.pt")
    with (
        pytest.raises(RefusedPickle, match=r"torch\.nn\.modules\.linear"),
        open_checkpoint(tmp_path / "x.pt"),
    ):
        pass


def test_hostile_pickles_in_a_torch_zip(tmp_path):
    trace, path = tmp_path / "was_here", tmp_path / "x.pt"
    for asked, data in hostile.pickles(trace):
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("x/data.pkl", data)
            archive.writestr("x/version", "3")
        with pytest.raises(RefusedPickle) as refusal, open_checkpoint(path):
            pass
        assert asked in str(refusal.value)
    assert not trace.exists()


def test_hostile_pickle_behind_the_older_header(tmp_path):
    path, trace = tmp_path / "x.pt", tmp_path / "was_here"
    attack = hostile.Calls(eval, f"open({str(trace)!r}, 'w')")
    torch.save(attack, path, _use_new_zipfile_serialization=False)
    with (
        pytest.raises(RefusedPickle, match=r"builtins\.eval"),
        open_checkpoint(path),
    ):
        pass
    # And in the bytes that pickle.dump puts around a storage.
    inner = path.read_bytes()
    call = hostile.Calls(torch.storage._load_from_bytes, inner)
    path.write_bytes(pickle.dumps(call))
    with (
        pytest.raises(RefusedPickle, match=r"builtins\.eval"),
        open_checkpoint(path),
    ):
        pass
    assert not trace.exists()


def refused(path, match, **options):
    with (
        pytest.raises(BrokenCheckpoint, match=match) as error,
        open_checkpoint(path, **options) as content,
    ):
        _read_all(content)
    assert path.name in str(error.value)


def _read_all(content):
    for value in content["model"].values():
        value.read()


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


def test_too_large_for_the_limit(tmp_path):
    path = tmp_path / "x.pt"
    torch.save({"model": {"w": torch.zeros(5000)}}, path)
    refused(path, "limit of 10000", max_bytes=10_000)
    with open_checkpoint(path, max_bytes=100_000) as content:
        assert content["model"]["w"].read().shape == (5000,)


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
