"""What can go wrong with a machine and with a feed: one sentence, exit code 1, and shoppers see what they saw."""

import gzip
import os
import re
import shutil
import subprocess
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
from vsearch.core.errors import RunInProgress
from vsearch.imaging.codec import decode
from vsearch.index import generation as generations
from vsearch.search.engine import ALL, Engine, Search

pytestmark = pytest.mark.slow

CHUNK = 4096  # bytes of a page of SQLite


def sentence(capsys: pytest.CaptureFixture[str], shop: Shop, *arguments: str) -> str:
    """Run the command, which must fail with exit code 1, and return its last line."""
    with pytest.raises(SystemExit) as caught:
        cli.main(["--data", str(shop.settings.data), *arguments])
    assert caught.value.code == 1
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("vsearch: ")
    return last


def still_answers(shop: Shop, generation_id: str | None) -> None:
    """Make sure that what was live is live, and answers."""
    assert generations.current_id(shop.settings.generations) == generation_id
    engine = Engine(shop.settings, FakeEncoder)
    engine.refresh()
    assert engine.problem is None
    row = shop.rows()[0]
    hits = engine.search(decode(shop.store.read(row.sha256)), Search(k=1, classes=ALL)).hits
    assert hits[0].product_id == row.product_id
    assert list(shop.settings.generations.glob(".removing*")) == []


@pytest.fixture
def given(indexed_shop: Shop, monkeypatch: pytest.MonkeyPatch) -> Shop:
    """An indexed shop with one product more, whose commands use the fake model."""
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
    """A small disk of its own below a folder."""

    folder: Path

    def fill(self) -> Path:
        """Take all the room there is; return the file to delete."""
        filler = self.folder / "filler"
        with filler.open("wb", buffering=0) as file, suppress(OSError):
            while True:
                file.write(bytes(CHUNK))
        return filler

    def remount(self, how: str) -> None:
        """Make it "ro", or "rw" again."""
        subprocess.run(["mount", "-o", f"remount,{how}", self.folder], check=True)


@pytest.fixture(params=["generations", "."], ids=["generations", "everything"])
def disk(given: Shop, request: pytest.FixtureRequest) -> Iterator[Disk]:
    """The folder of generations, or the whole data folder, on a disk of 8 MB."""
    folder = given.settings.data / request.param
    given.close()
    away = shutil.copytree(folder, given.settings.data.with_name("away"))
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", folder], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("mounting a small disk needs root")
    try:
        shutil.copytree(away, folder, dirs_exist_ok=True)
        yield Disk(folder)
    finally:
        given.close()
        subprocess.run(["umount", "-l", folder], check=True)


def test_a_disk_that_is_full(given: Shop, disk: Disk, capsys: pytest.CaptureFixture[str]) -> None:
    live = generations.current_id(given.settings.generations)
    filler = disk.fill()
    assert re.search("disk must have room|disk has room", sentence(capsys, given, "index", "run"))
    assert generations.current_id(given.settings.generations) == live
    filler.unlink()
    still_answers(given, live)
    cli.cli.main(["--data", str(given.settings.data), "index", "run"], standalone_mode=False)
    assert generations.current_id(given.settings.generations) != live


def test_a_disk_that_is_read_only(given: Shop, disk: Disk, capsys: pytest.CaptureFixture[str]) -> None:
    live = generations.current_id(given.settings.generations)
    disk.remount("ro")
    assert re.search("(?i)read-?only", sentence(capsys, given, "index", "run"))
    assert generations.current_id(given.settings.generations) == live
    disk.remount("rw")
    still_answers(given, live)
    cli.cli.main(["--data", str(given.settings.data), "index", "run"], standalone_mode=False)
    assert generations.current_id(given.settings.generations) != live


def test_a_damaged_page_of_the_catalogue(given: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    live = generations.current_id(given.settings.generations)
    file = given.settings.data / "catalogue.sqlite"
    with given.sessions() as session:
        session.connection().exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    given.close()
    whole = file.read_bytes()
    broken = bytearray(whole)
    for page in range(2, len(whole) // CHUNK):
        broken[page * CHUNK : page * CHUNK + 64] = b"\xff" * 64
    file.write_bytes(broken)
    said = sentence(capsys, given, "index", "run")
    assert "The catalogue at sqlite:///" in said
    assert "malformed" in said
    file.write_bytes(whole)
    for left in ("-wal", "-shm"):
        file.with_name(file.name + left).unlink(missing_ok=True)
    still_answers(given, live)


@pytest.fixture
def feed(given: Shop) -> Path:
    """A feed of forty products that is the whole catalogue."""
    images = given.settings.data / "images"
    images.mkdir()
    row = given.rows()[0]
    (images / "a.jpg").write_bytes(given.store.read(row.sha256))
    file = given.settings.data / "feed.csv"
    lines = [f"F{n:03d},Sofa,{9 + n},Sofas > Corner sofas,a.jpg" for n in range(40)]
    file.write_text("\n".join(["sku,title,price,category,image", *lines]) + "\n")
    arguments = ["--data", str(given.settings.data), "catalog", "import", str(file), "--images", str(images)]
    cli.cli.main([*arguments, "--accept", "shrink"], standalone_mode=False)
    return file


@pytest.mark.parametrize("compressed", [False, True])
def test_a_feed_cut_in_half(given: Shop, feed: Path, capsys: pytest.CaptureFixture[str], compressed: bool) -> None:
    content = feed.read_bytes()
    if compressed:
        feed = feed.with_suffix(".csv.gz")
        content = gzip.compress(content)
    feed.write_bytes(content[: len(content) // 2])
    before = {row.image_id for row in given.rows()}
    said = sentence(capsys, given, "index", "run", "--feed", str(feed), "--images", str(feed.parent / "images"))
    assert ("ends too early" if compressed else "of the catalog's 40 products") in said
    assert {row.image_id for row in given.rows()} == before


def test_a_clock_set_back(given: Shop) -> None:
    live = generations.current_id(given.settings.generations)
    past = datetime(2020, 1, 1, tzinfo=UTC)
    report = nightly.run_nightly_job(given.settings, open_encoder=FakeEncoder, clock=lambda: past)
    assert report.generation_id < str(live)
    still_answers(given, report.generation_id)
    for number in range(4):
        given.add([f"O{number:03d}"], "Lamps")
        now = past + timedelta(days=number)
        report = nightly.run_nightly_job(given.settings, open_encoder=FakeEncoder, clock=lambda now=now: now)
        still_answers(given, report.generation_id)
    assert rollback(given.settings) < report.generation_id
    given.add(["P000"], "Lamps")
    nightly.run_nightly_job(given.settings, open_encoder=FakeEncoder)
    engine = Engine(given.settings, FakeEncoder)
    engine.refresh()
    assert engine.serving.generation.gallery.image_ids.tolist() == [row.image_id for row in given.rows()]


def test_two_nights_at_once(given: Shop) -> None:
    began, end = threading.Event(), threading.Event()

    class Waiting(FakeEncoder):
        def blocks(self, pictures: Any) -> Any:
            began.set()
            end.wait()
            return super().blocks(pictures)

    done: list[str] = []
    first = threading.Thread(
        target=lambda: done.append(nightly.run_nightly_job(given.settings, open_encoder=Waiting).state)
    )
    first.start()
    began.wait()
    with pytest.raises(RunInProgress, match=f"index run.*process {os.getpid()} "):
        nightly.run_nightly_job(given.settings, open_encoder=FakeEncoder)
    end.set()
    first.join()
    assert done == ["published"]


def test_two_nights_of_two_processes(given: Shop, feed: Path) -> None:
    folder = given.settings.data
    assert run_until(folder, Moment("encode pictures"), night_child) == -9
    assert run_until(folder, None, night_child) == 0


def test_an_archive_cut_in_half_is_no_smaller_set_of_pictures(tmp_path: Path) -> None:
    import tarfile

    from vsearch.core.errors import FeedRejected

    (tmp_path / "a.jpg").write_bytes(os.urandom(20_000))
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as archive:
        archive.add(tmp_path / "a.jpg", "a.jpg")
    os.truncate(tmp_path / "a.tar.gz", 9_000)
    with pytest.raises(FeedRejected, match=r"a\.tar\.gz"), open_pictures(str(tmp_path / "a.tar.gz"), 10**6):
        pass
