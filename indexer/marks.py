"""Pictures that bear the same mark in the same place: a watermark, a logo or a frame.

What a product shows differs from picture to picture, a mark does not: in the median of the pictures' gradients all else
cancels out (Dekel, Rubinstein, Liu, Freeman: On the Effectiveness of Visible Watermarks, CVPR 2017). Products of one
shape, photographed alike, have edges in common as well; then most of what there is to see is common, and it is no mark.

Lines of text in a corner are found well, large faint stamps over the product less often, white ones on white not at all
(docs/measured.md).
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from catalog.review import Shown
from indexer.review import Note

SIDE = 128
"""Pixels that pictures are compared at."""

LOOKED_AT = 24
"""Pictures of a group that are looked at, one of a product."""

FEWEST = 8
"""Pictures below which nothing is said of a group."""

ALL = "the catalogue"
"""The group of all pictures."""

BRANDS = 100
"""Brands that are looked at, the largest."""

_FAINTEST = 0.02  # median gradient of a mark, as a share of black to white
_CLIPPED = 0.05  # gradient beyond which a product's edge says no more than a mark's
_LEAST_PIXELS = 48  # of SIDE x SIDE
_ALIKE = 0.6  # correlation of a picture's gradients with the mark, from which it bears it
_ALL_ALIKE = 0.75  # the same of the picture in the middle
_MOST_BEAR = 0.75  # share of the pictures
_ELSEWHERE = 0.5  # pixels with a gradient that the product has, as a share of the mark's


def groups(shown: Sequence[Shown]) -> Iterator[tuple[str, list[Shown]]]:
    """Yield the whole catalogue, then each large brand, with pictures of one shape to look at."""
    yield ALL, _sample(shown)
    brands: dict[str, list[Shown]] = defaultdict(list)
    for one in shown:
        if one.brand:
            brands[one.brand].append(one)
    for brand, found in sorted(brands.items(), key=lambda each: -len(each[1]))[:BRANDS]:
        if len(found) >= FEWEST:
            yield brand, _sample(found)


def bearers(grey: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Return which of n pictures bear a common mark; none where there is none.

    Args:
        grey: the pictures, uint8 [n, SIDE, SIDE].
    """
    none = np.zeros(len(grey), dtype=np.bool_)
    if len(grey) < FEWEST:
        return none
    light = grey.astype(np.float32) / 255
    across, down = np.diff(light, axis=2)[:, :-1], np.diff(light, axis=1)[:, :, :-1]
    gradients = np.stack([across, down], axis=-1)
    mark = np.median(gradients, axis=0)
    where = np.linalg.norm(mark, axis=-1) > _FAINTEST
    if where.sum() < _LEAST_PIXELS:
        return none
    own = np.clip(gradients[:, where].reshape(len(grey), -1), -_CLIPPED, _CLIPPED)
    common = np.clip(mark[where].ravel(), -_CLIPPED, _CLIPPED)
    alike = own @ common / (np.linalg.norm(own, axis=1) * np.linalg.norm(common) + 1e-9)
    elsewhere = (np.linalg.norm(gradients[:, ~where], axis=-1) > _FAINTEST).sum(axis=1)
    bear = alike > _ALIKE
    distinct = np.median(elsewhere) > _ELSEWHERE * where.sum()
    found = distinct and bear.mean() >= _MOST_BEAR and np.median(alike) >= _ALL_ALIKE
    return np.asarray(bear if found else none, dtype=np.bool_)


def note(group: str, looked_at: Sequence[Shown], bear: NDArray[np.bool_]) -> Note | None:
    """Return what is said of a group; None where it bears no mark."""
    if not bear.any():
        return None
    marked = [one for one, bears in zip(looked_at, bear.tolist(), strict=True) if bears]
    share = f"{len(marked)} of {len(looked_at)} pictures looked at"
    said = f"of {group}: {share} bear the same mark, which may be a watermark, a logo or a frame"
    return Note("watermark", tuple(one.sku for one in marked), tuple(one.sha256 for one in marked), said)


def _sample(shown: Sequence[Shown]) -> list[Shown]:
    """Return a picture of each of some products, by chance but always the same, all of the most common shape."""
    known = [one for one in shown if one.width and one.height]
    shape = Counter(map(_shape, known)).most_common(1)
    products: dict[str, Shown] = {}
    for one in sorted(known, key=lambda one: one.sha256):
        if _shape(one) == shape[0][0]:
            products.setdefault(one.variant_group or one.sku, one)
    return list({one.sha256: one for one in products.values()}.values())[:LOOKED_AT]


def _shape(one: Shown) -> float:
    return round((one.width or 1) / (one.height or 1), 1)
