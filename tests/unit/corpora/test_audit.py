"""The audit on folds with planted leaks."""

import itertools

import numpy as np
import pytest
import soundfile

from speechbrain_e2v.cli import main
from speechbrain_e2v.corpora.audit import (
    audio_hashes,
    declared_kinds,
    repeated_audio,
    shared_things,
)
from speechbrain_e2v.corpora.audit_inputs import from_manifests
from speechbrain_e2v.corpora.manifest import write_manifest
from speechbrain_e2v.corpora.protocols import PROTOCOLS, Fold, make_folds
from speechbrain_e2v.corpora.utterance import Utterance


def utterance(name, folder=None, seed=None, **options):
    path = f"{name}.wav"
    if folder is not None:
        generator = np.random.default_rng(hash_of(name) if seed is None else (
            seed))  # fmt: skip
        samples = generator.integers(-99, 99, 800).astype(np.int16)
        soundfile.write(folder / path, samples, 16000)
        path = str(folder / path)
    return Utterance(name, path, **{"emo": "x", "duration": 0.05} | options)


def hash_of(name):
    return int.from_bytes(name.encode(), "big")


def test_only_starred_protocols_declare_audio():
    for protocol in PROTOCOLS:
        starred = protocol.endswith("test_validates")
        for pair in (("train", "test"), ("valid", "test")):
            kinds = declared_kinds(protocol, pair)
            assert ("audio" in kinds) == (starred and pair[0] == "valid")
            if not starred:
                assert ("speaker" in kinds) == protocol.startswith(
                    ("random", "dialog", "official")
                )


def test_protocols_keep_what_they_promise():
    """Sessions of two speakers, dialogues and sentences inside them."""
    rows = [
        utterance(
            f"{session}{speaker}{dialog}{number}",
            spk=session + speaker,
            session=session,
            dialog=session + dialog,
            text=f"Sentence {number} ",
        )
        for session, speaker, dialog, number in itertools.product(
            "12345", "FM", "ab", "0123"
        )
    ]
    for protocol in PROTOCOLS:
        if protocol.startswith("official"):
            continue
        folds = make_folds(protocol, rows, 5, 42)
        found = shared_things(folds, rows, {}, protocol)
        assert not [s for s in found if s.is_leak], protocol
    folds = make_folds("random_kfold", rows, 5, 42)
    leaks = {
        (s.pair, s.kind)
        for s in shared_things(folds, rows, {}, "speaker_kfold")
        if s.is_leak
    }
    assert leaks == {
        (("train", "test"), "speaker"), (("valid", "test"), "speaker"),
    }  # fmt: skip


def test_what_is_shared_is_named():
    rows = [
        utterance("a", spk="1", text="Good  Morning"),
        utterance("b", spk="2", session="s"),
        utterance("c", spk="1", session="s", text="good morning"),
    ]
    found = shared_things([Fold("f", ("a",), ("b",), ("c",))], rows, {})
    assert {(s.pair, s.kind): s.values for s in found} == {
        (("train", "test"), "speaker"): ("1",),
        (("train", "test"), "transcript"): ("good morning",),
        (("valid", "test"), "session"): ("s",),
    }
    assert all(s.is_leak for s in found)


def test_the_same_samples_in_another_file(tmp_path):
    rows = [utterance("a", tmp_path, 1), utterance("b", tmp_path, 2, emo="y")]
    samples, rate = soundfile.read(rows[0].wav, dtype="int16")
    soundfile.write(tmp_path / "c.flac", samples, rate)
    rows.append(Utterance("c", str(tmp_path / "c.flac"), emo="y"))
    # and a piece of a longer file
    longer = np.concatenate([np.zeros(1600, np.int16), samples])
    soundfile.write(tmp_path / "d.wav", longer, rate)
    rows.append(Utterance("d", str(tmp_path / "d.wav"), emo="x", start=0.1))
    hashes = audio_hashes(rows, progress=False)
    assert len(set(hashes.values())) == 2
    assert repeated_audio(rows, hashes) == [(("a", "c", "d"), ("x", "y"))]
    found = shared_things([Fold("f", ("a",), ("b",), ("c",))], rows, hashes)
    assert [(s.pair, s.kind, s.values) for s in found] == [
        (("train", "test"), "audio", ("a = c",))
    ]


def listed(tmp_path, name, rows):
    return write_manifest(tmp_path / f"{name}.json", rows, tmp_path)


def test_manifests_on_the_command_line(tmp_path, capsys):
    one = utterance("a", tmp_path, spk="1")
    two = utterance("b", tmp_path, spk="2")
    three = utterance("c", tmp_path, spk="1", emo="y")
    train = listed(tmp_path, "train", [one])
    good, bad = listed(tmp_path, "test", [two]), listed(tmp_path, "x", [three])
    assert main(["audit", str(train), str(good)]) == 0
    assert "no undeclared leak" in capsys.readouterr().out
    arguments = ["audit", str(train), f"test={bad}"]
    assert main(arguments) == 1
    out = capsys.readouterr().out
    assert "LEAK: speaker in train and test" in out
    assert "no x in test" in out
    assert main([*arguments, "--allow", "speaker"]) == 0
    assert main(["audit", str(train), str(bad)]) == 1
    assert "x.json is neither training" in capsys.readouterr().err


def test_one_manifest_and_a_protocol(tmp_path, capsys):
    rows = [
        utterance(f"{s}{n}", tmp_path, spk=s) for s in "abc" for n in "1234"
    ]
    path = str(listed(tmp_path, "all", rows))
    strict = ["--protocol", "speaker_kfold", "--n_folds", "3"]
    assert main(["audit", path, *strict]) == 0
    assert main(["audit", path, "--protocol", "random_kfold", "--n_folds",
                 "3"]) == 0  # fmt: skip
    assert "declared: speaker in train and test" in capsys.readouterr().out
    # Identical audio is declared by no protocol.
    twins = [*rows, utterance("d1", tmp_path, hash_of("a1"), spk="d")]
    path = str(listed(tmp_path, "twins", twins))
    assert main(["audit", path, "--protocol", "leave_one_speaker_out"]) == 1
    assert "LEAK: audio in train and test" in capsys.readouterr().out
    assert main(["audit", path, "--protocol", "leave_one_speaker_out",
                 "--no_audio"]) == 0  # fmt: skip


def test_wrong_and_unknown_labels(tmp_path, capsys):
    rows = [
        utterance("a", tmp_path, 1, split="train"),
        utterance("b", tmp_path, 1, split="train", emo="y"),
        utterance("c", tmp_path, split="valid", emo=None),
        utterance("d", tmp_path, split="test"),
    ]
    assert main(["audit", str(listed(tmp_path, "all", rows))]) == 1
    out = capsys.readouterr().out
    assert "WRONG: identical audio: a, b (x/y)" in out
    assert "WRONG: 1 labels unknown, such as that of c" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["no.json"], "no such manifest"),
        (["eval=m.json"], "'eval' is none of"),
        (["train=m.json", "test=m.json", "--protocol", "x"], "a single"),
        (["."], "no results.json"),
        (["m.json", "--protocol", "loso"], "there are random_kfold"),
    ],
)
def test_bad_arguments(arguments, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    listed(tmp_path, "m", [utterance("a", tmp_path)])
    assert main(["audit", *arguments]) == 1
    assert message in capsys.readouterr().err


def test_equal_ids_of_two_corpora_are_two_utterances(tmp_path):
    paths = [listed(tmp_path, n, [utterance("a", tmp_path)]) for n in "xy"]
    audited = from_manifests([f"train={paths[0]}", f"test={paths[1]}"])
    (fold,) = audited.folds
    assert (fold.train, fold.test) == (("x/a",), ("y/a",))
