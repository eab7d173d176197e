"""What a figure has to be read with: processor, libraries, load."""

import importlib.metadata
import os
import platform
import time
from pathlib import Path

import torch

from speechbrain_e2v.downstream.provenance import commit

BF16_FLAGS = ("avx512_bf16", "amx_bf16")
ALLOCATORS = {"THP_MEM_ALLOC_ENABLE": "THP", "MALLOC_TRIM_THRESHOLD_": "TRIM"}
"""Environment variables that change how memory is got and given back."""
_SIDE = 1024


def describe_machine():
    """Describe the machine of a measurement.

    Returns
    -------
    dict
        JSON-able; `gflops` are matrix products measured now.

    Example
    -------
    >>> sorted(describe_machine()["gflops"])
    ['bf16', 'fp32']
    """
    cpu = _cpu()
    return {
        "cpu": cpu.get("model name", platform.processor()),
        "threads": torch.get_num_threads(),
        "bf16_flags": [
            flag for flag in BF16_FLAGS if flag in cpu.get("flags", "").split()
        ],
        "memory_gib": round(_memory_gib(), 1),
        "load": round(os.getloadavg()[0], 2),
        "allocator": allocator(),
        "gflops": {
            "fp32": round(matmul_gflops(torch.float32)),
            "bf16": round(matmul_gflops(torch.bfloat16)),
        },
        "python": platform.python_version(),
        "versions": {
            name: _version(name) for name in ("torch", "funasr", "speechbrain")
        },
        "commit": commit(),
    }


def allocator():
    """Name what the environment changes about memory; "" for nothing."""
    names = (n for key, n in ALLOCATORS.items() if os.environ.get(key))
    return ", ".join(names)


def matmul_gflops(dtype, device="cpu", side=_SIDE, rounds=5):
    """Measure square matrix products, the best of some.

    Arguments
    ---------
    dtype : torch.dtype
    device : str
    side, rounds : int

    Returns
    -------
    float
        GFLOP/s.
    """
    a = torch.randn(side, side, device=device).to(dtype)
    best = float("inf")
    for _ in range(rounds + 1):  # the first one warms up
        begin = time.perf_counter()
        a @ a
        if torch.device(device).type == "cuda":
            torch.cuda.synchronize()
        best = min(best, time.perf_counter() - begin)
    return 2 * side**3 / best / 1e9


def _cpu():
    path = Path("/proc/cpuinfo")
    if not path.is_file():
        return {}
    first = path.read_text("utf-8").split("\n\n")[0]
    pairs = (line.split(":", 1) for line in first.splitlines() if ":" in line)
    return {key.strip(): value.strip() for key, value in pairs}


def _memory_gib():
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30


def _version(name):
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None
