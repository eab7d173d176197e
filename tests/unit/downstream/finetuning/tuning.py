"""A tiny corpus of noise in three colours, and what is tuned on it."""

import functools

import soundfile
import torch
from speechbrain.utils.run_opts import RunOptions
from unit.inference.tiny import CLASSES, noise, tiny_encoder

from speechbrain_e2v.corpora.protocols import Fold
from speechbrain_e2v.corpora.utterance import Utterance
from speechbrain_e2v.downstream.finetuning.corpus import TunableEncoder
from speechbrain_e2v.downstream.finetuning.learning_rates import LearningRates
from speechbrain_e2v.downstream.finetuning.losses import CrossEntropy
from speechbrain_e2v.downstream.finetuning.objectives import Classes
from speechbrain_e2v.downstream.finetuning.settings import FineTuningSettings
from speechbrain_e2v.downstream.finetuning.trainer import FineTuner
from speechbrain_e2v.downstream.finetuning.what_trains import Full
from speechbrain_e2v.downstream.upstreams.encoder import FrozenEncoder
from speechbrain_e2v.lobes.heads import LinearHead

NAMES = tuple(f"u{index:02d}" for index in range(12))
TRUTH = {name: index % 3 for index, name in enumerate(NAMES)}
FOLD = Fold("first", NAMES[:6], NAMES[6:9], NAMES[9:])


def corpus(folder, layer=-1, ratings=False, encoder=None):
    """A TunableCorpus of twelve clips, 0.3 to 0.6 s."""
    folder.mkdir(exist_ok=True)
    utterances = []
    for index, name in enumerate(NAMES):
        size = 5000 + 433 * index
        path = folder / f"{name}.wav"
        soundfile.write(path, noise(size, index), 16000)
        extra = {"arousal": 1.0 + index, "valence": 5.0 - index % 4}
        utterances.append(
            Utterance(
                name,
                str(path),
                emo=CLASSES[index % 3],
                num_samples=size,
                sample_rate=16000,
                duration=size / 16000,
                extra=extra if ratings else {},
            )  # fmt: skip
        )
    encoder = encoder or tiny_encoder(depth=2)
    upstream = FrozenEncoder(encoder, layer, "cpu", {"kind": "trained encoder"})
    return TunableEncoder().store({}, upstream, utterances)


def settings(**changes):
    return FineTuningSettings(
        **{
            "head": LinearHead,
            "what_trains": Full(),
            "optimizer": functools.partial(torch.optim.AdamW, weight_decay=0.1),
            "number_of_epochs": 2,
            "batch_size": 3,
            "rates": LearningRates(encoder=1e-3, head=1e-2),
            "schedule": constant,
            **changes,
        }
    )


def constant(update, peak, total):
    return peak


def tuned(
    store, folder, truth=None, objective=None, advance=lambda: None, **changes
):
    """The FoldResult of the one fold."""
    trainer = FineTuner(
        settings(**changes), objective or Classes(CrossEntropy()), folder
    )
    outputs = 2 if truth else 3
    ((_, result),) = trainer.fit_all(
        store, truth or TRUTH, [(FOLD, 1)], outputs,
        RunOptions.from_dictionary({"device": "cpu", "noprogressbar": True}),
        advance,
    )  # fmt: skip
    return result
