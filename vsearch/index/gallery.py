"""`Gallery`: all class indexes of a generation, searched as one, with one hit per product."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np
from numpy.typing import NDArray

from vsearch.core.errors import InvalidRequest, UnknownClass
from vsearch.core.settings import Metric
from vsearch.core.vectors import l2_normalize
from vsearch.index.class_index import Ids, ImageSet, Vectors, image_set
from vsearch.index.merged_index import SearchIndex

IMAGES_PER_PRODUCT = 2
"""Number of images first fetched from each class per requested product; more are fetched if needed."""


@dataclass(frozen=True)
class Hit:
    """A product and its best image.

    `value` is the cosine similarity (higher is better) or, in a Euclidean search, the distance (lower is better).
    """

    product_id: int
    image_id: int
    class_name: str
    value: float


class Gallery:
    """Class indexes under each metric, and the product that each image shows; immutable."""

    def __init__(self, indexes: Mapping[Metric, Mapping[str, SearchIndex]], image_ids: Ids, product_ids: Ids) -> None:
        self.indexes = {metric: dict(by_class) for metric, by_class in indexes.items()}  # all of the same images
        self.image_ids = image_ids  # [n], ascending
        self.product_ids = product_ids  # [n]
        self.classes: tuple[str, ...] = tuple(next(iter(self.indexes.values())))

    def __len__(self) -> int:
        return len(self.image_ids)

    def search(
        self,
        embedding: NDArray[np.floating],
        *,
        k: int,
        metric: Metric = "cosine",
        classes: Sequence[str] | None = None,
        allowed: Ids | ImageSet | None = None,
        excluded: Ids | ImageSet | None = None,
    ) -> list[Hit]:
        """Return the k nearest products of the given classes (None: all), best first; fewer if there are no more.

        Equal values are ordered by image id, so a search with a larger k begins with the same hits. The embedding [d]
        need not be normalized; `allowed` and `excluded` are image ids as in `ClassIndex.search`.

        Raises:
            UnknownClass: the gallery has no such class.
            InvalidRequest: k is below 1, or the gallery is not indexed for this metric.
        """
        if k < 1:
            raise InvalidRequest("k must be at least 1, got %(k)s.", k=k)
        if metric not in self.indexes:
            raise InvalidRequest(
                "The metric must be one of %(metrics)s, got %(metric)r.",
                metrics=", ".join(self.indexes),
                metric=metric,
            )
        query, searches = np.asarray(embedding, dtype=np.float32)[None], []
        allowed, excluded = image_set(allowed), image_set(excluded)
        for name in self.classes if classes is None else dict.fromkeys(classes):
            if name not in self.indexes[metric]:
                raise UnknownClass(
                    "There is no class %(name)r in the index; it has %(names)s.", name=name, names=_listed(self.classes)
                )
            index = self.indexes[metric][name]
            nearest = partial(index.search, query, allowed=allowed, excluded=excluded)
            searches.append(_ClassSearch(name, len(index), nearest))
        sign = -1 if metric == "cosine" else 1
        for search in searches:
            search.fetch(IMAGES_PER_PRODUCT * k)
        while True:
            hits = self._one_per_product(searches, sign)[:k]
            worst_value = sign * hits[-1].value if len(hits) == k else np.inf
            unfinished = [search for search in searches if not search.is_complete(sign, worst_value)]
            if not unfinished:
                return hits
            for search in unfinished:
                search.fetch(4 * search.width)

    def cosines(self, embedding: NDArray[np.floating], hits: Sequence[Hit]) -> Vectors:
        """Return the cosine similarity [n] of `embedding` [d] to each hit, regardless of the metric that found it."""
        query = l2_normalize(embedding).astype(np.float32)
        image_ids = np.array([hit.image_id for hit in hits], dtype=np.int64)
        names = np.array([hit.class_name for hit in hits])
        found = np.empty(len(hits), dtype=np.float32)
        for name in set(names.tolist()):
            in_class = names == name
            found[in_class] = self.indexes["cosine"][name].vectors(image_ids[in_class]) @ query
        return found

    def image_ids_of(self, product_ids: Ids | int) -> Ids:
        """Return the image ids of the products, ascending; unknown products are ignored. Only a single one is fast."""
        if isinstance(product_ids, np.ndarray):
            return np.asarray(self.image_ids[np.isin(self.product_ids, product_ids)], dtype=np.int64)
        order, ordered = self._by_product
        start, end = np.searchsorted(ordered, product_ids, "left"), np.searchsorted(ordered, product_ids, "right")
        return np.asarray(self.image_ids[order[start:end]], dtype=np.int64)

    @cached_property
    def _by_product(self) -> tuple[Ids, Ids]:
        """The rows in ascending order of product, and the product of each."""
        order = np.argsort(self.product_ids, kind="stable")
        return order, self.product_ids[order]

    @cached_property
    def products(self) -> Ids:
        """The ids of all products, int64, ascending."""
        return np.unique(self._by_product[1])

    def embedding(self, image_id: int) -> Vectors:
        """Return the stored embedding [d] of an image, not normalized; `KeyError` if no class contains the image."""
        for index in self.indexes["euclidean"].values():
            if image_id in index:
                return np.asarray(index.vectors(np.array([image_id]))[0], dtype=np.float32)
        raise KeyError(f"image id {image_id} is not in this gallery")

    def _one_per_product(self, searches: Sequence["_ClassSearch"], sign: int) -> list[Hit]:
        """Return the fetched images of all classes as hits, best first, keeping only the best image of each product."""
        found = []
        for search in searches:
            products = self.product_ids[np.searchsorted(self.image_ids, search.image_ids)].tolist()
            for value, image_id, product_id in zip(search.values, search.image_ids, products, strict=True):
                found.append((sign * value, image_id, product_id, search.name))
        best: dict[int, Hit] = {}
        for value, image_id, product_id, name in sorted(found):
            best.setdefault(product_id, Hit(product_id, image_id, name, sign * value))
        return list(best.values())


@dataclass
class _ClassSearch:
    """An extensible search in one class of `size` images."""

    name: str
    size: int
    nearest: Callable[..., tuple[Vectors, Ids]]
    width: int = 0
    values: Sequence[float] = ()
    image_ids: Sequence[int] = ()

    def fetch(self, width: int) -> None:
        """Fetch the `width` nearest images, or all if there are fewer."""
        self.width = min(width, self.size)
        values, ids = self.nearest(k=self.width)
        found = ids[0] >= 0
        self.values, self.image_ids = values[0, found].tolist(), ids[0, found].tolist()

    def is_complete(self, sign: int, worst_value: float) -> bool:
        """Return whether no other image can be among the hits: none is left, or the rest are worse."""
        exhausted = len(self.values) < self.width or self.width == self.size
        return exhausted or sign * self.values[-1] > worst_value


def _listed(names: Sequence[str], shown: int = 12) -> str:
    return ", ".join([*names[:shown], *(["…"] if len(names) > shown else [])]) or "–"
