import threading

import pytest

from webui.reload import Background


class Chores:
    """Stands for the engine and the uploads: counts, and fails as told."""

    def __init__(self, enough: int, *, fail: bool = False) -> None:
        self.refreshed = self.expired = 0
        self.enough, self.fail = enough, fail
        self.problem: Exception | None = None
        self.done = threading.Event()

    def refresh(self) -> bool:
        """Count."""
        self.refreshed += 1
        if self.refreshed >= self.enough:
            self.done.set()
        if self.fail:
            raise OSError("disk on fire")
        return False

    def expire(self) -> int:
        """Count."""
        self.expired += 1
        return 0


@pytest.mark.parametrize("fail", [False, True])
def test_chores_are_done_again_and_again(fail, caplog):
    """The engine is refreshed until the thread is stopped, whatever fails on the way; photos expire hourly."""
    chores = Chores(4, fail=fail)
    background = Background(chores, chores, refresh_seconds=0.005)

    background.start()
    chores.done.wait()
    background.stop()

    count = chores.refreshed
    assert chores.expired == 1
    assert ("disk on fire" in caplog.text) == fail
    assert not chores.done.wait(0) or chores.refreshed == count, "nothing happens after stop"


def test_a_problem_that_stays_is_logged_once(caplog):
    """A page without an index does not fill the log with it every few seconds."""

    class Unpublished(Chores):
        def refresh(self) -> bool:
            self.problem = ValueError("nothing is published")
            return super().refresh()

    chores = Unpublished(5)
    background = Background(chores, chores, refresh_seconds=0.001)

    background.start()
    chores.done.wait()
    background.stop()

    assert caplog.text.count("nothing is published") == 1
