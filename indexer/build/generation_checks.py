"""Checks a generation: its content, recall against exact search, drift from the published generation, and canaries."""

import csv
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from catalog import queries
from catalog.database import open_catalog
from catalog.image_store import ImageStore
from catalog.models import Product
from indexer.build.run_context import RunContext
from vsearch.core.errors import CatalogError, SettingsError, VerificationFailed, VSearchError
from vsearch.core.settings import Metric, Settings
from vsearch.core.vectors import l2_normalize
from vsearch.detection.detector import OpenDetector, open_active
from vsearch.imaging.codec import Limits, decode
from vsearch.index import delta as deltas
from vsearch.index import generation as generations
from vsearch.index.gallery import Gallery
from vsearch.index.generation import Generation, Manifest
from vsearch.index.merged_index import SearchIndex
from vsearch.models import registry
from vsearch.models.encoder import Encoder
from vsearch.search.engine import Engine, Search
from vsearch.search.serving import OpenEncoder, Serving

SAMPLE_SIZE = 200
"""Maximum number of pictures searched for in each class."""

RECALL_DEPTH = 10
MIN_RECALL = 0.99
"""Minimum recall against exact search in the first `RECALL_DEPTH` results, for every class."""

CANARY_DEPTH = 10
"""Number of first results among which a canary must find its product."""

MIN_COMPARED = 20
"""Minimum number of pictures of a class, or of calibration photos, to be compared with the published index."""

MAX_CLASS_LOSS = 0.5
"""Largest share of a class's pictures that may disappear."""

MAX_HIT_LOSS = 0.15
"""Largest drop in the share of calibration photos whose product is ranked first."""

MAX_SCORE_LOSS = 0.15
"""Largest drop in the median score of calibration photos against their product."""

MAX_MIX_CHANGE = 0.1
"""Change in the share of true views among the photos beyond which they are not comparable: others are easier."""

MAX_SIZE_RATIO = 1.5
"""Factor of growth or shrinkage beyond which search quality before and after is not comparable."""

_BATCH = 20  # pictures whose distances to their entire class are in memory at a time
_TOLERANCE = 1e-3  # of squared distances, as a share of the squared norm; half precision loses less

Ids = NDArray[np.int64]
Vectors = NDArray[np.float32]

OpenEngine = Callable[[], Engine]

Members = Mapping[str, Mapping[int, int]]
"""Class name -> product id -> number of its pictures."""


@dataclass(frozen=True)
class Expected:
    """What a generation must contain: n pictures in ascending order of id; embeddings [n, d] are not normalized."""

    image_ids: Ids
    product_ids: Ids
    classes: tuple[str, ...]
    embeddings: Vectors


@dataclass(frozen=True)
class PublishedCheck:
    """Result of checking the published generation: problems, and notes that do not indicate a fault."""

    generation_id: str
    pictures: int
    classes: int
    problems: tuple[str, ...]
    notes: tuple[str, ...]


def check(generation: Generation, expected: Expected) -> None:
    """Compare a generation loaded from disk with its expected content.

    Raises:
        VerificationFailed: the message lists all problems.
    """
    found = list(problems(generation.gallery, expected))
    if found:
        raise VerificationFailed(
            f"The new index is faulty and was not published. {' '.join(found)} "
            "Run `vsearch index run` again, and report this if it happens again."
        )


def check_against_published(
    generation: Generation, current: Manifest | None, open_engine: OpenEngine, context: RunContext
) -> None:
    """Reject a new generation that performs worse than the published one or does not find the canaries.

    Raises:
        VerificationFailed: the message lists all problems that `context.accept` does not allow.
    """
    settings, found = context.settings, list[tuple[str, str]]()
    if "drift" not in context.accept and current is not None:
        folder = settings.generations / current.generation_id

        def members() -> tuple[Members, Members]:
            return _members(generations.load(folder)), _members(generation)

        found += [("drift", text) for text in drift(current, generation.manifest, members)]
    if "canaries" not in context.accept:
        found += [("canaries", text) for text in failing_canaries(settings, generation, open_engine, context.sessions)]
    if found:
        options = " ".join(f"--accept {cause}" for cause in dict.fromkeys(cause for cause, _ in found))
        raise VerificationFailed(
            f"The new index was not published. {' '.join(text for _, text in found)} "
            f"If this is intended, run `vsearch index run {options}`."
        )


def verify_published(
    settings: Settings, open_encoder: OpenEncoder = Encoder, open_detector: OpenDetector = open_active
) -> PublishedCheck:
    """Check the published generation's files, searches and canaries, and compare it with the catalog.

    Raises:
        NoGeneration: nothing is published.
        GenerationCorrupt: a file is missing or damaged.
        CheckpointError: its model cannot be used.
    """
    path = generations.current(settings.generations)
    generation = generations.load(path).with_delta(deltas.read(path.parent, path.name))
    checkpoint = registry.find(settings, generation.checkpoint_id)

    @cache
    def open_engine() -> Engine:
        serving = Serving(open_encoder(checkpoint), checkpoint, generation)
        return Engine(settings, open_detector=open_detector, serving=serving)

    with open_catalog(settings.catalog_url) as sessions:
        with sessions() as session:
            rows = queries.gallery_rows(session)
        found = list(problems(generation.gallery, _as_stored(generation)))
        store = ImageStore(settings.pictures)
        lost = [row for row in rows if not store.exists(row.sha256)]
        if lost:
            found.append(f"Pictures without a file: {len(lost)}, for example of {lost[0].sku}. Import the feed again.")
        try:
            found += failing_canaries(settings, generation, open_engine, sessions)
        except SettingsError as error:
            found.append(str(error))
    live, indexed = {row.image_id for row in rows}, set(generation.gallery.image_ids.tolist())
    notes = []
    if live - indexed:
        notes.append(f"Pictures added to the catalog since: {len(live - indexed)}. `vsearch index update` adds them.")
    if indexed - live:
        notes.append(f"Pictures removed from the catalog since: {len(indexed - live)}. Shoppers do not see them.")
    return PublishedCheck(
        generation.generation_id, len(indexed), len(generation.gallery.classes), tuple(found), tuple(notes)
    )


def _as_stored(generation: Generation) -> Expected:
    """Return the content of a generation according to its own files."""
    gallery = generation.gallery
    indexes = gallery.indexes["euclidean" if "euclidean" in gallery.indexes else "cosine"]
    classes = np.empty(len(gallery), dtype=object)
    vectors = np.empty((len(gallery), generation.whitening.size), np.float32)
    for name, index in indexes.items():
        rows = np.searchsorted(gallery.image_ids, index.image_ids)
        classes[rows] = name
        vectors[rows] = index.vectors(index.image_ids)
    return Expected(gallery.image_ids, gallery.product_ids, tuple(classes.tolist()), vectors)


# ---- content and recall ----


def problems(gallery: Gallery, expected: Expected) -> Iterator[str]:
    """Yield a sentence for each problem; searches are run only if the content is correct."""
    yield from list(_content_problems(gallery, expected)) or _search_problems(gallery, expected)


def _content_problems(gallery: Gallery, expected: Expected) -> Iterator[str]:
    if not np.array_equal(gallery.image_ids, expected.image_ids):
        yield f"Its {len(gallery)} pictures are not the {len(expected.image_ids)} pictures of the catalog."
    elif not np.array_equal(gallery.product_ids, expected.product_ids):
        yield "It assigns pictures to different products than the catalog does."
    names = np.array(expected.classes)
    for metric, indexes in gallery.indexes.items():
        for name in sorted({*indexes, *expected.classes}):
            if name not in indexes or not np.array_equal(indexes[name].image_ids, expected.image_ids[names == name]):
                yield f"The {metric} index of class {name!r} is missing or contains the wrong pictures."
    squares = np.einsum("nd,nd->n", expected.embeddings, expected.embeddings)  # without a second array of this size
    bad = np.flatnonzero(~(np.isfinite(squares) & (squares > 0)))
    if len(bad):
        example = expected.image_ids[bad[0]]
        yield f"Embeddings that are zero or not finite: {len(bad)}, including that of picture {example}."


def _search_problems(gallery: Gallery, expected: Expected) -> Iterator[str]:
    rng = np.random.default_rng(0)
    names = np.array(expected.classes)
    for name in gallery.classes:
        rows = np.flatnonzero(names == name)
        sample = rng.permutation(len(rows))[:SAMPLE_SIZE]
        embeddings, image_ids = expected.embeddings[rows], expected.image_ids[rows]
        for metric, indexes in gallery.indexes.items():
            lost, recall, ambiguous = _search_sample(indexes[name], embeddings, image_ids, sample=sample, metric=metric)
            where = f"in the {metric} index of class {name!r}"
            # Searches of a graph may miss single pictures; how many, its recall limits.
            if len(lost) > (0 if indexes[name].is_exact else (1 - MIN_RECALL) * len(sample)):
                some = f"{len(lost)} of {len(sample)} sampled pictures"
                yield f"{some} do not find themselves {where}, including picture {image_ids[lost[0]]}."
            if ambiguous > len(sample) / 2:
                yield f"{ambiguous} of {len(sample)} sampled pictures are indistinguishable from others {where}."
            if recall < MIN_RECALL:
                yield f"Recall against exact search is {recall:.1%} {where}."


def _search_sample(
    index: SearchIndex, embeddings: Vectors, image_ids: Ids, *, sample: Ids, metric: Metric
) -> tuple[Ids, float, int]:
    """Search for the sampled rows [q] of a class's pictures and compare the results with exact search.

    A picture as near as the expected one is also correct, since a re-encoded copy differs in a few bits.

    Returns:
        The rows that do not find themselves, the mean recall at `RECALL_DEPTH`, and the number of rows for which more
        than `RECALL_DEPTH` other pictures, not counting copies, are equally near.
    """
    vectors = l2_normalize(embeddings) if metric == "cosine" else embeddings
    squares = (vectors**2).sum(axis=1)
    depth = min(RECALL_DEPTH, len(image_ids))
    lost, recalls, ambiguous = [], [], 0
    for start in range(0, len(sample), _BATCH):
        rows = sample[start : start + _BATCH]
        for row, nearness in zip(rows.tolist(), 2 * vectors[rows] @ vectors.T - squares, strict=True):
            # One at a time, like shoppers' searches, since FAISS computes batches differently.
            found = index.search(embeddings[row][None], RECALL_DEPTH)[1][0]
            found_rows = np.searchsorted(image_ids, found[found >= 0])
            tolerance = _TOLERANCE * squares[row]
            last = np.partition(nearness, -depth)[-depth]
            if not len(found_rows) or nearness[found_rows[0]] < nearness[row] - tolerance:
                lost.append(row)
            recalls.append((nearness[found_rows] >= last - tolerance).sum() / depth)
            as_near = embeddings[nearness >= nearness[row] - tolerance]
            ambiguous += int((as_near != embeddings[row]).any(axis=1).sum() > RECALL_DEPTH)
    return np.array(lost, dtype=np.int64), float(np.mean(recalls)), ambiguous


# ---- drift ----


def drift(before: Manifest, after: Manifest, members: Callable[[], tuple[Members, Members]]) -> Iterator[str]:
    """Yield a sentence for each way in which the new generation is worse than the published one.

    `members` returns the products in the classes of both generations; it is called only if a class shrank.
    """
    yield from _lost_classes(before, after, members)
    if before.blocks_id != after.blocks_id or not before.quality or not after.quality:
        return  # scores of different models are not comparable
    old, new = before.quality, after.quality
    sizes = [sum(entry.count for entry in each.classes) for each in (before, after)]
    if min(old.photos, new.photos) < MIN_COMPARED or not 1 / MAX_SIZE_RATIO <= sizes[1] / sizes[0] <= MAX_SIZE_RATIO:
        return
    shares = [each.match_calibration.true_views / each.quality.photos for each in (before, after) if each.quality]
    if abs(shares[0] - shares[1]) > MAX_MIX_CHANGE:
        return
    if new.hit_at_1 < old.hit_at_1 - MAX_HIT_LOSS:
        yield f"Calibration photos whose product is ranked first fell from {old.hit_at_1:.0%} to {new.hit_at_1:.0%}."
    if new.right_score < old.right_score - MAX_SCORE_LOSS:
        scores = f"from {old.right_score:.2f} to {new.right_score:.2f}"
        yield f"The median score of calibration photos against their product fell {scores}."


def _lost_classes(before: Manifest, after: Manifest, members: Callable[[], tuple[Members, Members]]) -> Iterator[str]:
    counts = {entry.name: entry.count for entry in after.classes}
    kept_share = 1 - MAX_CLASS_LOSS
    shrunk = [
        entry
        for entry in before.classes
        if entry.count >= MIN_COMPARED and counts.get(entry.name, 0) < kept_share * entry.count
    ]
    if shrunk:
        old, new = members()
        for entry in shrunk:
            if _pictures_together(old[entry.name], new) < kept_share * entry.count:
                yield f"Class {entry.name!r} shrank from {entry.count} to {counts.get(entry.name, 0)} pictures."


def _pictures_together(products: Collection[int], classes: Members) -> int:
    """Return how many pictures of a class's products are still together, possibly in renamed or split classes.

    Only classes that consist mostly of these products count: if all products end up in one class, it was not renamed;
    the category column is broken.
    """
    shared = [(set(products) & set(pictures), pictures) for pictures in classes.values()]
    return sum(sum(pictures[it] for it in both) for both, pictures in shared if 2 * len(both) > len(pictures))


def _members(generation: Generation) -> Members:
    gallery = generation.gallery
    indexes = next(iter(gallery.indexes.values()))
    rows = {name: np.searchsorted(gallery.image_ids, index.image_ids) for name, index in indexes.items()}
    return {name: Counter(gallery.product_ids[found].tolist()) for name, found in rows.items()}


# ---- canaries: the shop's own photos, each of which must find a known product ----


def failing_canaries(
    settings: Settings, generation: Generation, open_engine: OpenEngine, sessions: sessionmaker[Session]
) -> Iterator[str]:
    """Yield a sentence for each canary that does not find its product; canaries of withdrawn products are skipped.

    They are searched as shoppers' photos are, with the engine of the generation. The `canaries` setting names a CSV
    file with the columns photo (a path relative to the file) and sku.

    Raises:
        SettingsError: the list or a photo cannot be used, or a product was never in the catalog.
    """
    file = settings.canaries
    if file is None:
        return
    try:
        with file.open(encoding="utf-8-sig", newline="") as lines:
            rows = list(csv.DictReader(lines))
            canaries = [(file.parent / (row["photo"] or ""), row["sku"] or "") for row in rows]
    except (OSError, UnicodeDecodeError, csv.Error, KeyError) as error:
        raise SettingsError(
            f"Setting canaries: {file} is not a CSV file with the columns photo and sku ({error}). Correct it."
        ) from error
    limits = Limits.from_settings(settings)
    for photo, sku in canaries:
        try:
            with sessions() as session:
                product_id = session.scalar(select(Product.product_id).where(Product.sku == sku))
            if product_id is None:
                raise CatalogError("This product was never in the catalog.")
            if product_id not in generation.gallery.product_ids:
                continue
            picture = decode(photo.read_bytes(), limits)
            hits = open_engine().search(picture, Search(k=CANARY_DEPTH)).hits
        except (VSearchError, OSError) as error:
            reason = str(error).rstrip(".")
            raise SettingsError(
                f"Setting canaries: {photo.name} ({sku}) in {file} cannot be used: {reason}. Correct the list."
            ) from error
        if all(hit.product_id != product_id for hit in hits):
            yield f"Canary {photo.name} does not find {sku} among the first {CANARY_DEPTH} results."
