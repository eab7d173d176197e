"""Does a score beat what is reached for nothing?"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from speechbrain_e2v.report.floors import experiments, predictions_of
from speechbrain_e2v.report.predictions import Predictions
from speechbrain_e2v.report.rows import (
    CONSTANT,
    MFCC,
    PRIOR,
    ResultRow,
    in_order,
)
from speechbrain_e2v.report.significance import (
    holm,
    mcnemar,
    paired_difference,
    paired_rating_difference,
)
from speechbrain_e2v.report.tables import main_metric
from speechbrain_e2v.report.verdict import FloorTest

_OF_RATINGS = ("ccc", "mae")


def with_tests(
    rows: Iterable[ResultRow], metric: str = "auto"
) -> list[ResultRow]:
    """Every row with its tests against floors, those of one table.

    A row is tested against the best other floor of its corpus, protocol and
    task, and against the constant and the MFCC statistics, all that are there;
    the constant and the prior themselves are not. The score of a
    classification is that of :func:`main_metric`; of ratings CCC and error,
    means over what is rated. p values are corrected by Holm for all rows, each
    of the three questions apart. Rows without predictions have no test.

    Raises ValueError where two rows are not of the same utterances.
    """
    rows = in_order(rows)
    found: list[tuple[ResultRow, FloorTest]] = []
    for some in experiments(rows):
        read = {id(row): predictions_of(row) for row in some}
        there = [row for row in some if read[id(row)] is not None]
        for row in there:
            if row.floor in (CONSTANT, PRIOR):
                continue
            for score in _scores(row, metric):
                found += [
                    (row, _tested(row, floor, best, score, read))
                    for floor, best in _references(row, there, score)
                ]
    tests = _corrected([test for _, test in found])
    each: dict[int, list[FloorTest]] = {}
    for (row, _), test in zip(found, tests, strict=True):
        each.setdefault(id(row), []).append(test)
    return [replace(r, tests=tuple(each.get(id(r), ()))) for r in rows]


def _scores(row: ResultRow, metric: str) -> Sequence[str]:
    if row.scales:
        return _OF_RATINGS
    return (main_metric(row.corpus, row.protocol, metric),)


def _references(
    row: ResultRow, rows: Sequence[ResultRow], score: str
) -> Iterator[tuple[ResultRow, bool]]:
    """The floors that a row is tested against, and whether one is the best.

    Of two runs of one floor the better one counts.
    """
    sign = -1 if score == "mae" else 1
    floors = sorted(
        (r for r in rows if r.floor is not None and r is not row),
        key=lambda r: sign * r.pooled[score],
        reverse=True,
    )
    named: set[str | None] = set()
    for place, floor in enumerate(floors):
        if place == 0 or (
            floor.floor in (CONSTANT, MFCC) and floor.floor not in named
        ):
            yield floor, place == 0
        named.add(floor.floor)


def _tested(
    row: ResultRow,
    floor: ResultRow,
    is_best: bool,
    score: str,
    read: dict[int, Predictions | None],
) -> FloorTest:
    """Not corrected yet."""
    ours, theirs = read[id(row)], read[id(floor)]
    assert ours is not None and theirs is not None
    test = None
    if row.scales:
        difference = paired_rating_difference(ours, theirs, row.scales, score)
    else:
        difference = paired_difference(ours, theirs, score)
        test = mcnemar(ours, theirs)
    return FloorTest(
        floor=str(floor.floor),
        is_best=is_best,
        score=score,
        difference=difference,
        mcnemar=test,
        p_speakers=difference.p,
        p_utterances=None if test is None else test.p,
    )


def _corrected(tests: Sequence[FloorTest]) -> list[FloorTest]:
    """By Holm: tests against the best floor, the constant, the MFCCs apart."""
    found = list(tests)
    questions = ["best" if test.is_best else test.floor for test in tests]
    for question in dict.fromkeys(questions):
        places = [i for i, asked in enumerate(questions) if asked == question]
        speakers = holm([tests[i].p_speakers for i in places])
        for i, p in zip(places, speakers, strict=True):
            found[i] = replace(found[i], p_speakers=p)
        counted = {
            i: value
            for i in places
            if (value := tests[i].p_utterances) is not None
        }
        utterances = holm(list(counted.values()))
        for i, p in zip(counted, utterances, strict=True):
            found[i] = replace(found[i], p_utterances=p)
    return found
