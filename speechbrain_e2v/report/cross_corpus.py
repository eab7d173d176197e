"""Tables of scores across corpora: rows train, columns are tested."""

from collections.abc import Iterable, Sequence

from speechbrain_e2v.downstream.cross_corpus.run import Score
from speechbrain_e2v.metrics import SCORES
from speechbrain_e2v.report.caveats import NOTHING
from speechbrain_e2v.report.formats import Table, single_line

MATRIX_SCORE = "ua"
"""What matrices show: chance is the same for every corpus."""


def cross_corpus_page(scores: Sequence[Score], classes: Sequence[str]) -> str:
    """Markdown: what was done, a matrix an upstream and condition, floors."""
    tests = _tests(scores)
    lines = [
        "# Across corpora",
        "",
        f"{MATRIX_SCORE.upper()} in percent [95 %, speakers drawn again]. Rows "
        "train, columns are tested; the same classes everywhere: "
        f"{', '.join(map(single_line, classes))}. No speaker is in two parts; "
        "inside a corpus whole speakers are held out. `+ k a class`: up to k "
        "utterances of each class of the corpus tested train too, of speakers "
        "that are not tested. Logistic regression on utterance means, its "
        "penalty chosen on held-out speakers of the training corpora.",
        "",
        "## Floors",
        "",
        _floors(scores, tests).markdown(),
    ]
    for upstream, condition in _groups(scores):
        here = [
            s
            for s in scores
            if (s.upstream, s.condition.name) == (upstream, condition)
        ]
        words = here[0].condition.words
        lines += [
            "",
            f"## {single_line(upstream)}{words}",
            "",
            matrix(here, tests).markdown(),
        ]
    lines += ["", "## Marks", ""]
    marks = dict.fromkeys(
        f"* {single_line(s.cell.test)}, {single_line(s.upstream)}: "
        f"{single_line(mark)}"
        for s in scores
        for mark in s.results["protocol"]["marks"]
    )
    return "\n".join([*lines, *marks]) + "\n"


def matrix(scores: Iterable[Score], tests: Sequence[str]) -> Table:
    """One upstream and condition: UA and its interval."""
    cells: dict[str, dict[str, str]] = {}
    for score in scores:
        cells.setdefault(score.cell.row, {})[score.cell.test] = _cell(score)
    rows = tuple(
        (row, *(found.get(test, NOTHING) for test in tests))
        for row, found in cells.items()
    )
    return Table(("trained on", *tests), _in_order(rows))


def scores_table(scores: Iterable[Score]) -> Table:
    """One line a cell, every score: for a spreadsheet."""
    header = ["upstream", "standardised", "speaker_directions", "train",
              "shots_a_class", "test", "folds", "utterances"]  # fmt: skip
    for name in SCORES:
        header += [name, f"{name}_low95", f"{name}_high95"]
        header += [f"{name}_constant", f"{name}_prior"]
    lines = []
    for score in scores:
        results, cell = score.results, score.cell
        line = [score.upstream, score.condition.standardised,
                score.condition.speaker_directions, cell.train,
                str(cell.shots), cell.test, str(len(cell.folds)),
                str(results["n_predictions"])]  # fmt: skip
        for name in SCORES:
            low, high = (results["interval95"] or {}).get(name, (None, None))
            floors = [results["floors"][f][name] for f in ("constant", "prior")]
            line += [
                "" if value is None else f"{value:.2f}"
                for value in (results["pooled"][name], low, high, *floors)
            ]
        lines.append(
            (*line, results["calibration"]["ece"], "; ".join(_marks(results)))
        )
    rows = tuple((*line[:-2], f"{line[-2]:.2f}", line[-1]) for line in lines)
    return Table((*header, "ece", "marks"), rows)


def _floors(scores: Sequence[Score], tests: Sequence[str]) -> Table:
    found = {s.cell.test: s.results["floors"] for s in scores}
    rows = tuple(
        (name, *(f"{found[test][name][MATRIX_SCORE]:.2f}" for test in tests))
        for name in ("constant", "prior")
    )
    return Table(("hears nothing", *tests), rows)


def _cell(score: Score) -> str:
    text = f"{score.results['pooled'][MATRIX_SCORE]:.2f}"
    interval = score.results["interval95"]
    if interval is None:
        return text
    low, high = interval[MATRIX_SCORE]
    return f"{text} [{low:.1f}, {high:.1f}]"


def _marks(results: dict) -> list[str]:
    return results["protocol"]["marks"]


def _tests(scores: Iterable[Score]) -> list[str]:
    return list(dict.fromkeys(s.cell.test for s in scores))


def _groups(scores: Iterable[Score]) -> list[tuple[str, str]]:
    return list(dict.fromkeys((s.upstream, s.condition.name) for s in scores))


def _in_order(rows: tuple[tuple[str, ...], ...]) -> tuple[tuple[str, ...], ...]:
    """Fuller rows first: shots and leftovers come behind the corpora."""
    return tuple(sorted(rows, key=lambda row: " + " in row[0]))
