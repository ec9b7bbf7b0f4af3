"""From a checkpoint to a whole generation in a hidden folder: what a night and a promotion have in common."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path

import numpy as np
from sqlalchemy.orm import Session, sessionmaker

from catalog.image_store import ImageStore
from indexer.build import canaries, fit, indexes, verify
from indexer.build.drift import Members, drift
from indexer.build.encode import EncodeContext
from indexer.build.gather import Gathered, gather
from indexer.build.run_report import Stages
from vsearch.core.errors import VerificationFailed
from vsearch.core.settings import Settings
from vsearch.imaging.codec import Limits
from vsearch.index import generation as generations
from vsearch.index.generation import Generation
from vsearch.index.manifest import Manifest, Origin, new_id
from vsearch.models import checkpoint as checkpoints
from vsearch.models.checkpoint import Checkpoint
from vsearch.search.serving import OpenEncoder


@dataclass(frozen=True)
class Tools:
    """What the stages work with."""

    settings: Settings
    sessions: sessionmaker[Session]
    open_encoder: OpenEncoder
    stages: Stages
    clock: Callable[[], datetime]
    accept: frozenset[str] = frozenset()
    """What would stop the publication and is meant: "drift", "canaries"."""


@dataclass(frozen=True)
class Material:
    """All that a generation is made of, and what it will be called."""

    checkpoint: Checkpoint
    gathered: Gathered
    origin: Origin
    current: Manifest | None = None


def collect(tools: Tools, trunk: Checkpoint, current: Manifest | None) -> Material:
    """Encode what has no blocks of this trunk yet, and fit class heads where the shop needs others.

    Args:
        tools: what to work with.
        trunk: makes the blocks; its heads are kept where they know the shop's classes.
        current: what is published.

    Raises:
        CatalogueError: the catalogue has no readable picture.
        EncodingFailed: too many pictures cannot be read.
    """
    gathered = gather(_encoding(tools, trunk), tools.settings, tools.stages)
    with tools.stages("fit the heads"):
        checkpoint = _with_heads(tools.settings, trunk, gathered)
    return Material(checkpoint, gathered, _origin(tools, checkpoint, gathered, current), current)


def write_hidden(tools: Tools, material: Material) -> Path:
    """Fit the embedding, build the indexes, read them back and check them; return the hidden folder.

    Raises:
        VerificationFailed: what was written is not what it should be.
    """
    settings, stages, gathered = tools.settings, tools.stages, material.gathered
    with stages("fit the embedding"):
        size = settings.embedding_size
        embedding = fit.fit_embedding(material.checkpoint, gathered.pictures, gathered.views, size=size)
    gathered.release()  # what comes next needs as much memory for the indexes
    with stages("build the indexes"):
        hidden = _write(settings, material.origin, gathered, embedding)
    with stages("verify"):
        generation = generations.load(hidden)
        verify.check(generation, _expected(gathered, embedding))
        _refuse(generation, tools, material)
    return hidden


def _refuse(generation: Generation, tools: Tools, material: Material) -> None:
    """Refuse a generation that is sound but finds otherwise than the published one, unless that is accepted.

    Raises:
        VerificationFailed: with all that is unlike before.
    """
    found: list[tuple[str, str]] = []
    if "drift" not in tools.accept and material.current is not None:
        current = tools.settings.generations / material.current.generation_id

        def members() -> tuple[Members, Members]:
            return _members(generations.load(current)), _members(generation)

        found += [("drift", said) for said in drift(material.current, generation.manifest, members)]
    if "canaries" not in tools.accept and tools.settings.canaries is not None:
        encoding = _encoding(tools, material.checkpoint)
        found += [("canaries", said) for said in canaries.problems(tools.settings.canaries, generation, encoding)]
    if found:
        options = " ".join(f"--accept {cause}" for cause in dict.fromkeys(cause for cause, _ in found))
        raise VerificationFailed(
            f"A new index must find as the published one does, but {'; '.join(said for _, said in found)}; "
            f"the published one stays. If that is meant, run `vsearch index run {options}`."
        )


def _members(generation: Generation) -> Members:
    gallery = generation.gallery
    indexes = next(iter(gallery.indexes.values()))
    rows = {name: np.searchsorted(gallery.image_ids, index.image_ids) for name, index in indexes.items()}
    return {name: Counter(gallery.product_ids[places].tolist()) for name, places in rows.items()}


def _encoding(tools: Tools, checkpoint: Checkpoint) -> EncodeContext:
    settings = tools.settings
    return EncodeContext(
        tools.sessions,
        ImageStore(settings.pictures),
        checkpoint.blocks_id,
        encoder=cache(lambda: tools.open_encoder(checkpoint)),
        batch_size=settings.batch_size,
        limits=Limits.from_settings(settings),
    )


def _with_heads(settings: Settings, trunk: Checkpoint, gathered: Gathered) -> Checkpoint:
    """Return a checkpoint among the shop's own whose heads know the shop's classes as they are now."""
    bundled = trunk.folder == checkpoints.bundled()
    if fit.needs_heads(trunk.vocabulary.names, gathered.classes, trunk.class_sizes, bundled=bundled):
        heads = fit.fit_shop_heads(gathered.pictures, gathered.views, trunk.block_sizes)
        return checkpoints.save_with_heads(trunk, heads, settings.checkpoints, Counter(gathered.classes))
    if trunk.folder.parent != settings.checkpoints:
        return checkpoints.save_with_heads(trunk, trunk.heads, settings.checkpoints)
    return trunk


def _origin(tools: Tools, checkpoint: Checkpoint, gathered: Gathered, current: Manifest | None) -> Origin:
    now = tools.clock()
    classes = gathered.classes
    same_model = current is not None and current.blocks_id == checkpoint.blocks_id
    return Origin(
        generation_id=new_id(now),
        created_at=now,
        checkpoint_id=checkpoint.checkpoint_id,
        blocks_id=checkpoint.blocks_id,
        fingerprint=indexes.fingerprint(gathered.rows, classes, checkpoint.checkpoint_id, tools.settings),
        previous=current.generation_id if current else None,
        model_before=current and (current.model_before if same_model else current.generation_id),
    )


def _write(settings: Settings, origin: Origin, gathered: Gathered, embedding: fit.Embedding) -> Path:
    gallery = indexes.build_gallery(
        embedding.vectors, gathered.image_ids, product_ids=gathered.product_ids, classes=gathered.classes
    )
    return generations.write(
        settings.generations,
        origin,
        gallery=gallery,
        whitening=embedding.whitening,
        match_calibration=embedding.match_calibration,
        background_cohort=embedding.background_cohort,
        quality=embedding.quality,
    )


def _expected(gathered: Gathered, embedding: fit.Embedding) -> verify.Expected:
    return verify.Expected(gathered.image_ids, gathered.product_ids, gathered.classes, embedding.vectors)
