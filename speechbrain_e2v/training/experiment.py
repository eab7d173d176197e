"""From a command line to loaded hyperparameters, or a one-line error.

Reading is SpeechBrain's own: ``<yaml> --key value`` overrides the yaml, and
run options such as ``--device`` are kept apart (merging them into the
hyperparameters would reset the yaml's own options to their defaults).
"""

import difflib
import io
import logging
import re
import shutil
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import speechbrain as sb
import yaml
from hyperpyyaml import load_hyperpyyaml, resolve_references
from ruamel.yaml.error import YAMLError
from speechbrain.utils.distributed import if_main_process
from speechbrain.utils.run_opts import RunOptions

from speechbrain_e2v.files.atomic import replace_text, replaced_file
from speechbrain_e2v.training.devices import usable_device
from speechbrain_e2v.training.upstream_yaml import (
    NAME,
    take_upstream,
    upstream_file,
    with_upstream,
)
from speechbrain_e2v.training.yaml_bases import merged_yaml


@dataclass(frozen=True)
class Experiment:
    """What a command line asks for."""

    hparams: dict[str, Any]
    """The loaded yaml with its overrides."""
    run_opts: RunOptions
    """Device, precision and so on, as given on the command line."""
    file: Path
    text: str
    """Of the yaml over its bases."""
    overrides: str
    """As yaml text."""
    command: list[str]
    """Script and arguments."""

    def make_folder(self) -> None:
        """Create ``output_folder``: log.txt, hyperparams.yaml, the script."""
        sb.create_experiment_directory(self.hparams["output_folder"])
        self.save_hyperparams()
        self._archive_script()
        # log.txt is written at level DEBUG, which is chatty in a plot.
        logging.getLogger("matplotlib").setLevel(logging.WARNING)

    def _archive_script(self) -> None:
        """Keep the script that was started, as SpeechBrain's recipes do.

        SpeechBrain copies the file of its caller, which is this module.
        """
        script, folder = Path(self.command[0]), self.hparams["output_folder"]
        if not if_main_process():
            return
        Path(folder, Path(__file__).name).unlink(missing_ok=True)
        if script.is_file():
            with replaced_file(Path(folder, script.name)) as unfinished:
                shutil.copyfile(script, unfinished)

    def resolved(self) -> str:
        """The yaml over its bases, with overrides and without references."""
        stream = _stream(self.file, self.text)
        return resolve_references(stream, self.overrides).read()

    def save_hyperparams(self) -> None:
        """Write hyperparams.yaml into ``output_folder``."""
        if if_main_process():
            replace_text(
                Path(self.hparams["output_folder"]) / "hyperparams.yaml",
                f"# {self.file} with its bases and options\n"
                f"# yamllint disable\n{self.resolved()}",
            )


def load_experiment(
    argv: list[str],
    known_keys: Iterable[str] | Callable[[dict[str, Any]], Iterable[str]],
) -> Experiment:
    """Read ``hparams/x.yaml --key value ...`` and the yaml it names.

    `known_keys` are the top-level keys that the caller uses, or what gives them
    for the loaded yaml; a key that another line of the yaml refers to is known,
    too. ``--upstream NAME`` puts another encoder under the experiment, see
    `training.upstream_yaml`.

    Raises ValueError for a missing yaml, an unknown key, an option without a
    value, or a placeholder that nobody filled: named, with the way out.

    >>> path = getfixture("tmp_path") / "x.yaml"
    >>> _ = path.write_text("seed: 1\\nlr: 0.1\\n")
    >>> load_experiment([str(path), "--lr", "0.2"], ["seed", "lr"]).hparams
    {'seed': 1, 'lr': 0.2}
    """
    upstream, options = take_upstream(argv)
    file, run_opts, overrides = sb.parse_arguments(options)
    file = Path(file)
    if not file.is_file():
        there = sorted(str(path) for path in file.parent.glob("*.yaml"))
        raise ValueError(
            f"there is no {file}"
            + (f"; there are {', '.join(there)}" if there else "")
        )
    if run_opts.device:
        usable_device(run_opts.device)
    _check_overrides(options, overrides)
    try:
        text = merged_yaml(file)
        if upstream is not None:
            found = upstream_file(upstream, file)
            text = with_upstream(text, found, file)
        try:
            hparams = load_hyperpyyaml(_stream(file, text), overrides)
        except (KeyError, ValueError) as error:
            raise ValueError(_explained(error, file, text)) from error
    except YAMLError as error:
        raise ValueError(f"{file} is not readable: {error}") from error
    used = known_keys(hparams) if callable(known_keys) else known_keys
    known = {*used, NAME, *re.findall(r"<(\w+)", text)}
    for key in hparams:
        if key not in known and not key.startswith("__"):
            raise ValueError(f"{file}: unknown key {_hint(key, known)}")
    command = [sys.argv[0], *argv]
    return Experiment(hparams, run_opts, file, text, overrides, command)


def _stream(file: Path, text: str) -> io.StringIO:
    """A stream with the name that HyperPyYAML looks for includes beside."""
    stream = io.StringIO(text)
    stream.name = str(file)  # as a file has it
    return stream


def recipe_usage(script: str | Path, title: str, example: str) -> str:
    """Usage text of a recipe, with the first line of each of its yaml files.

    These lie in ``hparams/`` beside the recipe's `script`; `example` is the
    options of a command.
    """
    script = Path(script)
    lines = []
    for file in sorted((script.parent / "hparams").glob("*.yaml")):
        with open(file, encoding="utf-8") as stream:
            first = stream.readline().lstrip("# ").strip()
        lines.append(f"  hparams/{file.name:<18} {first}")
    return (
        f"{title}\n\nusage: python {script.name} hparams/FILE.yaml "
        "[--key value ...]\n\n" + "\n".join(lines) + "\n\n"
        f"example:\n  python {script.name} {example}\n\n"
        "Every key of the yaml can be given as --key value; run options of\n"
        "SpeechBrain, such as --device cuda:0, too."
    )


def _check_overrides(argv: list[str], overrides: str) -> None:
    for argument in argv[1:]:
        # SpeechBrain would turn "a=b" into "a b".
        if argument.count("=") > argument.startswith("--"):
            raise ValueError(
                f"{argument}: a value cannot hold '=' on the command line; "
                "write it into the yaml"
            )
    names = re.findall(r"^([^\s:]+):", overrides, flags=re.MULTILINE)
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"--{name} is given twice; give it once")
    try:
        given = yaml.safe_load(overrides) if overrides else {}
    except yaml.YAMLError as error:
        raise ValueError(
            f"the options are not readable as yaml: {overrides!r}"
        ) from error
    if not isinstance(given, dict):
        raise ValueError(
            f"{overrides!r} is no option; write --key value after the yaml"
        )
    for key, value in given.items():
        if value is None:
            raise ValueError(f"--{key} has no value; write --{key} VALUE")


def _explained(error: Exception, file: Path, text: str) -> str:
    """HyperPyYAML's errors in the words of a command line."""
    message = str(error.args[0]) if error.args else str(error)
    unknown = re.match(r"Override '(\w+)' not found", message)
    if unknown:
        keys = re.findall(r"^(\w+):", text, flags=re.MULTILINE)
        return f"unknown option --{_hint(unknown[1], keys)} ({file})"
    missing = re.match(r"'(\w+)' is a !PLACEHOLDER", message)
    if missing:
        return f"{missing[1]} is not given; add --{missing[1]} VALUE ({file})"
    return f"{file}: {message}"


def _hint(key: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(key, sorted(known), n=1)
    return f"{key}; did you mean {close[0]}?" if close else key
