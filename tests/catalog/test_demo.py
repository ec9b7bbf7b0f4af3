import csv
import io
import re
from collections import Counter

import numpy as np
import pytest
from PIL import Image

from catalog import demo


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The demo catalogue, written once and small, which is quicker to draw."""
    place = tmp_path_factory.mktemp("demo")
    demo.write(place, side=160)
    return place


@pytest.fixture(scope="module")
def rows(folder):
    """The lines of its feed."""
    with (folder / "feed.csv").open(encoding="utf8", newline="") as file:
        return list(csv.DictReader(file))


def test_feed_is_a_believable_catalogue(rows):
    """About seventy products of several categories, each with all its columns filled."""
    assert 60 <= len(rows) <= 80
    assert tuple(rows[0]) == demo.COLUMNS
    assert all(row[name] for row in rows for name in demo.COLUMNS)
    assert len({row["sku"] for row in rows}) == len({row["article_number"] for row in rows}) == len(rows)
    assert all(re.fullmatch(r"\d{3}\.\d{3}\.\d{2}", row["article_number"]) for row in rows)
    assert min(Counter(row["category"] for row in rows).values()) >= 3
    assert all(5 < float(row["price"]) < 5000 for row in rows)


def test_variants_share_a_group_and_differ_in_colour(rows):
    """The colours of one model are its variants."""
    groups = Counter(row["variant_group"] for row in rows)

    assert min(groups.values()) >= 2
    assert len({(row["variant_group"], row["attr:colour"]) for row in rows}) == len(rows)


def test_every_picture_of_the_feed_is_there(folder, rows):
    """Each product has a studio picture and one in a room, and no file is left over."""
    named = {name for row in rows for name in row["images"].split("|")}

    assert named == {path.name for path in (folder / "pictures").iterdir()}
    assert len(named) == 2 * len(rows)


def test_pictures_show_something(folder):
    """No picture is blank, and the studio background is light."""
    for path in sorted((folder / "pictures").iterdir())[::5]:
        with Image.open(path) as image:
            values = np.asarray(image.resize((64, 64)), np.float32)
        assert values.std() > 4, path.name
        if "room" not in path.name:
            assert values[:2].mean() > 225, path.name


def test_same_seed_same_bytes():
    """The catalogue is the same for the same seed; another seed changes prices or stock, not the articles."""
    first, again, other = demo.products(1), demo.products(1), demo.products(2)

    assert [item.row for item in first] == [item.row for item in again]
    assert demo.shopper_photo(first[0].sku, 1) == demo.shopper_photo(first[0].sku, 1)
    assert [item.sku for item in first] == [item.sku for item in other]
    assert [item.row for item in first] != [item.row for item in other]


def test_variants_look_different():
    """Two colours of one sofa are the same shape in different colours."""
    first, second = (np.asarray(demo.studio(item, 128), np.float32) for item in demo.products()[:2])

    assert np.abs(first - second).max() > 30
    assert np.abs(first[:20] - second[:20]).max() < 4


def test_shopper_photo_is_not_the_catalogue_picture(folder):
    """The photo to try with shows the product elsewhere, as a person would take it."""
    for sku in demo.EXAMPLES:
        data = (folder / "examples" / f"{sku.lower()}.jpg").read_bytes()
        with Image.open(io.BytesIO(data)) as photo:
            assert photo.size == (820, 820)
        assert data != (folder / "pictures" / f"{sku.lower()}-room.jpg").read_bytes()
