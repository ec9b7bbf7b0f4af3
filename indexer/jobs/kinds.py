"""The kinds of background jobs: their functions and arguments."""

import logging
import re
from collections.abc import Collection, Mapping
from contextlib import ExitStack, suppress
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

from catalog.database import open_catalog, open_for_dry_run
from indexer import catalog_report
from indexer.build import reindex
from indexer.build.delta_update import update_delta
from indexer.build.run_context import RunReport
from indexer.cli.catalog_images import list_images
from indexer.cli.catalog_import import import_and_report, print_findings, print_import
from indexer.feed.gates import GATES, FeedGateError
from indexer.feed.import_preview import preview_feed
from indexer.feed.upserts import apply_batch
from indexer.jobs.execution import JobFunction, Outcome
from indexer.promotion import promote as promotion
from indexer.promotion import reader_promotion
from vsearch.core.errors import CatalogError, VSearchError
from vsearch.core.progress import Progress
from vsearch.core.settings import Settings
from vsearch.models import registry
from vsearch.models.checkpoint import Checkpoint
from vsearch.training import plan as plans

log = logging.getLogger(__name__)

ARGUMENTS: Mapping[str, tuple[str, ...]] = {
    "import": ("feed", "images", "mapping", "dry_run", "checksum"),
    "upsert": ("batch",),
    "train": ("plan", "photos", "run", "reviewed"),
    "compare": ("model", "against"),
    "promote": ("model", "allow_drop", "reason"),
    "rollback": ("what", "to"),
}
"""Names of the arguments of each job kind."""

YES = "yes"

CHECKS = (*GATES, "drift", "canaries")
"""Safety checks of imports and index runs; --accept overrides one."""

OVERRIDABLE: Mapping[str, Collection[str]] = {
    "nightly": CHECKS,
    "import": GATES,
    "index": ("drift", "canaries"),
}
"""The safety checks of each job kind."""

ROLLBACKS = ("index", "search", "reader", "detector")
"""What a job of kind rollback can return to its previous state: the index, or the model of a role."""


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


def _nightly(settings: Settings, arguments: Mapping[str, Any], progress: Progress) -> Outcome:
    def write_report() -> None:
        with progress("write the report"):
            catalog_report.save(settings, catalog_report.create(settings))

    try:
        report = run_nightly_job(settings, feed=settings.feed, accept=arguments.get("accept", ()), progress=progress)
    except VSearchError:
        with suppress(VSearchError):  # the first error matters more
            write_report()
        raise
    outcome = Outcome(report.text(), report.as_json())
    try:
        write_report()
    except (VSearchError, OSError) as error:  # the index has been published nevertheless
        log.exception("writing the report")
        return replace(outcome, message=f"{outcome.message} Its report could not be written: {error}")
    return outcome


def _index(settings: Settings, arguments: Mapping[str, Any], progress: Progress) -> Outcome:
    report = reindex.reindex(settings, progress=progress, accept=arguments.get("accept", ()))
    return Outcome(report.text(), report.as_json())


def _update(settings: Settings, arguments: Mapping[str, Any], progress: Progress) -> Outcome:
    report = update_delta(settings, progress=progress)
    return Outcome(report.text(), asdict(report))


def _import(settings: Settings, arguments: Mapping[str, Any], progress: Progress) -> Outcome:
    """Import a feed; with `dry_run`, only store what that would change, or why the feed would be refused."""
    feed, images, mapping = arguments.get("feed") or settings.feed, arguments.get("images"), arguments.get("mapping")
    options: dict[str, Any] = {"accept": arguments.get("accept", ()), "mapping": Path(mapping) if mapping else None}
    options["progress"] = progress
    if arguments.get("dry_run") == YES:
        with open_for_dry_run(settings.catalog_url) as sessions:
            found = preview_feed(settings, feed, images, sessions=sessions, **options)
        changes = ", ".join(f"{name}: {count}" for name, count in found["counts"].items() if count)
        return Outcome(found["refused"] or f"Preview: {changes}.", found)
    report = import_and_report(settings, feed, images, checksum=arguments.get("checksum", ""), **options)
    return Outcome(report.text(), {"counts": report.counts(), "warnings": list(report.warnings)})


def _upsert(settings: Settings, arguments: Mapping[str, Any], progress: Progress) -> Outcome:
    with open_catalog(settings.catalog_url, write=True) as sessions:
        result = apply_batch(settings, int(arguments["batch"]), sessions=sessions, progress=progress)
    return Outcome(result.text(), asdict(result))


def _train(settings: Settings, arguments: Mapping[str, Any], progress: Progress) -> Outcome:
    from vsearch.models.tensorflow_startup import import_tensorflow

    plan = plans.read(str(arguments.get("plan", "")))
    import_tensorflow()
    from vsearch.training.run import Run, train

    photos = Path(str(arguments.get("photos", ".")))
    folder = settings.data / "runs" / str(arguments.get("run", plan.name))
    reviewed = arguments.get("reviewed", "yes") == "yes"
    run = Run(plan, photos, folder, settings.weights, partial(list_images, settings, reviewed=reviewed))
    result = train(run, progress)
    message = f"Checkpoint {result['checkpoint_id']} is in {run.checkpoint}. Use it with `vsearch models promote`."
    return Outcome(message, {"checkpoint_id": result["checkpoint_id"], "run": folder.name})


def _compare(settings: Settings, arguments: Mapping[str, Any], progress: Progress) -> Outcome:
    with ExitStack() as opened:
        second, first = (_open_model(settings, opened, arguments.get(name)) for name in ("model", "against"))
        result = promotion.compare(settings, second, first, progress=progress)
    return Outcome(f"{result.comparison.sentence(result.first, result.second).capitalize()}.", asdict(result))


def _promote(settings: Settings, arguments: Mapping[str, Any], progress: Progress) -> Outcome:
    allow_drop, reason = float(arguments.get("allow_drop", 0)), str(arguments.get("reason", ""))
    with ExitStack() as opened:
        candidate = _open_model(settings, opened, arguments.get("model"))
        if candidate and registry.role_of(candidate) == "detector":
            compared = promotion.promote_detector(settings, candidate, allow_drop=allow_drop, progress=progress)
            return Outcome(f"Model {candidate.checkpoint_id} now detects products.", asdict(compared))
        done = promotion.promote(settings, candidate, allow_drop=allow_drop, reason=reason, progress=progress)
    return Outcome(done.report.text(), asdict(done.comparison) if done.comparison else {})


def _open_model(settings: Settings, opened: ExitStack, name: str | None) -> Checkpoint | None:
    """Return a checkpoint; None, which means the model in use, if no name is given."""
    return opened.enter_context(registry.open_checkpoint(settings, name)) if name else None


def _rollback(settings: Settings, arguments: Mapping[str, Any], progress: Progress) -> Outcome:
    what, to = arguments["what"], str(arguments.get("to", ""))
    if what == "index":
        return Outcome(f"Generation {reindex.rollback(settings, to)} is published again.")
    if what == "search":
        result = promotion.rollback(settings)
        return Outcome(
            f"Model {result.now.checkpoint_id} is in use again, with generation {result.now.generation_id} in place "
            f"of {result.before}."
        )
    roll_back = reader_promotion.rollback_reader if what == "reader" else promotion.rollback_detector
    model = roll_back(settings)
    return Outcome(f"Model {model.checkpoint_id} is the {what} again." if model else f"There is no {what} anymore.")


FUNCTIONS: dict[str, JobFunction] = {
    "nightly": _nightly,
    "index": _index,
    "update": _update,
    "import": _import,
    "upsert": _upsert,
    "train": _train,
    "compare": _compare,
    "promote": _promote,
    "rollback": _rollback,
}


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
    unknown = [check for check in accept if check not in OVERRIDABLE.get(kind, ())]
    if unknown:
        allowed = ", ".join(OVERRIDABLE.get(kind, ())) or "nothing"
        raise VSearchError(f"A job of kind {kind} cannot override {', '.join(unknown)}. It can override {allowed}.")
    found: dict[str, Any] = {"accept": list(accept)} if accept else {}
    names = ARGUMENTS.get(kind, ())
    for argument in arguments:
        name, sign, value = argument.partition("=")
        if not sign or name not in names:
            allowed = " and ".join(f"{each}=VALUE" for each in names) or "no arguments"
            raise VSearchError(f"A job of kind {kind} does not take {argument!r}. It takes {allowed}.")
        found[name] = str(Path(value).absolute()) if "://" not in value and Path(value).exists() else value
    if kind == "upsert" and not re.fullmatch("[0-9]{1,15}", found.get("batch", "")):
        raise VSearchError("A job of kind upsert needs batch=NUMBER, a batch of products that the API stored.")
    _check_arguments(settings, kind, found)
    return found


def _check_arguments(settings: Settings, kind: str, found: Mapping[str, Any]) -> None:
    if kind == "import":
        if found.get("dry_run", YES) != YES:
            raise VSearchError(f"dry_run={found['dry_run']} is not valid. Write dry_run={YES}, or leave it out.")
        feed = found.get("feed") or settings.feed
        if not feed or ("://" not in feed and not Path(feed).exists()):
            problem = f"The feed {feed} does not exist" if feed else "No feed is given"
            raise CatalogError(f"{problem}. Give feed=FILE, or set `feed` in the settings.")
    elif kind == "train":
        plans.read(found.get("plan", ""))
        if not re.fullmatch(r"\w*", run := found.get("run", "")):
            raise VSearchError(f"run={run} is not a name. Use letters, digits and underscores.")
        if found.get("reviewed", "yes") not in ("yes", "no"):
            raise VSearchError("reviewed is yes or no: whether the photos reviewed on the admin pages are used.")
    elif kind in ("compare", "promote"):
        with ExitStack() as opened:
            _open_model(settings, opened, found.get("model"))
        _parse_share(found.get("allow_drop", "0"))
    elif kind == "rollback" and found.get("what") not in ROLLBACKS:
        raise VSearchError(f"A job of kind rollback needs what=VALUE, one of {', '.join(ROLLBACKS)}.")


def _parse_share(text: str) -> float:
    try:
        if 0 <= (share := float(text)) <= 1:
            return share
    except ValueError:
        pass
    raise VSearchError(f"allow_drop={text} is not a number from 0 to 1.")
