"""MEAD, MSP-Podcast and the mixture of five corpora."""

import importlib.util
import json

import pytest

from speechbrain_e2v.corpora.manifest import read_manifest
from tests.recipes.fake_corpora import (
    RECIPES,
    iemocap,
    make_text,
    make_wav,
    mead,
    meld,
    mosei,
    msp,
    msp_workers,
    parsed,
    prepared,
    recipe,
)

MEAD = recipe("MEAD")
MSP = recipe("MSP-Podcast")


def test_mead(tmp_path):
    utterances, _ = prepared(MEAD, mead(tmp_path / "c"), tmp_path / "o")
    assert {u.id: (u.emo, u.spk, u.gender) for u in utterances.values()} == {
        "M003_angry_1_001": ("angry", "M003", "M"),
        "M003_neutral_1_001": ("neutral", "M003", "M"),
        "W009_sad_3_030": ("sad", "W009", "F"),
    }


def test_mead_bad_inputs(tmp_path):
    make_text(tmp_path / "a/M003/audio/angry/level_1/001.m4a", "x")
    with pytest.raises(ValueError, match="extract the wav files"):
        parsed(MEAD, tmp_path / "a")
    folder = mead(tmp_path / "b")
    make_wav(folder / "M003/audio/bored/level_1/001.wav")
    with pytest.raises(ValueError, match="audio/bored/level_1/001.wav"):
        parsed(MEAD, folder)


@pytest.mark.parametrize(
    "places",
    [
        {},
        {"audio": "Audio", "labels": "label/labels_consensus.csv"},
    ],
)
def test_msp(places, tmp_path):
    utterances, report = prepared(
        MSP, msp(tmp_path / "c", **places), tmp_path / "o"
    )
    assert {
        u.id: (u.emo, u.spk, u.gender, u.split, u.extra["label"])
        for u in utterances.values()
    } == {
        "MSP-PODCAST_0001_0008": (None, "", "F", "train", "X"),
        "MSP-PODCAST_0001_0009": (None, "12", "M", "valid", "A"),
        "MSP-PODCAST_2_1": (None, "13", "M", "test", "O"),
    }
    assert report["found"]["speakers"] == 2


@pytest.mark.parametrize("form", ["json", "csv"])
def test_msp_votes_of_workers(form, tmp_path):
    folder = msp_workers(tmp_path / "c")
    if form == "csv":
        (folder / "Labels/labels_detailed.json").unlink()
        name = "MSP-PODCAST_0001_0009.wav"
        make_text(
            folder / "Labels/labels_detailed.csv",
            "FileName,WORKER,EmoClass_Major\n"
            f"{name},1,A\n{name},2,Other\n{name},3,Angry\n",
        )
    votes = {u.id: u.votes for u in parsed(MSP, folder).values()}
    assert votes == {
        "MSP-PODCAST_0001_0008": {},
        "MSP-PODCAST_0001_0009": {"anger": 2, "other": 1},
        "MSP-PODCAST_2_1": {},
    }


def test_msp_bad_inputs(tmp_path):
    folder = msp(tmp_path / "a")
    table = folder / "Labels/labels_concensus.csv"
    make_text(table, table.read_text().replace("Test2", "Test3"))
    with pytest.raises(ValueError, match="line 4: Split_Set is 'Test3'"):
        parsed(MSP, folder)
    table.unlink()
    with pytest.raises(ValueError, match="labels_con.*comes with"):
        parsed(MSP, folder)
    folder = msp(tmp_path / "b", audio="Sound")
    with pytest.raises(ValueError, match="none of .'Audios', 'Audio'"):
        parsed(MSP, folder)


@pytest.fixture(scope="module")
def mixture():
    spec = importlib.util.spec_from_file_location(
        "prepare_pretrain", RECIPES / "prepare_pretrain.py"
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def folders(tmp_path):
    return {
        "iemocap": iemocap(tmp_path / "iemocap"),
        "meld": meld(tmp_path / "meld"),
        "mosei": mosei(tmp_path / "mosei"),
        "mead": mead(tmp_path / "mead"),
        "msp": msp(tmp_path / "msp"),
    }


def arguments(folders, out, *more):
    given = [w for key, path in folders.items() for w in (f"--{key}", path)]
    return [str(w) for w in ("--output_folder", out, *given, *more)]


def test_table_1_adds_up(mixture):
    utts = {key: part.paper_utts for key, part in mixture.PARTS.items()}
    assert sum(utts.values()) == 169_116
    found = {**utts, "mead": MEAD.expected["utts"]}
    assert sum(found.values()) == mixture.PAPER_TOTAL["utts"] == 169_053
    found["msp"] = MSP.expected["utts"]
    assert sum(found.values()) - 169_053 == mixture.UNEXPLAINED
    hours = sum(part.paper_hours for part in mixture.PARTS.values())
    assert hours == pytest.approx(mixture.PAPER_TOTAL["hours"], abs=0.11)


def test_mixture(mixture, folders, tmp_path, capsys):
    out = tmp_path / "out"
    mixture.main(arguments(folders, out, "--allow_partial"))
    manifests = {key: read_manifest(out / f"{key}.json") for key in folders}
    sizes = {key: len(rows) for key, rows in manifests.items()}
    # IEMOCAP: four classes only; MELD and MOSEI: without labels, too
    assert sizes == {"iemocap": 8, "meld": 7, "mosei": 6, "mead": 3, "msp": 3}
    ids = [u.id for rows in manifests.values() for u in rows]
    assert len(set(ids)) == len(ids) == 27
    assert "MELD__test_final_videos_testdia0_utt0" in ids
    segment = {u.id: u for u in manifests["mosei"]}["CMU-MOSEI__vidA_1"]
    assert (segment.start, segment.stop) == (0.8, 1.6)
    report = json.loads((out / "pretrain_report.json").read_text())
    assert report["found"]["utts"] == report["kept"] == 27
    assert report["corpora"]["mead"]["difference"] == 3 - 31_792
    printed = capsys.readouterr().out
    assert "169053" in printed and "swaps two digits" in printed


def test_mixture_is_strict(mixture, folders, tmp_path, capsys):
    with pytest.raises(SystemExit) as caught:
        mixture.main(arguments(folders, tmp_path / "out"))
    assert caught.value.code == 1
    assert "IEMOCAP" in capsys.readouterr().err
    del folders["msp"]
    with pytest.raises(SystemExit):
        mixture.main(arguments(folders, tmp_path / "out"))
    assert "no folder of msp" in capsys.readouterr().err


def test_exclude(mixture, folders, tmp_path):
    report = mixture.prepare_mixture(
        folders,
        tmp_path / "out",
        ["meld.test", "mosei.test", "mosei.valid", "iemocap.Ses01"],
        strict_counts=False,
    )
    kept = {key: row["kept"]["utts"] for key, row in report["corpora"].items()}
    assert kept == {"iemocap": 3, "meld": 5, "mosei": 4, "mead": 3, "msp": 3}
    meld_rows = read_manifest(tmp_path / "out/meld.json")
    assert {u.split for u in meld_rows} == {"train", "valid"}
    sessions = {u.session for u in read_manifest(tmp_path / "out/iemocap.json")}
    assert sessions == {"Ses03", "Ses05"}
    meta = json.loads((tmp_path / "out/meld.meta.json").read_text())
    assert meta["excluded"] == ["test"]
    assert meta["skipped"] == {"too_short": 0, "excluded": 2}


@pytest.mark.parametrize(
    ("token", "message"),
    [
        ("meld", "<corpus>.<part"),
        ("emodb.test", "iemocap, meld, mosei, mead, msp"),
        ("meld.dev", r"has \['test', 'train', 'valid'\]"),
    ],
)
def test_wrong_exclude(mixture, folders, tmp_path, token, message):
    with pytest.raises(ValueError, match=message):
        mixture.prepare_mixture(folders, tmp_path / "out", [token], False)


def test_too_short_for_one_frame(mixture, tmp_path):
    folder = mead(tmp_path / "c")
    short = folder / "M003/audio/angry/level_1/002.wav"
    make_wav(short, seconds=0.02, rate=48000)
    report = mixture.prepare_mixture(
        {"mead": folder}, tmp_path / "out", strict_counts=False
    )
    assert report["corpora"]["mead"]["too_short"] == 1
    assert report["kept"] == 3
    assert report["missing"] == ["iemocap", "meld", "mosei", "msp"]
