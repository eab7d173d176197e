"""The driver: counts, skips, strictness, keeping what is still right."""

import json
import re
from dataclasses import replace

import numpy
import pytest
import soundfile

from speechbrain_e2v.corpora import selection
from speechbrain_e2v.corpora.corpus import Corpus, compare
from speechbrain_e2v.corpora.folders import match_names
from speechbrain_e2v.corpora.manifest import (
    ManifestError,
    Utterance,
    meta_path,
    read_manifest,
)
from speechbrain_e2v.corpora.prepare import prepare, prepare_main

NAME = re.compile(r"(\w)_([WFNX])_?(\d+)\.wav")
EXPECTED = {
    "utts": 4,
    "speakers": 2,
    "hours": 4 * 0.5 / 3600,
    "per_class": {"anger": 2, "neutral": 1, "joy": 1},
}


def parse(folder):
    splits = dict(
        line.split()
        for line in (folder / "splits.txt").read_text().splitlines()
    )
    for path, match in match_names(folder, "*.wav", NAME):
        name = path.rsplit("/", 1)[-1][:-4]
        yield Utterance(
            name,
            path,
            emo_raw=match[2],
            spk=match[1],
            split=splits.get(name),
        )


CORPUS = Corpus(
    name="Toy",
    lang="de",
    classes=("anger", "neutral", "joy"),
    label_map={"W": "anger", "N": "neutral", "F": "joy", "X": None},
    expected=EXPECTED,
    paper_table1={"utts": 5, "speakers": 2},
    known_bad={"a_W_9": "clipped"},
    parse=parse,
    label_files=("splits.txt",),
)


def write(folder, name, seconds=0.5):
    path = folder / f"{name}.wav"
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, numpy.zeros(round(seconds * 8000)), 8000)


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "corpus"
    for name in ("x/b_W_1", "a_W_1", "a_N_2", "b_F_3", "a_X_4", "a_W_9"):
        write(root, name)
    (root / "splits.txt").write_text("a_W_1 train\nb_W_1 test\n")
    return root


def run(folder, corpus=CORPUS, **options):
    out = folder.parent / "out"
    return prepare(corpus, folder, out, progress=False, **options)


def report_of(manifest):
    return json.loads((manifest.parent / "prepare_report.json").read_text())


def test_a_complete_corpus(folder):
    manifest = run(folder)
    rows = read_manifest(manifest)
    assert [(u.id, u.emo, u.spk, u.split) for u in rows] == [
        ("a_N_2", "neutral", "a", None),
        ("a_W_1", "anger", "a", "train"),
        ("b_F_3", "joy", "b", None),
        ("b_W_1", "anger", "b", "test"),
    ]
    first = rows[0]
    assert (first.num_samples, first.sample_rate, first.channels) == (
        4000,
        8000,
        1,
    )
    assert (first.duration, first.lang, first.dataset) == (0.5, "de", "Toy")
    assert rows[3].wav == str(folder / "x/b_W_1.wav")
    report = report_of(manifest)
    assert report["differs_from_expected"] == []
    assert report["differs_from_paper_table1"] == [["utts", 5, 4]]
    assert report["skipped"]["known_bad"]["utterances"] == {"a_W_9": "clipped"}
    meta = json.loads(meta_path(manifest).read_text())
    assert meta["skipped"] == {"known_bad": 1, "label_not_in_map": 1}
    assert list(meta["sources"]) == ["splits.txt"]


def test_a_partial_corpus_fails_with_a_table_unless_allowed(folder):
    (folder / "b_F_3.wav").unlink()
    with pytest.raises(ValueError, match="not the complete corpus") as caught:
        run(folder)
    text = str(caught.value)
    assert re.search(r"utts +4 +3\n", text)
    assert re.search(r"class joy +1 +0\n", text)
    assert "prepare_report.json" in text and "--allow_partial" in text
    assert not (folder.parent / "out" / "all.json").exists()
    assert len(read_manifest(run(folder, strict_counts=False))) == 3
    with pytest.raises(ValueError, match="not the complete corpus"):
        run(folder)  # strict again: the partial manifest is no excuse


def test_bad_audio_is_left_out_and_counted_by_reason(folder):
    write(folder, "a_N_2", 0)
    (folder / "b_F_3.wav").write_text("no audio")
    corpus = replace(CORPUS, parse=lambda f: [*parse(f), extra])
    extra = Utterance("gone", "gone.wav", emo_raw="W", spk="a")
    manifest = run(folder, corpus, strict_counts=False)
    assert [u.id for u in read_manifest(manifest)] == ["a_W_1", "b_W_1"]
    skipped = report_of(manifest)["skipped"]
    assert {k: v["count"] for k, v in skipped.items()} == {
        "zero_length": 1,
        "unreadable": 1,
        "missing_audio": 1,
        "known_bad": 1,
        "label_not_in_map": 1,
    }
    assert (
        "b_F_3.wav: unreadable"
        in (skipped["unreadable"]["utterances"]["b_F_3"])
    )


def test_only_the_training_part_is_filtered_by_length(folder):
    write(folder, "a_W_1", 0.1)
    write(folder, "x/b_W_1", 0.1)
    write(folder, "a_N_2", 0.1)
    manifest = run(folder, strict_counts=False, min_duration=0.2)
    assert [u.id for u in read_manifest(manifest)] == [
        "a_N_2",
        "b_F_3",
        "b_W_1",
    ]
    assert report_of(manifest)["skipped"]["too_short"]["count"] == 1


def test_unlabelled_utterances_are_kept_without_a_class(folder):
    def unlabelled(root):
        return [replace(u, emo_raw="") for u in parse(root)]

    corpus = replace(CORPUS, parse=unlabelled, expected={"utts": 5})
    manifest = run(folder, corpus)
    assert {u.emo for u in read_manifest(manifest)} == {None}
    assert report_of(manifest)["unlabelled"] == 5


class Probed(Exception):
    pass


def test_a_manifest_is_kept_until_something_changes(folder, monkeypatch):
    manifest = run(folder)
    before = manifest.stat().st_mtime_ns

    def refuse(*_):
        raise Probed

    monkeypatch.setattr(selection, "measure_utterances", refuse)
    assert run(folder) == manifest
    assert manifest.stat().st_mtime_ns == before
    with pytest.raises(Probed):
        run(folder, min_duration=0.1)
    with pytest.raises(Probed):
        run(folder, replace(CORPUS, known_bad={}))
    with pytest.raises(Probed):
        run(folder, replace(CORPUS, label_map={**CORPUS.label_map, "F": None}))
    moved = folder.rename(folder.parent / "moved")
    with pytest.raises(Probed):
        prepare(CORPUS, moved, manifest.parent, progress=False)
    moved.rename(folder)
    assert run(folder) == manifest
    text = manifest.read_text()
    manifest.write_text(text.replace('"anger"', '"joy"', 1))
    with pytest.raises(Probed):
        run(folder)
    manifest.write_text(text)
    (folder / "splits.txt").write_text("a_W_1 test\nb_W_1 test\n")
    with pytest.raises(Probed):
        run(folder)
    (folder / "splits.txt").write_text("a_W_1 train\nb_W_1 test\n")
    assert run(folder) == manifest
    write(folder, "a_N_2", 0.6)
    with pytest.raises(Probed):
        run(folder)


def test_the_order_of_the_listing_does_not_matter(folder):
    first = run(folder).read_bytes()
    backwards = replace(CORPUS, parse=lambda f: list(parse(f))[::-1])
    other = prepare(backwards, folder, folder.parent / "2", progress=False)
    assert other.read_bytes() == first


def test_mistakes_are_named(folder, tmp_path):
    with pytest.raises(ValueError, match="Toy: .*absent is not a folder"):
        prepare(CORPUS, tmp_path / "absent", tmp_path / "out")
    write(folder, "a_W_1_b")
    with pytest.raises(ValueError, match="a_W_1_b.wav"):
        run(folder)
    (folder / "a_W_1_b.wav").unlink()
    with pytest.raises(ValueError, match="no label file .*labels.csv"):
        run(folder, replace(CORPUS, label_files=("labels.csv",)))
    few = replace(CORPUS, label_map={"W": "anger", "N": "neutral", "X": None})
    with pytest.raises(
        ValueError, match=r"b_F_3 \(b_F_3.wav\) has the label 'F'"
    ):
        run(folder, few)
    twice = replace(
        CORPUS,
        parse=lambda f: [Utterance("a", "1.wav"), Utterance("a", "2.wav")],
    )
    with pytest.raises(ManifestError, match="'a': 2.wav and .*1.wav"):
        run(folder, twice)
    said = replace(
        CORPUS,
        parse=lambda f: [Utterance("a", "1.wav", emo="joy", emo_raw="W")],
    )
    with pytest.raises(
        ValueError, match="'joy' by its name and 'anger' by its"
    ):
        run(folder, said)
    with pytest.raises(ValueError, match=r"label_map leads to \['fear'\]"):
        replace(CORPUS, label_map={"A": "fear"})
    with pytest.raises(ValueError, match=r"expected has \['files'\]"):
        replace(CORPUS, expected={"files": 3})


def test_nothing_usable_is_an_error(folder):
    corpus = replace(CORPUS, label_map=dict.fromkeys("WFNX"))
    with pytest.raises(ValueError, match="none of the 6 utterances"):
        run(folder, corpus, strict_counts=False)


def test_hours_agree_within_a_percent():
    assert compare({"hours": 0.413}, {"hours": 0.4171}) == []
    assert compare({"hours": 7.0}, {"hours": 6.92}) == [("hours", 7.0, 6.92)]


def test_the_command_line(folder, tmp_path, capsys):
    manifest = tmp_path / "manifests" / "toy.json"
    arguments = ["--data_folder", str(folder), "--manifest", str(manifest)]
    prepare_main(CORPUS, arguments)
    printed = capsys.readouterr().out
    assert "Toy: 4 utterances" in printed
    assert re.search(r"utts +5 +4", printed)
    assert sorted(p.name for p in manifest.parent.iterdir()) == [
        "toy.json",
        "toy.meta.json",
        "toy.prepare_report.json",
    ]
    (folder / "b_F_3.wav").unlink()
    with pytest.raises(SystemExit) as caught:
        prepare_main(CORPUS, arguments)
    assert caught.value.code == 1
    assert "error: Toy" in capsys.readouterr().err
    prepare_main(CORPUS, [*arguments, "--allow_partial"])
    assert len(read_manifest(manifest)) == 3
