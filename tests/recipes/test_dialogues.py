"""M3ED and RESD: official parts, speakers, tables and lists."""

import json

import pytest

from tests.recipes.fake_corpora import (
    ODD_TEXT,
    m3ed,
    make_text,
    make_wav,
    parsed,
    prepared,
    recipe,
    resd,
    skipped,
)

M3ED = recipe("M3ED")
RESD = recipe("RESD")


def test_m3ed(tmp_path):
    utterances, report = prepared(M3ED, m3ed(tmp_path / "c"), tmp_path / "o")
    assert {
        u.id: (u.emo, u.split, u.spk, u.dialog) for u in utterances.values()
    } == {
        "fendou_1_1": ("happy", "train", "fendou/方宇", "fendou/fendou_1"),
        "humamaoba_1_1": (
            "disgust",
            "valid",
            "humamaoba/钱贝贝",
            "humamaoba/humamaoba_1",
        ),
        "huanlesong_2_1": (
            "neutral",
            "test",
            "huanlesong/方宇",
            "huanlesong/huanlesong_2",
        ),
        "huanlesong_2_2": (
            "surprise",
            "test",
            "huanlesong/方宇",
            "huanlesong/huanlesong_2",
        ),
    }
    assert utterances["fendou_1_1"].text == ODD_TEXT
    assert utterances["huanlesong_2_2"].num_samples == 112  # kept
    assert skipped(report) == {"zero_length": ["fendou_1_2"]}


@pytest.mark.parametrize(
    ("file", "message"),
    [
        ("annotation.json", "no annotation.json"),
        ("splitInfo/movie_list_val.txt", "no movie_list_val.txt"),
    ],
)
def test_m3ed_missing_file(file, message, tmp_path):
    folder = m3ed(tmp_path)
    (folder / file).unlink()
    with pytest.raises(ValueError, match=message):
        parsed(M3ED, folder)


def test_m3ed_bad_inputs(tmp_path):
    folder = m3ed(tmp_path / "c")
    make_wav(folder / "modality_speech/C_fendou_9_9.wav")
    with pytest.raises(ValueError, match="C_fendou_9_9.wav"):
        parsed(M3ED, folder)
    (folder / "modality_speech/C_fendou_9_9.wav").unlink()
    make_text(folder / "splitInfo/movie_list_test.txt", "fendou\n")
    with pytest.raises(ValueError, match="fendou is in another list"):
        parsed(M3ED, folder)
    make_text(folder / "splitInfo/movie_list_test.txt", "y\n")
    with pytest.raises(ValueError, match="'huanlesong' of .* no movie_list"):
        parsed(M3ED, folder)
    path = folder / "annotation.json"
    content = json.loads(path.read_text("utf-8"))
    del content["fendou"]["fendou_1"]["Dialog"]["fendou_1_1"]["Speaker"]
    make_text(path, json.dumps(content))
    with pytest.raises(ValueError, match="fendou_1 of fendou: .*`Speaker`"):
        parsed(M3ED, folder)


def test_m3ed_renamed_file_is_named(tmp_path):
    folder = m3ed(tmp_path)
    audio = folder / "modality_speech"
    (audio / "A_fendou_1_1.wav").rename(audio / "B_fendou_1_1.wav")
    with pytest.raises(ValueError, match="B_fendou_1_1.wav"):
        parsed(M3ED, folder)


def test_resd(tmp_path):
    utterances, report = prepared(RESD, resd(tmp_path / "c"), tmp_path / "o")
    assert {
        u.id: (u.emo, u.split, u.spk, u.dialog, u.sample_rate)
        for u in utterances.values()
    } == {
        "19_anger_disgust_a_010": ("anger", "train", "19_a", "19", 16000),
        "01_fear_sadness_s_020": ("sadness", "train", "01_s", "01", 44100),
        "04_fear_enthusiasm_f_030": ("fear", "test", "04_f", "04", 16000),
    }
    assert utterances["19_anger_disgust_a_010"].text == "Привет, {мир}"
    assert report["skipped"] == {}


def test_resd_missing_table(tmp_path):
    folder = resd(tmp_path)
    (folder / "test.csv").unlink()
    with pytest.raises(ValueError, match="no .*test.csv"):
        parsed(RESD, folder)


def test_resd_contradictions(tmp_path):
    folder = resd(tmp_path / "c")
    table = folder / "test.csv"
    good = table.read_text()
    make_text(table, good.replace(",fear,", ",anger,"))
    with pytest.raises(ValueError, match="04_fear_enthusiasm f_030.*'anger'"):
        parsed(RESD, folder)
    make_text(table, good)
    make_wav(folder / "test/x/05_fear_anger_a_010.wav")
    with pytest.raises(ValueError, match="test.csv does not list.*05_fear"):
        parsed(RESD, folder)
    (folder / "test/x/05_fear_anger_a_010.wav").unlink()
    make_text(table, good + "d,x/05_fear_anger_a_010.wav,anger,t\n")
    _, report = prepared(RESD, folder, tmp_path / "o")
    assert skipped(report) == {"missing_audio": ["05_fear_anger_a_010"]}
