"""Predicted attributes."""

import numpy as np
import pytest

from indexer.build.attributes import MIN_PRECISION, KnownProduct, predict_attributes

BLOCKS = {"net": 8, "color": 4}


def products(count: int, *, lacking: int, noise: float = 0.2, seed: int = 0):
    """Return products of three colors, three variants per design, and blocks in which the colors can be told apart."""
    rng = np.random.default_rng(seed)
    colors = [("red", "green", "blue")[number % 3] for number in range(count)]
    blocks = rng.normal(scale=1.0, size=(count, 12))
    for row, color in enumerate(colors):
        blocks[row, 8:] = np.eye(4)[("red", "green", "blue").index(color)] + rng.normal(scale=noise, size=4)
    known = [
        KnownProduct(number, f"design {number // 3}", {} if number < lacking else {"color": [color]})
        for number, color in enumerate(colors)
    ]
    return known, blocks.astype(np.float16), colors


def predict(known, blocks, batch_size=40):
    def read(numbers):
        return (blocks[numbers[start : start + batch_size]] for start in range(0, len(numbers), batch_size))

    return predict_attributes(known, read, BLOCKS)


def test_products_that_lack_an_attribute_get_it():
    known, blocks, colors = products(150, lacking=30)
    found = predict(known, blocks)
    assert len(found) > 20
    assert {each.product_id for each in found} <= set(range(30))
    right = np.mean([each.value == colors[each.product_id] for each in found])
    assert right >= MIN_PRECISION
    assert predict(known, blocks, batch_size=7) == found
    assert all(each.name == "color" and 0 < each.probability <= 1 for each in found)


def test_what_cannot_be_seen_is_not_predicted():
    known, blocks, _ = products(150, lacking=30, noise=30.0)
    assert len(predict(known, blocks)) <= 3


@pytest.mark.parametrize(("count", "lacking"), [(150, 0), (40, 30), (30, 30)])
def test_nothing_is_predicted_without_need_or_examples(count, lacking):
    known, blocks, _ = products(count, lacking=lacking)
    assert predict(known, blocks) == []


def test_values_that_few_products_have_are_not_predicted():
    known, blocks, _ = products(150, lacking=30)
    rare = [KnownProduct(each.product_id, each.group, {"color": ["pink"]}) for each in known[145:]]
    found = predict([*known[:145], *rare], blocks)
    assert "pink" not in {each.value for each in found}
    assert found
