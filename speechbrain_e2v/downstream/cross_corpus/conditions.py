"""The ways in which vectors are treated before a classifier sees them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import product

from speechbrain_e2v.downstream.classification.logistic import LogisticTrainer
from speechbrain_e2v.downstream.cross_corpus.speaker_directions import (
    SpeakerBlindTrainer,
)
from speechbrain_e2v.downstream.cross_corpus.vectors import EACH_CORPUS

KEPT, REMOVED = "kept", "removed"
SPEAKER_DIRECTIONS = (KEPT, REMOVED)


@dataclass(frozen=True)
class Condition:
    """How features are standardised, and whether speakers are projected out.

    >>> Condition("corpus", "removed").name
    'corpus-removed'
    >>> Condition("training", "kept").words
    ''
    """

    standardised: str
    speaker_directions: str

    @property
    def name(self) -> str:
        """Of a folder or file."""
        return f"{self.standardised}-{self.speaker_directions}"

    @property
    def words(self) -> str:
        """What is unusual, for a protocol's name."""
        said = []
        if self.standardised == EACH_CORPUS:
            said.append("each corpus standardised")
        if self.speaker_directions == REMOVED:
            said.append("speaker directions removed")
        return "".join(f", {words}" for words in said)

    def trainer(
        self, speakers: Mapping[str, str]
    ) -> LogisticTrainer | SpeakerBlindTrainer:
        """The classifier of this condition."""
        plain = LogisticTrainer()
        if self.speaker_directions == REMOVED:
            return SpeakerBlindTrainer(plain, speakers)
        return plain


def conditions(
    standardised: Iterable[str], speaker_directions: Iterable[str]
) -> list[Condition]:
    """Every combination, each once.

    >>> len(conditions(["training", "corpus"], ["kept", "kept"]))
    2
    """
    pairs = product(
        dict.fromkeys(standardised), dict.fromkeys(speaker_directions)
    )
    return [Condition(*pair) for pair in pairs]
