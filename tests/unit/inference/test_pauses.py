"""The label of a clip does not depend on the pause beside it."""

import csv

import numpy as np
import pytest
import soundfile
import torch
from sklearn.linear_model import LogisticRegression
from unit.inference.tiny import tiny_encoder
from unit.inference.voices import PAUSES, joined, labels_of, voice

from speechbrain_e2v.inference.classifier import EmotionClassifier
from speechbrain_e2v.inference.timeline import emotion_timeline
from speechbrain_e2v.inference.trained import TrainedClassifier, corpus_labels
from speechbrain_e2v.lobes.embedding import (
    EmbeddingClassifier,
    UtteranceEmbedding,
)


def fitted(clips, labels):
    """A classifier of clips: logistic regression on an encoder's means."""
    classes = sorted(set(labels))
    embedding = UtteranceEmbedding(tiny_encoder(depth=2))
    width = embedding.encoder.embed_dim
    trained = TrainedClassifier(
        embedding,
        EmbeddingClassifier(width, len(classes)),
        corpus_labels(classes),
    )
    vectors = np.concatenate(
        [trained.log_posteriors([torch.from_numpy(c)])[1] for c in clips]
    )
    centre, scale = vectors.mean(axis=0), vectors.std(axis=0)
    model = LogisticRegression(C=1.0, max_iter=1000)
    model.fit((vectors - centre) / scale, labels)
    assert list(model.classes_) == classes
    weight = model.coef_ / scale
    layer = trained.classifier.output_layer
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(weight))
        layer.bias.copy_(torch.from_numpy(model.intercept_ - weight @ centre))
    return EmotionClassifier(trained)


def check(classifier, clips, folder):
    """Labels beside any pause agree with those of the clips alone."""
    found = classifier.classify(clips, sample_rate=16000)
    alone = [prediction.label for prediction in found]
    assert len(set(alone)) >= 3
    path = folder / "joined.wav"

    def labels(seconds, decibels):
        wav, spans = joined(clips, seconds, decibels)
        soundfile.write(path, wav, 16000, subtype="FLOAT")
        timeline = emotion_timeline(classifier, path)
        if seconds:
            assert any(s.silent for s in timeline.segments)
        return labels_of(timeline, spans)

    def agreement(found, expected=alone):
        return sum(a == b for a, b in zip(found, expected, strict=True))

    without = agreement(labels(0, None))
    silent = labels(1.0, None)
    for decibels in PAUSES:
        for seconds in (0.5, 1.0, 3.0):
            result = labels(seconds, decibels)
            assert agreement(result) >= without
            # Neither what is in a pause nor its length changes much.
            assert agreement(result, silent) >= 0.8 * len(clips)
            assert len(set(result)) >= 3


def test_generated_voices(tmp_path):
    emotions = ["angry", "happy", "neutral", "sad"]
    training = [(voice(e, n), e) for e in emotions for n in range(12)]
    classifier = fitted(*zip(*training, strict=True))
    clips = [voice(e, n) for n in (20, 21, 22) for e in emotions]
    check(classifier, clips, tmp_path)


def test_twelve_clips_of_emodb(tmp_path, repository):
    data = repository.parent / "shared/data"
    if not (data / "EmoDB").is_dir():
        pytest.skip("needs ../shared/data")
    with open(data / "index.csv", encoding="utf-8") as file:
        rows = [r for r in csv.DictReader(file) if r["corpus"] == "EmoDB"]

    def read(row):
        return soundfile.read(data / row["path"], dtype="float32")[0]

    training = [row for row in rows if row["speaker"] != "03"][::4]
    classifier = fitted(
        [read(row) for row in training], [row["emotion"] for row in training]
    )
    of_each = {}
    for row in rows:
        if row["speaker"] == "03":
            of_each.setdefault(row["emotion"], []).append(row)
    held_out = [
        part[i] for i in range(2) for part in of_each.values() if i < len(part)
    ]
    assert len(held_out) >= 12
    check(classifier, [read(row) for row in held_out[:12]], tmp_path)
