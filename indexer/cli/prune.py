"""`vsearch prune`: delete data that is no longer used."""

import json
import sys

import click

from indexer import prune
from indexer.prune import Pruned
from vsearch.cli import pass_settings
from vsearch.cli.console import STOPPED, progress, table
from vsearch.core.pruning import in_words
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
        done = prune.run(settings, dry_run=dry_run, progress=progress)
    except KeyboardInterrupt:
        click.echo("\nStopped; the same command goes on from here.", err=True)
        sys.exit(STOPPED)
    if as_json:
        click.echo(json.dumps({"dry_run": dry_run, "freed": done.as_json(), "left": done.left}, indent=2))
        return
    _show(done, dry_run=dry_run)


def _show(done: Pruned, *, dry_run: bool) -> None:
    lines = [(kind, str(freed.count), in_words(freed.bytes)) for kind, freed in done.freed.items()]
    if lines:
        table("Would be deleted" if dry_run else "Deleted", ("", "count", "size"), lines, right=("count", "size"))
    else:
        click.echo("There is nothing to delete.")
    if done.left:
        click.echo(done.left)
