"""What a test against a floor says, in words."""

from dataclasses import dataclass

from speechbrain_e2v.report.significance import McNemar, PairedDifference

_SAID = {
    "constant": "a constant",
    "prior": "the class prior",
    "random encoder": "a random encoder",
}
LEVEL = 0.02
"""Two-sided: of what is no better than a floor, one in a hundred seems so."""


@dataclass(frozen=True)
class FloorTest:
    """A row's score against one floor's, on the same utterances.

    ``p_speakers`` and ``p_utterances`` are those of ``difference`` and
    ``mcnemar``, corrected by Holm in a table; ratings are not right or wrong,
    and have no test of utterances.
    """

    floor: str
    is_best: bool  # of the floors of this corpus and protocol
    score: str
    difference: PairedDifference
    mcnemar: McNemar | None
    p_speakers: float
    p_utterances: float | None

    @property
    def verdict(self) -> str:
        """``better than``, ``not better than`` a floor, or that it is unclear.

        Better is what is so by speakers, and where utterances are what is
        scored by these too, after the correction; not better what is not so
        even before it. Of few speakers no swap can be rare: where p is as small
        as it can be, and still too large, nothing is said against the row.
        """
        floor = _SAID.get(self.floor, self.floor)
        counted = self.mcnemar if self.score == "wa" else None
        found = self.difference
        seems = found.difference > 0 and (counted is None or counted.p <= LEVEL)
        if seems and found.p > LEVEL:
            least = 2.0 ** (1 - found.speakers)
            if found.p <= least * (1 + 1e-9):
                return "too few speakers to tell"
        if not seems or found.p > LEVEL:
            return f"not better than {floor}"
        by_utterances = self.p_utterances if counted else None
        if max(self.p_speakers, by_utterances or 0.0) > LEVEL:
            return "unclear among so many tests"
        return f"better than {floor}"
