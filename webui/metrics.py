"""Figures for Prometheus: how requests went, what is served, how the last night and the jobs ended.

One process answers all requests, so its own counts are all there are.
"""

import time

from flask import Blueprint, Flask, Response, current_app, g, request
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from catalog import imports, queries
from catalog.models import Job
from vsearch.core.errors import VSearchError
from webui.services import Services, services

blueprint = Blueprint("metrics", __name__)

_NAME = "vsearch.evaluation.metrics"
_SECONDS = (0.01, 0.03, 0.1, 0.2, 0.3, 0.5, 1, 2, 5, 10)


class Requests:
    """Counts of one application."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        labels = ("endpoint", "status")
        self.count = Counter("vsearch_requests", "Requests answered.", labels, registry=self.registry)
        self.seconds = Histogram(
            "vsearch_request_seconds", "Seconds to answer.", ("endpoint",), buckets=_SECONDS, registry=self.registry
        )
        self.steps = Histogram(
            "vsearch_step_seconds", "Seconds of a search's steps.", ("step",), buckets=_SECONDS, registry=self.registry
        )


def share(app: Flask, admin: Flask) -> None:
    """Let another application tell the counts of this one."""
    admin.extensions[_NAME] = app.extensions[_NAME]


def register(app: Flask) -> None:
    """Count the application's requests."""
    counts = Requests()
    app.extensions[_NAME] = counts

    @app.before_request
    def begin() -> None:
        g.began = time.perf_counter()

    @app.after_request
    def end(response: Response) -> Response:
        endpoint = request.endpoint or "none"
        counts.count.labels(endpoint, str(response.status_code)).inc()
        if "began" in g:
            counts.seconds.labels(endpoint).observe(time.perf_counter() - g.began)
        for step, milliseconds in g.get("timings", {}).items():
            counts.steps.labels(step).observe(milliseconds / 1000)
        return response


@blueprint.get("/metrics")
def metrics() -> Response:
    """Return all figures in Prometheus's text format."""
    counts: Requests = current_app.extensions[_NAME]
    body = generate_latest(counts.registry) + generate_latest(_now(services()))
    return Response(body, content_type=CONTENT_TYPE_LATEST)


def _now(served: Services) -> CollectorRegistry:
    """Return the figures of this moment."""
    registry = CollectorRegistry()

    def say(name: str, meaning: str, value: float) -> None:
        Gauge(f"vsearch_{name}", meaning, registry=registry).set(value)

    say("problem", "1 while a newer index cannot be served, or none can.", served.engine.problem is not None)
    try:
        manifest = served.engine.serving.generation.manifest
    except VSearchError:
        say("ready", "1 while searches are answered.", 0)
    else:
        say("ready", "1 while searches are answered.", 1)
        say("index_pictures", "Pictures in the index that is served.", sum(part.count for part in manifest.classes))
        created = manifest.created_at.timestamp()
        say("index_created_timestamp_seconds", "When the index that is served was made.", created)
    with served.sessions() as session:
        _of_catalogue(session, registry)
    return registry


def _of_catalogue(session: Session, registry: CollectorRegistry) -> None:
    counted = queries.counts(session)
    products = Gauge("vsearch_products", "Products of the catalogue.", ("state",), registry=registry)
    products.labels("live").set(counted.products)
    products.labels("withdrawn").set(counted.withdrawn)
    pictures = Gauge("vsearch_pictures", "Pictures of the catalogue.", ("state",), registry=registry)
    pictures.labels("readable").set(counted.pictures)
    pictures.labels("unreadable").set(counted.unreadable)
    pictures.labels("not_to_be_had").set(imports.count_failing_pictures(session))
    jobs = Gauge("vsearch_jobs", "Background jobs by kind and state.", ("kind", "state"), registry=registry)
    for kind, state, count in session.execute(select(Job.kind, Job.state, func.count()).group_by(Job.kind, Job.state)):
        jobs.labels(kind, state).set(count)
    night = Gauge(
        "vsearch_last_run_timestamp_seconds",
        "When the last index run of each end ended.",
        ("state",),
        registry=registry,
    )
    for run in reversed(queries.latest_runs(session, 20)):
        if run.finished_at is not None:
            night.labels(run.state).set(run.finished_at.timestamp())
    feed = Gauge(
        "vsearch_last_import_timestamp_seconds",
        "When the last import of each end ended; state imported: the feed changed something.",
        ("state",),
        registry=registry,
    )
    for state, finished in imports.last_finished_by_state(session).items():
        feed.labels(state).set(finished.timestamp())
