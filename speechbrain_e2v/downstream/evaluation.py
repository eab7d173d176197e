"""A finished classifier on a corpus that it need not know."""

import hashlib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch.nn.functional import pad

from speechbrain_e2v.corpora.common_labels import CommonLabels
from speechbrain_e2v.corpora.utterance import Utterance
from speechbrain_e2v.downstream.classification.targets import ClassTargets
from speechbrain_e2v.downstream.feature_cache import cached_features
from speechbrain_e2v.downstream.labelled_corpus import LabelledCorpus
from speechbrain_e2v.downstream.provenance import heard_caveats
from speechbrain_e2v.downstream.results import (
    FORMAT,
    POOLED,
    software_entries,
    summarise,
)
from speechbrain_e2v.downstream.shared_classes import Meeting, meet
from speechbrain_e2v.inference.trained import TrainedClassifier
from speechbrain_e2v.lobes.lengths import MIN_SAMPLES
from speechbrain_e2v.metrics import (
    SCORES,
    floor_confusions,
    scores_of_confusions,
)
from speechbrain_e2v.published.encoder_folder import weights_digest

PROTOCOL = "evaluation"
LEAVE_OUT, ERROR = "leave_out", "error"
UNMAPPED = (LEAVE_OUT, ERROR)
"""What becomes of utterances whose class the classifier does not have."""


class Posteriors:
    """A classifier as an upstream: one row of log posteriors an utterance.

    As an upstream its outputs are computed once, kept, and gone on with.
    """

    def __init__(self, trained: TrainedClassifier) -> None:
        self.trained = trained
        self.dim = len(trained.labels)
        parts = [
            weights_digest(trained.embedding),
            weights_digest(trained.classifier),
            repr(trained.classifier.temperature),
            repr(trained.embedding.layer),
        ]
        self.digest = hashlib.sha256(
            "|".join(["log posteriors", *parts]).encode()
        ).hexdigest()

    def extract(self, waveforms: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """Log posteriors [1, C] of each waveform [S], 16 kHz.

        One without a single frame (under 400 samples) is filled up with zeros.
        """
        filled = [pad(w, (0, max(0, MIN_SAMPLES - len(w)))) for w in waveforms]
        rows, _ = self.trained.log_posteriors(filled)
        return list(rows.cpu().split(1))


def evaluate(
    trained: TrainedClassifier,
    source: str,
    corpus: LabelledCorpus,
    labels: CommonLabels,
    feature_cache: str | Path,
    unmapped: str = LEAVE_OUT,
    batch_seconds: float = 60.0,
    progress: bool = True,
) -> tuple[dict, dict, ClassTargets]:
    """Score a classifier: ``results.json``, the predictions, the classes.

    ``source`` is what the classifier is called in tables. ``feature_cache``
    keeps its outputs, so that a second run has none to compute.

    Raises ValueError when classes do not meet, or outputs are not finite.
    """
    meeting = meet(labels, corpus, trained)
    place = {
        u.id: meeting.reference[u.dataset, str(u.emo)]
        for u in corpus.utterances
    }
    foreign = Counter(
        meeting.names[i] for i in place.values() if i in meeting.foreign
    )
    scored = [
        u
        for u in corpus.utterances
        if unmapped == ERROR or place[u.id] not in meeting.foreign
    ]
    if not scored:
        raise ValueError(
            f"{corpus.name}: no utterance has a class of the model; give a "
            "table of labels (--label_map), or the whole corpus"
        )
    posteriors = Posteriors(trained)
    store = cached_features(
        feature_cache, posteriors, scored, batch_seconds, progress
    )
    names = [u.id for u in scored]
    rows = np.concatenate([store.utterance(name) for name in names])
    if not np.isfinite(rows).all():
        bad = names[int(np.argmin(np.isfinite(rows).all(axis=1)))]
        raise ValueError(
            f"{bad}: the scores are not finite; check this audio, and get "
            "the classifier again from where it was written"
        )
    classes = meeting.predicted if unmapped == LEAVE_OUT else meeting.names
    targets = ClassTargets(classes, place, _votes(scored, meeting, classes))
    table = meeting.probabilities(torch.from_numpy(rows))[:, : len(classes)]
    run = {
        "fold": "all",
        "seed": 0,
        "test": names,
        **targets.entries(names, table),
    }
    speakers = {u.id: u.spk for u in scored}
    card = trained.about.get("encoder_card")
    marks = [
        *corpus.marks,
        *_unmapped_marks(foreign, unmapped, len(corpus.utterances)),
        *_never_right(meeting),
        *_heard(trained, corpus),
        *_speakers(speakers),
    ]
    results = {
        "format": FORMAT,
        "task": "emotion classification, a trained classifier",
        "corpus": corpus.name,
        "protocol": {
            "name": PROTOCOL,
            "description": "nothing is trained: a finished classifier is "
            "tested on every utterance",
            "n_folds": 1,
            "marks": marks,
        },
        "classes": list(classes),
        "seeds": [0],
        **summarise([run], targets, speakers, POOLED),
        "floors": floor_scores(run, len(classes)),
        "labels": {
            "unmapped": unmapped,
            "reference": [
                [data_set, name, meeting.names[i]]
                for (data_set, name), i in meeting.reference.items()
            ],
            "predicted": [
                [trained.labels[output].text, meeting.names[i]]
                for i, outputs in meeting.groups.items()
                for output in outputs
            ],
        },
        "classifier": {
            "kind": str(trained.about.get("kind", "classifier")),
            "sha256": posteriors.digest,
            "temperature": float(trained.classifier.temperature),
            "trained_on": trained.about.get("results", {}).get("corpus"),
        },
        "upstream": {"kind": "trained encoder", "source": source, "card": card},
        **software_entries(),
    }
    return results, run, targets


def _votes(
    scored: Sequence[Utterance], meeting: Meeting, classes: Sequence[str]
) -> dict[str, list[int]]:
    """Counts of each class, of utterances that have votes for any."""
    found = {}
    for utterance in scored:
        counts = [0] * len(classes)
        for name, count in utterance.votes.items():
            place = meeting.reference.get((utterance.dataset, name))
            if place is not None and place < len(classes):
                counts[place] += count
        if any(counts):
            found[utterance.id] = counts
    return found


def floor_scores(run: dict, n_classes: int) -> dict[str, dict[str, float]]:
    """What hears nothing would score, in percent."""
    counts = np.bincount(run["reference"], minlength=n_classes)
    floors = {
        name: scores_of_confusions(expected)
        for name, expected in floor_confusions(counts[None]).items()
    }
    return {
        name: {score: float(found[score][0]) for score in SCORES}
        for name, found in floors.items()
    }


def _unmapped_marks(
    foreign: Counter[str], unmapped: str, total: int
) -> list[str]:
    if not foreign:
        return []
    shown = ", ".join(f"{name} {count}" for name, count in foreign.items())
    became = "count as errors" if unmapped == ERROR else "are left out"
    return [
        f"{foreign.total()} of {total} utterances have a class that the model "
        f"lacks and {became}: {shown}"
    ]


def _never_right(meeting: Meeting) -> list[str]:
    if not meeting.never_right:
        return []
    shown = ", ".join(meeting.never_right)
    return [f"predicted classes that the corpus lacks are errors: {shown}"]


def _heard(trained: TrainedClassifier, corpus: LabelledCorpus) -> list[str]:
    """What the encoder and the classifier know of the corpus already."""
    card = trained.about.get("encoder_card")
    names = list(dict.fromkeys([corpus.name, *corpus.classes]))
    found = [mark for name in names for mark in heard_caveats(card, name)]
    learned = trained.about.get("results", {}).get("corpus")
    if learned is not None:
        known = heard_caveats({"finetuning": [learned]}, corpus.name)
        if any("in finetuning" in mark for mark in known):
            found.append(f"the classifier was trained on {learned}")
    return list(dict.fromkeys(found))


def _speakers(speakers: dict[str, str]) -> list[str]:
    unknown = sum(not spk for spk in speakers.values())
    return [f"{unknown} speakers are unknown"] if unknown else []
