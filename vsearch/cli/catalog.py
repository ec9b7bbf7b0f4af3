"""`vsearch catalog`: bring a shop's products into the catalogue."""

from pathlib import Path

import click

from catalog import queries
from catalog.database import opened
from catalog.imagestore import ImageStore
from catalog.queries import CatalogueCounts
from indexer.importing import BadRows, ImportReport, Options, import_feed
from vsearch.cli import pass_settings
from vsearch.cli.console import progress, table
from vsearch.images import Limits
from vsearch.settings import Settings


@click.group()
def command() -> None:
    """Import a product feed into the catalogue."""


@command.command("import", epilog="Example: vsearch catalog import products.csv --images pictures.tar --dry-run")
@click.argument("feed", type=click.Path(path_type=Path))
@click.option("--images", required=True, type=click.Path(path_type=Path), help="Folder, tar or zip of pictures.")
@click.option("--dry-run", is_flag=True, help="Check everything and write nothing.")
@click.option("--skip-bad-rows", is_flag=True, help="Take the good rows; without this one bad row refuses all.")
@click.option("--accept-shrink", is_flag=True, help="Withdraw products even if they are more than half.")
@pass_settings
def import_(
    settings: Settings, *, feed: Path, images: Path, dry_run: bool, skip_bad_rows: bool, accept_shrink: bool
) -> None:
    """Make the catalogue what FEED says: a CSV or JSON Lines file of all products.

    Products that FEED no longer names are withdrawn. All is written or nothing. docs/feed.md describes the columns.
    """
    options = Options(
        currency=settings.currency,
        limits=Limits.of(settings),
        dry_run=dry_run,
        skip_bad_rows=skip_bad_rows,
        accept_shrink=accept_shrink,
    )
    _summarise(*import_aloud(settings, feed, images, options))


def import_aloud(
    settings: Settings, feed: Path, images: Path, options: Options
) -> tuple[ImportReport, CatalogueCounts]:
    """Import a feed; every bad row and warning is a line on standard error."""
    store = ImageStore(settings.pictures)
    with opened(settings.catalogue_url, write=True) as sessions:
        try:
            report = import_feed(feed, images, sessions=sessions, store=store, options=options, progress=progress)
        except BadRows as refusal:
            _complain(feed, refusal)
            raise
        with sessions() as session:
            counts = queries.counts(session)
    _complain(feed, report)
    return report, counts


def _complain(feed: Path, found: ImportReport | BadRows) -> None:
    for warning in found.warnings:
        click.echo(f"{feed}: warning: {warning}", err=True)
    for error in found.errors:
        click.echo(f"{feed}:{error.line}: {error.reason}", err=True)


def _summarise(report: ImportReport, counts: CatalogueCounts) -> None:
    changes = report.changes
    lines = [
        ("added", len(changes.added)),
        ("changed", len(changes.changed)),
        ("restored", len(changes.restored)),
        ("withdrawn", len(changes.withdrawn)),
        ("unchanged", changes.unchanged),
        ("bad rows skipped", len({error.line for error in report.errors})),
        ("new pictures", report.new_pictures),
    ]
    title = "Dry run: this would change" if report.dry_run else "Imported"
    table(title, ("change", "count"), [(name, str(count)) for name, count in lines], right=("count",))
    click.echo(f"The catalogue now has {counts.products} products with {counts.pictures} pictures.")
