#!/usr/bin/env python3
"""Ten folds of emotion prediction in conversation, at the size of IEMOCAP.

151 dialogues, 10,039 utterances, random vectors and labels; the settings of
`conversation.yaml`.

> python benchmarks/conversation.py -o results.json
"""

import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from hyperpyyaml import load_hyperpyyaml
from measurement import Row, demand, main

from speechbrain_e2v.brains.folds import run_folds
from speechbrain_e2v.dataio.conversation import samples_of
from speechbrain_e2v.dataio.conversation_batches import Conversations
from speechbrain_e2v.dataio.protocols import make_folds
from speechbrain_e2v.dataio.utterance import Utterance
from speechbrain_e2v.dataio.utterance_vectors import UtteranceVectors

FRAGMENTS = Path(__file__).parents[1] / "hparams/fragments"
CLASSES = ("angry", "happy", "neutral", "sad")
SHARES = (0.11, 0.163, 0.17, 0.108, 0.449)  # of classes, and of other labels
SAME_SPEAKER = 0.165  # goes on; so many turns have several utterances
DIALOGUES, UTTERANCES, WIDTH = 151, 10_039, 768
PROTOCOL = "leave_one_speaker_out_partner_validates"


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


def conversation(arguments):
    """Time all folds, one seed."""
    sizes, width, epochs = (DIALOGUES, UTTERANCES), WIDTH, 50
    if arguments.tiny:
        sizes, width, epochs = (10, 200), 4, 1
    rows = spoken(*sizes)
    samples = samples_of(rows, CLASSES)
    targets = [sample.target for sample in samples]
    values = np.random.default_rng(0).standard_normal((len(rows), width))
    vectors = UtteranceVectors(values.astype(np.float32), {}, "random")
    overrides = {
        "cell": "gru",
        "bidirectional": False,
        "number_of_epochs": epochs,
        "patience": 10,
        "batch_size": 32,
    }
    path = FRAGMENTS / "conversation_routed.yaml"
    with open(path, encoding="utf-8") as file:
        trainer = load_hyperpyyaml(file, overrides)["classifier"]
    with tempfile.TemporaryDirectory() as folder:
        begin = time.perf_counter()
        runs = run_folds(
            trainer,
            Conversations(rows, samples, [vectors]),
            {u.id: CLASSES.index(u.emo) for u in targets},
            make_folds(PROTOCOL, targets, 10, 42),
            CLASSES,
            [42],
            Path(folder, "out"),
            {},
            None,
            progress=False,
        )
        seconds = time.perf_counter() - begin
    tested = sum(len(run["test"]) for run in runs)
    demand(tested == len(samples), f"{tested} of {len(samples)} tested")
    note = f"{len(samples)} samples, {torch.get_num_threads()} threads"
    yield Row("conversation_seconds", seconds, {"folds": len(runs)}, note=note)


PARTS = {"conversation": conversation}

if __name__ == "__main__":
    main(__doc__, PARTS)
