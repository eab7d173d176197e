"""Classifier folders: what SpeechBrain's own ``EncoderClassifier`` loads.

| file | content |
|---|---|
| hyperparams.yaml | for SpeechBrain: modules and how to load them |
| embedding_model.ckpt, classifier.ckpt | weights: safetensors, no pickle |
| label_encoder.ckpt | SpeechBrain's label file, plain text |
| classifier.json | the same in data only, plus origin and calibration |
| README.md | model card |
| encoder/ | where the encoder was tuned: an encoder folder |
"""

import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
import yaml

from speechbrain_e2v.files.atomic import new_folder
from speechbrain_e2v.files.digest import file_sha256
from speechbrain_e2v.inference.classifier_description import read_description
from speechbrain_e2v.inference.model_card import model_card
from speechbrain_e2v.inference.own_encoder import FOLDER, save_own_encoder
from speechbrain_e2v.inference.trained import ClassLabel, TrainedClassifier
from speechbrain_e2v.lobes.embedding import (
    EmbeddingClassifier,
    UtteranceEmbedding,
)
from speechbrain_e2v.published.sizes import KINDS, fresh_encoder, sizes_of
from speechbrain_e2v.published.state_dict_check import (
    as_safetensors,
    check_state,
    load_labels,
    read_safetensors,
)

DESCRIPTION = "classifier.json"
FORMAT = 2
_WAY_OUT = "export the folder again, or copy it from where it was written"
_OF_THE_MODEL = (
    "format", "layer", "hidden", "input_dim", "classifier_hidden",
    "n_classes", "temperature", "width", "labels", "encoder", "sha256",
    "model_sha256",
)  # fmt: skip
_HYPERPARAMS = """\
# Emotion classifier for SpeechBrain, written by `e2v export`:
# from speechbrain.inference.classifiers import EncoderClassifier
# classifier = EncoderClassifier.from_hparams(source="this folder")
sample_rate: 16000
n_classes: {n_classes}
temperature: {temperature!r}

encoder: !new:{encoder_class}
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
            sha256: {sha256[embedding_model]}
        classifier: !name:speechbrain_e2v.published.state_dict_check.load_strict
            sha256: {sha256[classifier]}
        label_encoder: !name:speechbrain_e2v.published.state_dict_check.load_labels
            n_classes: !ref <n_classes>
"""  # noqa: E501


def write_classifier(
    folder: str | Path, trained: TrainedClassifier, overwrite: bool = False
) -> Path:
    """Write a classifier folder; it appears whole or not at all.

    Before it does, SpeechBrain's ``EncoderClassifier`` loads it and must give
    the same posteriors as the model in memory.

    Raises FileExistsError unless the folder is not there, empty, or a
    classifier folder to overwrite.
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
    for name, module in _modules_of(trained).items():
        # Not by save_file: nobody else could read its files.
        content = as_safetensors(module.state_dict())
        (folder / f"{name}.ckpt").write_bytes(content)
    if trained.tuned:
        save_own_encoder(folder, trained)
    labels = folder / "label_encoder.ckpt"
    label_encoder = CategoricalEncoder()
    label_encoder.update_from_iterable(label.text for label in trained.labels)
    label_encoder.save(labels)
    load_labels(CategoricalEncoder(), labels, len(trained.labels))
    description = {
        "format": FORMAT,
        "layer": embedding.layer,
        "hidden": embedding.hidden,
        "input_dim": classifier.input_dim,
        "classifier_hidden": classifier.hidden,
        "n_classes": len(trained.labels),
        "temperature": classifier.temperature,
        "width": embedding.width,
        "labels": [asdict(label) for label in trained.labels],
        "encoder": sizes_of(embedding.encoder),
        "sha256": {
            name: file_sha256(folder / f"{name}.ckpt")
            for name in _modules_of(trained)
        },
        **trained.about,
    }
    description["model_sha256"] = _model_digest(description)
    text = json.dumps(
        description, indent=1, ensure_ascii=False, allow_nan=False
    )
    (folder / DESCRIPTION).write_text(text + "\n", "utf-8")
    (folder / "hyperparams.yaml").write_text(_hyperparams(description), "utf-8")
    (folder / "README.md").write_text(model_card(description), "utf-8")


def _hyperparams(description: dict[str, Any]) -> str:
    sizes = dict(description["encoder"])
    kind = KINDS[sizes.pop("kind", "emotion2vec")].encoder
    encoder = yaml.safe_dump(sizes, sort_keys=False, default_flow_style=None)
    filled = {
        **description,
        "encoder_class": f"{kind.__module__}.{kind.__qualname__}",
        "encoder": "".join(f"    {line}\n" for line in encoder.splitlines()),
    }
    return _HYPERPARAMS.format(**filled)


def _model_digest(description: dict[str, Any]) -> str:
    """SHA-256 of all that decides posteriors and their names."""
    decisive = {
        key: description[key]
        for key in _OF_THE_MODEL
        if key in description and key != "model_sha256"
    }
    text = json.dumps(decisive, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


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

    Nothing is built before the sizes are compared with the tensors.

    Raises FileNotFoundError when it is no classifier folder; ValueError when a
    part is not what was written, or the parts do not fit together.
    """
    folder = Path(folder)
    path = folder / DESCRIPTION
    if not path.is_file():
        raise FileNotFoundError(
            f"{folder} is no classifier folder ({DESCRIPTION} is missing): "
            "e2v export writes one."
        )
    description = read_description(path, _WAY_OUT)
    expected = description.get("model_sha256")
    if expected is not None and _model_digest(description) != expected:
        raise ValueError(
            f"{path}: sizes, temperature or labels are not what was written "
            f"(model_sha256 is {expected[:12]}...): {_WAY_OUT}."
        )
    states = {}
    for name in ("embedding_model", "classifier"):
        file = folder / f"{name}.ckpt"
        states[name] = read_safetensors(
            file, (description.get("sha256") or {}).get(name)
        )
    with torch.device("meta"):
        for name, module in _build(description).items():
            check_state(module, states[name], folder / f"{name}.ckpt")
    with torch.random.fork_rng(devices=[]):  # loading changes no seed
        modules = _build(description)
    for name, module in modules.items():
        module.load_state_dict(states[name])
    embedding, classifier = modules.values()
    assert isinstance(embedding, UtteranceEmbedding)
    assert isinstance(classifier, EmbeddingClassifier)
    labels = tuple(ClassLabel(**row) for row in description["labels"])
    about = {k: v for k, v in description.items() if k not in _OF_THE_MODEL}
    tuned = (folder / FOLDER).is_dir()
    return TrainedClassifier(embedding, classifier, labels, about, tuned)


def _build(description: dict[str, Any]) -> dict[str, torch.nn.Module]:
    return {
        "embedding_model": UtteranceEmbedding(
            fresh_encoder(description["encoder"]),
            description["layer"],
            description["hidden"],
        ),
        "classifier": EmbeddingClassifier(
            description["input_dim"],
            description["n_classes"],
            description["temperature"],
            description.get("classifier_hidden", 0),
        ),
    }
