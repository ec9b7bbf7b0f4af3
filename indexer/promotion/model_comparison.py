"""Compares two generations, or two detectors, on the photos of the evaluation set, as they would serve shoppers."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from catalog import queries
from indexer.build.run_context import RunContext
from indexer.promotion.evaluation_set import EvaluationSet
from vsearch.detection.detector import OpenDetector
from vsearch.evaluation import comparison
from vsearch.evaluation.comparison import EngineAnswers, Paired, RankingComparison
from vsearch.evaluation.query_sets import Query
from vsearch.index import generation as generations
from vsearch.search.engine import Engine
from vsearch.search.serving import Serving, prepare

IN_USE, CANDIDATE, REFITTED = "the model in use", "the candidate", "the refitted model"


@dataclass(frozen=True)
class ModelComparison:
    """The scores of two models on the evaluation set (`evaluation`), each with an index of the same images.

    Photos whose product was withdrawn or is not in both indexes are skipped.

    Attributes:
        first, second: names of the models.
        comparison: of what they find.
        skipped: number of photos.
        pictures: number of catalog images that were searched.
        evaluation: id and size of the evaluation set.
        synthetic: whether its photos are synthetic.
        class_accuracy: share of the photos whose class is right by the vote; the right one is that of the product in
            the second index. None if there are no class heads.
        milliseconds: median time of a search with each model.
        photos: what each model says about each photo.
    """

    first: str
    second: str
    comparison: RankingComparison
    skipped: int
    pictures: int
    evaluation: str
    synthetic: bool
    class_accuracy: Paired | None = None
    milliseconds: tuple[float, float] = (0.0, 0.0)
    photos: tuple["PhotoComparison", ...] = ()


@dataclass(frozen=True)
class PhotoComparison:
    """What two models say about a photo of the evaluation set.

    Attributes:
        name: of its file.
        skus: of the products that it shows.
        ranks: rank of the first of them with each model; 0 if it is not found.
        class_name: the right class.
        classes: what each model predicts.
    """

    name: str
    skus: tuple[str, ...]
    ranks: tuple[int, int]
    class_name: str
    classes: tuple[str, str]


def compare_generations(
    context: RunContext,
    photos: EvaluationSet,
    folders: tuple[Path, Path],
    names: tuple[str, str],
    detectors: tuple[OpenDetector, OpenDetector] | None = None,
) -> ModelComparison:
    """Evaluate two generations, or two detectors, on the images that are in both, since one may be out of date."""
    servings: list[Serving] = [
        prepare(generations.load(folder), context.settings, open_encoder=context.open_encoder) for folder in folders
    ]
    first, second = (serving.generation.gallery.image_ids for serving in servings)
    common = np.intersect1d(first, second)
    searched = set(common.tolist())
    with context.sessions() as session:
        product_ids = {row.sku: row.product_id for row in queries.gallery_rows(session) if row.image_id in searched}
    names_of_photos, asked = photos.queries(product_ids)
    ranked = []
    for serving, name, open_detector in zip(servings, names, detectors or (context.open_detector,) * 2, strict=True):
        engine = Engine(context.settings, open_detector=open_detector, serving=serving)
        allowed = None if len(serving.generation.gallery) == len(common) else common
        with context.stages(f"evaluate {name}") as advance:
            ranked.append(comparison.rank(engine, asked, allowed=allowed, advance=advance))
    return ModelComparison(
        *names,
        comparison.compare_rankings(ranked[0].product_ids, ranked[1].product_ids, [query.relevant for query in asked]),
        skipped=len(photos.answers) - len(asked),
        pictures=len(common),
        evaluation=str(photos),
        synthetic=photos.kind == "synthetic",
        class_accuracy=_compare_classes(asked, ranked, servings[1]),
        milliseconds=(_median_ms(ranked[0]), _median_ms(ranked[1])),
        photos=tuple(_compare_photos(photos, names_of_photos, asked, ranked, servings[1])),
    )


def _compare_classes(asked: Sequence[Query], ranked: Sequence[EngineAnswers], serving: Serving) -> Paired | None:
    if not all(any(each.classes) for each in ranked):
        return None
    right = [_classes_of(query, serving) for query in asked]
    scores = [np.array([name in names for name, names in zip(each.classes, right, strict=True)]) for each in ranked]
    return comparison.compare_scores(scores[0].astype(np.float64), scores[1].astype(np.float64))


def _compare_photos(
    photos: EvaluationSet,
    names: Sequence[str],
    asked: Sequence[Query],
    ranked: Sequence[EngineAnswers],
    serving: Serving,
) -> Iterator[PhotoComparison]:
    for row, (name, query) in enumerate(zip(names, asked, strict=True)):
        first, second = (_first_rank(each.product_ids[row], query) for each in ranked)
        yield PhotoComparison(
            name=name,
            skus=tuple(sorted(photos.answers[name])),
            ranks=(first, second),
            class_name=", ".join(sorted(_classes_of(query, serving))),
            classes=(ranked[0].classes[row], ranked[1].classes[row]),
        )


def _first_rank(product_ids: NDArray[np.int64], query: Query) -> int:
    found = np.flatnonzero(np.isin(product_ids, list(query.relevant)))
    return int(found[0]) + 1 if len(found) else 0


def _classes_of(query: Query, serving: Serving) -> set[str]:
    """Return the classes that the relevant products have in an index."""
    gallery = serving.generation.gallery
    image_ids = [gallery.image_ids_of(product_id)[0] for product_id in query.relevant]
    return {name for name, index in gallery.indexes["cosine"].items() for each in image_ids if each in index}


def _median_ms(ranking: EngineAnswers) -> float:
    return round(1000 * float(np.median(ranking.seconds)), 1)
