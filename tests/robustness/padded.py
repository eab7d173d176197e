"""Batches of unlike clips: each result is that of the clip alone."""

import random
from collections import Counter
from pathlib import Path

import numpy as np
import torch
from speechbrain.inference.classifiers import EncoderClassifier

from speechbrain_e2v.inference import Emotion2vec, EmotionClassifier

TOLERANCE = 1e-5
COARSE = 0.05
"""In bfloat16, whose numbers have 8 bits: of scores."""
RATE = 16000
SHORTEST, LONGEST = 400, 20 * RATE


def clip(rng: random.Random) -> np.ndarray:
    """A waveform: speech-like noise, silence, a constant; offset, any level."""
    low, high = np.log(SHORTEST), np.log(LONGEST)
    samples = int(np.exp(low + rng.random() * (high - low)))
    noise = np.random.default_rng(rng.randrange(2**32))
    kind = rng.choice(("noise", "noise", "noise", "silence", "constant"))
    wave = noise.standard_normal(samples) * 10 ** (-4 * rng.random())
    if kind != "noise":
        wave[:] = 0.0
    if kind == "constant" or rng.random() < 0.3:
        wave += 0.9 * (2 * rng.random() - 1)
    return wave.astype(np.float32)


class Doors:
    """The three ways to a clip's numbers, of the workspace's models."""

    def __init__(self, workspace: Path):
        folder = str(workspace / "classifier")
        self.features = Emotion2vec.from_pretrained(str(workspace / "encoder"))
        self.classifier = EmotionClassifier.from_pretrained(folder)
        self.stock = EncoderClassifier.from_hparams(folder, savedir=folder)

    def together(
        self, clips: list[np.ndarray], seconds: float
    ) -> list[dict[str, np.ndarray]]:
        """Features, embedding, and scores by either class, of each clip."""
        vectors = self.features.extract(
            clips, sample_rate=RATE, batch_seconds=seconds
        )
        said = self.classifier.classify(clips, batch_seconds=seconds)
        padded = torch.nn.utils.rnn.pad_sequence(
            [torch.from_numpy(wave) for wave in clips], batch_first=True
        )
        lengths = torch.tensor([len(c) / padded.shape[1] for c in clips])
        with torch.no_grad():
            posteriors = self.stock.classify_batch(padded, lengths)[0].exp()
        return [
            {
                "features": vectors[i].values.float().numpy(),
                "embeddings": said[i].embedding,
                "scores": np.array([*said[i].scores.values()]),
                "stock scores": posteriors[i].flatten().float().numpy(),
            }
            for i in range(len(clips))
        ]


def try_padded(workspace: Path, numbers: range) -> tuple[Counter, list[str]]:
    """Compare scores and embeddings at every door; counts and faults.

    Every tenth batch is computed in bfloat16, too.
    """
    doors = Doors(workspace)
    counts: Counter = Counter()
    faults: list[str] = []
    for number in numbers:
        rng = random.Random(number)
        clips = [clip(rng) for _ in range(rng.randint(2, 6))]
        seconds = rng.choice((5.0, 20.0, 120.0))
        threads = torch.get_num_threads()
        torch.set_num_threads(rng.choice((1, 2)))
        kinds = ["fp32", "bf16"] if number % 10 == 0 else ["fp32"]
        for kind in kinds:
            coarse = torch.autocast(
                "cpu", torch.bfloat16, enabled=kind == "bf16"
            )
            with coarse:
                batch = doors.together(clips, seconds)
                alone = [doors.together([w], seconds)[0] for w in clips]
            for one, other in zip(batch, alone, strict=True):
                for fault in _unlike(one, other, kind, counts):
                    faults.append(f"batch {number}, {kind}: {fault}")
        torch.set_num_threads(threads)
        counts["tried"] += 1
    return counts, faults


def _unlike(
    one: dict[str, np.ndarray],
    other: dict[str, np.ndarray],
    kind: str,
    counts: Counter,
) -> list[str]:
    tolerance = TOLERANCE if kind == "fp32" else COARSE
    faults = []
    for what, values in one.items():
        if kind == "bf16" and "scores" not in what:
            continue
        gap = float(np.abs(values - other[what]).max())
        counts[f"{kind} {what}"] += 1
        name = f"largest {kind} gap of {what}, in 1e-9"
        counts[name] = max(counts[name], round(gap * 1e9))
        if not gap <= tolerance:  # not a number is no match
            faults.append(f"{what} {gap:.2g}")
    for what in ("scores", "stock scores"):
        ordered = np.sort(other[what])
        if ordered[-1] - ordered[-2] > 2 * tolerance:  # no tie
            counts[f"{kind} labels"] += 1
            if one[what].argmax() != other[what].argmax():
                faults.append(f"label by {what}")
    return faults
