"""What a conversation network reads: chosen by name, fitted on training."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from speechbrain_e2v.downstream.conversation.batches import SampleTensors
from speechbrain_e2v.downstream.conversation.text import (
    Transcripts,
    count_pieces,
    encode_pieces,
    fit_pieces,
)
from speechbrain_e2v.downstream.conversation.vectors import (
    UtteranceVectors,
    fit_scaling,
)

MODALITIES = {
    "speech": "speech",
    "vectors": "speech",
    "bert": "text",
    "pieces": "text",
}


@dataclass(frozen=True)
class LoadedInputs:
    """By modality, speech first; the upstream of ``results.json``."""

    loaded: dict[str, UtteranceVectors | Transcripts]

    @property
    def modality(self) -> str:
        """``speech``, ``text`` or ``speech+text``."""
        return "+".join(self.loaded)

    @property
    def description(self) -> dict[str, Any]:
        """Of the speech, with the text's as ``text`` where there are both."""
        first = next(iter(self.loaded.values())).description
        if len(self.loaded) == 1:
            return first
        return {**first, "text": self.loaded["text"].description}

    @property
    def digest(self) -> str:
        """Of all of them."""
        text = "|".join(part.digest for part in self.loaded.values())
        return hashlib.sha256(text.encode()).hexdigest()


def chosen_sources(inputs: str, sources: Mapping[str, Any]) -> dict[str, Any]:
    """Sources by modality, speech first: ``speech``, or ``bert+speech``.

    >>> chosen_sources("bert+speech", {"speech": 1, "bert": 2, "pieces": 3})
    {'speech': 1, 'text': 2}
    """
    given = str(inputs).split("+")
    names = [name for name in MODALITIES if name in given]
    chosen = {MODALITIES[name]: sources[name] for name in names}
    if len(chosen) < len(given):
        raise ValueError(
            f"inputs is {inputs!r}; give speech or vectors, bert or pieces, "
            "or one of each: speech+pieces"
        )
    return chosen


def fitted_inputs(
    store: SampleTensors, train: Sequence[str]
) -> tuple[torch.Tensor, torch.Tensor, int, int]:
    """What a network reads, scaled and cut by the training part alone.

    ``train`` are samples; the utterances of their contexts are what is learned
    from. Gives the vectors of all utterances [U, D], their text units [U, M],
    how many units there are, and the width of a unit's vector.
    """
    rows = store.context_rows(train)
    vectors, units, n_units, unit_dim = [], torch.zeros(1, 1).long(), 0, 0
    for part in store.inputs:
        if isinstance(part, Transcripts):
            model = fit_pieces([part.texts[i] for i in rows], part.vocab_size)
            units = torch.from_numpy(encode_pieces(model, part.texts))
            n_units, unit_dim = count_pieces(model), part.dim
        else:
            vectors.append(fit_scaling(part, rows)(part.values))
    count = len(vectors[0]) if vectors else len(units)
    joined = np.concatenate(
        [np.zeros((count, 0), np.float32), *vectors], axis=1
    )
    return torch.from_numpy(joined), units, n_units, unit_dim
