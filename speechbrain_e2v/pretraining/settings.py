"""What a run's weights depend on: kept in checkpoints, compared on resuming.

A run that goes on with another learning rate, seed or corpus is neither the
old run nor a new one, and nothing in its output would say so.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch
import yaml
from speechbrain.utils.checkpoints import (
    Checkpoint,
    mark_as_loader,
    mark_as_saver,
    register_checkpoint_hooks,
)
from speechbrain.utils.distributed import (
    if_main_process,
    is_distributed_initialized,
)
from speechbrain.utils.logger import get_logger

from speechbrain_e2v.console import progress_bar
from speechbrain_e2v.corpora.utterance import Utterance
from speechbrain_e2v.files.digest import file_sha256, sampled_sha256
from speechbrain_e2v.files.documents import read_json
from speechbrain_e2v.published.load import weights_file
from speechbrain_e2v.published.state_dict_check import check_state
from speechbrain_e2v.training.experiment import Experiment

logger = get_logger(__name__)

WITHOUT_EFFECT = {
    "allow_changed",
    "checkpointer",
    "ckpt_interval_minutes",
    "ckpt_interval_steps",
    "collapse",
    "data_root",
    "device",
    "epoch_counter",
    "log_interval",
    "manifests",  # by their content, below
    "max_bad_share",
    "modules",
    "nonfinite_patience",
    "noprogressbar",
    "num_workers",
    "optimizer_step_limit",
    "output_folder",
    "save_folder",
    "target_cache",
    "train_logger",
    "valid_manifests",
}
"""Keys of a yaml that change no weight: where, how often, how far."""

RUN_OPTIONS = (
    "grad_accumulation_factor",
    "max_grad_norm",
    "precision",
    "remove_vector_weight_decay",
    "skip_nonfinite_grads",
)
"""Options that may stand on the command line beside the yaml's keys."""

FIXED = {"opt_class", "remove_vector_weight_decay"}
"""The saved state of an optimizer fits no other value of these."""

START = "initialised_with"
AUDIO = "audio"
BRAIN = "brain"
ABSENT = "absent"
CLASS = "()"

Setting = str | float | bool | None


class SettingsChanged(ValueError):
    """A run was to go on with other settings or other data."""


@register_checkpoint_hooks
class RunSettings(dict[str, Setting]):
    """Settings by name; a file of every checkpoint."""

    @mark_as_saver
    def save(self, path: str | Path) -> None:
        """Write them as JSON; the main process does."""
        if if_main_process():
            Path(path).write_text(json.dumps(self, indent=1), "utf-8")

    @mark_as_loader
    def load(self, path: str | Path, end_of_epoch: bool) -> None:
        """Keep those of now, which were compared before a run went on."""


def run_settings(
    experiment: Experiment, utterances: Sequence[Utterance]
) -> RunSettings:
    """Every leaf of the resolved yaml that may change a weight, and the data.

    Names of nested leaves are joined by dots; a key of an object has its class
    for a value. Utterances count by id and length, their files by samples of
    their content (`sampled_sha256`), wherever they lie.
    """
    tree = yaml.load(experiment.resolved(), _Tagged)  # noqa: S506 (plain values)
    seen: set[int] = set()
    settings = RunSettings(
        (name, _plain(value))
        for key, branch in tree.items()
        if key not in WITHOUT_EFFECT and not key.startswith("__")
        for name, value in _leaves(key, branch, seen)
    )
    hparams, options = experiment.hparams, experiment.run_opts
    for name in RUN_OPTIONS:
        given = name in options.overridden_args or name not in hparams
        settings[name] = _plain(options[name] if given else hparams[name])
    ranks = is_distributed_initialized()
    settings["processes"] = torch.distributed.get_world_size() if ranks else 1
    settings["manifests"] = _content(utterances)
    if isinstance(hparams.get("teacher"), str):  # wherever it lies
        found = file_sha256(weights_file(hparams["teacher"]))
        settings["teacher"] = f"weights of SHA-256 {found}"
    settings[AUDIO] = _audio(utterances, progress=not options.noprogressbar)
    return settings


def check_resumable(settings: RunSettings, hparams: Mapping[str, Any]) -> None:
    """Compare with the checkpoint that a run would go on from, if any.

    SettingsChanged names each difference that `allow_changed` does not, with
    old and new value; ValueError each tensor of another shape.
    """
    newest = hparams["checkpointer"].find_whole()
    if newest is None:
        return
    other_shapes = _other_shapes(newest, hparams["modules"])
    file = newest.paramfiles.get("settings")
    if file is None:
        logger.warning(
            "%s was written by an earlier version, without its settings: they "
            "cannot be compared.",
            newest.path,
        )
        settings[START] = None
    else:
        old = read_json(file, dict[str, Setting])
        for name in {AUDIO, BRAIN} & {*settings}:  # early versions did not
            old.setdefault(name, settings[name])
        allowed = _names(hparams.get("allow_changed"))
        unknown = sorted(allowed - {*old, *settings})
        if unknown:
            raise ValueError(
                f"allow_changed names {', '.join(unknown)}, which is no "
                "setting; without it, those that differ are named"
            )
        fixed = {*old, *settings} if other_shapes else FIXED
        _compare(old, settings, allowed - fixed, fixed, newest)
        settings[START] = old.get(START)
    if other_shapes:
        raise other_shapes


def _other_shapes(
    newest: Checkpoint, modules: Mapping[str, torch.nn.Module]
) -> ValueError | None:
    for name, module in modules.items():
        path = newest.paramfiles.get(name)
        if path is None:
            return ValueError(f"{newest.path} holds no {name}")
        state = torch.load(
            path, map_location="cpu", weights_only=True, mmap=True
        )
        try:
            check_state(module, state, path)
        except ValueError as error:
            return error
    return None


def _compare(
    old: Mapping[str, Setting],
    new: Mapping[str, Setting],
    allowed: set[str],
    fixed: set[str],
    checkpoint: Checkpoint,
) -> None:
    told: set[tuple[Setting, Setting]] = set()
    refused = {}
    for name in dict.fromkeys([*new, *old]):
        was, is_now = old.get(name, ABSENT), new.get(name, ABSENT)
        if was == is_now or name == START:
            continue
        if "." in name and (was, is_now) in told:  # it refers to that key
            continue
        told.add((was, is_now))
        change = f"{name} {_shown(was)} -> {_shown(is_now)}"
        if name in allowed:
            logger.warning("Goes on with %s", change)
        else:
            refused[name] = change
    if not refused:
        return
    way_out = "give the old values or another output_folder"
    if not fixed & {*refused}:
        way_out += f", or --allow_changed {','.join(refused)} to go on"
    raise SettingsChanged(
        f"{checkpoint.path} was trained with other settings: "
        f"{', '.join(refused.values())}; {way_out}"
    )


def _shown(value: Setting) -> str:
    whole = isinstance(value, float) and value.is_integer()
    return str(int(value) if whole else value)  # type: ignore[arg-type]


def _names(allowed: str | Iterable[str] | None) -> set[str]:
    if isinstance(allowed, str):
        return set(allowed.replace(",", " ").split())
    return set(allowed or ())


class _Tagged(yaml.SafeLoader):
    """Plain values; a tag such as !new:x.Y becomes an entry of its own."""


def _tagged(loader: _Tagged, tag: str, node: yaml.Node) -> Any:
    made_of = tag.partition(":")[2]
    if isinstance(node, yaml.MappingNode):
        return {CLASS: made_of, **loader.construct_mapping(node, deep=True)}
    if isinstance(node, yaml.SequenceNode):
        return [made_of, *loader.construct_sequence(node, deep=True)]
    return f"{made_of} {node.value}".strip()


_Tagged.add_multi_constructor("!", _tagged)


def _leaves(name: str, value: Any, seen: set[int]) -> Iterator[tuple[str, Any]]:
    if not isinstance(value, dict):
        yield name, value
        return
    if id(value) in seen:  # another key's object
        return
    seen.add(id(value))
    for key, inner in value.items():
        inner_name = name if key == CLASS else f"{name}.{key}"
        yield from _leaves(inner_name, inner, seen)


def _plain(value: Any) -> Setting:
    """1e-3 and 0.001 are the same; infinity is text, which JSON knows."""
    if value is None or isinstance(value, bool):
        return value
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    try:
        number = float(text.replace(".inf", "inf"))
    except ValueError:
        return text
    return number if abs(number) < float("inf") else text.lstrip(".")


def _content(utterances: Sequence[Utterance]) -> str:
    digest = hashlib.sha256()
    for u in utterances:
        what = (u.id, u.start, u.stop, u.num_samples, u.sample_rate)
        digest.update(repr(what).encode())
    return f"{len(utterances)} utterances ({digest.hexdigest()[:12]})"


def _audio(utterances: Sequence[Utterance], progress: bool) -> str:
    paths = list(dict.fromkeys(u.wav for u in utterances))
    digest = hashlib.sha256()
    # Threads hide the waiting for a disk.
    with ThreadPoolExecutor() as pool:
        for found in progress_bar(
            pool.map(sampled_sha256, paths),
            total=len(paths),
            desc="audio content",
            unit="file",
            disable=not (progress and if_main_process()),
        ):
            digest.update(found.encode())
    return f"{len(paths)} files ({digest.hexdigest()[:12]})"
