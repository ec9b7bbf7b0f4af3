"""Search results, and the merging of hits from several regions of a photo. Pure functions."""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from vsearch.detection.detector import Detection
from vsearch.imaging.geometry import Box
from vsearch.index.gallery import Hit
from vsearch.index.generation import MatchLabel
from vsearch.models.trained_heads import HeadPredictions

Routing = Literal["routed", "chosen", "all"]

SOFTNESS = 0.1
"""How much a product gains from being found by several regions of a photo, as a temperature of margins.

With 0, only its best region would count; measured on photos of rooms, see docs/benchmarks.md.
"""


@dataclass(frozen=True)
class LabeledHit(Hit):
    """A hit with its match label."""

    score: float  # cosine similarity, regardless of the metric
    margin: float  # the score minus the penalty of `score_normalization`, times the region's weight; decides the label
    label: MatchLabel
    box: Box | None = None  # the region of the photo that found it; None means the whole photo


@dataclass(frozen=True)
class SearchResult:
    """The result of one search."""

    hits: tuple[LabeledHit, ...]  # best first, one per product
    classes: tuple[str, ...]  # the classes searched
    routing: Routing  # "routed" if the photo decided on the classes, "chosen" if the caller did, else "all"
    generation_id: str
    predictions: HeadPredictions | None  # for the region with the best hit, n = 1; None without a photo
    timings: Mapping[str, float]  # milliseconds of the steps "detect" (if anything was detected), "encode" and "search"
    known_classes: tuple[str, ...]  # all classes of the generation
    detections: tuple[Detection, ...] = ()  # most confident first; unless a box was given, each was searched too

    @property
    def box(self) -> Box | None:
        """The region of the photo that found the best hit; None means the whole photo."""
        return self.hits[0].box if self.hits else None


@dataclass(frozen=True)
class RegionResult:
    """The results of one region of a photo, or of all of them merged."""

    weight: float  # 0..1, how much its hits count compared with those of other regions
    hits: tuple[LabeledHit, ...]  # best first, one per product
    classes: tuple[str, ...]
    routing: Routing
    predictions: HeadPredictions  # for this region alone, n = 1


def detection_weight(detection: Detection) -> float:
    """Return the weight of a detection's hits relative to those of the whole photo.

    The exponent was measured on photos of rooms and of single products: a greater one loses hits of
    small products; without weights, a box that contains no product can win.
    """
    return float(detection.confidence**0.25)


def weighted_value(value: float, weight: float, lower_is_better: bool) -> float:
    """Return a value for comparing hits of different regions; higher is better. A weight below 1 always lowers it."""
    if lower_is_better:
        return -value / weight
    return value * weight if value > 0 else value / weight


def merge_regions(regions: Sequence[RegionResult], k: int, *, lower_is_better: bool) -> RegionResult:
    """Merge the results of all regions of a photo.

    The hits are the k best, one per product, from the region that found it best. With margins, products are ordered by
    the log-sum-exp of their best margin in each region, so that a product found by several regions gains; otherwise by
    weighted distance. The classes are all that were searched; the predictions are those of the region with the best
    hit, or of the first one without hits.
    """
    found: dict[int, list[tuple[float, LabeledHit]]] = defaultdict(list)  # by product
    for part in regions:
        for hit in part.hits:
            value = weighted_value(hit.value, part.weight, lower_is_better) if lower_is_better else hit.margin
            found[hit.product_id].append((value, hit))
    merged = [
        (max(values) if lower_is_better else _soft_maximum(values), min(each, key=_best_first)[1])
        for each in found.values()
        for values in [[value for value, _ in each]]
    ]
    hits = tuple(hit for _, hit in sorted(merged, key=_best_first))[:k]
    winner = next((part for part in regions if hits and hits[0] in part.hits), regions[0])
    classes = dict.fromkeys(name for part in regions for name in part.classes)
    routing = next((part.routing for part in regions if part.routing == "routed"), regions[0].routing)
    return RegionResult(winner.weight, hits, tuple(classes), routing, winner.predictions)


def _best_first(item: tuple[float, LabeledHit]) -> tuple[float, int]:
    value, hit = item
    return -value, hit.image_id


def _soft_maximum(margins: Sequence[float]) -> float:
    return SOFTNESS * math.log(sum(math.exp(margin / SOFTNESS) for margin in margins))
