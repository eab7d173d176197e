"""Transcripts of utterances, and units learned from them."""

import hashlib
import io
import json
import logging
from dataclasses import dataclass

import numpy as np
import sentencepiece

_logger = logging.getLogger(__name__)


def transcripts_of(utterances):
    """Text of each utterance; an empty one where a transcript is missing.

    Arguments
    ---------
    utterances : sequence of Utterance
        Some with ``text``.

    Returns
    -------
    list of str

    Raises
    ------
    ValueError
        When none has any text.

    Example
    -------
    >>> from speechbrain_e2v.corpora.utterance import Utterance
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

    Arguments
    ---------
    texts : list of str
        One per utterance.
    vocab_size : int
        Units, at most.
    dim : int
        Width of a unit's learned vector.
    description : dict
        For ``results.json``.
    digest : str
        Changes with the texts and the sizes.
    """

    texts: list
    vocab_size: int
    dim: int
    description: dict
    digest: str


class TextPieces:
    """Text by sentencepiece units with learned vectors: needs no download.

    Arguments
    ---------
    vocab_size : int
        Units, at most; fewer where the training transcripts are few.
    dim : int
        Width of an utterance's vector, the mean over its units.

    Example
    -------
    >>> TextPieces(1000, 378).dim
    378
    """

    def __init__(self, vocab_size=1000, dim=378):
        self.vocab_size = vocab_size
        self.dim = dim

    def load(self, utterances, cache, device):
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


def fit_pieces(texts, vocab_size):
    """Learn units.

    Arguments
    ---------
    texts : sequence of str
        Transcripts of the training part; no other is looked at.
    vocab_size : int
        Units, at most.

    Returns
    -------
    bytes
        A sentencepiece model.

    Raises
    ------
    ValueError
        When the texts are too few for any unit.

    Example
    -------
    >>> model = fit_pieces(["what a day", "what a way"] * 9, 30)
    >>> encode_pieces(model, ["a day", ""]).shape[0]
    2
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


def count_pieces(model):
    """How many units there are.

    Example
    -------
    >>> count_pieces(fit_pieces(["what a day", "what a way"] * 9, 30)) <= 30
    True
    """
    processor = sentencepiece.SentencePieceProcessor(model_proto=model)
    return processor.get_piece_size()


def encode_pieces(model, texts):
    """Units of each text.

    Arguments
    ---------
    model : bytes
        From :func:`fit_pieces`.
    texts : sequence of str
        Any transcripts; what the units do not cover is one unknown unit.

    Returns
    -------
    numpy.ndarray
        [U, M], int64: numbers of units from 1 on, filled up with 0.
    """
    processor = sentencepiece.SentencePieceProcessor(model_proto=model)
    lists = processor.encode(list(texts))
    pieces = np.zeros((len(lists), max(1, *map(len, lists), 1)), np.int64)
    for row, units in zip(pieces, lists, strict=True):
        row[: len(units)] = np.asarray(units, np.int64) + 1
    return pieces
