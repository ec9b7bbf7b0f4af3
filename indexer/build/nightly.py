"""The nightly job: import the feed, encode what is new, fit, build, check, publish and prune, under one lock.

Each stage keeps what it finished, so a killed run is simply run again. Shoppers see one change, at the very end.
"""

import logging
from collections.abc import Callable, Collection
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import numpy as np

from catalog.image_store import ImageStore
from catalog.models import utc_now
from indexer.build.fit import fit_embedding
from indexer.build.indexes import build_gallery
from indexer.build.inputs import BuildInputs, EncodedCatalog, collect, encode_context
from indexer.build.run import LOCK, RunContext, RunReport, current_manifest, exclusive_run, recorded, shop_checkpoint
from indexer.build.verify import Expected, check, check_against_published
from indexer.feed.gates import GATES
from indexer.feed.importer import ImportReport, Options, import_feed
from indexer.prune import PageFiles, page_files, prune
from vsearch.core.errors import GenerationCorrupt, VSearchError
from vsearch.core.lock import run_lock
from vsearch.core.progress import Progress, no_stages
from vsearch.core.settings import Settings
from vsearch.index import generation as generations
from vsearch.index import retention
from vsearch.index.generation import Manifest, Origin
from vsearch.models import registry
from vsearch.models.encoder import open_encoder
from vsearch.search.serving import OpenEncoder

log = logging.getLogger(__name__)


def reindex(
    settings: Settings,
    *,
    feed: str = "",
    images: str | None = None,
    on_imported: Callable[[ImportReport], None] = lambda report: None,
    delete_unused: bool = False,
    page_files: PageFiles = page_files,
    open_encoder: OpenEncoder = open_encoder,
    progress: Progress = no_stages,
    clock: Callable[[], datetime] = utc_now,
    accept: Collection[str] = (),
) -> RunReport:
    """Import a feed if one is given, bring the published index up to date, and delete unused data if asked to.

    Args:
        feed: path or address.
        images: location of the feed's pictures; the default is the setting.
        on_imported: called with the report of the import before the index is built.
        delete_unused: prune at the end, see `indexer.prune`; `page_files` lists unused files of the web page.
        open_encoder: opens the encoder of a checkpoint; called only if there is something to encode.
        accept: checks to override: feed gates (`indexer.feed.gates`), "drift" or "canaries".

    Raises:
        RunInProgress: another run holds the lock.
        FeedRejected: the feed cannot be imported; nothing is changed.
        VSearchError: the index cannot be built; the published one stays, and so does what was imported and encoded.
    """
    with (
        exclusive_run(settings, open_encoder, progress=progress, clock=clock, accept=accept) as context,
        recorded(context.sessions) as record,
    ):
        if feed:
            on_imported(  # without keeping the report, which may be large
                import_feed(
                    feed,
                    images or settings.feed_images or None,
                    sessions=context.sessions,
                    store=ImageStore(settings.pictures),
                    options=Options.from_settings(settings, feed, accept=[gate for gate in GATES if gate in accept]),
                    progress=context.stages,
                    clock=clock,
                )
            )
        report = context.stages.stamp(_update_index(context))
        record(report)
        if delete_unused:
            report = context.stages.stamp(_prune(context, report, page_files))
            record(report)
        return report


def rollback(settings: Settings, to: str = "", clock: Callable[[], datetime] = utc_now) -> str:
    """Publish an earlier generation again and return its id, see `vsearch.index.retention.rollback`."""
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
    return publish(context, inputs, build_generation(context, inputs))


def build_generation(context: RunContext, inputs: BuildInputs) -> Path:
    """Fit the embedding, build the indexes, load and check them; return the hidden folder.

    Raises:
        VerificationFailed: the generation is faulty, or finds worse than the published one.
    """
    settings, stages, catalog = context.settings, context.stages, inputs.catalog
    with stages("fit the embedding"):
        size = settings.embedding_size
        embedding = fit_embedding(inputs.checkpoint, catalog.read_pictures(), catalog.read_views(), size=size)
    with stages("build the indexes"):
        hidden = generations.write(
            settings.generations,
            inputs.origin,
            gallery=build_gallery(embedding.vectors, catalog.image_ids, catalog.product_ids, catalog.classes),
            whitening=embedding.whitening,
            match_calibration=embedding.match_calibration,
            background_cohort=embedding.background_cohort,
            quality=embedding.quality,
        )
    with stages("verify"):
        generation = generations.load(hidden)
        check(generation, Expected(catalog.image_ids, catalog.product_ids, catalog.classes, embedding.vectors))
        encoding = encode_context(context, inputs.checkpoint)
        check_against_published(generation, inputs.current, encoding, settings, context.accept)
    return hidden


def publish(context: RunContext, inputs: BuildInputs, hidden: Path) -> RunReport:
    """Publish a hidden generation, and delete those that are too old."""
    settings, stages = context.settings, context.stages
    with stages("publish"):
        generations.publish(settings.generations, hidden)
    with stages("prune"):
        pruned = retention.prune(settings.generations, settings.keep_generations)
    return replace(unchanged(inputs.origin, inputs.catalog), state="published", pruned=len(pruned))


def unchanged(origin: Origin, catalog: EncodedCatalog) -> RunReport:
    """Return the report of a run that leaves this generation current."""
    return RunReport(
        state="unchanged",
        generation_id=origin.generation_id,
        checkpoint_id=origin.checkpoint_id,
        products=len(np.unique(catalog.product_ids)),
        pictures=len(catalog.rows),
        classes=len(set(catalog.classes)),
        encoded=catalog.encoded.stored,
        views=catalog.encoded_views.stored,
        unreadable=len(catalog.encoded.problems),
    )


def _is_intact(settings: Settings, current: Manifest) -> bool:
    try:
        generations.load(settings.generations / current.generation_id)
    except GenerationCorrupt as error:
        log.warning("%s", error)
        return False
    return True


def _prune(context: RunContext, report: RunReport, page_files: PageFiles) -> RunReport:
    """Delete unused data and add that to the report; a failure does not fail the run."""
    try:
        done = prune(context.settings, context.sessions, context.stages, context.clock(), page_files=page_files)
    except (VSearchError, OSError) as error:
        log.warning("some unused data could not be deleted: %s", error)
        return replace(report, note=f"{report.note} Some unused data could not be deleted: {error}".lstrip())
    return replace(report, note=f"{report.note} {done.text()}".strip(), freed=done.as_json())
