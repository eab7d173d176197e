"""Transcripts of utterances: units learned from them, or vectors of BERT.

BERT's vectors are as bert-as-service made them by default: the last block but
one, mean over tokens, at most 25 tokens. That service is what Shi, Li and Toda
(2023) name; model, layer and mean are assumptions, since a width of 378 is no
BERT's.
"""

import hashlib
import io
import json
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import sentencepiece
import torch

from speechbrain_e2v.console import progress_bar
from speechbrain_e2v.corpora.utterance import Utterance
from speechbrain_e2v.downstream.conversation.vectors import (
    UtteranceVectors,
    VectorFile,
)
from speechbrain_e2v.inference.feature_store import FeatureStore, write_features

_BERT_BATCH = 64
_logger = logging.getLogger(__name__)


def transcripts_of(utterances: Sequence[Utterance]) -> list[str]:
    """Text of each utterance; an empty one where a transcript is missing.

    Raises ValueError when none has any text.

    >>> transcripts_of([Utterance("a", "a.wav", text=" Hi\\nyou ")])
    ['Hi you']
    """
    texts = [" ".join((u.text or "").split()) for u in utterances]
    missing = [u for u, text in zip(utterances, texts, strict=True) if not text]
    if len(missing) == len(texts):
        raise ValueError(
            f"none of the {len(texts)} utterances has a transcript, for "
            f"example {missing[0].id} of dialogue {missing[0].dialog}; the "
            "recipe's README says where transcripts lie"
        )
    if missing:
        _logger.warning(
            "%d of %d utterances have no transcript and count as silent, such "
            "as %s of dialogue %s",
            len(missing),
            len(texts),
            missing[0].id,
            missing[0].dialog,
        )
    return texts


@dataclass(frozen=True)
class Transcripts:
    """Texts of a corpus, for units that are learned in every fold.

    At most ``vocab_size`` units with vectors of width ``dim``; ``digest``
    changes with the texts and the sizes.
    """

    texts: list[str]
    vocab_size: int
    dim: int
    description: dict[str, Any]
    digest: str


class TextPieces:
    """Text by sentencepiece units with learned vectors: needs no download.

    There are fewer than ``vocab_size`` units where the training transcripts
    are few; an utterance's vector is the mean over its units.
    """

    def __init__(self, vocab_size: int = 1000, dim: int = 378) -> None:
        self.vocab_size = vocab_size
        self.dim = dim

    def load(
        self, utterances: Sequence[Utterance], cache: str | Path, device: str
    ) -> Transcripts:
        """The transcripts of the utterances."""
        texts = transcripts_of(utterances)
        description = {
            "kind": "text by learned units",
            "units": "sentencepiece unigram of the training transcripts",
            "vocab_size": self.vocab_size,
            "dim": self.dim,
        }
        text = json.dumps([description, texts])
        digest = hashlib.sha256(text.encode()).hexdigest()
        return Transcripts(
            texts, self.vocab_size, self.dim, description, digest
        )


def fit_pieces(texts: Sequence[str], vocab_size: int) -> bytes:
    """A sentencepiece model learned from the training transcripts alone.

    Raises ValueError when the texts are too few for any unit.

    >>> model = fit_pieces(["what a day", "what a way"] * 9, 30)
    >>> count_pieces(model) <= 30, encode_pieces(model, ["a day", ""]).shape[0]
    (True, 2)
    """
    model = io.BytesIO()
    spoken = [text for text in texts if text]
    if not spoken:
        raise ValueError("no training utterance has a transcript")
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(spoken),
            model_writer=model,
            vocab_size=vocab_size,
            hard_vocab_limit=False,
            character_coverage=1.0,
            num_threads=1,
            minloglevel=2,
        )
    except RuntimeError as error:
        raise ValueError(
            f"no {vocab_size} units can be learned from {len(spoken)} "
            f"transcripts ({error}); change vocab_size"
        ) from error
    return model.getvalue()


def count_pieces(model: bytes) -> int:
    """How many units a sentencepiece model has."""
    processor = sentencepiece.SentencePieceProcessor(model_proto=model)
    return processor.get_piece_size()


def encode_pieces(model: bytes, texts: Sequence[str]) -> np.ndarray:
    """Units of each text [U, M], int64, from 1 on, filled up with 0.

    What the units do not cover is one unknown unit.
    """
    processor = sentencepiece.SentencePieceProcessor(model_proto=model)
    lists = processor.encode(list(texts))
    pieces = np.zeros((len(lists), max(1, *map(len, lists), 1)), np.int64)
    for row, units in zip(pieces, lists, strict=True):
        row[: len(units)] = np.asarray(units, np.int64) + 1
    return pieces


class BertVectors:
    """Mean over tokens of a hidden layer of BERT; layer -1 is the last.

    ``model`` is a name or folder, as transformers takes it.
    """

    def __init__(
        self,
        model: str = "bert-base-uncased",
        layer: int = -2,
        max_tokens: int = 25,
    ) -> None:
        self.model = model
        self.layer = layer
        self.max_tokens = max_tokens
        self.description = {
            "kind": f"text by {model}",
            "model": model,
            "layer": layer,
            "max_tokens": max_tokens,
            "pooling": "mean over tokens",
        }

    def load(
        self, utterances: Sequence[Utterance], cache: str | Path, device: str
    ) -> UtteranceVectors:
        """Vectors of the transcripts, computed at most once.

        Raises ValueError without transformers, the model or transcripts.
        """
        texts = transcripts_of(utterances)
        rows = sorted(zip([u.id for u in utterances], texts, strict=True))
        text = json.dumps([self.description, rows], sort_keys=True)
        digest = hashlib.sha256(text.encode()).hexdigest()
        store = Path(cache) / f"text-{digest[:27]}"
        if not store.exists():
            write_features(store, self._computed(rows, device))
        values = FeatureStore(store).means([u.id for u in utterances])
        return UtteranceVectors(values, self.description, digest)

    def _computed(
        self, rows: list[tuple[str, str]], device: str
    ) -> Iterator[tuple[str, torch.Tensor]]:
        tokenizer, model = self._loaded()
        model = model.to(device).eval()
        for first in progress_bar(
            range(0, len(rows), _BERT_BATCH), desc="BERT", delay=1
        ):
            some = rows[first : first + _BERT_BATCH]
            inputs = tokenizer(
                [text for _, text in some],
                padding=True,
                truncation=True,
                max_length=self.max_tokens,
                return_tensors="pt",
            ).to(device)
            with torch.no_grad():
                outputs = model(**inputs, output_hidden_states=True)
            states = outputs.hidden_states[self.layer]  # [B, T, D]
            real = inputs["attention_mask"].to(states).unsqueeze(2)
            means = (states * real).sum(1) / real.sum(1).clamp(min=1)
            yield from zip([name for name, _ in some], means, strict=True)

    def _loaded(self) -> tuple[Any, Any]:
        try:
            from transformers import AutoModel, AutoTokenizer
        except ImportError as error:
            raise ValueError(
                "text by BERT needs transformers: pip install transformers; "
                "or give --text_vectors FILE, or take --inputs with pieces, "
                "which learns its own text vectors"
            ) from error
        try:
            return (
                AutoTokenizer.from_pretrained(self.model),
                AutoModel.from_pretrained(self.model),
            )
        except OSError as error:
            raise ValueError(
                f"text_model: transformers cannot load {self.model}: {error}"
            ) from error


def bert_or_file(
    model: str, layer: int, max_tokens: int, vectors: str | None
) -> BertVectors | VectorFile:
    """BERT's vectors: of a file, if one is given, else computed here."""
    if vectors is not None:
        return VectorFile(vectors)
    return BertVectors(model, layer, max_tokens)
