"""What the pictures of a plan show: each itself, made shopper photos of it, or made rooms and where things stand."""

import logging
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from zlib import crc32

import numpy as np

from vsearch.imaging.synthetic import photo_of_room, shopper_view
from vsearch.core.errors import ImageRejected
from vsearch.imaging.preprocess import frame
from vsearch.imaging.codec import Limits, Picture
from vsearch.training.data.examples import Example, Side, Sides, shares
from vsearch.training.plan import Plan
from vsearch.training.plan_sources import Source
from vsearch.training.data.sources import examples

logger = logging.getLogger(__name__)

MOST: Final = 4
"""Products in a made room."""

_LIMITS = Limits(min_side=8)  # px; training pictures may be smaller than a shopper's
_REMEMBERED = 64  # pictures that a room's other products are taken from
_SMALLEST = 1e-4  # share of the picture that a box must have


@dataclass
class Shown:
    """One picture to be kept.

    Attributes:
        source: its number in the plan.
        view: 0 is the example's picture itself, others are made of it.
        first: whether it is the first one of its example.
        others: what else stands in a made room.
        boxes: where things stand, in shares of the sides; known once the picture is made, and None where nobody says.
    """

    source: int
    example: Example
    view: int
    first: bool
    others: tuple[Example, ...] = ()
    boxes: tuple[Sides, ...] | None = None

    def make(self, plan: Plan) -> Picture | None:
        """Return the picture, framed as the plan says, uint8 [h, w, 3]; None, logged once, where it cannot be read."""
        try:
            found = self.example.picture(_LIMITS)
        except ImageRejected as error:
            if self.first:
                logger.warning("training picture %s is left out: %s", self.example.name, error)
            return None
        if self.view and plan.finds_boxes:
            found = self._room(found, plan)
        elif self.view:
            found = shopper_view(found, _rng(plan, self.example, self.view))
        else:
            self.boxes = _shares(self.example, found)
        return frame(found, plan.cache_shape, plan.framing)

    def _room(self, picture: Picture, plan: Plan) -> Picture:
        pictures = [picture]
        for other in self.others:
            try:
                pictures.append(other.picture(_LIMITS))
            except ImageRejected:  # said where it is shown itself
                continue
        photo, boxes = photo_of_room(pictures, _rng(plan, self.example, self.view))
        self.boxes = tuple((box.x0, box.y0, box.x1, box.y1) for box in boxes)
        return photo


def shown(plan: Plan, root: Path, work: Path) -> Iterator[Shown]:
    """Yield all pictures of a plan, not yet made.

    Raises:
        DatasetError: a source is missing or damaged.
    """
    for number, source in enumerate(plan.source):
        before: dict[Side, deque[Example]] = {side: deque(maxlen=_REMEMBERED) for side in ("train", "val")}
        for example in examples(source, root, work=work, seed=plan.seed):
            earlier = before[example.split]
            for place, view in enumerate(_views(plan, source, example)):
                others = _others(earlier, plan, example, view) if plan.finds_boxes and view else ()
                yield Shown(number, example, view, place == 0, others)
            earlier.append(example)


def _views(plan: Plan, source: Source, example: Example) -> range:
    if plan.finds_boxes and source.made:
        return range(1, 1 + (source.made if example.split == "train" else 1))
    return range(1 + (source.made if example.split == "train" else 0))


def _others(earlier: deque[Example], plan: Plan, example: Example, view: int) -> tuple[Example, ...]:
    rng = np.random.default_rng([plan.seed, view, 1, crc32(example.name.encode())])
    count = min(int(rng.integers(0, MOST)), len(earlier))
    return tuple(earlier[place] for place in rng.choice(len(earlier), count, replace=False)) if count else ()


def _shares(example: Example, picture: Picture) -> tuple[Sides, ...] | None:
    """Return an example's boxes in shares of the sides, inside the picture; what lies outside it is left out."""
    if example.boxes is None:
        return None
    height, width = picture.shape[:2]
    inside = np.array([shares(box, width, height) for box in example.boxes]).reshape(-1, 4).clip(0, 1)
    kept = inside[(inside[:, 2:] - inside[:, :2]).clip(0).prod(axis=1) >= _SMALLEST]
    return tuple((left, top, right, bottom) for left, top, right, bottom in kept.tolist())


def _rng(plan: Plan, example: Example, view: int) -> np.random.Generator:
    return np.random.default_rng([plan.seed, view, crc32(example.name.encode())])
