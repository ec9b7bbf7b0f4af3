"""An index run: catalogue in, published generation out. Read `index` aloud; `indexer.build.nightly` puts the feed
before it.

Every stage leaves what it finished, so a run that is killed at any moment is simply started again. Shoppers see one
change, at the very end: the line in the file CURRENT.
"""

import logging
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Literal

import numpy as np

from catalog.database import opened
from catalog.models import IndexRun, utc_now
from indexer.build.gather import Gathered
from indexer.build.inputs import Material, Tools, collect, write_hidden
from indexer.build.run_report import Report, Stages, on_record
from vsearch.core.errors import CheckpointError, GenerationCorrupt, NoGeneration
from vsearch.core.lock import held, run_lock
from vsearch.core.progress import Progress, no_stages
from vsearch.core.settings import Settings
from vsearch.index import generation as generations
from vsearch.index import retention
from vsearch.index.manifest import Manifest, Origin
from vsearch.models import checkpoint as checkpoints
from vsearch.models import registry
from vsearch.models.checkpoint import Checkpoint
from vsearch.models.encoder import open_encoder
from vsearch.search.serving import OpenEncoder, find_checkpoint

log = logging.getLogger(__name__)

LOCK = "index.lock"


def run(
    settings: Settings,
    *,
    open_encoder: OpenEncoder = open_encoder,
    progress: Progress = no_stages,
    clock: Callable[[], datetime] = utc_now,
    accept: Collection[str] = (),
) -> Report:
    """Bring the published index up to date with the catalogue, and say what was done.

    Args:
        settings: where everything is.
        open_encoder: makes the encoder of a checkpoint; asked only when there is something to encode.
        progress: shows how each stage advances.
        clock: tells the time that ids and records get.
        accept: what would stop the publication and is meant, see `Tools`.

    Raises:
        RunInProgress: another run holds the lock.
        VSearchError: this run cannot go on; what is published stays as it is, what is encoded stays stored.
    """
    with (
        alone(settings, open_encoder, progress=progress, clock=clock, accept=accept) as tools,
        on_record(tools.sessions) as record,
    ):
        report = tools.stages.stamp(index(tools))
        record(report)
        return report


@contextmanager
def alone(
    settings: Settings,
    open_encoder: OpenEncoder,
    *,
    progress: Progress,
    clock: Callable[[], datetime],
    accept: Collection[str] = (),
) -> Iterator[Tools]:
    """Hold the run's lock, clear away what killed runs left, and yield what the stages work with.

    Raises:
        RunInProgress: another run holds the lock.
    """
    with (
        run_lock(settings.data / LOCK, clock()),
        opened(settings.catalogue_url, write=True, migrate=settings.auto_upgrade) as sessions,
    ):
        retention.remove_leftovers(settings.generations)
        registry.remove_leftovers(settings)
        yield Tools(settings, sessions, open_encoder, Stages(progress), clock, frozenset(accept))


def going(settings: Settings) -> bool:
    """Whether a run holds the lock."""
    return held(settings.data / LOCK)


def state_of(row: IndexRun, *, going: bool) -> str:
    """Return how a run stands; a row that says running while none is `going` is of one that was killed."""
    return row.state if going or row.state != "running" else "killed"


def rollback(settings: Settings, to: str = "", clock: Callable[[], datetime] = utc_now) -> str:
    """Make an earlier generation current again, see `vsearch.index.retention`, and return its id; no run may be
    going."""
    with run_lock(settings.data / LOCK, clock()):
        return retention.rollback(
            settings.generations, to, usable=lambda found: find_checkpoint(settings, found.checkpoint_id)
        )


def index(tools: Tools) -> Report:
    """Bring the published index up to date, the lock being held."""
    settings = tools.settings
    current = current_manifest(settings)
    material = collect(tools, shop_checkpoint(settings, current), current)
    if current and current.fingerprint == material.origin.fingerprint and _intact(settings, current):
        return report_of("unchanged", current, material.gathered)
    hidden = write_hidden(tools, material)
    return publish(tools, material, hidden)


def publish(tools: Tools, material: Material, hidden: Path) -> Report:
    """Let shoppers see a hidden generation, and delete those that are too old."""
    settings, stages = tools.settings, tools.stages
    with stages("publish"):
        generations.publish(settings.generations, hidden)
    with stages("prune"):
        pruned = retention.prune(settings.generations, settings.keep_generations)
    return report_of("published", material.origin, material.gathered, pruned=len(pruned))


def _intact(settings: Settings, current: Manifest) -> bool:
    """Whether the current generation can be loaded; one that cannot is no reason to do nothing."""
    try:
        generations.load(settings.generations / current.generation_id)
    except GenerationCorrupt as error:
        log.warning("%s", error)
        return False
    return True


def report_of(
    state: Literal["published", "unchanged"], origin: Origin, gathered: Gathered, *, pruned: int = 0
) -> Report:
    """Return what is told of a run that ended in the generation of that origin."""
    return Report(
        state=state,
        generation_id=origin.generation_id,
        checkpoint_id=origin.checkpoint_id,
        products=len(np.unique(gathered.product_ids)),
        pictures=len(gathered.rows),
        classes=len(set(gathered.classes)),
        encoded=gathered.encoded.stored,
        views=gathered.encoded_views.stored,
        unreadable=len(gathered.encoded.problems),
        pruned=pruned,
    )


def current_manifest(settings: Settings) -> Manifest | None:
    """Return what the current generation says of itself; None when there is none that can be read."""
    try:
        return generations.read_manifest(generations.current(settings.generations))
    except (NoGeneration, GenerationCorrupt):
        return None


def shop_checkpoint(settings: Settings, current: Manifest | None) -> Checkpoint:
    """Return the checkpoint to index with: the one set, else the current generation's, else the bundled one.

    Raises:
        CheckpointError: the one set is missing or damaged.
    """
    if settings.checkpoint:
        folder = Path(settings.checkpoint)
        return checkpoints.load(folder) if folder.is_dir() else find_checkpoint(settings, settings.checkpoint)
    if current:
        try:
            return find_checkpoint(settings, current.checkpoint_id)
        except CheckpointError as error:
            log.warning("starting again from the bundled checkpoint: %s", error)
    return checkpoints.load(checkpoints.bundled())
