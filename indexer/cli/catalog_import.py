"""`vsearch catalog`: bring a shop's products into the catalogue, and its schema up to date."""

from pathlib import Path

import click

from catalog import queries
from catalog.database import open_catalog, open_for_dry_run, read_schema_revision, schema_revisions
from catalog.image_store import ImageStore
from catalog.imports import MAX_RECORDED_FINDINGS
from catalog.queries import CatalogueCounts
from indexer.feed.gates import GATES, FeedGateError, Gate
from indexer.feed.importer import ImportReport, Options, import_feed
from vsearch.cli import pass_settings
from vsearch.cli.console import progress, table
from vsearch.core.redaction import redact, redact_address
from vsearch.core.settings import Settings

SHOWN = 100
"""Findings that the terminal shows; a wrong mapping has some for every row."""


@click.group()
def command() -> None:
    """Import a product feed into the catalogue, and bring its schema up to date."""


@command.command("import", epilog="Example: vsearch catalog import products.csv --images pictures.tar --dry-run")
@click.argument("feed", default="")
@click.option("--images", help="Folder, archive or object storage with the pictures that FEED names.")
@click.option("--mapping", type=click.Path(path_type=Path), help="TOML file with other names for FEED's columns.")
@click.option("--dry-run", is_flag=True, help="Check everything and write nothing.")
@click.option(
    "--accept",
    type=click.Choice(GATES),
    multiple=True,
    help="Take a feed that lacks products or a column, has bad rows or pictures, repeats a sku, or has other prices.",
)
@pass_settings
def import_(
    settings: Settings, *, feed: str, images: str | None, mapping: Path | None, dry_run: bool, accept: tuple[Gate, ...]
) -> None:
    """Make the catalogue what FEED says: a file or address of all products, by default that of the settings.

    CSV, JSON Lines, Parquet, Google Merchant and Shopify; products that FEED no longer names are withdrawn. All is
    written or nothing. docs/feed.md describes the columns.
    """
    if not (feed or settings.feed):
        raise click.UsageError("Name a FEED, or set the setting feed.")
    feed = feed or settings.feed
    options = Options.from_settings(settings, feed, mapping=mapping, dry_run=dry_run, accept=accept)
    _summarise(*import_and_report(settings, feed, images or settings.feed_images or None, options))


@command.command("upgrade", epilog="Example: vsearch catalog upgrade --check")
@click.option("--check", is_flag=True, help="Change nothing; exit with 1 where there is something to do.")
@pass_settings
def upgrade(settings: Settings, *, check: bool) -> None:
    """Bring the catalogue's schema up to date with this version of vsearch; where there is none, make one.

    Back the catalogue up and stop pages and workers of the older version first: they stop working with it.
    """
    url, wanted = settings.catalogue_url, schema_revisions()[-1]
    found = read_schema_revision(url)
    click.echo(f"The catalogue's schema is revision {found or 'none'}; this version of vsearch needs {wanted}.")
    with open_catalog(url, write=not check, migrate=not check):
        if found != wanted:
            click.echo(f"It is revision {wanted} now.")


def import_and_report(
    settings: Settings, feed: str, images: str | None, options: Options
) -> tuple[ImportReport, CatalogueCounts]:
    """Import a feed; every bad row and warning is a line on standard error."""
    store = ImageStore(settings.pictures)
    url = settings.catalogue_url
    with open_for_dry_run(url) if options.dry_run else open_catalog(url, write=True) as sessions:
        try:
            report = import_feed(feed, images, sessions=sessions, store=store, options=options, progress=progress)
        except FeedGateError as refusal:
            print_findings(feed, refusal, recorded=not options.dry_run)
            raise
        with sessions() as session:
            counts = queries.counts(session)
    print_findings(feed, report, recorded=not options.dry_run)
    return report, counts


def print_findings(feed: str, found: ImportReport | FeedGateError, *, recorded: bool = True) -> None:
    """Say on standard error what is wrong where, the first hundred of it."""
    feed = redact_address(feed)
    for warning in found.warnings:
        click.echo(f"{feed}: warning: {warning}", err=True)
    for finding in found.findings[:SHOWN]:
        click.echo(f"{feed}:{finding.line}: {redact(finding.reason)}", err=True)
    if len(found.findings) > SHOWN:
        where = f"; `vsearch index report --json` has the first {MAX_RECORDED_FINDINGS:,}" if recorded else ""
        click.echo(f"{feed}: and {len(found.findings) - SHOWN:,} more{where}", err=True)


def _summarise(report: ImportReport, counts: CatalogueCounts) -> None:
    title = "Dry run: this would change" if report.dry_run else "Imported"
    lines = [(name, str(count)) for name, count in report.counts().items()]
    table(title, ("change", "count"), lines, right=("count",))
    click.echo(f"The catalogue now has {counts.products} products with {counts.pictures} pictures.")
