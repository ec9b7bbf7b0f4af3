"""When the nightly job is due, by the crontab line in the setting `schedule`."""

from datetime import datetime, timedelta
from typing import Final

from cronsim import CronSim, CronSimError

from vsearch.core.errors import SettingsError

MAX_DELAY: Final = timedelta(days=2)
"""A nightly job that was missed longer ago is not made up for."""


def is_due(schedule: str, last: datetime, now: datetime) -> bool:
    """Whether a start was due since the last one, even if no worker was running then.

    Args:
        schedule: crontab line.
        last: when the job was last asked for, in local time without a zone: an hour that is skipped in spring is made
            up for, and one that comes twice in autumn counts once.
        now: the local time.
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
