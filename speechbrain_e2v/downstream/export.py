"""From the output folder of a probe recipe to a classifier.

A run has one head per fold and seed. One of them is taken: the best on its
validation utterances, or the one that was asked for. Encoder and head are
joined, and must give the posteriors that the run recorded of its own test
utterances.
"""

from pathlib import Path
from typing import Any

import torch
import yaml

from speechbrain_e2v.downstream.export_check import (
    calibrate_on_validation,
    compare_on_test,
)
from speechbrain_e2v.downstream.fold_result import TUNED
from speechbrain_e2v.downstream.trained_heads import (
    Head,
    choose,
    read_head,
    read_run,
)
from speechbrain_e2v.inference.trained import (
    TrainedClassifier,
    classifier_from_published,
    corpus_labels,
)
from speechbrain_e2v.lobes import heads
from speechbrain_e2v.lobes.batching import Layer
from speechbrain_e2v.lobes.embedding import (
    EmbeddingClassifier,
    UtteranceEmbedding,
)
from speechbrain_e2v.lobes.waveform_encoder import WaveformEncoder
from speechbrain_e2v.published.encoder_folder import weights_digest
from speechbrain_e2v.published.load import load_pretrained
from speechbrain_e2v.published.state_dict_check import (
    demand_match,
    read_safetensors,
)
from speechbrain_e2v.training.devices import usable_device

_FACTS = (
    "corpus", "classes", "protocol", "seeds", "pooled", "interval95",
    "fold_spread", "confusion", "n_predictions", "counts", "classifier",
    "feature_layer", "upstream_digest", "commit", "versions",
)  # fmt: skip
TOLERANCE = 1e-5
"""Of posteriors; another kind of processor may round them further apart."""


def trained_classifier(
    source: str | Path,
    encoder: str | Path | None = None,
    fold: str | int | None = None,
    seed: int | None = None,
    calibrated: bool = True,
    offline: bool = False,
    **checking: Any,
) -> TrainedClassifier:
    """Read what `e2v export` can export: a run, or published weights.

    A run is the output folder of a probe recipe; see `classifier_from_run` for
    its options. Published weights have a head (FunASR folder, converted
    encoder folder, hub id); `offline` takes hub models from the cache only.

    Raises
    ------
    ValueError
        For options that the source has no use for.
    """
    if (Path(source) / "results.json").is_file():
        return classifier_from_run(
            source, encoder, fold, seed, calibrated, **checking
        )
    if (encoder, fold, seed) != (None, None, None):
        raise ValueError(
            f"{source} is no finished run (results.json is missing), so "
            "--encoder, --fold and --seed have no meaning."
        )
    return classifier_from_published(source, offline)


def classifier_from_run(
    run: str | Path,
    encoder: str | Path | None = None,
    fold: str | int | None = None,
    seed: int | None = None,
    calibrated: bool = True,
    progress: bool = True,
    data_folder: str | Path | None = None,
    device: str | None = "cpu",
    tolerance: float = TOLERANCE,
) -> TrainedClassifier:
    """Join a run's encoder and one of its heads.

    Arguments
    ---------
    encoder
        Where the run's encoder is now; None: where the run says.
    fold, seed
        As for `choose`.
    calibrated
        Fit a temperature on the validation utterances of the fold.
    data_folder
        Where the corpus is now; None: where the run says.
    device
        On which the posteriors are computed that are compared.
    tolerance
        Largest difference of a posterior from the run's.

    Raises
    ------
    FileNotFoundError
    ValueError
        When encoder, head and results do not belong together, or the
        classifier is not what was trained.
    """
    results = read_run(run)
    choice = choose(run, fold, seed)
    module, card = load_pretrained(encoder or _encoder_path(run))
    digest = weights_digest(module)
    expected = results["upstream"]["weights_sha256"]
    if digest != expected:
        raise ValueError(
            f"the run used an encoder with weights sha256 {expected[:16]}..., "
            f"but this one has {digest[:16]}...: give the right one with "
            "--encoder."
        )
    tuned = load_tuned(module, choice.folder)
    card = {key: card[key] for key in card if key != "overrides"}
    if tuned:
        card["finetuning"] = {
            **(card.get("finetuning") or {}),
            results["corpus"]: None,
        }
        card["weights_sha256"] = weights_digest(module)
    embedding, classifier = join(
        module,
        results["feature_layer"],
        read_head(choice.folder),
        "utterance means" in results["classifier"]["kind"],
    )
    about: dict[str, Any] = {
        "kind": "encoder tuned with its head"
        if tuned
        else "probe on a frozen encoder",
        "fold": {
            "number": choice.number,
            "name": choice.result["fold"],
            "seed": choice.seed,
            "chosen": choice.reason,
            "n_train": choice.result["n_train"],
            "n_valid": choice.result["n_valid"],
            "n_test": choice.result["n_test"],
            "selection": choice.result["selection"],
            "test_scores": choice.result["scores"],
        },
        "results": {key: results[key] for key in _FACTS if key in results},
        # Without overrides, which only the machine that trained it can use.
        "encoder_card": card,
        "calibration": None,
    }
    trained = TrainedClassifier(
        embedding,
        classifier,
        corpus_labels(results["classes"]),
        about,
        tuned,
    )
    on = usable_device(device)
    embedding.to(on)
    classifier.to(on)
    about["compared"] = compare_on_test(
        trained, run, choice.result, data_folder, tolerance, progress
    )
    if calibrated:
        about["calibration"] = calibrate_on_validation(
            trained,
            run,
            results,
            choice.number,
            choice.result,
            data_folder,
            progress,
        )
        classifier.temperature = about["calibration"]["temperature"]
    return trained


def load_tuned(encoder: WaveformEncoder, folder: str | Path) -> bool:
    """Put in what fine-tuning has changed of an encoder, if anything.

    Raises ValueError when its tensors are not of this encoder.
    """
    path = Path(folder) / TUNED
    if not path.is_file():
        return False
    state = read_safetensors(path)
    own = encoder.state_dict()
    known = {name: own[name].shape for name in state if name in own}
    found = {name: value.shape for name, value in state.items()}
    demand_match(known, found, path)
    encoder.load_state_dict(state, strict=False)
    return True


def join(
    encoder: WaveformEncoder,
    layer: Layer,
    head: Head,
    on_means: bool,
) -> tuple[UtteranceEmbedding, EmbeddingClassifier]:
    """Split encoder and head at the mean over frames.

    `on_means`: the head was trained on each utterance's mean, so its hidden
    layer belongs behind the mean.

    Example
    -------
    >>> from speechbrain_e2v.lobes.encoder import Emotion2vecEncoder
    >>> encoder = Emotion2vecEncoder(
    ...     embed_dim=48, num_heads=4, prenet_depth=1, depth=2,
    ...     conv_channels=32, pos_conv_groups=4)
    >>> head = heads.FrameMLPHead(48, 4, hidden=16)
    >>> [join(encoder, -1, head, on_means)[0].hidden
    ...  for on_means in (False, True)]
    [16, 0]
    """
    output = head.output_layer
    if isinstance(head, heads.WeightedSumHead):
        if len(head.layer_weights) != encoder.num_layers:
            raise ValueError(
                f"the head weighs {len(head.layer_weights)} layers, but the "
                f"encoder has {encoder.num_layers}: give the run's own with "
                "--encoder"
            )
        embedding = UtteranceEmbedding(encoder, "weighted")
        embedding.layer_weights = head.layer_weights
        classifier = EmbeddingClassifier(encoder.embed_dim, output.out_features)
        classifier.output_layer = _product(output, head.projection)
    elif isinstance(head, heads.LinearHead):
        embedding = UtteranceEmbedding(encoder, layer)
        classifier = EmbeddingClassifier(embedding.width, output.out_features)
        classifier.output_layer = output
    elif on_means:
        hidden = head.frame_layer.out_features
        embedding = UtteranceEmbedding(encoder, layer)
        classifier = EmbeddingClassifier(
            embedding.width, output.out_features, hidden=hidden
        )
        classifier.hidden_layer = head.frame_layer
        classifier.output_layer = output
    else:
        hidden = head.frame_layer.out_features
        embedding = UtteranceEmbedding(encoder, layer, hidden)
        embedding.frame_layer = head.frame_layer
        classifier = EmbeddingClassifier(hidden, output.out_features)
        classifier.output_layer = output
    return embedding, classifier


def _product(last: torch.nn.Linear, first: torch.nn.Linear) -> torch.nn.Linear:
    """Two linear layers with nothing between them are one."""
    layer = torch.nn.Linear(first.in_features, last.out_features)
    with torch.no_grad():
        weight, bias = last.weight.double(), last.bias.double()
        layer.weight.copy_(weight @ first.weight.double())
        layer.bias.copy_(weight @ first.bias.double() + bias)
    return layer


def _encoder_path(run: str | Path) -> str:
    path = Path(run) / "hyperparams.yaml"
    node = yaml.compose(path.read_text("utf-8"))  # builds nothing
    for key, value in node.value if node is not None else ():
        if key.value == "encoder" and isinstance(value, yaml.ScalarNode):
            return value.value
    raise ValueError(
        f"{path} does not name the encoder: give it with --encoder."
    )
