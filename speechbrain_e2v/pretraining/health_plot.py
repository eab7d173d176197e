"""A picture of a run's health log."""

import os
from pathlib import Path

import numpy as np

from speechbrain_e2v.pretraining.health_log import read_health


def plot_health(log, picture):
    """Draw losses, schedules, gradients, spreads, ranks and throughput.

    Arguments
    ---------
    log : str or Path
        Written by HealthLog.
    picture : str or Path
        A ``.png``, written whole or not at all.

    Returns
    -------
    Path
        The picture.

    Raises
    ------
    ValueError
        When the log is empty.

    Example
    -------
    >>> from speechbrain_e2v.pretraining.health_log import HealthLog
    >>> folder = getfixture("tmp_path")
    >>> log = HealthLog(folder / "health.jsonl")
    >>> log.append(1, {"loss": 2.0, "lr": 1e-4})
    >>> plot_health(log.path, folder / "health.png").read_bytes()[1:4]
    b'PNG'
    """
    lines = read_health(log)
    if not lines:
        raise ValueError(f"{log} has no lines: train for a logging interval.")
    updates = [line["update"] for line in lines]
    names = dict.fromkeys(name for line in lines for name in line)
    curves = {
        name: np.array([line.get(name) for line in lines], dtype=float)
        for name in names
    }

    def chosen(*prefixes):
        return {k: v for k, v in curves.items() if k.startswith(prefixes)}

    # A figure of its own, without pyplot: no display, no global state.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(15, 8), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(2, 3, sharex=True).ravel()
    _panel(panels[0], "loss", updates, chosen("loss"))
    _panel(panels[1], "learning rate, tau", updates, chosen("lr"))
    _right_axis(panels[1], updates, chosen("tau"))
    _panel(
        panels[2],
        "gradient norm, distance to teacher",
        updates,
        chosen("grad_norm"),
        "log",
    )
    _right_axis(panels[2], updates, chosen("teacher_distance"))
    _panel(
        panels[3],
        "standard deviation, spread",
        updates,
        chosen("std_", "spread_"),
        "symlog",  # the released utterance target's spread is 0
    )
    _panel(panels[4], "effective rank", updates, chosen("rank_"))
    _panel(panels[5], "throughput", updates, chosen("speech_hours_per_hour"))
    for panel in (panels[0], panels[4], panels[5]):
        panel.set_ylim(bottom=0)
    for panel in panels[3:]:
        panel.set_xlabel("update")
    figure.suptitle(f"{Path(log).parent.name}: {updates[-1]} updates")

    picture = Path(picture)
    picture.parent.mkdir(parents=True, exist_ok=True)
    temporary = picture.with_name(f".{picture.name}.{os.getpid()}.tmp")
    figure.savefig(temporary, format="png", dpi=100)
    os.replace(temporary, picture)
    return picture


def _panel(panel, title, updates, curves, scale="linear"):
    panel.set_title(title)
    panel.grid(alpha=0.3)
    for name, values in curves.items():
        panel.plot(updates, values, label=_label(name), marker=_marker(updates))
    if scale == "symlog":
        panel.set_yscale("symlog", linthresh=1e-3)
    elif any((values > 0).any() for values in curves.values()):
        panel.set_yscale(scale)
    if curves:
        panel.legend(fontsize="small", loc="best")


def _right_axis(panel, updates, curves):
    if not curves:
        return
    right = panel.twinx()
    for name, values in curves.items():
        right.plot(
            updates,
            values,
            label=f"{_label(name)} (right)",
            color="tab:red",
            linestyle="--",
            marker=_marker(updates),
        )
    right.legend(fontsize="small", loc="center right")


def _label(name):
    return name.replace("_", " ")


def _marker(updates):
    return "." if len(updates) < 30 else ""
