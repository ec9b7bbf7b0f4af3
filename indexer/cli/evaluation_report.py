"""Running an evaluation on the published index and the baselines, and printing its scores."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from catalog import database, queries
from catalog.image_store import ImageStore
from catalog.queries import GalleryRow
from vsearch.cli.console import out, progress, table
from vsearch.core.errors import DatasetError
from vsearch.core.settings import Settings
from vsearch.evaluation import metrics, rankers
from vsearch.evaluation.bootstrap import Estimate, auroc_interval
from vsearch.evaluation.queries import Query, photo_groups
from vsearch.evaluation.rankers import MATCH_LABELS, DescriptorRanker, Ranking, Scores, rank_by_engine, score
from vsearch.imaging.codec import Picture, decode
from vsearch.search.engine import Engine

_SCORES = {"hit@1": "hit_at_1", "hit@5": "hit_at_5", "hit@10": "hit_at_10", "mAP@R": "map_at_r"}
_BASELINES = {"HOG": rankers.hog, "Lab histogram": rankers.lab_histogram}


@dataclass(frozen=True)
class CatalogImages:
    """The images of the catalog."""

    rows: list[GalleryRow]
    first: dict[str, GalleryRow]
    """The first image of each product, by sku."""
    store: ImageStore

    @classmethod
    def open(cls, settings: Settings) -> "CatalogImages":
        """Read the rows."""
        with database.open_catalog(settings.catalogue_url) as sessions, sessions() as session:
            rows = queries.gallery_rows(session)
        return cls(rows, {row.sku: row for row in reversed(rows)}, ImageStore(settings.pictures))

    def picture(self, row: GalleryRow) -> Picture:
        """Return an image."""
        return decode(self.store.read(row.sha256))

    def row(self, sku: str) -> GalleryRow:
        """Return the first image of a product.

        Raises:
            DatasetError: no product with an image has this sku.
        """
        if sku not in self.first:
            raise DatasetError(f"The catalog has no product {sku!r} with an image. Correct or remove that line.")
        return self.first[sku]

    def baselines(self) -> list[DescriptorRanker]:
        """Return the baseline rankers."""
        gallery = [self.picture(row) for row in self.rows]
        ids = np.array([row.product_id for row in self.rows], np.int64)
        return [DescriptorRanker(name, describe, gallery, ids) for name, describe in _BASELINES.items()]


@dataclass(frozen=True)
class QuerySet:
    """Queries that are evaluated together."""

    title: str
    queries: Sequence[Query]


@dataclass(frozen=True)
class _Evaluation:
    query_set: QuerySet
    rankings: tuple[Ranking, ...]

    def scores(self, rows: Sequence[int] | None = None) -> list[Scores]:
        """Score every ranker on all queries, or on some."""
        chosen = list(range(len(self.query_set.queries)) if rows is None else rows)
        asked = [self.query_set.queries[row] for row in chosen]
        return [score(ranking.name, ranking.ids[chosen], asked) for ranking in self.rankings]

    def aurocs(self, unrelated: Sequence[Ranking]) -> list[Estimate]:
        """Return how well each ranker's best score separates the queries from unrelated images."""
        groups = photo_groups(self.query_set.queries)
        pairs = zip(self.rankings, unrelated, strict=True)
        return [auroc_interval(ours.best, theirs.best, groups) for ours, theirs in pairs]

    def by_category(self) -> dict[str, list[int]]:
        """Return the rows of the queries of each category."""
        rows: dict[str, list[int]] = {}
        for row, query in sorted(enumerate(self.query_set.queries), key=lambda pair: pair[1].category):
            rows.setdefault(query.category, []).append(row)
        return rows


def report(
    engine: Engine,
    catalog: CatalogImages,
    query_sets: Mapping[str, QuerySet],
    *,
    unrelated: Sequence[Picture] = (),
    by_category: bool = False,
    as_json: bool = False,
) -> None:
    """Evaluate the published index and the baselines on query sets, and print the scores.

    Args:
        engine: serves the published index.
        catalog: for the baselines.
        query_sets: name -> queries; the JSON of a single one has no name around it.
        unrelated: images of things that are not in the catalog.
        by_category: also print a table by category.
        as_json: print JSON instead of tables.
    """
    baselines = catalog.baselines()
    evaluations = {
        name: _Evaluation(query_set, _rank(engine, baselines, query_set.queries))
        for name, query_set in query_sets.items()
    }
    others = _rank(engine, baselines, [Query(picture, frozenset()) for picture in unrelated]) if unrelated else ()
    if as_json:
        plain = {name: _to_json(evaluation, others, by_category) for name, evaluation in evaluations.items()}
        out.print_json(json.dumps(plain if len(plain) > 1 else next(iter(plain.values()))))
        return
    for evaluation in evaluations.values():
        _print_scores(evaluation, len(catalog.rows))
        if by_category:
            _print_categories(evaluation)
    if others:
        _print_no_match(evaluations, others)


def _rank(engine: Engine, baselines: Sequence[DescriptorRanker], asked: Sequence[Query]) -> tuple[Ranking, ...]:
    with progress("search") as advance:
        return (*rank_by_engine(engine, asked, advance=advance), *(baseline.rank(asked) for baseline in baselines))


def _print_scores(evaluation: _Evaluation, images: int) -> None:
    scores, query_set = evaluation.scores(), evaluation.query_set
    columns = ("ranker", *_SCORES, *(["nDCG@10"] if scores[0].ndcg_at_10 else []))
    title = f"{query_set.title}: {len(query_set.queries)} queries, {images} pictures (percent, 95 % interval)"
    table(title, columns, [(found.name, *map(str, _estimates(found).values())) for found in scores], right=columns[1:])
    out.print(f"routing loss at hit@1: {_loss(scores):.3f} (routed divided by all; 1 is no loss)\n")


def _print_categories(evaluation: _Evaluation) -> None:
    lines, graded = [], False
    for category, rows in evaluation.by_category().items():
        _, routed, *baselines = evaluation.scores(rows)
        graded = graded or routed.ndcg_at_10 is not None
        estimates = [*_estimates(routed).values(), *(found.hit_at_1 for found in baselines)]
        lines.append((category, str(len(rows)), *map(str, estimates)))
    columns = ("category", "queries", *_SCORES, *(["nDCG@10"] if graded else []), *(f"{n} hit@1" for n in _BASELINES))
    table(f"{evaluation.query_set.title}, by category, routed", columns, lines, right=columns[1:])


def _print_no_match(evaluations: Mapping[str, _Evaluation], unrelated: Sequence[Ranking]) -> None:
    """Print how well scores separate catalog products from unrelated images, and the shares of match labels."""
    lines = []
    blank = [""] * (2 + len(_BASELINES))
    for name, evaluation in evaluations.items():
        everywhere, _, *baselines = evaluation.aurocs(unrelated)
        ranking = evaluation.rankings[0]
        lines.append((name, str(len(ranking.ids)), *map(str, (everywhere, *baselines)), *_percentages(ranking.labels)))
        lines.append((f"{name}, product not sold", *blank, *_percentages(ranking.unsold)))
    lines.append(("unrelated", str(len(unrelated[0].ids)), *blank[1:], *_percentages(unrelated[0].labels)))
    columns = ("photos", "queries", "AUROC", *(f"{name} AUROC" for name in _BASELINES), *MATCH_LABELS)
    table("Catalog products against unrelated images, and match labels (percent)", columns, lines, right=columns[1:])


def _estimates(found: Scores) -> dict[str, Estimate]:
    estimates: dict[str, Estimate] = {name: getattr(found, name) for name in _SCORES.values()}
    return estimates if found.ndcg_at_10 is None else {**estimates, "ndcg_at_10": found.ndcg_at_10}


def _percentages(labels: Sequence[str]) -> list[str]:
    return [f"{100 * share:.1f}" for share in _label_shares(labels).values()]


def _label_shares(labels: Sequence[str]) -> dict[str, float]:
    return {label: sum(found == label for found in labels) / len(labels) for label in MATCH_LABELS}


def _loss(scores: Sequence[Scores]) -> float:
    return metrics.routing_loss(scores[1].hits, scores[0].hits)


def _to_json(evaluation: _Evaluation, unrelated: Sequence[Ranking], by_category: bool) -> dict[str, Any]:
    scores = evaluation.scores()
    plain: dict[str, Any] = {
        "title": evaluation.query_set.title,
        "queries": len(evaluation.query_set.queries),
        "routing_loss": _loss(scores),
        "scores": [_scores_to_json(found) for found in scores],
    }
    if by_category:
        plain["categories"] = {
            name: {"queries": len(rows), "scores": [_scores_to_json(found) for found in evaluation.scores(rows)]}
            for name, rows in evaluation.by_category().items()
        }
    if unrelated:
        areas = zip(evaluation.rankings, evaluation.aurocs(unrelated), strict=True)
        plain["auroc"] = {ranking.name: [area.mean, area.low, area.high] for ranking, area in areas}
        plain["match"] = {
            "known": _label_shares(evaluation.rankings[0].labels),
            "not_sold": _label_shares(evaluation.rankings[0].unsold),
            "unrelated": _label_shares(unrelated[0].labels),
        }
    return plain


def _scores_to_json(found: Scores) -> dict[str, object]:
    estimates = _estimates(found)
    intervals = {name: [value.low, value.high] for name, value in estimates.items()}
    return {"name": found.name, **{name: value.mean for name, value in estimates.items()}, "intervals": intervals}
