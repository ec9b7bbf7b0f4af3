from collections import Counter
from dataclasses import astuple, replace
from pathlib import Path

import numpy as np
import pytest

from catalog.queries import GalleryRow
from indexer.build import fitting
from indexer.build.fitting import LabeledBlocks
from tests.fakes import fake_checkpoint
from vsearch.core.vectors import l2_normalize
from vsearch.models.checkpoint import Checkpoint
from vsearch.models.class_heads import CLASS
from vsearch.models.trained_heads import VOTE
from vsearch.models.whitening import Projection

ENOUGH = fitting.MIN_WHITENING_PRODUCTS


def rows_of(products: int) -> list[GalleryRow]:
    """Return two pictures of each product, the second one listed first."""
    rows = [GalleryRow(10 * number + 1, number, f"S{number}", f"{number:064x}", "Sofas") for number in range(products)]
    return [GalleryRow(row.image_id + 1, row.product_id, row.sku, "f" * 64, "Sofas") for row in rows] + rows


def sample(products: int, numbers: tuple[int, ...], noise: float, seed: int = 0) -> LabeledBlocks:
    """Return blocks of products that lie around centers in the first four dimensions; the others are noise."""
    centers = np.random.default_rng(7).normal(size=(products, 16)) * ([1.0] * 4 + [0.0] * 12)
    product_ids = np.repeat(np.arange(products), len(numbers))
    spread = np.array([0.1] * 4 + [1.0] * 12) * noise
    blocks = centers[product_ids] + np.random.default_rng(seed).normal(size=(len(product_ids), 16)) * spread
    classes = np.array([f"class {product_id % 3}" for product_id in product_ids], dtype=object)
    return LabeledBlocks(blocks.astype(np.float16), product_ids, np.tile(numbers, products), classes)


def found_first(queries: np.ndarray, of: LabeledBlocks, vectors: np.ndarray, gallery: LabeledBlocks) -> float:
    """Return the share of queries whose own product is ranked first."""
    nearest = (l2_normalize(queries) @ l2_normalize(vectors).T).argmax(axis=1)
    return float((gallery.product_ids[nearest] == of.product_ids).mean())


@pytest.fixture
def checkpoint(tmp_path: Path) -> Checkpoint:
    """A fake checkpoint."""
    return fake_checkpoint(tmp_path / "given")


@pytest.mark.parametrize(("products", "numbers"), [(ENOUGH, {1, 2, 3}), (5, set())])
def test_views_are_of_each_products_first_picture(products: int, numbers: set[int]) -> None:
    """A small catalog needs none."""
    views = fitting.choose_views(rows_of(products), products=2000, views=3)
    assert len(views) == products * len(numbers)
    assert {view.number for view in views} == numbers
    assert all(view.sha256 == f"{view.product_id:064x}" for view in views)
    assert fitting.choose_views(rows_of(products), products=0, views=4) == []


def test_the_choice_of_products_hardly_changes_with_the_catalog() -> None:
    """A run with few changes encodes few views, and the choice is not simply the oldest products."""
    before = {view.product_id for view in fitting.choose_views(rows_of(1000), products=300, views=2)}
    after = {view.product_id for view in fitting.choose_views(rows_of(1010), products=300, views=2)}
    assert len(before) == len(after) == 300
    assert len(before & after) > 290
    assert 100 < np.median(list(before)) < 900


@pytest.mark.parametrize(
    ("fitted_on", "needed"),
    [({"b": 1, "a": 2}, False), (None, True), ({"a": 2}, True), ({"a": 2, "b": 1, "c": 1}, True)],
)
def test_heads_are_fitted_to_a_new_model_or_to_other_classes(fitted_on: dict[str, int] | None, needed: bool) -> None:
    assert fitting.needs_heads(["a", "b", "a"], fitted_on) is needed


@pytest.mark.parametrize(
    ("a", "b", "needed"),
    [(100, 40, False), (119, 47, False), (81, 33, False), (120, 40, True), (80, 40, True), (100, 80, True)],
)
def test_heads_are_fitted_again_when_a_class_changes_by_a_fifth(a: int, b: int, needed: bool) -> None:
    classes = ["a"] * a + ["b"] * b
    assert fitting.needs_heads(classes, {"a": 100, "b": 40}) is needed


def test_heads_learn_from_pictures_and_views(checkpoint: Checkpoint) -> None:
    pictures = replace(sample(60, (0,), noise=0.1), classes=np.array(["x"] * 30 + ["y"] * 30, dtype=object))
    pictures.blocks[:30, [0, 8]] += 4
    heads = fitting.fit_shop_heads(checkpoint.retrieval, pictures, pictures.where(pictures.product_ids % 2 == 0))
    assert heads.classes == ("x", "y")
    assert (heads.predict(pictures.blocks).predicted(VOTE, CLASS) == [0] * 30 + [1] * 30).mean() > 0.95


def test_heads_of_a_large_catalog_are_fitted_on_a_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sample is proportional to class sizes but includes all pictures of small classes."""
    monkeypatch.setattr(fitting, "MAX_HEAD_PICTURES", 100)
    classes = ["a"] * 900 + ["b"] * 90 + ["c"] * 10
    chosen = fitting.choose_head_pictures(classes)
    assert Counter(np.array(classes)[chosen].tolist()) == {"a": 90, "b": 50, "c": 10}


def test_the_whitening_of_a_large_catalog_is_fitted_to_all_images_of_some_products(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """They include those with views, and remain almost the same when the catalog changes."""
    product_ids = np.repeat(np.arange(1000), 3)
    views = [fitting.View("", 1, product_id) for product_id in (7, 8, 9)]
    assert fitting.choose_whitening_pictures(product_ids, views).all()
    monkeypatch.setattr(fitting, "MAX_WHITENING_PICTURES", 300)
    chosen = set(product_ids[fitting.choose_whitening_pictures(product_ids, views)].tolist())
    assert 100 <= len(chosen) <= 101
    assert {7, 8, 9} <= chosen
    assert fitting.choose_whitening_pictures(product_ids, views).sum() == 3 * len(chosen)
    more = np.repeat(np.arange(1010), 3)
    assert len(chosen & set(more[fitting.choose_whitening_pictures(more, views)].tolist())) > 95


def project(whitening: Projection, blocks: fitting.Blocks, batch_size: int = 1000) -> fitting.Vectors:
    batches = (blocks[start : start + batch_size] for start in range(0, len(blocks), batch_size))
    return fitting.project(whitening, batches, len(blocks))


def test_a_fitted_whitening_finds_products_that_the_blocks_do_not(checkpoint: Checkpoint) -> None:
    """The whitening is rounded as when stored."""
    pictures, views = sample(ENOUGH, (0,), noise=0.6), sample(ENOUGH, (1, 2, 3), noise=0.6, seed=1)
    whitening = fitting.fit_embedding(checkpoint, pictures, views, size=8)
    vectors = project(whitening, pictures.blocks)
    held_out = sample(ENOUGH, (0,), noise=1, seed=2)
    raw = found_first(held_out.blocks.astype(np.float32), held_out, pictures.blocks.astype(np.float32), pictures)
    fitted = found_first(project(whitening, held_out.blocks), held_out, vectors, pictures)
    assert vectors.shape == (ENOUGH, 8)
    assert fitted > raw + 0.25
    stored = Projection.from_arrays(whitening.arrays())
    np.testing.assert_array_equal(stored.project(pictures.blocks), whitening.project(pictures.blocks))


def test_a_small_catalog_keeps_the_checkpoints_whitening(checkpoint: Checkpoint) -> None:
    pictures = sample(ENOUGH - 1, (0,), noise=1)
    for views in (sample(ENOUGH - 1, (1,), noise=1), pictures.where(np.zeros(len(pictures), np.bool_))):
        whitening = fitting.fit_embedding(checkpoint, pictures, views, size=8)
        assert whitening is checkpoint.retrieval.whitening


def test_the_background_cohort_is_projected_without_its_tenth_most_like_the_catalog(checkpoint):
    pictures = sample(60, (0,), noise=0.2)
    whitening = checkpoint.retrieval.whitening
    candidates = np.random.default_rng(5).normal(size=(200, 16)).astype(np.float16)
    vectors, cohort = fitting.embed(whitening, [pictures.blocks], len(pictures), candidates)
    np.testing.assert_array_equal(vectors, project(whitening, pictures.blocks))
    everything = l2_normalize(whitening.project(candidates))
    best = (everything @ l2_normalize(vectors).T).max(axis=1)
    np.testing.assert_array_equal(cohort, everything[best <= np.quantile(best, 0.9)])


def test_equal_blocks_get_exactly_equal_embeddings(checkpoint: Checkpoint) -> None:
    """This holds regardless of where copies are in the catalog and of the batch size."""
    blocks = sample(501, (0,), noise=1).blocks
    blocks[[20, 250, 500]] = blocks[0]
    vectors = project(checkpoint.retrieval.whitening, blocks, batch_size=100)
    np.testing.assert_array_equal(vectors[[20, 250, 500]], vectors[[0, 0, 0]])
    np.testing.assert_allclose(vectors, checkpoint.retrieval.whitening.project(blocks), rtol=1e-4, atol=1e-5)
    assert project(checkpoint.retrieval.whitening, blocks[:0]).shape == (0, checkpoint.retrieval.whitening.size)


def test_true_views_teach_what_varies_within_a_product(checkpoint: Checkpoint) -> None:
    """In two dimensions, images of a product differ as no synthetic view of it does."""
    pictures, views = sample(200, (0,), 0.4), sample(200, (1, 2, 3), 0.4, 1)
    turned = np.zeros((600, 16)) + np.random.default_rng(3).normal(size=(600, 16)) * ([0, 0, 3, 3] + [0.0] * 12)
    others = replace(sample(200, (0, 4, 5), 0.4, 2), numbers=np.zeros(600, np.int64))
    others = replace(others, blocks=(others.blocks + turned).astype(np.float16))
    many = fitting.LabeledBlocks(
        *(np.concatenate(pair) for pair in zip(*map(astuple, (pictures, others)), strict=True))
    )
    queries = sample(200, (0,), 0.4, 5)
    photos = replace(queries, blocks=(queries.blocks + turned[:200][::-1]).astype(np.float16))
    rates = []
    for known in (pictures, many):
        whitening = fitting.fit_embedding(checkpoint, known, views, size=8)
        vectors = project(whitening, pictures.blocks)
        rates.append(found_first(project(whitening, photos.blocks), photos, vectors, pictures))
    assert rates[1] > 2 * rates[0]
