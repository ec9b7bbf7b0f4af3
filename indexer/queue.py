"""The queue that wakes workers, and when the night begins: what the settings say, in huey's words."""

from typing import Any

from huey import Huey, RedisHuey, SqliteHuey, crontab

from vsearch.errors import SettingsError
from vsearch.settings import Settings


def open_queue(settings: Settings) -> Huey:
    """Return the queue that the settings name: a SQLite file in the data folder, or Redis.

    Raises:
        SettingsError: the address is none, or what Redis needs is not installed.
    """
    if settings.queue_url:
        if not settings.queue_url.startswith(("redis://", "rediss://")):
            raise SettingsError(
                f"Setting queue_url must be redis://HOST/NUMBER or empty, but it is {settings.queue_url!r}; correct it."
            )
        try:
            return RedisHuey("vsearch", url=settings.queue_url, results=False, utc=False)
        except ImportError as error:
            raise SettingsError(
                f"A queue in Redis needs a package that is not installed ({error}); run `pip install 'vsearch[redis]'`."
            ) from error
    settings.data.mkdir(parents=True, exist_ok=True)
    return SqliteHuey("vsearch", filename=str(settings.data / "queue.sqlite"), results=False, utc=False)


def schedule(when: str) -> Any:
    """Return huey's schedule of a line as in crontab(5): minute, hour, day, month, day of week; in local time.

    Raises:
        SettingsError: it is no such line.
    """
    fields = when.split()
    names = ("minute", "hour", "day", "month", "day_of_week")
    try:
        if len(fields) != len(names):
            raise ValueError("it has not five parts")
        return crontab(**dict(zip(names, fields, strict=True)), strict=True)
    except ValueError as error:
        raise SettingsError(
            f"Setting night_at must be a time as crontab writes it, but it is {when!r} ({error}); "
            "write it like '30 1 * * *'."
        ) from error
