"""Corpora whose labels stand in the names of files."""

from collections import Counter

import pytest

from speechbrain_e2v.corpora.manifest import ManifestError
from tests.recipes.fake_corpora import (
    ODD_TEXT,
    crema_d,
    make_text,
    make_wav,
    make_wavs,
    parsed,
    prepared,
    ravdess,
    recipe,
    skipped,
)

SPEECH = ("neutral calm happy sad angry fearful disgust surprised").split()
SEVEN = "anger disgust fear happiness neutral sadness surprise".split()
CLASSES = {
    "IEMOCAP": ["angry", "happy", "neutral", "sad"],
    "MELD": "anger disgust fear joy neutral sadness surprise".split(),
    "CMU-MOSEI": ["negative", "positive"],
    "CMU-MOSI": ["negative", "positive"],
    "MEAD": (
        "angry contempt disgusted fear happy neutral sad surprised"
    ).split(),
    "MSP-Podcast": [],
    "RAVDESS-Speech": SPEECH,
    "RAVDESS-Song": SPEECH[:6],
    "SAVEE": SEVEN,
    "M3ED": "happy neutral sad disgust anger fear surprise".split(),
    "EMOVO": "neutral disgust joy fear anger surprise sadness".split(),
    "CaFE": "anger disgust happiness neutral fear surprise sadness".split(),
    "SUBESCO": SEVEN,
    "ShEMO": "anger fear happiness neutral sadness surprise".split(),
    "URDU": "angry happy neutral sad".split(),
    "AESDD": "anger disgust fear happiness sadness".split(),
    "RESD": ("anger disgust enthusiasm fear happiness neutral sadness").split(),
    "CREMA-D": SEVEN[:6],
}
EXPECTED = {
    "IEMOCAP": (5531, 10),
    "MELD": (13706, 304),
    "CMU-MOSEI": (17864, None),
    "CMU-MOSI": (2103, None),
    "MEAD": (31729, 48),
    "MSP-Podcast": (73042, 1273),
    "RAVDESS-Speech": (1440, 24),
    "RAVDESS-Song": (1012, 23),
    "SAVEE": (480, 4),
    "M3ED": (24437, None),
    "EMOVO": (588, 6),
    "CaFE": (936, 12),
    "SUBESCO": (7000, 20),
    "ShEMO": (3000, 87),
    "URDU": (400, 29),
    "AESDD": (604, 6),
    "RESD": (1396, 100),
    "CREMA-D": (7441, 91),
}


@pytest.mark.parametrize("name", CLASSES)
def test_classes_and_counts(name, tmp_path):
    corpus = recipe(name)
    if corpus.read_expected:  # what a folder without label.csv has
        corpus = corpus.bound_to(tmp_path)
    assert corpus.name == name
    assert list(corpus.classes) == CLASSES[name]
    utts, speakers = EXPECTED[name]
    assert corpus.expected["utts"] == utts
    assert corpus.expected.get("speakers") == speakers
    for key in ("per_class", "per_split"):
        if key in corpus.expected:
            assert sum(corpus.expected[key].values()) == utts
    if "per_class" in corpus.expected:
        assert set(corpus.expected["per_class"]) == set(corpus.classes)


def rows(utterances):
    return {
        u.id: (u.emo, u.spk, u.gender, u.lang, u.dataset)
        for u in utterances.values()
    }


# folder, files, (id, class, speaker, gender) of each, in order of id
NAMED = [
    (
        "SAVEE",
        ["AudioData/DC/a01", "AudioData/DC/sa02", "AudioData/JE/su01"],
        [
            ("DC_a01", "anger", "DC", "M"),
            ("DC_sa02", "sadness", "DC", "M"),
            ("JE_su01", "surprise", "JE", "M"),
        ],
    ),
    (
        "SAVEE",
        ["ALL/DC_n01", "ALL/KL_su15"],
        [("DC_n01", "neutral", "DC", "M"), ("KL_su15", "surprise", "KL", "M")],
    ),
    (
        "EMOVO",
        ["EMOVO/f1/neu-f1-b1", "EMOVO/m3/tri-m3-l4", "EMOVO/m3/gio-m3-n5"],
        [
            ("gio-m3-n5", "joy", "m3", "M"),
            ("neu-f1-b1", "neutral", "f1", "F"),
            ("tri-m3-l4", "sadness", "m3", "M"),
        ],
    ),
    (
        "CaFE",  # mojibake in the folders, as cp437 leaves it
        [
            "CaFE_48k/Col\u0160re/Faible/01-C-1-1",
            "CaFE_48k/D\u201ago\u2013t/Fort/02-D-2-3",
            "CaFE_48k/Neutre/01-N-1-1",
            "CaFE_48k/Joie/Fort/12-J-2-6",
        ],
        [
            ("01-C-1-1", "anger", "01", "M"),
            ("01-N-1-1", "neutral", "01", "M"),
            ("02-D-2-3", "disgust", "02", "F"),
            ("12-J-2-6", "happiness", "12", "F"),
        ],
    ),
    (
        "SUBESCO",  # a stray bracket; one number in both genders
        [
            "F_02_MONIKA_S_2_SURPRISE_3]",
            "M_02_RASEL_S_2_SURPRISE_3",
            "M_10_X_S_10_ANGRY_5",
        ],
        [
            ("F_02_MONIKA_S_2_SURPRISE_3", "surprise", "F_02", "F"),
            ("M_02_RASEL_S_2_SURPRISE_3", "surprise", "M_02", "M"),
            ("M_10_X_S_10_ANGRY_5", "anger", "M_10", "M"),
        ],
    ),
    (
        "AESDD",
        ["D/anger/a03 (3)", "D/anger/a01 (01)", "D/disgust/d02 (5)b"],
        [
            ("a01_(01)", "anger", "1", "unknown"),
            ("a03_(3)", "anger", "3", "unknown"),
            ("d02_(5)b", "disgust", "5", "unknown"),
        ],
    ),
    (
        "ShEMO",
        ["female/F21N37", "female/F01A001", "male/M32S01", "male/M01W12"],
        [
            ("F01A001", "anger", "F01", "F"),
            ("F21N37", "neutral", "F21", "F"),
            ("M01W12", "surprise", "M01", "M"),
            ("M32S01", "sadness", "M32", "M"),
        ],
    ),
    (
        "URDU",
        [
            "Angry/SM1_F10_A010",
            "Happy/SF1_F1_H01",
            "Neutral/SM5_F63_N091",
            "Sad/SM27_F3_S05",
        ],
        [
            ("SF1_F1_H01", "happy", "SF1", "F"),
            ("SM1_F10_A010", "angry", "SM1", "M"),
            ("SM27_F3_S05", "sad", "SM27", "M"),
            ("SM5_F63_N091", "neutral", "SM5", "M"),
        ],
    ),
    (
        "CREMA-D",
        ["AudioWAV/1001_DFA_ANG_XX", "AudioWAV/1002_IEO_SAD_HI"],
        [
            ("1001_DFA_ANG_XX", "anger", "1001", "unknown"),
            ("1002_IEO_SAD_HI", "sadness", "1002", "unknown"),
        ],
    ),
]


@pytest.mark.parametrize(("name", "files", "found"), NAMED)
def test_ids_labels_speakers(name, files, found, tmp_path):
    make_wavs(tmp_path / "c", files, rate=44100, channels=2)
    make_text(tmp_path / "c" / "deep" / ("._" + "a01.wav"), "from a Mac")
    make_text(tmp_path / "c" / "__MACOSX" / "b.wav", "from a Mac")
    make_text(tmp_path / "c" / "Info.txt", "not audio")
    corpus = recipe(name)
    utterances, report = prepared(corpus, tmp_path / "c", tmp_path / "out")
    assert rows(utterances) == {
        name: (emo, spk, gender, corpus.lang, corpus.name)
        for name, emo, spk, gender in found
    }
    assert report["skipped"] == {}
    assert {u.channels for u in utterances.values()} == {2}


@pytest.mark.parametrize(
    ("name", "files"), {name: files for name, files, _ in NAMED}.items()
)
def test_renamed_file_and_wrong_corpus(name, files, tmp_path):
    corpus = recipe(name)
    make_wavs(tmp_path / "c", files)
    make_wav(tmp_path / "c" / files[0] / "copy of it.wav")
    with pytest.raises(ValueError, match="copy of it.wav"):
        parsed(corpus, tmp_path / "c")
    make_wavs(tmp_path / "wrong", ["dia0_utt0", "03a01Fa"])
    with pytest.raises(ValueError, match="2 file names.*03a01Fa"):
        parsed(corpus, tmp_path / "wrong")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="no .*wav below it"):
        parsed(corpus, tmp_path / "empty")
    with pytest.raises(ValueError, match="is not a folder"):
        prepared(corpus, tmp_path / "none", tmp_path / "out")


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("EMOVO", "EMOVO/m3/neu-f1-b1"),
        ("AESDD", "D/anger/d02 (5)"),
        ("ShEMO", "male/F21N37"),
        ("URDU", "Sad/SM1_F10_A010"),
        ("SAVEE", "AudioData/DC/JE_a01"),
        ("SAVEE", "AudioData/a01"),
    ],
)
def test_folder_contradicts_name(name, file, tmp_path):
    make_wav(tmp_path / f"{file}.wav")
    with pytest.raises(ValueError) as caught:
        parsed(recipe(name), tmp_path)
    assert file in str(caught.value)


def test_duplicate_names_both_files(tmp_path):
    make_wavs(tmp_path / "c", ["AudioData/DC/a01", "ALL/DC_a01"])
    with pytest.raises(ManifestError) as caught:
        prepared(recipe("SAVEE"), tmp_path / "c", tmp_path / "out")
    assert "AudioData/DC/a01.wav" in str(caught.value)
    assert "ALL/DC_a01.wav" in str(caught.value)


def test_ravdess_speech(tmp_path):
    folder = ravdess(tmp_path / "c")
    make_wav(folder / "Actor_01/03-02-01-01-01-01-01.wav", channels=2)
    corpus = recipe("RAVDESS-Speech")
    utterances, report = prepared(corpus, folder, tmp_path / "out")
    assert len(utterances) == 16
    assert Counter(u.emo for u in utterances.values()) == dict.fromkeys(
        SPEECH, 2
    )
    one = utterances["03-01-05-01-01-01-02"]
    assert (one.emo, one.emo_raw, one.spk, one.gender) == (
        "angry",
        "05",
        "02",
        "F",
    )
    assert (one.sample_rate, one.num_samples) == (48000, 4800)
    assert skipped(report) == {"label_not_in_map": ["03-02-01-01-01-01-01"]}
    with pytest.raises(ValueError, match="1440 +16"):
        prepared(corpus, folder, tmp_path / "strict", strict_counts=True)


def test_ravdess_nested_copies(tmp_path):
    folder = ravdess(tmp_path)
    flat = parsed(recipe("RAVDESS-Speech"), folder)
    ravdess(folder / "audio_speech_actors_01-24")
    assert parsed(recipe("RAVDESS-Speech"), folder) == flat
    other = "audio_speech_actors_01-24/Actor_01/03-01-01-01-01-01-01.wav"
    make_wav(folder / other, seconds=0.2)
    with pytest.raises(ValueError) as caught:
        parsed(recipe("RAVDESS-Speech"), folder)
    assert other in str(caught.value)


def test_ravdess_song(tmp_path):
    folder = ravdess(tmp_path / "c", speech=False)
    corpus = recipe("RAVDESS-Song")
    utterances, _ = prepared(corpus, folder, tmp_path / "out")
    assert [u.emo for u in utterances.values()][::2] == SPEECH[:6]
    make_wav(folder / "Actor_01/03-01-07-01-01-01-01.wav")
    utterances, report = prepared(corpus, folder, tmp_path / "out")
    assert len(utterances) == 12
    assert skipped(report) == {"label_not_in_map": ["03-01-07-01-01-01-01"]}
    make_wav(folder / "Actor_01/03-02-07-01-01-01-01.wav")
    with pytest.raises(ValueError, match="03-02-07-01-01-01-01.*'07'"):
        prepared(corpus, folder, tmp_path / "out")


def test_song_given_as_speech(tmp_path):
    folder = ravdess(tmp_path / "c", speech=False)
    with pytest.raises(ValueError, match="none of the 12 utterances"):
        prepared(recipe("RAVDESS-Speech"), folder, tmp_path / "out")


def test_bad_audio_is_counted_by_reason(tmp_path):
    folder = tmp_path / "D/sadness"
    make_wavs(folder, ["s01 (1)", "s02 (1)"])
    (folder / "s05 (3).wav").write_bytes(b"")  # as in the archive
    make_wav(folder / "s03 (1).wav", seconds=0)
    whole = (folder / "s01 (1).wav").read_bytes()
    (folder / "s04 (1).wav").write_bytes(whole[:-100])
    (folder / "s06 (1).wav").write_bytes(b"")
    utterances, report = prepared(
        recipe("AESDD"), tmp_path / "D", tmp_path / "out"
    )
    assert sorted(utterances) == ["s01_(1)", "s02_(1)"]
    assert skipped(report) == {
        "known_bad": ["s05_(3)"],
        "zero_length": ["s03_(1)"],
        "unreadable": ["s04_(1)", "s06_(1)"],
    }
    unread = report["skipped"]["unreadable"]["utterances"]
    assert "truncated" in unread["s04_(1)"]


def test_crema_d_table_and_known_bad(tmp_path):
    make_wavs(tmp_path / "c/AudioWAV", ["1001_DFA_ANG_XX", "1076_MTI_SAD_XX"])
    make_text(
        tmp_path / "c/VideoDemographics.csv",
        '"ActorID","Age","Sex"\n1001,51,"Male"\n1076,25,"Female"\n',
    )
    utterances, report = prepared(
        recipe("CREMA-D"), tmp_path / "c", tmp_path / "out"
    )
    assert [u.gender for u in utterances.values()] == ["M"]
    assert skipped(report) == {"known_bad": ["1076_MTI_SAD_XX"]}


@pytest.mark.parametrize("raters", [True, False])
def test_crema_d_votes_are_of_the_voice(raters, tmp_path):
    utterances, _ = prepared(
        recipe("CREMA-D"), crema_d(tmp_path / "c", raters), tmp_path / "out"
    )
    one = utterances["1001_DFA_ANG_XX"]
    assert (one.emo, one.votes) == ("anger", {"anger": 2, "neutral": 1})
    assert one.extra["voice_vote"] == "A"


def test_crema_d_unknown_vote(tmp_path):
    folder = crema_d(tmp_path / "c")
    table = folder / "finishedResponses.csv"
    make_text(table, table.read_text().replace(",A\n", ",Q\n", 1))
    with pytest.raises(ValueError, match="line 2: the emotion is 'Q'"):
        parsed(recipe("CREMA-D"), folder)


def test_shemo_text_only_where_names_agree(tmp_path):
    import json

    make_wavs(tmp_path / "c/female", ["F21N37", "F01A001"])
    entries = [
        {"id": "F21N37", "transcript": ODD_TEXT},
        {"id": "F01A01", "transcript": "another name"},
    ]
    make_text(tmp_path / "c/shemo.json", json.dumps(entries))
    utterances, _ = prepared(recipe("ShEMO"), tmp_path / "c", tmp_path / "out")
    assert utterances["F21N37"].text == ODD_TEXT
    assert utterances["F01A001"].text is None


def test_unreadable_folder_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match="file is not a folder"):
        prepared(recipe("URDU"), tmp_path / "file", tmp_path / "out")
