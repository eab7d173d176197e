"""What training a regression on one fold leaves behind."""

from dataclasses import dataclass, field

import torch


@dataclass(frozen=True)
class RegressionOutcome:
    """A trained regressor and what it says about the test utterances.

    Arguments
    ---------
    head : torch.nn.Module
        A class of :mod:`speechbrain_e2v.lobes.heads`; takes features as they
        are stored and gives values in units of the scales.
    arguments : dict
        What the head was built with.
    predictions : torch.Tensor
        Values of the test utterances [N, n], in the fold's order.
    selection : dict
        What was chosen on the validation utterances, and its score there.
    history : list of dict
        One entry per epoch.

    Example
    -------
    >>> from speechbrain_e2v.lobes.heads import LinearHead
    >>> arguments = {"input_dim": 2, "n_classes": 1}
    >>> RegressionOutcome(
    ...     LinearHead(**arguments), arguments, torch.zeros(3, 1)).history
    []
    """

    head: torch.nn.Module
    arguments: dict
    predictions: torch.Tensor
    selection: dict = field(default_factory=dict)
    history: list = field(default_factory=list)


def in_units(head, means, deviations):
    """Let a head that speaks of standardised values speak of the scales.

    Arguments
    ---------
    head : torch.nn.Module
        Its last layer is ``output_layer``; changed in place.
    means, deviations : torch.Tensor
        Of the targets [n].

    Example
    -------
    >>> from speechbrain_e2v.lobes.heads import LinearHead
    >>> head = LinearHead(1, 1)
    >>> before = head(torch.ones(1, 1, 1))
    >>> in_units(head, torch.tensor([3.0]), torch.tensor([2.0]))
    >>> bool(torch.isclose(head(torch.ones(1, 1, 1)), 3 + 2 * before))
    True
    """
    layer = head.output_layer
    with torch.no_grad():
        means = means.to(layer.weight)
        deviations = deviations.to(layer.weight)
        layer.weight.mul_(deviations.unsqueeze(1))
        layer.bias.mul_(deviations).add_(means)


def on_raw_features(head, means, deviations):
    """Let a linear head on standardised features take them as they are.

    Arguments
    ---------
    head : LinearHead
        Changed in place.
    means, deviations : torch.Tensor
        Of the features [D].

    Example
    -------
    >>> from speechbrain_e2v.lobes.heads import LinearHead
    >>> head = LinearHead(1, 1)
    >>> before = head(torch.ones(1, 1, 1))
    >>> on_raw_features(head, torch.tensor([3.0]), torch.tensor([2.0]))
    >>> bool(torch.isclose(head(5 * torch.ones(1, 1, 1)), before))
    True
    """
    layer = head.output_layer
    with torch.no_grad():
        # In double precision: differences of large numbers.
        weight = layer.weight.double() / deviations.to(layer.weight).double()
        shift = weight @ means.to(layer.weight).double()
        layer.bias.copy_(layer.bias.double() - shift)
        layer.weight.copy_(weight)
