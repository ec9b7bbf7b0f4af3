"""`vsearch demo`: from nothing to a page that finds products."""

import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from indexer.jobs.kinds import ACCEPTABLE, causes
from vsearch.cli import pass_settings
from vsearch.cli.console import progress
from vsearch.core.errors import CatalogMissing, GenerationError, SettingsError
from vsearch.core.settings import Settings
from vsearch.imaging.codec import Limits
from vsearch.imaging.geometry import Box

if TYPE_CHECKING:
    from catalog.demo import DemoPhoto


PAGE, CLOSE = 24, 5
"""Products looked through for the one of an example photo, and the first of them in which it counts as found."""


@click.command(epilog="Example: vsearch demo --feed products.csv --images pictures.tar")
@click.option("--feed", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="A feed of your own.")
@click.option("--images", type=click.Path(exists=True, path_type=Path), help="Its pictures: folder, tar or zip.")
@click.option(
    "--mapping", type=click.Path(exists=True, path_type=Path), help="TOML file with other names for its columns."
)
@click.option(
    "--accept",
    type=click.Choice(ACCEPTABLE),
    multiple=True,
    help="Take what would stop the import or the index, as `vsearch index run` does.",
)
@click.option("--host", help="Address to listen on; the default is the setting host.")
@click.option("--port", type=click.IntRange(1, 65535), help="Port to listen on; the default is the setting port.")
@click.option("--no-serve", is_flag=True, help="Search with the example photos instead of serving the page.")
@pass_settings
def command(
    settings: Settings,
    *,
    feed: Path | None,
    images: Path | None,
    mapping: Path | None,
    accept: tuple[str, ...],
    host: str | None,
    port: int | None,
    no_serve: bool,
) -> None:
    """Take a catalogue, index it and serve the page; without --feed, the furniture shop that ships with it."""
    if (feed is None) != (images is None):
        raise click.UsageError("--feed and --images belong together: give both or neither.")
    if mapping is not None and feed is None:
        raise click.UsageError("--mapping belongs to --feed: give both or neither.")
    _one_shop(settings, feed, accept)
    from catalog import demo

    _import(settings, feed or demo.FEED, images or demo.PICTURES, mapping=mapping, accept=accept)
    _index(settings, accept)
    if no_serve and feed is None:
        _search_examples(settings, demo.example_photos())
    elif no_serve:
        _search_once(settings)
    else:
        _serve(settings, host, port, examples=_examples(settings) if feed is None else None)


def _examples(settings: Settings) -> Path:
    """Return the folder of example photos to offer: the shop's own, else those of the demo shop, written there."""
    from catalog import demo

    if settings.examples is not None:
        return settings.examples
    folder = settings.data / "demo" / "examples"
    demo.write_example_photos(folder)
    return folder


def _one_shop(settings: Settings, feed: Path | None, accept: tuple[str, ...]) -> None:
    """Refuse to put a shop in the place of another one, unless that is accepted.

    Raises:
        SettingsError: the data folder holds the demo shop and the feed is of another, or the other way round.
    """
    from catalog import demo, imports
    from catalog.database import open_catalog

    try:
        with open_catalog(settings.catalogue_url) as sessions, sessions() as session:
            live = imports.live_skus(session)
    except CatalogMissing:
        return
    own = feed is not None and feed.resolve() != demo.FEED.resolve()
    holds_own = 2 * len(live & demo.skus()) <= len(live)
    if not live or own == holds_own or "shrink" in accept:
        return
    here, folder = ("the demo shop", "shop") if own else ("another shop than the demo", "demo-shop")
    raise SettingsError(
        f"A data folder is of one shop, but {settings.data} holds {here}; give this one a folder of its own, as in "
        f"`vsearch --data {folder} demo`, or replace what is there with "
        "--accept shrink --accept columns --accept drift."
    )


def _import(
    settings: Settings, feed: Path, images: Path, *, mapping: Path | None = None, accept: tuple[str, ...] = ()
) -> None:
    from indexer.cli.catalog_import import import_and_report
    from indexer.feed.column_mapping import read_mapping
    from indexer.feed.importer import Options

    started = time.perf_counter()
    named = read_mapping(mapping) if mapping else None
    limits = Limits.from_settings(settings)
    options = Options(currency=settings.currency, limits=limits, mapping=named, accept=frozenset(causes(accept)))
    report, _ = import_and_report(settings, str(feed), str(images), options)
    changes = report.changes
    found = f"{len(changes.added)} products added, {len(changes.changed)} changed, {changes.unchanged} as they were"
    _say("Imported", f"{feed.name}: {found}", started)


def _index(settings: Settings, accept: tuple[str, ...]) -> None:
    from indexer.build.nightly import reindex

    started = time.perf_counter()
    report = reindex(settings, progress=progress, accept=accept)
    _say(
        "Indexed", f"{report.pictures} pictures of {report.products} products, {report.encoded} newly encoded", started
    )


def _search_examples(settings: Settings, examples: Sequence["DemoPhoto"]) -> None:
    """Send the example photos through the real application, each with the part that shows its product.

    Raises:
        GenerationError: too few of the products are found.
    """
    started, found = time.perf_counter(), 0
    with _application(settings.model_copy(update={"results_per_page": PAGE})) as search:
        for example in examples:
            skus = [hit["sku"] for hit in search(example.path.read_bytes(), str(Box(*example.box)))]
            place = skus.index(example.sku) + 1 if example.sku in skus else None
            found += place is not None and place <= CLOSE
            said = f"place {place}" if place else f"not among the first {PAGE}"
            click.echo(f"  {example.caption}: {example.sku} is {said}")
    if 2 * found < len(examples):
        raise GenerationError(
            f"The demo must find the products of half its {len(examples)} example photos among the first {CLOSE}, "
            f"but found {found}; run it with another data folder, and without the setting checkpoint."
        )
    _say("Found", f"the products of {found} of {len(examples)} example photos among the first {CLOSE}", started)


def _search_once(settings: Settings) -> None:
    """Send the first catalogue picture through the real application."""
    from catalog import queries
    from catalog.database import open_catalog
    from catalog.image_store import ImageStore

    with open_catalog(settings.catalogue_url) as sessions, sessions() as session:
        photo = ImageStore(settings.pictures).path(queries.gallery_rows(session)[0].sha256)
    with _application(settings) as search:
        started = time.perf_counter()
        first = search(photo.read_bytes(), "")[0]
    found = f"{photo.name}: first {first['sku']} {first['title']} ({first['match']}, score {first['score']:.2f})"
    _say("Searched", found, started)


@contextmanager
def _application(settings: Settings) -> Iterator[Callable[[bytes, str], list[dict[str, Any]]]]:
    """Yield a function that sends a photo, and a box where one is meant, to the API and returns its results."""
    from webui.server import build
    from webui.services import services_of

    app = build(settings)[0]
    client = app.test_client()

    def search(photo: bytes, box: str) -> list[dict[str, Any]]:
        answer = client.post("/api/v1/search", data=photo, query_string={"box": box}).get_json()
        return list(answer["results"])

    try:
        yield search
    finally:
        services_of(app).close()


def _serve(settings: Settings, host: str | None, port: int | None, examples: Path | None) -> None:
    """Become `vsearch serve`, which gives back the memory that indexing took."""
    program = "from vsearch.cli import main; main()"
    given = {"--host": host, "--port": port, "--examples": examples}
    options = [word for name, value in given.items() if value is not None for word in (name, str(value))]
    whole = ["--data", str(settings.data), "--log-level", settings.log_level, "serve", *options]
    os.execv(sys.executable, [sys.executable, "-c", program, *whole])


def _say(verb: str, what: str, started: float) -> None:
    click.echo(f"{verb} {what} ({time.perf_counter() - started:.1f} s).")
