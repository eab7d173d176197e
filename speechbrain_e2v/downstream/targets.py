"""What is predicted: classes of utterances, or their ratings.

Cross-validation and ``results.json`` are the same for both; what differs is
behind this protocol. :class:`ClassTargets` and :class:`RatingTargets` are it.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

import torch

Scores = dict[str, float]
Intervals = dict[str, list[float]]


class Targets(Protocol):
    """Names of the outputs, the truth, and how well a prediction fits it."""

    trainer_key: str
    """Of yaml and ``results.json``: ``classifier`` or ``regressor``."""
    names_key: str
    """Of ``probe.json``: ``classes`` or ``targets``."""
    names: tuple[str, ...]
    truth: dict
    """Utterance id to class index, or to a list of ratings."""

    def entries(self, tested: Sequence[str], outputs: torch.Tensor) -> dict:
        """``reference``, ``predicted`` and more, for ``result.json``."""

    def scores(self, reference: Sequence, predicted: Sequence) -> Scores:
        """Every score of some utterances."""

    def intervals(
        self, reference: Sequence, predicted: Sequence, speakers: Sequence[str]
    ) -> Intervals | None:
        """95 % of each score; ``None`` for fewer than two speakers."""

    def speaker_scores(
        self, reference: Sequence, predicted: Sequence, speakers: Sequence[str]
    ) -> dict[str, list[float]]:
        """Of each speaker, what makes sense of one's few utterances."""

    def counts(self, first: list[dict], runs: list[dict]) -> dict:
        """What ``results.json`` says of the runs of one seed and of all."""

    def detail_lines(self, results: Mapping) -> list[str]:
        """What the terminal says of ``counts`` below the scores."""

    def decimals(self, score: str) -> int:
        """Digits to show of a score."""

    def columns(self) -> list[str]:
        """Of ``predictions.csv``, behind those of the utterance."""

    def rows(self, run: Mapping) -> Iterator[list]:
        """Cells of each test utterance, in the order of ``columns``."""
