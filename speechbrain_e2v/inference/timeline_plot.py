"""The picture of a timeline: waveform, posteriors as bands, segments."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from speechbrain_e2v.inference.timeline import Timeline

if TYPE_CHECKING:  # matplotlib is slow to import, and only a picture needs it
    from matplotlib.axes import Axes

_COLOURS = {
    "angry": "#c8352b",
    "disgusted": "#7b8b2a",
    "fearful": "#6a4fa3",
    "happy": "#f0a81c",
    "neutral": "#9aa3ab",
    "other": "#7f5f4b",
    "sad": "#3569b0",
    "surprised": "#d9679f",
    "unknown": "#cfcfcf",
}
_MORE = ("#2f9e8f", "#a6d16a", "#e07b39", "#5ec4dd", "#4d4d4d", "#b98ad1")


def class_colours(classes: Sequence[str]) -> list[str]:
    """Give every class a colour; the nine of emotion2vec+ have their own.

    >>> class_colours(["sad", "boredom"])
    ['#3569b0', '#2f9e8f']
    """
    others = [name for name in classes if name not in _COLOURS]
    more = {name: _MORE[i % len(_MORE)] for i, name in enumerate(others)}
    return [_COLOURS.get(name) or more[name] for name in classes]


def plot_timeline(timeline: Timeline, path: str | Path) -> Path:
    """Draw a timeline as ``.png``, written whole or not at all."""
    # The object interface: no window system, no global state.
    from matplotlib.figure import Figure

    width = float(np.clip(timeline.seconds / 3, 10, 24))
    figure = Figure(figsize=(width, 5.2), layout="constrained")
    top, bottom = figure.subplots(
        2, 1, sharex=True, gridspec_kw={"height_ratios": [1, 2]}
    )
    _waveform(top, timeline)
    _bands(bottom, timeline, width)
    top.set_title(
        f"{Path(timeline.source).name}   windows of {timeline.window:g} s "
        f"every {timeline.hop:g} s",
        fontsize=10,
    )
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp.png")
    try:
        figure.savefig(temporary, dpi=120)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    return path


def _waveform(axes: "Axes", timeline: Timeline) -> None:
    low, high = _thinned(timeline.envelope)
    times = np.linspace(0, timeline.seconds, len(low))
    axes.fill_between(times, low, high, color="#333333", linewidth=0.2)
    for segment in timeline.segments:
        if segment.silent:
            axes.axvspan(segment.start, segment.end, color="#eeeeee", zorder=0)
    axes.set_ylabel("waveform")
    largest = max(float(np.abs(timeline.envelope).max()), 1e-4)
    axes.set_ylim(-1.05 * largest, 1.05 * largest)


def _thinned(
    envelope: np.ndarray, points: int = 4000
) -> tuple[np.ndarray, np.ndarray]:
    """Keep the extremes of an hour drawable."""
    group = max(1, -(-len(envelope) // points))
    filled = np.pad(envelope, ((0, -len(envelope) % group), (0, 0)), "edge")
    groups = filled.reshape(-1, group, 2)
    return groups[:, :, 0].min(axis=1), groups[:, :, 1].max(axis=1)


def _bands(axes: "Axes", timeline: Timeline, width: float) -> None:
    colours = class_colours(timeline.classes)
    edges = np.arange(len(timeline.posteriors) + 1) * timeline.hop
    edges[-1] = timeline.seconds
    floor = np.zeros(len(timeline.posteriors))
    for name, colour, column in zip(
        timeline.classes, colours, timeline.posteriors.T, strict=True
    ):
        ceiling = floor + np.nan_to_num(column)
        axes.stairs(
            ceiling, edges, baseline=floor, fill=True, color=colour, label=name
        )
        floor = ceiling
    letter = 0.009 * timeline.seconds * 10 / width
    by_name = dict(zip(timeline.classes, colours, strict=True))
    for segment in timeline.segments:
        colour = by_name.get(segment.label, "#eeeeee")
        span = (segment.start, segment.end - segment.start)
        axes.broken_barh([span], (1.02, 0.13), color=colour)
        if segment.silent:
            axes.axvspan(segment.start, segment.end, color="#eeeeee", zorder=0)
        elif span[1] >= letter * len(segment.label):  # it fits
            axes.text(
                span[0] + span[1] / 2,
                1.085,
                segment.label,
                ha="center",
                va="center",
                fontsize=8,
                clip_on=True,
            )
    axes.set_ylim(0, 1.18)
    axes.set_yticks([0, 0.5, 1])
    axes.set_xlim(0, timeline.seconds)
    axes.set_ylabel("posteriors")
    axes.set_xlabel("seconds")
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=9)
