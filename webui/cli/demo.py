"""`vsearch demo`: from an empty data folder to a running product search."""

import os
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import click

from catalog import demo
from catalog.demo import DemoPhoto
from vsearch.cli import EXISTING_FILE, EXISTING_PATH, load_command, pass_settings
from vsearch.core.errors import GenerationError
from vsearch.core.settings import Settings
from vsearch.imaging.geometry import Box
from webui.cli.serve import host_option, port_option

PAGE_SIZE = 24
MAX_RANK = 5
"""Lowest rank at which the product of an example photo counts as found."""


@click.command(epilog="Example: vsearch demo --feed products.csv --images pictures.tar")
@click.option("--feed", type=EXISTING_FILE, help="Your own feed.")
@click.option("--images", type=EXISTING_PATH, help="Its pictures: folder, tar or zip.")
@click.option("--mapping", type=EXISTING_PATH, help="TOML file that maps the feed's columns.")
@click.option("--accept", multiple=True, help="Override a safety check (repeatable), as in `vsearch index run`.")
@host_option
@port_option
@click.option("--no-serve", is_flag=True, help="Search with the example photos instead of starting the web server.")
@pass_settings
def command(
    settings: Settings, /, *, feed: Path | None, images: Path | None, mapping: Path | None, accept: tuple[str, ...],
    no_serve: bool, **address: Any,
) -> None:  # fmt: skip
    """Import, index and serve a catalog; without --feed, the included furniture shop."""
    if (feed is None) != (images is None):
        raise click.UsageError("Give both --feed and --images, or neither.")
    if mapping is not None and feed is None:
        raise click.UsageError("--mapping needs --feed.")
    location = {"feed": str(feed or demo.FEED), "feed_images": str(images or demo.PICTURES), "feed_mapping": mapping}
    _update_index(settings.model_copy(update=location), accept)
    if not no_serve:
        _serve(settings, address | ({"examples": _examples(settings)} if feed is None else {}))
    elif feed is None:
        _search_examples(settings, demo.example_photos())


def _examples(settings: Settings) -> Path:
    """Return the folder of example photos offered on the search page."""
    if settings.examples is not None:
        return settings.examples
    folder = settings.data / "demo" / "examples"
    demo.write_example_photos(folder)
    return folder


def _update_index(settings: Settings, accept: tuple[str, ...]) -> None:
    words = [word for check in accept for word in ("--accept", check)]
    load_command("index").main(["run", *words], prog_name="vsearch index", obj=settings, standalone_mode=False)


def _search_examples(settings: Settings, examples: Sequence[DemoPhoto]) -> None:
    """Search with each example photo and its product's box through the API; fail if fewer than half are found."""
    from webui.server import build
    from webui.services import services_of

    found, app = 0, build(settings.model_copy(update={"results_per_page": PAGE_SIZE}))[0]
    with closing(services_of(app)):
        for example in examples:
            query, photo = {"box": str(Box(*example.box))}, example.path.read_bytes()
            answer = app.test_client().post("/api/v1/search", data=photo, query_string=query).get_json()
            skus = [hit["sku"] for hit in answer["results"]]
            rank = skus.index(example.sku) + 1 if example.sku in skus else None
            found += rank is not None and rank <= MAX_RANK
            where = f"rank {rank}" if rank else f"not among the first {PAGE_SIZE}"
            click.echo(f"  {example.caption}: {example.sku} is {where}")
    summary = f"the products of {found} of {len(examples)} example photos among the first {MAX_RANK}"
    if 2 * found < len(examples):
        raise GenerationError(
            f"The demo only found {summary}. Run it with a new data folder, and without the `checkpoint` setting."
        )
    click.echo(f"Found {summary}.")


def _serve(settings: Settings, values: dict[str, Any]) -> None:
    """Replace this process with `vsearch serve` and these options, which frees the memory that indexing used."""
    program = "from vsearch.cli import main; main()"
    options = [word for name, value in values.items() if value is not None for word in (f"--{name}", str(value))]
    arguments = ["--data", str(settings.data), "--log-level", settings.log_level, "serve", *options]
    os.execv(sys.executable, [sys.executable, "-c", program, *arguments])
