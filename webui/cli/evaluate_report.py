"""What the evaluations have in common: the catalogue to search, the baselines beside it, and the tables."""

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
from vsearch.evaluation.evaluate import Query, Scores, photos_of, score
from vsearch.evaluation.rankers import LABELS, Descriptor, Ranking, rank_by_engine
from vsearch.imaging.codec import Picture, decode
from vsearch.search.engine import Engine

_MEASURES = {"hit@1": "hit_at_1", "hit@5": "hit_at_5", "hit@10": "hit_at_10", "mAP@R": "map_at_r"}
_BASELINES = {"HOG": rankers.hog, "Lab histogram": rankers.lab_histogram}


@dataclass(frozen=True)
class Shop:
    """The catalogue as the live index sees it."""

    rows: list[GalleryRow]
    first: dict[str, GalleryRow]
    """The first picture of each product, by sku."""
    store: ImageStore

    @classmethod
    def open(cls, settings: Settings) -> "Shop":
        """Read it."""
        with database.open_catalog(settings.catalogue_url) as sessions, sessions() as session:
            rows = queries.gallery_rows(session)
        return cls(rows, {row.sku: row for row in reversed(rows)}, ImageStore(settings.pictures))

    def picture(self, row: GalleryRow) -> Picture:
        """Return a catalogue picture."""
        return decode(self.store.read(row.sha256))

    def row(self, sku: str) -> GalleryRow:
        """Return the first picture of a product.

        Raises:
            DatasetError: no product with a picture has this sku.
        """
        if sku not in self.first:
            raise DatasetError(
                f"Queries must be of catalogue products with a picture, but sku {sku!r} is not one; "
                "correct or leave out that line."
            )
        return self.first[sku]

    def baselines(self) -> list[Descriptor]:
        """Describe all pictures by each baseline."""
        gallery = [self.picture(row) for row in self.rows]
        ids = np.array([row.product_id for row in self.rows], np.int64)
        return [Descriptor(name, describe, gallery, ids) for name, describe in _BASELINES.items()]


@dataclass(frozen=True)
class Test:
    """Queries that are asked together, and what they are."""

    title: str
    queries: Sequence[Query]


@dataclass(frozen=True)
class _Answered:
    test: Test
    rankings: tuple[Ranking, ...]

    def scores(self, chosen: Sequence[int] | None = None) -> list[Scores]:
        """Estimate every searcher on all queries, or on those chosen."""
        rows = list(range(len(self.test.queries)) if chosen is None else chosen)
        asked = [self.test.queries[row] for row in rows]
        return [score(ranking.name, ranking.ids[rows], asked) for ranking in self.rankings]

    def areas(self, unrelated: Sequence[Ranking]) -> list[Estimate]:
        """The AUROC of each searcher's best score against its best scores of unrelated photos; the first twice."""
        groups = photos_of(self.test.queries)
        pairs = zip(self.rankings, unrelated, strict=True)
        return [auroc_interval(ours.best, theirs.best, groups) for ours, theirs in pairs]

    def by_category(self) -> dict[str, list[int]]:
        """Return which queries each category has."""
        found: dict[str, list[int]] = {}
        for row, query in sorted(enumerate(self.test.queries), key=lambda pair: pair[1].category):
            found.setdefault(query.category, []).append(row)
        return found


def report(
    engine: Engine,
    shop: Shop,
    tests: Mapping[str, Test],
    *,
    unrelated: Sequence[Picture] = (),
    by_category: bool = False,
    as_json: bool = False,
) -> None:
    """Let the live index and the baselines answer tests, by name, and print how they did.

    Args:
        engine: serves the live index.
        shop: its catalogue.
        tests: one or more; of a single one the JSON has no name around it.
        unrelated: pictures of things that the catalogue does not have.
        by_category: print a table by category too.
        as_json: print JSON instead of tables.
    """
    baselines = shop.baselines()
    answered = {name: _Answered(test, _ranked(engine, baselines, test.queries)) for name, test in tests.items()}
    strangers = _ranked(engine, baselines, [Query(picture, frozenset()) for picture in unrelated]) if unrelated else ()
    if as_json:
        plain = {name: _plain(answers, strangers, by_category) for name, answers in answered.items()}
        said: Any = plain if len(plain) > 1 else next(iter(plain.values()))
        out.print_json(json.dumps(said))
        return
    for answers in answered.values():
        _show(answers, len(shop.rows))
        if by_category:
            _show_categories(answers)
    if strangers:
        _show_no_match(answered, strangers)


def _ranked(engine: Engine, baselines: Sequence[Descriptor], asked: Sequence[Query]) -> tuple[Ranking, ...]:
    with progress("search") as advance:
        return (*rank_by_engine(engine, asked, advance=advance), *(baseline.rank(asked) for baseline in baselines))


def _show(answers: _Answered, pictures: int) -> None:
    scores = answers.scores()
    graded = scores[0].ndcg_at_10 is not None
    columns = ("searcher", *_MEASURES, *(["nDCG@10"] if graded else []))
    title = f"{answers.test.title}: {len(answers.test.queries)} queries, {pictures} pictures (percent, 95 % interval)"
    table(title, columns, [(found.name, *map(str, _values(found).values())) for found in scores], right=columns[1:])
    out.print(f"routing loss at hit@1: {_loss(scores):.3f} (routed divided by all; 1 is no loss)\n")


def _show_categories(answers: _Answered) -> None:
    lines = []
    for category, rows in answers.by_category().items():
        _, routed, *baselines = answers.scores(rows)
        values = [*_values(routed).values(), *(found.hit_at_1 for found in baselines)]
        lines.append((category, str(len(rows)), *map(str, values)))
    graded = any(query.grades is not None for query in answers.test.queries)
    columns = ("category", "queries", *_MEASURES, *(["nDCG@10"] if graded else []), *(f"{n} hit@1" for n in _BASELINES))
    table(f"{answers.test.title}, by category, routed", columns, lines, right=columns[1:])


def _show_no_match(answered: Mapping[str, _Answered], strangers: Sequence[Ranking]) -> None:
    """Print how well scores tell known things from unrelated ones, and what the page would call the closest product."""
    lines = []
    blank = [""] * (2 + len(_BASELINES))
    for name, answers in answered.items():
        everywhere, _, *baselines = answers.areas(strangers)
        asked = answers.rankings[0]
        lines.append((name, str(len(asked.ids)), *map(str, (everywhere, *baselines)), *_shares(asked.labels)))
        lines.append((f"{name}, product not sold", *blank, *_shares(asked.unsold)))
    lines.append(("unrelated", str(len(strangers[0].ids)), *blank[1:], *_shares(strangers[0].labels)))
    columns = ("photos", "queries", "AUROC", *(f"{name} AUROC" for name in _BASELINES), *LABELS)
    table(
        "Known against unrelated by best score, and what the page calls it (percent)", columns, lines, right=columns[1:]
    )


def _values(found: Scores) -> dict[str, Estimate]:
    values: dict[str, Estimate] = {name: getattr(found, name) for name in _MEASURES.values()}
    return values if found.ndcg_at_10 is None else {**values, "ndcg_at_10": found.ndcg_at_10}


def _shares(labels: Sequence[str]) -> list[str]:
    return [f"{100 * share:.1f}" for share in _label_shares(labels).values()]


def _label_shares(labels: Sequence[str]) -> dict[str, float]:
    return {label: sum(found == label for found in labels) / len(labels) for label in LABELS}


def _loss(scores: Sequence[Scores]) -> float:
    return metrics.routing_loss(scores[1].by_query, scores[0].by_query)


def _plain(answers: _Answered, strangers: Sequence[Ranking], by_category: bool) -> dict[str, Any]:
    scores = answers.scores()
    plain: dict[str, Any] = {
        "title": answers.test.title,
        "queries": len(answers.test.queries),
        "routing_loss": _loss(scores),
        "scores": [_means(found) for found in scores],
    }
    if by_category:
        rows_of = answers.by_category().items()
        plain["categories"] = {
            name: {"queries": len(rows), "scores": [_means(found) for found in answers.scores(rows)]}
            for name, rows in rows_of
        }
    if strangers:
        areas = zip(answers.rankings, answers.areas(strangers), strict=True)
        plain["auroc"] = {ranking.name: [area.mean, area.low, area.high] for ranking, area in areas}
        plain["match"] = {
            "known": _label_shares(answers.rankings[0].labels),
            "not_sold": _label_shares(answers.rankings[0].unsold),
            "unrelated": _label_shares(strangers[0].labels),
        }
    return plain


def _means(found: Scores) -> dict[str, object]:
    values = _values(found)
    intervals = {name: [value.low, value.high] for name, value in values.items()}
    return {"name": found.name, **{name: value.mean for name, value in values.items()}, "intervals": intervals}
