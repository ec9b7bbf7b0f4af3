from collections import Counter
from dataclasses import fields, replace

import pytest

from demo_shop_renderer import feed, wording
from demo_shop_renderer.build.grid import cells
from demo_shop_renderer.catalogue import CATEGORIES, by_sku, choices, families, products
from demo_shop_renderer.designs import DESIGNS
from demo_shop_renderer.palette import POOLS, Finish, apart, finish
from indexer.feed.reader import read_feed

SEED = 7


def test_the_shop_is_large_enough():
    """At least 360 products of 120 families, in twelve categories with ten families or more each."""
    per_category = Counter(family.design.category for family in families(SEED))

    assert len(products(SEED)) >= 360
    assert len(families(SEED)) >= 120
    assert per_category.keys() == CATEGORIES.keys()
    assert min(per_category.values()) >= 10


def test_names_and_numbers_are_unique():
    """No two products share a sku, an article number or a picture's name, no two families a name."""
    items = products(SEED)

    assert len({item.sku for item in items}) == len(items)
    assert len({item.article_number for item in items}) == len(items)
    assert len({feed.picture_name(item) for item in items}) == len(items)
    assert len({family.key for family in families(SEED)}) == len(families(SEED)) == len(DESIGNS)


def test_same_seed_same_shop():
    """The same seed gives the same rows, another seed others."""
    first = [feed.row(item, SEED) for item in products(SEED)]
    families.cache_clear()
    products.cache_clear()

    assert [feed.row(item, SEED) for item in products(SEED)] == first
    assert [feed.row(item, 8) for item in products(8)] != first


def test_variants_share_their_shape():
    """Variants of a family differ in colour, or in size alone; none is there twice."""
    for family in families(SEED):
        variants = [item for item in products(SEED) if item.family == family]
        assert len(variants) == 3
        for item in variants:
            other = ("width", "depth", "seats", "cushions", "grid") if item.size else ()
            same = {name: getattr(item.shape, name) for name in other if hasattr(item.shape, name)}
            assert replace(variants[0].shape, **same) == item.shape
        assert len({(item.lead, item.size) for item in variants}) == 3


def test_colours_of_variants_are_told_apart():
    """Two variants of one size look clearly different."""
    for family in families(SEED):
        leads = [item.lead for item in products(SEED) if item.family == family and not item.size]
        close = [(one, two) for one in leads for two in leads if one != two and apart(one, two) < 8]
        assert not close, family.design.key


def test_the_split_is_by_family_and_even():
    """About three in ten families of each category are never trained on."""
    for category in CATEGORIES:
        splits = Counter(family.split for family in families(SEED) if family.design.category == category)
        assert 0.2 <= splits["unseen"] / splits.total() <= 0.4


def test_designs_have_shapes_of_their_own():
    """No two designs have the same parameters."""
    shapes = [
        (type(design.shape), *(getattr(design.shape, one.name) for one in fields(design.shape))) for design in DESIGNS
    ]

    assert len(set(shapes)) == len(shapes)


def test_every_finish_of_a_design_exists():
    """Each part may be made of something, and what it is called by is one of its parts."""
    for design in DESIGNS:
        assert all(choices(text) for text in design.finishes), design.key
        assert 0 <= design.lead < len(design.finishes), design.key
        assert len(choices(design.finishes[design.lead])) >= 2, design.key
        assert not hasattr(design.shape, "grid") or cells(design.shape.grid), design.key


def test_every_colour_of_every_material_has_a_value():
    """A finish can be painted."""
    for material, colours in POOLS.items():
        assert all(len(Finish(material, colour).hex) == 7 for colour in colours)


def test_finishes_are_written_short():
    """A wood or a metal by its name alone, others with their colour; what is not made is an error."""
    assert finish("oak") == Finish("wood", "oak")
    assert finish("velvet:teal") == Finish("velvet", "teal")
    with pytest.raises(KeyError):
        finish("velvet:oak")


def test_the_feed_is_accepted(tmp_path):
    """The feed reader takes every row, without a warning."""
    feed.write(tmp_path, SEED, {})

    reading = read_feed(tmp_path / "feed.csv")

    assert len(reading.rows) == len(products(SEED))
    assert reading.errors == ()
    assert reading.warnings == ()
    assert {row.item.category for row in reading.rows} == set(CATEGORIES.values())
    assert all(row.item.dimensions and row.item.article_number for row in reading.rows)


def test_the_shop_is_described_believably():
    """Titles, descriptions and prices are varied and whole."""
    rows = [feed.row(item, SEED) for item in products(SEED)]

    assert len({row["title"] for row in rows}) == len(rows)
    assert len({row["description"] for row in rows}) > 0.95 * len(rows)
    assert all(60 < len(row["description"]) < 500 and "  " not in row["description"] for row in rows)
    assert all(20 < float(row["price"]) < 6000 for row in rows)
    assert all(row["attr:material"] for row in rows)


def test_a_material_is_said_as_people_say_it():
    """Woods by their name, cloth with its colour, paint as lacquer."""
    assert wording.shown(Finish("wood", "walnut")) == "walnut"
    assert wording.shown(Finish("velvet", "teal")) == "teal velvet"
    assert wording.shown(Finish("paint", "navy")) == "navy lacquer"


def test_products_are_found_by_sku():
    """Each by its own."""
    assert all(by_sku(SEED)[item.sku] is item for item in products(SEED))


def test_a_grid_is_divided_by_its_shares():
    """Columns from the left, rows from the top, by their shares."""
    wide, upper, lower = cells("3:o | d2 w")

    assert (wide.kind, wide.width, wide.height) == ("o", 0.75, 1.0)
    assert (upper.kind, upper.left, round(upper.low, 3)) == ("d", 0.75, 0.333)
    assert (lower.kind, lower.low, lower.column) == ("w", 0.0, 1)
    with pytest.raises(ValueError, match="must be a letter"):
        cells("o2x")
