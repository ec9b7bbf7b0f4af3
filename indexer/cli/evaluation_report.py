"""Evaluate the published index and the baselines, and print the scores."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from catalog import database, queries
from catalog.image_store import ImageStore
from catalog.queries import GalleryRow
from vsearch.cli.console import out, progress, table
from vsearch.core.errors import DatasetError
from vsearch.core.settings import Settings
from vsearch.evaluation import rankers
from vsearch.evaluation.bootstrap import Estimate, auroc_interval
from vsearch.evaluation.query_sets import Query, photo_groups
from vsearch.evaluation.rankers import MATCH_LABELS, DescriptorRanker, Ranking, rank_by_engine, score
from vsearch.imaging.codec import Picture, decode
from vsearch.search.engine import Engine

_BASELINES = {"HOG": rankers.hog, "Lab histogram": rankers.lab_histogram}


@dataclass(frozen=True)
class CatalogImages:
    """The images of the catalog."""

    rows: list[GalleryRow]
    first: dict[str, GalleryRow]
    """The first image of each product, by SKU."""
    store: ImageStore

    @classmethod
    def open(cls, settings: Settings) -> "CatalogImages":
        """Read the rows."""
        with database.open_catalog(settings.catalog_url) as sessions, sessions() as session:
            rows = queries.gallery_rows(session)
        return cls(rows, {row.sku: row for row in reversed(rows)}, ImageStore(settings.pictures))

    def picture(self, row: GalleryRow) -> Picture:
        """Return an image."""
        return decode(self.store.read(row.sha256))

    def row(self, sku: str) -> GalleryRow:
        """Return the first image of a product.

        Raises:
            DatasetError: no product with an image has this SKU.
        """
        if sku not in self.first:
            raise DatasetError(f"The catalog has no product {sku!r} with an image. Correct or remove that line.")
        return self.first[sku]


QuerySet = tuple[str, Sequence[Query]]
"""A title, and queries that are evaluated together."""


def report(
    engine: Engine,
    catalog: CatalogImages,
    query_sets: Mapping[str, QuerySet],
    *,
    unrelated: Sequence[Picture] = (),
    by_category: bool = False,
    as_json: bool = False,
) -> None:
    """Evaluate the published index and the baselines on query sets, and print the scores, optionally by category.

    Args:
        unrelated: images of things that are not in the catalog, to be distinguished from the queries.
        as_json: print JSON instead of tables; for a single query set, its scores are not nested under its name.
    """
    gallery, ids = [catalog.picture(row) for row in catalog.rows], [row.product_id for row in catalog.rows]
    baselines = [DescriptorRanker(name, describe, gallery, np.array(ids)) for name, describe in _BASELINES.items()]
    others = _rank(engine, baselines, [Query(picture, frozenset()) for picture in unrelated]) if unrelated else ()
    results = {
        name: {"title": title} | _evaluate(queries, _rank(engine, baselines, queries), others, by_category)
        for name, (title, queries) in query_sets.items()
    }
    if as_json:
        plain = results if len(results) > 1 else next(iter(results.values()))
        out.print_json(json.dumps(plain, default=asdict))
        return
    for result in results.values():
        _print_scores(result, len(catalog.rows))
    if others:
        _print_no_match(results, len(unrelated))


def _rank(engine: Engine, baselines: Sequence[DescriptorRanker], asked: Sequence[Query]) -> tuple[Ranking, ...]:
    with progress("search") as advance:
        return (*rank_by_engine(engine, asked, advance=advance), *(baseline.rank(asked) for baseline in baselines))


def _evaluate(
    queries: Sequence[Query], rankings: Sequence[Ranking], unrelated: Sequence[Ranking], by_category: bool
) -> dict[str, Any]:
    result = _score(rankings, queries, range(len(queries)))
    if by_category:
        rows: dict[str, list[int]] = {}
        for row, query in sorted(enumerate(queries), key=lambda pair: pair[1].category):
            rows.setdefault(query.category, []).append(row)
        result["categories"] = {name: _score(rankings, queries, chosen) for name, chosen in rows.items()}
    if unrelated:
        groups = photo_groups(queries)
        result["auroc"] = {
            ours.name: auroc_interval(ours.best, theirs.best, groups)
            for ours, theirs in zip(rankings, unrelated, strict=True)
        }
        labels = {"known": rankings[0].labels, "not_sold": rankings[0].unsold, "unrelated": unrelated[0].labels}
        result["match"] = {
            kind: {label: found.count(label) / len(found) for label in MATCH_LABELS} for kind, found in labels.items()
        }
    return result


def _score(rankings: Sequence[Ranking], queries: Sequence[Query], rows: Sequence[int]) -> dict[str, Any]:
    chosen = list(rows)
    scores = {ranking.name: score(ranking.ids[chosen], [queries[row] for row in chosen]) for ranking in rankings}
    everywhere, routed = (found["hit@1"].mean for found in list(scores.values())[:2])
    return {"queries": len(chosen), "scores": scores, "routing_loss": routed / everywhere if everywhere else 1.0}


def _print_scores(result: Mapping[str, Any], images: int) -> None:
    scores: dict[str, dict[str, Estimate]] = result["scores"]
    columns = tuple(next(iter(scores.values())))
    title = f"{result['title']}: {result['queries']} queries, {images} pictures (percent, 95 % interval)"
    lines = [(name, *map(str, found.values())) for name, found in scores.items()]
    table(title, ("ranker", *columns), lines, right=columns)
    out.print(f"routing loss at hit@1: {result['routing_loss']:.3f} (routed divided by all; 1 means no loss)\n")
    if "categories" in result:
        lines = []
        for category, part in result["categories"].items():
            _, routed, *others = part["scores"].values()
            found = [routed.get(column, "") for column in columns] + [other["hit@1"] for other in others]
            lines.append((category, str(part["queries"]), *map(str, found)))
        columns = ("queries", *columns, *(f"{name} hit@1" for name in _BASELINES))
        table(f"{result['title']}, by category, routed", ("category", *columns), lines, right=columns)


def _print_no_match(results: Mapping[str, Mapping[str, Any]], unrelated: int) -> None:
    """Print how well scores separate catalog products from unrelated images, and how often each match label occurs."""
    lines = []
    blank = [""] * (1 + len(_BASELINES))
    for name, result in results.items():
        shares = {kind: [f"{100 * share:.1f}" for share in found.values()] for kind, found in result["match"].items()}
        everywhere, _, *others = map(str, result["auroc"].values())
        lines.append((name, str(result["queries"]), everywhere, *others, *shares["known"]))
        lines.append((f"{name}, product not sold", "", *blank, *shares["not_sold"]))
    lines.append(("unrelated", str(unrelated), *blank, *shares["unrelated"]))
    columns = ("queries", "AUROC", *(f"{name} AUROC" for name in _BASELINES), *MATCH_LABELS)
    title = "Catalog products against unrelated images, and match labels (percent)"
    table(title, ("photos", *columns), lines, right=columns)
