"""Reviewed photos in index runs and promotions."""

import hashlib
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from catalog import reviews
from catalog.models import utc_now
from catalog.reviews import Area, EffectiveLabel, NewLabel
from indexer import prune
from indexer.build.labels import choose_photos, nearest_class
from indexer.build.reindex import reindex
from indexer.build.run_context import exclusive_run
from indexer.cli.catalog_images import list_images
from indexer.promotion import evaluation_set
from indexer.promotion.promote import compare, promote
from tests.fakes import colored
from tests.indexer.shop import Shop, encoder_by_trunk
from vsearch.imaging.codec import encode_jpeg
from vsearch.models import registry

NOW = datetime(2026, 11, 20, tzinfo=UTC)


def label(number: int, split: str = "train", verdict: str = "product", product_id=None, category: str = ""):
    return EffectiveLabel(number, number, f"{number}", f"crop {number}", "", split, verdict, product_id, category, {})


def test_photos_of_products_and_of_classes_of_the_index_are_chosen():
    labels = [
        label(1, product_id=7, category="Sofas"),
        label(2, split="evaluation", product_id=7),
        label(3, verdict="not ours"),
        label(4, verdict="category", category="Sofas > Corner sofas > Leather"),
        label(5, verdict="category", category="Rugs"),
        label(6, product_id=99, category="Sofas"),
    ]
    found = choose_photos(labels, {7: "Sofas > Armchairs"}, {"Sofas", "Sofas > Armchairs", "Sofas > Corner sofas"})
    assert [(photo.sha256, photo.product_id, photo.class_name) for photo in found] == [
        ("crop 1", 7, "Sofas > Armchairs"),
        ("crop 4", -4, "Sofas > Corner sofas"),
        ("crop 6", -6, "Sofas"),
    ]


@pytest.mark.parametrize(("category", "name"), [("a > b > c", "a > b"), ("a", "a"), ("ab > c", ""), ("", "")])
def test_a_category_belongs_to_its_nearest_class(category, name):
    assert nearest_class(category, {"a", "a > b"}) == name


def review(shop: Shop, sku: str, count: int, *, split: str) -> list[str]:
    """Label new photos of a product that belong to a split; return the hashes of their labeled areas."""
    crops, seed = [], 0
    while len(crops) < count:
        seed += 1
        photo = encode_jpeg(colored([250, 10, 10 + seed], seed=seed + 100 * int(sku[1:]), side=48))
        sha256 = hashlib.sha256(photo).hexdigest()
        if reviews.split_of(sha256) != split:
            continue
        with shop.sessions.begin() as session:
            reviews.begin(session, sha256)
            item = reviews.add(session, shop.store, Area(photo, "upload"), keep_days=30, now=NOW)
            new = NewLabel("product", sku, crop_sha256=sha256)
            reviews.label(session, item, "ann", new, based_on=None, now=NOW)
        crops.append(sha256)
    return crops


@pytest.mark.slow
def test_labels_take_effect_only_by_a_promotion(indexed_shop: Shop):
    """An index run ignores them; a promotion of the model in use fits to them, and later runs keep to those labels."""
    shop = indexed_shop.with_evaluation_set()
    before = shop.manifest()
    crops = review(shop, "S002", 3, split="train")
    assert reindex(shop.settings, open_encoder=encoder_by_trunk).state == "unchanged"

    compared = compare(shop.settings, open_encoder=encoder_by_trunk)
    assert shop.manifest() == before
    assert len(compared.photos) == compared.comparison.queries == 12
    assert compared.class_accuracy is not None
    assert min(compared.milliseconds) > 0
    assert compared.photos[0].ranks == (1, 1)
    assert compared.photos[0].class_name in {row.category for row in shop.rows()}

    done = promote(shop.settings, reason="We know better.", open_encoder=encoder_by_trunk)
    after = shop.manifest()
    assert done.comparison is not None
    assert (after.labels, before.labels) == (3, 0)
    assert (after.blocks_id, after.model_before) == (before.blocks_id, before.generation_id)
    assert "We know better." in shop.latest_run().message
    heads = [registry.find(shop.settings, each.checkpoint_id).retrieval.heads for each in (before, after)]
    assert heads[0].classes == heads[1].classes
    assert any(
        not np.array_equal(heads[0].heads[name].weights, heads[1].heads[name].weights) for name in heads[0].heads
    )

    review(shop, "S003", 1, split="train")
    assert reindex(shop.settings, open_encoder=encoder_by_trunk).state == "unchanged"
    with shop.sessions.begin() as session:
        item = reviews.effective_labels(session)[0].item_id
        reviews.undo(session, item, "ann", NOW)
    run = reindex(shop.settings, open_encoder=encoder_by_trunk)
    assert (run.state, shop.manifest().labels) == ("unchanged", 3), "a label that was taken back applied then"
    assert len(crops) == 3


@pytest.mark.slow
def test_training_uses_the_photos_that_are_not_for_evaluation(indexed_shop: Shop):
    train = review(indexed_shop, "S002", 2, split="train")
    evaluation = review(indexed_shop, "S002", 1, split="evaluation")
    names = {image.file.rsplit("/", 1)[1].split(".")[0] for image in list_images(indexed_shop.settings)}
    assert {sha256 for sha256 in train if any(sha256 in name for name in names)} == set(train)
    assert not any(evaluation[0] in name for name in names)
    without = list_images(indexed_shop.settings, reviewed=False)
    assert len(without) == len(list_images(indexed_shop.settings)) - 2

    with exclusive_run(indexed_shop.settings) as context:
        photos, sources = evaluation_set.reviewed_photos(context)
    assert ([skus for _, skus in photos], sources) == ([{"S002"}], evaluation)


@pytest.mark.slow
def test_deleted_photos_leave_the_evaluation_set_and_old_runs(indexed_shop: Shop):
    settings = indexed_shop.settings
    sources = review(indexed_shop, "S002", 2, split="evaluation")
    with exclusive_run(settings) as context:
        photos, sources = evaluation_set.reviewed_photos(context)
        created = evaluation_set.create(context, photos, sources=sources)
    cache = settings.data / "runs" / "chairs" / "cache"
    cache.mkdir(parents=True)
    (cache / "images.npy").write_bytes(b"0")
    indexed_shop.store.path(sources[0]).unlink()

    prune.run(settings)
    assert len(evaluation_set.load(settings).answers) == 1
    assert len(list(created.folder.glob("*.jpg"))) == 1
    assert cache.exists()
    prune.run(settings, clock=lambda: utc_now() + timedelta(days=settings.keep_unused_days + 1))
    assert not cache.exists()
