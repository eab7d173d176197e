"""From the output folder of a probe recipe to a classifier.

A run has one head per fold and seed. One of them is taken: the best on its
validation utterances, or the one that was asked for. Encoder and head are
joined, and must give the posteriors that the run recorded of its own test
utterances.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeAlias

import msgspec
import torch
import yaml

from speechbrain_e2v.downstream.cross_validation import read_fold
from speechbrain_e2v.downstream.export_check import (
    calibrate_on_validation,
    compare_on_test,
)
from speechbrain_e2v.downstream.fold_result import TUNED
from speechbrain_e2v.files.documents import BadDocument, read_json
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
from speechbrain_e2v.metrics import SCORES
from speechbrain_e2v.published.encoder_folder import weights_digest
from speechbrain_e2v.published.load import load_pretrained
from speechbrain_e2v.published.state_dict_check import (
    check_state,
    demand_match,
    read_safetensors,
)
from speechbrain_e2v.training.devices import usable_device

Head: TypeAlias = heads.FrameMLPHead | heads.LinearHead | heads.WeightedSumHead
_HEADS: dict[str, type[Head]] = {
    "FrameMLPHead": heads.FrameMLPHead,
    "LinearHead": heads.LinearHead,
    "WeightedSumHead": heads.WeightedSumHead,
}
_FACTS = (
    "corpus", "classes", "protocol", "seeds", "pooled", "interval95",
    "fold_spread", "confusion", "n_predictions", "counts", "classifier",
    "feature_layer", "upstream_digest", "commit", "versions",
)  # fmt: skip
_TRAIN_AGAIN = "delete its folder, and run the recipe again"
TOLERANCE = 1e-5
"""Of posteriors; another kind of processor may round them further apart."""


_Size: TypeAlias = Annotated[int, msgspec.Meta(ge=1, le=2**24)]
_Share: TypeAlias = Annotated[float, msgspec.Meta(ge=0, lt=1)]  # of dropout


class _SavedHead(msgspec.Struct):
    """What ``probe.json`` must have."""

    head: str
    arguments: dict[str, _Size | _Share]
    weights_sha256: str | None = None


class _Protocol(msgspec.Struct):
    marks: list[str]


class _Upstream(msgspec.Struct):
    weights_sha256: str


class _Made(msgspec.Struct):
    kind: str


class _Spread(msgspec.Struct):
    mean: float
    sd: float
    min: float
    max: float


class _Versions(msgspec.Struct):
    speechbrain_e2v: str


class _Run(msgspec.Struct):
    """What ``results.json`` must have for its classifier to be exported."""

    corpus: str
    classes: list[str]
    protocol: _Protocol
    pooled: dict[str, float]
    n_predictions: int
    classifier: _Made
    upstream: _Upstream
    feature_layer: int | str | list[int]
    fold_spread: dict[str, _Spread]
    versions: _Versions
    interval95: dict[str, tuple[float, float]] | None = None

    def __post_init__(self) -> None:
        for name in SCORES:
            if name not in self.pooled or name not in self.fold_spread:
                raise ValueError(f"there is no score {name}")


class _Fold(msgspec.Struct):
    """What ``result.json`` must have beside predictions."""

    n_train: int
    n_valid: int
    n_test: int
    selection: dict[str, Any]
    scores: dict[str, float | None]


@dataclass(frozen=True)
class Choice:
    """One trained head of a run, and why this one.

    `folder` is ``folds/<number>/seed<seed>``, `result` its ``result.json``.
    """

    folder: Path
    number: int
    seed: int
    result: dict
    reason: str


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
    read_json(choice.folder / "result.json", _Fold, way_out=_TRAIN_AGAIN)
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


def read_run(run: str | Path) -> dict:
    """Read ``results.json`` and refuse runs that cannot be exported."""
    path = Path(run) / "results.json"
    if not path.is_file():
        raise FileNotFoundError(
            f"{run} is no finished run: there is no {path.name} in it."
        )
    results = read_json(path, dict[str, Any])
    if "regressor" in results:
        raise ValueError(
            f"{run} is a regression of {', '.join(results['scales'])}; only "
            "runs with classes can be exported as a classifier."
        )
    if "conversation" in results:
        raise ValueError(
            f"{run} predicts the next turn of a conversation; only runs that "
            "classify single utterances can be exported."
        )
    head = results.get("classifier", {}).get("head", {}).get("name")
    if head is not None and head not in _HEADS:
        raise ValueError(
            f"{run} trained a {head}; only {', '.join(_HEADS)} can be exported."
        )
    upstream = results.get("upstream", {})
    kind = upstream.get("kind")
    if kind != "trained encoder":
        raise ValueError(
            f"{run} used {kind or 'no frozen features'}; only runs on the "
            "features of a trained encoder can be exported."
        )
    if "architecture" in upstream:  # this package's own encoders have none
        raise ValueError(
            f"{run} used {upstream['architecture']}; only runs on encoders of "
            "this package can be exported."
        )
    read_json(path, _Run, way_out="run the recipe again")
    return results


def choose(
    run: str | Path, fold: str | int | None = None, seed: int | None = None
) -> Choice:
    """Choose a trained head of a run.

    `fold` is the number of a fold, from 0, or its name; None, as for `seed`:
    all compete, and all that ``results.json`` names must be there. The best
    validation WA wins; of equals the lower loss, then the first fold.

    Raises
    ------
    ValueError
        When no head fits; says which there are.
    """
    results = read_json(Path(run) / "results.json", dict[str, Any])
    current = {entry["settings_sha256"] for entry in results["folds"]}
    candidates, known, kept = [], [], set()
    for path in sorted(Path(run).glob("folds/*/seed*/result.json")):
        number = int(path.parts[-3])
        found_seed = int(path.parts[-2].removeprefix("seed"))
        result = read_fold(path)
        if result["settings_sha256"] not in current:
            continue  # of other settings, which results.json no longer has
        kept.add(result["settings_sha256"])
        known.append(f"{number} ({result['fold']!r}, seed {found_seed})")
        named = fold is None or str(fold) in (
            str(number), f"{number:02d}", result["fold"]
        )  # fmt: skip
        if named and seed in (None, found_seed):
            candidates.append((path.parent, number, found_seed, result))
    if fold is None and seed is None and kept < current:
        # The best of what is left would not be the best of the run.
        raise ValueError(
            f"{run}/results.json names {len(current)} trained heads, of which "
            f"{len(current - kept)} are not in {run}/folds: run the recipe "
            "again, or choose one with --fold and --seed"
        )
    if not candidates:
        raise ValueError(
            f"{run} has no fold {fold!r} with seed {seed!r}; there are: "
            + (", ".join(known) or "none, train first")
        )

    def quality(candidate: tuple[Path, int, int, dict]) -> tuple:
        selection = candidate[3]["selection"]
        loss = selection.get("valid_loss", 0.0)
        return -selection["valid_wa"], loss, candidate[1], candidate[2]

    best = min(candidates, key=quality)
    reason = (
        "best validation WA of " + f"{len(candidates)} heads"
        if len(candidates) > 1
        else "the only one that was asked for"
    )
    return Choice(*best, reason)


def read_head(folder: str | Path) -> Head:
    """Read the head of ``folds/<number>/seed<seed>``."""
    path = Path(folder) / "probe.json"
    about = read_json(path, _SavedHead, way_out=_TRAIN_AGAIN)
    if about.head not in _HEADS:
        raise ValueError(
            f"{folder} has a {about.head}; only "
            f"{', '.join(_HEADS)} can be exported."
        )
    try:
        with torch.device("meta"):  # whatever the sizes say, nothing is built
            head = _HEADS[about.head](**about.arguments)  # type: ignore[arg-type]
    except (TypeError, ValueError, RuntimeError) as error:
        raise BadDocument(
            f"{path}: arguments: {error}: {_TRAIN_AGAIN}."
        ) from None
    weights = path.with_name("probe.safetensors")
    state = read_safetensors(weights, about.weights_sha256)
    check_state(head, state, weights)
    head.load_state_dict(state, assign=True)
    return head.eval()


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
