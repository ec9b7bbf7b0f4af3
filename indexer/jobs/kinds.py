"""The kinds of background jobs: their functions and arguments."""

import logging
from collections.abc import Collection, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from indexer import catalog_report
from indexer.build import reindex
from indexer.build.run_context import RunReport
from indexer.cli.catalog_images import list_images
from indexer.cli.catalog_import import import_and_report, print_findings, print_import
from indexer.feed.gates import GATES, FeedGateError
from indexer.jobs.execution import JobFunction
from vsearch.core.errors import CatalogError, VSearchError
from vsearch.core.progress import Progress
from vsearch.core.settings import Settings
from vsearch.training import plan as plans

log = logging.getLogger(__name__)

ARGUMENTS: Mapping[str, tuple[str, ...]] = {"import": ("feed", "images"), "train": ("plan", "photos")}
"""Names of the arguments of each job kind."""

CHECKS = (*GATES, "drift", "canaries")
"""Safety checks of imports and index runs; --accept overrides one."""

OVERRIDABLE: Mapping[str, Collection[str]] = {
    "nightly": CHECKS,
    "import": GATES,
    "index": ("drift", "canaries"),
    "train": (),
}
"""The safety checks of each job kind."""


def run_nightly_job(
    settings: Settings, *, feed: str, images: str | None = None, accept: Collection[str], progress: Progress
) -> RunReport:
    """Import the feed, reindex and prune; print the problems found in the feed on standard error."""
    try:
        return reindex.reindex(
            settings,
            feed=feed,
            images=images,
            on_imported=partial(print_import, feed),
            delete_unused=settings.prune,
            progress=progress,
            accept=accept,
        )
    except FeedGateError as error:
        print_findings(feed, error)
        raise


def _nightly(settings: Settings, arguments: Mapping[str, Any], progress: Progress) -> str:
    def write_report() -> None:
        with progress("write the report"):
            catalog_report.save(settings, catalog_report.create(settings))

    try:
        result = run_nightly_job(
            settings, feed=settings.feed, accept=arguments.get("accept", ()), progress=progress
        ).text()
    except VSearchError:
        with suppress(VSearchError):  # the first error matters more
            write_report()
        raise
    try:
        write_report()
    except (VSearchError, OSError) as error:  # the index has been published nevertheless
        log.exception("writing the report")
        return f"{result} Its report could not be written: {error}"
    return result


def _index(settings: Settings, arguments: Mapping[str, Any], progress: Progress) -> str:
    return reindex.reindex(settings, progress=progress, accept=arguments.get("accept", ())).text()


def _import(settings: Settings, arguments: Mapping[str, Any], progress: Progress) -> str:
    feed, accept = arguments.get("feed") or settings.feed, arguments.get("accept", ())
    return import_and_report(settings, feed, arguments.get("images"), accept=accept, progress=progress).text()


def _train(settings: Settings, arguments: Mapping[str, Any], progress: Progress) -> str:
    from vsearch.models.tensorflow_startup import import_tensorflow

    plan = plans.read(str(arguments.get("plan", "")))
    import_tensorflow()
    from vsearch.training.run import Run, train

    photos, folder = Path(str(arguments.get("photos", "."))), settings.data / "runs" / plan.name
    run = Run(plan, photos, folder, settings.weights, partial(list_images, settings))
    result = train(run, progress)
    return f"Checkpoint {result['checkpoint_id']} is in {run.checkpoint}. Use it with `vsearch models promote`."


FUNCTIONS: dict[str, JobFunction] = {"nightly": _nightly, "index": _index, "import": _import, "train": _train}


def parse_arguments(
    settings: Settings, kind: str, arguments: tuple[str, ...], accept: Collection[str] = ()
) -> dict[str, Any]:
    """Validate and return the arguments of a job, so that errors are reported before a worker starts it.

    Args:
        settings: source of defaults.
        kind: the job kind.
        arguments: each NAME=VALUE; paths are made absolute.
        accept: checks to override.
    """
    unknown = [check for check in accept if check not in OVERRIDABLE[kind]]
    if unknown:
        allowed = ", ".join(OVERRIDABLE[kind]) or "nothing"
        raise VSearchError(f"A job of kind {kind} cannot override {', '.join(unknown)}. It can override {allowed}.")
    found: dict[str, Any] = {"accept": list(accept)} if accept else {}
    names = ARGUMENTS.get(kind, ())
    for argument in arguments:
        name, sign, value = argument.partition("=")
        if not sign or name not in names:
            allowed = " and ".join(f"{each}=VALUE" for each in names) or "no arguments"
            raise VSearchError(f"A job of kind {kind} does not take {argument!r}. It takes {allowed}.")
        found[name] = str(Path(value).absolute()) if "://" not in value and Path(value).exists() else value
    if kind == "import":
        feed = found.get("feed") or settings.feed
        if not feed or ("://" not in feed and not Path(feed).exists()):
            problem = f"The feed {feed} does not exist" if feed else "No feed is given"
            raise CatalogError(f"{problem}. Give feed=FILE, or set `feed` in the settings.")
    if kind == "train":
        plans.read(found.get("plan", ""))
    return found
