"""What an experiment trains on: features of an encoder that stays as it is.

The counterpart is :class:`speechbrain_e2v.downstream.finetuning.corpus.\
TunableEncoder`, with which a task trains the encoder itself.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from speechbrain_e2v.corpora.utterance import Utterance
from speechbrain_e2v.downstream.feature_cache import cached_features
from speechbrain_e2v.downstream.upstreams import Upstream


class Store(Protocol):
    """What a trainer reads."""

    @property
    def digest(self) -> str:
        """Of all that its content depends on."""


class Inputs(Protocol):
    """Makes the store of an experiment."""

    name: str
    """In words, for ``results.json``."""
    keys: tuple[str, ...]
    """Top-level keys of a yaml that it reads."""
    ranks: bool
    """Whether several processes may train together."""

    def store(
        self,
        hparams: Mapping[str, Any],
        upstream: Upstream,
        utterances: Sequence[Utterance],
    ) -> Store:
        """What the trainer of the yaml gets."""


class FrozenFeatures:
    """Features computed once and read from the disk."""

    name = "frozen features"
    keys: tuple[str, ...] = ("feature_cache",)
    ranks = False

    def store(
        self,
        hparams: Mapping[str, Any],
        upstream: Upstream,
        utterances: Sequence[Utterance],
    ) -> Store:
        """The store of features below ``feature_cache``."""
        return cached_features(hparams["feature_cache"], upstream, utterances)
