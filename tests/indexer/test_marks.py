"""Marks that pictures have in common; docs/examples/marks.py measures them on real photographs."""

import numpy as np
import pytest
from numpy.typing import NDArray

from catalog.review import Shown
from indexer.marks import ALL, FEWEST, LOOKED_AT, SIDE, bearers, groups, note

Grey = NDArray[np.uint8]


def products(count: int, seed: int = 0) -> Grey:
    """Return pictures of boxes and discs on white, each of its own size, place and grey."""
    random = np.random.default_rng(seed)
    down, across = np.mgrid[:SIDE, :SIDE]
    pictures = np.full((count, SIDE, SIDE), 255, np.uint8)
    for number, picture in enumerate(pictures):
        y, x = random.integers(40, 88, 2)
        height, width = random.integers(15, 38, 2)
        if number % 2:
            shape = (abs(down - y) < height) & (abs(across - x) < width)
        else:
            shape = ((down - y) / height) ** 2 + ((across - x) / width) ** 2 < 1
        picture[shape] = random.integers(20, 200)
    noise = random.integers(-2, 3, pictures.shape)
    return np.clip(pictures.astype(int) + noise, 0, 255).astype(np.uint8)


def marked(pictures: Grey, opacity: float = 0.4, which: slice = slice(None)) -> Grey:
    """Return pictures of which these bear some bars, as letters have them, in a corner."""
    found = pictures.astype(np.float64)
    for x in range(70, 120, 6):
        found[which, 108:120, x : x + 3] *= 1 - opacity
    return found.astype(np.uint8)


def test_different_products_bear_no_mark() -> None:
    """Whatever they are; nor do few pictures, or equal ones."""
    assert not any(bearers(products(LOOKED_AT, seed)).any() for seed in range(5))
    assert not bearers(marked(products(FEWEST - 1))).any()
    assert not bearers(np.repeat(products(1), LOOKED_AT, axis=0)).any()


@pytest.mark.parametrize("opacity", [0.15, 0.4, 1])
def test_a_mark_is_found(opacity: float) -> None:
    """Also a faint one."""
    assert bearers(marked(products(LOOKED_AT), opacity)).mean() > 0.9


def test_those_that_do_not_bear_it_are_told_apart() -> None:
    """Most must, or there is none to be seen."""
    bear = bearers(marked(products(20), which=slice(0, 17)))
    assert bear.tolist() == [True] * 17 + [False] * 3
    assert not bearers(marked(products(20), which=slice(0, 8))).any()


def one(number: int, **changed: object) -> Shown:
    """Return a picture."""
    values = {"sku": f"P{number:03d}", "brand": "Acme" if number % 2 else "", "sha256": f"{number:064d}"}
    told = {"title": "", "category": "", "variant_group": None, "width": 320, "height": 320}
    return Shown(image_id=number, **{**values, **told, **changed})  # type: ignore[arg-type]


def test_groups_are_the_catalogue_and_its_brands() -> None:
    """One picture of a product or of its variants, of the shape that most have; small brands are left out."""
    shown = [one(number) for number in range(60)]
    shown += [one(100 + number, brand="Tall", height=500) for number in range(FEWEST)]
    shown += [one(200 + number, brand="Few") for number in range(FEWEST - 1)]
    shown += [one(300 + number, variant_group="sofa", brand="Sofas") for number in range(FEWEST)]
    found = dict(groups(shown))
    assert list(found) == [ALL, "Acme", "Tall", "Sofas"]
    assert len(found[ALL]) == len(found["Acme"]) == LOOKED_AT
    assert {each.height for each in found[ALL]} == {320}
    assert len(found["Tall"]) == FEWEST
    assert len(found["Sofas"]) == 1


def test_what_is_said() -> None:
    """How many of whose pictures, with the products."""
    looked_at = [one(number) for number in range(10)]
    found = note("Acme", looked_at, np.arange(10) < 9)
    assert found is not None
    assert found.said.startswith("of Acme: 9 of 10 pictures looked at bear the same mark")
    assert (len(found.skus), len(found.pictures)) == (9, 9)
    assert note("Acme", looked_at, np.zeros(10, bool)) is None
