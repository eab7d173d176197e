"""A classifier against the run that it was made of, on the corpus itself.

The audio is read again and goes through the joined encoder and head. That the
posteriors are those which training recorded shows that what is exported is
what was trained; validation utterances then give the temperature.
"""

from collections.abc import Sequence
from pathlib import Path

import msgspec
import torch
from torch.nn.functional import pad

from speechbrain_e2v.console import progress_bar
from speechbrain_e2v.corpora.audio import read_audio
from speechbrain_e2v.corpora.labels import LabelSet
from speechbrain_e2v.corpora.manifest import read_manifest
from speechbrain_e2v.corpora.protocols import make_folds
from speechbrain_e2v.corpora.utterance import Utterance
from speechbrain_e2v.files.documents import read_json
from speechbrain_e2v.inference.calibration import calibrate
from speechbrain_e2v.inference.trained import TrainedClassifier
from speechbrain_e2v.lobes.batching import batches_by_length
from speechbrain_e2v.lobes.lengths import MIN_SAMPLES, SAMPLE_RATE
from speechbrain_e2v.metrics import weighted_accuracy

_BATCH_SECONDS = 60.0


def compare_on_test(
    trained: TrainedClassifier,
    run: str | Path,
    result: dict,
    data_folder: str | Path | None,
    tolerance: float,
    progress: bool = True,
) -> dict:
    """Compare posteriors with those of a fold's ``result.json``.

    Gives how many test utterances there were and the largest difference.

    Raises ValueError when it is more than `tolerance`.
    """
    utterances = _utterances(run, data_folder, result["test"])
    found = _log_posteriors(trained, utterances, "test", progress).exp()
    recorded = torch.tensor(result["posteriors"])
    difference = (found - recorded).abs().amax(dim=1)
    worst = int(difference.argmax())
    if not difference.max() <= tolerance:
        raise ValueError(
            f"{run}: the classifier gives {utterances[worst].id} posteriors "
            f"{difference[worst]:.2g} from those that the run recorded, more "
            f"than {tolerance:g}: the audio, the encoder or the package has "
            "changed since, so train again; where only the processor is "
            "another one, choose the run's with --device, or allow more with "
            "--tolerance."
        )
    return {
        "test_utterances": len(utterances),
        "largest_difference": float(difference.max()),
    }


def calibrate_on_validation(
    trained: TrainedClassifier,
    run: str | Path,
    results: dict,
    number: int,
    result: dict,
    data_folder: str | Path | None,
    progress: bool = True,
) -> dict:
    """Fit a temperature on the validation utterances of fold `number`.

    Gives what `calibrate` gives, with ``data`` and ``valid_wa``; `trained` has
    temperature 1.

    Raises ValueError when the fold, or the validation accuracy, is not that of
    the run.
    """
    labels = LabelSet(tuple(results["classes"]))
    manifest = _manifest(run)
    utterances = labels.apply(read_manifest(manifest, data_folder))
    rows = {utterance.id: utterance for utterance in utterances}
    ids = _fold_ids(run, number, results["protocol"], utterances)
    if ids.test != result["test"] or not rows.keys() >= set(ids.valid):
        raise ValueError(
            f"{manifest} no longer gives the folds of this run: restore it, "
            "or export with --no_calibration."
        )
    valid = [rows[name] for name in ids.valid]
    reference = labels.encode(valid)
    found = _log_posteriors(trained, valid, "calibration", progress)
    wa = weighted_accuracy(reference, found.argmax(dim=1).tolist())
    recorded = result["selection"]["valid_wa"]
    if abs(wa - recorded) > 1.0 + 100.0 / len(valid):
        raise ValueError(
            f"validation WA is {wa:.2f} % with the exported classifier, but "
            f"the run recorded {recorded:.2f} %: the audio or the package "
            "has changed since. Train again."
        )
    return {
        **calibrate(found, reference),
        "data": f"validation utterances of fold {number}",
        "valid_wa": {"recorded": recorded, "exported": wa},
    }


class _FoldIds(msgspec.Struct):
    valid: list[str]
    test: list[str]


def _fold_ids(
    run: str | Path, number: int, protocol: dict, utterances: list[Utterance]
) -> _FoldIds:
    path = Path(run) / "folds" / f"{number:02d}" / "ids.json"
    if path.is_file():
        return read_json(path, _FoldIds)
    # A run of an older version: its folds are made again.
    folds = make_folds(
        protocol["name"], utterances, protocol["n_folds"],
        protocol["split_seed"],
    )  # fmt: skip
    return _FoldIds(list(folds[number].valid), list(folds[number].test))


def _manifest(run: str | Path) -> Path:
    return Path(run) / "manifest" / "all.json"


def _utterances(
    run: str | Path, data_folder: str | Path | None, names: Sequence[str]
) -> list[Utterance]:
    rows = {u.id: u for u in read_manifest(_manifest(run), data_folder)}
    missing = [name for name in names if name not in rows]
    if missing:
        raise ValueError(
            f"{_manifest(run)} no longer has {missing[0]}, which the run was "
            "tested on: restore it, or train again."
        )
    return [rows[name] for name in names]


def _log_posteriors(
    trained: TrainedClassifier,
    utterances: Sequence[Utterance],
    what: str,
    progress: bool,
) -> torch.Tensor:
    sizes = [round(u.duration * SAMPLE_RATE) for u in utterances]
    found: dict[int, torch.Tensor] = {}
    with progress_bar(
        total=len(utterances), desc=what, unit="utt", disable=not progress
    ) as bar:
        for batch in batches_by_length(sizes, _BATCH_SECONDS):
            waveforms = []
            for index in batch:
                u = utterances[index]
                wav = read_audio(u.wav, u.start, u.stop)
                # As in training: filled up to one frame.
                waveforms.append(pad(wav, (0, max(0, MIN_SAMPLES - len(wav)))))
            rows, _ = trained.log_posteriors(waveforms)
            found |= zip(batch, rows.cpu(), strict=True)
            bar.update(len(batch))
    return torch.stack([found[index] for index in range(len(utterances))])
