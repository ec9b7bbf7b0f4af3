"""`vsearch demo`: from nothing to a page that finds products."""

import io
import os
import sys
import time
from pathlib import Path

import click

from vsearch.cli import pass_settings
from vsearch.cli.console import progress
from vsearch.images import Limits
from vsearch.settings import Settings


@click.command(epilog="Example: vsearch demo --feed products.csv --images pictures.tar")
@click.option("--feed", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="A feed of your own.")
@click.option("--images", type=click.Path(exists=True, path_type=Path), help="Its pictures: folder, tar or zip.")
@click.option("--port", type=click.IntRange(1, 65535), help="Port to listen on; the default is the setting port.")
@click.option("--no-serve", is_flag=True, help="Run one search instead of serving the page.")
@pass_settings
def command(settings: Settings, feed: Path | None, images: Path | None, port: int | None, no_serve: bool) -> None:
    """Take a catalogue, index it and serve the page; without --feed a small furniture catalogue is drawn."""
    if (feed is None) != (images is None):
        raise click.UsageError("--feed and --images belong together: give both or neither.")
    photo = None
    if feed is None or images is None:
        feed, images, photo = _draw(settings.data / "demo")
    _import(settings, feed, images)
    _index(settings)
    if no_serve:
        _search_once(settings, photo)
    else:
        _serve(settings, port)


def _draw(folder: Path) -> tuple[Path, Path, Path]:
    """Draw the demo catalogue; return its feed, its pictures and a shopper's photo."""
    from catalog import demo

    started = time.perf_counter()
    feed = demo.write(folder)
    examples = folder / "examples"
    _say("Drew", f"a catalogue into {folder}; photos to try with are in {examples}", started)
    return feed, folder / "pictures", sorted(examples.iterdir())[0]


def _import(settings: Settings, feed: Path, images: Path) -> None:
    from indexer.importing import Options
    from vsearch.cli.catalog import import_aloud

    started = time.perf_counter()
    options = Options(currency=settings.currency, limits=Limits.of(settings))
    report, _ = import_aloud(settings, feed, images, options)
    changes = report.changes
    found = f"{len(changes.added)} products added, {len(changes.changed)} changed, {changes.unchanged} as they were"
    _say("Imported", f"{feed.name}: {found}", started)


def _index(settings: Settings) -> None:
    from indexer.run import run

    started = time.perf_counter()
    report = run(settings, progress=progress)
    _say(
        "Indexed", f"{report.pictures} pictures of {report.products} products, {report.encoded} newly encoded", started
    )


def _search_once(settings: Settings, photo: Path | None) -> None:
    """Send one photo through the real application; without one, the first catalogue picture."""
    from catalog import queries
    from catalog.database import opened
    from catalog.imagestore import ImageStore
    from webui.server import build

    if photo is None:
        with opened(settings.catalogue_url) as sessions, sessions() as session:
            photo = ImageStore(settings.pictures).path(queries.gallery_rows(session)[0].sha256)
    app, _ = build(settings)
    started = time.perf_counter()
    response = app.test_client().post("/api/v1/search", data={"photo": (io.BytesIO(photo.read_bytes()), "photo")})
    first = response.get_json()["results"][0]
    found = f"{photo.name}: first {first['sku']} {first['title']} ({first['match']}, score {first['score']:.2f})"
    _say("Searched", found, started)


def _serve(settings: Settings, port: int | None) -> None:
    """Become `vsearch serve`: TensorFlow is loaded by now, and a process that has it must not fork."""
    options = ["--data", str(settings.data), "--log-level", settings.log_level]
    chosen = [] if port is None else ["--port", str(port)]
    program = "from vsearch.cli import main; main()"
    os.execv(sys.executable, [sys.executable, "-c", program, *options, "serve", *chosen])


def _say(verb: str, what: str, started: float) -> None:
    click.echo(f"{verb} {what} ({time.perf_counter() - started:.1f} s).")
