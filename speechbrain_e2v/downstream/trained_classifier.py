"""What can become a classifier folder: a run, or published weights."""

from pathlib import Path

from speechbrain_e2v.downstream.export import classifier_from_run
from speechbrain_e2v.inference.published_classifier import (
    classifier_from_published,
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
