"""A classifier made of published weights with a head."""

import torch

from speechbrain_e2v.inference.trained import ClassLabel, TrainedClassifier
from speechbrain_e2v.lobes.embedding import (
    EmbeddingClassifier,
    UtteranceEmbedding,
)
from speechbrain_e2v.published.load import read_pretrained


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
