"""Every key of results.json removed, or of another kind: one line, no more."""

import copy
import json
import shutil
from pathlib import Path

import pytest

from speechbrain_e2v.cli import main

OLDER = Path(__file__).with_name("results_of_format_1")
# Keys that tables read; the rest may be anything.
READ = (
    "format", "corpus", "protocol", "seeds", "upstream", "pooled",
    "fold_spread", "interval95", "classifier", "regressor", "scales",
    "headline", "counts", "n_tested", "conversation",
)  # fmt: skip


def places(value, path=()):
    yield path
    if isinstance(value, dict):
        for key in value:
            yield from places(value[key], (*path, key))
    elif isinstance(value, list):
        for number in range(min(2, len(value))):
            yield from places(value[number], (*path, number))


def changed(results, path, change):
    results = copy.deepcopy(results)
    here = results
    for key in path[:-1]:
        here = here[key]
    if change == "removed":
        del here[path[-1]]
    else:
        here[path[-1]] = change
    return results


def attempt(capsys, folder):
    status = main(["table", str(folder)])
    shown = capsys.readouterr()
    assert status in (0, 1)
    if status:
        assert shown.err.count("\n") == 1, shown.err
        assert "--debug" not in shown.err, shown.err
        assert str(folder) in shown.err
    return status, shown.err


@pytest.mark.parametrize("name", ["emodb_encoder", "sentiment"])
@pytest.mark.parametrize("change", ["removed", None, "x", -1, [], {}, [[3]]])
def test_keys_of_another_kind(name, change, tmp_path, capsys):
    folder = tmp_path / "run"
    shutil.copytree(OLDER / name, folder)
    results = json.loads((folder / "results.json").read_text())
    refused = 0
    for path in places({k: results[k] for k in READ if k in results}):
        if path:
            text = json.dumps(changed(results, path, change))
            (folder / "results.json").write_text(text)
            refused += attempt(capsys, folder)[0]
    assert refused > 5


def test_the_key_is_named(tmp_path, capsys):
    folder = tmp_path / "run"
    shutil.copytree(OLDER / "emodb_encoder", folder)
    text = (folder / "results.json").read_text()
    for old, new, message in (
        ('"n_folds": 10', '"n_folds": "ten"', "protocol.n_folds: expected"),
        ('"format": 1,', '"format": 2,', "format 2, where 1 is read"),
        ('"pooled": {', '"pooled": [', "results.json: "),
        ('"pooled"', '"spooled"', "missing required field `pooled`"),
        ('"classifier": {', '"x": {', "neither a classifier nor"),
        ('{\n  "wa":', '{\n  "va":', "pooled: no score wa"),
    ):
        assert old in text
        (folder / "results.json").write_text(text.replace(old, new, 1))
        assert message in attempt(capsys, folder)[1]
    (folder / "results.json").write_text("[" * 100_000)
    assert "run the recipe again" in attempt(capsys, folder)[1]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda b: b"", "no column seed"),
        (lambda b: b.split(b"\n")[0] + b"\n", "no utterance"),
        (lambda b: b.replace(b"reference", b"other"), "no column reference"),
        (
            lambda b: b.replace(b",speaker", b",id", 1),
            "more than one column id",
        ),
        (lambda b: b + b"1,2\n", "2 cells under"),
        (lambda b: b + b'1,"2\n', "predictions.csv: line"),
        (lambda b: b.replace(b"anger", b"\xff", 1), "no UTF-8 text"),
        (lambda b: b + b"x" * 200_000 + b"\n", "field larger than"),
    ],
)
def test_predictions_that_cannot_be_read(change, message, tmp_path, capsys):
    for name in ("emodb_encoder", "emodb_mfcc"):
        shutil.copytree(OLDER / name, tmp_path / name)
    path = tmp_path / "emodb_mfcc" / "predictions.csv"
    path.write_bytes(change(path.read_bytes()))
    status, error = attempt(capsys, tmp_path)
    assert status == 1 and message in error and str(path) in error
