"""The picture of a timeline: waveform, posteriors as bands, segments.

What is finer than the picture is averaged to its columns first, so that it
takes as long for a second as for a day, and is as legible.
"""

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from speechbrain_e2v.files.atomic import replaced_file
from speechbrain_e2v.files.foreign_text import printable
from speechbrain_e2v.inference.timeline import Segment, Timeline
from speechbrain_e2v.published.head import read_labels

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
_SILENT = "#eeeeee"
_COLUMNS = 2000
_BARS = 400  # a bar for each segment, up to so many
_LETTER_INCHES = 0.085


def class_colours(classes: Sequence[str]) -> list[str]:
    """Give every class a colour; the nine of emotion2vec+ have their own.

    >>> class_colours(["sadness", "boredom"])
    ['#3569b0', '#2f9e8f']
    """
    ids = [read_labels([name])[0].id for name in classes]
    others = [name for name in ids if name not in _COLOURS]
    more = {name: _MORE[i % len(_MORE)] for i, name in enumerate(others)}
    return [_COLOURS.get(name) or more[name] for name in ids]


def plot_timeline(timeline: Timeline, path: str | Path) -> Path:
    """Draw a timeline as ``.png``, written whole or not at all."""
    # The object interface: no window system, no global state.
    from matplotlib.figure import Figure

    width = float(np.clip(timeline.seconds / 3, 10, 24))
    figure = Figure(figsize=(width, 5.2), layout="constrained")
    top, bottom = figure.subplots(
        2, 1, sharex=True, gridspec_kw={"height_ratios": [1, 2]}
    )
    segments = legible(timeline.segments, timeline.seconds)
    for axes in (top, bottom):
        pauses = [(s.start, s.end - s.start) for s in segments if s.silent]
        axes.broken_barh(
            pauses,
            (0, 1),
            color=_SILENT,
            zorder=0,
            transform=axes.get_xaxis_transform(),
        )
    _waveform(top, timeline)
    _bands(bottom, timeline)
    letter = timeline.seconds / width * _LETTER_INCHES
    _segments(bottom, segments, timeline.classes, letter)
    top.set_title(
        f"{printable(Path(timeline.source).name)}   windows of "
        f"{timeline.window:.4g} s every {timeline.hop:.4g} s",
        fontsize=10,
        parse_math=False,
    )
    with replaced_file(path) as unfinished:
        figure.savefig(unfinished, dpi=120)
    return Path(path)


def legible(segments: Sequence[Segment], seconds: float) -> list[Segment]:
    """Segments as they can be drawn: of many, the longest in each column.

    >>> many = [Segment(i, i + 0.9, "sad", 0.5) for i in range(600)]
    >>> many += [Segment(i + 0.9, i + 1, "happy", 0.5) for i in range(600)]
    >>> [(s.start, s.end, s.label) for s in legible(many, 600.0)]
    [(0.0, 600.0, 'sad')]
    """
    if len(segments) <= _BARS:
        return list(segments)
    kinds = list({(s.label, s.confidence is None): None for s in segments})
    step = seconds / _BARS
    shares = np.zeros((_BARS, len(kinds)))
    for s in segments:
        first, last = int(s.start / step), min(int(s.end / step) + 1, _BARS)
        edges = step * np.arange(first, last + 1)
        shared = np.minimum(edges[1:], s.end) - np.maximum(edges[:-1], s.start)
        kind = kinds.index((s.label, s.confidence is None))
        shares[first:last, kind] += np.maximum(shared, 0)
    best = shares.argmax(axis=1)
    found = []
    for kind, columns in groupby(range(_BARS), key=lambda i: int(best[i])):
        group = list(columns)
        label, silent = kinds[kind]
        start, end = step * group[0], step * (group[-1] + 1)
        found.append(Segment(start, end, label, None if silent else 1.0))
    return found


def _waveform(axes: "Axes", timeline: Timeline) -> None:
    envelope = timeline.envelope
    size = -(-len(envelope) // _COLUMNS)
    filled = np.pad(envelope, ((0, -len(envelope) % size), (0, 0)), "edge")
    groups = filled.reshape(-1, size, 2)
    low, high = groups[:, :, 0].min(axis=1), groups[:, :, 1].max(axis=1)
    times = np.linspace(0, timeline.seconds, len(low))
    axes.fill_between(times, low, high, color="#333333", linewidth=0.2)
    axes.set_ylabel("waveform")
    largest = max(float(np.abs(envelope).max()), 1e-4)
    axes.set_ylim(-1.05 * largest, 1.05 * largest)


def _bands(axes: "Axes", timeline: Timeline) -> None:
    cells = len(timeline.posteriors)
    starts = np.arange(0, cells, -(-cells // _COLUMNS))
    spoken = ~np.isnan(timeline.posteriors[:, 0])
    totals = np.add.reduceat(np.nan_to_num(timeline.posteriors), starts)
    counts = np.add.reduceat(spoken.astype(int), starts)
    columns = totals / np.maximum(counts, 1)[:, None]
    edges = np.append(starts * timeline.hop, timeline.seconds)
    floor = np.zeros(len(starts))
    bands = []
    colours = class_colours(timeline.classes)
    for colour, column in zip(colours, columns.T, strict=True):
        ceiling = floor + column
        bands.append(
            axes.stairs(ceiling, edges, baseline=floor, fill=True, color=colour)
        )
        floor = ceiling
    axes.set_ylim(0, 1.18)
    axes.set_yticks([0, 0.5, 1])
    axes.set_xlim(0, timeline.seconds)
    axes.set_ylabel("posteriors")
    axes.set_xlabel("seconds")
    legend = axes.legend(
        bands,
        # A legend leaves out what begins with an underscore.
        [f" {printable(name)}" for name in timeline.classes],
        loc="center left",
        bbox_to_anchor=(1.0, 0.5),
        fontsize=9,
    )
    for text in legend.get_texts():
        text.set_parse_math(False)


def _segments(
    axes: "Axes",
    segments: Sequence[Segment],
    classes: Sequence[str],
    letter: float,
) -> None:
    """Draw a bar a segment, and its name where `letter` seconds each fit."""
    for name, colour in zip(classes, class_colours(classes), strict=True):
        mine = [s for s in segments if not s.silent and s.label == name]
        spans = [(s.start, s.end - s.start) for s in mine]
        axes.broken_barh(spans, (1.02, 0.13), color=colour)
        for s in mine:
            if s.end - s.start >= letter * len(name):
                axes.text(
                    (s.start + s.end) / 2,
                    1.085,
                    printable(name),
                    ha="center",
                    va="center",
                    fontsize=8,
                    clip_on=True,
                    parse_math=False,
                )
