"""Independent trainings in processes of their own.

A step of a small network is too short to be divided among cores; whole
trainings are not.
"""

import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from typing import Any

import torch


def usable_processes(device: str) -> int:
    """How many trainings may run at once: one on a GPU and with one thread.

    With several threads (the CPU cores, unless OMP_NUM_THREADS says less) more
    than there are, so that no core is idle while the last of a few trainings
    ends: three times as many, up to 8.
    """
    if not str(device).startswith("cpu"):
        return 1
    threads = torch.get_num_threads()
    return max(threads, min(3 * threads, 8)) if threads > 1 else 1


def map_in_processes(
    function: Callable, jobs: Sequence[tuple], processes: int
) -> Iterator[tuple[int, Any]]:
    """Call a function with every job's arguments; yields as they finish.

    Each time the number of the job and what the function gave. It is of a
    module, not of a script; like its arguments and result, it goes from
    process to process. With one process, or a single job, none is started.

    Raises ValueError when a process was ended from outside.

    >>> dict(map_in_processes(max, [(1, 2), (5, 3)], processes=1))
    {0: 2, 1: 5}
    """
    processes = min(processes, len(jobs))
    if processes <= 1:
        for number, job in enumerate(jobs):
            yield number, function(*job)
        return
    threads = max(1, torch.get_num_threads() // processes)
    # Not forked: OpenMP's threads do not survive that.
    with ProcessPoolExecutor(
        processes,
        multiprocessing.get_context("spawn"),
        _begin,
        (threads,),
    ) as pool:
        futures = {
            pool.submit(function, *job): number
            for number, job in enumerate(jobs)
        }
        for future in as_completed(futures):
            try:
                result = future.result()
            except BrokenProcessPool as error:
                raise ValueError(
                    f"one of {processes} training processes was ended from "
                    "outside, as happens when memory runs out; with "
                    "OMP_NUM_THREADS=1 there is only one, and finished folds "
                    "are kept"
                ) from error
            yield futures[future], result


def _begin(threads: int) -> None:
    torch.set_num_threads(threads)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """A parent that is killed cannot say so."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
    os._exit(1)
