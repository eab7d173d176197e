"""Every kind of file that a command reads, and the command that reads it."""

from pathlib import Path
from typing import NamedTuple

from robustness.commands import (
    Command,
    custom_recipe,
    pretraining,
    pretraining_words,
    probe_words,
)
from robustness.workspace import FORMATS

NO_DATA = {".md", ".py", ".png", ".txt", ".log", ".jsonl"}
BY_SPEECHBRAIN = ("hyperparams.yaml", "label_encoder.ckpt")
"""Of a classifier folder, what SpeechBrain alone reads: we write it anew."""


class Kind(NamedTuple):
    """A file, and the command that is run once it is damaged.

    What matches `guarded`, below OUT's folder, and what is printed when that
    is `-`, may not differ where the damage is accepted: digests, sums or other
    files say what the content must be.
    """

    file: str
    command: Command
    guarded: tuple[str, ...] = ()
    announced: tuple[str, ...] = ()
    """The same, of a file that is cut short: it said how long it is."""
    share: int = 1
    """One of so many trials: slower commands are tried less often."""


def kinds(workspace: Path) -> list[Kind]:
    """Every kind; commands read HERE, a copy of the workspace."""
    return [
        *_audio(),
        *_lists(),
        *_models(workspace),
        *_results(workspace),
        *_training(workspace),
    ]


def _words(file: str, *words: str, guarded: tuple[str, ...] = ()) -> Kind:
    return Kind(file, Command(file, words), guarded)


def _extract(source: str, output: str = "OUT", *more: str) -> tuple[str, ...]:
    encoder = ("--encoder", "HERE/encoder")
    return ("extract", source, *encoder, *more, "-o", output)


def _audio() -> list[Kind]:
    return [
        Kind(
            f"audio/{suffix}/clip.{suffix}",
            Command(suffix, _extract(f"HERE/audio/{suffix}")),
            guarded=("out/good.npy",),
            announced=("out/clip*.npy",),
        )
        for suffix in FORMATS
    ]


def _lists() -> list[Kind]:
    recipe = Command("custom", probe_words("constant"), custom_recipe)
    found = [
        _words(f"lists/{name}", *_extract(f"HERE/lists/{name}"))
        for name in ("list.txt", "list.scp")
    ]
    return [
        *found,
        _words("speech.json", "audit", "train=HERE/speech.json"),
        Kind("project/corpus/labels.csv", recipe, share=4),
    ]


def _models(workspace: Path) -> list[Kind]:
    found = [
        _words(
            f"encoder/{path.name}",
            *_extract("HERE/speech"),
            guarded=("out/*.npy",),
        )
        for path in _data(workspace / "encoder")
    ]
    classify = ("classify", "HERE/speech", "--json", "--model")
    for folder in ("classifier", "published/encoder"):
        found += [
            _words(
                f"{folder}/{path.name}",
                *(*classify, f"HERE/{folder}"),
                guarded=("-",),
            )
            for path in _data(workspace / folder)
            if path.name not in BY_SPEECHBRAIN
        ]
    found += [
        _words(
            f"classifier/{name}",
            *("push", "HERE/classifier", "OUT/"),
            guarded=("out/*.yaml", "out/*.ckpt"),
        )
        for name in BY_SPEECHBRAIN
    ]
    for name in ("extraction.json", "index.json"):
        for form in ("npy", "store"):
            if (workspace / form / name).is_file():
                more = ("--format", form)
                found.append(
                    _words(
                        f"{form}/{name}",
                        *_extract("HERE/speech", f"HERE/{form}", *more),
                    )
                )
    # The sums of a zip archive guard its content, a flat file has none.
    for layout in ("fairseq.pt", "older.pt", "funasr", "flat"):
        path = workspace / "published" / layout
        convert = ("convert", f"HERE/published/{layout}", "OUT")
        files = sorted(path.iterdir()) if path.is_dir() else [path]
        found += [
            _words(str(file.relative_to(workspace)), *convert) for file in files
        ]
    return found


def _results(workspace: Path) -> list[Kind]:
    found = [
        _words(
            f"results/{corpus}/{name}",
            *("table", "HERE/results", "-o", "OUT/table.md"),
        )
        for corpus in ("emodb_encoder", "regression", "conversation")
        for name in ("results.json", "predictions.csv")
    ]
    export = ("export", "HERE/project/run", "OUT")
    for name in (
        "results.json",
        "manifest/all.json",
        "folds/02/seed7/result.json",
        "folds/02/seed7/probe.json",
        "folds/02/seed7/probe.safetensors",
    ):
        found.append(
            _words(f"project/run/{name}", *export, guarded=("out/*.ckpt",))
        )
    return found


def _training(workspace: Path) -> list[Kind]:
    """Files of the newest checkpoint: the one before it may be gone on from."""
    newest = max((workspace / "pretraining/save").glob("CKPT*"))
    words = tuple(
        word.replace("OUT", "HERE/pretraining") for word in pretraining_words()
    )
    resume = Command("resume", words, pretraining)
    return [
        Kind(
            str(path.relative_to(workspace)),
            resume,
            guarded=("here/pretraining/encoder/encoder.*",),
            share=8,
        )
        for path in sorted(newest.iterdir())
    ]


def _data(folder: Path) -> list[Path]:
    return [
        path
        for path in sorted(folder.iterdir())
        if path.is_file() and path.suffix not in NO_DATA
    ]
