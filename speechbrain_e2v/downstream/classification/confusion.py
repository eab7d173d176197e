"""The picture of a confusion matrix."""

import os
from pathlib import Path

import numpy as np


def plot_confusion(path, confusion, classes, title):
    """Draw counts and row percentages.

    Arguments
    ---------
    path : str or Path
        The ``.png`` file, written whole or not at all.
    confusion : array of int
        [C, C]: row = class of the reference, column = prediction.
    classes : sequence of str
        Class names in order.
    title : str
        May have several lines.

    Returns
    -------
    Path

    Example
    -------
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
    path = Path(path)
    temporary = path.with_name(f".{path.name}.tmp.png")
    figure.savefig(temporary, dpi=130)
    os.replace(temporary, path)
    return path
