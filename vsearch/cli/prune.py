"""`vsearch prune`: delete what nothing needs any more; and the page's part of it, which nights delete as well."""

import json
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta

import click

from indexer import prune
from indexer.prune import Pictures, Pruned
from vsearch.cli import pass_settings
from vsearch.cli.console import STOPPED, progress, table
from vsearch.files import STALE_SECONDS
from vsearch.pruning import Waste, in_words, of_path, stale
from vsearch.settings import Settings


@click.command(epilog="Example: vsearch prune --dry-run")
@click.option("--dry-run", is_flag=True, help="Say what would be deleted, and delete nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@pass_settings
def command(settings: Settings, *, dry_run: bool, as_json: bool) -> None:
    """Delete what nothing needs any more; each night does it as well.

    That is what was encoded for models no longer in use and for pictures that no product has, those pictures and their
    thumbnails, models and indexes that no rollback goes to, uploads beyond their limits, old jobs and records, and what
    killed commands left. While a night runs nothing is deleted.
    """
    try:
        done = prune.run(settings, page_files=page_files, dry_run=dry_run, progress=progress)
    except KeyboardInterrupt:
        click.echo("\nStopped; the same command goes on from here.", err=True)
        sys.exit(STOPPED)
    if as_json:
        click.echo(json.dumps({"dry_run": dry_run, "freed": done.as_json(), "left": done.left}, indent=2))
        return
    _show(done, dry_run=dry_run)


def page_files(settings: Settings, pictures: Pictures, now: datetime) -> Iterator[Waste]:
    """Yield the page's waste: thumbnails, uploads, and files it was writing when it was killed."""
    from catalog.imagestore import ImageStore
    from vsearch.images import Limits
    from webui.thumbnails import Thumbnails
    from webui.uploads import UploadStore

    thumbnails = Thumbnails(settings.thumbnails, ImageStore(settings.pictures))
    made_before = (now - timedelta(days=settings.thumbnail_days)).timestamp()
    for path in thumbnails.unused(pictures, pictures.withdrawn, made_before):
        yield of_path("thumbnails", path)
    max_bytes = round(settings.upload_gb * 1e9)
    uploads = UploadStore(settings.uploads, Limits.of(settings), days=settings.upload_days, max_bytes=max_bytes)
    for path in uploads.expired(now.timestamp()):
        yield of_path("uploads", path)
    unfinished = [*settings.uploads.glob(".new-*"), *settings.thumbnails.glob("??/.new-*")]
    for path in stale(unfinished, now.timestamp() - STALE_SECONDS):
        yield of_path("temporary files", path)


def _show(done: Pruned, *, dry_run: bool) -> None:
    lines = [(kind, str(freed.count), in_words(freed.bytes)) for kind, freed in done.freed.items()]
    if lines:
        table("Would be deleted" if dry_run else "Deleted", ("", "count", "size"), lines, right=("count", "size"))
    else:
        click.echo("Everything that is there is needed.")
    if done.left:
        click.echo(done.left)
