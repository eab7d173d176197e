"""Ratings of the four corpora that have them, as their files give them."""

import pytest

from speechbrain_e2v.corpora.corpus import compare, count
from speechbrain_e2v.corpora.utterance import Utterance
from speechbrain_e2v.downstream.regression.targets import ratings_of
from tests.recipes.fake_corpora import (
    iemocap,
    make_text,
    mosei,
    mosei_scores,
    mosi,
    msp_rated,
    parsed,
    prepared,
    recipe,
    skipped,
)

NAMES = ("IEMOCAP", "MSP-Podcast", "CMU-MOSI", "CMU-MOSEI")
CORPORA = {name: recipe(name) for name in NAMES}


def test_iemocap_has_every_turn(tmp_path):
    folder = iemocap(tmp_path / "c")
    path = folder / "Session1/dialog/EmoEvaluation/Ses01F_impro01.txt"
    text = path.read_text().replace("2.5000, 3.0000", "5.5000, 3.2500", 1)
    make_text(path, text)
    corpus = CORPORA["IEMOCAP"].rated
    utterances, report = prepared(corpus, folder, tmp_path / "o")
    assert len(utterances) == 11 and not skipped(report)
    assert {u.emo for u in utterances.values()} == {None}
    labels = {u.extra["label"] for u in utterances.values()}
    assert {"fru", "xxx", "oth"} < labels
    ratings, outside = ratings_of(utterances.values(), corpus.scales)
    assert list(corpus.scales) == ["arousal", "valence", "dominance"]
    # the files give valence first
    assert ratings["Ses01F_impro01_F000"] == [3.25, 5.0, 3.5]
    assert ratings["Ses01M_script01_1_M001"] == [3.0, 2.5, 3.5]
    assert outside == 1


def test_msp_leaves_out_test2(tmp_path):
    corpus = CORPORA["MSP-Podcast"].rated
    utterances, report = prepared(
        corpus, msp_rated(tmp_path / "c"), tmp_path / "o"
    )
    assert skipped(report) == {"label_not_in_map": ["MSP-PODCAST_2_1"]}
    assert {u.split for u in utterances.values()} == {"train", "valid", "test"}
    ratings, _ = ratings_of(utterances.values(), corpus.scales)
    # columns are EmoAct, EmoVal, EmoDom
    assert ratings["MSP-PODCAST_0_0"] == [1.0, 2.5, 7.0]


@pytest.mark.parametrize("rating", ["", "nan", "-inf", "high"])
def test_msp_bad_rating(rating, tmp_path):
    folder = msp_rated(tmp_path)
    table = folder / "Labels/labels_concensus.csv"
    line = table.read_text().replace("1.0,2.5,7.0", f"1.0,{rating},7.0")
    make_text(table, line)
    message = "labels_concensus.csv, line 5: MSP-PODCAST_0_0.wav is rated"
    with pytest.raises(ValueError, match=message):
        parsed(CORPORA["MSP-Podcast"], folder)


def test_mosi_keeps_zeros(tmp_path):
    corpus = CORPORA["CMU-MOSI"].rated
    utterances, report = prepared(corpus, mosi(tmp_path / "c"), tmp_path / "o")
    assert not skipped(report)
    ratings, _ = ratings_of(utterances.values(), corpus.scales)
    assert ratings == {
        "2iD-tVS8NPw_1": [1.2],
        "_dI--eQ6qVU_12": [-0.6],
        "tmZoasNr4rU_3": [-2.8],
        "03bSnISJMiM_0": [0.0],
        "03bSnISJMiM_1": [0.0],
    }


def test_mosei_scores_are_of_the_transcripts_segments(tmp_path):
    folder = mosei_scores(tmp_path / "c")
    corpus = CORPORA["CMU-MOSEI"].rated
    utterances, report = prepared(corpus, folder, tmp_path / "o")
    ratings, _ = ratings_of(utterances.values(), corpus.scales)
    assert {name: rating for name, (rating,) in ratings.items()} == {
        "vidA_0": pytest.approx(-1 / 3, abs=1e-6),
        "vidA_1": pytest.approx(2 / 3, abs=1e-6),
        "-vidB_0": 0.0,
        "vid__0": -3.0,
    }
    assert {n: u.split for n, u in utterances.items()} == {
        "vidA_0": "train",
        "vidA_1": "train",
        "-vidB_0": "valid",
        "vid__0": "test",
    }
    times = [(u.start, u.stop, u.num_samples) for u in utterances.values()]
    assert (0.8, 1.6, 12800) in times
    assert skipped(report) == {"label_not_in_map": ["vidD_0"]}


def test_mosei_classes_by_scores(tmp_path):
    folder = mosei_scores(tmp_path / "c")
    utterances, report = prepared(CORPORA["CMU-MOSEI"], folder, tmp_path / "o")
    assert {n: u.emo for n, u in utterances.items()} == {
        "vidA_0": "negative",
        "vidA_1": "positive",
        "vid__0": "negative",
    }
    assert skipped(report)["label_not_in_map"] == ["-vidB_0", "vidD_0"]
    # label.csv counts, although s3prl's file lies there, too
    counts = {
        what: expected for what, expected, _ in report["differs_from_expected"]
    }
    assert [counts[f"split {p}"] for p in ("train", "valid", "test")] == [
        12786, 1438, 3634,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("vidA,9,text,1.0", "vidA_9"),
        ("vidA,1,text,3.4", "sentiment 3.4"),
        ("vidA,1,text,nan", "sentiment nan"),
        ("vidA,1,text,good", "good"),
    ],
)
def test_mosei_bad_scores(line, message, tmp_path):
    folder = mosei_scores(tmp_path)
    make_text(folder / "label.csv", f"video_id,clip_id,text,label\n{line}\n")
    with pytest.raises(ValueError, match=f"label.csv, line 2.*{message}"):
        parsed(CORPORA["CMU-MOSEI"].rated, folder)


def test_mosei_without_scores(tmp_path):
    with pytest.raises(ValueError, match=r"no label.csv below it.*MMSA"):
        parsed(CORPORA["CMU-MOSEI"].rated, mosei(tmp_path))


EXPECTED = {
    "CMU-MOSI": ({"train": 1231, "valid": 216, "test": 656}, 2103),
    "CMU-MOSEI": ({"train": 12786, "valid": 1438, "test": 3634}, 17858),
}


@pytest.mark.parametrize("name", EXPECTED)
def test_published_counts_of_two_classes(name, tmp_path):
    """A corpus of the published size differs in nothing; one less does."""
    if name == "CMU-MOSEI":
        make_text(tmp_path / "label.csv", "")
    corpus = CORPORA[name].bound_to(tmp_path)
    parts, total = EXPECTED[name]
    classes = corpus.expected["per_class"]
    assert sum(parts.values()) == sum(classes.values()) == total
    emotions = [c for c, n in classes.items() for _ in range(n)]
    splits = [p for p, n in parts.items() for _ in range(n)]
    rows = [
        Utterance(f"u{i}", "x.wav", emo=emo, split=split)
        for i, (emo, split) in enumerate(zip(emotions, splits, strict=True))
    ]
    assert compare(corpus.expected, count(rows)) == []
    found = [what for what, *_ in compare(corpus.expected, count(rows[:-1]))]
    assert found == ["utts", "class positive", "split test"]


@pytest.mark.parametrize("name", NAMES)
def test_expected_counts_of_ratings_add_up(name):
    expected = CORPORA[name].rated.expected
    if "per_split" in expected:
        assert sum(expected["per_split"].values()) == expected["utts"]
    assert expected["utts"] in (10039, 68005, 2199, 22856)
