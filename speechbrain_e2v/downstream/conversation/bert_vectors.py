"""One vector per transcript, from BERT.

As bert-as-service did by default: the last block but one, mean over tokens,
at most 25 tokens. That service is what Shi, Li and Toda (2023) name; model,
layer and mean are assumptions, since a width of 378 is no BERT's.
"""

import hashlib
import json
from pathlib import Path

import torch
from tqdm import tqdm

from speechbrain_e2v.downstream.conversation.transcripts import transcripts_of
from speechbrain_e2v.downstream.conversation.utterance_vectors import (
    UtteranceVectors,
    VectorFile,
)
from speechbrain_e2v.inference.feature_store import FeatureStore, write_features

_BATCH = 64


class BertVectors:
    """Mean over tokens of a hidden layer of BERT.

    Arguments
    ---------
    model : str
        Name or folder, as transformers takes it.
    layer : int
        Hidden state that is taken; -1 is the last.
    max_tokens : int
        Longer transcripts are cut.

    Example
    -------
    >>> BertVectors().description["layer"]
    -2
    """

    def __init__(self, model="bert-base-uncased", layer=-2, max_tokens=25):
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

    def load(self, utterances, cache, device):
        """Vectors of the transcripts, computed at most once.

        Raises
        ------
        ValueError
            Without transformers, without the model, without transcripts.
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

    def _computed(self, rows, device):
        tokenizer, model = self._loaded()
        model = model.to(device).eval()
        for first in tqdm(range(0, len(rows), _BATCH), desc="BERT", delay=1):
            some = rows[first : first + _BATCH]
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

    def _loaded(self):
        try:
            from transformers import AutoModel, AutoTokenizer
        except ImportError as error:
            raise ValueError(
                "text by BERT needs transformers: pip install transformers; "
                "or give --text_vectors FILE, or take a yaml with pieces, "
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


def bert_or_file(model, layer, max_tokens, vectors):
    """BERT's vectors: of a file, if there is one, else computed here.

    Arguments
    ---------
    model, layer, max_tokens
        For :class:`BertVectors`.
    vectors : str or None
        For :class:`VectorFile`.

    Example
    -------
    >>> bert_or_file("bert-base-uncased", -2, 25, "bert.npz").path.name
    'bert.npz'
    """
    if vectors is not None:
        return VectorFile(vectors)
    return BertVectors(model, layer, max_tokens)
