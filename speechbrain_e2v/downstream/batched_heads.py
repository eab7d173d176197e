"""Heads of many folds and seeds, trained as one batched model.

On one vector per utterance a training step is so small that its cost is the
calling of it. Here all heads take their steps at the same time, each with its
own weights, batches and optimizer state: the numbers are those of training
one after the other.
"""

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.func import functional_call, stack_module_state, vmap

from speechbrain_e2v.downstream.packed import ShuffledBatches


class BatchedHeads:
    """Several heads of the same shape on the same table of vectors.

    ``heads`` map [B, 1, D] to logits [B, C]; they start from their weights and
    are left as they are. ``vectors`` are [N, D], ``classes`` [N].

    Raises ValueError for heads with buffers.

    >>> import functools
    >>> from speechbrain_e2v.lobes.heads import LinearHead
    >>> batched = BatchedHeads(
    ...     [LinearHead(2, 3), LinearHead(2, 3)],
    ...     torch.randn(4, 2), torch.tensor([0, 1, 2, 0]),
    ...     torch.optim.RMSprop,
    ...     functools.partial(torch.optim.lr_scheduler.ConstantLR, factor=1))
    >>> batched.train_epoch([[[0, 1], [2]], [[3, 1], [0]]]).shape
    torch.Size([2])
    >>> batched.logits([[0, 1, 2], [3]])[1].shape
    torch.Size([1, 3])
    """

    def __init__(
        self,
        heads: list[torch.nn.Module],
        vectors: Tensor,
        classes: Tensor,
        optimizer: Callable[..., torch.optim.Optimizer],
        schedule: Callable[..., torch.optim.lr_scheduler.LRScheduler],
    ) -> None:
        self._skeleton = heads[0]
        self._vectors, self._classes = vectors, classes
        self._state, buffers = stack_module_state(heads)
        if buffers:
            raise ValueError(
                f"{type(heads[0]).__name__} has buffers "
                f"({', '.join(buffers)}): train it with ProbeTrainer"
            )
        self._optimizer = optimizer(list(self._state.values()))
        self._schedule = schedule(self._optimizer)

    @property
    def step_sizes(self) -> tuple[float, float | None]:
        """Learning rate and momentum (or None) of the current epoch."""
        group = self._optimizer.param_groups[0]
        return group["lr"], group.get("momentum")

    def state_of(self, head: int) -> dict[str, Tensor]:
        """The current weights of one head, not copied."""
        return {name: value[head] for name, value in self._state.items()}

    def train_epoch(self, batches: Sequence[Sequence[list[int]]]) -> Tensor:
        """Take every head through its batches, then step the schedule.

        ``batches[head][step]`` are rows of the table; every head has the same
        number of steps, their sizes may differ. Gives the mean loss [M].
        """
        total = torch.zeros(len(batches), device=self._vectors.device)
        for step in zip(*batches, strict=True):
            rows, real = self._table(step)
            logits = self._forward(rows)
            losses = F.cross_entropy(
                logits.flatten(0, 1),
                self._classes[rows].flatten(),
                reduction="none",
            ).view(rows.shape)
            losses = (losses * real).sum(dim=1) / real.sum(dim=1)
            self._optimizer.zero_grad()
            losses.sum().backward()  # no head sees another one's gradient
            self._optimizer.step()
            total = total + losses.detach()
        self._schedule.step()
        return total / len(batches[0])

    @torch.no_grad()
    def logits(self, rows: Sequence[list[int]]) -> list[Tensor]:
        """Logits of each head for rows of its own, a list of [B, C]."""
        table, _ = self._table(rows)
        found = self._forward(table)
        return [
            logits[: len(own)] for logits, own in zip(found, rows, strict=True)
        ]

    def _table(self, rows: Sequence[list[int]]) -> tuple[Tensor, Tensor]:
        longest = max(map(len, rows))
        padded = [[*own, *[0] * (longest - len(own))] for own in rows]
        real = [[1.0] * len(own) + [0.0] * (longest - len(own)) for own in rows]
        device = self._vectors.device
        return (
            torch.tensor(padded, device=device),
            torch.tensor(real, device=device),
        )

    def _forward(self, rows: Tensor) -> Tensor:
        def one(state: dict[str, Tensor], vectors: Tensor) -> Tensor:
            return functional_call(self._skeleton, state, (vectors,))

        return vmap(one)(self._state, self._vectors[rows].unsqueeze(2))


def shuffled_rows(
    names: Sequence[str],
    index: dict[str, int],
    batch_size: int,
    seed: int,
    epoch: int,
) -> list[list[int]]:
    """Batches of an epoch as rows of the table; the last one is shorter."""
    batches = ShuffledBatches(names, batch_size, seed)
    batches.set_epoch(epoch)
    return [[index[name] for name in batch] for batch in batches]
