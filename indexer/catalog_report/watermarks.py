"""Watermark detection: finds images of different products with the same watermark, logo or frame in one position.

Products differ from image to image but a watermark does not, so only the watermark remains in the median of the
gradients (Dekel, Rubinstein, Liu, Freeman: On the Effectiveness of Visible Watermarks, CVPR 2017). Products of the same
shape also share edges; if most gradients are shared, the group has no watermark. See docs/benchmarks.md for rates.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from catalog.queries import GalleryRow
from indexer.catalog_report.findings import Finding

SIDE = 128
"""Width and height, in pixels, to which images are resized."""

SAMPLE_SIZE = 24
"""Number of images compared in a group, one per product."""

MIN_PICTURES = 8
"""Minimum number of images for a group to be examined."""

WHOLE_CATALOG = "the catalog"
MAX_BRANDS = 100

_MIN_GRADIENT = 0.02  # median gradient of a watermark; the range from black to white is 1
_CLIP = 0.05  # gradients are clipped here, so that strong product edges do not dominate
_MIN_MARK_PIXELS = 48  # of SIDE x SIDE
_MIN_CORRELATION = 0.6  # between an image's gradients and the watermark's
_MIN_MEDIAN_CORRELATION = 0.75
_MIN_MARKED_SHARE = 0.75
_MIN_OTHER_EDGES = 0.5  # pixels with a gradient outside the watermark, relative to its own number of pixels


def groups(pictures: Sequence[GalleryRow]) -> Iterator[tuple[str, list[GalleryRow]]]:
    """Yield a sample of equally shaped images from the whole catalog, then one from each of the largest brands."""
    yield WHOLE_CATALOG, _sample(pictures)
    brands: dict[str, list[GalleryRow]] = defaultdict(list)
    for picture in pictures:
        if picture.brand:
            brands[picture.brand].append(picture)
    for brand, found in sorted(brands.items(), key=lambda each: -len(each[1]))[:MAX_BRANDS]:
        if len(found) >= MIN_PICTURES:
            yield brand, _sample(found)


def find_watermarked(gray: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Return which of the images, uint8 [n, SIDE, SIDE], have a common watermark: bool [n]."""
    nothing = np.zeros(len(gray), dtype=np.bool_)
    if len(gray) < MIN_PICTURES:
        return nothing
    light = gray.astype(np.float32) / 255
    across, down = np.diff(light, axis=2)[:, :-1], np.diff(light, axis=1)[:, :, :-1]
    gradients = np.stack([across, down], axis=-1)
    median = np.median(gradients, axis=0)
    mark = np.linalg.norm(median, axis=-1) > _MIN_GRADIENT
    if mark.sum() < _MIN_MARK_PIXELS:
        return nothing
    own = np.clip(gradients[:, mark].reshape(len(gray), -1), -_CLIP, _CLIP)
    common = np.clip(median[mark].ravel(), -_CLIP, _CLIP)
    correlation = own @ common / (np.linalg.norm(own, axis=1) * np.linalg.norm(common) + 1e-9)
    other_edges = (np.linalg.norm(gradients[:, ~mark], axis=-1) > _MIN_GRADIENT).sum(axis=1)
    marked = correlation > _MIN_CORRELATION
    found = (
        np.median(other_edges) > _MIN_OTHER_EDGES * mark.sum()
        and marked.mean() >= _MIN_MARKED_SHARE
        and np.median(correlation) >= _MIN_MEDIAN_CORRELATION
    )
    return np.asarray(marked if found else nothing, dtype=np.bool_)


def finding(group: str, sample: Sequence[GalleryRow], marked: NDArray[np.bool_]) -> Finding | None:
    """Return the finding for a group, or None if none of its images has a watermark."""
    if not marked.any():
        return None
    chosen = [picture for picture, is_marked in zip(sample, marked.tolist(), strict=True) if is_marked]
    text = f"{len(chosen)} of {len(sample)} sampled images from {group} have the same watermark, logo or frame."
    skus, sha256s = tuple(each.sku for each in chosen), tuple(each.sha256 for each in chosen)
    return Finding("watermark", skus, sha256s, text)


def _sample(pictures: Sequence[GalleryRow]) -> list[GalleryRow]:
    """Return one image per product, all of the most common shape, in a stable pseudo-random selection."""
    known = [(round(each.width / each.height, 1), each) for each in pictures if each.width and each.height]
    shapes = Counter(shape for shape, _ in known).most_common(1)
    products: dict[str, GalleryRow] = {}
    for shape, each in sorted(known, key=lambda pair: pair[1].sha256):
        if shape == shapes[0][0]:
            products.setdefault(each.variant_group or each.sku, each)
    return list({each.sha256: each for each in products.values()}.values())[:SAMPLE_SIZE]
