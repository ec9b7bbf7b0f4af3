"""Types of the callbacks that report the progress of long-running work."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

ProgressCallback = Callable[[int, int], None]
"""Called with (done, total) as work proceeds; a total of 0 means that it is unknown."""

Progress = Callable[[str], AbstractContextManager[ProgressCallback]]
"""Called with the name of a stage; returns a context manager to enter for the duration of the stage."""


def no_progress(done: int, total: int) -> None:
    """Ignore progress."""


@contextmanager
def no_stages(stage: str) -> Iterator[ProgressCallback]:
    """Ignore the progress of a stage."""
    yield no_progress
