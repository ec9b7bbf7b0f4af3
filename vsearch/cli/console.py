"""Tables and progress bars of the commands."""

import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

import click
from rich import box
from rich.console import Console, JustifyMethod
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from vsearch.core.progress import ProgressCallback

_STOPPED = 130  # exit code for SIGINT, as in shells

ITEMS_PER_LINE = 1000
"""Items per progress line if the total is unknown."""

# Titles and file names may contain brackets, which are not markup.
out = Console(highlight=False, markup=False, emoji=False)
if not out.is_terminal:
    out.width = max(out.width, 200)  # a pipe has no width, and programs that read it expect unwrapped lines
err = Console(stderr=True, highlight=False, markup=False, emoji=False)


def table(
    title: str,
    columns: Sequence[str],
    lines: Iterable[Sequence[str | Text]],
    *,
    right: Sequence[str] = (),
    whole: Sequence[str] = (),
) -> None:
    """Print a table; columns in `right` are aligned right, columns in `whole` are not wrapped."""
    grid = Table(box=box.SIMPLE_HEAD)
    for name in columns:
        justify: JustifyMethod = "right" if name in right else "left"
        grid.add_column(name, justify=justify, overflow="fold", no_wrap=name in whole)
    for line in lines:
        grid.add_row(*line)
    out.print(title, soft_wrap=True)
    out.print(grid)


@contextmanager
def stoppable(message: str) -> Iterator[None]:
    """On Ctrl+C, print this message and exit with status 130."""
    try:
        yield
    except KeyboardInterrupt:
        click.echo(f"\n{message}", err=True)
        sys.exit(_STOPPED)


@contextmanager
def progress(label: str) -> Iterator[ProgressCallback]:
    """Show a progress bar on standard error, or occasional lines if that is not a terminal."""
    if not err.is_terminal:
        yield _lines(label)
        return
    bar = Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), console=err
    )
    with bar:
        task = bar.add_task(label, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total or None)


def _lines(label: str) -> ProgressCallback:
    """Print a line when a stage starts, and another for each tenth of it or each 1,000 items."""
    err.print(f"{label} ...", soft_wrap=True)
    printed = 0

    def advance(done: int, total: int) -> None:
        nonlocal printed
        tenth = 10 * done // total if total else done // ITEMS_PER_LINE
        if tenth > printed and done < (total or done + 1):
            printed = tenth
            err.print(f"{label}: {done} of {total}" if total else f"{label}: {done}", soft_wrap=True)

    return advance
