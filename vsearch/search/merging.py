"""What a search answers, and how the answers for several parts of a photo become one. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from vsearch.detection.detector import Detection
from vsearch.imaging.codec import Box
from vsearch.index.gallery import Hit
from vsearch.index.manifest import MatchLabel
from vsearch.models.heads import Predictions

Routing = Literal["routed", "chosen", "all"]


@dataclass(frozen=True)
class LabelledHit(Hit):
    """A hit with its cosine `score`, whatever the metric, and that score in words.

    Attributes:
        margin: the score minus the penalty of `vsearch.search.score_normalization`; decides the label.
        box: the part of the photo that found it; None is all of it.
    """

    score: float
    margin: float
    label: MatchLabel
    box: Box | None = None


@dataclass(frozen=True)
class SearchResult:
    """The answer to one search.

    Attributes:
        hits: best first, one per product.
        classes: names that were searched.
        routing: "routed" when the photo decided on the classes, "chosen" when the person did, else "all".
        generation_id: what answered.
        predictions: what each model says of the part of the photo with the best hit, n = 1; None when no photo was
            searched with.
        timings: milliseconds of the steps "encode" and "search", and of "find" where products were looked for.
        known_classes: all names that `generation_id` has.
        detections: the parts of the photo in which products may stand, the likeliest first; searched besides the whole
            photo, unless a box was given.
    """

    hits: tuple[LabelledHit, ...]
    classes: tuple[str, ...]
    routing: Routing
    generation_id: str
    predictions: Predictions | None
    timings: Mapping[str, float]
    known_classes: tuple[str, ...]
    detections: tuple[Detection, ...] = ()

    @property
    def box(self) -> Box | None:
        """The part of the photo that found the best hit; None is all of it."""
        return self.hits[0].box if self.hits else None


@dataclass(frozen=True)
class Part:
    """What one part of a photo found.

    Attributes:
        weight: 0..1, how much its hits count beside those of other parts.
        hits: of the part as it is, then of its mirror image.
        predictions: of this part alone, n = 1.
    """

    weight: float
    hits: tuple[LabelledHit, ...]
    classes: tuple[str, ...]
    routing: Routing
    predictions: Predictions


def part_weight(detection: Detection) -> float:
    """Return how much the hits of a part count beside those of the whole photo: a part that is hardly one, less.

    Measured on photos of rooms and on photos of single products, see docs/measured.md: a greater power loses hits of
    small products, none lets a part with nothing in it win.
    """
    return float(detection.confidence**0.25)


def best_of(parts: Sequence[Part], k: int, *, lower_is_better: bool) -> tuple[LabelledHit, ...]:
    """Return k hits of several parts, one per product: the one of most worth, its score as it is.

    Args:
        parts: at least one.
        k: products wanted.
        lower_is_better: values are distances; a part that counts less makes them longer instead of shorter.
    """
    found = [(worth(hit.value, part.weight, lower_is_better), hit) for part in parts for hit in part.hits]
    best: dict[int, LabelledHit] = {}
    for _, hit in sorted(found, key=lambda item: (-item[0], item[1].image_id)):
        best.setdefault(hit.product_id, hit)
    return tuple(best.values())[:k]


def worth(value: float, weight: float, lower_is_better: bool) -> float:
    """Return what a value counts, more is better; a weight below 1 makes it worse, also where it is negative."""
    if lower_is_better:
        return -value / weight
    return value * weight if value > 0 else value / weight


def leading(parts: Sequence[Part], hits: Sequence[LabelledHit]) -> Part:
    """Return the part that found the first of the joined hits; the first part where there is none."""
    return next((part for part in parts if hits and hits[0] in part.hits), parts[0])


def searched(parts: Sequence[Part]) -> tuple[tuple[str, ...], Routing]:
    """Return the classes that any part was searched in, in the order of the parts, and who decided on them."""
    classes = dict.fromkeys(name for part in parts for name in part.classes)
    routed = any(part.routing == "routed" for part in parts)
    return tuple(classes), "routed" if routed else parts[0].routing
