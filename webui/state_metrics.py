"""Metrics that are measured when Prometheus reads them: what is served, the catalog, index runs, jobs and disks."""

import shutil
from collections.abc import Mapping
from datetime import datetime, timedelta

import numpy as np
from cachetools.func import ttl_cache
from prometheus_client import CollectorRegistry, Gauge
from sqlalchemy.orm import Session

from catalog import imports, jobs, queries
from catalog.models import utc_now
from vsearch.core.errors import VSearchError
from vsearch.index.generation import Generation
from webui.image_files import UploadStore
from webui.services import Services

UPLOADS_SECONDS = 60
"""How long the size of the uploads is remembered: listing a large folder is slow."""


def collect(served: Services) -> CollectorRegistry:
    """Measure everything.

    Raises:
        CatalogError: the catalog cannot be read.
    """
    registry = CollectorRegistry()
    _set(registry, "problem", "1 if the newest index cannot be served.", served.engine.problem is not None)
    try:
        generation = served.engine.serving.generation
    except VSearchError:
        _set(registry, "ready", "1 if photos can be searched.", 0)
    else:
        _set(registry, "ready", "1 if photos can be searched.", 1)
        _add_index(generation, registry)
    _add_disks(served, registry)
    with served.sessions() as session:
        _add_catalog(session, registry)
        _add_runs(session, registry)
        _add_jobs(session, registry)
    return registry


def _set(registry: CollectorRegistry, name: str, description: str, value: float) -> None:
    Gauge(f"vsearch_{name}", description, registry=registry).set(value)


def _set_all(
    registry: CollectorRegistry, name: str, description: str, label: str, values: Mapping[str, float | datetime]
) -> None:
    gauge = Gauge(f"vsearch_{name}", description, (label,), registry=registry)
    for value_of_label, value in values.items():
        gauge.labels(value_of_label).set(value.timestamp() if isinstance(value, datetime) else value)


def _add_index(generation: Generation, registry: CollectorRegistry) -> None:
    gallery, delta = generation.gallery, generation.delta
    _set(registry, "index_pictures", "Images that are searched, with those of the delta.", len(gallery))
    _set(registry, "index_products", "Products that are searched, with those of the delta.", len(gallery.products))
    created = generation.manifest.created_at.timestamp()
    _set(registry, "index_created_timestamp_seconds", "When the served index was built.", created)
    changed = {"added": delta.image_ids, "removed": delta.removed} if delta else {}
    counts = {change: len(changed.get(change, np.empty(0))) for change in ("added", "removed")}
    _set_all(registry, "delta_pictures", "Images changed since the index was built.", "change", counts)


def _add_disks(served: Services, registry: CollectorRegistry) -> None:
    _set(registry, "uploads_bytes", "Size of the uploaded photos.", _uploads_bytes(served.uploads))
    limit = served.settings.upload_gb * 1e9
    _set(registry, "uploads_limit_bytes", "Size at which the oldest uploaded photos are deleted.", limit)
    disk = shutil.disk_usage(served.settings.data)
    _set(registry, "disk_free_bytes", "Free space on the disk of the data folder.", disk.free)
    _set(registry, "disk_size_bytes", "Size of the disk of the data folder.", disk.total)


@ttl_cache(ttl=UPLOADS_SECONDS)
def _uploads_bytes(uploads: UploadStore) -> int:
    return uploads.size()


def _add_catalog(session: Session, registry: CollectorRegistry) -> None:
    counts = queries.counts(session)
    products = {"live": counts["products"], "withdrawn": counts["withdrawn"]}
    _set_all(registry, "products", "Products in the catalog.", "state", products)
    states = {name: counts[key] for name, key in (("readable", "pictures"), ("unreadable", "unreadable"))}
    pictures = states | {"unavailable": imports.count_failing_pictures(session)}
    _set_all(registry, "pictures", "Images in the catalog.", "state", pictures)
    imported = imports.last_finished_by_state(session)
    description = "When the last import with each outcome ended."
    _set_all(registry, "last_import_timestamp_seconds", description, "state", imported)


def _add_runs(session: Session, registry: CollectorRegistry) -> None:
    runs = queries.last_runs_by_state(session)
    ended = {state: finished_at for state, (_, finished_at) in runs.items()}
    description = "When the last index run with each outcome ended."
    _set_all(registry, "last_run_timestamp_seconds", description, "state", ended)
    lasted = {state: (finished_at - started_at).total_seconds() for state, (started_at, finished_at) in runs.items()}
    _set_all(registry, "last_run_seconds", "How long the last index run with each outcome took.", "state", lasted)


def _add_jobs(session: Session, registry: CollectorRegistry) -> None:
    gauge = Gauge("vsearch_jobs", "Background jobs by kind and state.", ("kind", "state"), registry=registry)
    for kind, state, count in queries.job_counts(session):
        gauge.labels(kind, state).set(count)
    now = utc_now()
    workers = len(jobs.live_workers(session, now - jobs.WORKER_SEEN))
    _set(registry, "workers", "Workers seen in the last minutes.", workers)
    seen = jobs.live_workers(session, now - timedelta(days=1))
    if seen:
        last = seen[0].seen_at.timestamp()
        _set(registry, "worker_seen_timestamp_seconds", "When a worker last reported that it runs.", last)
