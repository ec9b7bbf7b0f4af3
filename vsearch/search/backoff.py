"""`Backoff`: when something that failed is worth another try. Pure, but for the clock it is given."""

from collections.abc import Callable, Hashable
from dataclasses import dataclass


@dataclass(frozen=True)
class _Failure:
    state: Hashable
    delay: float
    retry_at: float


class Backoff:
    """Allows another try at once when what the outcome depends on has changed, else after a delay that doubles.

    Args:
        clock: returns seconds that only grow.
        first_delay: seconds after the first failure.
        max_delay: seconds after many failures.
    """

    def __init__(self, clock: Callable[[], float], first_delay: float, max_delay: float) -> None:
        self._clock, self._first_delay, self._max_delay = clock, first_delay, max_delay
        self._last: _Failure | None = None

    def is_due(self, state: Hashable) -> bool:
        """Whether a try is worthwhile now that what it depends on is in this state."""
        return self._last is None or self._last.state != state or self._clock() >= self._last.retry_at

    def failed(self, state: Hashable) -> None:
        """Note that a try failed; the state is that of before it."""
        again = self._last is not None and self._last.state == state
        delay = min(2 * self._last.delay, self._max_delay) if again and self._last else self._first_delay
        self._last = _Failure(state, delay, self._clock() + delay)

    def succeeded(self) -> None:
        """Forget earlier failures."""
        self._last = None
