from vsearch.search.backoff import Backoff


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


def test_the_delay_doubles_up_to_a_limit() -> None:
    """After each failure in the same state."""
    clock = Clock()
    backoff, delays = Backoff(clock, first_delay=10, max_delay=60), []
    for _ in range(5):
        assert backoff.is_due("x")
        backoff.failed("x")
        began = clock.now
        while not backoff.is_due("x"):
            clock.now += 1
        delays.append(clock.now - began)
    assert delays == [10, 20, 40, 60, 60]


def test_another_state_is_tried_at_once_and_begins_anew() -> None:
    """What failed long ago says nothing of it."""
    clock = Clock()
    backoff = Backoff(clock, first_delay=10, max_delay=60)
    for _ in range(3):
        backoff.failed("x")
    assert not backoff.is_due("x")
    assert backoff.is_due("y")
    backoff.failed("y")
    clock.now += 10
    assert backoff.is_due("y")


def test_success_forgets() -> None:
    """The next failure is a first one."""
    backoff = Backoff(Clock(), first_delay=10, max_delay=60)
    backoff.failed("x")
    backoff.succeeded()
    assert backoff.is_due("x")
