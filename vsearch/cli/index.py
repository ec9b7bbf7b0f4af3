"""`vsearch index`: bring the published index up to date, say what is published, and go back by one."""

import json
import sys
from typing import Any

import click

from catalog import queries
from catalog.database import opened
from indexer import run as night
from indexer.report import Report
from vsearch import generation as generations
from vsearch.cli import pass_settings
from vsearch.cli.console import progress, table
from vsearch.manifest import Manifest
from vsearch.settings import Settings

STOPPED = 130
"""Exit code of a program stopped by Ctrl-C, as shells count."""


@click.group()
def command() -> None:
    """Build and publish the search index."""


@command.command("run", epilog="Example: vsearch index run --feed products.csv --images pictures.tar")
@click.option("--feed", help="Import this feed first, as `vsearch catalog import`.")
@click.option("--images", help="Folder, archive or object storage of the feed's pictures.")
@pass_settings
@click.pass_context
def run(ctx: click.Context, settings: Settings, *, feed: str | None, images: str | None) -> None:
    """Encode what is new in the catalogue, and publish a new index if anything changed.

    Stopped at any moment, the same command goes on where it was; shoppers see the old index until all is done.
    """
    try:
        if feed is not None:
            _import(ctx, feed, images)
        report = night.run(settings, progress=progress)
    except KeyboardInterrupt:
        click.echo("\nStopped; what shoppers see is unchanged, and the same command goes on from here.", err=True)
        sys.exit(STOPPED)
    _summarise(report)


@command.command("status", epilog="Example: vsearch index status --json")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@pass_settings
def status(settings: Settings, *, as_json: bool) -> None:
    """Say what is published, and how the latest runs ended."""
    current = night.current_manifest(settings)
    runs = _latest_runs(settings)
    kept = generations.listed(settings.generations)
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
        table("Latest runs", ("started", "state", "message"), lines)


@command.command("rollback")
@pass_settings
def rollback(settings: Settings) -> None:
    """Serve the generation published before the current one again; the page follows within seconds."""
    before = generations.current(settings.generations).name
    click.echo(f"Rolled back from {before}; generation {night.rollback(settings)} is current.")


def _import(ctx: click.Context, feed: str, images: str | None) -> None:
    from vsearch.cli.catalog import import_

    ctx.invoke(import_, feed=feed, images=images, mapping=None, dry_run=False, accept=())


def _summarise(report: Report) -> None:
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
    lines += [(f"seconds to {stage}", f"{seconds:.1f}") for stage, seconds in report.seconds.items()]
    table("Index run", ("", "count"), lines, right=("count",))
    click.echo(report.text())


def _show(current: Manifest, kept: list[str]) -> None:
    click.echo(f"Generation {current.generation_id}, published {current.created_at:%Y-%m-%d %H:%M} UTC.")
    click.echo(f"Checkpoint {current.checkpoint_id}; embeddings of {current.embedding_size} numbers.")
    click.echo(f"On disk: {', '.join(kept)}.")
    lines = [(entry.name, str(entry.count), entry.index_key) for entry in current.classes]
    table("Classes", ("class", "pictures", "index"), lines, right=("pictures",))


def _latest_runs(settings: Settings) -> list[dict[str, Any]]:
    with opened(settings.catalogue_url, write=True) as sessions, sessions() as session:
        return [
            {
                "started": f"{run.started_at:%Y-%m-%d %H:%M:%S}",
                "state": run.state,
                "generation_id": run.generation_id,
                "message": run.message,
                "counts": run.counts,
            }
            for run in queries.latest_runs(session, 5)
        ]
