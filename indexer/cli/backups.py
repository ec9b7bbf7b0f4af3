"""`vsearch backup` and `vsearch restore`."""

from pathlib import Path

import click

from indexer.backup import back_up, list_snapshots, restore
from indexer.prune import format_size
from vsearch.cli import EXISTING_FOLDER, FOLDER, pass_settings
from vsearch.cli.console import progress, stoppable
from vsearch.core.settings import Settings
from vsearch.index import generation as generations

MAX_PRINTED = 10


@click.command("backup", epilog="Example: vsearch backup /mnt/backup --keep 7")
@click.argument("folder", type=FOLDER)
@click.option("--keep", default=0, type=click.IntRange(0), help="Delete all but the latest N snapshots; 0 keeps all.")
@pass_settings
def backup(settings: Settings, *, folder: Path, keep: int) -> None:
    """Add a snapshot of the catalog, images, models and indexes to the backup in FOLDER, while they are in use.

    Only what has changed is copied. Shoppers' photos are not included unless they are kept for review, nor are settings
    and files outside the data folder. Backups contain password hashes; the folder is readable by its owner only.
    """
    with stoppable("Stopped. Run the same command again to continue."):
        report = back_up(settings, folder, keep=keep, progress=progress)
    for sha256 in report.damaged[:MAX_PRINTED]:
        click.echo(f"Image {sha256} is damaged and not in the backup. Import the feed again.", err=True)
    snapshot = report.snapshot
    click.echo(
        f"Snapshot {snapshot.snapshot_id}: {len(snapshot.files)} files, {format_size(snapshot.size)}, of which "
        f"{format_size(report.new_bytes)} are new. Restore it with `vsearch --data NEW restore {folder}`."
    )


@click.command("restore", epilog="Example: vsearch --data /srv/vsearch restore /mnt/backup")
@click.argument("folder", type=EXISTING_FOLDER)
@click.option("--snapshot", default="", metavar="ID", help="The snapshot to restore; the default is the latest.")
@click.option("--list", "show", is_flag=True, help="Print the snapshots in FOLDER and exit.")
@pass_settings
def restore_(settings: Settings, *, folder: Path, snapshot: str, show: bool) -> None:
    """Restore a snapshot from FOLDER to an empty data folder and database, and upgrade its schema if it is older.

    The database may be another one than before: a backup of SQLite can be restored to PostgreSQL, and the reverse.
    """
    if show:
        for snapshot_id in list_snapshots(folder):
            click.echo(snapshot_id)
        return
    with stoppable("Stopped. Run the same command again to continue."):
        restored = restore(settings, folder, snapshot, progress=progress)
    click.echo(f"Restored snapshot {restored.snapshot_id}: {len(restored.files)} files, {format_size(restored.size)}.")
    if generations.current_id(settings.generations):
        check = f"vsearch --data {settings.data} index verify"
        click.echo(f"Check it with `{check}`, then start the servers and workers.")
