"""Product rankers: the published index (routed and across all classes) and descriptor baselines."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import get_args

import numpy as np
from numpy.typing import NDArray
from skimage.feature import hog as hog_features

from vsearch.core.progress import ProgressCallback, no_progress
from vsearch.core.vectors import PADDING, l2_normalize
from vsearch.evaluation import retrieval_metrics
from vsearch.evaluation.bootstrap import Estimate, Floats, Ids, mean_interval
from vsearch.evaluation.query_sets import Query, photo_groups
from vsearch.imaging import descriptors
from vsearch.imaging.codec import Picture
from vsearch.imaging.geometry import Box
from vsearch.imaging.preprocess import fit_square, trim
from vsearch.index.generation import MatchLabel
from vsearch.models.class_heads import CLASS
from vsearch.search.engine import ALL, Engine, Search
from vsearch.search.merging import LabeledHit, SearchResult

MATCH_LABELS: tuple[MatchLabel, ...] = get_args(MatchLabel)
"""From the closest match to none."""

_HOG_SIDE = 96  # px
_NO_SCORE = -1.0  # the lowest cosine, for a search without results


@dataclass(frozen=True)
class Ranking:
    """The results of a ranker for q queries; everything after `best` is only set by the engine."""

    name: str
    ids: Ids  # product ids, best first, int64 [q, k], padded with -1
    best: Floats  # score of the first product (for the engine, its highest margin), float64 [q]
    first: tuple[MatchLabel, ...] = ()  # match label of the first product
    labels: tuple[MatchLabel, ...] = ()  # match label of the closest product
    unsold: tuple[MatchLabel, ...] = ()  # of the first product if the relevant ones are not sold
    unsold_variants: tuple[MatchLabel, ...] = ()  # the same if neither are their other colors and sizes
    classes: tuple[str, ...] = ()  # the most probable class, which the search page offers first
    boxes: tuple[Box | None, ...] = ()  # the region that found the first product; None means the whole photo


def score(ranked: Ids, queries: Sequence[Query]) -> dict[str, Estimate]:
    """Return the mean scores of rankings [q, k], with k at least `required_depth`; intervals resample photos.

    nDCG@10 is only included if a query has grades.
    """
    right = retrieval_metrics.relevance(ranked, [query.relevant for query in queries])
    values = {f"hit@{k}": retrieval_metrics.hit_at_k(right, k) for k in (1, 5, 10)}
    values["mAP@R"] = retrieval_metrics.average_precision_at_r(right, [len(query.relevant) for query in queries])
    if any(query.grades is not None for query in queries):
        grades = [dict.fromkeys(query.relevant, 1.0) if query.grades is None else query.grades for query in queries]
        values["nDCG@10"] = retrieval_metrics.ndcg_at_k(ranked, grades, 10)
    groups = photo_groups(queries)
    return {name: mean_interval(found, groups) for name, found in values.items()}


def required_depth(queries: Sequence[Query]) -> int:
    """Return the number of products that each ranker must return."""
    return max(10, *(len(query.relevant) for query in queries))


def rank_by_engine(
    engine: Engine, queries: Sequence[Query], *, advance: ProgressCallback = no_progress
) -> tuple[Ranking, Ranking]:
    """Rank with the published generation, in all classes and in the classes that each image is routed to."""
    everywhere: list[SearchResult] = []
    routed: list[SearchResult] = []
    search = Search(k=required_depth(queries) + max(len(query.neutral | query.variants) for query in queries) + 1)
    for number, query in enumerate(queries, start=1):  # the second search of a query does not encode again
        wanted = replace(search, box=query.box)
        for variant, results in ((replace(wanted, classes=ALL), everywhere), (wanted, routed)):
            found = engine.search(query.picture, variant)
            kept = tuple(hit for hit in found.hits if hit.product_id not in query.neutral)
            results.append(replace(found, hits=kept))
        advance(number, len(queries))
    return _ranking("vsearch, all classes", everywhere, queries), _ranking("vsearch, routed", routed, queries)


class DescriptorRanker:
    """A baseline that ranks products by the cosine similarity of a descriptor to their best catalog image."""

    def __init__(
        self,
        name: str,
        describe: Callable[[Picture], NDArray[np.float32]],
        gallery: Iterable[Picture],
        product_ids: Ids,
    ) -> None:
        self._name, self._describe, self._product_ids = name, describe, product_ids
        self._vectors = l2_normalize(np.stack([describe(picture) for picture in gallery]))

    def rank(self, queries: Sequence[Query]) -> Ranking:
        """Rank `required_depth` products for each query."""
        depth = required_depth(queries)
        ids = np.full((len(queries), depth), PADDING, np.int64)
        best = np.full(len(queries), _NO_SCORE)
        for row, query in enumerate(queries):
            scores = self._vectors @ l2_normalize(self._describe(query.part))
            scores[np.isin(self._product_ids, list(query.neutral))] = -np.inf
            order = np.argsort(-scores, kind="stable")[: np.isfinite(scores).sum()]
            _, first = np.unique(self._product_ids[order], return_index=True)
            found = self._product_ids[order][np.sort(first)][:depth]
            ids[row, : len(found)] = found
            best[row] = scores[order[0]] if len(order) else _NO_SCORE
        return Ranking(self._name, ids, best)


def hog(picture: Picture) -> NDArray[np.float32]:
    """Return the histogram of oriented gradients (Dalal & Triggs, CVPR 2005) of the trimmed image [1764].

    9 orientations, cells of 12 px, blocks of 2 x 2 cells.
    """
    features: NDArray[np.float64] = hog_features(
        fit_square(trim(picture), _HOG_SIDE),
        orientations=9, pixels_per_cell=(12, 12), cells_per_block=(2, 2), channel_axis=-1,
    )  # fmt: skip
    return features.astype(np.float32)


def lab_histogram(picture: Picture) -> NDArray[np.float32]:
    """Return the Lab histogram of the trimmed image [768]."""
    return descriptors.color_histogram(fit_square(trim(picture), descriptors.COLOR_SIDE))


def _ranking(name: str, results: Sequence[SearchResult], queries: Sequence[Query]) -> Ranking:
    depth = required_depth(queries)
    ids = np.full((len(results), depth), PADDING, np.int64)
    for row, result in zip(ids, results, strict=True):
        found = [hit.product_id for hit in result.hits[:depth]]
        row[: len(found)] = found
    pairs = list(zip(results, queries, strict=True))
    return Ranking(
        name,
        ids,
        best=np.array([max((hit.margin for hit in result.hits), default=_NO_SCORE) for result in results]),
        first=tuple(_closest(result.hits[:1]) for result in results),
        labels=tuple(_closest(result.hits) for result in results),
        unsold=tuple(_closest(result.hits, query.relevant) for result, query in pairs),
        unsold_variants=tuple(_closest(result.hits, query.relevant | query.variants) for result, query in pairs),
        classes=tuple(map(_likeliest_class, results)),
        boxes=tuple(result.box for result in results),
    )


def _closest(hits: Sequence[LabeledHit], left_out: frozenset[int] = frozenset()) -> MatchLabel:
    labels = (hit.label for hit in hits if hit.product_id not in left_out)
    return min(labels, key=MATCH_LABELS.index, default=MATCH_LABELS[-1])


def _likeliest_class(result: SearchResult) -> str:
    predictions = result.predictions
    if predictions is None:
        return result.known_classes[0]
    return predictions.vote(CLASS)[0]
