"""One optimizer step from accumulated gradients, or none at all."""

import math

import torch

from speechbrain_e2v.training.gradients import scale_and_clip


class Update:
    """Scales, clips and steps all optimizers together.

    Arguments
    ---------
    targets : UpdateTargets
        Counted in the update's micro-batches; reset by the owner.
    skips : SkippedUpdates
    scaler : torch.GradScaler
        Disabled except for fp16.
    micro_batches : int
        In an update: accumulation times ranks.
    max_norm : float
        Positive; infinity for no clipping.

    Example
    -------
    >>> from speechbrain_e2v.training.skips import SkippedUpdates
    >>> from speechbrain_e2v.training.update_targets import UpdateTargets
    >>> scaler = torch.GradScaler(enabled=False)
    >>> skips = SkippedUpdates(3, True, scaler)
    >>> update = Update(UpdateTargets("cpu"), skips, scaler, 1, 0.5)
    >>> weight = torch.tensor([4.0], requires_grad=True)
    >>> (3 * weight).sum().backward()
    >>> update.make([torch.optim.SGD([weight])], number=1, learning_rate=2.0)
    True
    >>> update.grad_norm, round(weight.item(), 3)
    (3.0, 3.0)
    """

    def __init__(self, targets, skips, scaler, micro_batches, max_norm):
        self.targets = targets
        self.skips = skips
        self.scaler = scaler
        self.micro_batches = micro_batches
        self.max_norm = max_norm
        self.grad_norm = 0.0
        self.num_targets = 0

    def make(self, optimizers, number, learning_rate=None):
        """Step, unless the gradient is not finite or there was no target.

        SpeechBrain clips the first parameter group only, steps with the finite
        part of a broken gradient, and reads every parameter on the host for it.

        Arguments
        ---------
        optimizers : list of torch.optim.Optimizer
        number : int
            Of this update, counted from 1, for messages.
        learning_rate : float, optional
            Set in all groups before the step, times a group's `lr_factor`.

        Returns
        -------
        bool
            Whether weights moved.

        Raises
        ------
        FloatingPointError
            When the update may not be skipped.
        """
        for optimizer in optimizers:
            self.scaler.unscale_(optimizer)
        groups = [group for opt in optimizers for group in opt.param_groups]
        parameters = [p for group in groups for p in group["params"]]
        total = self.targets.total()
        norm = scale_and_clip(
            [p.grad for p in parameters if p.grad is not None],
            self.targets.scale(total, divided_by=self.micro_batches),
            self.max_norm,
        )
        # The only host read of an update.
        figures = torch.stack([norm.double(), total.double()]).tolist()
        self.grad_norm, self.num_targets = figures[0], int(figures[1])
        empty = self.targets.counted > 0 and self.num_targets == 0
        made = math.isfinite(self.grad_norm) and not empty
        if made:
            for group in groups if learning_rate is not None else ():
                group["lr"] = learning_rate * group.get("lr_factor", 1.0)
            for optimizer in optimizers:
                self.scaler.step(optimizer)
            self.skips.end_row()
        self.scaler.update()
        if not made:
            self.skips.add(number, self.grad_norm, empty)
        return made
