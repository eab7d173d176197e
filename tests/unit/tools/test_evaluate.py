"""e2v evaluate as a user types it."""

import json

import pytest
from unit.inference.tiny import tiny_trained
from unit.published.published_tiny import tiny_pair, write_funasr

from speechbrain_e2v.cli import main
from speechbrain_e2v.corpora.manifest import read_manifest, write_manifest
from speechbrain_e2v.inference.classifier_folder import write_classifier
from speechbrain_e2v.published.head import NINE_TOKENS
from speechbrain_e2v.report.predictions import read_predictions

FILES = ("results.json", "predictions.csv")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    place = tmp_path_factory.mktemp("model") / "mine"
    return str(write_classifier(place, tiny_trained()))


def synthetic(model, corpus, output, *more):
    return ["evaluate", model, "--recipe", "Synthetic", "--data_folder",
            str(corpus), "--output", str(output), *more]  # fmt: skip


def test_a_second_run_changes_no_byte_and_the_table_reads_it(
    model, generated_corpus, tmp_path, capsys
):
    once = synthetic(model, generated_corpus, tmp_path / "a")
    assert main(once) == 0
    printed = capsys.readouterr().out
    first = {name: (tmp_path / "a" / name).read_bytes() for name in FILES}
    assert main(once) == 0
    assert main(synthetic(model, generated_corpus, tmp_path / "b")) == 0
    for folder in ("a", "b"):
        for name in FILES:
            assert (tmp_path / folder / name).read_bytes() == first[name]
    results = json.loads(first["results.json"])
    assert f"{results['pooled']['wa']:.2f}" in printed
    assert "floors: constant" in printed and "recall: " in printed
    capsys.readouterr()
    assert main(["table", str(tmp_path / "a")]) == 0
    table = capsys.readouterr().out
    assert "| Synthetic | evaluation | WA |" in table
    assert "constant" in table and "are left out" in table
    found = read_predictions(tmp_path / "a" / "predictions.csv")
    assert len(found["id"]) == results["n_predictions"] > 0


def test_a_published_folder_and_a_manifest(generated_corpus, tmp_path, capsys):
    folder, _ = write_funasr(tmp_path / "plus", tiny_pair()[0], NINE_TOKENS)
    assert main(synthetic(str(folder), generated_corpus, tmp_path / "a")) == 0
    rows = read_manifest(tmp_path / "a" / "manifest" / "all.json")
    chosen = [u for u in rows if u.emo in ("happy", "angry")]
    manifest = write_manifest(tmp_path / "two.json", chosen, generated_corpus)
    command = ["evaluate", str(folder), "--manifest", str(manifest)]
    assert main([*command, "--output", str(tmp_path / "b")]) == 0
    whole, part = (
        read_predictions(tmp_path / name / "predictions.csv", ["predicted"])
        for name in "ab"
    )
    predicted = dict(zip(whole["id"], whole["predicted"], strict=True))
    assert len(part["id"]) == len(chosen)
    for name, label in zip(part["id"], part["predicted"], strict=True):
        assert predicted[name] == label
    capsys.readouterr()


@pytest.mark.parametrize(
    ("more", "problem"),
    [
        (["--recipe", "EmoDB"], "--recipe NAME with its --data_folder"),
        (["--recipe", "No", "--data_folder", "."], "there is no recipe No"),
        (
            ["--manifest", "m.json", "--exclude", "x"],
            "--exclude is of a recipe",
        ),
        (["--manifest", "m.json", "--label_map", "x.yaml"], "x.yaml: No such"),
        (
            ["--recipe", "EmoDB", "--data_folder", "no"],
            "there is no folder no",
        ),
        (
            ["--manifest", "m.json", "--batch_seconds", "0"],
            "batch_seconds is 0.0",
        ),
    ],
)
def test_bad_input_is_one_line(model, more, problem, capsys):
    assert main(["evaluate", model, *more]) == 1
    error = capsys.readouterr().err
    assert problem in error and error.count("\n") == 1


def test_a_manifest_without_classes_is_told(
    model, generated_corpus, tmp_path, capsys
):
    from dataclasses import replace

    from speechbrain_e2v.corpora.utterance import Utterance

    row = replace(Utterance("a", "wav/a.wav"), duration=1.0)
    manifest = write_manifest(tmp_path / "m.json", [row], generated_corpus)
    command = ["evaluate", model, "--manifest", str(manifest)]
    assert main([*command, "--output", str(tmp_path / "o")]) == 1
    assert "none of 1 utterances has a class" in capsys.readouterr().err


def test_one_official_part_is_a_mark(model, generated_corpus, tmp_path, capsys):
    from dataclasses import replace

    whole = synthetic(model, generated_corpus, tmp_path / "a")
    assert main(whole) == 0
    rows = read_manifest(tmp_path / "a" / "manifest" / "all.json")
    parts = [replace(u, split="test" if i % 3 else "train")
             for i, u in enumerate(rows)]  # fmt: skip
    manifest = write_manifest(tmp_path / "m.json", parts, generated_corpus)
    command = ["evaluate", model, "--manifest", str(manifest), "--output"]
    assert main([*command, str(tmp_path / "b"), "--part", "test"]) == 0
    results = json.loads((tmp_path / "b" / "results.json").read_text())
    assert "32 of 48 utterances: test" in results["protocol"]["marks"]
    capsys.readouterr()
    assert main([*command, str(tmp_path / "c"), "--part", "valid"]) == 1
    assert "no official part 'valid'" in capsys.readouterr().err
