"""What answers the queries of a test: the live search, routed and in all classes, and plain descriptors beside it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from vsearch.core.progress import ProgressCallback, no_progress
from vsearch.evaluation import metrics
from vsearch.evaluation.bootstrap import Floats, Ids
from vsearch.evaluation.evaluate import Query, depth
from vsearch.imaging import descriptors
from vsearch.imaging.codec import Picture
from vsearch.imaging.preprocess import half_squash, trim
from vsearch.index.manifest import MatchLabel
from vsearch.search.engine import ALL, Engine, Search
from vsearch.search.merging import LabeledHit

LABELS: tuple[MatchLabel, ...] = get_args(MatchLabel)
"""From the closest to none."""

_NO_SCORE = -1.0  # the least cosine: of a search that finds nothing


@dataclass(frozen=True)
class Ranking:
    """What a searcher answers to q queries.

    Attributes:
        name: of the searcher.
        ids: product ids, best first, int64 [q, k], padded with -1.
        best: score of the first product, of the live search its margin, float64 [q].
        labels: what the page would call the closest product, q words; none of a searcher that has no words.
        unsold: the same, had the shop none of the right products.
    """

    name: str
    ids: Ids
    best: Floats
    labels: tuple[MatchLabel, ...] = ()
    unsold: tuple[MatchLabel, ...] = ()


def rank_by_engine(
    engine: Engine, queries: Sequence[Query], *, advance: ProgressCallback = no_progress
) -> tuple[Ranking, Ranking]:
    """Rank with the live generation: in all classes, and in those that each photo decides on -> k = `depth`."""
    everywhere: list[list[LabeledHit]] = []
    routed: list[list[LabeledHit]] = []
    search = Search(k=depth(queries) + 1)
    for number, query in enumerate(queries, start=1):  # one after the other: the second does not encode again
        asked = replace(search, box=query.box)
        for wish, answers in ((replace(asked, classes=ALL), everywhere), (asked, routed)):
            hits = engine.search(query.picture, wish).hits
            answers.append([hit for hit in hits if hit.product_id != query.itself][: search.k - 1])
        advance(number, len(queries))
    return _ranking("vsearch, all classes", everywhere, queries), _ranking("vsearch, routed", routed, queries)


class Descriptor:
    """A baseline: the cosine of a descriptor over all gallery pictures, a product by its best picture.

    Args:
        name: of the searcher.
        describe: picture -> float32 [d].
        gallery: n pictures, described at once.
        product_ids: theirs, int64 [n].
    """

    def __init__(
        self,
        name: str,
        describe: Callable[[Picture], NDArray[np.float32]],
        gallery: Sequence[Picture],
        product_ids: Ids,
    ) -> None:
        self._name, self._describe, self._product_ids = name, describe, product_ids
        self._vectors = metrics.l2_normalize(np.stack([describe(picture) for picture in gallery]))

    def rank(self, queries: Sequence[Query]) -> Ranking:
        """Rank for each query -> k = `depth`."""
        wanted = depth(queries)
        ids = np.full((len(queries), wanted), metrics.PADDING, np.int64)
        best = np.full(len(queries), _NO_SCORE)
        for row, query in enumerate(queries):
            scores = self._vectors @ metrics.l2_normalize(self._describe(query.part))
            scores[self._product_ids == query.itself] = -np.inf
            order = np.argsort(-scores, kind="stable")[: np.isfinite(scores).sum()]
            _, first = np.unique(self._product_ids[order], return_index=True)
            found = self._product_ids[order][np.sort(first)][:wanted]
            ids[row, : len(found)] = found
            best[row] = scores[order[0]] if len(order) else _NO_SCORE
        return Ranking(self._name, ids, best)


def hog(picture: Picture) -> NDArray[np.float32]:
    """The HOG baseline (scikit-image): of the trimmed picture, as good as HOG gets without learning -> [1764]."""
    return descriptors.shape(half_squash(trim(picture), descriptors.SHAPE_SIDE))


def lab_histogram(picture: Picture) -> NDArray[np.float32]:
    """The colour baseline: Lab histogram of the trimmed picture -> [768]."""
    return descriptors.colour(half_squash(trim(picture), descriptors.COLOUR_SIDE))


def _ranking(name: str, answers: Sequence[Sequence[LabeledHit]], queries: Sequence[Query]) -> Ranking:
    ids = np.full((len(answers), depth(queries)), metrics.PADDING, np.int64)
    for row, hits in zip(ids, answers, strict=True):
        row[: len(hits)] = [hit.product_id for hit in hits]
    best = np.array([max(hit.margin for hit in hits) if hits else _NO_SCORE for hits in answers])
    asked = zip(answers, queries, strict=True)
    others = [[hit for hit in hits if hit.product_id not in query.relevant] for hits, query in asked]
    return Ranking(name, ids, best, tuple(map(_closest, answers)), tuple(map(_closest, others)))


def _closest(hits: Sequence[LabeledHit]) -> MatchLabel:
    return min((hit.label for hit in hits), key=LABELS.index, default=LABELS[-1])
