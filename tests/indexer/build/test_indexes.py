from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog.queries import SEPARATOR, GalleryRow
from indexer.build.indexes import NAMED_ALL, OTHER, assign_classes, build_gallery, fingerprint
from indexer.feed import field_parsers
from vsearch.core.settings import Settings
from vsearch.search.engine import ALL


def test_large_categories_are_classes() -> None:
    """Under their whole path."""
    categories = ["Sofas > Corner"] * 3 + ["Lamps"] * 3
    assert assign_classes(categories, 3) == categories


def test_small_categories_join_their_parent() -> None:
    """Which may thereby become large enough, with its own pictures."""
    categories = ["Sofas > Corner"] * 2 + ["Sofas > Bed"] + ["Sofas"] + ["Lamps"] * 4
    assert assign_classes(categories, 4) == ["Sofas"] * 4 + ["Lamps"] * 4


def test_what_is_small_at_every_level_is_other() -> None:
    """As are pictures without a category, however few."""
    assert assign_classes(["A > B > C", "A > B", "", "D"], 4) == [OTHER] * 4
    assert assign_classes([""], 5) == [OTHER]
    assert assign_classes([], 5) == []


def test_joining_goes_up_level_by_level() -> None:
    """The nearest large enough parent, not the top."""
    categories = ["A > B > C"] * 2 + ["A > B > D"] * 2 + ["A > E"] * 9
    assert assign_classes(categories, 4) == ["A > B"] * 4 + ["A > E"] * 9


@pytest.mark.parametrize(
    "name", ["other", "Other", "Other products", "> other", ">Other products", "A > > B", "other >"]
)
def test_no_category_is_the_class_of_what_has_none(name: str) -> None:
    """A shop may have a category of that name; one that would be the very class is refused by the feed."""
    try:
        category = field_parsers.category("category", name)
    except field_parsers.BadCell:
        return
    assert assign_classes([category] * 3 + ["Lamps", ""], 3) == [category] * 3 + [OTHER] * 2
    assert category != OTHER


def test_a_category_all_is_not_the_word_for_every_class() -> None:
    """A search of the class "all" is one of every class; below it, and with other capitals, a name is its own."""
    categories = ["all", "All", "all > Chairs", "Lamps > all"]
    assert assign_classes(categories, 1) == [NAMED_ALL, *categories[1:]]
    assert assign_classes(["all > Chairs", "all > Lamps"], 2) == [NAMED_ALL] * 2
    assert ALL not in assign_classes(categories, 1)


def test_the_class_of_what_has_no_category_is_no_category() -> None:
    """Its name has none before the ">"."""
    with pytest.raises(field_parsers.BadCell):
        field_parsers.category("category", OTHER)


@given(st.lists(st.lists(st.sampled_from("ABC"), max_size=3).map(SEPARATOR.join), max_size=60), st.integers(1, 8))
def test_every_class_is_large_enough_and_a_parent_of_its_pictures(categories: list[str], min_size: int) -> None:
    """Except `OTHER`; and a category that is large enough itself stays."""
    classes = assign_classes(categories, min_size)
    for name in set(classes) - {OTHER}:
        assert classes.count(name) >= min_size
    for category, name in zip(categories, classes, strict=True):
        assert name == OTHER or (category + SEPARATOR).startswith(name + SEPARATOR)
        if category and categories.count(category) >= min_size:
            assert name == category


ROWS = [GalleryRow(1, 10, "a", "0" * 64, "Sofas"), GalleryRow(2, 11, "b", "1" * 64, "Lamps")]
SETTINGS = Settings()


def test_the_same_inputs_have_the_same_fingerprint() -> None:
    """Titles, prices and stock are no part of it: they are read from SQL."""
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
def test_any_other_input_has_another(
    rows: list[GalleryRow], classes: list[str], checkpoint_id: str, settings: Settings
) -> None:
    """Whatever determines a generation is in it."""
    assert fingerprint(rows, classes, checkpoint_id, settings) != fingerprint(ROWS, ["x", "y"], "c", SETTINGS)


def test_a_gallery_has_every_picture_in_its_class() -> None:
    """Under both metrics; classes in alphabetical order."""
    image_ids, product_ids = np.arange(10, 16), np.array([1, 1, 2, 2, 3, 3])
    vectors = np.random.default_rng(0).normal(size=(6, 4)).astype(np.float32)
    classes = ["sofa", "lamp", "sofa", "lamp", "rug", "rug"]
    gallery = build_gallery(vectors, image_ids, product_ids=product_ids, classes=classes)
    assert gallery.classes == ("lamp", "rug", "sofa")
    assert set(gallery.indexes) == {"cosine", "euclidean"}
    for indexes in gallery.indexes.values():
        np.testing.assert_array_equal(indexes["lamp"].image_ids, [11, 13])
    np.testing.assert_array_equal(gallery.embedding(14), vectors[4])
