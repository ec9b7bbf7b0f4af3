"""What each kind of background job does, and which arguments it takes."""

import logging
from collections.abc import Collection, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from indexer.cli.catalog_import import import_and_report, print_findings
from indexer.feed.gates import GATES, FeedGateError, Gate
from indexer.feed.importer import ImportReport, Options
from indexer.jobs.jobs import JobFunction
from vsearch.core.errors import CatalogError, VSearchError
from vsearch.core.progress import Progress
from vsearch.core.settings import Settings

log = logging.getLogger(__name__)


def _nightly(settings: Settings, arguments: Mapping[str, Any], progress: Progress) -> str:
    from indexer.build.nightly import reindex
    from indexer.catalog_report import report as managers_report

    on_imported = partial(_tell, settings.feed)

    def report() -> None:
        with progress("write the report"):
            managers_report.save(settings, managers_report.create(settings))

    accept = arguments.get("accept", ())
    options = Options.from_settings(settings, settings.feed, accept=causes(accept))
    try:
        said = reindex(
            settings,
            feed=settings.feed,
            delete_unused=settings.prune,
            options=options,
            progress=progress,
            on_imported=on_imported,
            accept=accept,
        ).text()
    except VSearchError as error:
        if isinstance(error, FeedGateError):
            print_findings(settings.feed, error)
        with suppress(VSearchError):  # why the job failed matters more than why its report did
            report()
        raise
    try:
        report()
    except (VSearchError, OSError) as error:  # what shoppers see is right all the same
        log.exception("the report")
        return f"{said} Its report could not be written: {error}"
    return said


def _index(settings: Settings, arguments: Mapping[str, Any], progress: Progress) -> str:
    from indexer.build.nightly import reindex

    return reindex(settings, progress=progress, accept=arguments.get("accept", ())).text()


def _import(settings: Settings, arguments: Mapping[str, Any], progress: Progress) -> str:
    feed, images = arguments.get("feed") or settings.feed, arguments.get("images") or settings.feed_images
    options = Options.from_settings(settings, feed, accept=causes(arguments.get("accept", ())))
    return import_and_report(settings, feed, images or None, options, progress).text()


def _tell(feed: str, report: ImportReport) -> None:
    print_findings(feed, report)
    log.info("%s: %s", feed, report.text())


def _train(settings: Settings, arguments: Mapping[str, Any], progress: Progress) -> str:
    from vsearch.models.tensorflow_startup import import_tensorflow
    from vsearch.training import plan as plans

    plan = plans.read(str(arguments.get("plan", "")))
    import_tensorflow()
    from vsearch.training.run import Run, train

    photos = Path(str(arguments.get("photos", ".")))
    run = Run(plan, photos, settings.data / "runs" / plan.name, settings.weights)
    said = train(run, progress)
    return f"Checkpoint {said['checkpoint_id']} in {run.checkpoint}; `vsearch models promote` lets it search."


TAKEN: Mapping[str, tuple[str, ...]] = {"import": ("feed", "images"), "train": ("plan", "photos")}
"""Arguments of each kind of job."""

ACCEPTABLE = (*GATES, "drift", "canaries")
"""What would stop an import or the publication of an index, and may be meant."""

MAY_ACCEPT: Mapping[str, Collection[str]] = {
    "nightly": ACCEPTABLE,
    "import": GATES,
    "index": ("drift", "canaries"),
    "train": (),
}
"""What each kind of job may meet of it."""

WORK: dict[str, JobFunction] = {"nightly": _nightly, "index": _index, "import": _import, "train": _train}


def causes(accept: Collection[str]) -> list[Gate]:
    """Return what of that is a cause to refuse a feed."""
    return [cause for cause in GATES if cause in accept]


def checked(settings: Settings, kind: str, arguments: tuple[str, ...], accept: Collection[str] = ()) -> dict[str, Any]:
    """Return a job's arguments; what cannot be carried out is better said now than in the night."""
    taken = TAKEN.get(kind, ())
    never = [cause for cause in accept if cause not in MAY_ACCEPT[kind]]
    if never:
        may = ", ".join(MAY_ACCEPT[kind]) or "nothing"
        raise VSearchError(f"A job of kind {kind} may accept {may}, but not {', '.join(never)}; leave that out.")
    found: dict[str, Any] = {"accept": list(accept)} if accept else {}
    for argument in arguments:
        name, sign, value = argument.partition("=")
        if not sign or name not in taken:
            rule = f"takes {', '.join(f'{each}=' for each in taken)}" if taken else "takes no arguments"
            raise VSearchError(f"A job of kind {kind} {rule}, but one is {argument!r}; correct it.")
        found[name] = str(Path(value).absolute()) if "://" not in value and Path(value).exists() else value
    if kind == "import":
        feed = found.get("feed") or settings.feed
        if not feed or ("://" not in feed and not Path(feed).exists()):
            wrong = f"{feed} does not exist" if feed else "none is named"
            raise CatalogError(f"An import needs a feed, but {wrong}; write feed=FILE, or set the setting feed.")
    if kind == "train":
        from vsearch.training import plan as plans

        plans.read(found.get("plan", ""))
    return found
