"""Conversations whose next emotion follows a known rule, or none."""

import functools

import numpy as np
import torch

from speechbrain_e2v.corpora.protocols import Fold, make_folds
from speechbrain_e2v.corpora.utterance import Utterance
from speechbrain_e2v.downstream.conversation.batches import SampleTensors
from speechbrain_e2v.downstream.conversation.samples import samples_of
from speechbrain_e2v.downstream.conversation.trainer import ConversationTrainer
from speechbrain_e2v.downstream.conversation.vectors import UtteranceVectors

CLASSES = ("angry", "happy", "neutral", "sad")


def mirrored(seed, dialogues=240, noise=1.2):
    """Everybody shows one mood, and feels what the interlocutor has shown.

    A vector is its speaker's mood with noise; the emotion of a turn is the
    mood that the interlocutor has shown last. Moods are drawn independently,
    so a speaker's own vectors say nothing. Returns utterances and vectors.
    """
    rng = np.random.default_rng(seed)

    def emotion(moods, who):
        return CLASSES[moods[1 - who]]

    return _spoken(rng, dialogues, noise, emotion)


def meaningless(seed, dialogues=240):
    """As before, but every emotion is drawn by itself."""
    rng = np.random.default_rng(seed)

    def emotion(moods, who):
        return CLASSES[rng.integers(4)]

    return _spoken(rng, dialogues, 1.2, emotion)


def _spoken(rng, dialogues, noise, emotion):
    rows, vectors = [], []
    for d in range(dialogues):
        session = f"Ses{d % 5 + 1:02d}"
        moods = rng.integers(4, size=2)
        for turn in range(9):
            who = turn % 2
            for _ in range(rng.integers(1, 4)):
                time = float(len(rows))
                rows.append(
                    Utterance(
                        f"{session}_{d:03d}_{time:05.0f}",
                        "x.wav",
                        emotion(moods, who),
                        spk=f"{session}_{'FM'[who]}",
                        session=session,
                        dialog=f"{session}_{d:03d}",
                        start=time,
                        stop=time + 1,
                    )
                )
                shown = np.eye(8)[moods[who]]
                vectors.append(shown + noise * rng.standard_normal(8))
    return rows, np.array(vectors, dtype=np.float32)


def material(rows, vectors, folds=10):
    """Store, class of each sample, and folds of one pair a session."""
    samples = samples_of(rows, CLASSES)
    targets = [sample.target for sample in samples]
    inputs = UtteranceVectors(vectors, {"kind": "made up"}, "made up")
    store = SampleTensors(rows, samples, [inputs])
    labels = {u.id: CLASSES.index(u.emo) for u in targets}
    protocol = "leave_one_speaker_out_partner_validates"
    return store, labels, make_folds(protocol, targets, folds, 0)


def by_session(labels, rows):
    """One fold: sessions 1 and 2 train, 3 validates, 4 and 5 test."""
    session = {u.id: int(u.session[3:]) for u in rows}
    parts = [[n for n in labels if session[n] in part]
             for part in ((1, 2), (3,), (4, 5))]  # fmt: skip
    return Fold("sessions", *map(tuple, parts))


def trainer(network, epochs, patience=10, batch_size=32, rate=1e-3, **options):
    """A trainer of a small network."""
    return ConversationTrainer(
        functools.partial(network, hidden=24, layers=1, **options),
        functools.partial(torch.optim.Adam, lr=rate),
        epochs,
        patience,
        batch_size,
    )


def outcomes(chosen, store, labels, folds, seed=1):
    """What comes out of all folds, in their order."""
    planned = [(fold, seed) for fold in folds]
    found = dict(
        chosen.fit_all(store, labels, planned, len(CLASSES), None, lambda: None)
    )
    return [found[position] for position in range(len(folds))]
