"""Checks an installation: settings, disk, database, images, model, index, jobs; each finding says what to do."""

import os
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Literal

import numpy as np
from sqlalchemy import Engine
from sqlalchemy.orm import Session, sessionmaker

from catalog import jobs, queries
from catalog.database import check_schema, connect, lock_for_writing
from catalog.image_store import ImageStore
from catalog.models import utc_now
from indexer.jobs import webhooks
from indexer.jobs.worker import check_schedule, next_start
from vsearch.core.errors import VSearchError
from vsearch.core.files import checksum
from vsearch.core.redaction import redact, redact_url
from vsearch.core.settings import Settings
from vsearch.index import delta as deltas
from vsearch.index import generation as generations
from vsearch.index.generation import Generation
from vsearch.models.encoder import Encoder
from vsearch.models.runtime import choose_precision
from vsearch.search.serving import OpenEncoder, prepare

MIN_FREE_BYTES = 1 << 30
SAMPLED_IMAGES = 200
"""Images whose content is compared with its SHA-256."""

WORKER_SEEN = timedelta(minutes=2)
MISSED_NIGHTS = timedelta(hours=36)
"""Age of the last finished nightly job from which one was probably missed."""

State = Literal["ok", "warning", "problem"]


@dataclass(frozen=True)
class Diagnosis:
    """The result of one check."""

    subject: str
    state: State
    text: str


Check = Callable[[], Iterator[Diagnosis]]


def diagnose(settings: Settings, *, open_encoder: OpenEncoder = Encoder) -> Iterator[Diagnosis]:
    """Yield the findings of all checks; a check that cannot be made is a problem of its subject."""
    yield from _guarded("data folder", lambda: _check_folder(settings))
    yield from _guarded("settings", lambda: _check_settings(settings))
    engine: Engine | None = None
    try:
        engine = connect(settings.catalog_url, create=False)
        sessions = sessionmaker(engine)
        yield from _guarded("database", lambda: _check_database(engine, sessions))
        yield from _guarded("images", lambda: _check_images(settings, sessions))
        yield from _guarded("jobs", lambda: _check_jobs(settings, sessions))
    except VSearchError as error:
        yield Diagnosis("database", "problem", str(error))
    finally:
        if engine is not None:
            engine.dispose()
    yield from _guarded("index", lambda: _check_index(settings, open_encoder))


def _guarded(subject: str, check: Check) -> Iterator[Diagnosis]:
    try:
        yield from check()
    except (VSearchError, OSError) as error:
        yield Diagnosis(subject, "problem", redact(str(error)))


def _check_folder(settings: Settings) -> Iterator[Diagnosis]:
    data = settings.data
    if not data.is_dir():
        yield Diagnosis(
            "data folder", "problem", f"{data.absolute()} does not exist. Give --data, or import a feed first."
        )
        return
    folders = [path for path in (data, *data.iterdir()) if path.is_dir()]
    locked = [path for path in folders if not os.access(path, os.R_OK | os.W_OK | os.X_OK)]
    if locked:
        yield Diagnosis(
            "data folder",
            "problem",
            f"{locked[0]} cannot be written by this user. Run commands as the user that owns it.",
        )
    if data.stat().st_mode & 0o007:
        yield Diagnosis(
            "data folder",
            "warning",
            f"Other users of this machine can open {data.absolute()}, which contains shoppers' photos and hashes of "
            f"passwords. Run `chmod o= {data.absolute()}`.",
        )
    free, used = shutil.disk_usage(data).free, _size(settings.generations)
    needed = max(MIN_FREE_BYTES, 2 * used)
    text = f"{free / 1e9:.1f} GB are free on the disk of {data.absolute()}"
    if free < needed:
        remedy = f"index runs may need {needed / 1e9:.1f} GB. Make room, or run `vsearch prune`."
        yield Diagnosis("disk", "warning", f"{text}; {remedy}")
    else:
        yield Diagnosis("disk", "ok", f"{text}.")


def _check_settings(settings: Settings) -> Iterator[Diagnosis]:
    missing = [
        f"`{name}` names {path}, which does not exist. Correct it or create that."
        for name in ("feed_mapping", "canaries", "synonyms", "theme", "examples")
        if (path := getattr(settings, name)) is not None and not Path(path).exists()
    ]
    for name in ("feed", "feed_images"):
        location = getattr(settings, name)
        if location and "://" not in location and not Path(location).exists():
            missing.append(f"`{name}` names {location}, which does not exist. Correct it or put it there.")
    if webhooks.addresses(settings):
        webhooks.read_secret(settings)
    yield from (Diagnosis("settings", "problem", text) for text in missing)
    warnings = []
    if not settings.feed and settings.schedule:
        warnings.append("No `feed` is set, so nightly jobs import nothing. Set it to a path or URL.")
    if _is_every_address(settings.admin_bind.rpartition(":")[0]):
        warnings.append("The admin pages listen on every address (`admin_bind`). Use 127.0.0.1 and a proxy with TLS.")
    yield from (Diagnosis("settings", "warning", text) for text in warnings)
    if not missing and not warnings:
        feed = f"the feed is {redact_url(settings.feed)}" if settings.feed else "no feed is set, nor a schedule"
        yield Diagnosis("settings", "ok", f"Files named by settings exist; {feed}.")


def _is_every_address(host: str) -> bool:
    try:
        return ip_address(host.strip("[]")).is_unspecified
    except ValueError:  # a name
        return False


def _check_database(engine: Engine, sessions: sessionmaker[Session]) -> Iterator[Diagnosis]:
    started = time.perf_counter()
    with engine.connect() as connection:
        check_schema(connection)
    with sessions() as session:
        lock_for_writing(session)
        session.rollback()
        counts = queries.counts(session)
    took = 1000 * (time.perf_counter() - started)
    text = f"{counts['products']:,} products, {counts['pictures']:,} images; {took:.0f} ms"
    if not counts["products"]:
        yield Diagnosis(
            "database", "warning", "The catalog has no products. Import a feed: `vsearch catalog import FEED`."
        )
    elif counts["unreadable"]:
        remedy = "`vsearch index report` lists them."
        yield Diagnosis("database", "warning", f"{text}. {counts['unreadable']:,} images cannot be read; {remedy}")
    else:
        yield Diagnosis("database", "ok", f"{text}.")


def _check_images(settings: Settings, sessions: sessionmaker[Session]) -> Iterator[Diagnosis]:
    store = ImageStore(settings.pictures)
    with sessions() as session:
        sha256s = sorted({row.sha256 for row in queries.gallery_rows(session)})
    lost = [sha256 for sha256 in sha256s if not store.exists(sha256)]
    chosen = np.random.default_rng().permutation(len(sha256s))[:SAMPLED_IMAGES].tolist()
    sample = [sha256s[number] for number in chosen if store.exists(sha256s[number])]
    damaged = [sha256 for sha256 in sample if checksum(store.path(sha256)) != sha256]
    if lost:
        text = (
            f"{len(lost):,} of {len(sha256s):,} images have no file, for example {lost[0][:12]}. Import the feed again."
        )
        yield Diagnosis("images", "problem", text)
    if damaged:
        text = f"{len(damaged)} of {len(sample)} sampled images are damaged, for example {store.path(damaged[0])}."
        yield Diagnosis("images", "problem", f"{text} Delete these files, and import the feed again.")
    if not lost and not damaged:
        yield Diagnosis(
            "images", "ok", f"{len(sha256s):,} images have files, and {len(sample)} sampled ones are intact."
        )


def _check_jobs(settings: Settings, sessions: sessionmaker[Session]) -> Iterator[Diagnosis]:
    now = utc_now()
    if settings.schedule:
        check_schedule(settings.schedule)
        following = next_start(settings.schedule, now.astimezone())
        text = f"The next nightly job is due at {following:%Y-%m-%d %H:%M}"
    else:
        text = "No nightly job is scheduled (the setting `schedule` is empty)"
    with sessions() as session:
        workers, latest = jobs.live_workers(session, now - WORKER_SEEN), jobs.latest(session, 200)
    if not workers:
        remedy = (
            "Start `vsearch jobs worker`, which also makes changes sent to the API, or run `vsearch index run` by cron."
        )
        yield Diagnosis("jobs", "warning", f"{text}. No worker is running. {remedy}")
    else:
        yield Diagnosis("jobs", "ok", f"{text}; {len(workers)} worker{'s' * (len(workers) > 1)} running.")
    nights = [job for job in latest if job.kind == "nightly" and job.finished_at]
    if nights and nights[0].state == "failed":
        yield Diagnosis("jobs", "problem", f"The last nightly job failed: {nights[0].message}")
    elif nights and nights[0].finished_at and settings.schedule and now - nights[0].finished_at > MISSED_NIGHTS:
        yield Diagnosis("jobs", "warning", f"The last nightly job ended at {nights[0].finished_at:%Y-%m-%d %H:%M} UTC.")


def _check_index(settings: Settings, open_encoder: OpenEncoder) -> Iterator[Diagnosis]:
    path = generations.current(settings.generations)
    generation = generations.load(path)
    started = time.perf_counter()
    serving = prepare(generation, settings, open_encoder=open_encoder)
    opened = time.perf_counter()
    serving.encoder.blocks([serving.encoder.prepare(np.full((224, 224, 3), 128, dtype=np.uint8))])
    encoded = 1000 * (time.perf_counter() - opened)
    text = f"Checkpoint {serving.checkpoint.checkpoint_id} opens in {opened - started:.1f} s and encodes an image in"
    yield Diagnosis("model", "ok", f"{text} {encoded:.0f} ms; this CPU computes in {choose_precision('auto')}.")
    yield from _check_delta(path, generation)
    gallery = generation.gallery
    text = f"Generation {generation.generation_id}: {len(gallery):,} images in {len(gallery.classes)} classes"
    yield Diagnosis("index", "ok", f"{text}; its files are intact.")


def _check_delta(path: Path, generation: Generation) -> Iterator[Diagnosis]:
    delta = deltas.read(path.parent, path.name)
    if delta and len(delta.image_ids) > len(generation.gallery) // 5:
        text = (
            f"{len(delta.image_ids):,} images were added since the last index run. Searches are slower until the next."
        )
        yield Diagnosis("index", "warning", text)


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.glob("*/*"))
