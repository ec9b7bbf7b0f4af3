"""`vsearch index`: bring the published index up to date, say what is published, and go back by one."""

import json
import sys
from functools import partial
from pathlib import Path
from typing import Any

import click

from catalog import queries
from catalog.database import open_catalog
from indexer.build import nightly
from indexer.build.run import RunReport, current_manifest, is_running, state_of
from indexer.build.verify import verify_published
from indexer.catalog_report import report as managers_report
from indexer.catalog_report.findings import TITLES
from indexer.catalog_report.report import CatalogReport
from indexer.cli.catalog_import import print_findings
from indexer.feed.gates import FeedGateError
from indexer.feed.importer import ImportReport, Options
from indexer.jobs.kinds import ACCEPTABLE, causes
from vsearch.cli import pass_settings
from vsearch.cli.console import STOPPED, progress, table
from vsearch.core.errors import GenerationCorrupt, NoGeneration, VerificationFailed
from vsearch.core.files import filename_in_errors
from vsearch.core.redaction import redact_url
from vsearch.core.settings import Settings
from vsearch.index import generation as generations
from vsearch.index.generation import Manifest

SHOWN = 20
"""Findings of a kind that the terminal shows."""


@click.group()
def command() -> None:
    """Build and publish the search index."""


@command.command("run", epilog="Example: vsearch index run --feed products.csv --images pictures.tar")
@click.option("--feed", default="", help="Import this feed first; the default is the setting feed, if there is one.")
@click.option("--images", help="Folder, archive or object storage with the pictures that the feed names.")
@click.option(
    "--accept", type=click.Choice(ACCEPTABLE), multiple=True,
    help="As for `vsearch catalog import`; and an index that finds otherwise than the published one.",
)  # fmt: skip
@pass_settings
def run(settings: Settings, *, feed: str, images: str | None, accept: tuple[str, ...]) -> None:
    """Import the feed, encode what is new in the catalogue, and publish a new index if anything changed.

    Stopped at any moment, the same command goes on where it was; shoppers see the old index until all is done.
    """
    feed = feed or settings.feed
    options = Options.from_settings(settings, feed, accept=causes(accept))
    try:
        report = nightly.reindex(
            settings,
            feed=feed,
            images=images,
            delete_unused=settings.prune,
            options=options,
            progress=progress,
            on_imported=partial(_print_import, feed),
            accept=accept,
        )
    except FeedGateError as refusal:
        print_findings(feed, refusal)
        raise
    except KeyboardInterrupt:
        click.echo("\nStopped; what shoppers see is unchanged, and the same command goes on from here.", err=True)
        sys.exit(STOPPED)
    _summarise(report)


@command.command("status", epilog="Example: vsearch index status --json")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@pass_settings
def status(settings: Settings, *, as_json: bool) -> None:
    """Say what is published, and how the latest runs ended."""
    current = current_manifest(settings)
    runs = _latest_runs(settings)
    kept = generations.generation_ids(settings.generations)
    if as_json:
        said = {"current": current and current.model_dump(mode="json"), "generations": kept, "runs": runs}
        click.echo(json.dumps(said, indent=2))
        return
    if current is None:
        click.echo("Nothing is published that can be read; `vsearch index run` publishes the catalogue.")
    else:
        _show(current, kept)
    if runs:
        lines = [[str(run[name] or "") for name in ("started", "state", "message")] for run in runs]
        table("Latest runs", ("started (UTC)", "state", "message"), lines)


@command.command("verify")
@pass_settings
def verify(settings: Settings) -> None:
    """Check what is published: every file against its checksum, the pictures against the catalogue, and the canaries.

    Products may have come or gone since it was published; that is said, and is no fault.
    """
    said = verify_published(settings)
    for line in said.notes:
        click.echo(line)
    if said.problems:
        raise VerificationFailed(
            f"The published index has problems. {' '.join(said.problems)} "
            "Run `vsearch index rollback` to publish the previous one, or `vsearch index run` to build another."
        )
    click.echo(f"Generation {said.generation_id} is sound: {said.pictures} pictures in {said.classes} classes.")


@command.command("report", epilog="Example: vsearch index report --html report.html")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--html", "page", type=click.Path(path_type=Path, dir_okay=False), help="Write a page with pictures.")
@pass_settings
def report(settings: Settings, *, as_json: bool, page: Path | None) -> None:
    """Show how the latest nightly jobs ended and what to correct in the catalog."""
    found = managers_report.create(settings)
    if page is not None:
        with filename_in_errors(page):
            page.write_text(managers_report.render_html(found, settings), encoding="utf8")
        click.echo(f"Written to {page}.")
    elif as_json:
        click.echo(json.dumps(found.as_json(), indent=1, ensure_ascii=False))
    else:
        _show_report(found)


@command.command("rollback", epilog="Example: vsearch index rollback --to 20261121T013000Z-3f9c")
@click.option("--to", default="", metavar="ID", help="A generation on disk (`vsearch index status` lists them).")
@pass_settings
def rollback(settings: Settings, *, to: str) -> None:
    """Serve an earlier generation again; the page follows within seconds.

    It is the one before the current one, and what cannot be served is passed over. The next night publishes anew.
    """
    before = _named(settings)
    now = nightly.rollback(settings, to)
    click.echo(f"Rolled back from {before}; generation {now} is current. The next run publishes anew.")


def _print_import(feed: str, report: ImportReport) -> None:
    print_findings(feed, report)
    click.echo(f"{redact_url(feed)}: {report.text()}")


def _named(settings: Settings) -> str:
    try:
        return generations.current(settings.generations).name
    except (GenerationCorrupt, NoGeneration):
        return "one that is not named"


def _summarise(report: RunReport) -> None:
    counts = {
        "products": report.products,
        "pictures": report.pictures,
        "classes": report.classes,
        "pictures encoded": report.encoded,
        "augmented views encoded": report.views,
        "unreadable": report.unreadable,
        "generations pruned": report.pruned,
    }
    lines = [(name, str(count)) for name, count in counts.items()]
    if report.pictures_per_second:
        lines.append(("encoded per second", f"{report.pictures_per_second:.1f}"))
    lines += [(f"{kind} deleted", str(freed["count"])) for kind, freed in report.freed.items()]
    lines += [(f"seconds to {stage}", f"{seconds:.1f}") for stage, seconds in report.seconds.items()]
    table("Index run", ("", "count"), lines, right=("count",))
    click.echo(report.text())


def _show_report(found: CatalogReport) -> None:
    click.echo(found.published.text() if found.published else "No index is published.")
    history = [(each.started[:16].replace("T", " "), each.kind, each.state, each.message) for each in found.history()]
    table("Latest runs", ("started (UTC)", "what", "result", "message"), history)
    for kind, title in TITLES.items():
        findings = found.of_kind(kind)
        if findings:
            more = f", the first {SHOWN} of {len(findings)}" if len(findings) > SHOWN else ""
            lines = [(", ".join(found.names(finding, 3)), finding.text) for finding in findings[:SHOWN]]
            table(f"{title}{more}", ("products", ""), lines)
    if not found.findings:
        click.echo("There is nothing to correct in the catalog.")


def _show(current: Manifest, kept: list[str]) -> None:
    click.echo(f"Generation {current.generation_id}, published {current.created_at:%Y-%m-%d %H:%M} UTC.")
    click.echo(f"Checkpoint {current.checkpoint_id}; embeddings of {current.embedding_size} numbers.")
    click.echo(f"On disk: {', '.join(kept)}.")
    lines = [(entry.name, str(entry.count), entry.index_key) for entry in current.classes]
    table("Classes", ("class", "pictures", "index"), lines, right=("pictures",))


def _latest_runs(settings: Settings) -> list[dict[str, Any]]:
    running = is_running(settings)
    with open_catalog(settings.catalogue_url) as sessions, sessions() as session:
        return [
            {
                "started": f"{run.started_at:%Y-%m-%d %H:%M:%S}",
                "state": state_of(run, is_running=running),
                "generation_id": run.generation_id,
                "message": run.message,
                "counts": run.counts,
            }
            for run in queries.latest_runs(session, 5)
        ]
