"""Run options: checked and converted before a Brain is built from them."""

import dataclasses
import math
from collections.abc import Callable, Mapping
from numbers import Real
from typing import Any

from speechbrain.utils.run_opts import RunOptions

from speechbrain_e2v.training.checkpointing import AtomicCheckpointer

INTEGERS = {
    "grad_accumulation_factor": 1,
    "optimizer_step_limit": 1,
    "nonfinite_patience": 0,
    "ckpt_interval_steps": 0,
}
"""Whole-number options and their smallest allowed value."""

REALS = ("max_grad_norm", "ckpt_interval_minutes")


def checked_options(
    hparams: Mapping[str, Any] | None,
    run_opts: RunOptions | Mapping[str, Any] | None,
    checkpointer: object = None,
) -> tuple[dict[str, Any], RunOptions]:
    """Check what a Brain is built from; SpeechBrain checks little of it.

    Precedence stays SpeechBrain's: command line, then yaml, then default.
    Numbers that arrive as strings (``--optimizer_step_limit 100`` is ``'100'``,
    a yaml ``1e2`` is ``'1e2'``) are converted, in copies of both.

    Raises ValueError when an option cannot work, is missing, or contradicts
    another one; TypeError when the checkpointer is of the stock class.

    >>> yaml = {"seed": 1986, "optimizer_step_limit": "100"}
    >>> hparams, _ = checked_options(yaml, None)
    >>> hparams["optimizer_step_limit"]
    100
    """
    yaml = dict(hparams or {})
    if isinstance(run_opts, RunOptions):
        given = run_opts
    else:
        given = RunOptions.from_dictionary(dict(run_opts or {}))
    _refuse_merged(yaml)
    if "seed" not in yaml:
        raise ValueError(
            "hparams has no `seed`: dropout and masks are drawn from it; add "
            "`seed: 1986` to the yaml."
        )
    if not isinstance(checkpointer, AtomicCheckpointer | None):
        raise TypeError(
            f"The checkpointer is a {type(checkpointer).__name__}, which "
            "leaves broken checkpoints when killed while saving: use "
            "speechbrain_e2v.training.checkpointing.AtomicCheckpointer."
        )

    numeric = {*INTEGERS, *REALS}
    for name in numeric & {*yaml}:
        yaml[name] = _number(name, yaml[name])
    given = dataclasses.replace(
        given,
        **{
            name: _number(name, given[name])
            for name in numeric & given.overridden_args
        },
    )

    def value(name: str) -> Any:
        if name in given.overridden_args or name not in yaml:
            return given[name]
        return yaml[name]

    _refuse_values(value)
    _refuse_contradictions(value, checkpointer is not None)
    return yaml, given


def _refuse_merged(hparams: dict[str, Any]) -> None:
    # Such a merge replaces every yaml option by its default: bf16 trains as
    # fp32, accumulation 2 as 1, and nothing says so.
    if "overridden_args" in hparams:
        raise ValueError(
            "hparams contains the run options, so their defaults have replaced "
            "the yaml's values: remove `hparams.update(run_opts)` and pass "
            "hparams and run_opts to the Brain separately."
        )


def _number(name: str, value: Any) -> int | float | None:
    if value is None and name == "optimizer_step_limit":
        return None
    text = str(value).strip().lower().replace(".inf", "inf")
    convertible = isinstance(value, (str, Real)) and not isinstance(value, bool)
    try:
        number = float(text) if convertible else math.nan
    except ValueError:
        number = math.nan
    if math.isnan(number):
        raise ValueError(f"{name} is {value!r}: give a number.")
    if name in REALS:
        return number
    if not number.is_integer():
        raise ValueError(f"{name} is {value!r}: give a whole number.")
    return int(number)


def _refuse_values(value: Callable[[str], Any]) -> None:
    # SpeechBrain documents a negative value as "off", but the gradient is then
    # multiplied by a negative number and the model climbs; zero freezes it.
    if not value("max_grad_norm") > 0:
        raise ValueError(
            f"max_grad_norm is {value('max_grad_norm')}: zero or a negative "
            "value freezes or reverses training; give a positive norm, or "
            ".inf for no clipping."
        )
    for name, smallest in INTEGERS.items():
        if value(name) is not None and value(name) < smallest:
            raise ValueError(
                f"{name} is {value(name)}: give {smallest} or more."
            )
    if value("ckpt_interval_minutes") < 0:
        raise ValueError(
            f"ckpt_interval_minutes is {value('ckpt_interval_minutes')}: give "
            "0 (off) or more."
        )


def _refuse_contradictions(
    value: Callable[[str], Any], has_checkpointer: bool
) -> None:
    minutes = value("ckpt_interval_minutes")
    steps = value("ckpt_interval_steps")
    if minutes > 0 and steps > 0:
        raise ValueError(
            f"ckpt_interval_minutes is {minutes} and ckpt_interval_steps is "
            f"{steps}: set one of them to 0."
        )
    if (minutes > 0 or steps > 0) and not has_checkpointer:
        raise ValueError(
            f"ckpt_interval_minutes is {minutes} and ckpt_interval_steps is "
            f"{steps}, but there is no checkpointer: pass one to the Brain, or "
            "set both to 0."
        )
    for switch in ("compile", "jit"):
        keys = value(f"{switch}_module_keys")
        if keys and not value(switch):
            raise ValueError(
                f"{switch}_module_keys is {keys}, which does nothing without "
                f"`{switch}: True`: set it, or remove {switch}_module_keys."
            )
    if value("data_parallel_backend"):
        raise ValueError(
            "data_parallel_backend is True: gradients are only normalised over "
            "torchrun ranks; start with `torchrun --nproc-per-node=N` instead."
        )
