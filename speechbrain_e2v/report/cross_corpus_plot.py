"""The picture of scores across corpora: one panel an upstream."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from speechbrain_e2v.downstream.cross_corpus.run import Score
from speechbrain_e2v.files.atomic import replaced_file
from speechbrain_e2v.report.cross_corpus import MATRIX_SCORE
from speechbrain_e2v.report.formats import single_line


def plot_heat_map(path: str | Path, scores: Sequence[Score]) -> Path:
    """Draw the scores of one condition into a ``.png``; rows train.

    The colours go from chance to the best score; the same scores make the
    same bytes.
    """
    from matplotlib.figure import Figure

    upstreams = list(dict.fromkeys(s.upstream for s in scores))
    rows = list(dict.fromkeys(s.cell.row for s in scores))
    rows.sort(key=lambda row: " + " in row)
    tests = list(dict.fromkeys(s.cell.test for s in scores))
    values = np.full((len(upstreams), len(rows), len(tests)), np.nan)
    for score in scores:
        place = (
            upstreams.index(score.upstream),
            rows.index(score.cell.row),
            tests.index(score.cell.test),
        )
        values[place] = score.results["pooled"][MATRIX_SCORE]
    chance = 100 / len(scores[0].results["classes"])
    width = 1.6 + 1.0 * len(tests) * len(upstreams) + 1.2
    figure = Figure(
        figsize=(max(5.0, width), 1.8 + 0.42 * len(rows)), layout="constrained"
    )
    panels = figure.subplots(1, len(upstreams), sharey=True, squeeze=False)[0]
    top = max(np.nanmax(values), chance + 1)
    for axes, name, table in zip(panels, upstreams, values, strict=True):
        image = axes.imshow(
            table, cmap="Blues", vmin=chance, vmax=top, aspect="auto"
        )
        for (i, j), value in np.ndenumerate(table):
            if np.isfinite(value):
                dark = value > chance + 0.55 * (top - chance)
                axes.text(
                    j,
                    i,
                    f"{value:.0f}",
                    ha="center",
                    va="center",
                    fontsize=9,
                    color="white" if dark else "black",
                )
        shown = [single_line(test) for test in tests]
        axes.set_xticks(range(len(tests)), shown, rotation=35, ha="right")
        axes.set_title(single_line(name), fontsize=10)
        axes.set_xlabel("tested")
    panels[0].set_yticks(range(len(rows)), [single_line(r) for r in rows])
    panels[0].set_ylabel("trained on")
    title = f"{MATRIX_SCORE.upper()} in percent; chance {chance:.0f}"
    figure.colorbar(image, ax=list(panels), label=title, shrink=0.9)
    words = scores[0].condition.words.removeprefix(", ")
    if words:
        figure.suptitle(words, fontsize=10)
    with replaced_file(path) as unfinished:
        figure.savefig(unfinished, dpi=130, metadata={"Software": None})
    return Path(path)
