"""Tensors of a checkpoint file: shapes now, numbers when asked for.

A training checkpoint is two thirds optimizer state, which nobody converts.
So nothing is read from disk before it is wanted.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch


class BrokenCheckpoint(ValueError):
    """The file is damaged, incomplete or inconsistent."""


@dataclass(eq=False)
class Storage:
    """A run of numbers in a file.

    Arguments
    ---------
    dtype : torch.dtype
    numel : int
        How many numbers.
    read : callable
        Returns them as a bytearray.
    """

    dtype: torch.dtype
    numel: int
    read: Callable[[], bytearray]


class StoredTensor:
    """View of a storage, checked to lie within it.

    Arguments
    ---------
    storage : Storage
    offset : int
        First number, counted from the beginning of the storage.
    shape, stride : sequence of int

    Raises
    ------
    BrokenCheckpoint
        When the view is larger than its storage.

    Example
    -------
    >>> numbers = bytearray(torch.arange(6.0).numpy().tobytes())
    >>> storage = Storage(torch.float32, 6, lambda: numbers)
    >>> StoredTensor(storage, 0, (2, 2), (3, 1)).read().tolist()
    [[0.0, 1.0], [3.0, 4.0]]
    """

    def __init__(self, storage, offset, shape, stride):
        if not isinstance(storage, Storage):
            raise BrokenCheckpoint("a tensor stands on no storage")
        shape, stride = tuple(shape), tuple(stride)
        sizes = (offset, *shape, *stride)
        if len(shape) != len(stride) or not all(
            type(size) is int and size >= 0 for size in sizes
        ):
            raise BrokenCheckpoint("a tensor has no proper shape")
        count = math.prod(shape)
        reach = offset + sum(
            (size - 1) * step for size, step in zip(shape, stride, strict=True)
        )
        # A stride of zero would let one number stand for a terabyte.
        if count and (reach >= storage.numel or count > storage.numel):
            raise BrokenCheckpoint(
                f"a tensor of shape {shape} does not fit its storage of "
                f"{storage.numel} numbers"
            )
        self.storage = storage
        self.offset = offset
        self.shape = torch.Size(shape)
        self.stride = stride

    @property
    def dtype(self):
        """Type of the numbers, a torch.dtype."""
        return self.storage.dtype

    def numel(self):
        """Count the numbers."""
        return math.prod(self.shape)

    def read(self):
        """Read from the file, which must still be open.

        Returns
        -------
        torch.Tensor
            Contiguous.
        """
        if not self.numel():
            return torch.empty(self.shape, dtype=self.dtype)
        whole = torch.frombuffer(self.storage.read(), dtype=self.dtype)
        view = whole.as_strided(self.shape, self.stride, self.offset)
        part = view.is_contiguous() and view.numel() == whole.numel()
        return (
            view if part else view.clone(memory_format=torch.contiguous_format)
        )


def is_tensor(value):
    """Tell tensors, in memory or in a file, from everything else."""
    return isinstance(value, (torch.Tensor, StoredTensor))


def read_tensor(value):
    """Return a tensor in memory, reading it from its file if need be."""
    return value.read() if isinstance(value, StoredTensor) else value
