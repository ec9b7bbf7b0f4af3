"""How long work tells how far it is, without knowing who is told."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

Advance = Callable[[int, int], None]
"""Called with (done, total) as work goes on; a total of 0 means that it is not known."""

Progress = Callable[[str], AbstractContextManager[Advance]]
"""Given the name of a stage, shows how it advances while the context lasts; `vsearch.cli.console.progress` is one."""


def unseen(done: int, total: int) -> None:
    """Show nothing."""


@contextmanager
def silent(stage: str) -> Iterator[Advance]:
    """Show nothing of a stage."""
    yield unseen
