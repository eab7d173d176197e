"""The temperature of a probe, from the run it was trained in.

The validation utterances are read again and go through the joined encoder and
head; that their accuracy is the one that training recorded shows that the
export is what was trained.
"""

from pathlib import Path

import torch
from torch.nn.functional import pad
from torch.nn.utils.rnn import pad_sequence
from tqdm import tqdm

from speechbrain_e2v.corpora.audio import read_audio
from speechbrain_e2v.corpora.labels import LabelSet
from speechbrain_e2v.corpora.manifest import read_manifest
from speechbrain_e2v.corpora.protocols import make_folds
from speechbrain_e2v.inference.calibration import calibrate
from speechbrain_e2v.inference.trained import in_batches
from speechbrain_e2v.lobes.lengths import MIN_SAMPLES, SAMPLE_RATE
from speechbrain_e2v.metrics import weighted_accuracy

_BATCH_SECONDS = 60.0


def calibrate_on_validation(trained, run, results, choice, progress=True):
    """Fit a temperature on the validation utterances of a fold.

    Arguments
    ---------
    trained : TrainedClassifier
        With temperature 1.
    run : str or Path
        Output folder; its manifest says where the corpus is.
    results : dict
        Content of ``results.json``.
    choice : Choice
        The head that `trained` has.
    progress : bool

    Returns
    -------
    dict
        As from `calibrate`, with ``data`` and ``valid_wa``.

    Raises
    ------
    ValueError
        When the fold, or the validation accuracy, is not that of the run.
    """
    manifest = Path(run) / "manifest" / "all.json"
    labels = LabelSet(tuple(results["classes"]))
    utterances = labels.apply(read_manifest(manifest))
    protocol = results["protocol"]
    folds = make_folds(
        protocol["name"], utterances, protocol["n_folds"],
        protocol["split_seed"],
    )  # fmt: skip
    fold = folds[choice.number]
    if list(fold.test) != choice.result["test"]:
        raise ValueError(
            f"{manifest} no longer gives the folds of this run: restore it, "
            "or export with --no_calibration."
        )
    rows = {utterance.id: utterance for utterance in utterances}
    valid = [rows[name] for name in fold.valid]
    reference = labels.encode(valid)
    found = _posteriors_of(trained, valid, progress)
    wa = weighted_accuracy(reference, found.argmax(dim=1).tolist())
    recorded = choice.result["selection"]["valid_wa"]
    if abs(wa - recorded) > 1.0 + 100.0 / len(valid):
        raise ValueError(
            f"validation WA is {wa:.2f} % with the exported classifier, but "
            f"the run recorded {recorded:.2f} %: the audio or the package "
            "has changed since. Train again, or use --no_calibration."
        )
    return {
        **calibrate(found, reference),
        "data": f"validation utterances of fold {choice.number}",
        "valid_wa": {"recorded": recorded, "exported": wa},
    }


def _posteriors_of(trained, utterances, progress):
    sizes = [round(u.duration * SAMPLE_RATE) for u in utterances]
    found = [None] * len(utterances)
    with tqdm(
        total=len(utterances), desc="calibration", unit="utt",
        disable=not progress,
    ) as bar:  # fmt: skip
        for batch in in_batches(sizes, _BATCH_SECONDS):
            waveforms = []
            for index in batch:
                u = utterances[index]
                wav = read_audio(u.wav, u.start, u.stop)
                # As in training: filled up to one frame.
                wav = pad(wav, (0, max(0, MIN_SAMPLES - len(wav))))
                waveforms.append(wav)
            samples = torch.tensor([len(wav) for wav in waveforms])
            padded = pad_sequence(waveforms, batch_first=True)
            rows, _ = trained.log_posteriors(padded, samples)
            for index, row in zip(batch, rows.cpu(), strict=True):
                found[index] = row
            bar.update(len(batch))
    return torch.stack(found)
