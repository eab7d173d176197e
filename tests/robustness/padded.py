"""Batches of unlike clips: each result is that of the clip alone."""

import random
from collections import Counter
from pathlib import Path

import numpy as np
import torch
from speechbrain.inference.classifiers import EncoderClassifier

from speechbrain_e2v.inference import Emotion2vec, EmotionClassifier

TOLERANCE = 1e-5
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


def try_padded(workspace: Path, batches: int, seed: int = 0):
    """Compare scores and embeddings at every door; counts and faults."""
    rng = random.Random(seed)
    features = Emotion2vec.from_pretrained(str(workspace / "encoder"))
    folder = str(workspace / "classifier")
    classifier = EmotionClassifier.from_pretrained(folder)
    stock = EncoderClassifier.from_hparams(source=folder, savedir=folder)
    counts: Counter = Counter()
    faults: list[str] = []

    def compare(what: str, number: int, together, alone) -> None:
        gap = float(np.abs(np.asarray(together) - np.asarray(alone)).max())
        counts[f"{what} compared"] += 1
        if not gap <= TOLERANCE:  # not a number is no match
            faults.append(f"batch {number}, seed {seed}: {what} {gap:.2g}")

    for number in range(batches):
        clips = [clip(rng) for _ in range(rng.randint(2, 6))]
        seconds = rng.choice((5.0, 20.0, 120.0))
        threads = torch.get_num_threads()
        torch.set_num_threads(rng.choice((1, 2)))
        vectors = features.extract(clips, sample_rate=RATE)
        said = classifier.classify(clips, batch_seconds=seconds)
        padded = torch.nn.utils.rnn.pad_sequence(
            [torch.from_numpy(wave) for wave in clips], batch_first=True
        )
        lengths = torch.tensor([len(c) / padded.shape[1] for c in clips])
        with torch.no_grad():
            posteriors = stock.classify_batch(padded, lengths)[0].exp()
        for i, wave in enumerate(clips):
            one = features.extract(wave, sample_rate=RATE)
            compare("features", number, vectors[i].values, one.values)
            alone = classifier.classify(wave)
            scores = [alone.scores[name] for name in alone.scores]
            compare(
                "scores",
                number,
                [said[i].scores[name] for name in alone.scores],
                scores,
            )
            compare("embeddings", number, said[i].embedding, alone.embedding)
            compare("stock scores", number, posteriors[i].squeeze(), scores)
            ordered = sorted(scores)
            if ordered[-1] - ordered[-2] > 2 * TOLERANCE:  # no tie
                counts["labels compared"] += 1
                if said[i].label != alone.label:
                    faults.append(f"batch {number}, seed {seed}: label")
        torch.set_num_threads(threads)
        counts["tried"] += 1
    return counts, faults
