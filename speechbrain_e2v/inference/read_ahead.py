"""Reading what comes next while the model computes."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

_THREADS = 4
Item = TypeVar("Item")
Result = TypeVar("Result")


def read_ahead(
    function: Callable[[Item], Result], items: Iterable[Item], depth: int = 3
) -> Iterator[tuple[Item, Result]]:
    """Map in threads, a few items ahead and no more.

    Yields items with results, in order; an exception is raised at its item.
    At most `depth` results wait. The function should release the interpreter
    lock, as reading files does.

    >>> list(read_ahead(abs, [-3, 2]))
    [(-3, 3), (2, 2)]
    """
    waiting: deque[tuple[Item, Future[Result]]] = deque()
    with ThreadPoolExecutor(_THREADS) as pool:
        for item in items:
            waiting.append((item, pool.submit(function, item)))
            if len(waiting) > depth:
                item, future = waiting.popleft()
                yield item, future.result()
        while waiting:
            item, future = waiting.popleft()
            yield item, future.result()
