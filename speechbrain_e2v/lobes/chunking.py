"""A few frames at a time, where no gradient needs the whole.

Layers that look at one frame, or at a few neighbours, give the same numbers
chunk by chunk. The largest activations (3,200 a second in the first
convolution, four times the width inside an MLP) then never exist for a whole
recording: memory stays bounded, and on CPUs a chunk stays in the cache.
"""

from collections.abc import Callable

import torch


def time_chunks(
    batch: int, frames: int, device: torch.device, on_cpu: int, on_gpu: int
) -> list[tuple[int, int]]:
    """Cut the time axis: start and stop of each chunk.

    `on_cpu` and `on_gpu` are frames at once, over all rows of the batch. There
    is one chunk when gradients are on, as these need all activations anyway,
    and while a graph is recorded, whose length shall stay free.

    >>> cpu = torch.device("cpu")
    >>> with torch.no_grad():
    ...     time_chunks(2, 50, cpu, on_cpu=40, on_gpu=1000)
    [(0, 20), (20, 40), (40, 50)]
    >>> time_chunks(2, 50, cpu, on_cpu=40, on_gpu=1000)
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


def by_chunks(
    function: Callable[[int, int], torch.Tensor],
    chunks: list[tuple[int, int]],
) -> torch.Tensor:
    """Compute chunks one after the other into one tensor [B, T, C].

    `function` maps start and stop to [B, stop - start, C].

    >>> x = torch.arange(6.0).view(1, 3, 2)
    >>> by_chunks(lambda a, b: 2 * x[:, a:b], [(0, 2), (2, 3)]).sum().item()
    30.0
    """
    if len(chunks) == 1:
        return function(*chunks[0])
    joined: torch.Tensor | None = None
    for start, stop in chunks:
        part = function(start, stop)
        if joined is None:
            shape = (part.shape[0], chunks[-1][1], part.shape[2])
            joined = part.new_empty(shape)
        joined[:, start:stop] = part
    assert joined is not None  # there is a chunk
    return joined
