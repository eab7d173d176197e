"""`e2v reproduce` with the real recipes on fake corpora, in this process."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from speechbrain_e2v.cli import main
from speechbrain_e2v.files.lock import sole_writer
from speechbrain_e2v.report.find_corpora import find_corpora
from speechbrain_e2v.report.jobs import Job
from tests.recipes.fake_corpora import (
    RECIPES,
    make_text,
    make_wavs,
    ravdess,
)
from tests.unit.published.published_tiny import tiny_pair, write_fairseq

FLOORS = ["constant", "prior", "MFCC statistics", "random encoder"]


def emodb(folder):
    make_wavs(
        folder / "wav",
        [
            # No two that validate together are of one class.
            f"{speaker}a02{letter}a"
            for speaker in ("03", "08", "09", "10")
            for letter in "WFNLEA"
        ],
    )


def custom(folder):
    names = [f"{speaker}{n}" for speaker in "abcd" for n in range(4)]
    make_wavs(folder, names, rate=8000)
    rows = [f"{name}.wav,{'xy'[int(name[1]) % 2]},{name[0]}" for name in names]
    make_text(folder / "labels.csv", "\n".join(["path,label,speaker", *rows]))


@pytest.fixture(scope="module")
def data_root(tmp_path_factory):
    root = tmp_path_factory.mktemp("root")
    emodb(root / "german" / "berlin")
    custom(root / "calls")
    ravdess(root / "ravdess_speech")
    make_wavs(root / "noise", ["a", "b"])
    return root


def command(data_root, encoder, output, *more):
    return [
        "reproduce", "--data_root", str(data_root), "--encoder",
        f"mine={encoder}",
        "--output", str(output), "--number_of_epochs", "1", "--device", "cpu",
        "--allow_partial", "--floors", "constant", "prior", "mfcc", "random",
        *more,
    ]  # fmt: skip


def test_corpora_are_found_by_name_and_by_content(data_root):
    recipes = [RECIPES / n for n in ("EmoDB", "RAVDESS-Speech", "SAVEE")]
    found = find_corpora(data_root, [*recipes, RECIPES / "Custom"])
    assert found == {
        "EmoDB": [data_root / "german" / "berlin"],
        "RAVDESS-Speech": [data_root / "ravdess_speech"],
        "SAVEE": [],
        "Custom": [data_root / "calls"],
    }


def test_from_nothing_to_a_table_and_again(
    data_root, encoder, tmp_path, in_process, capsys
):
    out = tmp_path / "out"
    arguments = command(
        data_root, encoder, out, "--corpora", "EmoDB", "SAVEE", "Custom",
        "--protocols", "strict",
    )  # fmt: skip
    assert main(arguments) == 0
    columns = [*FLOORS, "mine"]
    assert in_process == [
        *[("EmoDB", "leave_one_speaker_out", name) for name in columns],
        *[("Custom: calls", "speaker_kfold", name) for name in columns],
    ]
    text = (out / "table.md").read_text()
    overview = text.split("\n\n")[2]
    header = "| corpus | protocol | score | paper | constant | prior | MFCC"
    assert header in overview
    assert "| SAVEE | leave_one_speaker_out | WA | - | no data |" in overview
    assert "24 of 535 utterances: not the whole corpus" in text
    assert "the encoder heard Custom: calls in pretraining" in text
    assert "mine - MFCC statistics" in text
    files = {s: (out / f"table.{s}").read_text() for s in ("csv", "md", "tex")}
    assert main(["table", str(out), "-o", str(out / "again.csv")]) == 0
    assert (out / "again.csv").read_text() == files["csv"]
    in_process.clear()
    assert main(arguments) == 0
    assert in_process == [], "what is done is not done again"
    assert {s: (out / f"table.{s}").read_text() for s in files} == files
    # Interrupted in the middle: the same table.
    for path in (out / "EmoDB").rglob("job.json"):
        path.unlink()
    next((out / "EmoDB").rglob("folds/01/seed42/result.json")).unlink()
    assert main(arguments) == 0
    assert len(in_process) == len(columns)
    assert {s: (out / f"table.{s}").read_text() for s in files} == files
    capsys.readouterr()
    assert main(["audit", str(out)]) == 1  # every fake wav is the same audio
    assert "LEAK: audio in train and test" in capsys.readouterr().out


def test_another_probe_is_named(data_root, encoder, tmp_path, in_process):
    out = tmp_path / "out"
    arguments = command(
        data_root, encoder, out, "--corpora", "EmoDB", "--protocols", "paper",
        "--probe", "utterance",
    )  # fmt: skip
    assert main(arguments) == 0
    text = (out / "table.md").read_text()
    mark = "by probe on utterance means, not by the paper's probe"
    assert mark in text


def test_a_failure_is_a_row(data_root, encoder, tmp_path, in_process, capsys):
    out = tmp_path / "out"
    arguments = command(
        data_root, encoder, out, "--corpora", "EmoDB",
        "--protocols", "paper",
    )  # fmt: skip
    arguments.remove("--allow_partial")
    assert main(arguments) == 1
    assert "failed: EmoDB: " in (out / "table.md").read_text()
    assert "is not the complete corpus" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--corpora", "EmoDb"], "no recipe EmoDb; there are AESDD"),
        (["--corpora", "EmoDB", "--table", "4"], "a table has its own"),
        (["--dry_run"], "dry_run: is of a table"),
        (["--upstreams", "emotion2vec"], "upstreams: is of a table"),
        (["--table", "12"], "there is no table 12; give 2, 3"),
        (["--encoder", "a=/nowhere"], "encoder: there is no file or fold"),
        (["--data_root", "/nowhere"], "no folder /nowhere"),
    ],
)
def test_bad_options(more, message, data_root, encoder, tmp_path, capsys):
    assert main(command(data_root, encoder, tmp_path, *more)) == 1
    assert message in capsys.readouterr().err


def test_published_files_are_encoders(data_root, tmp_path, in_process, capsys):
    """Columns are named after the file; its sizes are those of the floor."""
    source = write_fairseq(tmp_path / "base_libri.pt", *tiny_pair())
    out = tmp_path / "out"
    arguments = command(
        data_root, source, out, "--corpora", "EmoDB", "--protocols", "strict",
        "--probe", "logistic",
    )  # fmt: skip
    arguments[arguments.index(f"mine={source}")] = str(source)
    assert main(arguments) == 0, capsys.readouterr().out
    columns = [*FLOORS, "base_libri"]
    assert [name for _, _, name in in_process] == columns
    random = out / "EmoDB" / "leave_one_speaker_out" / "random-encoder"
    results = json.loads((random / "results.json").read_text())
    assert results["upstream"]["architecture_of"] == "base_libri.pt"
    in_process.clear()
    assert main(arguments) == 0 and in_process == []
    # other weights under the same name are another encoder
    write_fairseq(source, *tiny_pair(seed=1))
    assert main(arguments) == 0
    assert [name for _, _, name in in_process] == columns[-2:]


def test_no_floors_and_one_writer(
    data_root, encoder, tmp_path, in_process, capsys
):
    out = tmp_path / "out"
    arguments = command(
        data_root, encoder, out, "--corpora", "EmoDB", "--protocols", "strict",
        "--probe", "logistic", "--floors",
    )  # fmt: skip
    with ThreadPoolExecutor() as pool, sole_writer(out):
        assert pool.submit(main, arguments).result() == 1
    assert "is being written by another run" in capsys.readouterr().err
    assert in_process == []
    assert main(arguments) == 0
    assert [name for _, _, name in in_process] == ["mine"]


def test_two_columns_of_one_name(data_root, encoder, tmp_path, capsys):
    arguments = command(data_root, encoder, tmp_path)
    arguments.insert(arguments.index("--encoder") + 1, f"mine={encoder}")
    assert main(arguments) == 1
    assert "two columns would be called" in capsys.readouterr().err


def test_a_job_is_a_process_with_a_log(tmp_path):
    script = tmp_path / "train.py"
    script.write_text("print('hello')\nraise SystemExit('error: no room')\n")
    data = tmp_path / "data"
    data.mkdir()
    (data / "a.wav").write_bytes(b"12")
    (data / "gone.wav").symlink_to("nowhere")
    out = tmp_path / "out"
    job = Job("a", "b", "c", (str(script),), out, None, data)
    assert job.run() == "no room"
    assert "hello" in (tmp_path / "out" / "run.log").read_text()
    assert not job.is_done()
    script.write_text("import sys; print(sys.argv)\n")
    assert job.run() is None
    assert not job.is_done(), "there is no results.json"
    (tmp_path / "out" / "results.json").touch()
    assert job.is_done()
    for name in (".DS_Store", "Thumbs.db", ".git/HEAD"):  # no part of it
        (data / name).parent.mkdir(exist_ok=True)
        (data / name).touch()
        assert job.is_done(), name
    other = Job("a", "b", "c", (str(script), "--x"), out, None, data)
    assert not other.is_done()
    (data / "a.wav").write_bytes(b"123")
    assert not job.is_done(), "a file of the corpus has changed"
