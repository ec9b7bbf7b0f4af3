"""The nightly job: import the feed, encode what is new, fit, build, check, publish and prune, under one lock.

Each stage saves its results, so a killed run can simply be repeated. Shoppers see a single change, at the very end.
"""

import logging
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache
from pathlib import Path

import numpy as np

from catalog import queries, reviews
from catalog.models import utc_now
from catalog.queries import GalleryRow
from indexer.build.attributes import KnownProduct, ReadBlocks, predict_attributes
from indexer.build.class_indexes import assign_classes, build_gallery, fingerprint
from indexer.build.delta_update import LOCK as DELTA_LOCK
from indexer.build.delta_update import write_delta
from indexer.build.encode import EncodeContext, EncodeResult, encode_missing, encode_pictures, retry_unreadable
from indexer.build.encoded_catalog import EncodedCatalog
from indexer.build.fitting import (
    choose_head_pictures,
    choose_views,
    choose_whitening_pictures,
    embed,
    fit_embedding,
    fit_shop_heads,
    needs_heads,
)
from indexer.build.generation_checks import Expected, OpenEngine, check, check_against_published
from indexer.build.labels import ReviewedPhoto
from indexer.build.labels import choose_photos as choose_reviewed
from indexer.build.match_calibration import (
    MIN_PHOTOS,
    calibrate,
    catalog_margins,
    choose_photos,
    cohort_margins,
    quality,
    search_photos,
)
from indexer.build.run_context import (
    LOCK,
    RunContext,
    RunReport,
    current_manifest,
    exclusive_run,
    recorded,
    shop_checkpoint,
)
from indexer.feed.importer import ImportReport, import_feed
from indexer.prune import prune
from vsearch.core.errors import CatalogError, GenerationCorrupt, VSearchError
from vsearch.core.lock import run_lock, waiting_lock
from vsearch.core.progress import Progress, no_stages
from vsearch.core.settings import Settings
from vsearch.detection.detector import OpenDetector, open_active
from vsearch.imaging.codec import Picture, decode
from vsearch.index import generation as generations
from vsearch.index import retention
from vsearch.index.generation import Generation, Manifest, Origin, new_id
from vsearch.models import checkpoint as checkpoints
from vsearch.models import registry
from vsearch.models.checkpoint import Checkpoint
from vsearch.models.encoder import Encoder
from vsearch.models.runtime import choose_precision
from vsearch.search.engine import Engine
from vsearch.search.serving import OpenEncoder, Serving

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class BuildInputs:
    """The inputs from which a generation is built; `current` is the manifest of the published one."""

    checkpoint: Checkpoint
    catalog: EncodedCatalog
    origin: Origin
    current: Manifest | None


def reindex(
    settings: Settings,
    *,
    feed: str = "",
    images: str | None = None,
    on_imported: Callable[[ImportReport], None] = lambda report: None,
    delete_unused: bool = False,
    open_encoder: OpenEncoder = Encoder,
    open_detector: OpenDetector = open_active,
    progress: Progress = no_stages,
    clock: Callable[[], datetime] = utc_now,
    accept: Collection[str] = (),
) -> RunReport:
    """Import a feed if one is given, bring the published index up to date, and optionally delete unused data.

    Args:
        feed: path or address.
        images: location of the feed's pictures; the default is in the settings.
        on_imported: called with the import report before the index is built.
        delete_unused: prune at the end; see `indexer.prune`.
        open_encoder: opens the encoder of a checkpoint; called only if there is something to encode.
        open_detector: opens the product detector; called only if photos are searched.
        accept: checks to override: feed gates (`indexer.feed.gates`), "drift" or "canaries".

    Raises:
        RunInProgress: another run holds the lock.
        FeedRejected: the feed cannot be imported; nothing is changed.
        VSearchError: the index cannot be built; the published index and everything imported and encoded are kept.
    """
    with (
        exclusive_run(settings, open_encoder, open_detector, progress=progress, clock=clock, accept=accept) as context,
        recorded(context) as record,
    ):
        if feed:
            on_imported(  # the report is not kept, since it may be large
                import_feed(
                    settings,
                    feed,
                    images,
                    sessions=context.sessions,
                    accept=accept,
                    progress=context.stages,
                    clock=clock,
                )
            )
        report = record(_update_index(context))
        return record(_prune(context, report)) if delete_unused else report


def rollback(settings: Settings, to: str = "", clock: Callable[[], datetime] = utc_now) -> str:
    """Publish an earlier generation again and return its id; see `vsearch.index.retention.rollback`."""
    with run_lock(settings.data / LOCK, clock()):
        return retention.rollback(
            settings.generations, to, usable=lambda found: registry.find(settings, found.checkpoint_id)
        )


def _update_index(context: RunContext) -> RunReport:
    """Build and publish a generation unless the current one is intact and has the same inputs."""
    settings = context.settings
    current = current_manifest(settings)
    inputs = collect(context, shop_checkpoint(settings, current), current)
    if current and current.fingerprint == inputs.origin.fingerprint and _is_intact(settings, current):
        return unchanged(current, inputs.catalog)
    return publish(context, inputs, *build_generation(context, inputs))


def collect(context: RunContext, trunk: Checkpoint, current: Manifest | None, labels: int | None = None) -> BuildInputs:
    """Encode pictures that have no blocks from this trunk yet, and fit class heads if the shop needs different ones.

    Args:
        context: of the run.
        trunk: the checkpoint to encode with.
        current: manifest of the published generation.
        labels: id of the last label of reviewed photos to fit to; by default that of the published generation, so that
            labels take effect only by a promotion.

    Raises:
        CatalogError: the catalog has no readable picture.
        EncodingFailed: too many pictures cannot be read.
    """
    settings, stages = context.settings, context.stages
    trunk = checkpoints.at_precision(trunk, choose_precision(settings.precision))
    encoding = EncodeContext.of_shop(settings, context.sessions, trunk, context.open_encoder)
    retry_unreadable(encoding)
    rows = _gallery_rows(context)
    with stages("encode pictures") as advance:
        sha256s = [row.sha256 for row in rows]
        encoded = encode_pictures(encoding, sha256s, max_failed_share=settings.max_failed_share, advance=advance)
    rows = _without_unreadable(rows, encoded)
    with stages("encode views") as advance:
        views = choose_views(rows, products=settings.whitening_products, views=settings.whitening_views)
        encoded_views = encode_missing(encoding, [view.key for view in views], advance)
    classes = tuple(assign_classes([row.category for row in rows], settings.min_class_size))
    class_of_product = dict(zip((row.product_id for row in rows), classes, strict=True))
    fitted_labels = current.labels if current else 0
    labels = fitted_labels if labels is None else labels
    catalog = EncodedCatalog(
        rows,
        np.array([row.image_id for row in rows], dtype=np.int64),
        product_ids=np.array([row.product_id for row in rows], dtype=np.int64),
        classes=classes,
        views=[view for view in views if view.key not in encoded_views.problems],
        photos=_encode_photos(context, encoding, class_of_product, labels),
        encoded=encoded,
        encoded_views=encoded_views,
        encode_context=encoding,
    )
    with stages("fit the heads"):
        checkpoint = _with_heads(settings, trunk, catalog, refit=labels != fitted_labels)
    now = context.clock()
    same_model = current is not None and current.blocks_id == checkpoint.blocks_id
    origin = Origin(
        generation_id=new_id(now),
        created_at=now,
        checkpoint_id=checkpoint.checkpoint_id,
        blocks_id=checkpoint.blocks_id,
        fingerprint=fingerprint(rows, catalog.classes, checkpoint.checkpoint_id, settings, catalog.photos),
        labels=labels,
        previous=current.generation_id if current else None,
        model_before=current and (current.model_before if same_model else current.generation_id),
    )
    return BuildInputs(checkpoint, catalog, origin, current)


def _encode_photos(
    context: RunContext, encoding: EncodeContext, class_of_product: Mapping[int, str], labels: int
) -> list[ReviewedPhoto]:
    """Encode the reviewed photos with labels up to an id, and return those that can be read."""
    with context.sessions() as session:
        known = reviews.effective_labels(session, labels) if labels else []
    photos = choose_reviewed(known, class_of_product, set(class_of_product.values()))
    if not photos:
        return []
    with context.stages("encode reviewed photos") as advance:
        problems = encode_missing(encoding, [(photo.sha256, 0) for photo in photos], advance).problems
    for (sha256, _), problem in problems.items():
        log.warning("Reviewed photo %s is unreadable: %s", sha256, problem)
    return [photo for photo in photos if (photo.sha256, 0) not in problems]


def _gallery_rows(context: RunContext) -> list[GalleryRow]:
    with context.sessions() as session:
        return _not_empty(queries.gallery_rows(session))


def _without_unreadable(rows: list[GalleryRow], encoded: EncodeResult) -> list[GalleryRow]:
    if not encoded.problems:
        return rows
    return _not_empty([row for row in rows if (row.sha256, 0) not in encoded.problems])


def _not_empty(rows: list[GalleryRow]) -> list[GalleryRow]:
    if not rows:
        raise CatalogError(
            "The catalog has no products with readable pictures. "
            "Import a feed first: `vsearch catalog import FEED --images FOLDER`."
        )
    return rows


def _with_heads(settings: Settings, trunk: Checkpoint, catalog: EncodedCatalog, *, refit: bool) -> Checkpoint:
    """Return a checkpoint in the shop's store whose heads have the shop's current classes; `refit` fits them anew."""
    if refit or needs_heads(catalog.classes, trunk.retrieval.class_sizes):
        chosen = choose_head_pictures(catalog.classes)
        blocks = catalog.read_pictures(chosen), catalog.read_views(), catalog.read_photos()
        heads = fit_shop_heads(trunk.retrieval, *blocks)
        return checkpoints.save_with_heads(trunk, heads, settings.checkpoints, Counter(catalog.classes))
    if trunk.folder != settings.checkpoints / trunk.checkpoint_id:
        return checkpoints.save_with_heads(trunk, trunk.retrieval.heads, settings.checkpoints)
    return trunk


def build_generation(context: RunContext, inputs: BuildInputs) -> tuple[Path, Generation]:
    """Fit the embedding, build the indexes, then load and check them; return the hidden folder and its generation.

    Raises:
        VerificationFailed: the generation is faulty or performs worse than the published one.
    """
    settings, stages, catalog = context.settings, context.stages, inputs.catalog
    with stages("fit the embedding"):
        chosen = choose_whitening_pictures(catalog.product_ids, catalog.views)
        blocks = catalog.read_pictures(chosen), catalog.read_views(), catalog.read_photos()
        whitening = fit_embedding(inputs.checkpoint, *blocks, size=settings.embedding_size)
        del blocks
    with stages("embed the pictures"):
        candidates = inputs.checkpoint.retrieval.background_cohort
        vectors, cohort = embed(whitening, catalog.read_batches(), len(catalog.rows), candidates)
    with stages("predict attributes"):
        predicted = predict_attributes(*_known_products(context, catalog), inputs.checkpoint.retrieval.block_sizes)
    with stages("build the indexes"):
        hidden = generations.write(
            settings.generations,
            inputs.origin,
            gallery=build_gallery(vectors, catalog.image_ids, catalog.product_ids, catalog.classes),
            whitening=whitening,
            background_cohort=cohort,
            predicted_attributes=predicted,
        )
    with stages("verify"):
        generation = generations.load(hidden)
        check(generation, Expected(catalog.image_ids, catalog.product_ids, catalog.classes, vectors))
    open_engine = _open_engine(context, inputs, generation)
    generation = replace(generation, manifest=_calibrate(context, inputs, hidden, open_engine))
    with stages("compare with the published index"):
        check_against_published(generation, inputs.current, open_engine, context)
    return hidden, generation


def _known_products(context: RunContext, catalog: EncodedCatalog) -> tuple[list[KnownProduct], ReadBlocks]:
    """Return the products with their attributes, and a function that reads the blocks of the first image of each."""
    with context.sessions() as session:
        attributes = queries.product_attributes(session)
    first = np.unique(catalog.product_ids, return_index=True)[1]
    rows = [catalog.rows[index] for index in first.tolist()]
    known = [KnownProduct(row.product_id, row.variant_group or row.sku, attributes[row.product_id]) for row in rows]
    return known, lambda numbers: catalog.read_batches(first[numbers].tolist())


def _calibrate(context: RunContext, inputs: BuildInputs, hidden: Path, open_engine: OpenEngine) -> Manifest:
    """Calibrate the match labels of a hidden generation, and return its new manifest."""
    catalog, encoding = inputs.catalog, inputs.catalog.encode_context
    photos = choose_photos(catalog.rows, catalog.classes)
    if len(photos) < MIN_PHOTOS:
        return generations.read_manifest(hidden)

    def read(sha256: str) -> Picture:
        return decode(encoding.store.read(sha256), encoding.limits)

    with context.stages("calibrate match labels") as advance:
        engine = open_engine()
        results = list(search_photos(engine, photos, read, advance))
        cohort = cohort_margins(engine, inputs.checkpoint.retrieval.background_cohort)
        calibration = calibrate(results, catalog_margins(engine, photos), cohort)
        return generations.add_calibration(hidden, calibration, quality(results))


def _open_engine(context: RunContext, inputs: BuildInputs, generation: Generation) -> OpenEngine:
    """Return a function that opens the engine of an unpublished generation on the first call."""

    @cache
    def open_engine() -> Engine:
        serving = Serving(inputs.catalog.encode_context.encoder(), inputs.checkpoint, generation)
        return Engine(context.settings, open_detector=context.open_detector, serving=serving)

    return open_engine


def publish(context: RunContext, inputs: BuildInputs, hidden: Path, generation: Generation) -> RunReport:
    """Publish the generation in a hidden folder and delete old ones.

    What has been added to the catalog since the run read it is searchable from the start, by the generation's delta.
    """
    settings, stages, encoding = context.settings, context.stages, inputs.catalog.encode_context
    with stages("publish"), waiting_lock(settings.data / DELTA_LOCK):
        write_delta(settings.generations, generation, encoding, clock=context.clock)
        generations.publish(settings.generations, hidden)
    with stages("prune"):
        pruned = retention.prune(settings.generations, settings.keep_generations)
    return replace(unchanged(inputs.origin, inputs.catalog), state="published", pruned=len(pruned))


def unchanged(origin: Origin, catalog: EncodedCatalog) -> RunReport:
    """Return the report of a run that leaves this generation current."""
    image_counts = Counter(catalog.product_ids.tolist())
    return RunReport(
        state="unchanged",
        generation_id=origin.generation_id,
        checkpoint_id=origin.checkpoint_id,
        products=len(image_counts),
        pictures=len(catalog.rows),
        classes=len(set(catalog.classes)),
        encoded=catalog.encoded.stored,
        views=catalog.encoded_views.stored,
        unreadable=len(catalog.encoded.problems),
        several_images=sum(count > 1 for count in image_counts.values()),
    )


def _is_intact(settings: Settings, current: Manifest) -> bool:
    try:
        generations.load(settings.generations / current.generation_id)
    except GenerationCorrupt as error:
        log.warning("%s", error)
        return False
    return True


def _prune(context: RunContext, report: RunReport) -> RunReport:
    """Delete unused data and add the result to the report; an error does not make the run fail."""
    try:
        done = prune(context.settings, context.sessions, context.stages, context.clock())
    except (VSearchError, OSError) as error:
        log.warning("some unused data could not be deleted: %s", error)
        return replace(report, note=f"{report.note} Some unused data could not be deleted: {error}".lstrip())
    return replace(report, note=f"{report.note} {done.text()}".strip(), freed=done.as_json())
