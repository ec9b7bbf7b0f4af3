from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from catalog.queries import GalleryRow
from indexer.build import fit
from indexer.build.fit import LabeledBlocks
from indexer.build.match_calibration import LabeledEmbeddings, score_views
from tests.fakes import BLOCK_SIZES, fake_checkpoint
from vsearch.core.vectors import l2_normalize
from vsearch.index.generation import MatchCalibration
from vsearch.models.checkpoint import Checkpoint
from vsearch.search.score_normalization import cohort_score, penalty


def rows_of(products: int) -> list[GalleryRow]:
    """Return two pictures of each product, the later one listed first."""
    rows = [GalleryRow(10 * number + 1, number, f"S{number}", f"{number:064x}", "Sofas") for number in range(products)]
    return [GalleryRow(row.image_id + 1, row.product_id, row.sku, "f" * 64, "Sofas") for row in rows] + rows


def labeled(
    blocks: np.ndarray, product_ids: np.ndarray, numbers: np.ndarray, classes: tuple[str, ...]
) -> LabeledBlocks:
    """Return pictures with a row of blocks each."""
    return LabeledBlocks(blocks, np.arange(len(blocks)), product_ids, numbers, classes)


def sample(products: int, numbers: tuple[int, ...], noise: float, seed: int = 0) -> LabeledBlocks:
    """Return blocks of products that lie about a centre of their own in the first four numbers; others are noise."""
    centres = np.random.default_rng(7).normal(size=(products, 16)) * ([1.0] * 4 + [0.0] * 12)
    product_ids = np.repeat(np.arange(products), len(numbers))
    spread = np.array([0.1] * 4 + [1.0] * 12) * noise
    blocks = centres[product_ids] + np.random.default_rng(seed).normal(size=(len(product_ids), 16)) * spread
    classes = tuple(f"class {product_id % 3}" for product_id in product_ids)
    return labeled(blocks.astype(np.float16), product_ids, np.tile(numbers, products), classes)


@pytest.fixture
def checkpoint(tmp_path: Path) -> Checkpoint:
    """A fake checkpoint."""
    return fake_checkpoint(tmp_path / "given")


def test_views_are_of_each_products_first_picture() -> None:
    """All numbered views where there are products enough to fit a whitening on."""
    views = fit.choose_views(rows_of(fit.MIN_WHITENING_PRODUCTS), products=2000, views=3)
    assert len(views) == 3 * fit.MIN_WHITENING_PRODUCTS
    assert {view.number for view in views} == {1, 2, 3}
    assert all(view.sha256 == f"{view.product_id:064x}" for view in views)


def test_a_small_catalogue_needs_the_held_out_view_alone() -> None:
    """For the match thresholds; its whitening is the checkpoint's own."""
    views = fit.choose_views(rows_of(5), products=2000, views=3)
    assert [view.number for view in views] == [fit.HELD_OUT] * 5


def test_the_choice_of_products_hardly_changes_with_the_catalogue() -> None:
    """So that a night with few changes encodes few views; and it is not simply the oldest."""
    before = {view.product_id for view in fit.choose_views(rows_of(1000), products=300, views=2)}
    after = {view.product_id for view in fit.choose_views(rows_of(1010), products=300, views=2)}
    assert len(before) == len(after) == 300
    assert len(before & after) > 290
    assert 100 < np.median(list(before)) < 900


def test_no_views_when_turned_off() -> None:
    """No products, no views."""
    assert fit.choose_views(rows_of(500), products=0, views=4) == []


@pytest.mark.parametrize(
    ("known", "bundled", "needed"),
    [
        (("b", "a"), False, False),
        (("a", "b"), True, True),
        (("a",), False, True),
        (("a", "b", "c"), False, True),
    ],
)
def test_heads_are_fitted_when_the_classes_are_others(known: tuple[str, ...], bundled: bool, needed: bool) -> None:
    """And always when they came with the package: those know other pictures, not the shop's."""
    assert fit.needs_heads(known, ["a", "b", "a"], None, bundled=bundled) is needed
    assert fit.needs_heads(known, ["a", "b", "a"], {"a": 2, "b": 1}, bundled=bundled) is needed


@pytest.mark.parametrize(
    ("now", "needed"),
    [
        ({"a": 100, "b": 40}, False),
        ({"a": 119, "b": 47}, False),
        ({"a": 81, "b": 33}, False),
        ({"a": 120, "b": 40}, True),
        ({"a": 80, "b": 40}, True),
        ({"a": 100, "b": 80}, True),
        ({"a": 100, "b": 1}, True),
    ],
)
def test_heads_are_fitted_again_when_a_class_has_grown_or_shrunk(now: dict[str, int], needed: bool) -> None:
    """By a fifth of what it had when they were fitted; heads that came with a model know no such numbers."""
    classes = [name for name, count in now.items() for _ in range(count)]
    assert fit.needs_heads(["b", "a"], classes, {"a": 100, "b": 40}, bundled=False) is needed
    assert not fit.needs_heads(["b", "a"], classes, None, bundled=False)


def test_heads_learn_from_pictures_and_views() -> None:
    """Those of a class are told from the others, in the classes' own names."""
    pictures = sample(60, (0,), noise=0.1)
    separable = labeled(pictures.blocks, pictures.product_ids, pictures.numbers, ("x",) * 30 + ("y",) * 30)
    separable.contents[:30, [0, 8]] += 4
    views = separable.where(separable.product_ids % 2 == 0)
    heads = fit.fit_shop_heads(separable, views, BLOCK_SIZES)
    assert heads.classes == ("x", "y")
    assert (heads.predict(separable.blocks).winners == [0] * 30 + [1] * 30).mean() > 0.95


def test_a_whitening_fitted_on_views_finds_products_that_the_blocks_do_not(checkpoint: Checkpoint) -> None:
    """It learns which numbers tell products apart, and leaves the noise aside."""
    count = fit.MIN_WHITENING_PRODUCTS
    pictures, views = sample(count, (0,), noise=1), sample(count, (1, 2, 3), noise=1, seed=1)
    embedding = fit.fit_embedding(checkpoint, pictures, views, size=8)
    held_out = views.where(views.numbers == fit.HELD_OUT)

    def found(views: np.ndarray, gallery: np.ndarray) -> float:
        scores = score_views(
            LabeledEmbeddings(views, held_out.product_ids, held_out.classes),
            LabeledEmbeddings(gallery, pictures.product_ids, pictures.classes),
        )
        return float((scores.own.scores > scores.other_product.scores).mean())

    raw = found(held_out.blocks.astype(np.float32), pictures.blocks.astype(np.float32))
    assert embedding.vectors.shape == (count, 8)
    assert found(fit.project(embedding.whitening, held_out.blocks), embedding.vectors) > 0.5 > 0.2 > raw
    assert embedding.match_calibration != MatchCalibration()


def test_strangers_set_where_nothing_is_close(checkpoint: Checkpoint) -> None:
    """Few of their like are called similar, true matches are. The tenth most like the catalogue is left out."""
    pictures, views = sample(60, (0,), noise=0.2), sample(60, (1, 2), noise=0.2, seed=1)
    rng = np.random.default_rng(5)
    about = rng.normal(size=(10, 16))  # ten sorts of things that are not sold
    vars(checkpoint)["background_cohort"] = (about[np.arange(200) % 10] + rng.normal(0, 0.2, (200, 16))).astype(
        np.float16
    )
    embedding = fit.fit_embedding(checkpoint, pictures, views, size=8)

    def said(blocks: np.ndarray) -> np.ndarray:
        photos = l2_normalize(fit.project(embedding.whitening, blocks))
        best = (photos @ l2_normalize(embedding.vectors).T).max(axis=1)
        near = cohort_score(photos, embedding.background_cohort)
        return (
            best - penalty(near, embedding.match_calibration.cohort_baseline) >= embedding.match_calibration.all.similar
        )

    others = (about[np.arange(300) % 10] + rng.normal(0, 0.2, (300, 16))).astype(np.float16)
    assert said(others).mean() < 0.1
    assert said(views.blocks[views.numbers == fit.HELD_OUT]).mean() > 0.9
    assert embedding.background_cohort.shape == (180, 8)
    np.testing.assert_allclose(np.linalg.norm(embedding.background_cohort, axis=1), 1, rtol=1e-5)


def test_the_held_out_views_are_not_fitted_on(checkpoint: Checkpoint) -> None:
    """Other held-out views give the same whitening and other thresholds."""
    count = fit.MIN_WHITENING_PRODUCTS
    pictures, views = sample(count, (0,), noise=1), sample(count, (1, 2), noise=1, seed=1)
    changed = labeled(views.blocks.copy(), views.product_ids, views.numbers, views.classes)
    changed.contents[changed.numbers == fit.HELD_OUT] *= 0.2
    first, second = (fit.fit_embedding(checkpoint, pictures, used, size=8) for used in (views, changed))
    np.testing.assert_array_equal(first.vectors, second.vectors)
    assert first.match_calibration != second.match_calibration


def test_a_small_catalogue_keeps_the_checkpoints_whitening(checkpoint: Checkpoint) -> None:
    """Also one without views."""
    pictures = sample(30, (0,), noise=1)
    for views in (sample(30, (1,), noise=1), pictures.where(np.zeros(30, np.bool_))):
        embedding = fit.fit_embedding(checkpoint, pictures, views, size=8)
        assert embedding.whitening is checkpoint.whitening
        np.testing.assert_allclose(embedding.vectors, checkpoint.whitening.project(pictures.blocks), rtol=1e-5)


def test_a_fitted_whitening_is_rounded_as_on_disk(checkpoint: Checkpoint) -> None:
    """What it is saved and loaded as projects to the very same numbers."""
    count = fit.MIN_WHITENING_PRODUCTS
    pictures, views = sample(count, (0,), noise=1), sample(count, (1, 2), noise=1)
    whitening = fit.fit_embedding(checkpoint, pictures, views, size=8).whitening
    loaded = type(whitening).from_arrays(whitening.arrays())
    np.testing.assert_array_equal(loaded.project(pictures.blocks), whitening.project(pictures.blocks))


def test_projecting_in_parts_changes_nothing(checkpoint: Checkpoint) -> None:
    """Also when there is nothing to project."""
    blocks = sample(50, (0,), noise=1).blocks
    np.testing.assert_allclose(
        fit.project(checkpoint.whitening, blocks, batch_size=7),
        checkpoint.whitening.project(blocks),
        rtol=1e-5,
        atol=1e-6,
    )
    assert fit.project(checkpoint.whitening, blocks[:0]).shape == (0, checkpoint.whitening.size)


def test_equal_blocks_get_the_very_same_embedding(checkpoint: Checkpoint) -> None:
    """Wherever the copies of a picture stand in the catalogue, to the last bit, in an order of their own."""
    blocks = sample(501, (0,), noise=1).blocks
    blocks[[250, 500]] = blocks[0]
    vectors = fit.project(checkpoint.whitening, blocks, batch_size=100)
    np.testing.assert_array_equal(vectors[[250, 500]], vectors[[0, 0]])
    np.testing.assert_allclose(vectors, checkpoint.whitening.project(blocks), rtol=1e-4, atol=1e-5)


def test_pictures_stand_among_their_views() -> None:
    """Halfway to the mean direction of its views, its length kept; a product's second picture stays as it is."""
    vectors = np.array([[2, 0, 0], [0, 3, 0], [0, 0, 1]], np.float32)
    views = np.array([[0, 5, 0], [0, 0, 7], [4, 0, 0]], np.float32)

    found = fit.database_side_augmentation(vectors, np.array([8, 8, 5]), views, np.array([8, 8, 5]))

    toward = np.array([1, 0.5, 0.5])
    np.testing.assert_allclose(found[0], 2 * toward / np.linalg.norm(toward), rtol=1e-6)
    np.testing.assert_array_equal(found[1], vectors[1])
    np.testing.assert_allclose(found[2], np.array([1, 0, 1]) / np.sqrt(2), rtol=1e-6)


def test_pictures_among_their_views_are_found_more_often(checkpoint: Checkpoint) -> None:
    """Photos as noisy as the views; a catalogue that only some views are of keeps its pictures as they are."""
    pictures, views, photos = sample(200, (0,), 0.6), sample(200, (1, 2, 3), 0.6, 1), sample(200, (0,), 0.6, 2)
    fitted = fit.fit_embedding(checkpoint, pictures, views, size=8)
    queries = LabeledEmbeddings(fit.project(fitted.whitening, photos.blocks), photos.product_ids, photos.classes)

    def right(vectors: fit.Vectors) -> int:
        scores = score_views(queries, LabeledEmbeddings(vectors, pictures.product_ids, pictures.classes))
        return int((scores.own.scores > scores.other_product.scores).sum())

    alone = fit.project(fitted.whitening, pictures.blocks)
    assert right(fitted.vectors) > right(alone) + 10
    some = fit.fit_embedding(checkpoint, pictures, views.where(views.product_ids < 190), size=8)
    np.testing.assert_array_equal(some.vectors, fit.project(some.whitening, pictures.blocks))


def test_heads_of_a_large_catalog_are_fitted_on_a_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    """In proportion to the classes, but on all pictures of a small class."""
    monkeypatch.setattr(fit, "MAX_HEAD_PICTURES", 100)
    monkeypatch.setattr(fit, "fit_heads", lambda blocks, classes, block_sizes: Counter(classes))
    pictures = sample(1000, (0,), noise=1)
    pictures = labeled(
        pictures.blocks, pictures.product_ids, pictures.numbers, ("a",) * 900 + ("b",) * 90 + ("c",) * 10
    )
    views = pictures.where(np.zeros(1000, np.bool_))
    assert fit.fit_shop_heads(pictures, views, BLOCK_SIZES) == {"a": 90, "b": 50, "c": 10}
