"""Reading what comes next while the model computes."""

from collections import deque
from concurrent.futures import ThreadPoolExecutor

_THREADS = 4


def read_ahead(function, items, depth=3):
    """Map in threads, a few items ahead and no more.

    Arguments
    ---------
    function : callable
        Should release the interpreter lock, as reading files does.
    items : iterable
    depth : int
        How many results may wait.

    Yields
    ------
    (item, result)
        In the order of the items. An exception is raised at its item.

    Example
    -------
    >>> list(read_ahead(abs, [-3, 2]))
    [(-3, 3), (2, 2)]
    """
    waiting = deque()
    with ThreadPoolExecutor(_THREADS) as pool:
        for item in items:
            waiting.append((item, pool.submit(function, item)))
            if len(waiting) > depth:
                item, future = waiting.popleft()
                yield item, future.result()
        while waiting:
            item, future = waiting.popleft()
            yield item, future.result()
