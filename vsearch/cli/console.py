"""What the commands print with: one console, tables, and progress bars that show the time left."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from rich import box
from rich.console import Console, JustifyMethod
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from vsearch.core.progress import ProgressCallback

STOPPED = 130
"""Exit code of a program stopped by Ctrl-C, as shells count."""

UNKNOWN_STEP = 1000
"""Items between two lines of work of unknown size."""

# Titles and file names are other people's: a bracket in them is a bracket, no markup.
out = Console(highlight=False, markup=False, emoji=False)
if not out.is_terminal:
    out.width = max(out.width, 200)  # of a pipe nobody knows how wide it is, and programs look for whole words
err = Console(stderr=True, highlight=False, markup=False, emoji=False)


def table(
    title: str,
    columns: Sequence[str],
    lines: Iterable[Sequence[str | Text]],
    *,
    right: Sequence[str] = (),
    whole: Sequence[str] = (),
) -> None:
    """Print a table; the columns named in `right` are aligned right, those in `whole` are never broken."""
    grid = Table(box=box.SIMPLE_HEAD)
    for name in columns:
        justify: JustifyMethod = "right" if name in right else "left"
        grid.add_column(name, justify=justify, overflow="fold", no_wrap=name in whole)
    for line in lines:
        grid.add_row(*line)
    out.print(title, soft_wrap=True)
    out.print(grid)


@contextmanager
def progress(label: str) -> Iterator[ProgressCallback]:
    """Yield a function that moves a progress bar on standard error; where that is no terminal, a line now and then."""
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
    """Say that a stage begins, and return what says how far it is: a line for each tenth of it, or 1,000 items."""
    err.print(f"{label} ...", soft_wrap=True)
    said = 0

    def advance(done: int, total: int) -> None:
        nonlocal said
        tenth = 10 * done // total if total else done // UNKNOWN_STEP
        if tenth > said and done < (total or done + 1):
            said = tenth
            err.print(f"{label}: {done} of {total}" if total else f"{label}: {done}", soft_wrap=True)

    return advance
