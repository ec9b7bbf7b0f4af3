"""What an index run did: seconds by stage, counts, a text for people, JSON for machines, a row in SQL for both."""

import ctypes
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from sqlalchemy import update
from sqlalchemy.orm import Session, sessionmaker

from catalog.models import IndexRun, utc_now
from vsearch.core.errors import CatalogueError
from vsearch.core.progress import Progress, ProgressCallback
from vsearch.core.redaction import redact

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Report:
    """One index run.

    Attributes:
        state: "published" or "unchanged".
        generation_id: the generation that is current now.
        checkpoint_id: of that generation.
        products, pictures, classes: what the generation holds.
        encoded, views: catalogue pictures, and augmented views of them, that were encoded in this run.
        unreadable: new pictures that could not be used.
        pruned: generations deleted.
        note: a sentence more, such as why the model was changed.
        promoted: the checkpoint that the run let search in place of another; empty where it did not.
        freed: count and bytes of what was deleted since nothing needs it, by kind.
        seconds: by stage, in their order.
    """

    state: Literal["published", "unchanged"]
    generation_id: str
    checkpoint_id: str
    products: int
    pictures: int
    classes: int
    encoded: int
    views: int
    unreadable: int
    pruned: int = 0
    note: str = ""
    promoted: str = ""
    freed: dict[str, dict[str, int]] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def pictures_per_second(self) -> float:
        """Pictures and views encoded in a second of the stages that do so; 0 when there were none."""
        spent = sum(seconds for stage, seconds in self.seconds.items() if stage.startswith("encode"))
        return (self.encoded + self.views) / spent if spent and self.encoded + self.views else 0.0

    def text(self) -> str:
        """Return one sentence for people."""
        encoded = f"{self.encoded} pictures encoded"
        encoded += f" ({self.unreadable} unreadable)" if self.unreadable else ""
        if self.state == "unchanged":
            return f"{encoded}; generation {self.generation_id} is up to date. {self.note}".rstrip()
        published = (
            f"{encoded}; generation {self.generation_id} published with {self.pictures} pictures of "
            f"{self.products} products in {self.classes} classes."
        )
        return f"{published} {self.note}".rstrip()

    def as_json(self) -> dict[str, Any]:
        """Return all of it as plain data."""
        return asdict(self) | {"pictures_per_second": round(self.pictures_per_second, 1)}


class Stages:
    """Times the stages of a run and shows their progress."""

    def __init__(self, progress: Progress) -> None:
        self.seconds: dict[str, float] = {}
        self._progress = progress

    @contextmanager
    def __call__(self, stage: str) -> Iterator[ProgressCallback]:
        """Run the block as the named stage."""
        started = time.perf_counter()
        with self._progress(stage) as advance:
            yield advance
        _give_back_memory()
        self.seconds[stage] = round(time.perf_counter() - started, 3)
        log.info("%s: %.1f s", stage, self.seconds[stage])

    def stamp(self, report: Report) -> Report:
        """Return the report with the seconds spent so far."""
        return replace(report, seconds=dict(self.seconds))


def _give_back_memory() -> None:
    """Give memory that is free back to the system, where the C library is glibc; it keeps what was many small pieces.

    Without it a night of 200,000 products keeps 280 MB that its fit is done with (measured).
    """
    with suppress(AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


@contextmanager
def on_record(sessions: sessionmaker[Session]) -> Iterator[Callable[[Report], None]]:
    """Keep a row in SQL while the block runs: running, then what the report says, or failed with the reason.

    The block calls what it is given with its report, and again if there is more to say; what fails later does not
    change how the run ended. Rows that a killed run left as running are closed first, so the
    caller must hold the lock of index runs.
    """
    with sessions.begin() as session:
        ended = {"state": "failed", "finished_at": utc_now(), "message": "The run was killed."}
        session.execute(update(IndexRun).where(IndexRun.state == "running").values(**ended))
        row = IndexRun(state="running")
        session.add(row)
        session.flush()
        run_id = row.run_id

    finished = False

    def close(**values: Any) -> None:
        with sessions.begin() as session:
            session.execute(update(IndexRun).where(IndexRun.run_id == run_id).values(finished_at=utc_now(), **values))

    def finish(report: Report) -> None:
        nonlocal finished
        finished = True
        close(
            state=report.state,
            generation_id=report.generation_id,
            checkpoint_id=report.checkpoint_id,
            counts=report.as_json(),
            message=report.text(),
        )

    try:
        yield finish
    except BaseException as error:
        if not finished:
            with suppress(CatalogueError):  # why the run failed is worth more than why that cannot be written down
                why = "Stopped by hand." if isinstance(error, KeyboardInterrupt) else redact(str(error))
                close(state="failed", message=why)
        raise
