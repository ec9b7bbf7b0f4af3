"""`vsearch search`, the shopper's search in the terminal; `vsearch serve`, the web server; and `vsearch demo`."""

import json
import os
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Literal

import click

from catalog import database, queries
from catalog import demo as demo_shop
from catalog.demo import DemoPhoto
from catalog.queries import ProductCard
from vsearch.cli import EXISTING_FILE, EXISTING_FOLDER, EXISTING_PATH, json_option, load_command, pass_settings
from vsearch.cli.console import out, table
from vsearch.cli.inference import load_engine
from vsearch.core.errors import GenerationError
from vsearch.core.settings import Metric, Settings
from vsearch.imaging.codec import Limits, decode
from vsearch.imaging.geometry import Box
from vsearch.models.class_heads import CLASS
from vsearch.search.engine import ALL, Search
from vsearch.search.merging import LabeledHit, SearchResult, detection_weight, weighted_value
from webui import server
from webui.services import services_of

MAX_CLASSES_SHOWN = 3
DEMO_RESULTS = 24
DEMO_MAX_RANK = 5
"""Lowest rank at which the product of an example photo counts as found."""

host_option = click.option("--host", help="Address to listen on; the default is the `host` setting.")
port_option = click.option(
    "--port", type=click.IntRange(1, 65535), help="Port to listen on; the default is the `port` setting."
)


@click.command(epilog="Example: vsearch search sofa.jpg --class Sofas --metric euclidean")
@click.argument("photo", type=EXISTING_FILE)
@click.option("--class", "classes", multiple=True, help="Class to search, or 'all' for every class (repeatable).")
@click.option("--metric", type=click.Choice(["cosine", "euclidean"]), default="cosine", show_default=True)
@click.option("--box", help="Region to search with: x0,y0,x1,y1 as fractions of the photo's width and height.")
@click.option("--count", default=10, show_default=True, type=click.IntRange(1, 1000), help="Number of products.")
@json_option
@pass_settings
def search(
    settings: Settings,
    photo: Path,
    classes: tuple[str, ...],
    metric: Metric,
    box: str | None,
    count: int,
    as_json: bool,
) -> None:
    """Find the products that look most like PHOTO, best first.

    Without --class, the classes to search are predicted from the photo. Without --box, the whole photo and every
    product detected in it are used as queries; use --box 0,0,1,1 for the whole photo alone.
    """
    picture = decode(photo.read_bytes(), Limits.from_settings(settings))
    chosen: tuple[str, ...] | Literal["all"] | None = ALL if ALL in classes else tuple(dict.fromkeys(classes)) or None
    region = None if box is None else Box.parse(box)
    engine = load_engine(settings)
    with database.open_catalog(settings.catalog_url) as sessions, sessions() as session:
        excluded = engine.serving.generation.gallery.image_ids_of(queries.withdrawn_product_ids(session))
        result = engine.search(picture, Search(count, metric, chosen, excluded=excluded, box=region))
        cards = {
            card.product_id: card for card in queries.products_by_ids(session, [h.product_id for h in result.hits])
        }
    found = [(cards[hit.product_id], hit) for hit in result.hits if hit.product_id in cards]
    if as_json:
        out.print_json(json.dumps(_as_json(result, found, metric)))
    else:
        _print_table(photo.name, result, found, metric)


def _print_table(name: str, result: SearchResult, found: list[tuple[ProductCard, LabeledHit]], metric: Metric) -> None:
    weights = {detection.box: detection_weight(detection) for detection in result.detections}
    lines = []
    for rank, (card, hit) in enumerate(found, start=1):
        weight = 1.0 if hit.box is None else weights.get(hit.box, 1.0)
        # The sort key of hits:
        shown = hit.margin if metric == "cosine" else -weighted_value(hit.value, weight, lower_is_better=True)
        line = [str(rank), card.sku, card.title, hit.class_name, f"{shown:.3f}", hit.label]
        lines.append((*line, str(hit.box or "")) if result.detections else tuple(line))
    more = len(result.classes) - MAX_CLASSES_SHOWN
    where = ", ".join(result.classes[:MAX_CLASSES_SHOWN]) + (f" and {more} more" if more > 0 else "")
    times = ", ".join(f"{step} {ms:.0f} ms" for step, ms in result.timings.items())
    title = f"{name} in {'all classes' if result.routing == 'all' else where} ({times})"
    label = "margin" if metric == "cosine" else "distance"
    columns = ("", "sku", "title", "class", label, "match", *(["box"] if result.detections else []))
    table(title, columns, lines, right=("", label), whole=("", "sku", label, "box"))


def _as_json(result: SearchResult, found: list[tuple[ProductCard, LabeledHit]], metric: Metric) -> dict[str, Any]:
    predictions = result.predictions
    return {
        "generation": result.generation_id,
        "metric": metric,
        "routing": result.routing,
        "classes": list(result.classes),
        "predicted": predictions.vote(CLASS)[0] if predictions is not None else None,
        "boxes": [{"box": str(item.box), "confidence": round(item.confidence, 4)} for item in result.detections],
        "timings_ms": dict(result.timings),
        "hits": [
            {
                "sku": card.sku,
                "title": card.title,
                "class": hit.class_name,
                "score": hit.score,
                **({} if metric == "cosine" else {"distance": hit.value}),
                "match": hit.label,
                "box": hit.box and str(hit.box),
            }
            for card, hit in found
        ],
    }


@click.command(epilog="Example: vsearch serve --host 0.0.0.0 --port 8080")
@host_option
@port_option
@click.option("--threads", type=click.IntRange(1, 256), help="Number of threads that handle requests.")
@click.option(
    "--examples", type=EXISTING_FOLDER, help="Folder of example photos to offer; the default is the `examples` setting."
)
@pass_settings
def serve(settings: Settings, /, **given: Any) -> None:
    """Serve the search page and the JSON API until stopped with Ctrl+C.

    A newly published index is used within seconds, without a restart.
    """
    chosen = settings.model_copy(update={name: value for name, value in given.items() if value is not None})
    server.serve(chosen, on_ready=_announce)


def _announce(address: str, problem: str | None) -> None:
    if problem:
        click.echo(f"Not ready to search: {problem}", err=True)
    click.echo(f"\n  The search page is at  {address}  (Ctrl+C stops it)\n")


@click.command(epilog="Example: vsearch demo --feed products.csv --images pictures.tar")
@click.option("--feed", type=EXISTING_FILE, help="Your own feed.")
@click.option("--images", type=EXISTING_PATH, help="Its images: folder, tar or zip.")
@click.option("--mapping", type=EXISTING_PATH, help="TOML file that maps the feed's columns.")
@click.option("--accept", multiple=True, help="Override a safety check (repeatable), as in `vsearch index run`.")
@host_option
@port_option
@click.option("--no-serve", is_flag=True, help="Search with the example photos instead of starting the web server.")
@pass_settings
def demo(
    settings: Settings, /, *, feed: Path | None, images: Path | None, mapping: Path | None, accept: tuple[str, ...],
    no_serve: bool, **address: Any,
) -> None:  # fmt: skip
    """Import, index and serve a catalog; without --feed, the included furniture shop."""
    if (feed is None) != (images is None):
        raise click.UsageError("Give both --feed and --images, or neither.")
    if mapping is not None and feed is None:
        raise click.UsageError("--mapping needs --feed.")
    location = {
        "feed": str(feed or demo_shop.FEED),
        "feed_images": str(images or demo_shop.PICTURES),
        "feed_mapping": mapping,
    }
    _update_index(settings.model_copy(update=location), accept)
    if not no_serve:
        if feed is None and settings.synonyms is None:
            os.environ["VSEARCH_SYNONYMS"] = str(demo_shop.SYNONYMS)
        _serve(settings, address | ({"examples": _examples(settings)} if feed is None else {}))
    elif feed is None:
        _search_examples(settings, demo_shop.example_photos())


def _examples(settings: Settings) -> Path:
    if settings.examples is not None:
        return settings.examples
    folder = settings.data / "demo" / "examples"
    demo_shop.write_example_photos(folder)
    return folder


def _update_index(settings: Settings, accept: tuple[str, ...]) -> None:
    words = [word for check in accept for word in ("--accept", check)]
    load_command("index").main(["run", *words], prog_name="vsearch index", obj=settings, standalone_mode=False)


def _search_examples(settings: Settings, examples: Sequence[DemoPhoto]) -> None:
    """Search with each example photo and its product's box through the API; fail if fewer than half are found."""
    found, app = 0, server.build(settings.model_copy(update={"results_per_page": DEMO_RESULTS}))[0]
    with closing(services_of(app)):
        for example in examples:
            query, photo = {"box": str(Box(*example.box))}, example.path.read_bytes()
            answer = app.test_client().post("/api/v1/search", data=photo, query_string=query).get_json()
            skus = [hit["sku"] for hit in answer["results"]]
            rank = skus.index(example.sku) + 1 if example.sku in skus else None
            found += rank is not None and rank <= DEMO_MAX_RANK
            where = f"rank {rank}" if rank else f"not among the first {DEMO_RESULTS}"
            click.echo(f"  {example.caption}: {example.sku} is {where}")
    summary = f"the products of {found} of {len(examples)} example photos among the first {DEMO_MAX_RANK}"
    if 2 * found < len(examples):
        remedy = "Run it with a new data folder, and without the `checkpoint` setting."
        raise GenerationError(f"The demo found only {summary}. {remedy}")
    click.echo(f"Found {summary}.")


def _serve(settings: Settings, values: dict[str, Any]) -> None:
    """Replace this process with `vsearch serve` and these options, which frees the memory that indexing used."""
    program = "from vsearch.cli import main; main()"
    options = [word for name, value in values.items() if value is not None for word in (f"--{name}", str(value))]
    arguments = ["--data", str(settings.data), "--log-level", settings.log_level, "serve", *options]
    os.execv(sys.executable, [sys.executable, "-c", program, *arguments])  # nosec B606
