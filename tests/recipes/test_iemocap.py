"""IEMOCAP: who speaks, which labels count, what is not read."""

from collections import Counter

import pytest

from speechbrain_e2v.corpora.protocols import make_folds
from speechbrain_e2v.corpora.utterance import Utterance
from tests.recipes.fake_corpora import (
    ODD_TEXT,
    iemocap,
    make_text,
    make_wav,
    parsed,
    prepared,
    recipe,
    skipped,
)

CORPUS = recipe("IEMOCAP")
LABELS = "Session1/dialog/EmoEvaluation/Ses01F_impro01.txt"


def test_rows(tmp_path):
    utterances, report = prepared(
        CORPUS, iemocap(tmp_path / "c"), tmp_path / "out"
    )
    assert {u.id: (u.emo, u.spk) for u in utterances.values()} == {
        "Ses01F_impro01_F000": ("neutral", "Ses01_F"),
        "Ses01F_impro01_F001": ("angry", "Ses01_F"),
        "Ses01F_impro01_M000": ("happy", "Ses01_M"),
        "Ses01F_impro01_M001": ("happy", "Ses01_M"),
        "Ses01M_script01_1_F000": ("sad", "Ses01_F"),
        "Ses03M_impro05a_F000": ("neutral", "Ses03_F"),
        "Ses03M_impro05a_M000": ("sad", "Ses03_M"),
        "Ses05M_script01_1b_F000": ("angry", "Ses05_F"),
    }
    assert all(u.gender == u.spk[-1] for u in utterances.values())
    assert skipped(report) == {
        "label_not_in_map": [
            "Ses01M_script01_1_M000",
            "Ses01M_script01_1_M001",
            "Ses05M_script01_1b_M000",
        ]
    }
    one = utterances["Ses01F_impro01_F000"]
    assert one.text == ODD_TEXT
    assert one.wav.endswith(
        "Session1/sentences/wav/Ses01F_impro01/Ses01F_impro01_F000.wav"
    )
    assert (one.session, one.dialog) == ("Ses01", "Ses01F_impro01")
    assert (one.start, one.stop) == (None, None)  # the wav is the turn alone
    assert one.extra == {
        "turn_start": 0.1,
        "turn_end": 0.5,
        "valence": 2.5,
        "arousal": 3.0,
        "dominance": 3.5,
    }
    assert utterances["Ses01F_impro01_F001"].text is None
    # The actor's own C-F1 is no vote; happy and excited are one class.
    votes = {"angry": 1, "frustration": 1, "happy": 1, "neutral": 1}
    assert all(u.votes == votes for u in utterances.values())
    assert utterances["Ses01F_impro01_M001"].emo_raw == "exc"


def test_no_sessions(tmp_path):
    with pytest.raises(ValueError, match="no Session1 to Session5"):
        parsed(CORPUS, tmp_path)


def test_missing_label_file(tmp_path):
    folder = iemocap(tmp_path)
    (folder / LABELS).unlink()
    with pytest.raises(ValueError, match="Session1/.*Ses01F_impro01"):
        parsed(CORPUS, folder)


@pytest.mark.parametrize(
    "line",
    [
        "[0.1 - 0.5]\tSes01F_impro01_X000\tneu\t[2.5, 2.5, 2.5]",
        "[0.1 - 0.5]\tSes02F_impro01_F000\tneu\t[2.5, 2.5, 2.5]",
        "[0.1 - ]\tSes01F_impro01_F000\tneu\t[2.5, 2.5, 2.5]",
    ],
)
def test_bad_label_line(line, tmp_path):
    folder = iemocap(tmp_path)
    make_text(folder / LABELS, f"% head\n{line}\n")
    with pytest.raises(ValueError, match="impro01.txt, line 2"):
        parsed(CORPUS, folder)


def test_unknown_label(tmp_path):
    folder = iemocap(tmp_path / "c")
    text = (folder / LABELS).read_text().replace("\tneu\t", "\tbored\t")
    make_text(folder / LABELS, text)
    with pytest.raises(ValueError, match="F000.*'bored'"):
        prepared(CORPUS, folder, tmp_path / "out")


def test_missing_wav_is_counted_and_strict_refuses(tmp_path):
    folder = iemocap(tmp_path / "c")
    wav = "Session1/sentences/wav/Ses01F_impro01/Ses01F_impro01_F001.wav"
    (folder / wav).rename(folder / wav.replace("F001", "F01"))
    _, report = prepared(CORPUS, folder, tmp_path / "out")
    assert skipped(report)["missing_audio"] == ["Ses01F_impro01_F001"]
    with pytest.raises(ValueError, match="utts +5531 +7"):
        prepared(CORPUS, folder, tmp_path / "out2", strict_counts=True)


def test_changed_labels_are_prepared_again(tmp_path):
    folder = iemocap(tmp_path / "c")
    before, _ = prepared(CORPUS, folder, tmp_path / "out")
    text = (folder / LABELS).read_text().replace("\tang\t", "\tsad\t")
    make_text(folder / LABELS, text)
    after, _ = prepared(CORPUS, folder, tmp_path / "out")
    changed = {n for n in before if before[n].emo != after[n].emo}
    assert changed == {"Ses01F_impro01_F001"}


def test_other_sessions_may_be_absent_when_partial(tmp_path):
    folder = iemocap(tmp_path / "c")
    make_wav(folder / "Session2/sentences/wav/Ses02F_impro01/x.wav")
    with pytest.raises(ValueError, match="Session2.*any dialogue"):
        parsed(CORPUS, folder)


SPEAKERS = {
    "Ses01_F": 528,
    "Ses01_M": 557,
    "Ses02_F": 481,
    "Ses02_M": 542,
    "Ses03_F": 522,
    "Ses03_M": 629,
    "Ses04_F": 528,
    "Ses04_M": 503,
    "Ses05_F": 590,
    "Ses05_M": 651,
}
SESSION_FOLDS = [
    (3556, 890, 1085),
    (3606, 902, 1023),
    (3504, 876, 1151),
    (3600, 900, 1031),
    (3432, 858, 1241),
]


@pytest.fixture(scope="module")
def real_size():
    return [
        Utterance(f"{spk}_{i:03d}", "x.wav", spk=spk, session=spk[:5])
        for spk, n in SPEAKERS.items()
        for i in range(n)
    ]


def sizes(folds):
    return [(len(f.train), len(f.valid), len(f.test)) for f in folds]


def test_session_folds(real_size):
    folds = make_folds("leave_one_session_out", real_size, 5, 42)
    assert sizes(folds) == SESSION_FOLDS
    again = make_folds("leave_one_session_out", real_size[::-1], 5, 42)
    assert folds == again
    starred = make_folds(
        "leave_one_session_out_test_validates", real_size, 5, 42
    )
    assert [f.valid for f in starred] == [f.test for f in starred]
    assert sizes(starred) == [(a + b, c, c) for a, b, c in SESSION_FOLDS]
    strict = make_folds(
        "leave_one_session_out_next_validates", real_size, 5, 42
    )
    tests = [c for _, _, c in SESSION_FOLDS]
    assert sizes(strict) == [
        (5531 - tests[i] - tests[(i + 1) % 5], tests[(i + 1) % 5], tests[i])
        for i in range(5)
    ]


def test_speaker_folds(real_size):
    folds = make_folds(
        "leave_one_speaker_out_partner_validates", real_size, 10, 42
    )
    numbers = list(SPEAKERS.values())
    pairs = [(numbers[i], numbers[i ^ 1]) for i in range(10)]
    assert sizes(folds) == [(5531 - a - b, b, a) for a, b in pairs]
    starred = make_folds(
        "leave_one_speaker_out_test_validates", real_size, 10, 42
    )
    assert sizes(starred) == [(5531 - a, a, a) for a in numbers]
    tested = Counter(name for fold in folds for name in fold.test)
    assert set(tested.values()) == {1} and len(tested) == 5531
