"""Updates the delta of a generation: makes what has changed in the catalog since then searchable in seconds.

Images are encoded and projected as when the generation was built; nothing is fitted. The delta depends only on the
generation and the catalog, so an update that was killed is simply repeated.
"""

import logging
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np

from catalog import queries, stored_blocks
from catalog.database import open_catalog
from catalog.models import utc_now
from catalog.queries import SEPARATOR
from indexer.build.class_indexes import NAMED_ALL, OTHER
from indexer.build.encode import EncodeContext, encode_missing
from indexer.build.fitting import project
from vsearch.core.errors import VerificationFailed
from vsearch.core.lock import waiting_lock
from vsearch.core.progress import Progress, no_stages
from vsearch.core.settings import Settings
from vsearch.index import delta as deltas
from vsearch.index import generation as generations
from vsearch.index.delta import Delta
from vsearch.index.generation import Generation
from vsearch.models import registry
from vsearch.models.encoder import Encoder
from vsearch.search.engine import ALL
from vsearch.search.serving import OpenEncoder

log = logging.getLogger(__name__)

LOCK = "delta.lock"
"""Held while a delta is written, and while a generation is published with its delta."""

MAX_CHECKED = 200
"""Added images of a class that are searched for before a delta takes effect."""


TOLERANCE = 1e-3
"""Of the squared distance to itself, as a share of the squared norm; half precision loses less."""


@dataclass(frozen=True)
class DeltaReport:
    """What an update did: numbers of images that differ from the generation, were encoded, and cannot be read."""

    generation_id: str
    added: int
    removed: int
    encoded: int
    unreadable: int

    def text(self) -> str:
        """Return a sentence or two."""
        found = f"Since generation {self.generation_id}: {self.added} images added, {self.removed} removed."
        lost = f" {self.unreadable} images cannot be read." if self.unreadable else ""
        return f"{found} {self.encoded} were encoded.{lost}"


def update_delta(
    settings: Settings,
    *,
    open_encoder: OpenEncoder = Encoder,
    progress: Progress = no_stages,
    clock: Callable[[], datetime] = utc_now,
) -> DeltaReport:
    """Bring the delta of the published generation up to date with the catalog, waiting for another update.

    A generation that is published in the meantime gets its delta too.

    Raises:
        NoGeneration: nothing is published.
        CheckpointError: the model of the published generation cannot be used.
        VerificationFailed: an added image does not find itself; the previous delta is kept.
    """
    with (
        waiting_lock(settings.data / LOCK),
        open_catalog(settings.catalog_url, write=True, migrate=settings.auto_upgrade) as sessions,
    ):
        generation = generations.load(generations.current(settings.generations))
        checkpoint = registry.find(settings, generation.checkpoint_id)
        encoding = EncodeContext.of_shop(settings, sessions, checkpoint, open_encoder)
        return write_delta(settings.generations, generation, encoding, progress=progress, clock=clock)


def write_delta(
    folder: Path,
    generation: Generation,
    encoding: EncodeContext,
    *,
    progress: Progress = no_stages,
    clock: Callable[[], datetime] = utc_now,
) -> DeltaReport:
    """Write the delta of a generation, published or not, to the folder of generations; the caller holds `LOCK`.

    Args:
        folder: of the generations.
        generation: without a delta.
        encoding: with the checkpoint of the generation.
        progress: shows the stages.
        clock: returns the current time.

    Raises:
        VerificationFailed: an added image does not find itself.
    """
    created_at = clock()
    with encoding.sessions() as session:
        rows = queries.gallery_rows(session)
    image_ids = np.array([row.image_id for row in rows], dtype=np.int64)
    known = np.isin(image_ids, generation.gallery.image_ids)
    added = [row for row, is_known in zip(rows, known.tolist(), strict=True) if not is_known]
    with progress("encode new pictures") as advance:
        encoded = encode_missing(encoding, [(row.sha256, 0) for row in added], advance)
    for (sha256, _), problem in encoded.problems.items():
        log.warning("Image %s is unreadable: %s", sha256, problem)
    added = [row for row in added if (row.sha256, 0) not in encoded.problems]
    with progress("write the delta"):
        with encoding.sessions() as session:
            blocks = stored_blocks.read(session, encoding.blocks_id, [(row.sha256, 0) for row in added])
        delta = Delta(
            generation.generation_id,
            created_at,
            np.array([row.image_id for row in added], dtype=np.int64),
            np.array([row.product_id for row in added], dtype=np.int64),
            tuple(class_of(row.category, generation.gallery.classes) for row in added),
            project(generation.whitening, [blocks] if added else [], len(added)),
            np.setdiff1d(generation.gallery.image_ids, image_ids),
        )
        _check(generation.with_delta(delta), delta)
        deltas.write(folder, delta)
    counts = len(added), len(delta.removed), encoded.stored, len(encoded.problems)
    return DeltaReport(generation.generation_id, *counts)


def class_of(category: str, classes: Collection[str]) -> str:
    """Return the class of a generation that a category path belongs to: that of its nearest level, or `OTHER`."""
    levels = category.split(SEPARATOR)
    for depth in range(len(levels), 0, -1):
        name = NAMED_ALL if levels[:depth] == [ALL] else SEPARATOR.join(levels[:depth])
        if name in classes:
            return name
    return OTHER


def _check(merged: Generation, delta: Delta) -> None:
    """Search for added images of each class with their own embeddings."""
    gallery, names = merged.gallery, np.array(delta.classes, dtype=object)
    for name in sorted(set(delta.classes)):
        index = gallery.indexes["euclidean"][name]
        for row in np.flatnonzero(names == name)[:MAX_CHECKED].tolist():
            embedding = delta.embeddings[row]
            distances, _ = index.search(embedding[None], 1)
            if distances[0, 0] ** 2 > TOLERANCE * (embedding**2).sum():
                raise VerificationFailed(
                    f"Image {delta.image_ids[row]} does not find itself among the images added to class {name!r}, so "
                    "they are not searched yet. Run `vsearch index run`."
                )
