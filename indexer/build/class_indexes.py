"""Class indexes: assigns pictures to classes and builds a FAISS index for each class and metric."""

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from catalog.queries import SEPARATOR, GalleryRow
from indexer.build.labels import ReviewedPhoto
from vsearch.core.settings import Metric, Settings
from vsearch.index.class_index import ClassIndex
from vsearch.index.gallery import Gallery
from vsearch.models import registry
from vsearch.search.engine import ALL

OTHER = "> Other products"
"""Class of pictures that have no category, or whose category is too small at every level.

It cannot be a category in a feed, since these have a name before each ">". Shoppers see the part after the ">".
"""

NAMED_ALL = f"> {ALL}"
"""Class of a category named "all", because searching the class "all" means searching every class."""

BUILD_VERSION = 7
"""Part of the fingerprint; increment it when the same inputs should produce a different generation."""


def assign_classes(categories: Sequence[str], min_size: int) -> list[str]:
    """Return the class of each picture: its category, or the nearest parent with at least `min_size` pictures.

    From the deepest level up, categories that are too small are merged into their parent, and at the top level into
    `OTHER`, which can have any size.

    Args:
        categories: category path of each picture, such as "Sofas > Corner sofas"; can be empty.
        min_size: minimum number of pictures in a class.
    """
    paths = [tuple(category.split(SEPARATOR)) if category else (OTHER,) for category in categories]
    for depth in range(max(map(len, paths), default=0), 0, -1):
        counts = Counter(path for path in paths if len(path) == depth)
        small = {path for path, count in counts.items() if count < min_size}
        paths = [(path[:-1] or (OTHER,)) if path in small else path for path in paths]
    return [NAMED_ALL if path == (ALL,) else SEPARATOR.join(path) for path in paths]


def fingerprint(
    rows: Sequence[GalleryRow],
    classes: Sequence[str],
    checkpoint_id: str,
    settings: Settings,
    photos: Sequence[ReviewedPhoto] = (),
) -> str:
    """Return a hash of everything a generation is built from."""
    fitting = [settings.embedding_size, settings.whitening_products, settings.whitening_views]
    detector = registry.promoted(settings, "detector")[:1]
    digest = hashlib.sha256(json.dumps([BUILD_VERSION, checkpoint_id, detector, fitting]).encode())
    for row, name in zip(rows, classes, strict=True):
        digest.update(json.dumps([row.image_id, row.product_id, row.sha256, name]).encode())
    for photo in photos:
        digest.update(json.dumps([photo.sha256, photo.product_id, photo.class_name]).encode())
    return digest.hexdigest()[:32]


def build_gallery(
    embeddings: NDArray[np.float32],
    image_ids: NDArray[np.int64],
    product_ids: NDArray[np.int64],
    classes: Sequence[str],
) -> Gallery:
    """Return a gallery with an index for each metric and class, with the classes in alphabetical order.

    Args:
        embeddings: not normalized, [n, d].
        image_ids: ascending, [n].
        product_ids: [n].
        classes: n names.
    """
    names = np.array(classes)
    rows_of = {name: np.flatnonzero(names == name) for name in sorted(set(classes))}
    metrics: tuple[Metric, ...] = get_args(Metric)
    indexes = {
        metric: {name: ClassIndex.build(embeddings[rows], image_ids[rows], metric) for name, rows in rows_of.items()}
        for metric in metrics
    }
    return Gallery(indexes, image_ids, product_ids)
