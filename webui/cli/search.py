"""`vsearch search`: the shopper's search in the terminal."""

import json
from pathlib import Path
from typing import Any, Literal

import click

from catalog import database, queries
from catalog.queries import ProductCard
from vsearch.cli import EXISTING_FILE, json_option, pass_settings
from vsearch.cli.console import out, table
from vsearch.cli.load_model import load_engine
from vsearch.core.settings import Metric, Settings
from vsearch.imaging.codec import Limits, decode
from vsearch.imaging.geometry import Box
from vsearch.search.engine import ALL, Search
from vsearch.search.merging import LabeledHit, SearchResult, detection_weight, weighted_value

MAX_CLASSES_SHOWN = 3


@click.command(epilog="Example: vsearch search sofa.jpg --class Sofas --metric euclidean")
@click.argument("photo", type=EXISTING_FILE)
@click.option("--class", "classes", multiple=True, help="Class to search, or 'all' for every class (repeatable).")
@click.option("--metric", type=click.Choice(["cosine", "euclidean"]), default="cosine", show_default=True)
@click.option("--box", help="Region to search with: x0,y0,x1,y1 as fractions of the photo's width and height.")
@click.option("--count", default=10, show_default=True, type=click.IntRange(1, 1000), help="Number of products.")
@json_option
@pass_settings
def command(
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
        value = weighted_value(hit.value, weight, lower_is_better=metric == "euclidean")  # the sort key of hits
        shown = abs(value) if metric == "euclidean" else value
        line = [str(rank), card.sku, card.title, hit.class_name, f"{shown:.3f}", hit.label]
        lines.append((*line, str(hit.box or "")) if result.detections else tuple(line))
    more = len(result.classes) - MAX_CLASSES_SHOWN
    where = ", ".join(result.classes[:MAX_CLASSES_SHOWN]) + (f" and {more} more" if more > 0 else "")
    times = ", ".join(f"{step} {ms:.0f} ms" for step, ms in result.timings.items())
    title = f"{name} in {'all classes' if result.routing == 'all' else where} ({times})"
    label = "score" if metric == "cosine" else "distance"
    columns = ("", "sku", "title", "class", label, "match", *(["box"] if result.detections else []))
    table(title, columns, lines, right=("", label), whole=("", "sku", label, "box"))


def _as_json(result: SearchResult, found: list[tuple[ProductCard, LabeledHit]], metric: Metric) -> dict[str, Any]:
    predictions = result.predictions
    return {
        "generation": result.generation_id,
        "metric": metric,
        "routing": result.routing,
        "classes": list(result.classes),
        "predicted": predictions.classes[int(predictions.winners[0])] if predictions is not None else None,
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
