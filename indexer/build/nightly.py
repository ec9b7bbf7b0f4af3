"""A whole night: tonight's feed into the catalogue, then the catalogue into a published index, under one lock."""

import logging
from collections.abc import Callable, Collection
from dataclasses import replace
from datetime import datetime

from catalog.image_store import ImageStore
from catalog.models import utc_now
from indexer.build.inputs import Tools
from indexer.build.run import alone, index
from indexer.build.run_report import Report, on_record
from indexer.feed.importer import ImportReport, Options, import_feed
from indexer.prune import PageFiles, no_page_files, prune
from vsearch.core.errors import VSearchError
from vsearch.core.progress import Progress, no_stages
from vsearch.core.settings import Settings
from vsearch.models.encoder import open_encoder
from vsearch.search.serving import OpenEncoder

log = logging.getLogger(__name__)


def run(
    settings: Settings,
    *,
    feed: str = "",
    images: str | None = None,
    options: Options | None = None,
    open_encoder: OpenEncoder = open_encoder,
    progress: Progress = no_stages,
    clock: Callable[[], datetime] = utc_now,
    told: Callable[[ImportReport], None] = lambda report: None,
    accept: Collection[str] = (),
    page_files: PageFiles = no_page_files,
) -> Report:
    """Import the feed, if there is one, and bring the published index up to date with the catalogue.

    Args:
        settings: where everything is.
        feed: path or address; empty means that of the settings, and none where they have none.
        images: the place of its pictures; None means that of the settings.
        options: how to import; None means as the settings say.
        open_encoder: makes the encoder of a checkpoint; asked only when there is something to encode.
        progress: shows how each stage advances.
        clock: tells the time that ids and records get.
        told: is given what the import did, before the index is built.
        accept: what would stop the publication and is meant, see `indexer.build.inputs.Tools`.
        page_files: lists the unused files of the page, which are deleted at the end, see `indexer.prune`.

    Raises:
        RunInProgress: another night holds the lock.
        FeedRejected: the feed cannot be taken; then nothing is changed.
        VSearchError: the index cannot be built; what is published stays, and so does what is imported and encoded.
    """
    with (
        alone(settings, open_encoder, progress=progress, clock=clock, accept=accept) as tools,
        on_record(tools.sessions) as record,
    ):
        if feed or settings.feed:
            told(_import(tools, feed or settings.feed, images, options))  # and let go: it may be large
        report = tools.stages.stamp(index(tools))
        record(report)
        if settings.prune:
            report = tools.stages.stamp(_pruned(tools, report, page_files))
            record(report)
        return report


def _pruned(tools: Tools, report: Report, page_files: PageFiles) -> Report:
    """Delete unused data; a failure does not make the night a failed one."""
    try:
        done = prune(tools.settings, tools.sessions, tools.stages, tools.clock(), page_files=page_files)
    except (VSearchError, OSError) as error:
        log.warning("not all unused data could be deleted: %s", error)
        return replace(report, note=f"{report.note} Not all unused data could be deleted: {error}".lstrip())
    return replace(report, note=f"{report.note} {done.text()}".strip(), freed=done.as_json())


def _import(tools: Tools, feed: str, images: str | None, options: Options | None) -> ImportReport:
    settings = tools.settings
    return import_feed(
        feed,
        images or settings.feed_images or None,
        sessions=tools.sessions,
        store=ImageStore(settings.pictures),
        options=options or Options.from_settings(settings, feed),
        progress=tools.stages,
        clock=tools.clock,
    )
