"""MELD: parts whose ids clash, clips without labels, both layouts."""

import shutil

import pytest

from tests.recipes.fake_corpora import (
    ODD_TEXT,
    make_text,
    make_wav,
    make_wavs,
    meld,
    parsed,
    prepared,
    recipe,
    skipped,
)

CORPUS = recipe("MELD")
PRETRAINING = recipe("MELD", "PRETRAINING")
LABELLED = {
    "train_dia0_utt0": ("neutral", "Joey", "train"),
    "train_dia0_utt1": ("joy", "Mark", "train"),
    "train_dia0_utt2": ("fear", "Joey", "train"),
    "dev_dia0_utt0": ("surprise", "Joey", "valid"),
    "test_dia0_utt0": ("sadness", "Mark", "test"),
}


def labels(utterances):
    return {u.id: (u.emo, u.spk, u.split) for u in utterances.values()}


def test_labelled(tmp_path):
    utterances, report = prepared(
        CORPUS, meld(tmp_path / "MELD.Raw"), tmp_path / "out"
    )
    assert labels(utterances) == LABELLED
    assert skipped(report) == {
        "known_bad": ["dev_dia110_utt7", "train_dia125_utt3"]
    }
    one = utterances["train_dia0_utt0"]
    assert one.text == ODD_TEXT.replace("\\n", "\n")
    assert (one.dialog, one.gender) == ("train_dia0", "unknown")
    assert one.extra == {"sentiment": "neutral"}
    assert utterances["train_dia0_utt2"].channels == 6
    assert len({u.wav for u in utterances.values()}) == 5
    # The counts are of the published tables; these are others.
    assert len(report["other_label_files"]) == 3


def test_pretraining_has_clips_without_labels(tmp_path):
    utterances, report = prepared(
        PRETRAINING, meld(tmp_path / "c"), tmp_path / "out"
    )
    assert labels(utterances) == {
        **LABELLED,
        "dev_dia49_utt4": (None, "", "valid"),
        "test_final_videos_testdia0_utt0": (None, "", "test"),
    }
    assert report["unlabelled"] == 2
    assert PRETRAINING.expected["utts"] == 13706 + 141
    split = PRETRAINING.expected["per_split"]
    assert sum(split.values()) == PRETRAINING.expected["utts"]


def test_layout_of_extracted_audio(tmp_path):
    old = meld(tmp_path / "old")
    new = tmp_path / "new"
    for part, inner in (
        ("train", "train_splits"),
        ("dev", "dev_splits_complete"),
        ("test", "output_repeated_splits_test"),
    ):
        shutil.copytree(old / part / inner, new / part)
    for path in old.rglob("*.csv"):
        shutil.copy(path, new / path.name)
    utterances, _ = prepared(CORPUS, new, tmp_path / "out")
    assert labels(utterances) == LABELLED


def test_lost_clip_is_missing_audio(tmp_path):
    folder = meld(tmp_path / "c")
    (folder / "train/train_splits/dia0_utt1.wav").unlink()
    _, report = prepared(CORPUS, folder, tmp_path / "out")
    assert skipped(report)["missing_audio"] == ["train_dia0_utt1"]


def test_missing_table(tmp_path):
    folder = meld(tmp_path)
    (folder / "dev_sent_emo.csv").unlink()
    with pytest.raises(ValueError, match="no dev_sent_emo.csv"):
        parsed(CORPUS, folder)


def test_table_twice(tmp_path):
    folder = meld(tmp_path)
    shutil.copy(folder / "dev_sent_emo.csv", folder / "dev")
    with pytest.raises(ValueError, match="dev_sent_emo.csv is there 2 times"):
        parsed(CORPUS, folder)


def test_nothing_extracted(tmp_path):
    make_text(tmp_path / "train/train_splits/dia0_utt0.mp4", "video")
    with pytest.raises(ValueError, match="extract the wav files"):
        parsed(CORPUS, tmp_path)


def test_part_without_audio(tmp_path):
    folder = meld(tmp_path)
    shutil.rmtree(folder / "test")
    with pytest.raises(ValueError, match=r"wav files of \['dev', 'train'\]"):
        parsed(CORPUS, folder)


def test_strange_places_and_names(tmp_path):
    folder = meld(tmp_path)
    make_wav(folder / "elsewhere/dia0_utt0.wav")
    with pytest.raises(ValueError, match="elsewhere/dia0_utt0.wav"):
        parsed(CORPUS, folder)
    shutil.rmtree(folder / "elsewhere")
    make_wav(folder / "copy/train_splits/dia0_utt0.wav")
    with pytest.raises(ValueError, match="are both train_dia0_utt0"):
        parsed(CORPUS, folder)
    shutil.rmtree(folder / "copy")
    make_wavs(folder / "train/train_splits", ["dia0-utt0"])
    with pytest.raises(ValueError, match="dia0-utt0"):
        parsed(CORPUS, folder)


def test_broken_table_names_file_and_line(tmp_path):
    folder = meld(tmp_path)
    table = folder / "test_sent_emo.csv"
    make_text(table, table.read_text() + "2,Oh, no,Joey\n")
    with pytest.raises(ValueError, match="test_sent_emo.csv, line 3"):
        parsed(CORPUS, folder)
    make_text(table, "Utterance;Speaker\nHi;Joey\n")
    with pytest.raises(ValueError, match="'Emotion'.*missing"):
        parsed(CORPUS, folder)
    table.write_bytes("Utterance\nétait\n".encode("latin-1"))
    with pytest.raises(ValueError, match="emo.csv, line 2: not UTF-8"):
        parsed(CORPUS, folder)
