"""Faults of the machine and of feeds: one message, exit code 1, and the published index stays in use."""

import gzip
import os
import re
import shutil
import subprocess
import tarfile
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from indexer.build import nightly
from indexer.build.nightly import rollback
from indexer.images.sources import open_pictures
from tests.fakes import FakeEncoder
from tests.indexer.killed_run import Moment, night_child, run_until
from tests.indexer.shop import Shop
from vsearch import cli
from vsearch.core.errors import FeedRejected, RunInProgress
from vsearch.imaging.codec import decode
from vsearch.index import generation as generations
from vsearch.search.engine import ALL, Engine, Search

pytestmark = pytest.mark.slow

PAGE_SIZE = 4096  # of SQLite, in bytes


def failure(capsys: pytest.CaptureFixture[str], stale_shop: Shop, *arguments: str) -> str:
    """Run a command that fails with exit code 1, and return the last line of its output."""
    with pytest.raises(SystemExit) as caught:
        cli.main(["--data", str(stale_shop.settings.data), *arguments])
    assert caught.value.code == 1
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("vsearch: ")
    return last


def assert_published(stale_shop: Shop, generation_id: str | None) -> None:
    """Assert that this generation is published and can be searched."""
    assert generations.current_id(stale_shop.settings.generations) == generation_id
    engine = Engine(stale_shop.settings, FakeEncoder)
    engine.refresh()
    assert engine.problem is None
    row = stale_shop.rows()[0]
    hits = engine.search(decode(stale_shop.store.read(row.sha256)), Search(k=1, classes=ALL)).hits
    assert hits[0].product_id == row.product_id
    assert list(stale_shop.settings.generations.glob(".removing*")) == []


@pytest.fixture
def stale_shop(indexed_shop: Shop, monkeypatch: pytest.MonkeyPatch) -> Shop:
    """An indexed shop with a product that is not indexed yet; commands use the fake encoder."""
    for name, value in indexed_shop.settings.model_dump(exclude_defaults=True, exclude={"data"}).items():
        monkeypatch.setenv(f"VSEARCH_{name.upper()}", str(value))
    monkeypatch.setattr("indexer.build.nightly.open_encoder", FakeEncoder)
    monkeypatch.setattr(
        nightly.run_nightly_job,
        "__kwdefaults__",
        nightly.run_nightly_job.__kwdefaults__ | {"open_encoder": FakeEncoder},
    )
    indexed_shop.add(["N000"], "Lamps")
    return indexed_shop


@dataclass
class Disk:
    """A small disk mounted on a folder."""

    folder: Path

    def fill(self) -> Path:
        """Fill the disk, and return the file that does so."""
        filler = self.folder / "filler"
        with filler.open("wb", buffering=0) as file, suppress(OSError):
            while True:
                file.write(bytes(PAGE_SIZE))
        return filler

    def remount(self, how: str) -> None:
        """Make it read-only, "ro", or writable, "rw"."""
        subprocess.run(["mount", "-o", f"remount,{how}", self.folder], check=True)


@pytest.fixture(params=["generations", "."], ids=["generations", "everything"])
def disk(stale_shop: Shop, request: pytest.FixtureRequest) -> Iterator[Disk]:
    """The folder of generations, or the whole data folder, on a disk of 8 MB."""
    folder = stale_shop.settings.data / request.param
    stale_shop.close()
    away = shutil.copytree(folder, stale_shop.settings.data.with_name("away"))
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", folder], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("mounting a small disk needs root")
    try:
        shutil.copytree(away, folder, dirs_exist_ok=True)
        yield Disk(folder)
    finally:
        stale_shop.close()
        subprocess.run(["umount", "-l", folder], check=True)


def test_a_full_disk(stale_shop: Shop, disk: Disk, capsys: pytest.CaptureFixture[str]) -> None:
    published = generations.current_id(stale_shop.settings.generations)
    filler = disk.fill()
    assert re.search("disk is full|disk space", failure(capsys, stale_shop, "index", "run"))
    assert generations.current_id(stale_shop.settings.generations) == published
    filler.unlink()
    assert_published(stale_shop, published)
    cli.cli.main(["--data", str(stale_shop.settings.data), "index", "run"], standalone_mode=False)
    assert generations.current_id(stale_shop.settings.generations) != published


def test_a_read_only_disk(stale_shop: Shop, disk: Disk, capsys: pytest.CaptureFixture[str]) -> None:
    published = generations.current_id(stale_shop.settings.generations)
    disk.remount("ro")
    assert re.search("(?i)read-?only", failure(capsys, stale_shop, "index", "run"))
    assert generations.current_id(stale_shop.settings.generations) == published
    disk.remount("rw")
    assert_published(stale_shop, published)
    cli.cli.main(["--data", str(stale_shop.settings.data), "index", "run"], standalone_mode=False)
    assert generations.current_id(stale_shop.settings.generations) != published


def test_a_damaged_catalog_file(stale_shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    published = generations.current_id(stale_shop.settings.generations)
    file = stale_shop.settings.data / "catalogue.sqlite"
    with stale_shop.sessions() as session:
        session.connection().exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    stale_shop.close()
    whole = file.read_bytes()
    broken = bytearray(whole)
    for page in range(2, len(whole) // PAGE_SIZE):
        broken[page * PAGE_SIZE : page * PAGE_SIZE + 64] = b"\xff" * 64
    file.write_bytes(broken)
    said = failure(capsys, stale_shop, "index", "run")
    assert "Catalog sqlite:///" in said
    assert "malformed" in said
    file.write_bytes(whole)
    for left in ("-wal", "-shm"):
        file.with_name(file.name + left).unlink(missing_ok=True)
    assert_published(stale_shop, published)


@pytest.fixture
def feed(stale_shop: Shop) -> Path:
    """A feed of forty products, already imported."""
    images = stale_shop.settings.data / "images"
    images.mkdir()
    row = stale_shop.rows()[0]
    (images / "a.jpg").write_bytes(stale_shop.store.read(row.sha256))
    file = stale_shop.settings.data / "feed.csv"
    lines = [f"F{n:03d},Sofa,{9 + n},Sofas > Corner sofas,a.jpg" for n in range(40)]
    file.write_text("\n".join(["sku,title,price,category,image", *lines]) + "\n")
    arguments = ["--data", str(stale_shop.settings.data), "catalog", "import", str(file), "--images", str(images)]
    cli.cli.main([*arguments, "--accept", "shrink"], standalone_mode=False)
    return file


@pytest.mark.parametrize("compressed", [False, True])
def test_a_feed_cut_in_half(stale_shop: Shop, feed: Path, capsys: pytest.CaptureFixture[str], compressed: bool) -> None:
    content = feed.read_bytes()
    if compressed:
        feed = feed.with_suffix(".csv.gz")
        content = gzip.compress(content)
    feed.write_bytes(content[: len(content) // 2])
    before = {row.image_id for row in stale_shop.rows()}
    said = failure(capsys, stale_shop, "index", "run", "--feed", str(feed), "--images", str(feed.parent / "images"))
    assert ("ends too early" if compressed else "of the catalog's 40 products") in said
    assert {row.image_id for row in stale_shop.rows()} == before


def test_a_clock_set_back(stale_shop: Shop) -> None:
    published = generations.current_id(stale_shop.settings.generations)
    past = datetime(2020, 1, 1, tzinfo=UTC)
    report = nightly.run_nightly_job(stale_shop.settings, open_encoder=FakeEncoder, clock=lambda: past)
    assert report.generation_id < str(published)
    assert_published(stale_shop, report.generation_id)
    for number in range(4):
        stale_shop.add([f"O{number:03d}"], "Lamps")
        now = past + timedelta(days=number)
        report = nightly.run_nightly_job(stale_shop.settings, open_encoder=FakeEncoder, clock=lambda now=now: now)
        assert_published(stale_shop, report.generation_id)
    assert rollback(stale_shop.settings) < report.generation_id
    stale_shop.add(["P000"], "Lamps")
    nightly.run_nightly_job(stale_shop.settings, open_encoder=FakeEncoder)
    engine = Engine(stale_shop.settings, FakeEncoder)
    engine.refresh()
    assert engine.serving.generation.gallery.image_ids.tolist() == [row.image_id for row in stale_shop.rows()]


def test_two_nightly_jobs_at_once(stale_shop: Shop) -> None:
    began, end = threading.Event(), threading.Event()

    class Waiting(FakeEncoder):
        def blocks(self, pictures: Any) -> Any:
            began.set()
            end.wait()
            return super().blocks(pictures)

    done: list[str] = []
    first = threading.Thread(
        target=lambda: done.append(nightly.run_nightly_job(stale_shop.settings, open_encoder=Waiting).state)
    )
    first.start()
    began.wait()
    with pytest.raises(RunInProgress, match=f"index run.*process {os.getpid()} "):
        nightly.run_nightly_job(stale_shop.settings, open_encoder=FakeEncoder)
    end.set()
    first.join()
    assert done == ["published"]


def test_a_nightly_job_after_a_killed_one(stale_shop: Shop, feed: Path) -> None:
    folder = stale_shop.settings.data
    assert run_until(folder, Moment("encode pictures"), night_child) == -9
    assert run_until(folder, None, night_child) == 0


def test_a_truncated_archive_of_pictures_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(os.urandom(20_000))
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as archive:
        archive.add(tmp_path / "a.jpg", "a.jpg")
    os.truncate(tmp_path / "a.tar.gz", 9_000)
    with pytest.raises(FeedRejected, match=r"a\.tar\.gz"), open_pictures(str(tmp_path / "a.tar.gz"), 10**6):
        pass
