"""From the output folder of a probe recipe to a classifier.

A run has one head per fold and seed. One of them is taken: the best on its
validation utterances, or the one that was asked for. Its temperature is
fitted on those validation utterances, read again from the corpus, which also
shows that the classifier reproduces the run's validation accuracy.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import yaml
from safetensors.torch import load_file

from speechbrain_e2v.downstream.export_calibration import (
    calibrate_on_validation,
)
from speechbrain_e2v.inference.trained import TrainedClassifier, corpus_labels
from speechbrain_e2v.lobes import heads
from speechbrain_e2v.lobes.embedding import (
    EmbeddingClassifier,
    UtteranceEmbedding,
)
from speechbrain_e2v.published.encoder_folder import (
    check_state,
    weights_digest,
)
from speechbrain_e2v.published.load import load_pretrained

_HEADS = {
    "FrameMLPHead": heads.FrameMLPHead,
    "LinearHead": heads.LinearHead,
}
_FACTS = (
    "corpus", "classes", "protocol", "seeds", "pooled", "interval95",
    "fold_spread", "confusion", "n_predictions", "counts", "classifier",
    "feature_layer", "upstream_digest", "commit", "versions",
)  # fmt: skip


@dataclass(frozen=True)
class Choice:
    """One trained head of a run.

    Arguments
    ---------
    folder : Path
        ``folds/<number>/seed<seed>``.
    number, seed : int
    result : dict
        Content of ``result.json``.
    reason : str
        Why this one.
    """

    folder: Path
    number: int
    seed: int
    result: dict
    reason: str


def read_run(run):
    """Read ``results.json`` and refuse runs that cannot be exported.

    Arguments
    ---------
    run : str or Path

    Returns
    -------
    dict
    """
    path = Path(run) / "results.json"
    if not path.is_file():
        raise FileNotFoundError(
            f"{run} is no finished run: there is no {path.name} in it."
        )
    results = json.loads(path.read_text("utf-8"))
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
    kind = results.get("upstream", {}).get("kind")
    if kind != "trained encoder":
        raise ValueError(
            f"{run} used {kind or 'no frozen features'}; only runs on the "
            "features of a trained encoder can be exported."
        )
    return results


def choose(run, fold=None, seed=None):
    """Choose a trained head of a run.

    Arguments
    ---------
    run : str or Path
        Output folder of a recipe.
    fold : str, int or None
        Number of a fold, from 0, or its name; None: all compete.
    seed : int or None
        None: all compete.

    Returns
    -------
    Choice
        Best validation WA; of equals the lower loss, then the first fold.

    Raises
    ------
    ValueError
        When no head fits; says which there are.
    """
    candidates, known = [], []
    for path in sorted(Path(run).glob("folds/*/seed*/result.json")):
        number = int(path.parts[-3])
        found_seed = int(path.parts[-2].removeprefix("seed"))
        result = json.loads(path.read_text("utf-8"))
        known.append(f"{number} ({result['fold']!r}, seed {found_seed})")
        named = fold is None or str(fold) in (
            str(number), f"{number:02d}", result["fold"]
        )  # fmt: skip
        if named and seed in (None, found_seed):
            candidates.append((path.parent, number, found_seed, result))
    if not candidates:
        raise ValueError(
            f"{run} has no fold {fold!r} with seed {seed!r}; there are: "
            + (", ".join(known) or "none, train first")
        )

    def quality(candidate):
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


def classifier_from_run(
    run, encoder=None, fold=None, seed=None, calibrated=True, progress=True
):
    """Join a run's encoder and one of its heads.

    Arguments
    ---------
    run : str or Path
    encoder : str, Path or None
        Where the run's encoder is now; None: where the run says.
    fold, seed
        As for `choose`.
    calibrated : bool
        Fit a temperature on the validation utterances of the fold.
    progress : bool

    Returns
    -------
    TrainedClassifier

    Raises
    ------
    FileNotFoundError
    ValueError
        When encoder, head and results do not belong together.
    """
    results = read_run(run)
    choice = choose(run, fold, seed)
    encoder, card = load_pretrained(encoder or _encoder_path(run))
    digest = weights_digest(encoder)
    expected = results["upstream"]["weights_sha256"]
    if digest != expected:
        raise ValueError(
            f"the run used an encoder with weights sha256 {expected[:16]}..., "
            f"but this one has {digest[:16]}...: give the right one with "
            "--encoder."
        )
    layer = results["feature_layer"]
    embedding, classifier = _modules(encoder, layer, choice.folder)
    about = {
        "kind": "probe on a frozen encoder",
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
        "encoder_card": _public(card),
        "calibration": None,
    }
    trained = TrainedClassifier(
        embedding, classifier, corpus_labels(results["classes"]), about
    )
    if calibrated:
        about["calibration"] = calibrate_on_validation(
            trained, run, results, choice, progress
        )
        classifier.temperature = about["calibration"]["temperature"]
    return trained


def _encoder_path(run):
    path = Path(run) / "hyperparams.yaml"
    node = yaml.compose(path.read_text("utf-8"))  # builds nothing
    for key, value in node.value:
        if key.value == "encoder" and isinstance(value, yaml.ScalarNode):
            return value.value
    raise ValueError(
        f"{path} does not name the encoder: give it with --encoder."
    )


def _modules(encoder, layer, folder):
    about = json.loads((folder / "probe.json").read_text("utf-8"))
    if about["head"] not in _HEADS:
        raise ValueError(
            f"{folder} has a {about['head']}; only "
            f"{' and '.join(_HEADS)} can be exported."
        )
    head = _HEADS[about["head"]](**about["arguments"])
    state = load_file(folder / "probe.safetensors")
    check_state(head, state, folder / "probe.safetensors")
    head.load_state_dict(state)
    if isinstance(head, heads.LinearHead):
        embedding = UtteranceEmbedding(encoder, layer)
    else:
        hidden = head.frame_layer.out_features
        embedding = UtteranceEmbedding(encoder, layer, hidden)
        embedding.frame_layer = head.frame_layer
    output = head.output_layer
    classifier = EmbeddingClassifier(output.in_features, output.out_features)
    classifier.output_layer = output
    return embedding, classifier


def _public(card):
    """Leave out what only the machine that trained it can use."""
    return {key: card[key] for key in card if key != "overrides"}
