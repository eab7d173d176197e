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
from dataclasses import asdict
from pathlib import Path

import torch
import yaml
from safetensors.torch import save

from speechbrain_e2v.files.atomic import new_folder
from speechbrain_e2v.inference.model_card import model_card
from speechbrain_e2v.inference.trained import ClassLabel, TrainedClassifier
from speechbrain_e2v.lobes.embedding import (
    EmbeddingClassifier,
    UtteranceEmbedding,
)
from speechbrain_e2v.lobes.encoder import Emotion2vecEncoder
from speechbrain_e2v.published.state_dict_check import load_labels, load_strict

DESCRIPTION = "classifier.json"
FORMAT = 2
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
        hidden: {classifier_hidden}

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


def write_classifier(
    folder: str | Path, trained: TrainedClassifier, overwrite: bool = False
) -> Path:
    """Write a classifier folder; it appears whole or not at all.

    Before it does, SpeechBrain's ``EncoderClassifier`` loads it and must give
    the same posteriors as the model in memory.

    Raises
    ------
    FileExistsError
        Unless the folder is not there, empty, or a classifier folder to
        overwrite.
    """
    check_destination(folder, overwrite)
    with new_folder(folder, overwrite=True) as unfinished:
        _write_files(unfinished, trained)
        _compare_with_stock(unfinished, trained)
    return Path(folder)


def check_destination(folder: str | Path, overwrite: bool) -> None:
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


def _write_files(folder: Path, trained: TrainedClassifier) -> None:
    from speechbrain.dataio.encoder import CategoricalEncoder

    embedding, classifier = trained.embedding, trained.classifier
    sizes = {
        "layer": embedding.layer,
        "hidden": embedding.hidden,
        "input_dim": classifier.input_dim,
        "classifier_hidden": classifier.hidden,
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
    for name, module in _modules_of(trained).items():
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
        "width": embedding.width,
        "labels": [asdict(label) for label in trained.labels],
        "encoder": embedding.encoder.config,
        **trained.about,
    }
    text = json.dumps(
        description, indent=1, ensure_ascii=False, allow_nan=False
    )
    (folder / DESCRIPTION).write_text(text + "\n", "utf-8")
    (folder / "README.md").write_text(model_card(description), "utf-8")


def _modules_of(trained: TrainedClassifier) -> dict[str, torch.nn.Module]:
    return {
        "embedding_model": trained.embedding,
        "classifier": trained.classifier,
    }


def _compare_with_stock(folder: Path, trained: TrainedClassifier) -> None:
    from speechbrain.inference.classifiers import EncoderClassifier

    stock = EncoderClassifier.from_hparams(
        source=str(folder), run_opts={"device": "cpu"}
    )
    generator = torch.Generator().manual_seed(0)
    wav = torch.randn(2, 16000, generator=generator)
    samples = torch.tensor([16000, 9000])
    expected, _ = trained.log_posteriors([wav[0], wav[1, :9000]])
    found = stock.classify_batch(wav, samples / wav.shape[1])[0]
    if not torch.allclose(found.exp(), expected.cpu().exp(), atol=1e-5):
        raise RuntimeError(
            "SpeechBrain's EncoderClassifier gives other posteriors than the "
            "model that was written: this is a fault of e2v export."
        )


def read_classifier(folder: str | Path) -> TrainedClassifier:
    """Read a classifier folder without running anything in it.

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
    if about.get("format") not in (1, FORMAT):
        raise ValueError(
            f"{path} has format {about.get('format')!r}; this version reads "
            f"formats 1 to {FORMAT}: export the folder again."
        )
    try:
        labels = tuple(ClassLabel(**row) for row in about.pop("labels"))
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    sizes = {
        # Format 1 had no hidden layer behind the mean.
        key: about.pop(key, 0)
        for key in ("format", "layer", "hidden", "input_dim", "n_classes",
                    "classifier_hidden", "temperature", "width")
    }  # fmt: skip
    with torch.random.fork_rng(devices=[]):  # loading changes no seed
        embedding = UtteranceEmbedding(
            Emotion2vecEncoder(**about.pop("encoder")),
            sizes["layer"],
            sizes["hidden"],
        )
        classifier = EmbeddingClassifier(
            sizes["input_dim"],
            sizes["n_classes"],
            sizes["temperature"],
            sizes["classifier_hidden"],
        )
    trained = TrainedClassifier(embedding, classifier, labels, about)
    for name, module in _modules_of(trained).items():
        load_strict(module, folder / f"{name}.ckpt")
    return trained
