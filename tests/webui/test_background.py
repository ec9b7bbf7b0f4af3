import threading
from types import SimpleNamespace

import pytest

from webui.background import BackgroundThread


class FakeEngine:
    """Counts refreshes; with an error, each one fails or reports it as its problem."""

    def __init__(self, error: Exception | None = None, problem: Exception | None = None) -> None:
        self.refreshed = 0
        self.error, self.problem = error, None
        self._next_problem = problem
        self.done = threading.Event()

    def refresh(self) -> None:
        """Refresh the engine."""
        self.refreshed += 1
        self.problem = self._next_problem
        if self.refreshed == 5:
            self.done.set()
        if self.error:
            raise self.error


def run(engine: FakeEngine) -> SimpleNamespace:
    """Run the thread until the fifth refresh; return the counts of the other tasks."""
    counts = SimpleNamespace(expired=0, opened=0)

    def count(name):
        setattr(counts, name, getattr(counts, name) + 1)

    services = SimpleNamespace(
        engine=engine,
        article_numbers=SimpleNamespace(refresh=lambda: count("opened")),
        uploads=SimpleNamespace(expire=lambda: count("expired")),
    )
    background = BackgroundThread(services, refresh_seconds=0.002)
    background.start()
    assert engine.done.wait(60)
    background.stop()
    return counts


@pytest.mark.parametrize("error", [None, OSError("disk on fire")])
def test_tasks_are_repeated_even_if_one_fails(error, caplog):
    """Photos expire hourly, so once here."""
    engine = FakeEngine(error)
    counts = run(engine)
    assert counts.expired == 1
    assert counts.opened >= 4
    assert ("disk on fire" in caplog.text) == (error is not None)


def test_a_persistent_problem_is_logged_once(caplog):
    run(FakeEngine(problem=ValueError("nothing is published")))
    assert caplog.text.count("nothing is published") == 1
