"""Heat maps that show which parts of a photo and of a product's image make them similar, by occlusion.

Each cell of a grid is covered in turn (Zeiler & Fergus, ECCV 2014); the more the similarity drops, the more the cell
counts. Unlike the activations of a network, this covers everything an embedding is made of, including color.
"""

import threading
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from cachetools import LRUCache
from numpy.typing import NDArray

from vsearch.core.vectors import l2_normalize
from vsearch.imaging.codec import Picture, crop, resize
from vsearch.imaging.geometry import Box
from vsearch.search.engine import Engine
from vsearch.search.serving import Serving

GRID = 7
"""Cells on each side; with two forward passes of 50 images, an explanation takes about two seconds on two cores."""

MAX_SIDE = 320
"""Longer side of the image that is covered, in pixels; more than any network's input."""

COVER = 128
"""Gray level of a covered cell."""

HeatMap = NDArray[np.float32]
"""float32 [GRID, GRID] from 0 to 1, in which the cell that counts most is 1; all 0 if no cell counts."""


MAX_CACHED = 512
"""Pairs of a region and an image whose heat maps are kept in memory, at 1 KB each."""


@dataclass(frozen=True, eq=False)
class Explanation:
    """Heat maps of a region of a photo and of the product's image that it was compared with."""

    region: HeatMap
    image: HeatMap


class Explainer:
    """Computes explanations and keeps recent ones; one at a time, because each takes as long as several searches."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._known: LRUCache[tuple[str, str, Box | None, int], Explanation] = LRUCache(MAX_CACHED)
        self._lock = threading.Lock()

    def explain(
        self, serving: Serving, photo_id: str, photo: Picture, box: Box | None, image_id: int, image: Picture
    ) -> Explanation:
        """Return the heat maps of a region of a photo (None: all of it) and of an image in the index."""
        key = serving.generation.generation_id, photo_id, box, image_id
        with self._lock:
            if key not in self._known:
                embedding = region_embedding(self._engine, serving, photo, box)
                region = photo if box is None else crop(photo, box)
                stored = serving.generation.gallery.embedding(image_id)
                maps = heat_map(serving, region, stored), heat_map(serving, image, embedding)
                self._known[key] = Explanation(*maps)
            return self._known[key]


def most_similar_image(serving: Serving, embedding: NDArray[np.float32], product_id: int) -> int | None:
    """Return the image id of a product's image most similar to an embedding [d]; None if the index has none."""
    gallery = serving.generation.gallery
    image_ids = gallery.image_ids_of(product_id)
    if not len(image_ids):
        return None
    stored = l2_normalize(np.stack([gallery.embedding(int(image_id)) for image_id in image_ids]))
    return int(image_ids[int(np.argmax(stored @ l2_normalize(embedding)))])


def region_embedding(engine: Engine, serving: Serving, picture: Picture, box: Box | None) -> NDArray[np.float32]:
    """Return the embedding [d] that a search with a region of a photo uses; None is the whole photo."""
    blocks = engine.photos.blocks(serving.encoder, picture, [box])
    return np.asarray(serving.generation.whitening.project(blocks)[0], np.float32)


def heat_map(serving: Serving, picture: Picture, target: NDArray[np.float32]) -> HeatMap:
    """Return how much each part of an image contributes to its cosine similarity to the embedding `target` [d]."""
    embeddings = serving.generation.whitening.project(serving.encoder.blocks(_covered(_shrunk(picture))))
    cosines = l2_normalize(embeddings) @ l2_normalize(target)
    drops = np.maximum(cosines[0] - cosines[1:], 0).reshape(GRID, GRID)
    return np.asarray(drops / max(float(drops.max()), 1e-9), np.float32)


def _shrunk(picture: Picture) -> Picture:
    height, width = picture.shape[:2]
    scale = MAX_SIDE / max(height, width)
    return picture if scale >= 1 else resize(picture, max(8, round(width * scale)), max(8, round(height * scale)))


def _covered(picture: Picture) -> list[Picture]:
    """Return the picture, then copies of it with one cell covered, row by row."""
    rows, columns = (np.linspace(0, size, GRID + 1).round().astype(int) for size in picture.shape[:2])
    pictures = [picture]
    for top, bottom in pairwise(rows):
        for left, right in pairwise(columns):
            covered = picture.copy()
            covered[top:bottom, left:right] = COVER
            pictures.append(covered)
    return pictures
