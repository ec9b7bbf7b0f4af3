"""The one background thread: takes up what is newly published while pages are served, and clears old photos."""

import logging
import threading
import time
from collections.abc import Callable

from vsearch.core.errors import VSearchError
from vsearch.search.engine import Engine
from webui.articles import Articles
from webui.uploads import UploadStore

REFRESH_SECONDS = 5.0
EXPIRE_SECONDS = 3600.0

log = logging.getLogger(__name__)


class Background:
    """Does the chores of one process until it is stopped."""

    def __init__(
        self,
        engine: Engine,
        uploads: UploadStore,
        articles: Articles | None = None,
        *,
        refresh_seconds: float = REFRESH_SECONDS,
    ) -> None:
        self._engine = engine
        self._uploads = uploads
        self._articles = articles
        self._refresh_seconds = refresh_seconds
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="vsearch-background", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End, after the chore that is being done."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        next_expiry = time.monotonic()
        while not self._stop.wait(self._refresh_seconds):
            _attempt(self._refresh)
            if self._articles is not None:
                _attempt(self._articles.refresh)
            if time.monotonic() >= next_expiry:
                next_expiry = time.monotonic() + EXPIRE_SECONDS
                _attempt(self._uploads.expire)

    def _refresh(self) -> None:
        """Refresh the engine; a problem is logged once, not every few seconds."""
        known = str(self._engine.problem)
        self._engine.refresh()
        if self._engine.problem and str(self._engine.problem) != known:
            log.warning("the current generation cannot be served: %s", self._engine.problem)


def _attempt(chore: Callable[[], object]) -> None:
    """Do a chore; a failure is logged, and the thread lives on to try again."""
    try:
        chore()
    except VSearchError as error:
        log.warning("a background chore failed and will be tried again: %s", error)
    except Exception:
        log.exception("a background chore failed and will be tried again")
