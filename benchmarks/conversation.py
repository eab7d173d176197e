#!/usr/bin/env python3
"""Ten folds of emotion prediction in conversation, at the size of IEMOCAP.

151 dialogues, 10,039 utterances, random vectors and labels; the settings of
`conversation.yaml`. Beside it stands how long the matrix products of training
alone would take if they ran at the machine's peak.

> python benchmarks/conversation.py -o results.json
"""

import tempfile
import time
from itertools import islice
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from hyperpyyaml import load_hyperpyyaml
from machine import matmul_gflops
from measurement import Row, demand, main
from torch.utils.flop_counter import FlopCounterMode

from speechbrain_e2v.corpora.protocols import make_folds
from speechbrain_e2v.corpora.utterance import Utterance
from speechbrain_e2v.downstream.classification.targets import ClassTargets
from speechbrain_e2v.downstream.conversation.batches import (
    BatchesOfLikeLength,
    SampleTensors,
)
from speechbrain_e2v.downstream.conversation.networks import ConversationModel
from speechbrain_e2v.downstream.conversation.samples import samples_of
from speechbrain_e2v.downstream.conversation.vectors import UtteranceVectors
from speechbrain_e2v.downstream.cross_validation import cross_validate
from speechbrain_e2v.training.yaml_bases import merged_yaml

RECIPE = Path(__file__).parents[1] / "recipes/IEMOCAP/hparams/conversation.yaml"
CLASSES = ("angry", "happy", "neutral", "sad")
SHARES = (0.11, 0.163, 0.17, 0.108, 0.449)  # of classes, and of other labels
SAME_SPEAKER = 0.165  # goes on; so many turns have several utterances
DIALOGUES, UTTERANCES, WIDTH = 151, 10_039, 768
COUNTED_STEPS = 20


def spoken(dialogues, utterances):
    """Make utterances of ten speakers in five sessions."""
    rng = np.random.default_rng(0)
    rows = []
    for number, some in enumerate(
        np.array_split(np.arange(utterances), dialogues)
    ):
        who = 0
        for i in some:
            who = who if rng.random() < SAME_SPEAKER else 1 - who
            session = f"Ses{number % 5 + 1:02d}"
            rows.append(
                Utterance(
                    f"u{i:05d}",
                    "none.wav",
                    rng.choice([*CLASSES, None], p=SHARES),
                    spk=f"{session}_{'FM'[who]}",
                    session=session,
                    dialog=f"d{number:03d}",
                    start=float(i),
                    stop=i + 0.9,
                )
            )
    return rows


def flops_of_a_sample(network, data, labels, names, batch_size):
    """Matrix products of forward and backward, mean over some batches."""
    model = ConversationModel(network)
    vectors = torch.from_numpy(data.inputs[0].values)
    lengths = {name: data.length(name) for name in names}
    order = BatchesOfLikeLength(lengths, batch_size, seed=0)
    samples = 0
    with FlopCounterMode(display=False) as counter:
        for batch in islice(data.loader(order, labels), COUNTED_STEPS):
            x = batch.rows, batch.lengths, batch.roles, batch.turns
            F.cross_entropy(model(vectors, None, *x), batch.labels).backward()
            samples += len(batch.labels)
    return counter.get_total_flops() / samples


def epochs_of(folds, runs):
    """Epochs of every training, by its samples; folds share trainings."""
    epochs = {}
    for fold, run in zip(folds, runs, strict=True):
        longest = max(epochs.get(fold.train, 0), len(run["history"]))
        epochs[fold.train] = longest
    return epochs


def conversation(arguments):
    """Time all folds, one seed."""
    sizes, width = (DIALOGUES, UTTERANCES), WIDTH
    overrides = {"data_folder": "none", "encoder": "none"}
    if arguments.tiny:
        sizes, width = (10, 200), 4
        overrides["number_of_epochs"] = 1
    settings = load_hyperpyyaml(merged_yaml(RECIPE), overrides)
    rows = spoken(*sizes)
    samples = samples_of(rows, CLASSES)
    targets = [sample.target for sample in samples]
    labels = {u.id: CLASSES.index(u.emo) for u in targets}
    values = np.random.default_rng(0).standard_normal((len(rows), width))
    vectors = UtteranceVectors(values.astype(np.float32), {}, "random")
    data = SampleTensors(rows, samples, [vectors])
    folds = make_folds(
        settings["protocol"],
        targets,
        settings["n_folds"],
        settings["split_seed"],
    )
    with tempfile.TemporaryDirectory() as folder:
        targets = ClassTargets(CLASSES, labels)
        work = data, targets, folds, settings["seeds"], folder
        begin = time.perf_counter()
        runs = cross_validate(
            settings["classifier"], *work, {}, None, progress=False
        )
        seconds = time.perf_counter() - begin
    tested = sum(len(run["test"]) for run in runs)
    demand(tested == len(samples), f"{tested} of {len(samples)} tested")
    epochs = epochs_of(folds, runs)
    note = (
        f"{len(samples)} samples, {sum(epochs.values())} epochs of "
        f"{len(epochs)} trainings, {torch.get_num_threads()} threads"
    )
    yield Row("conversation_seconds", seconds, {"folds": len(runs)}, note=note)
    build = settings["classifier"].network
    network = build(input_dim=width, n_classes=len(CLASSES))
    flops = flops_of_a_sample(
        network, data, labels, folds[0].train, settings["batch_size"]
    )
    flops *= sum(len(train) * times for train, times in epochs.items())
    peak = matmul_gflops(torch.float32)
    note = f"{flops / 1e12:.2g} TFLOP at {peak:.0f} GFLOP/s"
    yield Row("conversation_products", flops / peak / 1e9, note=note)


PARTS = {"conversation": conversation}

if __name__ == "__main__":
    main(__doc__, PARTS)
