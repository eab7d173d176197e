"""One JSON line per logging interval, consistent with the checkpoints."""

import json
import math
from pathlib import Path

from speechbrain_e2v.files.atomic import replace_text


class HealthLog:
    """Append-only log of a run's figures.

    Names that ``plot_health`` draws: ``loss`` and ``loss_*``; ``lr``; ``tau``;
    ``grad_norm``; ``std_*``, ``rank_*`` and ``spread_*``;
    ``teacher_distance``; ``speech_hours_per_hour``. Others are kept, too.

    Arguments
    ---------
    path : str or Path
        A ``.jsonl`` file.

    Example
    -------
    >>> log = HealthLog(getfixture("tmp_path") / "health.jsonl")
    >>> for update in (10, 20, 30):
    ...     log.append(update, {"loss": 1 / update})
    >>> log.resume(20)
    >>> [line["update"] for line in read_health(log.path)]
    [10, 20]
    """

    def __init__(self, path):
        self.path = Path(path)

    def append(self, update, figures):
        """Add a line.

        Arguments
        ---------
        update : int
        figures : dict of str to float
            Non-finite numbers are written as null, which JSON knows.
        """
        line = {"update": update}
        line.update({key: _plain(value) for key, value in figures.items()})
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with open(self.path, "a", encoding="utf-8", newline="\n") as file:
            file.write(json.dumps(line, allow_nan=False) + "\n")

    def resume(self, update):
        """Drop lines beyond the update a run resumes from.

        They will be written again; a line half written by a kill goes, too.

        Arguments
        ---------
        update : int
            0 for a run from the beginning.
        """
        if not self.path.exists():
            return
        kept = [x for x in read_health(self.path) if x["update"] <= update]
        replace_text(self.path, "".join(json.dumps(x) + "\n" for x in kept))


def read_health(path):
    """Read a health log, ignoring an unfinished last line.

    Arguments
    ---------
    path : str or Path

    Returns
    -------
    list of dict

    Raises
    ------
    ValueError
        When another line is no JSON object.

    Example
    -------
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
            lines.append(json.loads(text))
        except json.JSONDecodeError as error:
            raise ValueError(
                f"{path}, line {number} is no JSON: {text[:60]!r}. Remove the "
                "line, or the file to begin a new log."
            ) from error
    return lines


def _plain(value):
    if isinstance(value, int):
        return value
    value = float(value)
    return value if math.isfinite(value) else None
