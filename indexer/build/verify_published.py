"""What is live, looked at again: `vsearch index verify`."""

from dataclasses import dataclass
from functools import cache

import numpy as np

from catalog import queries
from catalog.database import opened
from catalog.image_store import ImageStore
from indexer.build import canaries
from indexer.build import verify as checks
from indexer.build.encode import EncodeContext
from indexer.build.verify import Expected
from vsearch.core.errors import SettingsError
from vsearch.core.settings import Settings
from vsearch.imaging.codec import Limits
from vsearch.index import generation as generations
from vsearch.index.generation import Generation
from vsearch.models.encoder import open_encoder
from vsearch.search.serving import OpenEncoder, find_checkpoint


@dataclass(frozen=True)
class Verdict:
    """What was found of the published generation: faults, and what is merely worth knowing."""

    generation_id: str
    pictures: int
    classes: int
    problems: tuple[str, ...]
    notes: tuple[str, ...]


def verify(settings: Settings, open_encoder: OpenEncoder = open_encoder) -> Verdict:
    """Look at the published generation: files, searches, canaries, and how far the catalogue has moved on.

    Args:
        settings: where everything is.
        open_encoder: makes the encoder of a checkpoint; asked only for a canary that was never encoded.

    Raises:
        NoGeneration: nothing is published.
        GenerationCorrupt: a file is missing or differs from what was written.
        CheckpointError: the model it was made with cannot be used.
    """
    generation = generations.load(generations.current(settings.generations))
    checkpoint = find_checkpoint(settings, generation.checkpoint_id)
    with opened(settings.catalogue_url) as sessions:
        with sessions() as session:
            rows = queries.gallery_rows(session)
        problems = list(checks.problems(generation.gallery, itself(generation)))
        store = ImageStore(settings.pictures)
        lost = [row for row in rows if not store.exists(row.sha256)]
        if lost:
            problems.append(f"{len(lost)} pictures have no file, such as one of {lost[0].sku}: import the feed again")
        if settings.canaries is not None:
            encoder = cache(lambda: open_encoder(checkpoint))
            tools = EncodeContext(
                sessions, store, checkpoint.blocks_id, encoder, settings.batch_size, Limits.from_settings(settings)
            )
            try:
                problems += canaries.problems(settings.canaries, generation, tools)
            except SettingsError as error:  # what else was found is to be told as well
                problems.append(str(error).rstrip("."))
    live, held = {row.image_id for row in rows}, set(generation.gallery.image_ids.tolist())
    notes = [
        f"{len(found)} pictures of the catalogue {what}"
        for found, what in (
            (live - held, "came since; the next run indexes them."),
            (held - live, "went since; shoppers do not see them."),
        )
        if found
    ]
    return Verdict(generation.generation_id, len(held), len(generation.gallery.classes), tuple(problems), tuple(notes))


def itself(generation: Generation) -> Expected:
    """Return what a generation holds, as its own manifest and files say."""
    gallery = generation.gallery
    indexes = gallery.indexes["euclidean" if "euclidean" in gallery.indexes else "cosine"]
    classes = np.empty(len(gallery), dtype=object)
    vectors = np.empty((len(gallery), generation.whitening.size), np.float32)
    for name, index in indexes.items():
        rows = np.searchsorted(gallery.image_ids, index.image_ids)
        classes[rows] = name
        vectors[rows] = index.vectors(index.image_ids)
    return Expected(gallery.image_ids, gallery.product_ids, tuple(classes.tolist()), vectors)
