"""Queries with known relevant products, and the synthetic shopper photos used as queries.

Synthetic photos are a pure function of a catalog image and a seed. easy: the product on its own background, from
another viewpoint. hard: the product in a room. crop: the hard photo with a box around the product.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from vsearch.evaluation.bootstrap import Ids
from vsearch.imaging import synthetic
from vsearch.imaging.codec import Picture, crop
from vsearch.imaging.geometry import Box

Kind = Literal["easy", "hard", "crop"]
KINDS: tuple[Kind, ...] = get_args(Kind)

PHOTO_SIDE = 480
"""Longer side of a synthetic photo in px: a product in a room fills about as many pixels as networks read."""


@dataclass(frozen=True)
class Query:
    """An image with its relevant products."""

    picture: Picture  # RGB uint8 [h, w, 3]
    relevant: frozenset[int]  # product ids; empty for an image of something that is not in the catalog
    neutral: frozenset[int] = frozenset()  # product ids removed from the results, such as that of a catalog image
    variants: frozenset[int] = frozenset()  # product ids of other colors and sizes of the relevant products
    box: Box | None = None  # the part to search with; None for the whole image
    shown: Box | None = None  # the part that shows the product, if known and not `box`
    grades: Mapping[int, float] | None = None  # product id -> grade > 0; None if all are equally relevant
    category: str = ""  # scores are also reported per category
    photo: str | None = None  # name of the photo, if several queries come from one

    @property
    def part(self) -> Picture:
        """The image cropped to the box."""
        return self.picture if self.box is None else crop(self.picture, self.box)


def photo_groups(queries: Sequence[Query]) -> Ids:
    """Return the number of each query's photo, [q] from 0; a query without a photo name is its own group."""
    numbers: dict[object, int] = {}
    keys = [row if query.photo is None else query.photo for row, query in enumerate(queries)]
    return np.array([numbers.setdefault(key, len(numbers)) for key in keys], np.int64)


def synthetic_photo(
    picture: Picture, kind: Kind, rng: np.random.Generator, *, room: Picture | None = None
) -> tuple[Picture, Box | None]:
    """Return a synthetic photo of a catalog image, RGB uint8 [h, w, 3], and the box to search with, if any.

    "hard" and "crop" give the same photo for the same `rng`; without a room, a simple one is generated.
    """
    if kind == "easy":
        return synthetic.photo_on_own_background(picture, rng, side=PHOTO_SIDE), None
    photo, box = synthetic.photo_in_room(picture, rng, room=room, side=PHOTO_SIDE)
    return photo, synthetic.add_margin(box) if kind == "crop" else None
