"""The commands that are tried: what they are given, and what they promise."""

import hashlib
import importlib.util
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from speechbrain.utils import logger

from speechbrain_e2v import cli
from speechbrain_e2v.console import one_line_errors
from speechbrain_e2v.downstream.run import downstream
from speechbrain_e2v.report.find_corpora import load_corpus

REPOSITORY = Path(__file__).resolve().parents[2]
SMALL_NET = {
    "embed_dim": 16,
    "prenet_depth": 1,
    "depth": 1,
    "top_k_layers": 1,
    "num_heads": 2,
    "conv_channels": 16,
    "decoder_channels": 16,
    "clones": 1,
    "batch_seconds": 0.5,
    "max_seconds": 0.5,
    "min_seconds": 0.1,
    "updates": 3,
    "warmup_updates": 1,
    "ckpt_interval_steps": 1,
    "num_workers": 0,
    "device": "cpu",
}
DIARIES = {
    "log.txt",
    "run.log",
    "env.log",
    "health.png",
    "confusion.png",
    "experiment.py",
    "train.py",
}
"""Files that tell of a run and its times; no result is in them."""
TIMES = {"seconds", "unixtime", "updates_per_second", "date", "digest"}


class Command(NamedTuple):
    """A command that writes OUT, its last folder; `entry` takes its words."""

    name: str
    words: tuple[str, ...]
    entry: Callable[[list[str]], int | None] = cli.main
    short: bool = True
    """Whether it takes well under a second."""

    def run(self, out: Path, here: Path | None = None) -> int | None:
        """Run it, HERE being a copy of the workspace."""
        names = {"OUT": str(out), "HERE": str(here)}
        words = list(self.words)
        for name, value in names.items():
            words = [word.replace(name, value) for word in words]
        return self.entry(words)


def pretraining(words: list[str]) -> int:
    """What the top-level train.py does with its arguments."""
    name = "pretraining_front_door"
    if name not in sys.modules:
        path = REPOSITORY / "train.py"
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None and spec.loader is not None
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    logger.get_environment_description = str  # lists every package: seconds
    with one_line_errors():
        sys.modules[name].main(words)
    return 0


def custom_recipe(words: list[str]) -> int:
    """What the train.py of recipes/Custom does with its arguments."""
    logger.get_environment_description = str
    downstream(load_corpus(REPOSITORY / "recipes/Custom"), words)
    return 0


def pretraining_words(**changes: Any) -> tuple[str, ...]:
    """Arguments of a pre-training of three updates."""
    options = {**SMALL_NET, **changes}
    return (
        str(REPOSITORY / "hparams/pretrain_tiny.yaml"),
        "--manifests=['HERE/speech.json']",
        "--output_folder=OUT",
        "--noprogressbar",
        *(f"--{key}={value}" for key, value in options.items()),
    )


def probe_words(yaml: str = "utterance", **changes: Any) -> tuple[str, ...]:
    """Arguments of a recipe that trains a probe of two epochs, three folds."""
    options = {
        "data_folder": "HERE/project/corpus",
        "encoder": "HERE/encoder",
        "output_folder": "OUT",
        "feature_cache": "OUT/features",
        "protocol": "random_kfold",
        "n_folds": 3,
        "number_of_epochs": 2,
        "device": "cpu",
        **changes,
    }
    if yaml == "constant":
        del options["encoder"], options["number_of_epochs"]
    return (
        str(REPOSITORY / f"hparams/probes/{yaml}.yaml"),
        "--noprogressbar",
        *(f"--{key}={value}" for key, value in options.items()),
    )


def commands() -> list[Command]:
    """Every command that writes files, on good input."""
    speech, encoder = "HERE/speech", ("--encoder", "HERE/encoder")
    tried = {
        "extract_npy": ("extract", speech, *encoder, "-o", "OUT"),
        "extract_store": ("extract", speech, *encoder)
        + ("--format", "store", "-o", "OUT"),
        "manifest": ("manifest", speech, "-o", "OUT/speech.json"),
        "convert": ("convert", "HERE/published/fairseq.pt", "OUT"),
        "convert_to_fairseq": ("convert", "HERE/encoder", "OUT/model.pt")
        + ("--to", "fairseq"),
        "convert_to_funasr": ("convert", "HERE/encoder", "OUT")
        + ("--to", "funasr"),
        "export": ("export", "HERE/project/run", "OUT"),
        "timeline": ("timeline", f"{speech}/2.wav", "--model")
        + ("HERE/classifier", "--window", "0.5", "--hop", "0.1")
        + ("-o", "OUT/timeline.csv"),
        "push": ("push", "HERE/classifier", "OUT/"),
        "table": ("table", "HERE/results")
        + ("-o", "OUT/table.md", "OUT/table.csv"),
    }
    found = [Command(name, words) for name, words in tried.items()]
    reproduce = ("reproduce", "--data_root", "HERE/corpora", *encoder)
    reproduce += ("--corpora", "Custom", "--floors", "constant")
    reproduce += ("--probe", "logistic", "--allow_partial", "--device", "cpu")
    reproduce += ("--protocols", "paper")
    return [
        *found,
        Command("pretraining", pretraining_words(), pretraining, short=False),
        Command("probe", probe_words(), custom_recipe, short=False),
        Command("reproduce", (*reproduce, "--output", "OUT"), short=False),
    ]


def contents(folder: Path) -> dict[str, str]:
    """Digest of every result below a folder, by its name."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(_result(path)).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
        and path.name not in DIARIES
        # A checkpoint is named after the time; what it holds, the encoder
        # shows that comes of it.
        and "save" not in path.relative_to(folder).parts
    }


def alike(one: Any, other: Any) -> bool:
    """Whether content is the same, or features are but for their rounding.

    Which clips are computed together changes the last bits.
    """
    if isinstance(one, np.ndarray) and isinstance(other, np.ndarray):
        return one.shape == other.shape and np.allclose(one, other, 0, 1e-5)
    return type(one) is type(other) and one == other


def _result(path: Path) -> bytes:
    """What a file says, times apart."""
    data = path.read_bytes()
    if path.suffix == ".json":
        return json.dumps(_without_times(json.loads(data))).encode()
    if path.suffix == ".jsonl":
        lines = [_without_times(json.loads(x)) for x in data.splitlines()]
        return json.dumps(lines).encode()
    return data


def _without_times(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            k: _without_times(v) for k, v in value.items() if k not in TIMES
        }
    if isinstance(value, list):
        return [_without_times(each) for each in value]
    return value


def unfinished(folder: Path) -> list[str]:
    """What no command may leave behind once it has ended by itself."""
    marks = (".unfinished-", ".writer.lock", "unfinished-")
    return [
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if path.name.startswith(marks)
    ]


def said(text: str) -> list[str]:
    """Lines of a log from the first of ours on: nothing may follow it."""
    lines = text.splitlines()
    marks = ("e2v: ", "error: ", "interrupted", "ended by ")
    ours = [number for number, x in enumerate(lines) if x.startswith(marks)]
    return lines[ours[0] :] if ours else []
