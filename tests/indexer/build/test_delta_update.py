"""Updates of the delta of the published generation."""

from dataclasses import replace

import numpy as np
import pytest

from catalog.image_store import ImageStore
from indexer.build import reindex
from indexer.build.class_indexes import NAMED_ALL, OTHER
from indexer.build.delta_update import DeltaReport, class_of, update_delta
from indexer.build.generation_checks import verify_published
from tests.fakes import FakeEncoder, FrozenClock
from tests.indexer.shop import CATEGORIES, Shop
from vsearch.core.errors import NoGeneration, VerificationFailed
from vsearch.detection.detector import no_detector
from vsearch.imaging.codec import decode
from vsearch.index import delta as deltas
from vsearch.search.engine import ALL, Engine, Search


@pytest.fixture
def engine(indexed_shop: Shop) -> Engine:
    """Serve the shop's first generation."""
    engine = Engine(indexed_shop.settings, FakeEncoder)
    assert engine.refresh()
    return engine


def update(shop: Shop) -> DeltaReport:
    return update_delta(shop.settings, open_encoder=FakeEncoder, clock=FrozenClock())


def run(shop: Shop) -> str:
    return reindex.reindex(shop.settings, open_encoder=FakeEncoder, open_detector=no_detector).state


def images_of(shop: Shop, sku: str) -> list[int]:
    return [row.image_id for row in shop.rows() if row.sku == sku]


def found_by_own_image(shop: Shop, engine: Engine, sku: str) -> bool:
    """Return whether a search with the first image of a product finds it, in its routed classes and in all."""
    row = next(row for row in shop.rows() if row.sku == sku)
    picture = decode(shop.store.read(row.sha256))
    hits = [engine.search(picture, Search(k=1, classes=classes)).hits[0] for classes in (None, ALL)]
    return all((hit.product_id, hit.image_id, hit.label) == (row.product_id, row.image_id, "exact") for hit in hits)


def test_products_are_searchable_after_an_update_and_after_the_next_run(indexed_shop: Shop, engine: Engine) -> None:
    first = engine.serving.generation.generation_id
    indexed_shop.add(["NEW1", "NEW2"], CATEGORIES[2])
    assert update(indexed_shop) == DeltaReport(first, added=4, removed=0, encoded=4, unreadable=0)
    assert engine.refresh()
    assert not engine.refresh()
    assert engine.serving.generation.generation_id == first
    assert found_by_own_image(indexed_shop, engine, "NEW1")
    assert found_by_own_image(indexed_shop, engine, "S003")
    indexed_shop.add(["NEW3"], CATEGORIES[0], pictures=1)
    assert update(indexed_shop) == DeltaReport(first, added=5, removed=0, encoded=1, unreadable=0)
    assert engine.refresh()
    assert all(found_by_own_image(indexed_shop, engine, sku) for sku in ("NEW1", "NEW3"))
    assert run(indexed_shop) == "published"
    assert engine.refresh()
    assert engine.serving.generation.delta is None
    assert all(found_by_own_image(indexed_shop, engine, sku) for sku in ("NEW1", "NEW3"))
    assert update(indexed_shop).added == 0


def test_images_that_products_no_longer_have_are_not_found(indexed_shop: Shop, engine: Engine) -> None:
    gone = images_of(indexed_shop, "S003")
    indexed_shop.withdraw("S003")
    assert update(indexed_shop).removed == 2
    engine.refresh()
    gallery = engine.serving.generation.gallery
    assert len(gallery) == 22
    hits = gallery.search(np.ones(gallery.embedding(int(gallery.image_ids[0])).shape), k=99)
    assert len(hits) == 11
    assert not {hit.image_id for hit in hits} & set(gone)


def test_a_category_without_a_class_is_searched_too(indexed_shop: Shop, engine: Engine) -> None:
    """All classes are searched then, since no class head knows it."""
    indexed_shop.add(["NEW1"], "Garden > Hammocks")
    update(indexed_shop)
    engine.refresh()
    assert found_by_own_image(indexed_shop, engine, "NEW1")
    assert OTHER in engine.serving.generation.gallery.classes


@pytest.mark.parametrize(
    ("category", "expected"),
    [
        ("Sofas > Corner sofas", "Sofas > Corner sofas"),
        ("Sofas > Corner sofas > Left", "Sofas > Corner sofas"),
        ("Sofas > Loungers", "Sofas"),
        ("Sofa", OTHER),
        ("", OTHER),
        ("all", NAMED_ALL),
    ],
)
def test_new_images_get_the_class_of_their_category(category: str, expected: str) -> None:
    assert class_of(category, ("Sofas", "Sofas > Corner sofas", NAMED_ALL)) == expected


def test_unreadable_images_are_left_out(indexed_shop: Shop, engine: Engine) -> None:
    indexed_shop.add(["NEW1", "NEW2"], CATEGORIES[2])
    broken = next(row for row in indexed_shop.rows() if row.sku == "NEW1")
    ImageStore(indexed_shop.settings.pictures).path(broken.sha256).write_bytes(b"damaged")
    report = update(indexed_shop)
    assert (report.added, report.unreadable) == (3, 1)
    engine.refresh()
    assert found_by_own_image(indexed_shop, engine, "NEW2")


def test_products_added_during_a_run_are_searchable_when_it_publishes(indexed_shop: Shop, engine: Engine) -> None:
    with reindex.exclusive_run(indexed_shop.settings, FakeEncoder, no_detector, clock=FrozenClock()) as context:
        indexed_shop.add(["NEW1"], CATEGORIES[2])
        manifest = indexed_shop.manifest()
        inputs = reindex.collect(context, reindex.shop_checkpoint(indexed_shop.settings, manifest), manifest)
        built = reindex.build_generation(context, inputs)
        indexed_shop.add(["NEW2"], CATEGORIES[2])
        reindex.publish(context, inputs, *built)
    engine.refresh()
    delta = engine.serving.generation.delta
    assert delta is not None
    assert delta.image_ids.tolist() == images_of(indexed_shop, "NEW2")
    assert all(found_by_own_image(indexed_shop, engine, sku) for sku in ("NEW1", "NEW2"))


def test_the_delta_of_a_deleted_generation_is_deleted(indexed_shop: Shop) -> None:
    indexed_shop.add(["NEW0"], CATEGORIES[2])
    update(indexed_shop)
    clock = FrozenClock()
    for number in range(1, indexed_shop.settings.keep_generations + 2):
        indexed_shop.add([f"NEW{number}"], CATEGORIES[2])
        clock.move(seconds=24 * 3600)
        reindex.reindex(indexed_shop.settings, open_encoder=FakeEncoder, open_detector=no_detector, clock=clock)
    assert list(indexed_shop.settings.generations.glob("deltas/*")) == []


def test_a_damaged_delta_is_not_served_and_can_be_written_again(indexed_shop: Shop, engine: Engine) -> None:
    indexed_shop.add(["NEW1"], CATEGORIES[2])
    update(indexed_shop)
    path = deltas.path_of(indexed_shop.settings.generations, indexed_shop.manifest().generation_id)
    path.write_bytes(path.read_bytes()[:200])
    for each in (engine, Engine(indexed_shop.settings, FakeEncoder)):
        each.refresh()
        assert each.problem is not None
        assert each.refresh() is False
        assert each.problem is not None
        assert len(each.serving.generation.gallery) == 24
    update(indexed_shop)
    engine.refresh()
    assert engine.problem is None
    assert found_by_own_image(indexed_shop, engine, "NEW1")


def test_a_delta_whose_images_do_not_find_themselves_is_refused(
    indexed_shop: Shop, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    indexed_shop.add(["NEW1"], CATEGORIES[2])
    merge = deltas.merge
    monkeypatch.setattr(
        deltas, "merge", lambda gallery, delta: merge(gallery, replace(delta, embeddings=-delta.embeddings))
    )
    with pytest.raises(VerificationFailed):
        update(indexed_shop)
    assert list(indexed_shop.settings.generations.glob("deltas/*")) == []


def test_verification_includes_the_delta(indexed_shop: Shop) -> None:
    indexed_shop.add(["NEW1"], CATEGORIES[2])
    before = verify_published(indexed_shop.settings, FakeEncoder, no_detector)
    update(indexed_shop)
    after = verify_published(indexed_shop.settings, FakeEncoder, no_detector)
    assert (before.pictures, len(before.notes)) == (24, 1)
    assert (after.pictures, after.notes, after.problems) == (26, (), ())


def test_an_update_needs_a_published_index(empty_shop: Shop) -> None:
    with pytest.raises(NoGeneration):
        update(empty_shop)
