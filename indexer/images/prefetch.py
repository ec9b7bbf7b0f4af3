"""A map over threads that keeps the order and bounds the number of pending results."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def prefetch_map(
    items: Iterable[T], function: Callable[[T], R], *, threads: int, max_pending: int
) -> Iterator[tuple[T, R]]:
    """Yield each item with its result, in order; an exception of `function` is raised here.

    Args:
        items: consumed lazily.
        function: called in one of `threads` threads.
        max_pending: results that may be computed ahead of the consumer.
    """
    pending: deque[tuple[T, Future[R]]] = deque()
    remaining = iter(items)
    with ThreadPoolExecutor(threads) as pool:
        try:
            while True:
                for item in islice(remaining, max_pending - len(pending)):
                    pending.append((item, pool.submit(function, item)))
                if not pending:
                    return
                item, future = pending.popleft()
                yield item, future.result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
