import math

import numpy as np
import pytest

from demo_shop_renderer.boxes import Seen, area, box_of, clipped, with_roles
from demo_shop_renderer.catalogue import products
from demo_shop_renderer.staging.floor import Floor, Item, overlap
from demo_shop_renderer.staging.plan import plan
from demo_shop_renderer.staging.views import View, views

SEED = 7
SOME = products(SEED)[::60]


def item(x: float, y: float, turn: float = 0.0, z: float = 0.0) -> Item:
    """Return something a metre wide, half a metre deep, 80 cm high."""
    return Item("thing", True, (x, y, z), turn, (1.0, 0.5, 0.8))


def test_footprints_turn_with_their_items():
    """Turned by a right angle, what was wide is deep."""
    assert not overlap(item(0, -1), item(0.8, -1, 90), 0.04)
    assert overlap(item(0, -1), item(0.8, -1))
    assert not overlap(item(0, -1), item(0, -1, z=0.8))


def test_the_floor_takes_only_what_fits():
    """Nothing through a wall, nothing into another thing; the front side is open."""
    floor = Floor(4.0, 4.0)

    assert floor.add(item(0, -0.3))
    assert not floor.add(item(0.5, -0.4))
    assert not floor.add(item(1.8, -1))
    assert not floor.add(item(0, -0.2, 45))
    assert floor.add(item(0, -2, 45))


@pytest.mark.parametrize("product", SOME, ids=lambda product: product.sku)
def test_a_room_holds_its_product_and_others_apart(product):
    """The product stands in its room; what stands on the floor overlaps at most by a chair pushed under a table."""
    room = plan(product, products(SEED), f"{SEED} {product.sku} 1")

    assert room.instances(product.sku)
    assert room == plan(product, products(SEED), f"{SEED} {product.sku} 1")
    low = [one for one in room.items if one.at[2] == 0]
    categories = {one.sku: one.category for one in products(SEED)}
    for number, one in enumerate(low):
        for other in low[:number]:
            pair = {categories.get(one.what, one.what), categories.get(other.what, other.what)}
            assert not overlap(one, other) or pair & {"chair", "stool"}, (one.what, other.what)


def test_photos_to_learn_from_show_no_product_kept_unseen():
    """Rooms about products of the training split hold such products only; other rooms hold any."""
    splits = {one.sku: one.family.split for one in products(SEED)}
    stand = {"train": set(), "unseen": set()}
    for product in products(SEED)[::9]:
        room = plan(product, products(SEED), f"{SEED} {product.sku} 2")
        stand[product.family.split] |= {splits[one.what] for one in room.items if one.what in splits}

    assert stand == {"train": {"train"}, "unseen": {"train", "unseen"}}


def test_rooms_of_one_product_differ():
    """Another photo, another room."""
    product = products(SEED)[40]
    rooms = [plan(product, products(SEED), f"{SEED} {product.sku} {number}") for number in range(6)]

    assert len({room.size for room in rooms}) == 6
    assert len({(room.accent, room.floor, room.light) for room in rooms}) >= 4


@pytest.mark.parametrize("product", SOME, ids=lambda product: product.sku)
def test_people_stand_where_people_can(product):
    """Cameras are inside the side walls, at the height of a hand, and none is the packshot's."""
    room = plan(product, products(SEED), f"{SEED} {product.sku} 1")
    found = list(views(room, room.items[room.instances(product.sku)[0]], "key"))

    assert found
    for view in found:
        assert abs(view.at[0]) < room.size[0] / 2
        assert 0.5 < view.at[2] < 2.6
        assert max(view.size) == 384


def test_a_view_has_square_axes():
    """Right, up and ahead stand on one another, rolled or not."""
    axes = np.array(View((0, -3, 1.5), (0.3, 0, 0.5), 26, 5.0, (384, 288)).axes)

    assert np.allclose(axes @ axes.T, np.eye(3), atol=1e-9)
    assert math.isclose(float(np.linalg.det(np.array([axes[0], axes[1], -axes[2]]))), 1.0)


def test_box_of_a_mask():
    """The box ends after the last true cell, in pixels."""
    mask = np.zeros((6, 8), bool)
    mask[2:4, 3:7] = True

    assert box_of(mask) == (3, 2, 7, 4)
    assert box_of(mask, 10, 20, 2) == (16, 24, 24, 28)
    assert box_of(np.zeros((3, 3), bool)) is None


def test_boxes_are_cut_at_the_picture():
    """In whole pixels, and never inside out."""
    assert clipped((-3.5, 2.2, 500, 9.1), (384, 288)) == (0, 2, 384, 10)
    assert area(clipped((400, 2, 500, 9), (384, 288))) == 0


def test_the_best_sight_is_the_main_one():
    """Of several chairs alike one is the product photographed; what is hidden or tiny is not recorded."""
    found = [
        Seen("A", "other", 0, 0, 50, 50, 0.5),
        Seen("A", "other", 100, 100, 200, 200, 0.9),
        Seen("B", "other", 0, 0, 100, 100, 0.1),
        Seen("C", "other", 0, 0, 10, 10, 1.0),
        Seen("D", "other", 0, 0, 100, 60, 0.6),
    ]

    kept = with_roles(found, "A", (384, 288))

    assert [(one.sku, one.role, one.left) for one in kept] == [("A", "main", 100), ("A", "other", 0), ("D", "other", 0)]
    assert with_roles(found[2:], "A", (384, 288)) == [found[4]]
