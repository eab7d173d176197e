"""A few frames at a time, where no gradient needs the whole.

Layers that look at one frame, or at a few neighbours, give the same numbers
piece by piece. The largest activations (3,200 a second in the first
convolution, four times the width inside an MLP) then never exist for a whole
recording: memory stays bounded, and on CPUs a piece stays in the cache.
"""

import torch


def frame_pieces(batch, frames, device, on_cpu, on_gpu):
    """Cut the time axis.

    Arguments
    ---------
    batch, frames : int
        Rows and length of what will be cut.
    device : torch.device
    on_cpu, on_gpu : int
        Frames at once, over all rows of the batch.

    Returns
    -------
    list of (int, int)
        Start and stop of each piece. One piece when gradients are on, as
        these need all activations anyway, and while a graph is recorded,
        whose length shall stay free.

    Example
    -------
    >>> cpu = torch.device("cpu")
    >>> with torch.no_grad():
    ...     frame_pieces(2, 50, cpu, on_cpu=40, on_gpu=1000)
    [(0, 20), (20, 40), (40, 50)]
    >>> frame_pieces(2, 50, cpu, on_cpu=40, on_gpu=1000)
    [(0, 50)]
    """
    recording = torch.compiler.is_compiling() or torch.jit.is_tracing()
    if torch.is_grad_enabled() or recording:
        return [(0, frames)]
    at_once = max(1, (on_cpu if device.type == "cpu" else on_gpu) // batch)
    return [
        (start, min(start + at_once, frames))
        for start in range(0, frames, at_once)
    ]


def by_pieces(function, pieces):
    """Compute pieces one after the other into one tensor.

    Arguments
    ---------
    function : callable
        (start, stop) -> [B, stop - start, C].
    pieces : list of (int, int)
        What `frame_pieces` returned.

    Returns
    -------
    torch.Tensor, [B, T, C]

    Example
    -------
    >>> x = torch.arange(6.0).view(1, 3, 2)
    >>> by_pieces(lambda a, b: 2 * x[:, a:b], [(0, 2), (2, 3)]).sum().item()
    30.0
    """
    if len(pieces) == 1:
        return function(*pieces[0])
    joined = None
    for start, stop in pieces:
        part = function(start, stop)
        if joined is None:
            shape = (part.shape[0], pieces[-1][1], part.shape[2])
            joined = part.new_empty(shape)
        joined[:, start:stop] = part
    return joined
