"""Counting an update's targets, and dividing its gradient by them."""

import torch
from speechbrain.utils.distributed import is_distributed_initialized


class UpdateTargets:
    """Targets of the micro-batches of one update, over all ranks.

    Every micro-batch contributes its mean loss's gradient times its number of
    targets; the sum is divided by the total of all micro-batches and ranks
    (released trainer). A short or empty micro-batch then weighs what it holds.

    Arguments
    ---------
    device : str or torch.device

    Example
    -------
    >>> targets = UpdateTargets("cpu")
    >>> weight = torch.tensor(1.0, requires_grad=True)
    >>> for values in (torch.ones(3), torch.full((1,), 5.0)):
    ...     targets.count(len(values))
    ...     loss = targets.weighted((weight * values).mean(), len(values), 0.0)
    ...     loss.backward()
    >>> (weight.grad * targets.scale(targets.total(), divided_by=1)).item()
    2.0
    """

    def __init__(self, device):
        self.device = device
        self.reset()

    def reset(self):
        """Begin an update."""
        self._local = torch.zeros((), dtype=torch.long, device=self.device)
        self.counted = 0
        self._weighted = 0

    def count(self, n):
        """Add a micro-batch's targets; nothing happens outside training.

        Arguments
        ---------
        n : int or torch.Tensor, [], integer
        """
        if torch.is_grad_enabled():
            self._local = self._local + n
            self.counted += 1

    def weighted(self, loss_mean, n, value_if_empty):
        """Keep the value of a mean loss, give it the gradient of a sum.

        Arguments
        ---------
        loss_mean : torch.Tensor, []
            Finite also for n = 0, that is, divided by ``max(n, 1)``.
        n : int or torch.Tensor, []
            Targets behind the mean, the number given to `count`.
        value_if_empty : float
            Value to show for n = 0; the gradient is 0 then.

        Returns
        -------
        torch.Tensor, []
        """
        if not torch.is_grad_enabled():
            return loss_mean
        self._weighted += 1
        n = torch.as_tensor(n, device=loss_mean.device)
        value = loss_mean.detach()
        shown = torch.where(n > 0, value, value_if_empty)
        return shown + (loss_mean - value) * n

    def total(self):
        """Sum over micro-batches and ranks: one reduction an update.

        Returns
        -------
        torch.Tensor, [], long

        Raises
        ------
        RuntimeError
            When `count` and `weighted` were not called in pairs.
        """
        if self._weighted != self.counted:
            raise RuntimeError(
                f"weighted() was called {self._weighted} times and "
                f"count_targets() {self.counted} times in this update: call "
                "each once a micro-batch, with the same number."
            )
        total = self._local.clone()
        if is_distributed_initialized():
            torch.distributed.all_reduce(total)
        return total

    def scale(self, total, divided_by):
        """Factor that turns the accumulated gradient into a mean over targets.

        Arguments
        ---------
        total : torch.Tensor, []
        divided_by : int
            What the gradient has been divided by on its way: SpeechBrain
            divides the loss by the accumulation, DDP by the number of ranks.

        Returns
        -------
        torch.Tensor, []
            1 where nothing was counted: a mean over micro-batches then.
        """
        if not self.counted:
            return torch.ones((), device=self.device)
        return divided_by / total.clamp(min=1)
