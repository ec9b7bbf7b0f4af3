from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog.queries import SEPARATOR, GalleryRow
from indexer.build.class_indexes import NAMED_ALL, OTHER, assign_classes, build_gallery, fingerprint
from indexer.feed.fields import FeedFields
from vsearch.core.settings import Settings
from vsearch.search.engine import ALL

ROWS = [GalleryRow(1, 10, "a", "0" * 64, "Sofas"), GalleryRow(2, 11, "b", "1" * 64, "Lamps")]
SETTINGS = Settings()


@pytest.mark.parametrize(
    ("categories", "min_size", "classes"),
    [
        (["Sofas > Corner"] * 3 + ["Lamps"] * 3, 3, ["Sofas > Corner"] * 3 + ["Lamps"] * 3),
        (["Sofas > Corner"] * 2 + ["Sofas > Bed", "Sofas"] + ["Lamps"] * 4, 4, ["Sofas"] * 4 + ["Lamps"] * 4),
        (["A > B > C"] * 2 + ["A > B > D"] * 2 + ["A > E"] * 9, 4, ["A > B"] * 4 + ["A > E"] * 9),
        (["A > B > C", "A > B", "", "D"], 4, [OTHER] * 4),
        ([""], 5, [OTHER]),
        ([], 5, []),
    ],
    ids=["large", "with the parent's own pictures", "nearest parent", "small at every level", "no category", "nothing"],
)
def test_small_categories_join_their_parent(categories: list[str], min_size: int, classes: list[str]) -> None:
    assert assign_classes(categories, min_size) == classes


@pytest.mark.parametrize(
    "name", ["other", "Other", "Other products", "> other", ">Other products", "A > > B", "other >", OTHER]
)
def test_no_feed_has_the_category_of_other_products(name: str) -> None:
    """A category with a similar name gets its own class or is refused."""
    try:
        category = FeedFields(sku="1", title="T", category=name).category
    except ValueError:
        return
    assert assign_classes([category] * 3 + ["Lamps", ""], 3) == [category] * 3 + [OTHER] * 2
    assert category != OTHER


def test_a_category_named_all_is_not_the_word_for_every_class() -> None:
    categories = ["all", "All", "all > Chairs", "Lamps > all"]
    assert assign_classes(categories, 1) == [NAMED_ALL, *categories[1:]]
    assert assign_classes(["all > Chairs", "all > Lamps"], 2) == [NAMED_ALL] * 2
    assert ALL not in assign_classes(categories, 1)


@given(st.lists(st.lists(st.sampled_from("ABC"), max_size=3).map(SEPARATOR.join), max_size=60), st.integers(1, 8))
def test_every_class_is_large_enough_and_a_parent_of_its_pictures(categories: list[str], min_size: int) -> None:
    """`OTHER` is the exception; a category that is large enough is not merged."""
    classes = assign_classes(categories, min_size)
    for name in set(classes) - {OTHER}:
        assert classes.count(name) >= min_size
    for category, name in zip(categories, classes, strict=True):
        assert name == OTHER or (category + SEPARATOR).startswith(name + SEPARATOR)
        if category and categories.count(category) >= min_size:
            assert name == category


def test_the_fingerprint_ignores_what_does_not_change_the_index() -> None:
    assert fingerprint(ROWS, ["x", "y"], "c", SETTINGS) == fingerprint(ROWS, ["x", "y"], "c", Settings(port=80))


@pytest.mark.parametrize(
    ("rows", "classes", "checkpoint_id", "settings"),
    [
        (ROWS[:1], ["x"], "c", SETTINGS),
        ([replace(ROWS[0], image_id=3), ROWS[1]], ["x", "y"], "c", SETTINGS),
        ([replace(ROWS[0], product_id=3), ROWS[1]], ["x", "y"], "c", SETTINGS),
        ([replace(ROWS[0], sha256="2" * 64), ROWS[1]], ["x", "y"], "c", SETTINGS),
        (ROWS, ["x", "x"], "c", SETTINGS),
        (ROWS, ["x", "y"], "d", SETTINGS),
        (ROWS, ["x", "y"], "c", Settings(embedding_size=64)),
        (ROWS, ["x", "y"], "c", Settings(whitening_views=4)),
        (ROWS, ["x", "y"], "c", Settings(whitening_products=3)),
    ],
)
def test_the_fingerprint_depends_on_every_input(
    rows: list[GalleryRow], classes: list[str], checkpoint_id: str, settings: Settings
) -> None:
    assert fingerprint(rows, classes, checkpoint_id, settings) != fingerprint(ROWS, ["x", "y"], "c", SETTINGS)


def test_a_gallery_has_every_picture_in_its_class() -> None:
    image_ids, product_ids = np.arange(10, 16), np.array([1, 1, 2, 2, 3, 3])
    vectors = np.random.default_rng(0).normal(size=(6, 4)).astype(np.float32)
    classes = ["sofa", "lamp", "sofa", "lamp", "rug", "rug"]
    gallery = build_gallery(vectors, image_ids, product_ids=product_ids, classes=classes)
    assert gallery.classes == ("lamp", "rug", "sofa")
    assert set(gallery.indexes) == {"cosine", "euclidean"}
    for indexes in gallery.indexes.values():
        np.testing.assert_array_equal(indexes["lamp"].image_ids, [11, 13])
    np.testing.assert_array_equal(gallery.embedding(14), vectors[4].astype(np.float16))
