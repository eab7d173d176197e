"""Classifier folders: what SpeechBrain's own ``EncoderClassifier`` loads.

| file | content |
|---|---|
| hyperparams.yaml | for SpeechBrain: modules and how to load them |
| embedding_model.ckpt, classifier.ckpt | weights: safetensors, no pickle |
| label_encoder.ckpt | SpeechBrain's label file, plain text |
| classifier.json | the same in data only, plus origin and calibration |
| README.md | model card |
"""

import json
import os
import shutil
from dataclasses import asdict
from pathlib import Path

import torch
import yaml
from safetensors.torch import save

from speechbrain_e2v.inference.model_card import model_card
from speechbrain_e2v.inference.trained import ClassLabel, TrainedClassifier
from speechbrain_e2v.lobes.embedding import (
    EmbeddingClassifier,
    UtteranceEmbedding,
)
from speechbrain_e2v.lobes.encoder import Emotion2vecEncoder
from speechbrain_e2v.published.state_dict_check import load_labels, load_strict

DESCRIPTION = "classifier.json"
FORMAT = 1
_HYPERPARAMS = """\
# Emotion classifier for SpeechBrain, written by `e2v export`:
# from speechbrain.inference.classifiers import EncoderClassifier
# classifier = EncoderClassifier.from_hparams(source="this folder")
sample_rate: 16000
n_classes: {n_classes}
temperature: {temperature!r}

encoder: !new:speechbrain_e2v.lobes.encoder.Emotion2vecEncoder
{encoder}
modules:
    compute_features: !new:torch.nn.Identity
    mean_var_norm: !new:speechbrain_e2v.lobes.embedding.UtteranceNormalisation
    embedding_model: !new:speechbrain_e2v.lobes.embedding.UtteranceEmbedding
        encoder: !ref <encoder>
        layer: {layer}
        hidden: {hidden}
    classifier: !new:speechbrain_e2v.lobes.embedding.EmbeddingClassifier
        input_dim: {input_dim}
        n_classes: !ref <n_classes>
        temperature: !ref <temperature>

label_encoder: !new:speechbrain.dataio.encoder.CategoricalEncoder

pretrainer: !new:speechbrain.utils.parameter_transfer.Pretrainer
    loadables:
        embedding_model: !ref <modules[embedding_model]>
        classifier: !ref <modules[classifier]>
        label_encoder: !ref <label_encoder>
    custom_hooks:
        embedding_model: !name:speechbrain_e2v.published.state_dict_check.load_strict
        classifier: !name:speechbrain_e2v.published.state_dict_check.load_strict
        label_encoder: !name:speechbrain_e2v.published.state_dict_check.load_labels
            n_classes: !ref <n_classes>
"""  # noqa: E501


def write_classifier(folder, trained, overwrite=False):
    """Write a classifier folder; it appears whole or not at all.

    Before it does, SpeechBrain's ``EncoderClassifier`` loads it and must give
    the same posteriors as the model in memory.

    Arguments
    ---------
    folder : str or Path
        Must not exist, be empty, or be a classifier folder to overwrite.
    trained : TrainedClassifier
    overwrite : bool

    Returns
    -------
    Path

    Raises
    ------
    FileExistsError
    """
    folder = Path(folder)
    check_destination(folder, overwrite)
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = folder.with_name(f".{folder.name}.{os.getpid()}.tmp")
    temporary.mkdir()
    try:
        _write_files(temporary, trained)
        _compare_with_stock(temporary, trained)
        if folder.exists():
            shutil.rmtree(folder)
        os.replace(temporary, folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return folder


def check_destination(folder, overwrite):
    """Refuse to write over anything but an old classifier folder."""
    folder = Path(folder)
    if not folder.exists():
        return
    if not folder.is_dir():
        raise FileExistsError(f"{folder} is a file: give a new folder.")
    if not any(folder.iterdir()):
        return
    if not (folder / DESCRIPTION).is_file():
        raise FileExistsError(f"{folder} holds other files: give a new folder.")
    if not overwrite:
        raise FileExistsError(
            f"{folder} is there already: add --overwrite or give a new folder."
        )


def _write_files(folder, trained):
    from speechbrain.dataio.encoder import CategoricalEncoder

    embedding, classifier = trained.embedding, trained.classifier
    sizes = {
        "layer": embedding.layer,
        "hidden": embedding.hidden,
        "input_dim": classifier.output_layer.in_features,
        "n_classes": len(trained.labels),
        "temperature": classifier.temperature,
    }
    config = yaml.safe_dump(
        embedding.encoder.config, sort_keys=False, default_flow_style=None
    )
    indented = "".join(f"    {line}\n" for line in config.splitlines())
    (folder / "hyperparams.yaml").write_text(
        _HYPERPARAMS.format(encoder=indented, **sizes), "utf-8"
    )
    for name, module in (
        ("embedding_model", embedding),
        ("classifier", classifier),
    ):
        state = {
            key: value.detach().cpu().contiguous()
            for key, value in module.state_dict().items()
        }
        # Not save_file: nobody else could read its files.
        (folder / f"{name}.ckpt").write_bytes(save(state))
    label_encoder = CategoricalEncoder()
    label_encoder.update_from_iterable(label.text for label in trained.labels)
    label_encoder.save(folder / "label_encoder.ckpt")
    load_labels(
        CategoricalEncoder(), folder / "label_encoder.ckpt", len(trained.labels)
    )
    description = {
        "format": FORMAT,
        **sizes,
        "labels": [asdict(label) for label in trained.labels],
        "encoder": embedding.encoder.config,
        **trained.about,
    }
    text = json.dumps(
        description, indent=1, ensure_ascii=False, allow_nan=False
    )
    (folder / DESCRIPTION).write_text(text + "\n", "utf-8")
    (folder / "README.md").write_text(model_card(description), "utf-8")


def _compare_with_stock(folder, trained):
    from speechbrain.inference.classifiers import EncoderClassifier

    stock = EncoderClassifier.from_hparams(
        source=str(folder), run_opts={"device": "cpu"}
    )
    generator = torch.Generator().manual_seed(0)
    wav = torch.randn(2, 16000, generator=generator)
    samples = torch.tensor([16000, 9000])
    expected, _ = trained.log_posteriors(wav, samples)
    found = stock.classify_batch(wav, samples / wav.shape[1])[0]
    if not torch.allclose(found.exp(), expected.cpu().exp(), atol=1e-5):
        raise RuntimeError(
            "SpeechBrain's EncoderClassifier gives other posteriors than the "
            "model that was written: this is a fault of e2v export."
        )


def read_classifier(folder):
    """Read a classifier folder without running anything in it.

    Arguments
    ---------
    folder : str or Path

    Returns
    -------
    TrainedClassifier

    Raises
    ------
    FileNotFoundError
        When it is no classifier folder.
    ValueError
        When its parts do not fit together.
    """
    folder = Path(folder)
    path = folder / DESCRIPTION
    if not path.is_file():
        raise FileNotFoundError(
            f"{folder} is no classifier folder ({DESCRIPTION} is missing): "
            "e2v export writes one."
        )
    about = json.loads(path.read_text("utf-8"))
    if about.get("format") != FORMAT:
        raise ValueError(
            f"{path} has format {about.get('format')!r}; this version reads "
            f"format {FORMAT}: export the folder again."
        )
    sizes = {
        key: about.pop(key)
        for key in ("format", "layer", "hidden", "input_dim", "n_classes",
                    "temperature")
    }  # fmt: skip
    labels = tuple(ClassLabel(**row) for row in about.pop("labels"))
    with torch.random.fork_rng(devices=[]):  # loading changes no seed
        embedding = UtteranceEmbedding(
            Emotion2vecEncoder(**about.pop("encoder")),
            sizes["layer"],
            sizes["hidden"],
        )
        classifier = EmbeddingClassifier(
            sizes["input_dim"], sizes["n_classes"], sizes["temperature"]
        )
    load_strict(embedding, folder / "embedding_model.ckpt")
    load_strict(classifier, folder / "classifier.ckpt")
    return TrainedClassifier(embedding, classifier, labels, about)
