"""`vsearch index`: build, check, report on and roll back the published index; `vsearch prune`: delete unused data."""

import json
from dataclasses import asdict
from pathlib import Path

import click

from catalog.database import open_catalog
from indexer import catalog_report
from indexer import prune as pruning
from indexer.build import reindex
from indexer.build.delta_update import update_delta
from indexer.build.generation_checks import verify_published
from indexer.build.run_context import RunReport, current_manifest
from indexer.catalog_report import CatalogReport
from indexer.catalog_report.findings import TITLES
from indexer.jobs.kinds import CHECKS, run_nightly_job
from vsearch.cli import json_option, pass_settings
from vsearch.cli.console import progress, stoppable, table
from vsearch.core.errors import VerificationFailed
from vsearch.core.files import filename_in_errors
from vsearch.core.settings import Settings
from vsearch.index import delta as deltas
from vsearch.index import generation as generations
from vsearch.index.generation import Manifest

MAX_PRINTED_FINDINGS = 20
"""Number of entries of each kind to show."""


@click.group()
def index() -> None:
    """Build, check and roll back the published index."""


@index.command("run", epilog="Example: vsearch index run --feed products.csv --images pictures.tar")
@click.option("--feed", default="", help="Import this feed first; the default is the `feed` setting, if set.")
@click.option("--images", help="Folder, archive or object storage with the images that the feed names.")
@click.option(
    "--accept", type=click.Choice(CHECKS), multiple=True, help="Override a safety check (repeatable)."
)  # fmt: skip
@pass_settings
def run(settings: Settings, *, feed: str, images: str | None, accept: tuple[str, ...]) -> None:
    """Import the feed, encode new images, and publish a new index if anything changed.

    It can be stopped at any moment and continues when run again. Shoppers see the old index until the new one is
    published. --accept drift publishes an index whose results differ from those of the published one, --accept canaries
    one that fails the canary queries. The other checks are those of `vsearch catalog import`.
    """
    with stoppable("Stopped. The published index is unchanged. Run the same command again to continue."):
        report = run_nightly_job(settings, feed=feed or settings.feed, images=images, accept=accept, progress=progress)
    _print_summary(report)


@index.command("update")
@pass_settings
def update(settings: Settings) -> None:
    """Make images that were added to the catalog since the last index run searchable, and removed ones not.

    This takes seconds: new images are encoded and searched together with the published index, which remains as it is.
    The next index run includes them. It can run at any time, also during a nightly job.
    """
    with stoppable("Stopped. The published index is unchanged. Run the same command again."):
        report = update_delta(settings, progress=progress)
    click.echo(report.text())


@index.command("status", epilog="Example: vsearch index status --json")
@json_option
@pass_settings
def status(settings: Settings, *, as_json: bool) -> None:
    """Show the published index, and how the latest runs ended."""
    current = current_manifest(settings)
    with open_catalog(settings.catalog_url) as sessions, sessions() as session:
        runs = catalog_report.latest_runs(settings, session, 5)
    kept = generations.generation_ids(settings.generations)
    delta = deltas.read(settings.generations, current.generation_id) if current else None
    if as_json:
        status = {
            "current": current and current.model_dump(mode="json"),
            "delta": {"added": len(delta.image_ids), "removed": len(delta.removed)} if delta else None,
            "generations": kept,
            "runs": runs,
        }
        click.echo(json.dumps(status, indent=2))
        return
    if current is None:
        click.echo("No readable index is published. Build one with `vsearch index run`.")
    else:
        _print_manifest(current, kept)
        if delta:
            click.echo(
                f"Changed since, as of {delta.created_at:%Y-%m-%d %H:%M} UTC: {len(delta.image_ids)} images added, "
                f"{len(delta.removed)} removed."
            )
    if runs:
        lines = [(run["started"][:19].replace("T", " "), run["state"], run["message"]) for run in runs]
        table("Latest runs", ("started (UTC)", "state", "message"), lines)


@index.command("verify")
@pass_settings
def verify(settings: Settings) -> None:
    """Check the published index: its files and their checksums, its images, and the canary queries.

    Products added or withdrawn since it was published are reported, but do not count as a problem.
    """
    found = verify_published(settings)
    for line in found.notes:
        click.echo(line)
    if found.problems:
        remedy = "Run `vsearch index rollback` to publish the previous one, or `vsearch index run` to build another."
        raise VerificationFailed(f"The published index has problems. {' '.join(found.problems)} {remedy}")
    click.echo(f"Generation {found.generation_id} is valid: {found.pictures} images in {found.classes} classes.")


@index.command("report", epilog="Example: vsearch index report --html report.html")
@json_option
@click.option("--html", "page", type=click.Path(path_type=Path, dir_okay=False), help="Write HTML with images.")
@pass_settings
def report(settings: Settings, *, as_json: bool, page: Path | None) -> None:
    """Show how the latest nightly jobs ended, and what to correct in the catalog."""
    found = catalog_report.create(settings)
    if page is not None:
        with filename_in_errors(page):
            page.write_text(catalog_report.render_html(found, settings), encoding="utf8")
        click.echo(f"Written to {page}.")
    elif as_json:
        click.echo(json.dumps(asdict(found), indent=1, ensure_ascii=False))
    else:
        _print_report(found)


@index.command("rollback", epilog="Example: vsearch index rollback --to 20261121T013000Z-3f9c")
@click.option("--to", default="", metavar="ID", help="A generation on disk (`vsearch index status` lists them).")
@pass_settings
def rollback(settings: Settings, *, to: str) -> None:
    """Publish an earlier generation again, by default the latest usable one before the current generation.

    The web server uses it within seconds. The next nightly job publishes a new one.
    """
    generation_id = reindex.rollback(settings, to)
    click.echo(f"Generation {generation_id} is published again. The next run publishes a new one.")


def _print_summary(report: RunReport) -> None:
    counts = {
        "products": report.products,
        "images": report.pictures,
        "classes": report.classes,
        "images encoded": report.encoded,
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


def _print_report(found: CatalogReport) -> None:
    published = found.published
    click.echo(f"{published.text()} {published.labels}" if published else "No index is published.")
    history = [(each.started[:16].replace("T", " "), each.kind, each.state, each.message) for each in found.history()]
    table("Latest runs", ("started (UTC)", "what", "result", "message"), history)
    for kind, title in TITLES.items():
        findings = found.of_kind(kind)
        if findings:
            shown = findings[:MAX_PRINTED_FINDINGS]
            more = f", the first {len(shown)} of {len(findings)}" if len(shown) < len(findings) else ""
            lines = [(", ".join(found.names(finding, 3)), finding.text) for finding in shown]
            table(f"{title}{more}", ("products", ""), lines)
    if not found.findings:
        click.echo("There is nothing to correct in the catalog.")


def _print_manifest(current: Manifest, kept: list[str]) -> None:
    click.echo(f"Generation {current.generation_id}, published {current.created_at:%Y-%m-%d %H:%M} UTC.")
    click.echo(f"Checkpoint {current.checkpoint_id}; {current.embedding_size}-dimensional embeddings.")
    click.echo(current.match_calibration.text())
    click.echo(f"On disk: {', '.join(kept)}.")
    lines = [(entry.name, str(entry.count), entry.index_key) for entry in current.classes]
    table("Classes", ("class", "images", "index"), lines, right=("images",))


@click.command(epilog="Example: vsearch prune --dry-run")
@click.option("--dry-run", is_flag=True, help="Show what would be deleted without deleting anything.")
@json_option
@pass_settings
def prune(settings: Settings, *, dry_run: bool, as_json: bool) -> None:
    """Delete data that is no longer used, as each nightly job does.

    This covers images that no product has, with their thumbnails; blocks (features) of these images and of models
    no longer in use; models and indexes that no rollback needs; uploads beyond their limits; old jobs and records; and
    temporary files of killed commands. It does not run during a nightly job.
    """
    with stoppable("Stopped. Run the same command again to continue."):
        result = pruning.run(settings, dry_run=dry_run, progress=progress)
    if as_json:
        click.echo(json.dumps({"dry_run": dry_run, "freed": result.as_json(), "note": result.note}, indent=2))
        return
    lines = [(kind, str(freed.count), pruning.format_size(freed.bytes)) for kind, freed in result.freed.items()]
    if lines:
        table("Would be deleted" if dry_run else "Deleted", ("", "count", "size"), lines, right=("count", "size"))
    else:
        click.echo("There is nothing to delete.")
    if result.note:
        click.echo(result.note)
