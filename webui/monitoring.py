"""Health checks, Prometheus metrics, and the step timings of each request.

Only operators see details. One process handles all requests, so its counters are complete.
"""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from flask import Blueprint, Flask, Response, current_app, g, request
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from sqlalchemy.orm import Session

from catalog import imports, queries
from catalog.database import check_schema
from vsearch.core.errors import UploadsUnavailable, VSearchError
from webui.services import Services, services

BUCKETS = (0.01, 0.03, 0.1, 0.2, 0.3, 0.5, 1, 2, 5, 10)
_EXTENSION = "vsearch.metrics"

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
    problems = [engine.problem] if engine.problem else []
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
    problem = " ".join(map(str, problems)) or None
    return {"status": "ready" if ready else "not ready", **report, "problem": problem}, 200 if ready else 503


class RequestMetrics:
    """The request counters of one application."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self.count = Counter("vsearch_requests", "Requests handled.", ("endpoint", "status"), registry=registry)
        self.seconds = Histogram(
            "vsearch_request_seconds", "Seconds per request.", ("endpoint",), buckets=BUCKETS, registry=registry
        )
        self.steps = Histogram(
            "vsearch_step_seconds", "Seconds per search step.", ("step",), buckets=BUCKETS, registry=registry
        )


@contextmanager
def measure(step: str) -> Iterator[None]:
    """Record the run time of the `with` block as a step of the request."""
    started = time.perf_counter()
    yield
    add_timings({step: 1000 * (time.perf_counter() - started)})


def add_timings(milliseconds: Mapping[str, float]) -> None:
    """Record steps measured elsewhere."""
    g.setdefault("timings", {}).update(milliseconds)


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
    counters: RequestMetrics = current_app.extensions[_EXTENSION]
    body = generate_latest(counters.registry) + generate_latest(_current_state(services()))
    return Response(body, content_type=CONTENT_TYPE_LATEST)


def _current_state(served: Services) -> CollectorRegistry:
    registry = CollectorRegistry()

    def set_gauge(name: str, description: str, value: float) -> None:
        Gauge(f"vsearch_{name}", description, registry=registry).set(value)

    set_gauge("problem", "1 if the newest index cannot be served.", served.engine.problem is not None)
    try:
        manifest = served.engine.serving.generation.manifest
    except VSearchError:
        set_gauge("ready", "1 if photos can be searched.", 0)
    else:
        set_gauge("ready", "1 if photos can be searched.", 1)
        set_gauge("index_pictures", "Images in the served index.", sum(part.count for part in manifest.classes))
        created = manifest.created_at.timestamp()
        set_gauge("index_created_timestamp_seconds", "When the served index was built.", created)
    with served.sessions() as session:
        _add_catalog(session, registry)
    return registry


def _add_catalog(session: Session, registry: CollectorRegistry) -> None:
    counts = queries.counts(session)
    products = Gauge("vsearch_products", "Products in the catalog.", ("state",), registry=registry)
    products.labels("live").set(counts["products"])
    products.labels("withdrawn").set(counts["withdrawn"])
    pictures = Gauge("vsearch_pictures", "Images in the catalog.", ("state",), registry=registry)
    pictures.labels("readable").set(counts["pictures"])
    pictures.labels("unreadable").set(counts["unreadable"])
    pictures.labels("unavailable").set(imports.count_failing_pictures(session))
    jobs = Gauge("vsearch_jobs", "Background jobs by kind and state.", ("kind", "state"), registry=registry)
    for kind, state, count in queries.job_counts(session):
        jobs.labels(kind, state).set(count)

    def set_timestamps(name: str, description: str, ended: Mapping[str, datetime]) -> None:
        gauge = Gauge(f"vsearch_{name}_timestamp_seconds", description, ("state",), registry=registry)
        for state, finished_at in ended.items():
            gauge.labels(state).set(finished_at.timestamp())

    runs = {run.state: run.finished_at for run in reversed(queries.latest_runs(session, 20)) if run.finished_at}
    set_timestamps("last_run", "When the last index run with each outcome ended.", runs)
    imported = imports.last_finished_by_state(session)
    set_timestamps("last_import", "When the last import with each outcome ended.", imported)
