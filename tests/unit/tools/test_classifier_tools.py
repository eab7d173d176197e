"""e2v export, classify, timeline and push as a user types them."""

import csv
import json

import pytest
import soundfile
from unit.inference.tiny import noise, tiny_trained, write_run

from speechbrain_e2v.cli import main
from speechbrain_e2v.inference.classifier_folder import (
    read_classifier,
    write_classifier,
)
from speechbrain_e2v.inference.timeline_files import KINDS


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    place = tmp_path_factory.mktemp("model") / "mine"
    return str(write_classifier(place, tiny_trained()))


@pytest.fixture
def files(tmp_path):
    paths = [str(tmp_path / f"{n}.wav") for n in range(2)]
    for seed, path in enumerate(paths):
        soundfile.write(path, noise(9000 + 3000 * seed, seed), 16000)
    return paths


def test_export_then_classify(tmp_path, capsys):
    run = write_run(tmp_path)
    folder = str(tmp_path / "classifier")
    assert main(["export", str(run), folder, "--fold", "1"]) == 0
    printed = capsys.readouterr().out
    assert "fold 1 (block 1), seed 7" in printed
    assert "expected calibration error" in printed
    assert read_classifier(folder).about["fold"]["number"] == 1
    wav = str(tmp_path / "corpus/u00.wav")
    assert main(["classify", wav, "--model", folder]) == 0
    header, row = capsys.readouterr().out.splitlines()
    assert header.split() == ["file", "label", "score", "angry", "happy", "sad"]
    scores = dict(zip(header.split()[3:], row.split()[3:], strict=True))
    assert row.split()[1] == max(scores, key=lambda name: float(scores[name]))
    assert main(["export", str(run), folder]) == 1
    assert "--overwrite" in capsys.readouterr().err


def test_json_and_csv_agree(model, files, capsys):
    assert main(["classify", *files, "--model", model, "--json"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["file"] for row in rows] == files
    assert main(["classify", *files, "--model", model, "--csv"]) == 0
    table = list(csv.DictReader(capsys.readouterr().out.splitlines()))
    for row, cells in zip(rows, table, strict=True):
        assert cells["label"] == row["label"]
        for name, score in row["scores"].items():
            assert float(cells[name]) == pytest.approx(score, abs=1e-6)


def test_folders_are_searched(model, files, tmp_path, capsys):
    assert main(["classify", str(tmp_path), "--model", model, "--csv"]) == 0
    rows = csv.DictReader(capsys.readouterr().out.splitlines())
    assert [row["file"] for row in rows] == files


def test_labels_merge_and_reject(model, files, capsys):
    command = ["classify", files[0], "--model", model, "--json"]
    command += ["--merge", "low=sad,angry", "--labels", "low,happy"]
    assert main([*command, "--reject", "1"]) == 0
    row = json.loads(capsys.readouterr().out)
    assert list(row["scores"]) == ["low", "happy"] and row["label"] is None


def test_bad_files_are_told_and_the_rest_is_classified(model, files, capsys):
    inputs = [files[0], "no_such.wav", files[1]]
    assert main(["classify", *inputs, "--model", model, "--csv"]) == 1
    said = capsys.readouterr()
    assert len(said.out.splitlines()) == 3
    assert "no_such.wav: missing" in said.err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["classify", "x.wav", "--model", "./none"], "no file or folder"),
        (["classify", "x.wav", "--model", "{m}", "--labels", "joy"], "'joy'"),
        (["timeline", "no.wav", "-o", "x", "--model", "{m}"], "no.wav"),
        (["timeline", "no.wav", "-o", "x.doc", "--model", "{m}"], "x.doc"),
        (["export", "{m}", "x.onnx"], "belong together"),
        (["export", "none", "x"], "none"),
        (["push", "{m}", "nowhere"], "neither a hub id"),
    ],
)
def test_mistakes_are_one_line(model, arguments, told, capsys, tmp_path,
                               monkeypatch):  # fmt: skip
    monkeypatch.chdir(tmp_path)
    assert main([a.format(m=model) for a in arguments]) == 1
    said = capsys.readouterr()
    assert told in said.err and len(said.err.splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_malformed_options_show_the_usage(model, capsys):
    with pytest.raises(SystemExit):
        main(["classify", "x.wav", "--model", model, "--merge", "happy"])
    assert "--merge" in capsys.readouterr().err


def test_timeline_writes_every_format_or_one(model, files, tmp_path, capsys):
    common = ["timeline", files[1], "--model", model, "--hop", "0.25"]
    common += ["--window", "0.5"]
    out = tmp_path / "out"
    assert main([*common, "-o", str(out)]) == 0
    assert {path.suffix for path in out.iterdir()} == set(KINDS)
    content = json.loads((out / "1.json").read_text())
    assert content["seconds"] == 0.75 and len(content["cells"]) == 3
    printed = capsys.readouterr().out.splitlines()
    assert len(printed) == len(content["segments"]) + len(KINDS)
    one = tmp_path / "deep" / "one.srt"
    assert main([*common, "-o", str(one)]) == 0
    assert one.read_text() == (out / "1.srt").read_text()


def test_push_to_a_folder(model, tmp_path, capsys):
    assert main(["push", model, str(tmp_path / "copy")]) == 0
    assert capsys.readouterr().out.strip() == str(tmp_path / "copy")
    read_classifier(tmp_path / "copy")


@pytest.mark.parametrize("tool", ["export", "classify", "timeline", "push"])
def test_help_shows_an_example(tool, capsys):
    with pytest.raises(SystemExit) as stop:
        main([tool, "--help"])
    assert stop.value.code == 0
    assert f"e2v {tool} " in capsys.readouterr().out.split("example")[1]
