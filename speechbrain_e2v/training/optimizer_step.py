"""An update: from the gradients of its micro-batches to one optimizer step."""

import math
from collections.abc import Iterable, Sequence

import torch
from speechbrain.utils.distributed import is_distributed_initialized
from speechbrain.utils.logger import get_logger

logger = get_logger(__name__)

SCALER_SEARCH = 16
"""Steps a GradScaler may skip while it looks for its scale (from 2 ** 16)."""


class OptimizerStep:
    """Weighs, scales, clips and steps all optimizers together, or none of them.

    Every micro-batch contributes its mean loss's gradient times its number of
    targets; the sum is divided by the total of all micro-batches and ranks
    (released trainer). A short or empty micro-batch then weighs what it holds.

    `micro_batches` are those of an update: accumulation times ranks.
    `patience` is how many updates in a row may be skipped; `tolerant` whether
    one may be for a gradient that is not finite. A GradScaler in use skips by
    design while it lowers its scale.

    `grad_norm` is that of the last update, before clipping, `num_targets` its
    targets over all micro-batches and ranks, `skipped` counts skipped updates.

    >>> off = torch.GradScaler(enabled=False)
    >>> step = OptimizerStep("cpu", off, 2, max_norm=0.5, patience=3)
    >>> weight = torch.tensor([4.0], requires_grad=True)
    >>> for values in (torch.ones(3), torch.full((1,), 5.0)):
    ...     step.count(len(values))
    ...     loss = step.weighted((weight * values).mean(), len(values), 0.0)
    ...     (loss / 2).backward()
    >>> step.make([torch.optim.SGD([weight])], number=1, learning_rate=2.0)
    True
    >>> step.num_targets, step.grad_norm, round(weight.item(), 3)
    (4, 2.0, 3.0)
    """

    def __init__(
        self,
        device: str | torch.device,
        scaler: torch.GradScaler,
        micro_batches: int,
        max_norm: float,
        patience: int,
        tolerant: bool = False,
    ):
        searching = scaler.is_enabled()
        self.device = device
        self.scaler = scaler
        self.micro_batches = micro_batches
        self.max_norm = max_norm
        self.patience = patience + SCALER_SEARCH * searching
        self.tolerant = tolerant or searching
        self.skipped = 0
        self.skipped_in_a_row = 0
        self.grad_norm = 0.0
        self.num_targets = 0
        self.begin()

    def begin(self) -> None:
        """Forget the targets of micro-batches so far."""
        self._local = torch.zeros((), dtype=torch.long, device=self.device)
        self._counted = 0
        self._weighted = 0

    def count(self, n: int | torch.Tensor) -> None:
        """Add a micro-batch's targets; nothing happens outside training."""
        if torch.is_grad_enabled():
            self._local = self._local + n
            self._counted += 1

    def weighted(
        self,
        loss_mean: torch.Tensor,
        n: int | torch.Tensor,
        value_if_empty: float,
    ) -> torch.Tensor:
        """Keep the value of a mean loss, give it the gradient of a sum.

        `n` is the number given to `count`. For n = 0 the loss has to be finite,
        that is, divided by ``max(n, 1)``; its gradient becomes 0 and
        `value_if_empty` is shown.
        """
        if not torch.is_grad_enabled():
            return loss_mean
        self._weighted += 1
        n = torch.as_tensor(n, device=loss_mean.device)
        value = loss_mean.detach()
        shown = torch.where(n > 0, value, value_if_empty)
        return shown + (loss_mean - value) * n

    def total_targets(self) -> torch.Tensor:
        """Sum over micro-batches and ranks, []: one reduction an update.

        Raises RuntimeError when `count` and `weighted` came not in pairs.
        """
        if self._weighted != self._counted:
            raise RuntimeError(
                f"weighted() was called {self._weighted} times and "
                f"count_targets() {self._counted} times in this update: call "
                "each once a micro-batch, with the same number."
            )
        total = self._local.clone()
        if is_distributed_initialized():
            torch.distributed.all_reduce(total)
        return total

    def make(
        self,
        optimizers: Sequence[torch.optim.Optimizer],
        number: int,
        learning_rate: float | None = None,
    ) -> bool:
        """Step, unless the gradient is not finite or there was no target.

        SpeechBrain clips the first parameter group only, steps with the finite
        part of a broken gradient, and reads every parameter on the host for it.

        `number` is the update's, from 1, for messages; `learning_rate` is set
        in all groups before the step, times a group's `lr_factor`. False: no
        weight moved.

        Raises FloatingPointError when the update may not be skipped.
        """
        for optimizer in optimizers:
            self.scaler.unscale_(optimizer)
        groups = [group for opt in optimizers for group in opt.param_groups]
        parameters = [p for group in groups for p in group["params"]]
        total = self.total_targets()
        norm = scale_and_clip(
            [p.grad for p in parameters if p.grad is not None],
            # SpeechBrain has divided the loss by the accumulation, and DDP by
            # the ranks. Without counts the mean over micro-batches stays.
            self.micro_batches / total.clamp(min=1)
            if self._counted
            else torch.ones((), device=self.device),
            self.max_norm,
        )
        # The only host read of an update.
        figures = torch.stack([norm.double(), total.double()]).tolist()
        self.grad_norm, self.num_targets = figures[0], int(figures[1])
        empty = self._counted > 0 and self.num_targets == 0
        made = math.isfinite(self.grad_norm) and not empty
        if made:
            for group in groups if learning_rate is not None else ():
                group["lr"] = learning_rate * group.get("lr_factor", 1.0)
            for optimizer in optimizers:
                self.scaler.step(optimizer)
            self.skipped_in_a_row = 0
        self.scaler.update()
        if not made:
            self._skip(number, empty)
        return made

    def _skip(self, number: int, empty: bool) -> None:
        reason = "no targets" if empty else f"gradient norm {self.grad_norm}"
        self.skipped += 1
        self.skipped_in_a_row += 1
        if not empty and not self.tolerant:
            raise FloatingPointError(
                f"Update {number}: {reason}; a step would poison all weights. "
                "Lower the learning rate or lengthen the warm-up, or set "
                "`skip_nonfinite_grads: True` to leave such updates out."
            )
        if self.skipped_in_a_row > self.patience:
            raise FloatingPointError(
                f"Update {number} was skipped {self.skipped_in_a_row} times in "
                f"a row ({reason}), {self.patience} are allowed "
                "(nonfinite_patience). Look for bad input, lower the learning "
                "rate, or use bf16 instead of fp16."
            )
        logger.warning(f"Update {number} skipped: {reason}.")


def scale_and_clip(
    gradients: list[torch.Tensor],
    scale: torch.Tensor | float,
    max_norm: float,
) -> torch.Tensor:
    """Multiply gradients in place, then shorten them to a common largest norm.

    One pass for the norm and one for the product, both without reading
    anything on the host. The result, [], is the norm after scaling and before
    clipping; where it is not finite the gradients are unusable.

    >>> matrix, bias = torch.full((2, 2), 3.0), torch.full((1,), 8.0)
    >>> scale_and_clip([matrix, bias], scale=0.5, max_norm=1.0).item()
    5.0
    >>> round((matrix.norm() ** 2 + bias.norm() ** 2).item(), 3)
    1.0
    """
    norm = torch.nn.utils.get_total_norm(gradients) * scale
    # The small constant is torch's own in clip_grad_norm_.
    shorten = torch.clamp(max_norm / (norm + 1e-6), max=1.0)
    torch._foreach_mul_(gradients, shorten * scale)
    return norm


def trainable_groups(
    parameters: Iterable[torch.nn.Parameter], exempt_vectors: bool = False
) -> list[dict]:
    """Parameter groups of what requires a gradient; ValueError for nothing.

    With `exempt_vectors`, biases, norms and scales (at most one dimension) form
    a second group without weight decay.

    >>> parameters = torch.nn.Linear(2, 3).parameters()
    >>> groups = trainable_groups(parameters, exempt_vectors=True)
    >>> [len(group["params"]) for group in groups]
    [1, 1]
    """
    trainable = [p for p in parameters if p.requires_grad]
    if not trainable:
        raise ValueError(
            "No parameter of the modules requires a gradient: unfreeze "
            "a module, or pass no opt_class."
        )
    if not exempt_vectors:
        return [{"params": trainable}]
    groups: list[dict] = [
        {"params": [p for p in trainable if p.ndim > 1]},
        {"params": [p for p in trainable if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]
