"""Pruning deletes unused data and nothing else: on each database, in the nightly job and by command."""

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

import numpy as np
import pytest
from click.testing import CliRunner, Result
from sqlalchemy import func, select, update
from sqlalchemy.orm import sessionmaker

from catalog import changes, jobs, queries, stored_blocks
from catalog.database import connect, upgrade
from catalog.image_store import ImageStore
from catalog.models import FeedImport, IndexRun, Job
from indexer import prune
from indexer.build.checks import verify_published
from indexer.build.index_run import LOCK
from indexer.build.nightly import rollback
from indexer.catalog_report import report as catalog_report
from indexer.cli.prune import command
from indexer.feed.importer import import_feed, import_lock
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
from webui import unused_files
from webui.thumbnails import Thumbnails

pytestmark = pytest.mark.slow

DAY = 86_400
PRODUCTS = 16


def open_encoder(checkpoint: Checkpoint) -> Encoder:
    """Open the encoder of a fake checkpoint of any trunk."""
    return FakeEncoder(checkpoint) if checkpoint.retrieval.grid == 1 else Shifted(checkpoint)


def size(folder: Path) -> int:
    """Return the bytes of all files in a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


class LiveShop:
    """A shop whose pictures, products, classes and models change every day."""

    def __init__(self, retailer: Retailer, **settings: object) -> None:
        self.retailer = retailer
        self.clock = FrozenClock(datetime.now(UTC))
        values = {"min_class_size": 3, "keep_record_days": 7, "whitening_products": 60} | settings
        self.given = retailer.settings.model_copy(update=values)
        self.settings = self.given.model_copy(update={"checkpoint": ""})
        self.images = self.given.data / "images"
        self.images.mkdir(exist_ok=True)
        retailer.images = str(self.images)

    def draw(self, sku: str, seed: int, category: str = "Sofas") -> None:
        """Put a product with a new picture into the feed."""
        color = np.random.default_rng(seed).integers(30, 255, size=3).tolist()
        (self.images / f"{sku}.jpg").write_bytes(encode_jpeg(colored(color, seed=seed, side=48)))
        row = {"sku": sku, "title": "Product", "price": "9", "category": category, "image": f"{sku}.jpg"}
        self.retailer.rows[sku] = row

    def run_nightly(self, *, first: bool = False, **options: Any) -> Any:
        """Run the nightly job a day later."""
        self.clock.move(DAY)
        self.retailer.settings = self.given if first else self.settings
        options = {"open_encoder": open_encoder, "accept": {"drift"}} | options
        return self.retailer.run_nightly(clock=self.clock, **options)

    def promote(self, trunk: int) -> None:
        """Promote another model."""
        folder = self.given.data / f"trained {trunk}"
        found = fake_checkpoint(folder, trunk=trunk)
        promote.promote(self.settings, found, allow_drop=1, open_encoder=open_encoder, clock=self.clock)
        shutil.rmtree(folder)
        self.clock.move(60)

    def browse(self) -> None:
        """Request the thumbnails of all pictures."""
        thumbnails = Thumbnails(self.settings)
        for _, sha256 in self.retailer.indexed():
            assert thumbnails.read(sha256, 160)

    def prune(self, **options: Any) -> PruneResult:
        """Prune as the command does."""
        return prune.run(self.settings, clock=self.clock, **options)

    def blocks(self) -> dict[str, int]:
        """Return how many blocks are stored, by blocks_id."""
        by_id = select(stored_blocks.StoredBlocks.blocks_id, func.count()).group_by(
            stored_blocks.StoredBlocks.blocks_id
        )
        with self.retailer.sessions() as session:
            return {str(blocks_id): count for blocks_id, count in session.execute(by_id)}

    def rows(self) -> dict[str, int]:
        """Return how many rows the tables that grow have."""
        with self.retailer.sessions() as session:
            return {
                table.__tablename__: session.scalar(select(func.count()).select_from(table))
                for table in (Job, FeedImport, IndexRun)
            }

    def first_hits(self) -> list[str]:
        """Return the sku that a search with each product's picture finds first."""
        engine = Engine(self.settings, open_encoder)
        engine.refresh()
        with self.retailer.sessions() as session:
            skus = {row.product_id: row.sku for row in queries.gallery_rows(session)}
            photos = {row.sku: row.sha256 for row in queries.gallery_rows(session)}
        pictures = ImageStore(self.settings.pictures)
        return [
            skus.get(
                engine.search(decode(pictures.read(sha256)), Search(k=1)).hits[0].product_id, "one that is withdrawn"
            )
            for _, sha256 in sorted(photos.items())
        ]


@pytest.fixture
def shop(retailer: Retailer) -> LiveShop:
    """A shop after its first nightly job, once on each database."""
    return after_first_job(retailer)


@pytest.fixture
def sqlite_shop(sqlite_retailer: Retailer) -> LiveShop:
    """The same on SQLite."""
    return after_first_job(sqlite_retailer)


def after_first_job(retailer: Retailer) -> LiveShop:
    """Return a shop after its first nightly job."""
    shop = LiveShop(retailer)
    for number in range(PRODUCTS):
        shop.draw(f"P{number:02d}", number, ("Sofas", "Lamps")[number % 2])
    shop.run_nightly(first=True)
    return shop


def test_thirty_nightly_jobs_leave_no_more_than_a_fresh_folder(shop: LiveShop, tmp_path: Path) -> None:
    """With promotions, changed pictures, withdrawn products, and classes that come and go."""
    sqlite = shop.settings.database_url.startswith("sqlite")
    freed: set[str] = set()
    for day in range(2, 31):
        shop.draw(f"P{day % PRODUCTS:02d}", 100 + day)  # a changed picture
        shop.draw(f"N{day:02d}", 200 + day, "Lamps")  # a new product
        shop.retailer.rows.pop(f"N{day - 2:02d}", None)  # a withdrawn one
        for number in (0, 2, 4):  # a class that comes and goes
            shop.retailer.rows[f"P{number:02d}"]["category"] = ("Sofas", "Rugs")[day % 2]
        freed |= shop.run_nightly()[1].freed.keys()
        shop.browse()
        if day % 7 == 0:
            shop.promote(day)
    assert freed == {"models", "blocks", "pictures", "thumbnails", "records"}
    answers = shop.first_hits()
    shop.prune()
    data, listed = shop.settings.data, generations.generation_ids(shop.settings.generations)
    kept = [generations.read_manifest(shop.settings.generations / name) for name in listed]
    evaluated = size(data / "evaluation")

    with fresh(shop, tmp_path / "fresh") as other:  # two generations, of the last model and of the one before
        for name in ("pictures", "thumbnails"):
            assert names(data / name) == names(other.settings.data / name)
        now, before = kept[-1].blocks_id, generations.read_manifest(current(other)).blocks_id
        assert before == now
        assert shop.blocks()[now] == other.blocks()[now]
        assert shop.blocks().keys() == {manifest.blocks_id for manifest in kept}
        if sqlite:
            records_of_runs = 24 * 2048  # ten of each kind, and the promotions
            fresh_file = other.settings.data / "catalogue.sqlite"
            assert (data / "catalogue.sqlite").stat().st_size <= fresh_file.stat().st_size + records_of_runs
    with shop.retailer.sessions() as session:
        promoted = promoted_checkpoints(session)
    assert len(promoted) == 4
    assert names(data / "checkpoints", folders=True) == {manifest.checkpoint_id for manifest in kept} | promoted
    assert names(data / "generations", folders=True) == set(listed)
    assert len(listed) <= shop.settings.keep_generations + 1  # and that of the model before
    assert shop.rows() == {"job": 0, "feed_import": 10, "index_run": 10 + len(promoted)}

    assert shop.prune() == PruneResult()
    assert shop.first_hits() == answers
    assert verify_published(shop.settings, open_encoder).problems == ()
    assert rollback(shop.settings) == listed[-2]
    assert shop.run_nightly()[1].encoded == 0
    promote.rollback(shop.settings)
    assert generations.read_manifest(current(shop)).blocks_id != now
    assert shop.first_hits()
    _, after = shop.run_nightly()
    assert (after.state, after.encoded) == ("published", 4)  # what changed since the promotion
    assert verify_published(shop.settings, open_encoder).problems == ()
    assert size(data / "evaluation") == evaluated


@contextmanager
def fresh(shop: LiveShop, folder: Path) -> Iterator[LiveShop]:
    """Yield a new data folder with the same content: indexed with one model, and with the last one promoted."""
    folder.mkdir()
    shutil.copytree(shop.images, folder / "images")
    fake_checkpoint(folder / "given")
    engine = connect(f"sqlite:///{folder / 'catalogue.sqlite'}")
    upgrade(engine)
    settings = shop.given.model_copy(update={"data": folder, "database_url": "", "checkpoint": str(folder / "given")})
    made = LiveShop(Retailer(settings, sessionmaker(engine), shop.retailer.rows))
    made.run_nightly(first=True)
    made.promote(28)
    made.browse()
    made.prune()
    yield made
    engine.dispose()


def current(shop: LiveShop) -> Path:
    """Return the folder of the current generation."""
    return generations.current(shop.settings.generations)


def names(folder: Path, *, folders: bool = False) -> set[str]:
    """Return the names of all files in a folder, or of the folders right in it."""
    return {path.name for path in (folder.iterdir() if folders else folder.rglob("*")) if path.is_dir() == folders}


@pytest.fixture
def garbage(shop: LiveShop) -> LiveShop:
    """A shop with some garbage of every kind, once on each database."""
    return with_garbage(shop)


@pytest.fixture
def sqlite_garbage(sqlite_shop: LiveShop) -> LiveShop:
    """The same on SQLite."""
    return with_garbage(sqlite_shop)


def with_garbage(shop: LiveShop) -> LiveShop:
    """Add some garbage of every kind."""
    settings = shop.settings
    shop.browse()
    for number in (0, 1):
        shop.draw(f"P{number:02d}", 50 + number)
    del shop.retailer.rows["P15"]
    shop.settings = settings.model_copy(update={"prune": False})
    shop.run_nightly()
    shop.promote(2)
    registry.add(settings, fake_checkpoint(settings.data / "refused", trunk=9))
    shop.settings = settings.model_copy(update={"prune": False, "keep_generations": 9})
    for _ in range(4):
        shop.draw("P02", shop.clock.now.day)
        shop.run_nightly()
    shop.settings = settings
    with shop.retailer.sessions.begin() as session:
        for number in range(12):
            job_id = jobs.add(session, "index", {}, shop.clock.now)
            jobs.finish(session, job_id, "done", "", shop.clock.now - timedelta(days=8 + number))
            log_file(shop, job_id).write_text("printed")
    log_file(shop, 99).write_text("of no job")
    write(settings.generations / ".building-x" / "images.npz")
    write(settings.checkpoints / ".removing-x" / "model.json")
    write(settings.pictures / "ab" / "cd" / ".new-x")
    write(settings.thumbnails / "ab" / ".new-x")
    write(settings.uploads / ".new-x")
    write(settings.uploads / f"{'a' * 64}.jpg", age=40 * DAY)
    write(settings.data / "runs" / "sofas" / "trunk" / ".new-x")
    shop.clock.move(20 * DAY)
    return shop


def log_file(shop: LiveShop, job_id: int) -> Path:
    """Return the log of a job."""
    file = shop.settings.jobs / f"{job_id}.log"
    file.parent.mkdir(exist_ok=True)
    return file


def write(file: Path, age: float = 0) -> Path:
    """Write a file of that age."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(b"0123456789")
    os.utime(file, (time.time() - age,) * 2)
    return file


State = tuple[dict[str, int], dict[str, int], dict[str, bytes]]


def state(shop: LiveShop) -> State:
    """Return all that a prune may change."""
    data = shop.settings.data
    files = [path for path in data.rglob("*") if path.is_file() and not path.name.startswith(("catalogue.", "index."))]
    return shop.blocks(), shop.rows(), {str(path.relative_to(data)): path.read_bytes() for path in files}


KINDS = {
    "generations", "models", "blocks", "pictures", "thumbnails", "uploads", "temporary files", "jobs"
}  # fmt: skip


def test_a_dry_run_reports_what_a_prune_deletes(garbage: LiveShop) -> None:
    """The next prune deletes the thumbnails of the pictures just deleted, and the one after that nothing."""
    before = state(garbage)
    announced = garbage.prune(dry_run=True)
    assert state(garbage) == before
    assert garbage.prune() == announced
    assert announced.freed.keys() == KINDS
    assert all(freed.bytes > 0 for freed in announced.freed.values())
    size_before, size_after = (sum(map(len, files.values())) for *_, files in (before, state(garbage)))
    assert size_before - size_after == sum(freed.bytes for kind, freed in announced.freed.items() if kind != "blocks")
    assert garbage.prune().freed.keys() == {"thumbnails"}
    assert garbage.prune() == PruneResult()


class Stopped(BaseException):
    """Stops the prune."""


@contextmanager
def stop_at_once(stage: str) -> Iterator[Any]:
    """Stop after the first piece that is deleted."""

    def advance(done: int, total: int) -> None:
        raise Stopped

    yield advance


def test_a_prune_stopped_after_every_piece_ends_the_same(garbage: LiveShop, tmp_path: Path) -> None:
    total = sum(freed.count for freed in garbage.prune(dry_run=True).freed.values())
    stops = 0
    while True:
        try:
            garbage.prune(progress=stop_at_once)
            break
        except Stopped:
            stops += 1
    assert 20 < stops <= total + 2  # two stages
    garbage.prune()
    assert garbage.prune() == PruneResult()
    assert verify_published(garbage.settings, open_encoder).problems == ()
    assert garbage.run_nightly()[1].encoded == 0


def test_nothing_is_deleted_during_an_index_run(sqlite_garbage: LiveShop) -> None:
    before = state(sqlite_garbage)
    for dry_run in (False, True):
        with run_lock(sqlite_garbage.settings.data / LOCK, sqlite_garbage.clock.now), pytest.raises(RunInProgress):
            sqlite_garbage.prune(dry_run=dry_run)
    assert state(sqlite_garbage) == before


def test_the_prune_of_a_nightly_job_excludes_others(sqlite_garbage: LiveShop, monkeypatch: pytest.MonkeyPatch) -> None:
    refused = []

    def page_files(*arguments: object) -> list[tuple[str, Path]]:
        with pytest.raises(RunInProgress):
            sqlite_garbage.prune()
        refused.append(True)
        return []

    monkeypatch.setattr(unused_files, "unused_files", page_files)
    sqlite_garbage.run_nightly()
    assert len(refused) == 1


def test_pictures_are_skipped_during_an_import(shop: LiveShop, monkeypatch: pytest.MonkeyPatch) -> None:
    """It stores pictures before the catalog refers to them."""
    stored, go_on = threading.Event(), threading.Event()

    class Slow(ImageStore):
        def put(self, data: bytes) -> str:
            sha256 = super().put(data)
            stored.set()
            assert go_on.wait(60)
            return sha256

    shop.draw("P00", 60)
    old = write(shop.settings.pictures / "ab" / "cd" / f"abcd{'0' * 60}")
    feed = str(shop.retailer.write_feed())
    monkeypatch.setattr("indexer.feed.importer.ImageStore", Slow)
    importing = threading.Thread(
        target=lambda: import_feed(shop.settings, feed, str(shop.images), sessions=shop.retailer.sessions)
    )
    importing.start()
    assert stored.wait(60)
    write(shop.settings.generations / ".building-x" / "images.npz")
    done = shop.prune()
    assert (done.freed.keys(), done.note) == (
        {"temporary files"},
        "Pictures were skipped because an import is running.",
    )
    go_on.set()
    importing.join()
    assert shop.prune().freed["pictures"].count == 2  # the one nobody has, and the one that was replaced
    assert not old.exists()
    assert verify_published(shop.settings, open_encoder).problems == ()


def test_an_import_waits_while_pictures_are_deleted(sqlite_shop: LiveShop) -> None:
    order = []
    with exclusive_lock(import_lock(sqlite_shop.settings.pictures)) as alone:
        assert alone
        waiting = threading.Thread(
            target=lambda: import_feed(
                sqlite_shop.settings,
                str(sqlite_shop.retailer.write_feed()),
                str(sqlite_shop.images),
                sessions=sqlite_shop.retailer.sessions,
                progress=lambda stage: order.append("imported") or no_stages(stage),
            )
        )
        waiting.start()
        assert catalog_report.create(sqlite_shop.settings)  # takes a while
        order.append("deleted")
    waiting.join()
    assert order == ["deleted", "imported"]


def test_pictures_fetched_by_a_killed_import_are_kept(shop: LiveShop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Until a feed was imported that does not name them."""
    with shop.retailer.sessions.begin() as session:  # the fixture's clock is ahead of that of pictures read
        session.execute(update(FeedImport).values(finished_at=datetime.now(UTC)))
    shop.draw("P00", 60)
    with monkeypatch.context() as patch:
        patch.setattr(changes, "apply", lambda *arguments: (_ for _ in ()).throw(Stopped))
        with pytest.raises(Stopped):
            shop.run_nightly()
    assert shop.prune() == PruneResult()
    shop.draw("P00", 61)
    assert shop.run_nightly()[1].freed["pictures"]["count"] == 2


def test_data_of_recently_withdrawn_products_is_kept(shop: LiveShop) -> None:
    """Later it is deleted, and the product may still come back."""
    shop.clock.now = datetime.now(UTC)
    shop.browse()
    gone = shop.retailer.rows.pop("P03")
    with shop.retailer.sessions() as session:
        (picture,) = queries.product_by_sku(session, "P03").item.images  # type: ignore[union-attr]
    shop.run_nightly()
    stored = ImageStore(shop.settings.pictures)
    assert (shop.prune(), stored.exists(picture)) == (PruneResult(), True)
    shop.clock.move(14 * DAY)
    freed = shop.prune().freed
    assert {kind: freed[kind].count for kind in freed} == {"pictures": 1, "thumbnails": 1, "blocks": 2}
    assert not stored.exists(picture)
    shop.retailer.rows["P03"] = gone
    settings = shop.settings
    import_feed(settings, str(shop.retailer.write_feed()), str(shop.images), sessions=shop.retailer.sessions)
    assert catalog_report.create(settings).counts["products"] == PRODUCTS  # though it is not encoded yet
    assert shop.run_nightly()[1].encoded == 1
    assert verify_published(settings, open_encoder).problems == ()


def test_thumbnails_are_deleted_after_their_picture_or_by_age(sqlite_shop: LiveShop) -> None:
    """Those of a replaced picture one prune later: a page sent before may still request them."""
    sqlite_shop.clock.now = datetime.now(UTC)
    thumbnails = Thumbnails(sqlite_shop.settings)
    sqlite_shop.browse()
    with sqlite_shop.retailer.sessions() as session:
        (picture,) = queries.product_by_sku(session, "P03").item.images  # type: ignore[union-attr]
    sqlite_shop.draw("P03", 70)
    sqlite_shop.run_nightly()
    assert thumbnails.read(picture, 160)
    assert sqlite_shop.prune().freed["thumbnails"].count == 1
    assert thumbnails.read(picture, 160) is None
    sqlite_shop.clock.now = datetime.now(UTC) + timedelta(days=89)
    assert sqlite_shop.prune() == PruneResult()
    sqlite_shop.clock.move(2 * DAY)
    assert sqlite_shop.prune().freed["thumbnails"].count == PRODUCTS - 1
    sqlite_shop.browse()


def test_recent_models_and_readers_are_kept(sqlite_shop: LiveShop) -> None:
    """A recent model may be promoted next, and keeps its blocks; later only the readers are left."""
    settings = sqlite_shop.settings
    sqlite_shop.clock.now = datetime.now(UTC)
    reader, candidate = (
        fake_checkpoint(settings.data / name, trunk=trunk) for name, trunk in (("reading", 5), ("trained", 6))
    )
    for found in (reader, candidate):
        registry.add(settings, found)
    registry.use_reader(settings, reader.checkpoint_id)
    with sqlite_shop.retailer.sessions.begin() as session:
        key = [(sha256, 0) for _, sha256 in sqlite_shop.retailer.indexed()][:1]
        stored_blocks.put(session, candidate.blocks_id, key, np.zeros((1, 16), np.float16))
    assert sqlite_shop.prune() == PruneResult()
    sqlite_shop.clock.move(15 * DAY)
    assert {kind: freed.count for kind, freed in sqlite_shop.prune().freed.items()} == {"models": 1, "blocks": 1}
    assert registry.promoted_readers(settings) == [reader.checkpoint_id]
    assert registry.find(settings, reader.checkpoint_id)


def test_files_of_others_are_left_alone(sqlite_garbage: LiveShop) -> None:
    data = sqlite_garbage.settings.data
    strange = [
        "pictures/README", "pictures/ab/cd/logo.jpg", f"pictures/ab/ce/abcd{'0' * 60}", "thumbnails/ab/logo-160.jpg",
        "uploads/notes.txt", "checkpoints/my model/model.json", f"checkpoints/{'0' * 16}/notes", "jobs/notes.log",
        "generations/notes/manifest.json", "runs/sofas/.hidden", ".new-file", "evaluation/notes",
    ]  # fmt: skip
    for name in strange:
        write(data / name, age=400 * DAY)
    sqlite_garbage.prune()
    sqlite_garbage.prune()
    assert [name for name in strange if not (data / name).is_file()] == []


def test_files_being_written_are_left_alone(sqlite_shop: LiveShop) -> None:
    """By the page, which holds no lock, and by a training, which holds its own."""
    sqlite_shop.clock.now = datetime.now(UTC)
    data = sqlite_shop.settings.data
    fresh = [data / name / ".new-x" for name in ("uploads", "thumbnails/ab", "runs/sofas/cache")]
    training = data / "runs" / "chairs" / ".building-x" / "checkpoint" / ".new-y"
    for file in (*fresh, write(training, age=3 * DAY)):
        write(file, age=3 * DAY if file == training else 0)
    os.utime(training.parents[1], (time.time() - 3 * DAY,) * 2)
    with run_lock(data / "runs" / "chairs" / "lock", sqlite_shop.clock.now):
        assert sqlite_shop.prune() == PruneResult()
    assert sqlite_shop.prune().freed == {"temporary files": Freed(1, 10)}
    assert all(file.exists() for file in fresh)


def test_without_a_published_index_pictures_and_blocks_are_kept(sqlite_retailer: Retailer) -> None:
    """The first nightly job, if killed, continues with them."""
    shop = LiveShop(sqlite_retailer)
    shop.draw("P00", 0)
    shop.draw("P01", 1)
    with pytest.raises(RuntimeError):
        shop.run_nightly(first=True, open_encoder=lambda checkpoint: FakeEncoder(checkpoint, fail_after=1))
    write(shop.settings.checkpoints / ".new-x" / "model.json")
    assert shop.prune().freed.keys() == {"temporary files"}
    assert len(names(shop.settings.pictures)) == 2


def test_the_catalog_of_another_folder_is_refused(sqlite_shop: LiveShop, tmp_path: Path) -> None:
    """It refers to nothing in this folder, so everything would be deleted."""
    with fresh(sqlite_shop, tmp_path / "fresh") as other:
        before = state(sqlite_shop)
        wrong = sqlite_shop.settings.model_copy(update={"database_url": other.settings.catalogue_url})
        with pytest.raises(CatalogError, match="database_url"):
            prune.run(wrong, clock=sqlite_shop.clock)
        assert state(sqlite_shop) == before


def test_the_nightly_job_reports_what_it_freed(sqlite_shop: LiveShop) -> None:
    """If the setting prune is on."""
    sqlite_shop.draw("P00", 60)
    report = sqlite_shop.run_nightly()[1]
    assert report.freed.keys() == {"pictures", "blocks"}
    assert ": 2 blocks, 1 picture." in report.text()
    found = catalog_report.create(sqlite_shop.settings)
    assert "2 blocks, 1 picture." in catalog_report.render_html(found, sqlite_shop.settings)
    sqlite_shop.settings = sqlite_shop.settings.model_copy(update={"prune": False})
    sqlite_shop.draw("P00", 61)
    assert sqlite_shop.run_nightly()[1].freed == {}
    assert sqlite_shop.prune().freed.keys() == {"pictures", "blocks"}


@pytest.mark.parametrize("error", [OSError("disk"), KeyboardInterrupt()])
def test_a_failing_prune_does_not_fail_the_nightly_job(
    sqlite_shop: LiveShop, error: BaseException, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*arguments: object) -> list[tuple[str, Path]]:
        raise error

    sqlite_shop.draw("P00", 60)
    monkeypatch.setattr(unused_files, "unused_files", failing)
    with suppress(KeyboardInterrupt):
        report = sqlite_shop.run_nightly()[1]
        assert report.text().endswith("Some unused data could not be deleted: disk")
    with sqlite_shop.retailer.sessions() as session:
        assert queries.latest_runs(session, 1)[0].state == "published"


def test_the_command_prints_a_table_or_json(sqlite_garbage: LiveShop) -> None:
    settings = sqlite_garbage.settings

    def call(*arguments: str) -> Result:
        return CliRunner().invoke(command, arguments, obj=settings)

    printed = json.loads(call("--dry-run", "--json").stdout)
    assert printed["dry_run"] is True
    assert printed["freed"]["temporary files"]["count"] >= 2
    assert call("--dry-run").stdout.startswith("Would be deleted")
    done = json.loads(call("--json").stdout)
    assert (done["freed"], done["note"]) == (printed["freed"], "")
    call()
    assert "There is nothing to delete." in call().stdout
    with run_lock(settings.data / LOCK, sqlite_garbage.clock.now):
        refused = call()
    assert isinstance(refused.exception, RunInProgress)
