"""How long the steps of a request took, told to the browser in the Server-Timing header."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from flask import g
from werkzeug.wrappers import Response


@contextmanager
def measure(step: str) -> Iterator[None]:
    """Note how long the block takes."""
    started = time.perf_counter()
    yield
    add({step: 1000 * (time.perf_counter() - started)})


def add(milliseconds: Mapping[str, float]) -> None:
    """Note steps that were measured elsewhere."""
    g.setdefault("timings", {}).update(milliseconds)


def write_header(response: Response) -> Response:
    """Put what was noted into the response."""
    timings: dict[str, float] = g.get("timings", {})
    if timings:
        response.headers["Server-Timing"] = ", ".join(f"{name};dur={ms:.1f}" for name, ms in timings.items())
    return response
