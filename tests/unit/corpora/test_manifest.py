"""Manifests: text survives, mistakes are named."""

import json
import os
import random

import pytest
import soundfile
from speechbrain.dataio.dataio import load_data_json

from speechbrain_e2v.corpora.corpus import Corpus
from speechbrain_e2v.corpora.manifest import (
    ManifestError,
    Utterance,
    meta_path,
    read_manifest,
    write_manifest,
)
from speechbrain_e2v.corpora.prepare import prepare
from tests.robustness.mutations import damaged_bytes, damaged_document

TEXTS = {
    "braces": "he {laughs} and }{ {} {{x}} {data_root}",
    "quotes": "\"double\" 'single' \\ back\\slash",
    "lines": "one\ntwo\r\nthree\ttab\u2028end",
    "scripts": "你好 سلام আমি Привет ελληνικά",
    "emoji": "🙂👩‍👩‍👧 é e\u0301",
    "dollar": "it costs $5 %s %(x)s",
}


def rows():
    return [
        Utterance(
            id=f"id {name} {{x}}",
            wav=f"a {{b}}/{name}.wav",
            emo="sad",
            emo_raw=text,
            spk=text,
            text=text,
            start=0.25,
            extra={"nested": [{"text": text}], "valence": 1.5},
            duration=1800.0,
            num_samples=1800 * 8000,
            sample_rate=8000,
            channels=2,
        )
        for name, text in TEXTS.items()
    ]


def test_every_text_survives_our_reader_and_speechbrains(tmp_path):
    path = write_manifest(tmp_path / "m.json", rows(), tmp_path / "corpus")
    ours = {u.id: u for u in read_manifest(path)}
    theirs = load_data_json(path, {"data_root": f"{tmp_path}/corpus"})
    assert set(ours) == set(theirs) == {u.id for u in rows()}
    for row in rows():
        wav = f"{tmp_path}/corpus/{row.wav}"
        read = ours[row.id]
        assert read == Utterance(**{**row.__dict__, "wav": wav})
        assert theirs[row.id]["wav"] == wav
        assert theirs[row.id]["text"] == row.text
        assert theirs[row.id]["extra"]["nested"][0]["text"] == row.text
        assert theirs[row.id]["length"] == 1800.0


def test_reading_and_writing_again_gives_the_same_bytes(tmp_path):
    first = write_manifest(tmp_path / "1.json", reversed(rows()), tmp_path)
    second = write_manifest(tmp_path / "2.json", read_manifest(first), tmp_path)
    assert first.read_bytes() == second.read_bytes()
    assert list(json.loads(first.read_text())) == sorted(u.id for u in rows())
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "1.json",
        "1.meta.json",
        "2.json",
        "2.meta.json",
    ]


def test_meta_counts_and_digest_without_absolute_paths(tmp_path):
    metas = []
    for root in ("here", "there"):
        path = write_manifest(
            tmp_path / root / "m.json",
            rows(),
            tmp_path / root,
            {"skipped": {"zero_length": 2}},
        )
        metas.append(json.loads(meta_path(path).read_text()))
    here, there = metas
    assert here["content_sha256"] == there["content_sha256"]
    assert here["data_root"] == str(tmp_path / "here")
    assert (here["n_rows"], here["hours"], here["speakers"]) == (6, 3.0, 6)
    assert here["per_class"] == {"sad": 6}
    assert here["skipped"] == {"zero_length": 2}
    changed = [*rows()[:-1], Utterance("z", "z.wav")]
    path = write_manifest(tmp_path / "c.json", changed, tmp_path)
    other = json.loads(meta_path(path).read_text())
    assert other["content_sha256"] != here["content_sha256"]


def test_another_data_root_can_be_given(tmp_path):
    path = write_manifest(
        tmp_path / "m.json", [Utterance("a", "x/a.wav")], tmp_path
    )
    meta_path(path).unlink()
    assert read_manifest(path, "/moved")[0].wav == "/moved/x/a.wav"
    with pytest.raises(ManifestError, match="m.meta.json is missing"):
        read_manifest(path)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ([Utterance("a", "1.wav"), Utterance("a", "2.wav")], "duplicate.*'a'"),
        ([Utterance("", "1.wav")], "1.wav.*id is empty"),
        ([Utterance("a", "../1.wav")], "a: the audio path"),
    ],
)
def test_bad_utterances_are_not_written(tmp_path, bad, message):
    with pytest.raises(ManifestError, match=message):
        write_manifest(tmp_path / "m.json", bad, tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a": {"wav": "/a.wav"}, "a": {"wav": "/b.wav"}}', "'a' is there tw"),
        ('{"a": {"wav": "/a.wav", "emotion": "x"}}', r"'a'.*\['emotion'\]"),
        ('{"a": {"emo": "x"}}', "'a' has no 'wav'"),
        ('{"a": {"wav": "/a.wav", "text": "{laughs}"}}', "single brace"),
        ('{"a": {"wav": "/a.wav", "text": "{"}}', "single brace"),
        ('{"a": {"wav": "a.wav"}}', "not absolute"),
        ('{"a": {"wav": "/a.wav", "duration": "3"}}', "duration: Expected"),
        ('{"a": {"wav": "/a.wav", "duration": -1}}', "duration: Expected"),
        ('{"a": {"wav": "/a.wav", "duration": NaN}}', "NaN is no number"),
        ('{"a": {"wav": "/a.wav", "duration": 1e308}}', "duration: Expected"),
        ('{"a": {"wav": "/a.wav", "sample_rate": 1.5}}', "sample_rate: Exp"),
        ('{"a": {"wav": "/a.wav", "spk": 7}}', "spk: Expected `str`"),
        ('{"a": {"wav": "/a.wav", "extra": []}}', "extra: Expected"),
        ('{"a": {"wav": "/a.wav", "emo": "a => b"}}', "'a => b' has '=>'"),
        ('{"a": {"wav": "/a.wav", "emo": "\\u001b[2J"}}', "control char"),
        ('{"a": {"wav": "/a.wav", "start": 2, "stop": 1}}', "stop is 1 s"),
        ('{"a": {"wav": "/a\\u0000.wav"}}', "not absolute"),
        (
            '{"a": {"wav": "/a.wav", "text": "{data_root:>9999999999}"}}',
            "single brace",
        ),
        (
            '{"a": {"wav": "/a.wav", "text": "{data_root.__class__}"}}',
            "single brace",
        ),
        (
            '{"a": {"wav": "/a.wav", "extra": {"x": '
            + "[" * 5000
            + "]" * 5000
            + "}}}",
            "nested too deeply|not JSON",
        ),
        ("[" * 100_000, "not JSON"),
        ("1" * 5000, "not JSON"),
        ('{"a": 3}', "'a' is not a mapping"),
        ("[1]", "expected a mapping, found a list"),
        ("{", "not JSON"),
    ],
)
def test_a_bad_manifest_is_named_with_its_row(tmp_path, text, message):
    path = tmp_path / "broken.json"
    path.write_text(text)
    with pytest.raises(ManifestError, match=message) as caught:
        read_manifest(path)
    assert "broken.json" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16"])
def test_other_encodings_are_named(tmp_path, encoding):
    path = tmp_path / "m.json"
    path.write_text('{"a": {"wav": "/é.wav"}}', encoding=encoding)
    with pytest.raises(ManifestError, match=r"m\.json.*not UTF-8"):
        read_manifest(path)
    path.write_text('{"a": {"wav": "/é.wav"}}', encoding="utf-8-sig")
    assert read_manifest(path)[0].wav == "/é.wav"


def test_a_pipe_is_no_manifest(tmp_path):
    os.mkfifo(tmp_path / "m.json")
    with pytest.raises(ManifestError, match="no regular file"):
        read_manifest(tmp_path / "m.json")


@pytest.mark.parametrize("damaged", ["all.json", "all.meta.json"])
def test_damage_is_refused_or_harmless(tmp_path, damaged):
    path = write_manifest(tmp_path / "all.json", rows(), tmp_path)
    target = tmp_path / damaged
    sound = target.read_bytes()
    refused = 0
    for seed in range(150):
        rng = random.Random(seed)
        change = damaged_bytes if seed % 3 == 0 else damaged_document
        target.write_bytes(change(sound, rng)[1])
        try:
            found = read_manifest(path)
        except ManifestError as error:  # and nothing else
            refused += 1
            assert "all." in str(error)
        else:
            for utterance in found:
                assert utterance.wav.startswith("/")
                assert 0 <= utterance.duration <= 1e9
    assert refused > 30


def test_a_damaged_meta_file_is_written_anew(tmp_path):
    soundfile.write(tmp_path / "a.wav", [0.0] * 800, 8000)
    corpus = Corpus(
        "Toy", "", (), {}, parse=lambda folder: [Utterance("a", "a.wav")]
    )
    out = tmp_path / "out"
    manifest = prepare(corpus, tmp_path, out, progress=False)
    sound = meta_path(manifest).read_text()
    for bad in (
        "{",
        "[]",
        '{"data_root": 3}',
        sound.replace('"n_rows": 1', '"n_rows": "1"'),
    ):
        meta_path(manifest).write_text(bad)
        prepare(corpus, tmp_path, out, progress=False)
        assert meta_path(manifest).read_text() == sound


def test_a_missing_manifest_is_named(tmp_path):
    with pytest.raises(ManifestError, match="nowhere.json: cannot read"):
        read_manifest(tmp_path / "nowhere.json")


def test_samples_at_16k_round_up():
    utterance = Utterance("a", "a.wav", num_samples=177779, sample_rate=48000)
    assert utterance.samples_at_16k == 59260
    with pytest.raises(ValueError, match="measure the audio first"):
        Utterance("a", "a.wav").samples_at_16k  # noqa: B018
