"""`vsearch catalog`: import a product feed, edit products, and upgrade the catalog's schema."""

from collections.abc import Collection
from pathlib import Path
from typing import Any

import click

from catalog.database import open_catalog, open_for_dry_run, read_schema_revision, schema_revisions
from catalog.imports import MAX_RECORDED_FINDINGS
from indexer.cli.catalog_edits import edit, edits
from indexer.feed.gates import GATES, FeedGateError, Gate
from indexer.feed.importer import ImportReport, import_feed
from vsearch.cli import ANY_PATH, pass_settings
from vsearch.cli.console import progress, table
from vsearch.core.progress import Progress
from vsearch.core.redaction import redact, redact_url
from vsearch.core.settings import Settings

MAX_PRINTED_FINDINGS = 100


@click.group()
def catalog() -> None:
    """Import a product feed into the catalog, edit products, and upgrade the schema."""


@catalog.command("import", epilog="Example: vsearch catalog import products.csv --images pictures.tar --dry-run")
@click.argument("feed", default="")
@click.option("--images", help="Folder, archive or object storage with the images that FEED names.")
@click.option("--mapping", type=ANY_PATH, help="TOML file that maps FEED's columns.")
@click.option("--dry-run", is_flag=True, help="Check the feed without writing anything.")
@click.option("--accept", type=click.Choice(GATES), multiple=True, help="Override a feed safety check (repeatable).")
@pass_settings
def import_(
    settings: Settings, *, feed: str, images: str | None, mapping: Path | None, dry_run: bool, accept: tuple[Gate, ...]
) -> None:
    """Import FEED, a file or URL that lists all products; the default is the `feed` setting.

    Reads CSV, JSON Lines, Parquet, Google Merchant and Shopify feeds. Products that FEED does not list are withdrawn.
    Either the entire feed is imported or nothing. See docs/feed.md for the columns.
    """
    if not (feed or settings.feed):
        raise click.UsageError("No feed is given. Give FEED, or set `feed` in the settings.")
    feed = feed or settings.feed
    report = import_and_report(
        settings, feed, images, mapping=mapping, dry_run=dry_run, accept=accept, progress=progress
    )
    lines = [(name, str(count)) for name, count in report.counts().items()]
    table("Dry run: this would change" if dry_run else "Imported", ("change", "count"), lines, right=("count",))


catalog.add_command(edit)
catalog.add_command(edits)


@catalog.command("upgrade", epilog="Example: vsearch catalog upgrade --check")
@click.option("--check", is_flag=True, help="Change nothing; exit with status 1 if an upgrade is needed.")
@pass_settings
def upgrade(settings: Settings, *, check: bool) -> None:
    """Upgrade the catalog's schema to the one this version of vsearch needs, or create a new catalog.

    First back up the catalog and stop web servers and workers of the older version, which cannot use the new schema.
    """
    url, wanted = settings.catalog_url, schema_revisions()[-1]
    found = read_schema_revision(url)
    click.echo(f"Schema revision: {found or 'none'}. This version of vsearch needs {wanted}.")
    with open_catalog(url, write=not check, migrate=not check):
        if found != wanted:
            click.echo(f"Upgraded to revision {wanted}.")


def import_and_report(
    settings: Settings,
    feed: str,
    images: str | None = None,
    *,
    mapping: Path | None = None,
    dry_run: bool = False,
    accept: Collection[str] = (),
    checksum: str = "",
    progress: Progress,
) -> ImportReport:
    """Import a feed, and print the problems found in it on standard error."""
    url = settings.catalog_url
    options: dict[str, Any] = {"mapping": mapping, "dry_run": dry_run, "accept": accept, "progress": progress}
    options["checksum"] = checksum
    with open_for_dry_run(url) if dry_run else open_catalog(url, write=True) as sessions:
        try:
            report = import_feed(settings, feed, images, sessions=sessions, **options)
        except FeedGateError as error:
            print_findings(feed, error, recorded=not dry_run)
            raise
    print_findings(feed, report, recorded=not dry_run)
    return report


def print_import(feed: str, report: ImportReport) -> None:
    """Print the problems that an import found, and its summary."""
    print_findings(feed, report)
    click.echo(f"{redact_url(feed)}: {report.text()}")


def print_findings(feed: str, found: ImportReport | FeedGateError, *, recorded: bool = True) -> None:
    """Print warnings and the first problems on standard error, each as FEED:LINE: problem."""
    feed = redact_url(feed)
    for warning in found.warnings:
        click.echo(f"{feed}: warning: {warning}", err=True)
    for finding in found.findings[:MAX_PRINTED_FINDINGS]:
        click.echo(f"{feed}:{finding.line}: {redact(finding.reason)}", err=True)
    if len(found.findings) > MAX_PRINTED_FINDINGS:
        where = f"; `vsearch index report --json` has the first {MAX_RECORDED_FINDINGS:,}" if recorded else ""
        click.echo(f"{feed}: and {len(found.findings) - MAX_PRINTED_FINDINGS:,} more{where}", err=True)
