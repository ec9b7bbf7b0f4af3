"""Pruning deletes only unused data, on each database, in the nightly job and by command."""

import json
import os
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest
from click.testing import CliRunner
from sqlalchemy import func, select, update
from sqlalchemy.orm import sessionmaker

from catalog import changes, jobs, product_edits, queries, review_retention, reviews
from catalog.database import connect, upgrade
from catalog.image_store import ImageStore, import_lock
from catalog.models import FeedImport, IndexRun, Job
from catalog.reviews import Area, NewLabel
from catalog.stored_blocks import StoredBlocks, put
from indexer import catalog_report, prune
from indexer.build.generation_checks import verify_published
from indexer.build.reindex import rollback
from indexer.build.run_context import LOCK
from indexer.cli.index import prune as command
from indexer.feed.importer import import_feed
from indexer.promotion import promote
from indexer.prune import Freed, PruneResult, promoted_checkpoints
from tests.fakes import FakeEncoder, FrozenClock, colored, fake_checkpoint
from tests.indexer.shop import Retailer, Shifted
from vsearch.core.errors import CatalogError, RunInProgress
from vsearch.core.lock import exclusive_lock, run_lock
from vsearch.core.progress import no_stages
from vsearch.imaging.codec import decode, encode_jpeg
from vsearch.index import generation as generations
from vsearch.models import registry
from vsearch.models.checkpoint import Checkpoint
from vsearch.models.encoder import Encoder
from vsearch.search.engine import Engine, Search
from webui import image_files
from webui.image_files import Thumbnails

pytestmark = pytest.mark.slow

DAY = 86_400
PRODUCTS = 16
KINDS = {"generations", "models", "blocks", "pictures", "thumbnails", "uploads", "temporary files", "jobs"}


def open_encoder(checkpoint: Checkpoint) -> Encoder:
    """Open the encoder of a fake checkpoint with any trunk."""
    return FakeEncoder(checkpoint) if checkpoint.retrieval.sides["fake"] == 1 else Shifted(checkpoint)


class LiveShop:
    """A shop whose pictures, products, classes and models change every day."""

    def __init__(self, retailer: Retailer) -> None:
        self.retailer = retailer
        self.clock = FrozenClock(datetime.now(UTC))
        values = {"min_class_size": 3, "keep_record_days": 7, "whitening_products": 60}
        self.first_settings = retailer.settings.model_copy(update=values)
        self.settings = self.first_settings.model_copy(update={"checkpoint": ""})
        self.data = self.settings.data
        self.images = self.data / "images"
        self.images.mkdir(exist_ok=True)
        self.store = ImageStore(self.settings.pictures)
        retailer.images = str(self.images)

    def draw(self, sku: str, seed: int, category: str = "Sofas") -> None:
        """Put a product with a new picture into the feed."""
        color = np.random.default_rng(seed).integers(30, 255, size=3).tolist()
        (self.images / f"{sku}.jpg").write_bytes(encode_jpeg(colored(color, seed=seed, side=48)))
        row = {"sku": sku, "title": "Product", "price": "9", "category": category, "image": f"{sku}.jpg"}
        self.retailer.rows[sku] = row

    def set(self, **settings: object) -> None:
        self.settings = self.settings.model_copy(update=settings)

    def run_nightly(self, *, first: bool = False, **options: Any) -> Any:
        """Run the nightly job a day later; return the report of its index run."""
        self.clock.move(DAY)
        self.retailer.settings = self.first_settings if first else self.settings
        options = {"open_encoder": open_encoder, "accept": {"drift"}} | options
        return self.retailer.run_nightly(clock=self.clock, **options)[1]

    def import_feed(self, **options: Any) -> None:
        feed = str(self.retailer.write_feed())
        import_feed(self.settings, feed, str(self.images), sessions=self.retailer.sessions, **options)

    def promote(self, trunk: int) -> None:
        folder = self.data / f"trained {trunk}"
        trained = fake_checkpoint(folder, trunk=trunk)
        promote.promote(self.settings, trained, allow_drop=1, open_encoder=open_encoder, clock=self.clock)
        shutil.rmtree(folder)
        self.clock.move(60)

    def request_thumbnails(self) -> None:
        thumbnails = Thumbnails(self.settings)
        for _, sha256 in self.retailer.indexed():
            assert thumbnails.read(sha256, 160)

    def prune(self, **options: Any) -> PruneResult:
        """Prune as the command does."""
        return prune.run(self.settings, clock=self.clock, **options)

    def blocks(self) -> dict[str, int]:
        """Return the number of stored blocks by blocks_id."""
        by_id = select(StoredBlocks.blocks_id, func.count()).group_by(StoredBlocks.blocks_id)
        with self.retailer.sessions() as session:
            return {str(blocks_id): count for blocks_id, count in session.execute(by_id)}

    def rows(self) -> dict[str, int]:
        """Return the number of rows of the tables that grow."""
        with self.retailer.sessions() as session:
            tables = (Job, FeedImport, IndexRun)
            return {table.__tablename__: session.scalar(select(func.count()).select_from(table)) for table in tables}

    def picture_of(self, sku: str) -> str:
        with self.retailer.sessions() as session:
            (picture,) = queries.product_by_sku(session, sku).item.images  # type: ignore[union-attr]
        return picture

    def search_results(self) -> list[str]:
        """Return the first sku found by searching with each product's picture."""
        engine = Engine(self.settings, open_encoder)
        engine.refresh()
        with self.retailer.sessions() as session:
            rows = queries.gallery_rows(session)
        skus = {row.product_id: row.sku for row in rows}
        photos = [
            decode(self.store.read(sha256)) for _, sha256 in sorted({row.sku: row.sha256 for row in rows}.items())
        ]
        return [skus.get(engine.search(photo, Search(k=1)).hits[0].product_id, "withdrawn") for photo in photos]

    def manifest(self) -> generations.Manifest:
        return generations.read_manifest(generations.current(self.settings.generations))

    def problems(self) -> tuple[str, ...]:
        return verify_published(self.settings, open_encoder).problems

    def state(self) -> tuple[dict[str, int], dict[str, int], dict[str, bytes]]:
        """Return everything that pruning can change."""
        files = [path for path in self.data.rglob("*") if path.is_file()]
        files = [path for path in files if not path.name.startswith(("catalog.", "index."))]
        return self.blocks(), self.rows(), {str(path): path.read_bytes() for path in files}


@pytest.fixture
def shop(retailer):
    """A shop after its first nightly job, on each database."""
    return first_run(retailer)


@pytest.fixture
def sqlite_shop(sqlite_retailer):
    return first_run(sqlite_retailer)


def first_run(retailer: Retailer) -> LiveShop:
    shop = LiveShop(retailer)
    for number in range(PRODUCTS):
        shop.draw(f"P{number:02d}", number, ("Sofas", "Lamps")[number % 2])
    shop.run_nightly(first=True)
    return shop


@contextmanager
def other_shop(shop: LiveShop, folder: Path) -> Iterator[LiveShop]:
    """Yield a new data folder with the same content, indexed with one model, and with the last model promoted."""
    folder.mkdir()
    shutil.copytree(shop.images, folder / "images")
    fake_checkpoint(folder / "given")
    engine = connect(f"sqlite:///{folder / 'catalog.sqlite'}")
    upgrade(engine)
    settings = {"data": folder, "database_url": "", "checkpoint": str(folder / "given")}
    retailer = Retailer(shop.first_settings.model_copy(update=settings), sessionmaker(engine), shop.retailer.rows)
    made = LiveShop(retailer)
    made.run_nightly(first=True)
    made.promote(28)
    made.request_thumbnails()
    made.prune()
    yield made
    engine.dispose()


def names(folder: Path, *, folders: bool = False) -> set[str]:
    """Return the names of all files in a folder, or of its immediate subfolders."""
    return {path.name for path in (folder.iterdir() if folders else folder.rglob("*")) if path.is_dir() == folders}


def test_thirty_nightly_jobs_leave_no_more_than_a_fresh_folder(shop, tmp_path):
    """The days include promotions, changed pictures, withdrawn products, and classes that come and go."""
    data = shop.data
    freed: set[str] = set()
    for day in range(2, 31):
        shop.draw(f"P{day % PRODUCTS:02d}", 100 + day)  # a changed picture
        shop.draw(f"N{day:02d}", 200 + day, "Lamps")  # a new product
        shop.retailer.rows.pop(f"N{day - 2:02d}", None)  # a withdrawn one
        for number in (0, 2, 4):  # a class that comes and goes
            shop.retailer.rows[f"P{number:02d}"]["category"] = ("Sofas", "Rugs")[day % 2]
        freed |= shop.run_nightly().freed.keys()
        shop.request_thumbnails()
        if day % 7 == 0:
            shop.promote(day)
    assert freed == {"models", "blocks", "pictures", "thumbnails", "records"}
    results = shop.search_results()
    shop.prune()
    listed = generations.generation_ids(shop.settings.generations)
    kept = [generations.read_manifest(shop.settings.generations / name) for name in listed]

    with other_shop(shop, tmp_path / "fresh") as other:
        for name in ("pictures", "thumbnails"):
            assert names(data / name) == names(other.data / name)
        blocks_id = kept[-1].blocks_id
        assert other.manifest().blocks_id == blocks_id
        assert shop.blocks()[blocks_id] == other.blocks()[blocks_id]
        assert shop.blocks().keys() == {manifest.blocks_id for manifest in kept}
        if shop.settings.database_url.startswith("sqlite"):
            records_of_runs = 28 * 2048  # ten of each kind, and the promotions
            sizes = [(each.data / "catalog.sqlite").stat().st_size for each in (shop, other)]
            assert sizes[0] <= sizes[1] + records_of_runs
    with shop.retailer.sessions() as session:
        promoted = promoted_checkpoints(session)
    assert len(promoted) == 4
    assert names(data / "checkpoints", folders=True) == {manifest.checkpoint_id for manifest in kept} | promoted
    assert names(data / "generations", folders=True) == set(listed)
    assert len(listed) <= shop.settings.keep_generations + 1  # and that of the previous model
    assert shop.rows() == {"job": 0, "feed_import": 10, "index_run": 10 + len(promoted)}

    assert shop.prune() == PruneResult()
    evaluation_set = {path: path.read_bytes() for path in (data / "evaluation").rglob("*") if path.is_file()}
    assert shop.search_results() == results
    assert shop.problems() == ()
    assert rollback(shop.settings) == listed[-2]
    assert shop.run_nightly().encoded == 0
    promote.rollback(shop.settings)
    assert shop.manifest().blocks_id != blocks_id
    assert shop.search_results()
    after = shop.run_nightly()
    assert (after.state, after.encoded) == ("published", 4)  # changes since the promotion
    assert shop.problems() == ()
    assert all(path.read_bytes() == content for path, content in evaluation_set.items())


@pytest.fixture
def stale_shop(shop):
    """A shop with some unused data of every kind, on each database."""
    settings = shop.settings
    shop.request_thumbnails()
    for number in (0, 1):
        shop.draw(f"P{number:02d}", 50 + number)
    del shop.retailer.rows["P15"]
    shop.set(prune=False)
    shop.run_nightly()
    shop.promote(2)
    registry.add(settings, fake_checkpoint(settings.data / "refused", trunk=9))
    shop.set(keep_generations=9)
    for _ in range(4):
        shop.draw("P02", shop.clock.now.day)
        shop.run_nightly()
    shop.settings = settings
    with shop.retailer.sessions.begin() as session:
        for number in range(12):
            job_id = jobs.add(session, "index", {}, shop.clock.now)
            jobs.finish(session, job_id, "done", "", shop.clock.now - timedelta(days=8 + number))
            write(settings.jobs / f"{job_id}.log")
    for name in (
        "jobs/99.log", "generations/.building-x/images.npz", "checkpoints/.removing-x/model.json",
        "pictures/ab/cd/.new-x", "thumbnails/ab/.new-x", "uploads/.new-x", "runs/sofas/trunk/.new-x",
    ):  # fmt: skip
        write(shop.data / name)
    write(settings.uploads / f"{'a' * 64}.jpg", age=40 * DAY)
    shop.clock.move(20 * DAY)
    return shop


def write(file: Path, age: float = 0) -> Path:
    """Write a file with that age."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(b"0123456789")
    os.utime(file, (time.time() - age,) * 2)
    return file


def test_a_dry_run_reports_what_a_prune_deletes(stale_shop):
    """The next prune deletes the thumbnails of the deleted pictures, and the one after that deletes nothing."""
    before = stale_shop.state()
    announced = stale_shop.prune(dry_run=True)
    assert stale_shop.state() == before
    assert stale_shop.prune() == announced
    assert announced.freed.keys() == KINDS
    assert all(freed.bytes > 0 for freed in announced.freed.values())
    size_before, size_after = (sum(map(len, files.values())) for *_, files in (before, stale_shop.state()))
    assert size_before - size_after == sum(freed.bytes for kind, freed in announced.freed.items() if kind != "blocks")
    assert stale_shop.prune().freed.keys() == {"thumbnails"}
    assert stale_shop.prune() == PruneResult()


class Stopped(BaseException):
    """Stops a prune or an import."""


@contextmanager
def stop_at_once(stage: str) -> Iterator[Any]:
    """Stop after the first piece is deleted."""

    def advance(done: int, total: int) -> None:
        raise Stopped

    yield advance


def test_a_prune_stopped_after_every_piece_ends_the_same(stale_shop):
    total = sum(freed.count for freed in stale_shop.prune(dry_run=True).freed.values())
    stops = 0
    while True:
        try:
            stale_shop.prune(progress=stop_at_once)
            break
        except Stopped:
            stops += 1
    assert 20 < stops <= total + 2  # two stages
    stale_shop.prune()
    assert stale_shop.prune() == PruneResult()
    assert stale_shop.problems() == ()
    assert stale_shop.run_nightly().encoded == 0


def test_nothing_is_deleted_during_an_index_run(sqlite_shop, monkeypatch):
    """A nightly job also excludes others during its own prune."""
    refusals = []

    def prune_beside(*arguments: object) -> list[tuple[str, Path]]:
        before = sqlite_shop.state()
        for dry_run in (False, True):
            with pytest.raises(RunInProgress):
                sqlite_shop.prune(dry_run=dry_run)
        assert sqlite_shop.state() == before
        refusals.append(True)
        return []

    write(sqlite_shop.data / "pictures/ab/cd/.new-x", age=40 * DAY)
    with run_lock(sqlite_shop.data / LOCK, sqlite_shop.clock.now):
        prune_beside()
    monkeypatch.setattr(image_files, "prunable_files", prune_beside)
    sqlite_shop.run_nightly()
    assert len(refusals) == 2


def test_pictures_are_skipped_during_an_import(shop, monkeypatch):
    """An import stores pictures before the catalog refers to them."""
    stored, resume = threading.Event(), threading.Event()

    class SlowStore(ImageStore):
        def put(self, data: bytes) -> str:
            sha256 = super().put(data)
            stored.set()
            assert resume.wait(60)
            return sha256

    shop.draw("P00", 60)
    old = write(shop.settings.pictures / "ab" / "cd" / f"abcd{'0' * 60}")
    monkeypatch.setattr("indexer.feed.importer.ImageStore", SlowStore)
    importing = threading.Thread(target=shop.import_feed)
    importing.start()
    assert stored.wait(60)
    write(shop.settings.generations / ".building-x" / "images.npz")
    result = shop.prune()
    assert result.freed.keys() == {"temporary files"}
    assert "import is running" in result.note
    resume.set()
    importing.join()
    assert shop.prune().freed["pictures"].count == 2  # the unknown one and the replaced one
    assert not old.exists()
    assert shop.problems() == ()


def test_an_import_waits_while_pictures_are_deleted(sqlite_shop):
    order = []
    progress = {"progress": lambda stage: order.append("imported") or no_stages(stage)}
    importing = threading.Thread(target=sqlite_shop.import_feed, kwargs=progress)
    with exclusive_lock(import_lock(sqlite_shop.settings.pictures)) as acquired:
        assert acquired
        importing.start()
        assert catalog_report.create(sqlite_shop.settings)  # takes a while
        order.append("deleted")
    importing.join()
    assert order == ["deleted", "imported"]


def test_pictures_fetched_by_a_killed_import_are_kept_for_the_next(shop, monkeypatch):
    """They are kept until a feed that does not name them is imported."""
    with shop.retailer.sessions.begin() as session:  # the fixture's clock is ahead of the fetch times
        session.execute(update(FeedImport).values(finished_at=datetime.now(UTC)))
    shop.draw("P00", 60)
    with monkeypatch.context() as patch:
        patch.setattr(changes, "apply", lambda *arguments: (_ for _ in ()).throw(Stopped))
        with pytest.raises(Stopped):
            shop.run_nightly()
    assert shop.prune() == PruneResult()
    shop.draw("P00", 61)
    assert shop.run_nightly().freed["pictures"]["count"] == 2


def test_images_that_an_admin_added_are_kept(sqlite_shop):
    """Unlike those of the feed, even after their product was withdrawn: no feed can provide them again."""
    added = sqlite_shop.store.put(encode_jpeg(colored([90, 20, 40], seed=99, side=48)))
    picture = sqlite_shop.picture_of("P03")
    with sqlite_shop.retailer.sessions.begin() as session:
        product_edits.save(session, "ann", "P03", "images", (added,))
    sqlite_shop.retailer.rows.pop("P03")
    sqlite_shop.run_nightly()
    sqlite_shop.clock.move(40 * DAY)
    sqlite_shop.prune()
    assert sqlite_shop.store.exists(added)
    assert not sqlite_shop.store.exists(picture)
    with sqlite_shop.retailer.sessions.begin() as session:
        product_edits.undo(session, "ann", "P03", "images")
    sqlite_shop.prune()
    assert not sqlite_shop.store.exists(added)


def test_reviewed_photos_are_kept_until_they_expire(sqlite_shop):
    """Their labeled areas, blocks, thumbnails and labels as well, even with an index that does not use them."""
    shop = sqlite_shop
    photo, area = (encode_jpeg(colored([40, 90, 20], seed=seed, side=64)) for seed in (97, 98))
    with shop.retailer.sessions.begin() as session:
        reviews.begin(session)
        item = reviews.add(session, shop.store, Area(photo, "upload"), keep_days=30, now=shop.clock())
        crop = shop.store.put(area)
        label = NewLabel("category", category="Sofas", box="0,0,0.5,0.5", crop_sha256=crop)
        reviews.label(session, item, "ann", label, based_on=None, now=shop.clock())
        (blocks_id,) = session.scalars(select(StoredBlocks.blocks_id).distinct())
        put(session, blocks_id, [(crop, 0)], np.zeros((1, 16), np.float16))
        kept = review_retention.pictures_in_use(session)
    for sha256 in kept:
        assert Thumbnails(shop.settings).read(sha256, 160)
    shop.prune()
    assert len(kept) == 2
    assert all(map(shop.store.exists, kept))
    shop.clock.move(31 * DAY)
    assert shop.prune(dry_run=True).freed["reviewed areas"] == Freed(1)
    assert all(map(shop.store.exists, kept))
    freed = shop.prune().freed
    assert freed["reviewed areas"] == Freed(1)
    assert freed["thumbnails"].count == 2
    assert not any(map(shop.store.exists, kept))
    assert not [path for path in names(shop.settings.thumbnails) if path[:64] in kept]
    with shop.retailer.sessions() as session:
        assert reviews.effective_labels(session) == []
        assert not session.scalars(select(StoredBlocks).where(StoredBlocks.sha256.in_(kept))).all()
    assert shop.prune() == PruneResult()


def test_data_of_recently_withdrawn_products_is_kept(shop):
    """It is deleted later; the product can still be restored after that."""
    shop.clock.now = datetime.now(UTC)
    shop.request_thumbnails()
    row, picture = shop.retailer.rows.pop("P03"), shop.picture_of("P03")
    shop.run_nightly()
    assert shop.prune() == PruneResult()
    assert shop.store.exists(picture)
    shop.clock.move(14 * DAY)
    freed = shop.prune().freed
    assert {kind: freed[kind].count for kind in freed} == {"pictures": 1, "thumbnails": 1, "blocks": 1}
    assert not shop.store.exists(picture)
    shop.retailer.rows["P03"] = row
    shop.import_feed()
    assert catalog_report.create(shop.settings).counts["products"] == PRODUCTS  # although it is not encoded yet
    assert shop.run_nightly().encoded == 1
    assert shop.problems() == ()


def test_thumbnails_are_deleted_after_their_picture_or_by_age(sqlite_shop):
    """Those of a replaced picture are deleted one prune later, since a page sent earlier may still request them."""
    sqlite_shop.clock.now = datetime.now(UTC)
    thumbnails = Thumbnails(sqlite_shop.settings)
    sqlite_shop.request_thumbnails()
    picture = sqlite_shop.picture_of("P03")
    sqlite_shop.draw("P03", 70)
    sqlite_shop.run_nightly()
    assert thumbnails.read(picture, 160)
    assert sqlite_shop.prune().freed["thumbnails"].count == 1
    assert thumbnails.read(picture, 160) is None
    sqlite_shop.clock.now = datetime.now(UTC) + timedelta(days=89)
    assert sqlite_shop.prune() == PruneResult()
    sqlite_shop.clock.move(2 * DAY)
    assert sqlite_shop.prune().freed["thumbnails"].count == PRODUCTS - 1
    sqlite_shop.request_thumbnails()


def test_recent_models_and_readers_are_kept(sqlite_shop):
    """A recent model keeps its blocks, since it might be promoted next; later only the readers are left."""
    settings = sqlite_shop.settings
    sqlite_shop.clock.now = datetime.now(UTC)
    reader, candidate = (fake_checkpoint(settings.data / f"trained {trunk}", trunk=trunk) for trunk in (5, 6))
    for checkpoint in (reader, candidate):
        registry.add(settings, checkpoint)
    registry.use(settings, "reader", reader.checkpoint_id)
    with sqlite_shop.retailer.sessions.begin() as session:
        put(session, candidate.blocks_id, [(sqlite_shop.picture_of("P00"), 0)], np.zeros((1, 16), np.float16))
    assert sqlite_shop.prune() == PruneResult()
    sqlite_shop.clock.move(15 * DAY)
    assert {kind: freed.count for kind, freed in sqlite_shop.prune().freed.items()} == {"models": 1, "blocks": 1}
    assert registry.promoted(settings, "reader") == [reader.checkpoint_id]
    assert registry.find(settings, reader.checkpoint_id)


def test_files_of_others_are_left_alone(stale_shop):
    files = [
        "pictures/README", "pictures/ab/cd/logo.jpg", f"pictures/ab/ce/abcd{'0' * 60}", "thumbnails/ab/logo-160.jpg",
        "uploads/notes.txt", "checkpoints/my model/model.json", f"checkpoints/{'0' * 16}/notes", "jobs/notes.log",
        "generations/notes/manifest.json", "runs/sofas/.hidden", ".new-file", "evaluation/notes",
    ]  # fmt: skip
    for name in files:
        write(stale_shop.data / name, age=400 * DAY)
    stale_shop.prune()
    stale_shop.prune()
    assert [name for name in files if not (stale_shop.data / name).is_file()] == []


def test_files_being_written_are_left_alone(sqlite_shop):
    """They are written by the web server, which holds no lock, and by a training run, which holds its own."""
    sqlite_shop.clock.now = datetime.now(UTC)
    data = sqlite_shop.data
    recent = [write(data / name / ".new-x") for name in ("uploads", "thumbnails/ab", "runs/sofas/cache")]
    training = write(data / "runs" / "chairs" / ".building-x" / "checkpoint" / ".new-y", age=3 * DAY)
    os.utime(training.parents[1], (time.time() - 3 * DAY,) * 2)
    with run_lock(data / "runs" / "chairs" / "lock", sqlite_shop.clock.now):
        assert sqlite_shop.prune() == PruneResult()
    assert sqlite_shop.prune().freed == {"temporary files": Freed(1, 10)}
    assert all(file.exists() for file in recent)


def test_without_a_published_index_pictures_and_blocks_are_kept(sqlite_retailer):
    """If the first nightly job was killed, the next one continues with them."""
    shop = LiveShop(sqlite_retailer)
    shop.draw("P00", 0)
    shop.draw("P01", 1)
    with pytest.raises(RuntimeError):
        shop.run_nightly(first=True, open_encoder=lambda checkpoint: FakeEncoder(checkpoint, fail_after=1))
    write(shop.settings.checkpoints / ".new-x" / "model.json")
    assert shop.prune().freed.keys() == {"temporary files"}
    assert len(names(shop.settings.pictures)) == 2


def test_the_catalog_of_another_folder_is_refused(sqlite_shop, tmp_path):
    """It refers to no data in this folder, so everything would be deleted."""
    with other_shop(sqlite_shop, tmp_path / "other") as other:
        before = sqlite_shop.state()
        wrong = sqlite_shop.settings.model_copy(update={"database_url": other.settings.catalog_url})
        with pytest.raises(CatalogError, match="database_url"):
            prune.run(wrong, clock=sqlite_shop.clock)
        assert sqlite_shop.state() == before


def test_the_nightly_job_reports_what_it_freed(sqlite_shop):
    """This requires the `prune` setting."""
    sqlite_shop.draw("P00", 60)
    report = sqlite_shop.run_nightly()
    assert report.freed.keys() == {"pictures", "blocks"}
    html = catalog_report.render_html(catalog_report.create(sqlite_shop.settings), sqlite_shop.settings)
    assert all("1 block, 1 picture." in text for text in (report.text(), html))
    sqlite_shop.set(prune=False)
    sqlite_shop.draw("P00", 61)
    assert sqlite_shop.run_nightly().freed == {}
    assert sqlite_shop.prune().freed.keys() == {"pictures", "blocks"}


@pytest.mark.parametrize("error", [OSError("disk full"), KeyboardInterrupt()])
def test_a_failing_prune_does_not_fail_the_nightly_job(sqlite_shop, error, monkeypatch):
    monkeypatch.setattr(image_files, "prunable_files", Mock(side_effect=error))
    sqlite_shop.draw("P00", 60)
    with suppress(KeyboardInterrupt):
        assert sqlite_shop.run_nightly().text().endswith("disk full")
    with sqlite_shop.retailer.sessions() as session:
        assert queries.latest_runs(session, 1)[0].state == "published"


def test_the_command_prints_a_table_or_json(sqlite_shop):
    write(sqlite_shop.data / "generations" / ".building-x" / "images.npz")

    def call(*arguments: str) -> str:
        return CliRunner().invoke(command, arguments, obj=sqlite_shop.settings, catch_exceptions=False).stdout

    expected = {"freed": {"temporary files": {"count": 1, "bytes": 10}}, "note": ""}
    assert json.loads(call("--dry-run", "--json")) == {"dry_run": True, **expected}
    assert "temporary files" in call("--dry-run")
    assert json.loads(call("--json")) == {"dry_run": False, **expected}
    assert "temporary files" not in call()
