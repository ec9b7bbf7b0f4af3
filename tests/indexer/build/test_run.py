from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import delete, func, select, update

from catalog import stored_blocks
from catalog.database import read_schema_revision, schema_revisions
from catalog.models import Image, IndexRun, StoredBlocks
from indexer.build import verify
from indexer.build.indexes import OTHER
from indexer.build.nightly import reindex, rollback
from indexer.build.run import LOCK
from tests.fakes import EncoderFactory, FakeEncoder, FrozenClock, fake_checkpoint
from tests.indexer.shop import Shop
from tests.schemas import set_schema
from vsearch.core.errors import CatalogError, EncodingFailed, RunInProgress, SchemaMismatch, VerificationFailed
from vsearch.core.lock import run_lock
from vsearch.core.progress import ProgressCallback
from vsearch.imaging.codec import decode
from vsearch.index import generation
from vsearch.models import checkpoint as checkpoints
from vsearch.search.engine import ALL, Engine, Search


def engine_of(shop: Shop) -> Engine:
    """Return an engine that serves what is published."""
    engine = Engine(shop.settings, FakeEncoder)
    engine.refresh()
    return engine


def current(shop: Shop) -> str:
    """Return the id of the current generation."""
    return generation.current(shop.settings.generations).name


def with_settings(shop: Shop, **values: object) -> Shop:
    """Return the shop with other settings."""
    return replace(shop, settings=shop.settings.model_copy(update=values))


def test_a_first_run_publishes_what_the_catalogue_holds(shop: Shop, opened: EncoderFactory) -> None:
    """Every picture is found by itself, in the class of its category."""
    report = reindex(shop.settings, open_encoder=opened)
    assert (report.state, report.pictures, report.products, report.classes) == ("published", 24, 12, 4)
    assert (report.encoded, report.views, report.unreadable) == (24, 12, 0)
    assert report.text().startswith(f"24 pictures encoded; generation {report.generation_id} published with 24")
    engine = engine_of(shop)
    for row in shop.rows():
        hit = engine.search(decode(shop.store.read(row.sha256)), Search(k=1, classes=ALL)).hits[0]
        assert (hit.product_id, hit.class_name, hit.label) == (row.product_id, row.category, "exact")


def test_the_heads_are_fitted_to_the_shops_classes(shop: Shop, opened: EncoderFactory) -> None:
    """They are saved as the shop's own checkpoint, with the trunk it started from."""
    report = reindex(shop.settings, open_encoder=opened)
    own = checkpoints.load(shop.settings.checkpoints / report.checkpoint_id)
    assert set(own.classes) == {row.category for row in shop.rows()}
    assert own.blocks_id == checkpoints.load(Path(shop.settings.checkpoint)).blocks_id


def test_the_heads_follow_a_class_that_grows_or_shrinks(shop: Shop, opened: EncoderFactory) -> None:
    """By a fifth since they were fitted, whether in one night or in several; smaller changes leave them as they are."""
    shop.add([f"L{number}" for number in range(17)], "Lamps", pictures=1)
    first = reindex(shop.settings, open_encoder=opened)
    shop = with_settings(shop, checkpoint="")

    def after(change: Callable[[], None]) -> tuple[str, int]:
        change()
        report = reindex(shop.settings, open_encoder=opened, accept=["drift"])
        assert report.state == "published"
        sizes = checkpoints.load(shop.settings.checkpoints / report.checkpoint_id).class_sizes
        assert sizes is not None
        return report.checkpoint_id, sizes["Lamps"]

    assert len(shop.rows()) == 41
    grown_a_little = after(lambda: shop.add(["M1", "M2"], "Lamps"))
    assert grown_a_little == (first.checkpoint_id, 23)  # 27 pictures by now
    grown, count = after(lambda: shop.add(["M3"], "Lamps", pictures=1))
    assert (grown != first.checkpoint_id, count) == (True, 28)
    shrunk_a_little = after(lambda: shop.withdraw("M1", "M2"))
    assert shrunk_a_little == (grown, 28)
    shrunk, count = after(lambda: shop.withdraw("M3", "L0"))
    assert (shrunk != grown, count) == (True, 22)
    doubled, count = after(lambda: shop.add([f"N{number}" for number in range(22)], "Lamps", pictures=1))
    assert (doubled != shrunk, count) == (True, 44)
    assert reindex(shop.settings, open_encoder=opened).state == "unchanged"


def test_a_second_run_encodes_nothing_and_says_so(indexed_shop: Shop, opened: EncoderFactory) -> None:
    """It opens no encoder and publishes nothing."""
    first = current(indexed_shop)
    second = reindex(indexed_shop.settings, open_encoder=opened)
    assert second.state == "unchanged"
    assert second.text() == f"0 pictures encoded; generation {first} is up to date."
    assert opened.encoders == []
    assert generation.generation_ids(indexed_shop.settings.generations) == [first]
    assert indexed_shop.latest_run().state == "unchanged"


def test_without_a_named_checkpoint_a_run_goes_on_with_the_shops_own(
    indexed_shop: Shop, opened: EncoderFactory
) -> None:
    """The setting is needed once."""
    own = generation.read_manifest(indexed_shop.settings.generations / current(indexed_shop)).checkpoint_id
    assert reindex(with_settings(indexed_shop, checkpoint="").settings, open_encoder=opened).state == "unchanged"
    by_id = with_settings(indexed_shop, checkpoint=own)
    assert reindex(by_id.settings, open_encoder=opened).state == "unchanged"


def test_only_what_is_new_is_encoded(indexed_shop: Shop, opened: EncoderFactory) -> None:
    """New pictures and views; a withdrawn product leaves the index."""
    indexed_shop.add(["N001"], "Lamps")
    indexed_shop.withdraw("S000")
    report = reindex(indexed_shop.settings, open_encoder=opened)
    assert (report.encoded, report.views, report.pictures, report.products) == (2, 1, 24, 12)
    assert opened.pictures == 3
    gallery = engine_of(indexed_shop).serving.generation.gallery
    assert set(gallery.image_ids.tolist()) == {row.image_id for row in indexed_shop.rows()}


def test_another_category_moves_pictures_without_encoding(indexed_shop: Shop, opened: EncoderFactory) -> None:
    """Classes and heads are fitted on stored blocks."""
    report = reindex(with_settings(indexed_shop, min_class_size=50).settings, open_encoder=opened)
    assert (report.state, report.classes, report.encoded, report.views) == ("published", 1, 0, 0)
    assert engine_of(indexed_shop).serving.checkpoint.classes == (OTHER,)


def test_another_trunk_encodes_everything_again(indexed_shop: Shop, opened: EncoderFactory) -> None:
    """Blocks of one trunk mean nothing to another; the old ones stay stored."""
    other = fake_checkpoint(indexed_shop.settings.data / "other", trunk=2)
    report = reindex(with_settings(indexed_shop, checkpoint=str(other.folder)).settings, open_encoder=opened)
    assert (report.state, report.encoded, report.views) == ("published", 24, 12)
    assert engine_of(indexed_shop).serving.encoder.blocks_id == other.blocks_id


def test_a_checkpoint_that_knows_the_classes_keeps_its_heads(shop: Shop, opened: EncoderFactory) -> None:
    """It is copied among the shop's own, where the page finds it."""
    given = fake_checkpoint(shop.settings.data / "trained", sorted({row.category for row in shop.rows()}))
    report = reindex(with_settings(shop, checkpoint=str(given.folder)).settings, open_encoder=opened)
    assert report.checkpoint_id == given.checkpoint_id
    assert engine_of(shop).problem is None


def test_an_empty_catalogue_is_refused_with_the_remedy(empty_shop: Shop, opened: EncoderFactory) -> None:
    """And the run is on record as failed."""
    with pytest.raises(CatalogError, match="vsearch catalog import"):
        reindex(empty_shop.settings, open_encoder=opened)
    row = empty_shop.latest_run()
    assert (row.state, row.generation_id) == ("failed", None)
    assert "vsearch catalog import" in row.message


def spoil_pictures(shop: Shop, count: int) -> list[int]:
    """Overwrite picture files with text and return their image ids."""
    for row in shop.rows()[:count]:
        shop.store.path(row.sha256).write_bytes(b"not a picture at all")
    return [row.image_id for row in shop.rows()[:count]]


def test_a_few_bad_pictures_are_put_on_record_and_left_out(shop: Shop, opened: EncoderFactory) -> None:
    """With the reason; the next run does not try them again."""
    bad = spoil_pictures(shop, 2)
    report = reindex(shop.settings, open_encoder=opened)
    assert (report.state, report.encoded, report.unreadable, report.pictures) == ("published", 22, 2, 22)
    assert report.text().startswith("22 pictures encoded (2 unreadable); ")
    with shop.sessions() as session:
        problems = {image.image_id: image.problem for image in session.scalars(select(Image)) if image.problem}
    assert sorted(problems) == bad
    assert reindex(shop.settings, open_encoder=opened).state == "unchanged"


def test_a_missing_picture_file_is_a_bad_picture(shop: Shop, opened: EncoderFactory) -> None:
    """The store is not what SQL thinks; one picture is no reason to stop."""
    shop.store.path(shop.rows()[0].sha256).unlink()
    assert reindex(shop.settings, open_encoder=opened).unreadable == 1


def test_too_many_bad_pictures_stop_the_run(shop: Shop, opened: EncoderFactory) -> None:
    """Nothing is published or put on record; what was encoded stays, so that the next run is quick."""
    bad = spoil_pictures(shop, 6)
    with pytest.raises(EncodingFailed, match="6 of 24"):
        reindex(shop.settings, open_encoder=opened)
    assert generation.current_id(shop.settings.generations) is None
    assert [row.image_id for row in shop.rows()][:6] == bad
    with shop.sessions() as session:
        assert stored_blocks.count(session) == 18


def test_a_run_that_fails_goes_on_where_it_was(shop: Shop, opened: EncoderFactory) -> None:
    """Whole batches are kept."""
    opened.fail_after = 10
    with pytest.raises(RuntimeError, match="fake encoder"):
        reindex(shop.settings, open_encoder=opened)
    assert shop.latest_run().state == "failed"
    opened.fail_after = None
    report = reindex(shop.settings, open_encoder=opened)
    assert (report.state, report.encoded) == ("published", 24 - 8)


def test_a_generation_that_fails_its_checks_is_not_published(
    indexed_shop: Shop, opened: EncoderFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Shoppers keep the old one, and the next run clears the leftovers away."""
    first = current(indexed_shop)
    indexed_shop.add(["N001"], "Lamps")
    with monkeypatch.context() as patch:
        patch.setattr(verify, "problems", lambda gallery, expected: iter(["It was made to fail."]))
        with pytest.raises(VerificationFailed, match="It was made to fail"):
            reindex(indexed_shop.settings, open_encoder=opened)
    assert generation.current_id(indexed_shop.settings.generations) == first
    report = reindex(indexed_shop.settings, open_encoder=opened)
    assert (report.state, report.encoded) == ("published", 0)
    left = [path.name for path in indexed_shop.settings.generations.iterdir() if path.name.startswith(".")]
    assert left == []


def test_a_damaged_generation_is_replaced_though_nothing_changed(indexed_shop: Shop, opened: EncoderFactory) -> None:
    """Its fingerprint is right and its files are not."""
    first = current(indexed_shop)
    (indexed_shop.settings.generations / first / "images.npz").write_bytes(b"")
    report = reindex(indexed_shop.settings, open_encoder=opened)
    assert (report.state, report.encoded) == ("published", 0)
    assert engine_of(indexed_shop).problem is None


def test_a_lost_checkpoint_and_a_lost_manifest_are_made_again(indexed_shop: Shop, opened: EncoderFactory) -> None:
    """From the stored blocks; there is nothing to roll back to then."""
    first = current(indexed_shop)
    (indexed_shop.settings.generations / first / "manifest.json").unlink()
    report = reindex(indexed_shop.settings, open_encoder=opened)
    assert report.state == "published"
    manifest = generation.read_manifest(indexed_shop.settings.generations / report.generation_id)
    assert manifest.previous is None


def test_old_generations_are_pruned(shop: Shop, opened: EncoderFactory) -> None:
    """Only as many as the settings say are kept."""
    ids, clock = [], FrozenClock()
    for number in range(4):
        shop.add([f"N{number:03d}"], "Lamps", pictures=1)
        clock.move(seconds=1)
        two_kept = with_settings(shop, keep_generations=2)
        report = reindex(two_kept.settings, open_encoder=opened, clock=clock)
        ids.append(report.generation_id)
    assert report.pruned == 1
    assert generation.generation_ids(shop.settings.generations) == ids[-2:]


def test_rollback_and_the_next_run(indexed_shop: Shop, opened: EncoderFactory) -> None:
    """Rolled back, the older one is served; the next run publishes the catalogue as it is."""
    first = current(indexed_shop)
    indexed_shop.add(["N001"], "Lamps")
    second = reindex(indexed_shop.settings, open_encoder=opened)
    assert rollback(indexed_shop.settings) == first
    third = reindex(indexed_shop.settings, open_encoder=opened)
    assert third.state == "published"
    assert third.generation_id not in (first, second.generation_id)


def test_only_one_run_at_a_time(shop: Shop, opened: EncoderFactory) -> None:
    """A second run, and a rollback, are told so; the first is not disturbed."""
    with run_lock(shop.settings.data / LOCK, FrozenClock().now):
        with pytest.raises(RunInProgress):
            reindex(shop.settings, open_encoder=opened)
        with pytest.raises(RunInProgress):
            rollback(shop.settings)
    assert opened.encoders == []


def test_stopped_by_hand_it_says_so_on_record(shop: Shop, opened: EncoderFactory) -> None:
    """And can be gone on with."""

    class Stop:
        def __init__(self, stage: str) -> None:
            self.stage = stage

        def __enter__(self) -> ProgressCallback:
            if self.stage == "build the indexes":
                raise KeyboardInterrupt
            return lambda done, total: None

        def __exit__(self, *error: object) -> None:
            return None

    with pytest.raises(KeyboardInterrupt):
        reindex(shop.settings, open_encoder=opened, progress=Stop)
    assert (shop.latest_run().state, shop.latest_run().message) == ("failed", "Stopped by hand.")
    assert reindex(shop.settings, open_encoder=opened).encoded == 0


def test_a_run_on_record(shop: Shop, opened: EncoderFactory) -> None:
    """The row has counts and seconds by stage; rows of killed runs are closed."""
    with shop.sessions.begin() as session:
        session.add(IndexRun(state="running"))
    report = reindex(shop.settings, open_encoder=opened)
    row = shop.latest_run()
    assert (row.state, row.generation_id, row.message) == ("published", report.generation_id, report.text())
    assert row.counts == report.as_json()
    assert row.finished_at is not None
    assert list(row.counts["seconds"])[:2] == ["encode pictures", "encode views"]
    with shop.sessions() as session:
        states = session.scalars(select(IndexRun.state).order_by(IndexRun.run_id)).all()
    assert states == ["failed", "published"]


def test_progress_reaches_its_total(shop: Shop, opened: EncoderFactory) -> None:
    """Each stage says how far it is."""
    seen: dict[str, list[tuple[int, int]]] = {}

    class Show:
        def __init__(self, stage: str) -> None:
            self.stage = stage

        def __enter__(self) -> ProgressCallback:
            return lambda done, total: seen.setdefault(self.stage, []).append((done, total))

        def __exit__(self, *error: object) -> None:
            return None

    reindex(shop.settings, open_encoder=opened, progress=Show)
    assert seen["encode pictures"] == [(done, 24) for done in range(0, 25, 4)]
    assert seen["encode views"][-1] == (12, 12)


def test_without_views_the_defaults_stand(shop: Shop, opened: EncoderFactory) -> None:
    """No products for the whitening turns the fitting off."""
    report = reindex(with_settings(shop, whitening_products=0).settings, open_encoder=opened)
    assert report.views == 0
    with shop.sessions() as session:
        assert session.scalar(select(func.max(StoredBlocks.view))) == 0
        session.execute(delete(IndexRun))
        session.execute(update(Image).values(problem=None))


def test_the_time_is_what_the_clock_says(shop: Shop, opened: EncoderFactory) -> None:
    """Ids carry it."""
    report = reindex(shop.settings, open_encoder=opened, clock=FrozenClock())
    assert report.generation_id.startswith("20261121T013000Z-")
    gallery = engine_of(shop).serving.generation.gallery
    assert np.all(np.diff(gallery.image_ids) > 0)


def test_a_night_without_news_reads_no_blocks(indexed_shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a large catalogue they are hundreds of megabytes."""

    def read(*_: object) -> None:
        raise AssertionError("blocks were read")

    monkeypatch.setattr(stored_blocks, "read", read)
    settings = indexed_shop.settings.model_copy(update={"checkpoint": ""})  # the shop's own, whose heads know it
    assert reindex(settings, open_encoder=FakeEncoder).state == "unchanged"


def test_a_picture_that_could_not_be_read_is_tried_again(shop: Shop) -> None:
    """Its file may be corrected by another night: then it is in the index."""
    sha256 = shop.rows()[0].sha256
    path = shop.store.path(sha256)
    whole = path.read_bytes()
    path.write_bytes(b"broken")
    assert reindex(shop.settings, open_encoder=FakeEncoder).pictures == 23
    assert reindex(shop.settings, open_encoder=FakeEncoder).state == "unchanged"
    path.write_bytes(whole)
    assert reindex(shop.settings, open_encoder=FakeEncoder).pictures == 24


def test_a_night_upgrades_where_the_setting_allows_it(indexed_shop: Shop) -> None:
    """Otherwise it fails before anything is changed."""
    catalogue = indexed_shop.settings.catalogue_url
    set_schema(catalogue, "0003")
    with pytest.raises(SchemaMismatch):
        reindex(indexed_shop.settings, open_encoder=FakeEncoder)
    allowed = indexed_shop.settings.model_copy(update={"auto_upgrade": True})
    assert reindex(allowed, open_encoder=FakeEncoder).state == "unchanged"
    assert read_schema_revision(catalogue) == schema_revisions()[-1]
