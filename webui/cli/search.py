"""`vsearch search`: the shopper's search, in the terminal."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import click

from catalog import database, queries
from catalog.queries import ProductCard
from vsearch.cli import pass_settings
from vsearch.cli.console import out, table
from vsearch.cli.load_model import load_engine
from vsearch.core.settings import Metric, Settings
from vsearch.imaging.codec import Limits, decode
from vsearch.imaging.geometry import Box
from vsearch.search.engine import ALL, Search
from vsearch.search.merging import SearchResult, detection_weight, weighted_value

SHOWN = 3
"""Classes named above the table."""


@click.command(epilog="Example: vsearch search sofa.jpg --class Sofas --metric euclidean")
@click.argument("photo", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--class", "classes", multiple=True, help="Search this class; repeat for several, 'all' for every one.")
@click.option("--metric", type=click.Choice(["cosine", "euclidean"]), default="cosine", show_default=True)
@click.option("--box", help="Part of the photo that matters: x0,y0,x1,y1 as shares of its sides.")
@click.option("--count", default=10, show_default=True, type=click.IntRange(1, 1000), help="Products wanted.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
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

    Without --class the photo decides which classes are searched. Without --box it is searched with the whole photo and
    with each part in which a product may stand; --box 0,0,1,1 is the whole photo alone.
    """
    picture = decode(photo.read_bytes(), Limits.from_settings(settings))
    chosen: tuple[str, ...] | Literal["all"] | None = ALL if ALL in classes else tuple(dict.fromkeys(classes)) or None
    part = None if box is None else Box.parse(box)
    engine = load_engine(settings)
    with database.open_catalog(settings.catalogue_url) as sessions, sessions() as session:
        excluded = engine.serving.generation.gallery.image_ids_of(queries.withdrawn_product_ids(session))
        result = engine.search(picture, Search(count, metric, chosen, excluded=excluded, box=part))
        cards = queries.products_by_ids(session, [hit.product_id for hit in result.hits])
    found = _products(cards, result)
    if as_json:
        out.print_json(json.dumps(_as_json(result, found, metric)))
        return
    where = _listed(result.classes) if result.routing != "all" else "all classes"
    times = ", ".join(f"{name} {ms:.0f} ms" for name, ms in result.timings.items())
    value = "score" if metric == "cosine" else "distance"
    columns = ["sku", "title", "class", value, "match", *(["box"] if result.detections else [])]
    weights = {str(item.box): detection_weight(item) for item in result.detections}
    for item in found:  # by which they are ordered: what a doubtful part found counts for less
        counts = weighted_value(item["distance"], weights.get(item["box"], 1.0), lower_is_better=metric == "euclidean")
        item[value] = abs(counts) if metric == "euclidean" else counts
    lines = [(str(rank), *(_cell(item[column]) for column in columns)) for rank, item in enumerate(found, start=1)]
    title = f"{photo.name} in {where} ({times})"
    table(title, ("", *columns), lines, right=("", value), whole=("", "sku", value, "box"))


def _listed(names: Sequence[str]) -> str:
    more = len(names) - SHOWN
    return ", ".join(names[:SHOWN]) + (f" and {more} more classes" if more > 0 else "")


def _cell(value: object) -> str:
    return f"{value:.3f}" if isinstance(value, float) else str(value or "")


def _products(live: Sequence[ProductCard], result: SearchResult) -> list[dict[str, Any]]:
    """Join hits with the catalogue; products withdrawn since the index was built are left out."""
    cards = {card.product_id: card for card in live}
    return [
        {
            "sku": cards[hit.product_id].sku,
            "title": cards[hit.product_id].title,
            "class": hit.class_name,
            "score": hit.score,
            "distance": hit.value,
            "match": hit.label,
            "box": hit.box and str(hit.box),
        }
        for hit in result.hits
        if hit.product_id in cards
    ]


def _as_json(result: SearchResult, found: list[dict[str, Any]], metric: Metric) -> dict[str, Any]:
    hidden = "distance" if metric == "cosine" else ""
    said = result.predictions
    return {
        "generation": result.generation_id,
        "metric": metric,
        "routing": result.routing,
        "classes": list(result.classes),
        "predicted": said.classes[int(said.winners[0])] if said is not None else None,
        "boxes": [{"box": str(item.box), "confidence": round(item.confidence, 4)} for item in result.detections],
        "timings_ms": dict(result.timings),
        "hits": [{key: value for key, value in item.items() if key != hidden} for item in found],
    }
