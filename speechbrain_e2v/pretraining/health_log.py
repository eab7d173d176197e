"""The figures of a run: one JSON line per logging interval, and a picture.

Names that are drawn: ``loss`` and ``loss_*``; ``lr``; ``tau``; ``grad_norm``;
``std_*``, ``rank_*`` and ``spread_*``; ``teacher_distance``;
``speech_hours_per_hour``; with ``valid_`` before it, what validation found.
Others are kept, too.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from speechbrain_e2v.files.atomic import replace_text, replaced_file
from speechbrain_e2v.pretraining.health import CollapseThresholds

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

VALID = "valid_"


class HealthLog:
    """A ``.jsonl`` file, consistent with the checkpoints.

    >>> log = HealthLog(getfixture("tmp_path") / "health.jsonl")
    >>> for update in (10, 20, 30):
    ...     log.append(update, {"loss": 1 / update})
    >>> log.resume(20)
    >>> log.add(20, {"valid_loss": 0.25})
    >>> read_health(log.path)[-1]
    {'update': 20, 'loss': 0.05, 'valid_loss': 0.25}
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)

    def append(self, update: int, figures: Mapping[str, float]) -> None:
        """Add a line. Non-finite numbers are written as null: JSON's way."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with open(self.path, "a", encoding="utf-8", newline="\n") as file:
            file.write(_line({"update": update} | _plain(figures)))

    def add(self, update: int, figures: Mapping[str, float]) -> None:
        """Add figures to the line of the last update, or as a line.

        What is validated twice, by a run that resumes just before it, stands
        there once.
        """
        lines = read_health(self.path) if self.path.exists() else []
        if lines and lines[-1]["update"] == update:
            lines[-1] |= _plain(figures)
            replace_text(self.path, "".join(map(_line, lines)))
        else:
            self.append(update, figures)

    def resume(self, update: int) -> None:
        """Drop lines beyond the update a run resumes from, 0 at the beginning.

        They will be written again; a line half written by a kill goes, too.
        """
        if self.path.exists():
            kept = [x for x in read_health(self.path) if x["update"] <= update]
            replace_text(self.path, "".join(map(_line, kept)))


def read_health(path: str | Path) -> list[dict]:
    """Read a health log, ignoring an unfinished last line.

    >>> path = getfixture("tmp_path") / "health.jsonl"
    >>> _ = path.write_text('{"update": 1, "loss": 2.5}\\n{"upda')
    >>> read_health(path)
    [{'update': 1, 'loss': 2.5}]
    """
    # A line counts once its end is on the disk.
    finished = Path(path).read_text(encoding="utf-8").split("\n")[:-1]
    lines = []
    for number, text in enumerate(finished, start=1):
        try:
            line = json.loads(text)
            if not isinstance(line["update"], int):
                raise TypeError
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise ValueError(
                f"{path}, line {number} is no JSON with an update: "
                f"{text[:60]!r}. Remove the line, or the file to begin a new "
                "log."
            ) from error
        lines.append(line)
    return lines


def _line(figures: Mapping[str, float | None]) -> str:
    return json.dumps(figures, allow_nan=False) + "\n"


def _plain(figures: Mapping[str, float]) -> dict[str, float | None]:
    return {
        name: value if math.isfinite(value) else None
        for name, value in figures.items()
    }


def plot_health(
    log: str | Path,
    picture: str | Path,
    thresholds: CollapseThresholds | None = None,
) -> Path:
    """Draw a log as a ``.png``; a ValueError when it is empty.

    >>> folder = getfixture("tmp_path")
    >>> log = HealthLog(folder / "health.jsonl")
    >>> log.append(1, {"loss": 2.0, "lr": 1e-4})
    >>> plot_health(log.path, folder / "health.png").read_bytes()[1:4]
    b'PNG'
    """
    lines = read_health(log)
    if not lines:
        raise ValueError(f"{log} has no lines: train for a logging interval.")
    # The folder of a run is often a seed: its parent says which run it is.
    name = "/".join(Path(log).absolute().parent.parts[-2:])
    with replaced_file(picture) as unfinished:
        health_figure(lines, name, thresholds).savefig(
            unfinished, format="png", dpi=100
        )
    return Path(picture)


def health_figure(
    lines: list[dict], name: str, thresholds: CollapseThresholds | None = None
) -> "Figure":
    """Losses, schedules, gradients, spreads, ranks and throughput of a run."""
    # A figure of its own, without pyplot: no display, no global state.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(15, 8), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(2, 3, sharex=True).ravel()
    curves = _Curves(lines)
    limits = asdict(thresholds) if thresholds else {}
    losses = curves.named("loss")
    if _same(curves, "loss", "loss_frame"):
        losses.remove("loss")  # it would hide under its only part
    curves.draw(panels[0], "loss", losses)
    curves.draw(panels[1], "learning rate", curves.named("lr"))
    curves.draw_right(panels[1], "tau")
    curves.draw(panels[2], "gradient norm", curves.named("grad_norm"))
    curves.draw_right(panels[2], "teacher_distance")
    curves.draw(
        panels[3],
        "standard deviation, spread",
        curves.named("std_", "spread_"),
        limits,
    )
    # The released utterance target's spread is 0.
    panels[3].set_yscale("symlog", linthresh=1e-3)
    panels[3].set_ylim(bottom=0)
    curves.draw(panels[4], "effective rank", curves.named("rank_"), limits)
    curves.draw(
        panels[5],
        "hours of speech an hour",
        curves.named("speech_hours_per_hour"),
    )
    if any(y > 0 for y in curves.of("grad_norm")[1]):
        panels[2].set_yscale("log")
    for panel in (panels[0], panels[4], panels[5]):
        panel.set_ylim(bottom=0)
    for panel in panels[3:]:
        panel.set_xlabel("update")
    figure.suptitle(f"{name}: {lines[-1]['update']} updates")
    return figure


class _Curves:
    """The figures of a log, and how they are drawn."""

    def __init__(self, lines: list[dict]):
        self.lines = lines
        self.names = list(dict.fromkeys(name for x in lines for name in x))

    def of(self, name: str) -> tuple[list[int], list[float]]:
        """Updates that have a figure, and the figure; NaN where it is null."""
        having = [line for line in self.lines if name in line]
        values = np.array([line[name] for line in having], dtype=float)
        return [line["update"] for line in having], values.tolist()

    def named(self, *prefixes: str) -> list[str]:
        prefixes += tuple(VALID + prefix for prefix in prefixes)
        return [name for name in self.names if name.startswith(prefixes)]

    def draw(
        self,
        panel: "Axes",
        title: str,
        names: list[str],
        limits: Mapping[str, float | None] = {},  # noqa: B006 (never changed)
    ) -> None:
        panel.set_ylabel(title)
        panel.grid(alpha=0.3)
        limited = False
        kinds = list(dict.fromkeys(n.removeprefix(VALID) for n in names))
        for name in names:
            kind = name.removeprefix(VALID)
            colour = f"C{kinds.index(kind)}"
            valid = name != kind
            self._plot(panel, name, colour, "--" if valid else "-", valid)
            limit = limits.get(kind)
            if limit is not None and not valid:
                panel.axhline(
                    limit,
                    color=colour,
                    linestyle=":",
                    # One entry of the legend is enough.
                    label="_limit" if limited else "collapse below",
                )
                limited = True
        if len(panel.get_lines()) > 1:
            panel.legend(
                # Above the panel: inside, it covers some curve of some run.
                loc="lower left",
                bbox_to_anchor=(0.0, 1.0),
                ncols=3,
                fontsize="small",
                frameon=False,
                borderaxespad=0.2,
            )

    def draw_right(self, panel: "Axes", name: str) -> None:
        if name in self.names:
            right = panel.twinx()
            right.set_ylabel(_label(name), color="tab:red")
            self._plot(right, name, "tab:red", "--", False)

    def _plot(
        self, panel: "Axes", name: str, colour: str, style: str, marked: bool
    ) -> None:
        updates, values = self.of(name)
        marker = "." if marked or len(updates) < 30 else ""
        panel.plot(
            updates,
            values,
            label=_label(name),
            color=colour,
            linestyle=style,
            marker=marker,
        )


def _same(curves: _Curves, name: str, other: str) -> bool:
    (_, one), (_, two) = curves.of(name), curves.of(other)
    return bool(one) and len(one) == len(two) and np.allclose(one, two, 0.01)


def _label(name: str) -> str:
    """The panel says what a curve is a loss, a deviation or a rank of."""
    kind = name.removeprefix(VALID)
    label = kind
    for prefix in ("loss_", "std_", "rank_"):
        label = label.removeprefix(prefix)
    label = {"loss": "total", "spread_utterance_target": "spread"}.get(
        label, label
    )
    label = label.replace("_", " ")
    return label if kind == name else f"{label}, validation"
