"""A job's pulse: while it runs, a thread says so in SQL, with how far it is, and looks whether it shall stop."""

import _thread
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from types import TracebackType
from typing import Any, Self

from sqlalchemy.orm import Session, sessionmaker

from catalog import jobs
from vsearch.core.errors import CatalogueError
from vsearch.core.progress import ProgressCallback

SECONDS = 2.0

log = logging.getLogger(__name__)


class Heart:
    """Beats while the block runs; `progress` is what the work is given to show how it advances.

    Args:
        sessions: of the catalogue.
        job_id: whose pulse it is.
        clock: tells the time.
        seconds: between two beats.
    """

    def __init__(
        self,
        sessions: sessionmaker[Session],
        job_id: int,
        clock: Callable[[], datetime],
        seconds: float = SECONDS,
    ) -> None:
        self._sessions = sessions
        self._job_id = job_id
        self._clock = clock
        self._seconds = seconds
        self._said: dict[str, Any] = {}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="vsearch-heart", daemon=True)

    @contextmanager
    def progress(self, stage: str) -> Iterator[ProgressCallback]:
        """Show a stage in the job's row."""
        self._said = {"stage": stage, "done": 0, "total": 0}
        log.info("%s", stage)

        def advance(done: int, total: int) -> None:
            self._said = {"stage": stage, "done": done, "total": total}

        yield advance

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()
        self._beat()

    def _run(self) -> None:
        while not self._ended.wait(self._seconds):
            if self._beat():
                _thread.interrupt_main()
                return

    def _beat(self) -> bool:
        """Write the pulse down; a catalogue that is busy for a while (a large import) is no reason to die."""
        try:
            with self._sessions.begin() as session:
                return jobs.beat(session, self._job_id, self._said, self._clock())
        except CatalogueError as error:
            log.warning("the job's heartbeat could not be written: %s", error)
            return False
