"""Work done ahead of its turn by threads: in order, and never more of it waiting than asked for."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def ahead(items: Iterable[T], work: Callable[[T], R], *, threads: int, waiting: int) -> Iterator[tuple[T, R]]:
    """Yield each item with what `work` makes of it, in order.

    Args:
        items: taken as results are.
        work: called in a thread; what it raises is raised here.
        threads: that work.
        waiting: results, at most, that are being made or wait to be taken.
    """
    made: deque[tuple[T, Future[R]]] = deque()
    rest = iter(items)
    with ThreadPoolExecutor(threads) as pool:
        try:
            while True:
                for item in islice(rest, waiting - len(made)):
                    made.append((item, pool.submit(work, item)))
                if not made:
                    return
                item, future = made.popleft()
                yield item, future.result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
