"""From stored blocks to a gallery: which class each picture is in, and one index for each class and metric."""

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from catalog.queries import SEPARATOR, GalleryRow
from vsearch.core.settings import Metric, Settings
from vsearch.index.class_index import ClassIndex
from vsearch.index.gallery import Gallery
from vsearch.search.engine import ALL

OTHER = "> Other products"
"""The class of pictures without a category, and of those whose category is too small at every level.

No shop can have a category of this name: a category has a name before each ">". Shoppers see what follows it.
"""

NAMED_ALL = f"> {ALL}"
"""The class of a shop's category "all": a search of the class "all" is one of every class."""

RECIPE = 4
"""Part of the fingerprint: raise it when the same inputs should give another generation."""


def assign_classes(categories: Sequence[str], min_size: int) -> list[str]:
    """Return the class of each picture: its category, or the nearest parent that has pictures enough.

    From the deepest level up, a category with fewer than `min_size` pictures joins its parent; what is too small even
    at the top joins `OTHER`, which may be of any size. The category "all" is `NAMED_ALL`.

    Args:
        categories: category path of each picture, such as "Sofas > Corner sofas"; may be empty.
        min_size: least number of pictures of a class.
    """
    paths = [tuple(category.split(SEPARATOR)) if category else (OTHER,) for category in categories]
    for depth in range(max(map(len, paths), default=0), 0, -1):
        counts = Counter(path for path in paths if len(path) == depth)
        small = {path for path, count in counts.items() if count < min_size}
        paths = [(path[:-1] or (OTHER,)) if path in small else path for path in paths]
    return [NAMED_ALL if path == (ALL,) else SEPARATOR.join(path) for path in paths]


def fingerprint(rows: Sequence[GalleryRow], classes: Sequence[str], checkpoint_id: str, settings: Settings) -> str:
    """Return the hash of all that a generation is made of: the same hash, the same generation."""
    fitting = [settings.embedding_size, settings.whitening_products, settings.whitening_views]
    digest = hashlib.sha256(json.dumps([RECIPE, checkpoint_id, fitting]).encode())
    for row, name in zip(rows, classes, strict=True):
        digest.update(json.dumps([row.image_id, row.product_id, row.sha256, name]).encode())
    return digest.hexdigest()[:32]


def build_gallery(
    embeddings: NDArray[np.float32],
    image_ids: NDArray[np.int64],
    product_ids: NDArray[np.int64],
    classes: Sequence[str],
) -> Gallery:
    """Return the gallery of n pictures: an index for each class under each metric, classes in alphabetical order.

    Args:
        embeddings: not normalised, [n, d].
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
