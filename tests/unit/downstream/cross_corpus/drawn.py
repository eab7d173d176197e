"""Corpora without audio: features drawn of class, speaker and corpus."""

import numpy as np
import torch

from speechbrain_e2v.corpora.utterance import Utterance
from speechbrain_e2v.downstream.cross_corpus.plan import domains
from speechbrain_e2v.downstream.cross_corpus.run import Features
from speechbrain_e2v.downstream.labelled_corpus import LabelledCorpus
from speechbrain_e2v.inference.feature_store import (
    FeatureStore,
    write_features,
)

CLASSES = ("angry", "happy", "sad")
DIM = 20


class Drawn:
    """Stands for an upstream; its features are written beforehand."""

    digest = "drawn"
    dim = DIM
    description = {"kind": "drawn", "card": {"pretraining": {"A": 1.0}}}


def corpus(name, speakers=5, each=6, classes=CLASSES):
    rows = tuple(
        Utterance(
            f"{spk}-{emo}-{i}", "x.wav", emo=emo, spk=f"s{spk}", dataset=name
        )
        for spk in range(speakers)
        for emo in classes
        for i in range(each)
    )
    return LabelledCorpus(name, rows, {name: classes})


def store(folder, given, seed=0, voice=2.0, room=8.0, feeling=2.0):
    """A vector an utterance: class, speaker and corpus add up, and noise."""
    shared = np.random.default_rng(0).standard_normal((len(CLASSES), DIM))
    draw = np.random.default_rng([seed, *given.name.encode()])
    voices: dict[str, np.ndarray] = {}
    offset = room * draw.standard_normal(DIM)
    vectors = []
    for row in given.utterances:
        spoken = voices.setdefault(row.spk, voice * draw.standard_normal(DIM))
        emotion = shared[CLASSES.index(row.emo)] if row.emo in CLASSES else 0.0
        x = feeling * emotion + spoken + offset + draw.standard_normal(DIM)
        vectors.append((row.id, torch.from_numpy(x[None]).float()))
    return FeatureStore(write_features(folder / given.name, vectors))


def experiment(folder, names="ABC"):
    """Domains, classes and features of a few corpora."""
    corpora = [corpus(name) for name in names]
    ids = {c.name: {(c.name, emo): emo for emo in CLASSES} for c in corpora}
    found, classes = domains(corpora, ids)
    stores = {c.name: store(folder, c) for c in corpora}
    return found, classes, Features("drawn", Drawn(), stores)
