"""One index run: its lock, context, timings, report, and record in SQL."""

import logging
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from functools import cache
from typing import Any, Literal

from sqlalchemy import update
from sqlalchemy.orm import Session, sessionmaker

from catalog.database import open_catalog
from catalog.models import IndexRun, utc_now
from vsearch.core.errors import CatalogError, CheckpointError, GenerationCorrupt, NoGeneration
from vsearch.core.lock import held, run_lock
from vsearch.core.progress import Progress, ProgressCallback, no_stages
from vsearch.core.redaction import redact
from vsearch.core.settings import Settings
from vsearch.detection.detector import OpenDetector, open_active
from vsearch.index import generation as generations
from vsearch.index import retention
from vsearch.index.generation import Manifest
from vsearch.models import checkpoint as checkpoints
from vsearch.models import registry
from vsearch.models.checkpoint import Checkpoint
from vsearch.models.encoder import Encoder
from vsearch.search.serving import OpenEncoder

log = logging.getLogger(__name__)

LOCK = "index.lock"
"""Lock file in the data folder, held by one index run, promotion, rollback or prune at a time."""


@dataclass(frozen=True)
class RunReport:
    """The results of an index run, and the size of the generation that is current at its end.

    Attributes:
        encoded, views: numbers of catalog images and of their augmented views encoded in this run.
        unreadable: number of new images that could not be used.
        several_images: number of products with several readable images.
        pruned: number of generations deleted.
        note: additional sentences.
        promoted: id of the checkpoint that the run promoted; empty if none.
        freed: count and size in bytes of deleted data, by kind.
        seconds: duration of each stage, in order.
    """

    state: Literal["published", "unchanged"]
    generation_id: str
    checkpoint_id: str
    products: int
    pictures: int
    classes: int
    encoded: int
    views: int
    unreadable: int
    several_images: int = 0
    pruned: int = 0
    note: str = ""
    promoted: str = ""
    freed: dict[str, dict[str, int]] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def pictures_per_second(self) -> float:
        """Images and views encoded per second of the encoding stages; 0 if none were encoded."""
        spent = sum(seconds for stage, seconds in self.seconds.items() if stage.startswith("encode"))
        return (self.encoded + self.views) / spent if spent else 0.0

    def text(self) -> str:
        """Return a summary in one or two sentences."""
        encoded = _plural(self.encoded, "image")
        unreadable = f" ({self.unreadable} unreadable)" if self.unreadable else ""
        result = "is up to date."
        if self.state == "published":
            pictures, products = _plural(self.pictures, "image"), _plural(self.products, "product")
            result = f"published with {pictures} of {products} in {_plural(self.classes, 'class', 'classes')}."
        text = f"{encoded} encoded{unreadable}; generation {self.generation_id} {result}"
        if self.state == "published":
            text += f" {self.several_images} of {_plural(self.products, 'product')} have several images."
            if self.several_images < self.products / 2:
                text += " More images per product improve the search: see docs/feed.md."
        return f"{text} {self.note}".rstrip()

    def as_json(self) -> dict[str, Any]:
        """Return the report as plain data."""
        return asdict(self) | {"pictures_per_second": round(self.pictures_per_second, 1)}


def _plural(count: int, noun: str, plural: str = "") -> str:
    return f"{count} {noun if count == 1 else plural or noun + 's'}"


class Stages:
    """Times the stages of a run and shows their progress."""

    def __init__(self, progress: Progress) -> None:
        self.seconds: dict[str, float] = {}
        self._progress = progress

    @contextmanager
    def __call__(self, stage: str) -> Iterator[ProgressCallback]:
        """Time the block as the named stage."""
        started = time.perf_counter()
        with self._progress(stage) as advance:
            yield advance
        self.seconds[stage] = round(time.perf_counter() - started, 3)
        log.info("%s: %.1f s", stage, self.seconds[stage])


@dataclass(frozen=True)
class RunContext:
    """The context shared by the stages of an index run.

    Attributes:
        open_detector: opens the detector once and returns it to every engine of the run.
        accept: checks ("drift" or "canaries") that do not prevent publication if they fail.
    """

    settings: Settings
    sessions: sessionmaker[Session]
    open_encoder: OpenEncoder
    open_detector: OpenDetector
    stages: Stages
    clock: Callable[[], datetime]
    accept: frozenset[str] = frozenset()


@contextmanager
def exclusive_run(
    settings: Settings,
    open_encoder: OpenEncoder = Encoder,
    open_detector: OpenDetector = open_active,
    *,
    progress: Progress = no_stages,
    clock: Callable[[], datetime] = utc_now,
    accept: Collection[str] = (),
) -> Iterator[RunContext]:
    """Hold the index-run lock, remove what killed runs left behind, and yield the context.

    Raises:
        RunInProgress: another run holds the lock.
    """
    with (
        run_lock(settings.data / LOCK, clock()),
        open_catalog(settings.catalog_url, write=True, migrate=settings.auto_upgrade) as sessions,
    ):
        retention.remove_leftovers(settings.generations)
        registry.remove_leftovers(settings)
        stages = Stages(progress)
        yield RunContext(settings, sessions, open_encoder, cache(open_detector), stages, clock, frozenset(accept))


def is_running(settings: Settings) -> bool:
    """Return whether an index run holds the lock."""
    return held(settings.data / LOCK)


def state_of(row: IndexRun, *, is_running: bool) -> str:
    """Return the state of a recorded run: "killed" if it is recorded as running while no run holds the lock."""
    return row.state if is_running or row.state != "running" else "killed"


@contextmanager
def recorded(context: RunContext) -> Iterator[Callable[[RunReport], RunReport]]:
    """Record the run in SQL: as running during the block, then with the reported result, or as failed with the reason.

    The block passes its report to the yielded function, which adds the stage durations; it can report again later. An
    error after the first report does not change the recorded result. Rows of killed runs are marked as failed.
    """
    with context.sessions.begin() as session:
        killed = {"state": "failed", "finished_at": utc_now(), "message": "The run was killed."}
        session.execute(update(IndexRun).where(IndexRun.state == "running").values(**killed))
        row = IndexRun(state="running")
        session.add(row)
        session.flush()
        run_id = row.run_id
    finished = False

    def close(**values: Any) -> None:
        with context.sessions.begin() as session:
            session.execute(update(IndexRun).where(IndexRun.run_id == run_id).values(finished_at=utc_now(), **values))

    def finish(report: RunReport) -> RunReport:
        nonlocal finished
        finished = True
        report = replace(report, seconds=dict(context.stages.seconds))
        ids = {"generation_id": report.generation_id, "checkpoint_id": report.checkpoint_id}
        close(state=report.state, counts=report.as_json(), message=report.text(), **ids)
        return report

    try:
        yield finish
    except BaseException as error:
        if not finished:
            with suppress(CatalogError):  # the failure itself matters more than being unable to record it
                stopped = isinstance(error, KeyboardInterrupt)
                close(state="failed", message="Interrupted by an operator." if stopped else redact(str(error)))
        raise


def current_manifest(settings: Settings) -> Manifest | None:
    """Return the manifest of the current generation; None if there is none or it cannot be read."""
    try:
        return generations.read_manifest(generations.current(settings.generations))
    except (NoGeneration, GenerationCorrupt):
        return None


def shop_checkpoint(settings: Settings, current: Manifest | None) -> Checkpoint:
    """Return the checkpoint to index with: from the setting, from the current generation, or the bundled one."""
    if settings.checkpoint:
        return registry.find(settings, settings.checkpoint)
    if current:
        try:
            return registry.find(settings, current.checkpoint_id)
        except CheckpointError as error:
            log.warning("using the bundled checkpoint: %s", error)
    return checkpoints.load(checkpoints.bundled())
