"""Log lines as text or JSON, with the request or the job that they belong to, and without passwords."""

import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime

from vsearch.core.redaction import redact
from vsearch.core.settings import Settings

FIELDS = "fields"
"""Attribute of a log record with further fields of its JSON line: `log.info(text, extra={FIELDS: {...}})`."""

_of_process: dict[str, object] = {}
_of_context: ContextVar[Mapping[str, object] | None] = ContextVar("log fields", default=None)


@contextmanager
def process_fields(**fields: object) -> Iterator[None]:
    """Add fields to every line of this process in the `with` block, whichever thread writes it."""
    before = dict(_of_process)
    _of_process.update(fields)
    try:
        yield
    finally:
        _of_process.clear()
        _of_process.update(before)


@contextmanager
def context_fields(**fields: object) -> Iterator[None]:
    """Add fields to the lines that the current thread writes in the `with` block."""
    token = _of_context.set({**(_of_context.get() or {}), **fields})
    try:
        yield
    finally:
        _of_context.reset(token)


def current_fields() -> dict[str, object]:
    """Return the fields that a line written now gets."""
    return {**_of_process, **(_of_context.get() or {})}


def formatter(settings: Settings) -> logging.Formatter:
    """Return the formatter for the setting `log_format`."""
    return JsonFormatter(settings) if settings.log_format == "json" else TextFormatter(settings)


class TextFormatter(logging.Formatter):
    """Formats log records and tracebacks, hiding passwords and keys in URLs."""

    def __init__(self, settings: Settings) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s%(context)s")
        self._addresses = _addresses(settings)

    def format(self, record: logging.LogRecord) -> str:
        """Return the formatted record; the fields follow the message, as in "[request 2f6c8d31a09e47b5]"."""
        fields = current_fields()
        record.context = f" [{', '.join(f'{name} {value}' for name, value in fields.items())}]" if fields else ""
        return redact(super().format(record), *self._addresses)


class JsonFormatter(logging.Formatter):
    """Formats each log record as one line of JSON, hiding passwords and keys in URLs."""

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self._addresses = _addresses(settings)

    def format(self, record: logging.LogRecord) -> str:
        """Return the line; `time` is UTC in ISO 8601."""
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": redact(record.getMessage(), *self._addresses),
            **current_fields(),
            **getattr(record, FIELDS, {}),
        }
        if record.exc_info:
            line["traceback"] = redact(self.formatException(record.exc_info), *self._addresses)
        if record.stack_info:
            line["stack"] = redact(self.formatStack(record.stack_info), *self._addresses)
        return json.dumps(line, ensure_ascii=False, default=str)


def _addresses(settings: Settings) -> tuple[str, ...]:
    """Return the settings that may contain passwords, since libraries quote parts of them."""
    return settings.database_url, settings.feed, settings.feed_images
