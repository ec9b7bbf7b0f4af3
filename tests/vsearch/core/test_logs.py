import io
import json
import logging
import sys
import threading

import pytest

from vsearch.core import logs
from vsearch.core.settings import Settings

DATABASE = "postgresql://shop:hunter2/x@db/catalog"


@pytest.fixture
def written(monkeypatch):
    """A function that returns a logger and what it writes in a format."""
    monkeypatch.setattr(logs, "_of_process", {})

    def open_log(log_format):
        stream = io.StringIO()
        handler = logging.StreamHandler(stream)
        handler.setFormatter(logs.formatter(Settings(log_format=log_format, database_url=DATABASE)))
        log = logging.Logger("vsearch.test")
        log.addHandler(handler)
        return log, lambda: stream.getvalue().splitlines()

    return open_log


def test_json(written):
    """Lines have the fields of the process, of the context and of the record."""
    log, lines = written("json")
    with logs.process_fields(job=7):
        with logs.context_fields(request="abc"), logs.context_fields(step="encode"):
            log.warning('a %s\n"quoted" line', "long", extra={logs.FIELDS: {"status": 200}})
        log.info("after")
    log.info("after the job")
    first, second, third = (json.loads(line) for line in lines())
    assert first.pop("time").endswith("+00:00")
    assert first == {
        "level": "WARNING",
        "logger": "vsearch.test",
        "message": 'a long\n"quoted" line',
        "job": 7,
        "request": "abc",
        "step": "encode",
        "status": 200,
    }
    assert second["job"] == 7
    assert "request" not in second
    assert "job" not in third


def test_other_threads_have_only_the_fields_of_the_process(written):
    log, lines = written("json")
    with logs.process_fields(job=7), logs.context_fields(request="abc"):
        thread = threading.Thread(target=log.info, args=("from a thread",))
        thread.start()
        thread.join()
    (line,) = map(json.loads, lines())
    assert line["job"] == 7
    assert "request" not in line


def test_text(written):
    log, lines = written("text")
    with logs.context_fields(request="abc"):
        log.warning("first")
    log.warning("second")
    first, second = lines()
    assert first.endswith("WARNING vsearch.test: first [request abc]")
    assert second.endswith("WARNING vsearch.test: second")


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_passwords_are_hidden(written, log_format):
    """In messages and in tracebacks; a JSON line stays valid."""
    log, lines = written(log_format)
    try:
        raise OSError(f"cannot connect to {DATABASE}")
    except OSError:
        log.error("no connection to %s", DATABASE, exc_info=sys.exc_info())
    text = "\n".join(lines())
    assert "hunter2" not in text
    if log_format == "json":
        line = json.loads(text)
        assert "OSError" in line["traceback"]
        assert line["message"].startswith("no connection to postgresql://")
