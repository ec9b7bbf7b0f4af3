"""The background thread of a page process: switches to newly published generations and expires old photos."""

import logging
import threading
import time
from collections.abc import Callable

from vsearch.core.errors import VSearchError
from webui.services import Services

REFRESH_SECONDS = 5.0
EXPIRE_SECONDS = 3600.0

log = logging.getLogger(__name__)


class BackgroundThread:
    """Runs the recurring tasks of one process until it is stopped."""

    def __init__(self, services: Services, *, refresh_seconds: float = REFRESH_SECONDS) -> None:
        self._services = services
        self._refresh_seconds = refresh_seconds
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="vsearch-background", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Stop the thread after its current task."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        next_expiry = time.monotonic()
        while not self._stop.wait(self._refresh_seconds):
            _attempt(self._refresh_engine)
            _attempt(self._services.article_numbers.refresh)
            if time.monotonic() >= next_expiry:
                next_expiry = time.monotonic() + EXPIRE_SECONDS
                _attempt(self._services.uploads.expire)

    def _refresh_engine(self) -> None:
        """Refresh the engine; log a new problem once, not every few seconds."""
        engine = self._services.engine
        previous = str(engine.problem)
        engine.refresh()
        if engine.problem and str(engine.problem) != previous:
            log.warning("the current generation cannot be served: %s", engine.problem)


def _attempt(task: Callable[[], object]) -> None:
    """Run a task; a failure is logged, and the thread tries again later."""
    try:
        task()
    except VSearchError as error:
        log.warning("a background task failed and will be retried: %s", error)
    except Exception:
        log.exception("a background task failed and will be retried")
