"""Calibration of match labels, on a shop whose products are colors."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from catalog.queries import GalleryRow
from indexer.build.match_calibration import (
    COHORT_CLASS_SIZE,
    CONFIDENCE,
    EXACT_PRECISION,
    MAX_FALSE_RATE,
    MIN_PHOTOS,
    REGIONS_OFFSET,
    Kind,
    PhotoResult,
    calibrate,
    catalog_margins,
    choose_photos,
    cohort_margins,
    quality,
    rarely_reached,
    search_photos,
)
from vsearch.core.vectors import l2_normalize
from vsearch.index.generation import MatchCalibration
from vsearch.search.engine import Engine, Search

NONE = np.empty(0)


def rows_of(product_id: int, *sha256s: str, image_id: int = 0) -> list[GalleryRow]:
    """Return the pictures of a product, whose image ids begin at ten times its id."""
    first = image_id or 10 * product_id
    return [GalleryRow(first + n, product_id, f"S{product_id}", sha256, "") for n, sha256 in enumerate(sha256s)]


def results(count: int, kind: Kind = "synthetic", lead: float = 0.3, seed: int = 0) -> list[PhotoResult]:
    """Return results whose margins exceed those of unsold products by `lead` on average; a negative lead is wrong."""
    rng = np.random.default_rng(seed)
    unsold, leads = rng.normal(0.3, 0.05, count), rng.normal(lead, 0.1, count)
    return [
        PhotoResult(kind, own > 0, 0.8, float(other + max(own, 0)), float(other))
        for other, own in zip(unsold, leads, strict=True)
    ]


def test_a_product_with_several_pictures_is_searched_for_with_one_of_them():
    """Otherwise a synthetic photo is made. Copies of a picture are left out as well, and count as the same product."""
    rows = [*rows_of(1, "a1", "a2"), *rows_of(2, "b"), *rows_of(3, "c", "c"), *rows_of(4, "b")]
    found = {photo.product_id: photo for photo in choose_photos(rows, ["x"] * len(rows))}
    kinds = {product_id: photo.kind for product_id, photo in found.items()}
    assert kinds == {1: "true view", 2: "synthetic", 3: "synthetic", 4: "synthetic"}
    assert len(found[1].left_out) == 1
    assert found[1].same.tolist() == [10, 11]
    assert (found[2].left_out.tolist(), found[2].same.tolist()) == ([], [20, 40])
    assert found[3].same.tolist() == [30, 31]
    (copied,) = [
        photo
        for photo in choose_photos([*rows_of(1, "a", "b"), *rows_of(2, "a", "b")], ["x"] * 4)
        if photo.product_id == 1
    ]
    assert len(copied.left_out) == 2
    assert copied.same.tolist() == [10, 11, 20, 21]


def test_photos_are_spread_over_classes_and_stay_the_same():
    rows = [row for number in range(1, 401) for row in rows_of(number, f"{number:064x}")]
    classes = ["large"] * 300 + ["small"] * 100
    found = [photo.product_id for photo in choose_photos(rows, classes, 40)]
    assert sum(product_id > 300 for product_id in found) == 10
    assert len(set(found)) == 40
    order = np.random.default_rng(0).permutation(len(rows))
    again = choose_photos([rows[row] for row in order], [classes[row] for row in order], 40)
    assert [photo.product_id for photo in again] == found
    fewer = [photo.product_id for photo in choose_photos(rows[1:], classes[1:], 40)]
    assert len(set(found) & set(fewer)) > 35


@pytest.fixture
def engine(indexed_shop, opened):
    """An engine that serves the published index of 12 products with two pictures each."""
    engine = Engine(indexed_shop.settings, opened)
    assert engine.refresh()
    return engine


@pytest.fixture
def photos(indexed_shop):
    """The calibration photos of the shop, each one of two pictures of a product."""
    rows = indexed_shop.rows()
    return choose_photos(rows, [row.category for row in rows])


def test_each_photo_is_searched_as_served_with_and_without_its_product(indexed_shop, engine, opened, photos):
    """The second search encodes nothing."""
    before = opened.pictures
    found = list(search_photos(engine, photos, indexed_shop.read))
    assert opened.pictures == before + len(photos) == before + 12
    for photo, result in zip(photos, found, strict=True):
        picture = indexed_shop.read(photo.sha256)
        first = engine.search(picture, Search(k=1, excluded=photo.left_out)).hits[0]
        unsold = engine.search(picture, Search(k=1, excluded=photo.same)).hits[0]
        assert first.image_id not in photo.left_out
        assert unsold.image_id not in photo.same
        right = first.image_id in photo.same
        assert result == PhotoResult("true view", right, first.score, first.margin, unsold.margin)


def test_synthetic_photos_are_made_and_unreadable_pictures_skipped(indexed_shop, engine, opened, photos, caplog):
    """A synthetic photo is the same each time, and is not the picture."""
    gone, made, again = (replace(photo, kind="synthetic") for photo in (photos[1], photos[0], photos[0]))
    indexed_shop.store.path(gone.sha256).unlink()
    first, second = search_photos(engine, [gone, made, again], indexed_shop.read)
    assert first == second
    (as_view,) = search_photos(engine, [replace(made, left_out=made.left_out[:0], kind="true view")], indexed_shop.read)
    assert as_view.score == pytest.approx(1, abs=1e-3)
    assert first.score < 0.99
    assert "not used for the calibration" in caplog.text


def test_catalog_pictures_of_synthetic_photos_find_the_best_other_product(engine, photos):
    mixed = [replace(photo, kind="synthetic") if number % 2 else photo for number, photo in enumerate(photos)]
    expected = [
        engine.search_like(photo.product_id, Search(k=1, excluded=photo.same)).hits[0].margin for photo in photos[1::2]
    ]
    assert catalog_margins(engine, mixed).tolist() == expected


def test_cohort_images_are_not_compared_with_their_own_kind(indexed_shop, engine):
    """The margin is that of a served search, with the penalty for cohort images of other kinds."""
    serving = engine.serving
    kinds = np.random.default_rng(0).uniform(size=(3, 16))
    blocks = np.repeat(kinds, COHORT_CLASS_SIZE, axis=0).astype(np.float16)
    cohort = l2_normalize(serving.generation.whitening.project(blocks))
    normalizing = replace(serving, generation=replace(serving.generation, background_cohort=cohort))
    margins = cohort_margins(Engine(indexed_shop.settings, serving=normalizing), blocks)
    others = [cohort[[kind for kind in range(30) if kind // 10 != number]] for number in range(3)]
    for number in range(3):
        row = 10 * number
        without = replace(serving, generation=replace(serving.generation, background_cohort=others[number]))
        (hit,) = Engine(indexed_shop.settings, serving=without).search_blocks(blocks[row], Search(k=1)).hits
        assert margins[row] == pytest.approx(hit.margin, abs=1e-5)
    assert len(cohort_margins(engine, blocks)) == 0


def test_too_few_photos_keep_the_defaults():
    few = results(MIN_PHOTOS - 1)
    assert calibrate(few, NONE, NONE) == MatchCalibration()
    assert quality(few) is None


def test_similar_is_rare_in_the_cohort():
    cohort = np.random.default_rng(1).normal(0, 0.05, 240)
    found = calibrate(results(100), NONE, cohort)
    assert found.similar == pytest.approx(np.quantile(cohort, 0.95) + REGIONS_OFFSET)
    assert found.very_similar == pytest.approx((found.exact + found.similar) / 2)
    assert (found.true_views, found.synthetic) == (0, 100)
    without = calibrate(results(100), NONE, NONE)
    assert without.similar == np.median([result.unsold_margin for result in results(100)])


@given(st.integers(0, 1000), st.floats(-0.05, 0.3))
@example(186, 0.0)  # above the highest of the other bounds, fewer results are right than above a lower one
def test_exact_is_precise_and_rare_for_products_that_are_not_sold(seed, lead):
    """This holds for each kind of photo by itself."""
    views, made = results(60, "true view", lead, seed), results(60, "synthetic", lead, seed + 1)
    catalog = np.random.default_rng(seed).normal(0.4, 0.05, 60)
    found = calibrate([*views, *made], catalog, NONE)
    assert found.exact >= found.very_similar >= found.similar
    for part in ([result.unsold_margin for result in each] for each in (views, made)):
        assert (np.array(part) >= found.exact).mean() <= MAX_FALSE_RATE
    assert (catalog >= found.exact).mean() <= MAX_FALSE_RATE
    right = [result.right for result in (*views, *made) if result.margin >= found.exact]
    assert not right or np.mean(right) >= EXACT_PRECISION
    assert found.true_views == found.synthetic == 60


def test_thresholds_leave_room_for_chance():
    """Of a hundred draws, about `CONFIDENCE` give a threshold that keeps the rate."""
    draws = np.random.default_rng(0).normal(size=(400, 100))
    many = np.random.default_rng(1).normal(size=20_000)
    true_rates = np.array([(many >= rarely_reached(each)).mean() for each in draws])
    assert CONFIDENCE - 0.05 < (true_rates <= MAX_FALSE_RATE).mean() < CONFIDENCE + 0.15
    assert rarely_reached(np.array([0.1, 0.3, 0.2])) > 0.3


def test_quality_counts_right_first_results():
    found = quality([PhotoResult("synthetic", number % 4 > 0, 0.5 + number / 100, 0.5, 0.1) for number in range(40)])
    assert found is not None
    assert (found.photos, found.hit_at_1) == (40, 0.75)
    assert found.right_score == pytest.approx(0.7)
    wrong = quality([PhotoResult("synthetic", False, 0.5, 0.5, 0.1)] * 20)
    assert wrong is not None
    assert wrong.right_score == 0
