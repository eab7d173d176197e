"""Archives of corpora: fetched once, unpacked whole or not at all."""

import io
import shutil
import zipfile
from collections import namedtuple

import pytest
from unit.files.loopback_origin import Origin

from speechbrain_e2v.corpora.archives import MARKER, download_corpus, unpack
from speechbrain_e2v.corpora.corpus import Corpus
from speechbrain_e2v.corpora.prepare import prepare_main
from speechbrain_e2v.files.download import Download
from tests.recipes.fake_corpora import wav_bytes

Usage = namedtuple("Usage", "total used free")


@pytest.fixture
def origin():
    found = Origin()
    yield found
    found.close()


def zipped(**files):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for name, content in files.items():
            file.writestr(name.replace("__", "/"), content)
    return buffer.getvalue()


def test_a_corpus_arrives_once(origin, tmp_path, capsys):
    origin.content = zipped(**{"wav__a.wav": wav_bytes(0.1, 16000, 1)})
    from speechbrain_e2v.corpora.folders import scan_folder

    corpus = Corpus(
        "Toy", "en", (), {}, parse=scan_folder, expected={"utts": 1},
        downloads=(Download(origin.url, "toy.zip"),),
    )  # fmt: skip
    folder, manifest = tmp_path / "toy", tmp_path / "m.json"
    arguments = ["--data_folder", str(folder), "--manifest", str(manifest)]
    prepare_main(corpus, [*arguments, "--download"])
    assert "Toy: 1 utterances" in capsys.readouterr().out
    assert sorted(p.name for p in folder.iterdir()) == [MARKER, "wav"]
    assert download_corpus(corpus, folder) == []
    assert len(origin.asked) == 1


def test_some_corpora_must_be_asked_for(tmp_path):
    with pytest.raises(ValueError, match="Toy cannot be downloaded.*README"):
        download_corpus(Corpus("Toy", "en", (), {}), tmp_path)


def test_damaged_archives(tmp_path):
    whole = zipped(a="one" * 100, b="two")
    for damaged in (whole[:-30], whole.replace(b"oneone", b"xxxxxx", 1)):
        (tmp_path / "a.zip").write_bytes(damaged)
        with pytest.raises(ValueError, match="is damaged"):
            unpack(tmp_path / "a.zip", tmp_path / "out", progress=False)
        assert not list((tmp_path / "out").iterdir())


@pytest.mark.parametrize("name", ["../a", "/a", "x/../../a", "C:/a"])
def test_names_that_lead_outside(name, tmp_path):
    (tmp_path / "a.zip").write_bytes(zipped(**{name: "x"}))
    with pytest.raises(ValueError, match="leads out"):
        unpack(tmp_path / "a.zip", tmp_path / "in" / "out", progress=False)
    assert not (tmp_path / "in" / "a").exists()


def test_what_is_there_is_not_overwritten(tmp_path):
    (tmp_path / "a.zip").write_bytes(zipped(wav__a="new", other="x"))
    (tmp_path / "wav").mkdir()
    with pytest.raises(ValueError, match="wav is already there"):
        unpack(tmp_path / "a.zip", tmp_path, progress=False)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.zip", "wav"]


def test_no_room_to_unpack(tmp_path, monkeypatch):
    (tmp_path / "a.zip").write_bytes(zipped(a="x" * 100))
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(1, 1, 99))
    with pytest.raises(ValueError, match="content of a.zip needs"):
        unpack(tmp_path / "a.zip", tmp_path / "out", progress=False)
