"""Frozen modules: never in training mode, never in the optimizer."""

import torch


class KeepFrozenInEval(torch.nn.ModuleDict):
    """Modules of a Brain, of which frozen ones ignore ``train()``.

    ``Brain._fit_train`` calls ``modules.train()``, which would give a frozen
    teacher or encoder its dropout back. A module counts as frozen when it has
    parameters and none requires a gradient at the time of the call.

    Example
    -------
    >>> teacher = torch.nn.Dropout(0.5), torch.nn.Linear(2, 2)
    >>> teacher = torch.nn.Sequential(*teacher).requires_grad_(False)
    >>> modules = KeepFrozenInEval({"teacher": teacher}).train()
    >>> modules.training, modules["teacher"].training
    (True, False)
    """

    def train(self, mode=True):
        """Set the mode of all modules that learn; frozen ones evaluate."""
        super().train(mode)
        for module in self.values():
            parameters = list(module.parameters())
            if parameters and not any(p.requires_grad for p in parameters):
                module.eval()
        return self


def trainable_groups(modules, exempt_vectors=False):
    """Collect what an optimizer may change.

    Arguments
    ---------
    modules : torch.nn.Module
    exempt_vectors : bool
        Whether biases, norms and scales (at most one dimension) form a second
        group without weight decay.

    Returns
    -------
    list of dict
        Parameter groups; frozen parameters are in none.

    Raises
    ------
    ValueError
        When nothing is trainable.

    Example
    -------
    >>> groups = trainable_groups(torch.nn.Linear(2, 3), exempt_vectors=True)
    >>> [len(group["params"]) for group in groups]
    [1, 1]
    """
    parameters = [p for p in modules.parameters() if p.requires_grad]
    if not parameters:
        raise ValueError(
            "No parameter of the modules requires a gradient: unfreeze "
            "a module, or pass no opt_class."
        )
    if not exempt_vectors:
        return [{"params": parameters}]
    groups = [
        {"params": [p for p in parameters if p.ndim > 1]},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]
