"""The night: catalogue in, published generation out. Read `_night` aloud.

Every stage leaves what it finished, so a run that is killed at any moment is simply started again. Shoppers see one
change, at the very end: the line in the file CURRENT.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Literal

import numpy as np
from sqlalchemy.orm import Session, sessionmaker

from catalog.database import opened
from catalog.imagestore import ImageStore
from catalog.models import utc_now
from indexer import build, fit, verify
from indexer.encode import Encoding
from indexer.gather import Gathered, gather
from indexer.lock import run_lock
from indexer.report import Report, Stages, on_record
from vsearch import generation as generations
from vsearch.encoder import open_encoder
from vsearch.errors import CheckpointError, GenerationCorrupt, NoGeneration
from vsearch.images import Limits
from vsearch.manifest import Manifest, Origin, new_id
from vsearch.model import checkpoint as checkpoints
from vsearch.model.checkpoint import Checkpoint
from vsearch.progress import Progress, silent
from vsearch.serving import OpenEncoder, find_checkpoint
from vsearch.settings import Settings

log = logging.getLogger(__name__)

LOCK = "index.lock"


@dataclass(frozen=True)
class Tools:
    """What the stages work with."""

    settings: Settings
    sessions: sessionmaker[Session]
    open_encoder: OpenEncoder
    stages: Stages
    clock: Callable[[], datetime]


def run(
    settings: Settings,
    *,
    open_encoder: OpenEncoder = open_encoder,
    progress: Progress = silent,
    clock: Callable[[], datetime] = utc_now,
) -> Report:
    """Bring the published index up to date with the catalogue, and say what was done.

    Args:
        settings: where everything is.
        open_encoder: makes the encoder of a checkpoint; asked only when there is something to encode.
        progress: shows how each stage advances.
        clock: tells the time that ids and records get.

    Raises:
        RunInProgress: another run holds the lock.
        VSearchError: this run cannot go on; what is published stays as it is, what is encoded stays stored.
    """
    with run_lock(settings.data / LOCK, clock()), opened(settings.catalogue_url, write=True) as sessions:
        tools = Tools(settings, sessions, open_encoder, Stages(progress), clock)
        with on_record(tools.sessions) as record:
            report = tools.stages.stamp(_night(tools))
            record(report)
            return report


def rollback(settings: Settings, clock: Callable[[], datetime] = utc_now) -> str:
    """Make the generation published before the current one current again, and return its id; no run may be going."""
    with run_lock(settings.data / LOCK, clock()):
        return generations.rollback(settings.generations)


def _night(tools: Tools) -> Report:
    settings, stages = tools.settings, tools.stages
    generations.clean(settings.generations)
    current = current_manifest(settings)
    trunk = shop_checkpoint(settings, current)
    gathered = gather(_encoding(tools, trunk), settings, stages)
    with stages("fit the heads"):
        checkpoint = _with_heads(settings, trunk, gathered)
    origin = _origin(tools, checkpoint, gathered, current)
    if current and current.fingerprint == origin.fingerprint and _intact(settings, current):
        return _report("unchanged", current, gathered)
    with stages("fit the embedding"):
        size = settings.embedding_size
        embedding = fit.fit_embedding(checkpoint, gathered.pictures, gathered.views, size=size)
    with stages("build the indexes"):
        hidden = _write(settings, origin, gathered, embedding)
    with stages("verify"):
        verify.check(generations.load(hidden), _expected(gathered, embedding))
    with stages("publish"):
        generations.publish(settings.generations, hidden)
    with stages("prune"):
        pruned = generations.prune(settings.generations, settings.keep_generations)
    return _report("published", origin, gathered, pruned=len(pruned))


def _encoding(tools: Tools, checkpoint: Checkpoint) -> Encoding:
    settings = tools.settings
    return Encoding(
        tools.sessions,
        ImageStore(settings.pictures),
        checkpoint.blocks_id,
        encoder=cache(lambda: tools.open_encoder(checkpoint)),
        batch_size=settings.batch_size,
        limits=Limits.of(settings),
    )


def _with_heads(settings: Settings, trunk: Checkpoint, gathered: Gathered) -> Checkpoint:
    """Return a checkpoint among the shop's own whose heads know the shop's classes."""
    bundled = trunk.folder == checkpoints.bundled()
    if fit.needs_heads(trunk.vocabulary.names, gathered.pictures.classes, bundled=bundled):
        heads = fit.fit_shop_heads(gathered.pictures, gathered.views, trunk.block_sizes)
        return checkpoints.save_with_heads(trunk, heads, settings.checkpoints)
    if trunk.folder.parent != settings.checkpoints:
        return checkpoints.save_with_heads(trunk, trunk.heads, settings.checkpoints)
    return trunk


def _origin(tools: Tools, checkpoint: Checkpoint, gathered: Gathered, current: Manifest | None) -> Origin:
    now = tools.clock()
    classes = gathered.pictures.classes
    return Origin(
        generation_id=new_id(now),
        created_at=now,
        checkpoint_id=checkpoint.checkpoint_id,
        blocks_id=checkpoint.blocks_id,
        fingerprint=build.fingerprint(gathered.rows, classes, checkpoint.checkpoint_id, tools.settings),
        previous=current.generation_id if current else None,
    )


def _intact(settings: Settings, current: Manifest) -> bool:
    """Whether the current generation can be loaded; one that cannot is no reason to do nothing."""
    try:
        generations.load(settings.generations / current.generation_id)
    except GenerationCorrupt as error:
        log.warning("%s", error)
        return False
    return True


def _write(settings: Settings, origin: Origin, gathered: Gathered, embedding: fit.Embedding) -> Path:
    pictures = gathered.pictures
    gallery = build.build_gallery(
        embedding.vectors, gathered.image_ids, product_ids=pictures.product_ids, classes=pictures.classes
    )
    return generations.write(
        settings.generations,
        origin,
        gallery=gallery,
        whitening=embedding.whitening,
        thresholds=embedding.thresholds,
    )


def _expected(gathered: Gathered, embedding: fit.Embedding) -> verify.Expected:
    pictures = gathered.pictures
    return verify.Expected(gathered.image_ids, pictures.product_ids, pictures.classes, embedding.vectors)


def _report(state: Literal["published", "unchanged"], origin: Origin, gathered: Gathered, *, pruned: int = 0) -> Report:
    return Report(
        state=state,
        generation_id=origin.generation_id,
        checkpoint_id=origin.checkpoint_id,
        products=len(np.unique(gathered.pictures.product_ids)),
        pictures=len(gathered.pictures),
        classes=len(set(gathered.pictures.classes)),
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
