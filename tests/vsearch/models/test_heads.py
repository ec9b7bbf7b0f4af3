import numpy as np
import pytest

from vsearch.models.class_heads import CLASS, ClassHeads, block_spans, fit_heads
from vsearch.models.trained_heads import VOTE

SIZES = {"one": 4, "one_middle": 2, "two": 6, "two_middle": 1, "color": 2}


def blocks_of(classes: int, each: int = 20, seed: int = 0) -> tuple[np.ndarray, list[str]]:
    """Return concatenated blocks clustered around a center for each class, and the class names."""
    rng = np.random.default_rng(seed)
    centers = rng.normal(0, 0.6, (classes, sum(SIZES.values())))
    rows = np.repeat(centers, each, axis=0) + rng.normal(0, 0.05, (classes * each, sum(SIZES.values())))
    return rows.astype(np.float16), [f"class {number}" for number in range(classes) for _ in range(each)]


@pytest.mark.parametrize("classes", [1, 2, 5])
def test_every_head_learns_separable_classes(classes: int) -> None:
    blocks, names = blocks_of(classes)
    predictions = fit_heads(blocks, names, SIZES).predict(blocks)
    assert predictions.spec(CLASS).classes == tuple(sorted(set(names)))
    assert predictions.predictors == ("one", "two", VOTE)
    for predictor in predictions.predictors:
        probabilities = predictions.probabilities_of(predictor, CLASS)
        assert probabilities.shape == (len(names), classes)
        np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)
        assert predictions.labels(predictor, CLASS) == names


def test_heads_see_the_middle_feature_map() -> None:
    blocks, names = blocks_of(2)
    blocks[:, [0, 1, 2, 3, *range(6, 12), 13, 14]] = 0  # all but the middle ones
    assert fit_heads(blocks, names, SIZES).predict(blocks).vote(CLASS) == names


@pytest.mark.parametrize("mislabeled", [0.0, 0.4])
def test_probabilities_are_calibrated_on_held_out_products(mislabeled: float) -> None:
    """All images of a product have one label, so only other products show how often labels are wrong."""
    rng = np.random.default_rng(1)
    blocks, names = blocks_of(2, each=400)
    products = np.arange(800) // 4
    wrong = rng.uniform(size=200)[products] < mislabeled
    labels = np.where(wrong, np.roll(names, 400), names)

    heads = fit_heads(blocks, labels.tolist(), SIZES, groups=products)

    fresh, truth = blocks_of(2, each=400)
    assert heads.predict(fresh).confidence(VOTE, CLASS).mean() == pytest.approx(1 - mislabeled, abs=0.08)
    assert heads.predict(fresh).vote(CLASS) == truth


@pytest.mark.parametrize("known", [False, True])
def test_heads_ignore_what_varies_within_a_product(known: bool) -> None:
    """Some dimension tells the classes apart in the images, but differs between photos of a product."""
    blocks, names = blocks_of(2)
    products = np.repeat(np.arange(20), 2)
    differences = np.zeros((1, blocks.shape[1]), np.float16)
    differences[0, [0, 6]] = 2
    blocks[:, [0, 6]] = np.where(np.array(names) == "class 0", -1, 1)[:, None]
    photos = blocks - differences * np.where(np.array(names) == "class 0", -1, 1)[:, None].astype(np.float16)
    if known:
        heads = fit_heads(blocks, names, SIZES, groups=products, differences=differences)
    else:
        rows, groups = np.concatenate([blocks, blocks + differences, blocks - differences]), np.tile(products, 3)
        heads = fit_heads(rows, names * 3, SIZES, groups=groups)
    assert np.mean(np.array(heads.predict(photos).vote(CLASS)) == names) > 0.9


def test_heads_are_rebuilt_from_their_arrays() -> None:
    blocks, names = blocks_of(3)
    heads = fit_heads(blocks, names, SIZES)
    again = ClassHeads.from_arrays(heads.arrays(), heads.classes, SIZES)
    np.testing.assert_allclose(again.predict(blocks).mean(CLASS), heads.predict(blocks).mean(CLASS), atol=0.01)


def test_fitting_needs_images() -> None:
    with pytest.raises(ValueError, match="at least one image"):
        fit_heads(np.empty((0, 15), np.float16), [], SIZES)


def test_spans_follow_the_order_of_the_blocks() -> None:
    assert block_spans({"a": 2, "b": 3}) == {"a": slice(0, 2), "b": slice(2, 5)}
