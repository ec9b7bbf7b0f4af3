"""Turn the labeled images of a plan into training samples: the image itself, or synthetic photos of it."""

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
from vsearch.training.plan import Plan
from vsearch.training.data.sources import BoxSides, LabeledImage, SplitName, read_source, to_relative

logger = logging.getLogger(__name__)

TRAINING_LIMITS: Final = Limits(min_side=8)
"""Training images may be smaller than shoppers' photos."""

MAX_ROOM_PRODUCTS: Final = 4

_ROOM_CANDIDATES = 64  # most recent images that a room's other products are drawn from
_MIN_BOX_AREA = 1e-4  # as a fraction of the image's area


@dataclass
class TrainingSample:
    """An image to be cached.

    Attributes:
        source: number of the source in the plan.
        view: 0 for the image itself, otherwise the number of a synthetic view.
        is_first: whether it is the first sample of its image.
        others: images of the other products in a synthetic room.
        boxes: relative boxes of the objects, set by `render`; None if unknown.
    """

    source: int
    image: LabeledImage
    view: int
    is_first: bool
    others: tuple[LabeledImage, ...] = ()
    boxes: tuple[BoxSides, ...] | None = None

    def render(self, plan: Plan) -> Picture | None:
        """Return the framed image, uint8 [h, w, 3]; None if the image cannot be decoded, which is logged once."""
        try:
            picture = self.image.decode(TRAINING_LIMITS)
        except ImageRejected as error:
            if self.is_first:
                logger.warning("Skipping training image %s: %s", self.image.name, error)
            return None
        if self.view and plan.detects:
            picture = self._furnish_room(picture, plan)
        elif self.view:
            picture = shopper_view(picture, _rng(plan, self.image, self.view))
        elif self.image.boxes is not None:
            height, width = picture.shape[:2]
            boxes = np.array([to_relative(box, width, height) for box in self.image.boxes]).reshape(-1, 4).clip(0, 1)
            visible = boxes[(boxes[:, 2:] - boxes[:, :2]).clip(0).prod(axis=1) >= _MIN_BOX_AREA]
            self.boxes = tuple((left, top, right, bottom) for left, top, right, bottom in visible.tolist())
        return frame(picture, plan.cache_shape, plan.framing)

    def _furnish_room(self, picture: Picture, plan: Plan) -> Picture:
        pictures = [picture]
        for other in self.others:
            try:
                pictures.append(other.decode(TRAINING_LIMITS))
            except ImageRejected:  # logged with its own sample
                continue
        photo, boxes = photo_of_room(pictures, _rng(plan, self.image, self.view))
        self.boxes = tuple((box.x0, box.y0, box.x1, box.y1) for box in boxes)
        return photo


def read_samples(plan: Plan, root: Path, work: Path) -> Iterator[TrainingSample]:
    """Yield all samples of a plan, not yet rendered.

    Raises:
        DatasetError: a source is missing or damaged.
    """
    for number, source in enumerate(plan.source):
        recent: dict[SplitName, deque[LabeledImage]] = {
            split: deque(maxlen=_ROOM_CANDIDATES) for split in ("train", "val")
        }
        for image in read_source(source, root, work=work, seed=plan.seed):
            rooms = plan.detects and source.synthetic_views > 0
            views = source.synthetic_views if image.split == "train" else int(rooms)
            for view in range(int(rooms), views + 1):
                others: tuple[LabeledImage, ...] = ()
                if rooms:
                    candidates = recent[image.split]
                    rng = np.random.default_rng([plan.seed, view, 1, crc32(image.name.encode())])
                    count = min(int(rng.integers(0, MAX_ROOM_PRODUCTS)), len(candidates))
                    if count:
                        others = tuple(candidates[i] for i in rng.choice(len(candidates), count, replace=False))
                yield TrainingSample(number, image, view, view == int(rooms), others)
            recent[image.split].append(image)


def _rng(plan: Plan, image: LabeledImage, view: int) -> np.random.Generator:
    return np.random.default_rng([plan.seed, view, crc32(image.name.encode())])
