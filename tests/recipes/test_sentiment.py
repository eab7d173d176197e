"""CMU-MOSI and CMU-MOSEI: signs, folds by video, pieces of videos."""

import pytest

from tests.recipes.fake_corpora import (
    ODD_TEXT,
    make_text,
    mosei,
    mosi,
    parsed,
    prepared,
    recipe,
    skipped,
)

MOSI = recipe("CMU-MOSI")
MOSEI = recipe("CMU-MOSEI")
MOSEI_ALL = recipe("CMU-MOSEI", "PRETRAINING")


def test_mosi(tmp_path):
    utterances, report = prepared(MOSI, mosi(tmp_path / "c"), tmp_path / "o")
    assert {
        u.id: (u.emo, u.split, u.spk, u.text) for u in utterances.values()
    } == {
        "2iD-tVS8NPw_1": ("positive", "train", "2iD-tVS8NPw", ODD_TEXT),
        "_dI--eQ6qVU_12": ("negative", "valid", "_dI--eQ6qVU", None),
        "tmZoasNr4rU_3": ("negative", "test", "tmZoasNr4rU", None),
    }
    assert skipped(report) == {
        "label_not_in_map": ["03bSnISJMiM_0", "03bSnISJMiM_1"]
    }


def test_mosi_without_the_outer_folder(tmp_path):
    folder = mosi(tmp_path)
    assert len(parsed(MOSI, folder / "Raw")) == 5


def test_mosi_folds_are_the_published_ones():
    import json

    from tests.recipes.fake_corpora import RECIPES

    folds = json.loads((RECIPES / "CMU-MOSI/mosi_folds.json").read_text())
    assert (len(folds["valid"]), len(folds["test"])) == (10, 31)
    videos = folds["valid"] + folds["test"]
    assert len(set(videos)) == 41
    assert {len(video) for video in videos} == {11}


@pytest.mark.parametrize(
    "line",
    ["0.1,0.9,v,1", "0.1,0.9,v,1,positive", "0.1,0.9,v,1,7", "a,b,v,1,1.0",
     "0.1,0.9,v,1,nan"],
)  # fmt: skip
def test_mosi_bad_label_line(line, tmp_path):
    folder = mosi(tmp_path)
    make_text(folder / "Raw/Labels/OpinionLevelSentiment.csv", line + "\n")
    with pytest.raises(ValueError, match="OpinionLevelSentiment.csv, line 1"):
        parsed(MOSI, folder)


def test_mosi_missing_labels(tmp_path):
    folder = mosi(tmp_path)
    (folder / "Raw/Labels/OpinionLevelSentiment.csv").unlink()
    with pytest.raises(ValueError, match="no .*OpinionLevelSentiment.csv"):
        parsed(MOSI, folder)


def test_mosei_labelled(tmp_path):
    utterances, report = prepared(MOSEI, mosei(tmp_path / "c"), tmp_path / "o")
    assert {
        u.id: (u.emo, u.split, u.start, u.stop, u.num_samples)
        for u in utterances.values()
    } == {
        # numbered by the transcript, not by the line of the labels
        "vidA_1": ("positive", "train", 0.8, 1.6, 12800),
        "vidA_0": ("negative", "train", 0.0, 0.8, 12800),
        # no transcript with these times
        "-vidB_line6": ("positive", "valid", 1.0, 1.5, 8000),
        "vid__0": ("negative", "test", 0.0, 1.0, 16000),
    }
    assert utterances["vidA_1"].text == ODD_TEXT
    assert utterances["vidA_0"].text == "he said ____ and {x}"
    assert utterances["-vidB_line6"].text is None
    assert skipped(report) == {
        "zero_length": ["vidA_line4"],
        "label_not_in_map": ["-vidB_0", "vidD_0"],
    }
    assert len(report["other_label_files"]) == 1


def test_mosei_all_segments(tmp_path):
    utterances, report = prepared(
        MOSEI_ALL, mosei(tmp_path / "c"), tmp_path / "o"
    )
    assert {u.id: u.split for u in utterances.values()} == {
        "vidA_0": "train",
        "vidA_1": "train",
        "vidA_2": "train",
        "-vidB_0": "valid",
        "vid__0": "test",
        "vidD_0": None,
    }
    assert utterances["vidA_2"].text == "unlabelled\u2028line"
    assert report["unlabelled"] == 6


def test_mosei_missing_files(tmp_path):
    folder = mosei(tmp_path)
    (folder / "CMU_MOSEI_Labels.csv").rename(folder / "labels.csv")
    with pytest.raises(ValueError, match="no CMU_MOSEI_Labels.csv"):
        parsed(MOSEI, folder)
    assert len(parsed(MOSEI_ALL, folder)) == 6
    (folder / "cmu_mosei_std_folds.py").unlink()
    with pytest.raises(ValueError, match="no cmu_mosei_std_folds.py"):
        parsed(MOSEI_ALL, folder)


def test_mosei_bad_inputs(tmp_path):
    folder = mosei(tmp_path)
    labels = folder / "CMU_MOSEI_Labels.csv"
    good = labels.read_text()
    make_text(labels, good.replace(",-1,0,-3,2", ",5,0,-3,2"))
    with pytest.raises(ValueError, match="line 7: label2b is '5'"):
        parsed(MOSEI, folder)
    transcript = folder / "Raw/Transcript/Segmented/Combined/vidD.txt"
    make_text(transcript, "vidD___0___zero___1.0___d\n")
    with pytest.raises(ValueError, match="vidD.txt.*zero"):
        parsed(MOSEI_ALL, folder)
    make_text(transcript, "vidD___0___0.0___1.0___d\n")
    folds = folder / "cmu_mosei_std_folds.py"
    make_text(folds, "standard_train_fold=['a']\nstandard_valid_fold=['a']\n")
    with pytest.raises(ValueError, match="a is in two"):
        parsed(MOSEI_ALL, folder)
    make_text(folds, "standard_train_fold=['a']\n")
    with pytest.raises(ValueError, match="does not define"):
        parsed(MOSEI_ALL, folder)
