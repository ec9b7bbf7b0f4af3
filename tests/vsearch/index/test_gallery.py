import numpy as np
import pytest
from numpy.typing import NDArray

from tests.fakes import gallery_of
from vsearch.core.errors import InvalidRequest, UnknownClass
from vsearch.core.settings import Metric
from vsearch.index.gallery import Gallery, Hit

METRICS: tuple[Metric, ...] = ("cosine", "euclidean")
FROM_100 = np.arange(100, 1000)


def random_gallery(pictures: int, products: int, seed: int = 0) -> tuple[Gallery, NDArray[np.float32]]:
    """Return a gallery whose products have images in several of three classes."""
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(pictures, 8)).astype(np.float32)
    classes = [f"class {number}" for number in rng.integers(3, size=pictures)]
    return gallery_of(vectors, FROM_100[: len(vectors)], rng.integers(products, size=pictures), classes), vectors


def brute_force(
    gallery: Gallery, vectors: NDArray[np.float32], query: NDArray[np.float32], metric: Metric
) -> list[int]:
    """Return all products by the distance of their nearest image."""
    if metric == "cosine":
        distance = -(vectors @ query) / np.linalg.norm(vectors, axis=1)
    else:
        distance = np.linalg.norm(vectors - query, axis=1)
    ordered = gallery.product_ids[np.argsort(distance)]
    return list(dict.fromkeys(ordered.tolist()))


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("k", [1, 3, 10, 40, 100])
@pytest.mark.parametrize("products", [4, 40, 200])
def test_the_search_of_all_classes_agrees_with_exact_search(products, k, metric):
    """This includes filters: excluded products are replaced with the next ones."""
    gallery, vectors = random_gallery(300, products)
    query = np.random.default_rng(5).normal(size=8).astype(np.float32)
    everything = brute_force(gallery, vectors, query, metric)
    withdrawn = np.array(everything[:40:2])
    kept = ~np.isin(gallery.product_ids, withdrawn)
    left = [product_id for product_id in everything if product_id not in withdrawn]
    for expected, filters in (
        (everything, {}),
        (left, {"allowed": gallery.image_ids[kept]}),
        (left, {"excluded": gallery.image_ids_of(withdrawn)}),
    ):
        hits = gallery.search(query, k=k, metric=metric, **filters)
        assert [hit.product_id for hit in hits] == expected[:k]


def test_each_product_is_found_once_by_its_best_image():
    vectors = np.array([[1, 0], [0.9, 0.1], [0.8, 0.6], [0, 1]], dtype=np.float32)
    gallery = gallery_of(vectors, FROM_100[: len(vectors)], np.array([7, 7, 8, 7]), ["sofa", "sofa", "sofa", "lamp"])
    hits = gallery.search(np.array([1.0, 0.0]), k=5)
    assert hits == [Hit(7, 100, "sofa", 1.0), Hit(8, 102, "sofa", float(np.float16(0.8)))]


def test_only_the_chosen_classes_are_searched_and_each_once():
    gallery, _ = random_gallery(300, 300)
    hits = gallery.search(np.ones(8), k=20, classes=("class 1", "class 1"))
    assert {hit.class_name for hit in hits} == {"class 1"}
    assert len({hit.product_id for hit in hits}) == len(hits) == 20


@pytest.mark.parametrize("metric", METRICS)
def test_duplicates_keep_their_order_for_any_k(metric):
    rng = np.random.default_rng(0)
    vectors = np.repeat(rng.normal(size=(3, 8)), 150, axis=0).astype(np.float32)
    gallery = gallery_of(vectors, FROM_100[: len(vectors)], rng.permutation(450), ["a", "b", "c"] * 150)
    everything = gallery.search(vectors[0], k=450, metric=metric)
    for k in (1, 5, 60, 149, 151, 300):
        assert gallery.search(vectors[0], k=k, metric=metric) == everything[:k]


def test_cosines_do_not_depend_on_the_metric_of_the_search():
    gallery, _ = random_gallery(60, 60)
    query = np.arange(8.0)
    by_cosine = gallery.search(query, k=60)
    np.testing.assert_allclose(gallery.cosines(query, by_cosine), [hit.value for hit in by_cosine], atol=1e-6)
    by_distance = gallery.search(query, k=60, metric="euclidean")
    found = {hit.image_id: hit.value for hit in by_cosine}
    expected = [found[hit.image_id] for hit in by_distance]
    np.testing.assert_allclose(gallery.cosines(query, by_distance), expected, atol=1e-6)
    assert gallery.cosines(query, []).shape == (0,)


def test_images_and_products_are_found_by_id():
    gallery = gallery_of(np.eye(3, dtype=np.float32), FROM_100[:3], np.array([5, 6, 5]), ["a", "a", "b"])
    for product_ids, image_ids in (
        (5, [100, 102]),
        (9, []),
        (np.array([6, 9, 5]), [100, 101, 102]),
        (np.array([]), []),
    ):
        assert gallery.image_ids_of(product_ids).tolist() == image_ids
    assert gallery.products.tolist() == [5, 6]
    assert len(gallery) == 3
    assert gallery.embedding(102).tolist() == [0, 0, 1]
    with pytest.raises(KeyError, match="99"):
        gallery.embedding(99)


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"k": 0}, InvalidRequest, "0"),
        ({"k": 1, "metric": "manhattan"}, InvalidRequest, "manhattan"),
        ({"k": 1, "classes": ("class 1", "rug")}, UnknownClass, r"'rug'.* class \d, class \d, class \d"),
    ],
)
def test_invalid_requests_are_rejected(options, error, words):
    gallery, _ = random_gallery(30, 30)
    with pytest.raises(error, match=words):
        gallery.search(np.ones(8), **options)
