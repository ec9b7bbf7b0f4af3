from pathlib import Path

import pytest
from sqlalchemy import func, select

from catalog import stored_blocks
from catalog.database import read_schema_revision
from catalog.models import Image, IndexRun, StoredBlocks
from indexer.build import generation_checks
from indexer.build.class_indexes import OTHER
from indexer.build.reindex import reindex, rollback
from indexer.build.run_context import LOCK
from tests.fakes import EncoderFactory, FakeEncoder, FrozenClock, fake_checkpoint
from tests.indexer.shop import Shop
from vsearch.core.errors import CatalogError, EncodingFailed, RunInProgress, SchemaMismatch, VerificationFailed
from vsearch.core.lock import run_lock
from vsearch.core.progress import ProgressCallback
from vsearch.imaging.codec import decode
from vsearch.index import generation
from vsearch.models import checkpoint as checkpoints
from vsearch.search.engine import ALL, Engine, Search


def engine_of(shop: Shop) -> Engine:
    """Return an engine that serves the published generation."""
    engine = Engine(shop.settings, FakeEncoder)
    engine.refresh()
    return engine


class Stages:
    """Records the progress of each stage, and raises in one of them."""

    def __init__(self, interrupted: str = "") -> None:
        self.interrupted, self.stage = interrupted, ""
        self.seen: dict[str, list[tuple[int, int]]] = {}

    def __call__(self, stage: str) -> "Stages":
        self.stage = stage
        return self

    def __enter__(self) -> ProgressCallback:
        if self.stage == self.interrupted:
            raise KeyboardInterrupt
        seen = self.seen.setdefault(self.stage, [])
        return lambda done, total: seen.append((done, total))

    def __exit__(self, *error: object) -> None:
        return None


def test_a_first_run_publishes_the_catalog(shop: Shop, opened: EncoderFactory) -> None:
    """Every picture finds itself in its category's class, and the heads know the shop's classes."""
    stages = Stages()
    report = reindex(shop.settings, open_encoder=opened, progress=stages, clock=FrozenClock())
    assert (report.state, report.pictures, report.products, report.classes) == ("published", 24, 12, 4)
    assert (report.encoded, report.views, report.unreadable) == (24, 0, 0)
    assert report.generation_id.startswith("20261121T013000Z-")
    assert stages.seen["encode pictures"] == [(done, 24) for done in range(0, 25, 4)]
    engine = engine_of(shop)
    for row in shop.rows():
        hit = engine.search(decode(shop.store.read(row.sha256)), Search(k=1, classes=ALL)).hits[0]
        assert (hit.product_id, hit.class_name, hit.label) == (row.product_id, row.category, "exact")
    own = checkpoints.load(shop.settings.checkpoints / report.checkpoint_id)
    assert set(own.retrieval.heads.classes) == {row.category for row in shop.rows()}
    assert own.blocks_id == checkpoints.load(Path(shop.settings.checkpoint)).blocks_id


def test_a_run_is_recorded(shop: Shop, opened: EncoderFactory) -> None:
    """Records of killed runs are marked as failed."""
    with shop.sessions.begin() as session:
        session.add(IndexRun(state="running"))
    report = reindex(shop.settings, open_encoder=opened)
    record = shop.latest_run()
    assert (record.state, record.generation_id, record.message) == ("published", report.generation_id, report.text())
    assert record.counts == report.as_json()
    assert record.finished_at is not None
    assert list(record.counts["seconds"])[:2] == ["encode pictures", "encode views"]
    with shop.sessions() as session:
        states = session.scalars(select(IndexRun.state).order_by(IndexRun.run_id)).all()
    assert states == ["failed", "published"]


def test_a_run_without_changes_encodes_and_publishes_nothing(
    indexed_shop: Shop, opened: EncoderFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It does not read the large blocks either. The checkpoint setting is needed only once and can be an id."""
    monkeypatch.setattr(stored_blocks, "read", None)
    first = indexed_shop.manifest()
    for checkpoint in ("", first.checkpoint_id):
        report = reindex(indexed_shop.with_settings(checkpoint=checkpoint).settings, open_encoder=opened)
        assert (report.state, report.encoded, report.generation_id) == ("unchanged", 0, first.generation_id)
    assert opened.encoders == []
    assert indexed_shop.latest_run().state == "unchanged"


def test_another_precision_encodes_everything_again(
    indexed_shop: Shop, opened: EncoderFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until the index is built again, the old one serves in its own precision."""
    before = checkpoints.load(indexed_shop.settings.checkpoints / indexed_shop.manifest().checkpoint_id)
    monkeypatch.setattr("vsearch.models.runtime.supported_precisions", lambda: ("f32", "bf16"))
    report = reindex(indexed_shop.with_settings(checkpoint="", precision="auto").settings, open_encoder=opened)
    after = checkpoints.load(indexed_shop.settings.checkpoints / report.checkpoint_id)
    assert (before.precision, after.precision) == ("f32", "bf16")
    assert report.encoded == report.pictures
    assert before.blocks_id != after.blocks_id
    again = reindex(indexed_shop.with_settings(checkpoint="", precision="auto").settings, open_encoder=opened)
    assert again.state == "unchanged"


def test_only_new_pictures_are_encoded(indexed_shop: Shop, opened: EncoderFactory) -> None:
    indexed_shop.add(["N001"], "Lamps")
    indexed_shop.withdraw("S000")
    report = reindex(indexed_shop.settings, open_encoder=opened)
    assert (report.encoded, report.pictures, report.products) == (2, 24, 12)
    assert opened.pictures == 2
    gallery = engine_of(indexed_shop).serving.generation.gallery
    assert set(gallery.image_ids.tolist()) == {row.image_id for row in indexed_shop.rows()}


def test_other_classes_need_no_encoding(indexed_shop: Shop, opened: EncoderFactory) -> None:
    report = reindex(indexed_shop.with_settings(min_class_size=50).settings, open_encoder=opened)
    assert (report.state, report.classes, report.encoded, report.views) == ("published", 1, 0, 0)
    assert engine_of(indexed_shop).serving.checkpoint.retrieval.heads.classes == (OTHER,)


def test_the_heads_are_fitted_again_when_a_class_grows(indexed_shop: Shop, opened: EncoderFactory) -> None:
    shop = indexed_shop.with_settings(checkpoint="")
    before = shop.manifest().checkpoint_id
    shop.add(["L1"], "Lamps", pictures=1)
    assert reindex(shop.settings, open_encoder=opened).checkpoint_id == before
    shop.add(["L2"], "Lamps", pictures=1)
    after = reindex(shop.settings, open_encoder=opened).checkpoint_id
    assert after != before
    sizes = checkpoints.load(shop.settings.checkpoints / after).retrieval.class_sizes
    assert sizes is not None
    assert sizes["Lamps"] == 8


def test_another_trunk_encodes_everything_again(indexed_shop: Shop, opened: EncoderFactory) -> None:
    other = fake_checkpoint(indexed_shop.settings.data / "other", trunk=2)
    report = reindex(indexed_shop.with_settings(checkpoint=str(other.folder)).settings, open_encoder=opened)
    assert (report.state, report.encoded) == ("published", 24)
    assert engine_of(indexed_shop).serving.encoder.blocks_id == other.blocks_id


def test_without_products_for_the_whitening_no_views_are_encoded(shop: Shop, opened: EncoderFactory) -> None:
    assert reindex(shop.with_settings(whitening_products=0).settings, open_encoder=opened).views == 0
    with shop.sessions() as session:
        assert session.scalar(select(func.max(StoredBlocks.view))) == 0


def test_an_empty_catalog_is_an_error(empty_shop: Shop, opened: EncoderFactory) -> None:
    with pytest.raises(CatalogError, match="vsearch catalog import"):
        reindex(empty_shop.settings, open_encoder=opened)
    record = empty_shop.latest_run()
    assert (record.state, record.generation_id) == ("failed", None)
    assert "vsearch catalog import" in record.message


def test_a_few_unreadable_pictures_are_left_out_until_they_are_readable(shop: Shop, opened: EncoderFactory) -> None:
    """A missing file counts as unreadable."""
    damaged, missing = shop.rows()[:2]
    content = shop.store.read(damaged.sha256)
    shop.store.path(damaged.sha256).write_bytes(b"not a picture at all")
    shop.store.path(missing.sha256).unlink()
    report = reindex(shop.settings, open_encoder=opened)
    assert (report.state, report.encoded, report.unreadable, report.pictures) == ("published", 22, 2, 22)
    assert "(2 unreadable)" in report.text()
    with shop.sessions() as session:
        problems = session.scalars(select(Image.image_id).where(Image.problem.is_not(None))).all()
    assert sorted(problems) == [damaged.image_id, missing.image_id]
    assert reindex(shop.settings, open_encoder=opened).state == "unchanged"
    shop.store.path(damaged.sha256).write_bytes(content)
    assert reindex(shop.settings, open_encoder=opened).pictures == 23


def test_too_many_unreadable_pictures_stop_the_run(shop: Shop, opened: EncoderFactory) -> None:
    """Nothing is published or marked, but encoded blocks are kept."""
    rows = shop.rows()
    for row in rows[:6]:
        shop.store.path(row.sha256).write_bytes(b"not a picture at all")
    with pytest.raises(EncodingFailed, match="6 of 24"):
        reindex(shop.settings, open_encoder=opened)
    assert generation.current_id(shop.settings.generations) is None
    assert shop.rows() == rows
    with shop.sessions() as session:
        assert session.scalar(select(func.count()).select_from(StoredBlocks)) == 18


def test_a_failed_run_is_resumed(shop: Shop, opened: EncoderFactory) -> None:
    """Complete batches are kept."""
    opened.fail_after = 10
    with pytest.raises(RuntimeError):
        reindex(shop.settings, open_encoder=opened)
    assert shop.latest_run().state == "failed"
    opened.fail_after = None
    with pytest.raises(KeyboardInterrupt):
        reindex(shop.settings, open_encoder=opened, progress=Stages("build the indexes"))
    assert (shop.latest_run().state, shop.latest_run().message) == ("failed", "Interrupted by an operator.")
    assert opened.pictures == 10 + 24 - 8 + 2
    report = reindex(shop.settings, open_encoder=opened)
    assert (report.state, report.encoded) == ("published", 0)


def test_a_faulty_generation_is_not_published(
    indexed_shop: Shop, opened: EncoderFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next run removes its remains."""
    first = indexed_shop.manifest()
    indexed_shop.add(["N001"], "Lamps")
    with monkeypatch.context() as patch:
        patch.setattr(generation_checks, "problems", lambda gallery, expected: iter(["It was made to fail."]))
        with pytest.raises(VerificationFailed, match="It was made to fail"):
            reindex(indexed_shop.settings, open_encoder=opened)
    assert indexed_shop.manifest() == first
    report = reindex(indexed_shop.settings, open_encoder=opened)
    assert (report.state, report.encoded) == ("published", 0)
    assert [path for path in indexed_shop.settings.generations.iterdir() if path.name.startswith(".")] == []


@pytest.mark.parametrize("name", ["images.npz", "manifest.json"])
def test_a_damaged_generation_is_built_again(indexed_shop: Shop, opened: EncoderFactory, name: str) -> None:
    (indexed_shop.settings.generations / indexed_shop.manifest().generation_id / name).write_bytes(b"")
    report = reindex(indexed_shop.settings, open_encoder=opened)
    assert (report.state, report.encoded) == ("published", 0)
    assert engine_of(indexed_shop).problem is None


def test_old_generations_are_pruned(shop: Shop, opened: EncoderFactory) -> None:
    ids, clock = [], FrozenClock()
    for number in range(4):
        shop.add([f"N{number:03d}"], "Lamps", pictures=1)
        clock.move(seconds=1)
        report = reindex(shop.with_settings(keep_generations=2).settings, open_encoder=opened, clock=clock)
        ids.append(report.generation_id)
    assert report.pruned == 1
    assert generation.generation_ids(shop.settings.generations) == ids[-2:]


def test_the_run_after_a_rollback_publishes_again(indexed_shop: Shop, opened: EncoderFactory) -> None:
    first = indexed_shop.manifest().generation_id
    indexed_shop.add(["N001"], "Lamps")
    second = reindex(indexed_shop.settings, open_encoder=opened).generation_id
    assert rollback(indexed_shop.settings) == first
    third = reindex(indexed_shop.settings, open_encoder=opened)
    assert third.state == "published"
    assert third.generation_id not in (first, second)


def test_only_one_run_at_a_time(shop: Shop, opened: EncoderFactory) -> None:
    with run_lock(shop.settings.data / LOCK, FrozenClock().now):
        with pytest.raises(RunInProgress):
            reindex(shop.settings, open_encoder=opened)
        with pytest.raises(RunInProgress):
            rollback(shop.settings)
    assert opened.encoders == []


def test_a_run_migrates_the_schema_only_if_allowed(indexed_shop: Shop, newer_vsearch: str) -> None:
    catalog = indexed_shop.settings.catalog_url
    with pytest.raises(SchemaMismatch):
        reindex(indexed_shop.settings, open_encoder=FakeEncoder)
    allowed = indexed_shop.with_settings(auto_upgrade=True)
    assert reindex(allowed.settings, open_encoder=FakeEncoder).state == "unchanged"
    assert read_schema_revision(catalog) == newer_vsearch
