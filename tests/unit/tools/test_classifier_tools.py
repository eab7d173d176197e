"""e2v export, classify, timeline and push as a user types them."""

import csv
import io
import json
import os
import shutil
import subprocess
import sys
import types

import numpy as np
import pytest
import soundfile
from unit.inference.tiny import CLASSES, noise, tiny_trained, write_run
from unit.inference.voices import joined, voice

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
    assert header.split() == ["file", "label", "score", *CLASSES]
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
    assert list(row["scores"]) == ["low", "happiness"]
    assert row["label"] is None


def test_names_are_those_of_speechbrains_own_class(tmp_path, files, capsys):
    from speechbrain.inference.classifiers import EncoderClassifier

    classes = ("pain, groan", "anger", "joy|x")
    place = write_classifier(tmp_path / "model", tiny_trained(classes))
    stock = EncoderClassifier.from_hparams(
        source=str(place), run_opts={"device": "cpu"}
    )
    for style in ("--csv", "--json"):
        assert main(["classify", *files, "--model", str(place), style]) == 0
        printed = capsys.readouterr().out.splitlines()
        rows = [json.loads(x) for x in printed] if style == "--json" else list(
            csv.DictReader(printed))  # fmt: skip
        for row, path in zip(rows, files, strict=True):
            assert row["label"] == stock.classify_file(path)[3][0]
            names = row["scores"] if style == "--json" else list(row)[4:]
            assert set(names) == set(classes)
    chosen = ["classify", files[0], "--model", str(place), "--json"]
    assert main([*chosen, "--merge", "bad=pain_groan,angry"]) == 0
    assert "bad" in json.loads(capsys.readouterr().out)["scores"]


def test_hostile_labels_are_refused_by_name(model, files, capsys, tmp_path):
    hostile = tmp_path / "hostile"
    shutil.copytree(model, hostile)
    text = (hostile / "classifier.json").read_text()
    for label in ("=cmd|'/C calc'!A0", "a\\u001b[31m", "a\\nb", "a => b"):
        (hostile / "classifier.json").write_text(
            text.replace('"text": "anger"', f'"text": "{label}"')
        )
        assert main(["classify", files[0], "--model", str(hostile)]) == 1
        said = capsys.readouterr()
        assert "classifier.json" in said.err and "class name" in said.err
        assert said.out == "" and said.err[:-1].isprintable()


def test_names_of_files_can_be_anything(model, tmp_path, capsys):
    place = tmp_path / "in"
    place.mkdir()
    for name in (b"col\xe8re.wav", b"a\x1b[31m.wav", b"=1+1.wav"):
        path = os.path.join(os.fsencode(place), name)
        with open(path, "wb") as file:
            soundfile.write(file, noise(9000, 1), 16000, format="WAV")
    command = ["classify", str(place), "--model", model]
    for style in ([], ["--csv"], ["--json"]):
        assert main([*command, *style]) == 0
        printed = capsys.readouterr().out
        assert len(printed.splitlines()) == (3 if style == ["--json"] else 4)
        assert "\x1b" not in printed and "col\\" in printed
        printed.encode()


def test_bad_files_are_told_and_the_rest_is_classified(model, files, capsys):
    inputs = [files[0], "no_such.wav", files[1]]
    assert main(["classify", *inputs, "--model", model, "--csv"]) == 1
    said = capsys.readouterr()
    assert len(said.out.splitlines()) == 3
    assert "no_such.wav: missing" in said.err
    assert main(["classify", *inputs, "--model", model, "--json"]) == 1
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["file"] for row in rows] == inputs
    assert set(rows[1]) == {"file", "error"} and "missing" in rows[1]["error"]


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


def test_fractions_of_seconds(model, files, tmp_path, capsys):
    common = ["timeline", files[1], "--model", model, "--silence_db", "none"]
    common += ["--hop", "1/30", "--window", "1/10"]
    assert main([*common, "-o", str(tmp_path / "a.json")]) == 0
    content = json.loads((tmp_path / "a.json").read_text())
    assert content["hop"] == 533 / 16000
    assert len(content["cells"]) == -(-12000 // 533)


@pytest.mark.parametrize("form", ["raw", "wav"])
def test_a_stream_is_printed_line_by_line(model, tmp_path, capsys, monkeypatch,
                                          form):  # fmt: skip
    wav, _ = joined([voice(number=n) for n in range(3)], 0.6, -50.0)
    soundfile.write(tmp_path / "a.wav", wav, 16000, subtype="PCM_16")
    data = (tmp_path / "a.wav").read_bytes()
    if form == "raw":
        data = data[44:]
    monkeypatch.setattr("sys.stdin", types.SimpleNamespace(
        buffer=io.BytesIO(data)))  # fmt: skip
    common = ["--model", model, "--hop", "0.5", "--window", "1.5"]
    assert main(["timeline", "-", *common]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    file = ["timeline", str(tmp_path / "a.wav"), *common]
    assert main([*file, "-o", str(tmp_path / "a.json")]) == 0
    cells = json.loads((tmp_path / "a.json").read_text())["cells"]
    assert len(lines) == len(cells)
    for line, cell in zip(lines, cells, strict=True):
        assert (line["start"], line["end"]) == (cell["start"], cell["end"])
        if cell["posteriors"] is None:
            assert line["label"] == "silence" and line["scores"] is None
        else:
            found = list(line["scores"].values())
            assert found == pytest.approx(cell["posteriors"], abs=2e-5)
    assert main(["timeline", "-", "-o", "x.json", *common]) == 1
    assert "a stream has no files" in capsys.readouterr().err


@pytest.mark.parametrize("tool", ["classify", "timeline", "stream"])
def test_channels_that_cancel_are_told_and_chosen(
    model, tmp_path, capsys, caplog, monkeypatch, tool
):
    wav = voice()
    path, left = tmp_path / "both.wav", tmp_path / "left.wav"
    soundfile.write(path, np.stack([wav, -wav], axis=1), 16000)
    soundfile.write(left, wav, 16000)

    def said(file, *options):
        monkeypatch.setattr("sys.stdin", types.SimpleNamespace(
            buffer=io.BytesIO(file.read_bytes())))  # fmt: skip
        command = {
            "classify": ["classify", str(file), "--csv"],
            "timeline": ["timeline", str(file), "-o", str(tmp_path / "x.csv")],
            "stream": ["timeline", "-"],
        }[tool]
        assert main([*command, "--model", model, *options]) == 0
        return capsys.readouterr().out.replace(str(file), "FILE")

    said(path)
    assert "cancel" in caplog.text and "--channel" in caplog.text
    caplog.clear()
    assert said(path, "--channel", "0") == said(left)
    assert "cancel" not in caplog.text


def test_lines_come_before_the_stream_ends(model, repository):
    command = [sys.executable, "-m", "speechbrain_e2v.cli", "timeline", "-"]
    command += ["--model", model, "--hop", "0.5", "--window", "0.5"]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(repository)},
    )  # fmt: skip
    samples = (2**14 * voice(seconds=(6, 6))).astype("<i2")
    process.stdin.write(samples.tobytes())
    process.stdin.flush()
    # Nothing more is written: what can be said must be said now.
    first = json.loads(process.stdout.readline())
    assert first["start"] == 0 and process.poll() is None
    rest, _ = process.communicate()
    assert process.returncode == 0 and len(rest.splitlines()) == 11


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
