"""Health checks, counters of requests and searches for Prometheus, and the step timings of each request.

Only operators see details. One process handles all requests, so its counters are complete. What is measured when
`/metrics` is read is in `webui.state_metrics`.
"""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Literal, get_args

from flask import Blueprint, Flask, Response, current_app, g, request
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from catalog.database import check_schema
from vsearch.core.errors import UploadsUnavailable, VSearchError
from vsearch.core.tracing import span
from webui import state_metrics
from webui.services import services

BUCKETS = (0.01, 0.03, 0.1, 0.2, 0.3, 0.5, 1, 2, 5, 10)
_EXTENSION = "vsearch.metrics"

Reason = Literal["searches in flight", "waited", "rate limit", "incomplete"]
"""Why a request was turned away: too many searches at once, it waited too long for a thread, its client has made too
many, or it was too large or did not arrive in time."""

blueprint = Blueprint("health", __name__)
admin_blueprint = Blueprint("admin_health", __name__)


@blueprint.get("/healthz")
@admin_blueprint.get("/healthz")
def alive() -> dict[str, str]:
    """Report that the process is running."""
    return {"status": "alive"}


@blueprint.get("/readyz")
def ready() -> tuple[dict[str, str], int]:
    """Report whether photos can be uploaded and searched; the status is 503 if not."""
    report, status = ready_details()
    return {"status": report["status"]}, status


@admin_blueprint.get("/readyz")
def ready_details() -> tuple[dict[str, Any], int]:
    """Report the same, the served generation and, as `problem`, why it or a newer one cannot be served."""
    served = services()
    engine = served.engine
    problems: list[object] = [engine.problem] if engine.problem else []
    report: dict[str, Any] = {"generation": None, "checkpoint": None, "pictures": None}
    ready = True
    try:
        generation = engine.serving.generation
        report = {
            "generation": generation.generation_id,
            "checkpoint": generation.checkpoint_id,
            "pictures": len(generation.gallery),
        }
        with served.sessions() as session:
            check_schema(session.connection())  # a different version may have migrated it while this one is running
    except VSearchError as error:
        ready, problems = False, [error]
    try:
        served.uploads.check()
    except UploadsUnavailable as error:
        ready, problems = False, [*problems, error]
    if served.stopping.is_set():
        ready, problems = False, [*problems, "The server is stopping."]
    problem = " ".join(map(str, problems)) or None
    return {"status": "ready" if ready else "not ready", **report, "problem": problem}, 200 if ready else 503


class RequestMetrics:
    """The counters of one application."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self.count = Counter("vsearch_requests", "Requests handled.", ("endpoint", "status"), registry=registry)
        self.seconds = Histogram(
            "vsearch_request_seconds", "Seconds per request.", ("endpoint",), buckets=BUCKETS, registry=registry
        )
        self.steps = Histogram(
            "vsearch_step_seconds", "Seconds per search step.", ("step",), buckets=BUCKETS, registry=registry
        )
        self.searches = Counter(
            "vsearch_searches", "Searches by best match label and routing.", ("best", "routing"), registry=registry
        )
        self.in_flight = Gauge("vsearch_searches_in_flight", "Searches running now.", registry=registry)
        self.turned_away = Counter(
            "vsearch_turned_away", "Requests turned away without a search.", ("reason",), registry=registry
        )
        for reason in get_args(Reason):  # a counter that starts with 1 has no increase
            self.turned_away.labels(reason)
        ProcessCollector(registry=registry)


@contextmanager
def measure(step: str) -> Iterator[None]:
    """Record the run time of the `with` block as a step of the request."""
    started = time.perf_counter()
    with span(step):
        yield
    add_timings({step: 1000 * (time.perf_counter() - started)})


def add_timings(milliseconds: Mapping[str, float]) -> None:
    """Record steps measured elsewhere."""
    g.setdefault("timings", {}).update(milliseconds)


def count_search(best: str, routing: str) -> None:
    """Count a search.

    Args:
        best: the match label of its best hit; "found" if it was by words, which give no label, or "none" without hits.
        routing: "routed", "chosen" or "all" (see `SearchResult.routing`), or "words".
    """
    metrics_of(current_app).searches.labels(best, routing).inc()


def count_turned_away(reason: Reason) -> None:
    """Count a request that is turned away."""
    metrics_of(current_app).turned_away.labels(reason).inc()


def metrics_of(app: Flask) -> RequestMetrics:
    """Return the counters of an application."""
    found = app.extensions[_EXTENSION]
    assert isinstance(found, RequestMetrics)
    return found


def register(app: Flask) -> None:
    """Count the application's requests and report step timings in the Server-Timing header."""
    counters = app.extensions[_EXTENSION] = RequestMetrics()

    @app.before_request
    def start_timer() -> None:
        g.started = time.perf_counter()

    @app.after_request
    def record(response: Response) -> Response:
        endpoint, timings = request.endpoint or "none", g.get("timings", {})
        counters.count.labels(endpoint, str(response.status_code)).inc()
        if "started" in g:
            counters.seconds.labels(endpoint).observe(time.perf_counter() - g.started)
        for step, milliseconds in timings.items():
            counters.steps.labels(step).observe(milliseconds / 1000)
        if timings:
            response.headers["Server-Timing"] = ", ".join(f"{step};dur={ms:.1f}" for step, ms in timings.items())
        return response


@admin_blueprint.get("/metrics")
def metrics() -> Response:
    """Report the metrics in the Prometheus text format."""
    counters = metrics_of(current_app)
    body = generate_latest(counters.registry) + generate_latest(state_metrics.collect(services()))
    return Response(body, content_type=CONTENT_TYPE_LATEST)
