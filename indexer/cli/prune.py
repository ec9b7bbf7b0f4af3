"""`vsearch prune`: delete data that is no longer used; and the list of the page's unused files, also for nights."""

import json
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta

import click

from indexer import prune
from indexer.prune import Pictures, Pruned
from vsearch.cli import pass_settings
from vsearch.cli.console import STOPPED, progress, table
from vsearch.core.files import STALE_SECONDS, UNFINISHED, modified_before
from vsearch.core.pruning import Garbage, in_words, of_path
from vsearch.core.settings import Settings


@click.command(epilog="Example: vsearch prune --dry-run")
@click.option("--dry-run", is_flag=True, help="Show what would be deleted, and delete nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@pass_settings
def command(settings: Settings, *, dry_run: bool, as_json: bool) -> None:
    """Delete data that is no longer used; each night does so as well.

    This covers encodings (blocks) for models no longer in use and for pictures that no product has, those pictures and
    their thumbnails, models and indexes that no rollback needs, uploads beyond their limits, old jobs and records, and
    temporary files of killed commands. Nothing is deleted while a night runs.
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


def page_files(settings: Settings, pictures: Pictures, now: datetime) -> Iterator[Garbage]:
    """Yield the page's garbage: thumbnails, uploads, and files it was writing when it was killed."""
    from webui.thumbnails import Thumbnails
    from webui.uploads import UploadStore

    made_before = (now - timedelta(days=settings.thumbnail_days)).timestamp()
    for path in Thumbnails.from_settings(settings).unused(pictures, pictures.withdrawn, made_before):
        yield of_path("thumbnails", path)
    for path in UploadStore.from_settings(settings).expired(now.timestamp()):
        yield of_path("uploads", path)
    unfinished = [*settings.uploads.glob(f"{UNFINISHED}*"), *settings.thumbnails.glob(f"??/{UNFINISHED}*")]
    for path in modified_before(unfinished, now.timestamp() - STALE_SECONDS):
        yield of_path("temporary files", path)


def _show(done: Pruned, *, dry_run: bool) -> None:
    lines = [(kind, str(freed.count), in_words(freed.bytes)) for kind, freed in done.freed.items()]
    if lines:
        table("Would be deleted" if dry_run else "Deleted", ("", "count", "size"), lines, right=("count", "size"))
    else:
        click.echo("There is nothing to delete.")
    if done.left:
        click.echo(done.left)
