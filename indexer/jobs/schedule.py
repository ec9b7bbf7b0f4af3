"""When the night begins: a line as crontab writes it, and whether its time has come. Pure."""

from collections.abc import Callable
from datetime import datetime, timedelta

from huey import crontab

from vsearch.core.errors import SettingsError

Schedule = Callable[[datetime], bool]
"""Whether something begins in the minute of a local time."""

MINUTE = timedelta(minutes=1)
LOOK_BACK = timedelta(days=2)
"""A night that was missed longer ago is not made up for."""


def due(schedule: Schedule, last: datetime, now: datetime) -> bool:
    """Whether the time came since the last one began, be it while nobody was there to see it.

    Args:
        schedule: says when.
        last: when the last one began, in local time; the time of the clock alone, so that an hour that is skipped in
            spring is made up for, and one that comes twice in autumn counts once.
        now: the local time.
    """
    moment = max(last, now - LOOK_BACK).replace(second=0, microsecond=0) + MINUTE
    while moment <= now:
        if schedule(moment):
            return True
        moment += MINUTE
    return False


def parse(when: str) -> Schedule:
    """Return the schedule of a line as in crontab(5): minute, hour, day, month, day of week; in local time.

    Raises:
        SettingsError: it is no such line.
    """
    fields = when.split()
    names = ("minute", "hour", "day", "month", "day_of_week")
    try:
        if len(fields) != len(names):
            raise ValueError("it has not five parts")
        found: Schedule = crontab(**dict(zip(names, fields, strict=True)), strict=True)
        return found
    except ValueError as error:
        raise SettingsError(
            f"Setting night_at must be a time as crontab writes it, but it is {when!r} ({error}); "
            "write it like '30 1 * * *'."
        ) from error
