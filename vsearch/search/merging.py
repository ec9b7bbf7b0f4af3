"""Search results, and the merging of hits from several regions of a photo. Pure functions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from vsearch.detection.detector import Detection
from vsearch.imaging.geometry import Box
from vsearch.index.gallery import Hit
from vsearch.index.generation import MatchLabel
from vsearch.models.trained_heads import HeadPredictions

Routing = Literal["routed", "chosen", "all"]


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
    hits: tuple[LabeledHit, ...]  # of the region, then of its mirror image
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

    The hits are the k best, one per product, by margin or else by weighted distance; the classes are all that were
    searched; the predictions are those of the region with the best hit, or of the first one without hits.
    """
    weighted = [
        (weighted_value(hit.value, part.weight, lower_is_better) if lower_is_better else hit.margin, hit)
        for part in regions
        for hit in part.hits
    ]
    best: dict[int, LabeledHit] = {}
    for _, hit in sorted(weighted, key=lambda item: (-item[0], item[1].image_id)):
        best.setdefault(hit.product_id, hit)
    hits = tuple(best.values())[:k]
    winner = next((part for part in regions if hits and hits[0] in part.hits), regions[0])
    classes = dict.fromkeys(name for part in regions for name in part.classes)
    routing = next((part.routing for part in regions if part.routing == "routed"), regions[0].routing)
    return RegionResult(winner.weight, hits, tuple(classes), routing, winner.predictions)
