"""Determines when the nightly job is due, from the crontab line in the `schedule` setting."""

from datetime import datetime, timedelta
from typing import Final

from cronsim import CronSim, CronSimError

from vsearch.core.errors import SettingsError

MAX_DELAY: Final = timedelta(days=2)
"""A nightly job that was missed longer ago than this is not started late."""


def is_due(schedule: str, last: datetime, now: datetime) -> bool:
    """Return whether a start has become due since the last one, even if no worker was running then.

    Args:
        schedule: crontab line.
        last: when the job was last queued, in local time without a zone: a start in the hour that is skipped in spring
            is late, and one in the hour that is repeated in autumn counts once.
        now: the current local time.
    """
    return next(CronSim(schedule, max(last, now - MAX_DELAY))) <= now


def check_schedule(schedule: str) -> None:
    """Raise `SettingsError` if this is not a crontab line of five fields."""
    try:
        if len(schedule.split()) != 5:  # CronSim also takes a sixth field, for seconds
            raise CronSimError("it needs five fields")
        CronSim(schedule, datetime.min)
    except CronSimError as error:
        raise SettingsError(
            f"Setting schedule: {schedule!r} is not a crontab line ({error}). "
            "Use five fields: minute, hour, day, month, weekday, such as '30 1 * * *'."
        ) from None
