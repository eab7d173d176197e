"""e2v crosscorpus as a user types it, on generated speech."""

import csv

import pytest

from speechbrain_e2v.cli import main
from speechbrain_e2v.corpora.synthetic.corpus import write_corpus

FILES = ("table.md", "scores.csv", "heat_map-training-kept.png")


@pytest.fixture(scope="module")
def other(tmp_path_factory):
    folder = tmp_path_factory.mktemp("other") / "calls"
    write_corpus(
        folder, speakers=3, utterances_per_speaker=12, seconds=(0.5, 0.7),
        seed=1,
    )  # fmt: skip
    with open(folder / "labels.csv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    lines = ["path,label,speaker"]
    lines += [f"{r['path']},{r['label']},{r['speaker']}" for r in rows]
    path = folder / "calls.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_two_corpora_twice(generated_corpus, other, tmp_path, capsys):
    command = ["crosscorpus", "--corpora", f"Synthetic={generated_corpus}",
               f"calls={other}", "--n_folds", "3", "--output"]  # fmt: skip
    kept = []
    for folder in ("a", "a", "b"):
        assert main([*command, str(tmp_path / folder)]) == 0
        kept.append([(tmp_path / folder / f).read_bytes() for f in FILES])
    assert kept[0] == kept[1] == kept[2]
    printed = capsys.readouterr().out
    assert "## mfcc" in printed and "| Synthetic |" in printed
    rows = list(csv.DictReader(kept[0][1].decode().splitlines()))
    assert [(r["train"], r["test"]) for r in rows] == [
        ("Synthetic", "Synthetic"),
        ("calls", "Synthetic"),
        ("calls", "calls"),
        ("Synthetic", "calls"),
    ]
    assert [r["utterances"] for r in rows] == ["48", "48", "36", "36"]


@pytest.mark.parametrize(
    ("more", "problem"),
    [
        (["--corpora", "EmoDB=x"], "one corpus is given"),
        (["--corpora", "EmoDB", "b=x"], "'EmoDB' is no NAME=PLACE"),
        (["--corpora", "a=x", "a=y"], "a is there twice"),
        (["--corpora", "a=no", "b=x"], "a: there is no no"),
        (["--corpora", "a=.", "b=."], "there is no recipe a"),
        (["--corpora", "a=.", "b=.", "--shots", "0"], "shots is [0]"),
        (["--corpora", "a=.", "b=.", "--n_folds", "2"], "n_folds is 2"),
        (
            ["--corpora", "a=.", "b=.", "--upstreams", "nothing"],
            "there is no upstream nothing",
        ),
        (
            ["--corpora", "a=.", "b=.", "--no_floors"],
            "no upstreams are given",
        ),
    ],
)
def test_bad_input_is_one_line(more, problem, tmp_path, capsys):
    command = ["crosscorpus", *more, "--output", str(tmp_path / "out")]
    assert main(command) == 1
    error = capsys.readouterr().err
    assert problem in error and error.count("\n") == 1
