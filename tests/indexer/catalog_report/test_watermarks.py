"""Watermark detection on drawn pictures; docs/examples/watermarks.py measures it on real photographs."""

import numpy as np
import pytest
from numpy.typing import NDArray

from catalog.queries import GalleryRow
from indexer.catalog_report.watermarks import (
    MIN_PICTURES,
    SAMPLE_SIZE,
    SIDE,
    WHOLE_CATALOG,
    find_watermarked,
    finding,
    groups,
)

Gray = NDArray[np.uint8]


def products(count: int, seed: int = 0) -> Gray:
    """Return pictures of boxes and discs on white, each with a different size, position and gray."""
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


def watermarked(pictures: Gray, opacity: float = 0.4, which: slice = slice(None)) -> Gray:
    """Return the pictures, some with letter-like bars in a corner."""
    found = pictures.astype(np.float64)
    for x in range(70, 120, 6):
        found[which, 108:120, x : x + 3] *= 1 - opacity
    return found.astype(np.uint8)


@pytest.mark.parametrize(
    "pictures",
    [
        *[products(SAMPLE_SIZE, seed) for seed in range(5)],
        watermarked(products(MIN_PICTURES - 1)),
        watermarked(products(20), which=slice(0, 8)),
        np.repeat(products(1), SAMPLE_SIZE, axis=0),
    ],
    ids=[*map(str, range(5)), "too few pictures", "only some marked", "identical pictures"],
)
def test_no_watermark_is_found(pictures):
    assert not find_watermarked(pictures).any()


@pytest.mark.parametrize("opacity", [0.15, 0.4, 1])
def test_a_watermark_is_found(opacity):
    assert find_watermarked(watermarked(products(SAMPLE_SIZE), opacity)).mean() > 0.9


def test_pictures_without_the_watermark_are_left_out():
    marked = find_watermarked(watermarked(products(20), which=slice(0, 17)))
    assert marked.tolist() == [True] * 17 + [False] * 3


def picture(number: int, brand: str | None = None, group: str | None = None, height: int = 320) -> GalleryRow:
    """Return a picture of a separate product."""
    brand = ("Acme" if number % 2 else "") if brand is None else brand
    return GalleryRow(number, number, f"P{number:03d}", f"{number:064d}", "", group, brand, 320, height)


def test_groups_are_the_catalog_and_its_larger_brands():
    """One picture per product or variant group, of the most common shape."""
    pictures = [picture(number) for number in range(60)]
    pictures += [picture(100 + number, "Tall", height=500) for number in range(MIN_PICTURES)]
    pictures += [picture(200 + number, "Few") for number in range(MIN_PICTURES - 1)]
    pictures += [picture(300 + number, "Sofas", group="sofa") for number in range(MIN_PICTURES)]
    found = dict(groups(pictures))
    assert list(found) == [WHOLE_CATALOG, "Acme", "Tall", "Sofas"]
    assert len(found[WHOLE_CATALOG]) == len(found["Acme"]) == SAMPLE_SIZE
    assert {each.height for each in found[WHOLE_CATALOG]} == {320}
    assert len(found["Tall"]) == MIN_PICTURES
    assert len(found["Sofas"]) == 1


def test_a_finding_names_the_marked_products():
    sample = [picture(number) for number in range(10)]
    found = finding("Acme", sample, np.arange(10) < 9)
    assert found is not None
    assert found.text.startswith("9 of 10 sampled images from Acme")
    assert (len(found.skus), len(found.pictures)) == (9, 9)
    assert finding("Acme", sample, np.zeros(10, bool)) is None
