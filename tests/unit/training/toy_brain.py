"""A tiny student, teacher and corpus, with which a run takes milliseconds."""

import copy
from pathlib import Path

import speechbrain as sb
import torch
from speechbrain.dataio.dataloader import SaveableDataLoader
from speechbrain.utils.epoch_loop import EpochCounter

from speechbrain_e2v.pretraining.batch_sampler import LengthBatchSampler
from speechbrain_e2v.training.brain import E2VBrain
from speechbrain_e2v.training.checkpointing import AtomicCheckpointer

LENGTHS = [3, 5, 2, 8, 6, 4, 7, 3, 5, 2, 6, 4, 3, 8, 5, 7, 2, 4, 6, 3]
WIDTH = 4
QUIET = {"device": "cpu", "noprogressbar": True}


class ToySet(torch.utils.data.Dataset):
    """Sequences [T, WIDTH] of different lengths; some without any target."""

    def __init__(self, empty=()):
        self.empty = set(empty)

    def __len__(self):
        return len(LENGTHS)

    def __getitem__(self, key):
        index, epoch = key if isinstance(key, tuple) else (key, 0)
        generator = torch.Generator().manual_seed(1000 * epoch + index)
        return index, torch.randn(LENGTHS[index], WIDTH, generator=generator)

    def collate(self, rows):
        indices, tensors = zip(*rows, strict=True)
        padded = torch.nn.utils.rnn.pad_sequence(tensors, batch_first=True)
        real = torch.zeros(padded.shape[:2], dtype=torch.bool)
        for row, (index, tensor) in enumerate(rows):
            real[row, : len(tensor)] = index not in self.empty
        return {"x": padded, "real": real, "indices": indices}


class ToyStudent(torch.nn.Module):
    """Two layers with dropout between."""

    def __init__(self, dropout=0.3):
        super().__init__()
        self.first = torch.nn.Linear(WIDTH, 8)
        self.dropout = torch.nn.Dropout(dropout)
        self.second = torch.nn.Linear(8, 1)

    def forward(self, x):
        return self.second(self.dropout(torch.tanh(self.first(x))))


class ToyTeacher(torch.nn.Module):
    """Moving average of a student."""

    def __init__(self, student):
        super().__init__()
        self.model = copy.deepcopy(student).requires_grad_(False)

    @torch.no_grad()
    def update(self, student, decay=0.9):
        torch._foreach_lerp_(
            list(self.model.parameters()),
            list(student.parameters()),
            1 - decay,
        )


class ToyBrain(E2VBrain):
    """Mean squared output over real frames; keeps what it saw."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.seen = []
        self.losses = []
        self.updates = []

    def compute_forward(self, batch, stage):
        self.seen.append((str(stage), tuple(batch["indices"])))
        return self.modules.student(batch["x"])

    def compute_objectives(self, predictions, batch, stage):
        real = batch["real"]
        error = (predictions.squeeze(2) - batch["x"].sum(2)).square() * real
        self.count_targets(real.sum())
        mean = error.sum() / real.sum().clamp(min=1)
        return self.weighted(mean, real.sum())

    def on_fit_batch_end(self, batch, outputs, loss, should_step):
        self.losses.append(loss.item())

    def on_optimizer_step(self):
        self.updates.append((self.optimizer_step, self.learning_rate))
        self.hparams.teacher.update(self.hparams.student)


def sampler(accumulation=1, rank=0, world_size=1):
    return LengthBatchSampler(
        LENGTHS,
        max_samples=16,
        seed=5,
        rank=rank,
        world_size=world_size,
        batches_per_update=accumulation,
    )


def loader(
    accumulation=1, rank=0, world_size=1, empty=(), batches=None, workers=0
):
    data = ToySet(empty)
    return SaveableDataLoader(
        data,
        batch_sampler=batches or sampler(accumulation, rank, world_size),
        collate_fn=data.collate,
        num_workers=workers,
    )


def toy_brain(
    folder=None,
    dropout=0.3,
    optimizer=None,
    hparams=(),
    kind=ToyBrain,
    **run_opts,
):
    """A brain as a recipe builds it; the same weights at each call."""
    torch.manual_seed(3)
    student = ToyStudent(dropout)
    teacher = ToyTeacher(student)
    epochs = EpochCounter(3)
    checkpointer = None
    if folder is not None:
        checkpointer = AtomicCheckpointer(
            Path(folder),
            {"student": student, "teacher": teacher, "epochs": epochs},
        )
    hparams = {
        "seed": 7,
        "student": student,
        "teacher": teacher,
        "epochs": epochs,
        **dict(hparams),
    }
    return kind(
        {"student": student, "teacher": teacher},
        optimizer or (lambda groups: torch.optim.AdamW(groups, lr=0.01)),
        hparams,
        {**QUIET, **run_opts},
        checkpointer,
    )


def weights(brain):
    """All numbers a run has to reproduce, in one vector."""
    modules = (brain.hparams.student, brain.hparams.teacher)
    return torch.cat(
        [p.detach().flatten() for m in modules for p in m.parameters()]
    )


class PlainBrain(sb.Brain):
    """SpeechBrain's own loop, to show its traps."""

    def compute_forward(self, batch, stage):
        return self.modules.model(batch)

    def compute_objectives(self, predictions, batch, stage):
        return predictions.square().mean()
