"""What can become a classifier folder: a run, or published weights."""

from pathlib import Path

import torch

from speechbrain_e2v.checkpoints.pretrained import read_pretrained
from speechbrain_e2v.inference.probe_run import classifier_from_run
from speechbrain_e2v.inference.trained import ClassLabel, TrainedClassifier
from speechbrain_e2v.lobes.embedding import (
    EmbeddingClassifier,
    UtteranceEmbedding,
)


def trained_classifier(
    source,
    encoder=None,
    fold=None,
    seed=None,
    calibrated=True,
    offline=False,
    progress=True,
):
    """Read what `e2v export` can export.

    Arguments
    ---------
    source : str or Path
        Output folder of a probe recipe, or published weights with a head
        (FunASR folder, converted encoder folder, hub id).
    encoder, fold, seed, calibrated
        Of a run, as for `classifier_from_run`.
    offline : bool
        Take hub models from the cache only.
    progress : bool

    Returns
    -------
    TrainedClassifier

    Raises
    ------
    ValueError
        For options that the source has no use for.
    """
    if (Path(source) / "results.json").is_file():
        return classifier_from_run(
            source, encoder, fold, seed, calibrated, progress
        )
    if (encoder, fold, seed) != (None, None, None):
        raise ValueError(
            f"{source} is no finished run (results.json is missing), so "
            "--encoder, --fold and --seed have no meaning."
        )
    return classifier_from_published(source, offline)


def classifier_from_published(source, offline=False):
    """Make a classifier of published weights with a head.

    Outputs that were never trained (``unuse...``) are left out: masked as in
    the released code, they never get probability.

    Arguments
    ---------
    source : str or Path
    offline : bool

    Returns
    -------
    TrainedClassifier

    Raises
    ------
    ValueError
        When the weights have no head.
    """
    pretrained = read_pretrained(source, offline)
    head = pretrained.head
    if head is None:
        raise ValueError(
            f"{source} has no classification head: export the output folder "
            "of a recipe, or an emotion2vec+ model."
        )
    used = [i for i, label in enumerate(head.labels) if label.used]
    embedding = UtteranceEmbedding(pretrained.encoder)
    classifier = EmbeddingClassifier(pretrained.encoder.embed_dim, len(used))
    with torch.no_grad():
        classifier.output_layer.weight.copy_(head.weight[used])
        classifier.output_layer.bias.copy_(head.bias[used])
    labels = tuple(
        ClassLabel(label.id, label.published, label.id)
        for label in (head.labels[i] for i in used)
    )
    about = {
        "kind": "published head on the mean over frames",
        "encoder_card": pretrained.card,
        "calibration": None,
    }
    return TrainedClassifier(embedding, classifier, labels, about)
