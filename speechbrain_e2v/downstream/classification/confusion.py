"""The picture of a confusion matrix."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from speechbrain_e2v.files.atomic import replaced_file


def plot_confusion(
    path: str | Path, confusion: ArrayLike, classes: Sequence[str], title: str
) -> Path:
    """Draw counts and row percentages into a ``.png``.

    ``confusion`` is [C, C]: row = class of the reference, column =
    prediction; ``title`` may have several lines.

    >>> path = getfixture("tmp_path") / "confusion.png"
    >>> _ = plot_confusion(path, [[3, 1], [0, 2]], ("a", "b"), "t")
    >>> path.read_bytes()[1:4]
    b'PNG'
    """
    # The object interface: no window system, no global state.
    from matplotlib.figure import Figure

    confusion = np.asarray(confusion)
    rows = confusion.sum(axis=1, keepdims=True)
    share = 100 * confusion / np.maximum(rows, 1)
    side = 2.2 + 0.85 * len(classes)
    figure = Figure(figsize=(side + 1.0, side), layout="constrained")
    axes = figure.add_subplot()
    image = axes.imshow(share, cmap="Blues", vmin=0, vmax=100)
    for (i, j), count in np.ndenumerate(confusion):
        axes.text(
            j,
            i,
            f"{count}\n{share[i, j]:.0f} %",
            ha="center",
            va="center",
            fontsize=9,
            color="white" if share[i, j] > 55 else "black",
        )
    ticks = range(len(classes))
    axes.set_xticks(ticks, classes, rotation=35, ha="right")
    labels = [f"{c} ({n})" for c, n in zip(classes, rows[:, 0], strict=True)]
    axes.set_yticks(ticks, labels)
    axes.set_xlabel("predicted")
    axes.set_ylabel("reference (utterances)")
    axes.set_title(title, fontsize=10)
    figure.colorbar(image, label="% of the reference class", shrink=0.8)
    with replaced_file(path) as unfinished:
        figure.savefig(unfinished, dpi=130)
    return Path(path)
