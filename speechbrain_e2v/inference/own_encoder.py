"""The encoder of a classifier that was tuned, as an encoder folder.

It lies in ``encoder/`` of the classifier folder, where every command that
takes an encoder finds it: ``e2v extract --encoder FOLDER``, ``e2v convert
FOLDER DEST --to funasr``. With it goes the head, where that is what published
models have: one linear layer on the mean over the last block's frames.
"""

from pathlib import Path

from speechbrain_e2v.inference.trained import TrainedClassifier
from speechbrain_e2v.lobes.batching import layer_indices
from speechbrain_e2v.published.encoder_folder import save_encoder
from speechbrain_e2v.published.head import Label, PublishedHead

FOLDER = "encoder"


def save_own_encoder(folder: str | Path, trained: TrainedClassifier) -> Path:
    """Write ``encoder/`` into a classifier's folder."""
    return save_encoder(
        Path(folder) / FOLDER,
        trained.embedding.encoder,
        trained.about.get("encoder_card", {}),
        published_head(trained),
    )


def published_head(trained: TrainedClassifier) -> PublishedHead | None:
    """The head as published models have it, or None if it is another one.

    The temperature is in its weights, so that its posteriors are calibrated.
    """
    embedding, classifier = trained.embedding, trained.classifier
    last = embedding.encoder.num_layers
    layers = layer_indices(embedding.layer, last)
    if embedding.hidden or classifier.hidden or layers != [last - 1]:
        return None
    layer = classifier.output_layer
    return PublishedHead(
        (layer.weight / classifier.temperature).detach().cpu(),
        (layer.bias / classifier.temperature).detach().cpu(),
        tuple(Label(x.id, x.published) for x in trained.labels),
    )
