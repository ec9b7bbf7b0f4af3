"""`vsearch prune`: delete data that is no longer used."""

import json

import click

from indexer import prune
from vsearch.cli import json_option, pass_settings
from vsearch.cli.console import progress, stoppable, table
from vsearch.core.settings import Settings


@click.command(epilog="Example: vsearch prune --dry-run")
@click.option("--dry-run", is_flag=True, help="Show what would be deleted without deleting anything.")
@json_option
@pass_settings
def command(settings: Settings, *, dry_run: bool, as_json: bool) -> None:
    """Delete data that is no longer used, as each nightly job does.

    This covers pictures that no product has, with their thumbnails; blocks (features) of these pictures and of models
    no longer in use; models and indexes that no rollback needs; uploads beyond their limits; old jobs and records; and
    temporary files of killed commands. It does not run during a nightly job.
    """
    with stoppable("Stopped. Run the same command again to continue."):
        result = prune.run(settings, dry_run=dry_run, progress=progress)
    if as_json:
        click.echo(json.dumps({"dry_run": dry_run, "freed": result.as_json(), "note": result.note}, indent=2))
        return
    lines = [(kind, str(freed.count), prune.format_size(freed.bytes)) for kind, freed in result.freed.items()]
    if lines:
        table("Would be deleted" if dry_run else "Deleted", ("", "count", "size"), lines, right=("count", "size"))
    else:
        click.echo("There is nothing to delete.")
    if result.note:
        click.echo(result.note)
