"""What is drawn over a shopper's photo: the detected products, their classes and numbers."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from vsearch.imaging.geometry import Box
from vsearch.search.merging import SearchResult

BADGE_RADIUS = 7.0
"""Radius of the area around the number of a box, as a percentage of the photo's longer side; these do not overlap."""


@dataclass(frozen=True)
class DetectedBox:
    """A region of the photo that may show a product; `selected` if it was searched or produced the best hit."""

    box: Box
    confidence: float
    selected: bool
    class_name: str = ""  # what it shows
    badge: tuple[float, float] = (0, 0)  # center of its number, as fractions of the photo's sides


def detected_boxes(
    result: SearchResult, chosen: Box | None, names: Sequence[str], size: tuple[int, ...]
) -> tuple[DetectedBox, ...]:
    """Return the boxes detected in a photo, largest first, so that none is covered by another.

    `chosen` is the box searched, `names` has the class of each detection, `size` is (height, width) in pixels.
    """
    searched = str(chosen or result.box)  # compared as text: boxes are rounded in URLs
    named = sorted(zip(result.detections, names, strict=True), key=lambda each: -_area(each[0].box))
    badges = place_badges([found.box for found, _ in named], size)
    return tuple(
        DetectedBox(found.box, found.confidence, str(found.box) == searched, name, badge)
        for (found, name), badge in zip(named, badges, strict=True)
    )


def _area(box: Box) -> float:
    return (box.x1 - box.x0) * (box.y1 - box.y0)


def place_badges(boxes: Sequence[Box], size: tuple[int, ...]) -> list[tuple[float, float]]:
    """Return a place for the number of each of a few boxes, as fractions of the photo, so that none overlaps another.

    It is a corner inside the box, or if none is free, the nearest free place. `size` is (height, width) in pixels.
    """
    radius = BADGE_RADIUS / 100 * max(size)
    x_edge, y_edge = min(radius / size[1], 0.5), min(radius / size[0], 0.5)
    steps = [step / 12 for step in range(13)]
    anywhere = [(x_edge + x * (1 - 2 * x_edge), y_edge + y * (1 - 2 * y_edge)) for y in steps for x in steps]
    placed: list[tuple[float, float]] = []

    def distance(one: tuple[float, float], other: tuple[float, float]) -> float:
        return math.hypot((one[0] - other[0]) * size[1], (one[1] - other[1]) * size[0])

    for box in boxes:
        left, right = (min(max(x, x_edge), 1 - x_edge) for x in (box.x0 + x_edge, box.x1 - x_edge))
        top, bottom = (min(max(y, y_edge), 1 - y_edge) for y in (box.y0 + y_edge, box.y1 - y_edge))
        corners = [(left, top), (right, top), (right, bottom), (left, bottom)]
        nearest = sorted(anywhere, key=lambda place: distance(place, corners[0]))
        free = (place for place in corners + nearest if all(distance(place, one) >= 2 * radius for one in placed))
        placed.append(next(free, corners[0]))
    return placed
