"""Hardware and feed faults give one message and exit code 1, and the published index remains in use."""

import re
import shutil
import subprocess
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest

from indexer.build import reindex
from indexer.build.reindex import rollback
from tests.fakes import FakeEncoder
from tests.indexer.shop import Shop
from vsearch import cli
from vsearch.imaging.codec import decode
from vsearch.index import generation as generations
from vsearch.search.engine import ALL, Engine, Search

pytestmark = pytest.mark.slow

PAGE_SIZE = 4096  # of SQLite, in bytes


def assert_published(stale_shop: Shop, generation_id: str | None) -> None:
    assert generations.current_id(stale_shop.settings.generations) == generation_id
    engine = Engine(stale_shop.settings, FakeEncoder)
    engine.refresh()
    assert engine.problem is None
    row = stale_shop.rows()[0]
    hits = engine.search(decode(stale_shop.store.read(row.sha256)), Search(k=1, classes=ALL)).hits
    assert hits[0].product_id == row.product_id
    assert list(stale_shop.settings.generations.glob(".removing*")) == []


@pytest.fixture
def stale_shop(indexed_shop, monkeypatch):
    """An indexed shop with one product that is not indexed yet; commands use the fake encoder."""
    for name, value in indexed_shop.settings.model_dump(exclude_defaults=True, exclude={"data"}).items():
        monkeypatch.setenv(f"VSEARCH_{name.upper()}", str(value))
    monkeypatch.setattr("indexer.build.reindex.Encoder", FakeEncoder)
    options = reindex.reindex.__kwdefaults__ | {"open_encoder": FakeEncoder}
    monkeypatch.setattr(reindex.reindex, "__kwdefaults__", options)
    indexed_shop.add(["N000"], "Lamps")
    return indexed_shop


def fill(disk: Path) -> Callable[[], object]:
    """Fill a disk and return a function that frees it."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(PAGE_SIZE))
    return filler.unlink


def make_read_only(disk: Path) -> Callable[[], object]:
    """Remount a disk read-only and return a function that makes it writable again."""
    subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
    return partial(subprocess.run, ["mount", "-o", "remount,rw", disk], check=True)


@pytest.fixture(params=["generations", "."], ids=["generations", "everything"])
def disk(stale_shop, request):
    """The generations folder, or the entire data folder, on an 8 MB disk."""
    folder = stale_shop.settings.data / request.param
    stale_shop.close()
    away = shutil.copytree(folder, stale_shop.settings.data.with_name("away"))
    mount = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", folder]
    mounted = subprocess.run(mount, capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip("mounting a small disk needs root")
    try:
        shutil.copytree(away, folder, dirs_exist_ok=True)
        yield folder
    finally:
        stale_shop.close()
        subprocess.run(["umount", "-l", folder], check=True)


@pytest.mark.parametrize(("cause", "words"), [(fill, "disk is full|disk space"), (make_read_only, "(?i)read-?only")])
def test_a_disk_fault(stale_shop, disk, failed, cause, words):
    published = generations.current_id(stale_shop.settings.generations)
    repair = cause(disk)
    message = failed("--data", stale_shop.settings.data, "index", "run")
    assert re.search(words, message)
    assert generations.current_id(stale_shop.settings.generations) == published
    repair()
    assert_published(stale_shop, published)
    cli.cli.main(["--data", str(stale_shop.settings.data), "index", "run"], standalone_mode=False)
    assert generations.current_id(stale_shop.settings.generations) != published


def test_a_damaged_catalog_file(stale_shop, failed):
    published = generations.current_id(stale_shop.settings.generations)
    file = stale_shop.settings.data / "catalog.sqlite"
    with stale_shop.sessions() as session:
        session.connection().exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    stale_shop.close()
    intact = file.read_bytes()
    broken = bytearray(intact)
    for page in range(2, len(intact) // PAGE_SIZE):
        broken[page * PAGE_SIZE : page * PAGE_SIZE + 64] = b"\xff" * 64
    file.write_bytes(broken)
    message = failed("--data", stale_shop.settings.data, "index", "run")
    assert "Catalog sqlite:///" in message
    assert "malformed" in message
    file.write_bytes(intact)
    for left in ("-wal", "-shm"):
        file.with_name(file.name + left).unlink(missing_ok=True)
    assert_published(stale_shop, published)


def test_a_clock_set_back(stale_shop):
    published = generations.current_id(stale_shop.settings.generations)
    past = datetime(2020, 1, 1, tzinfo=UTC)
    report = reindex.reindex(stale_shop.settings, open_encoder=FakeEncoder, clock=lambda: past)
    assert report.generation_id < str(published)
    assert_published(stale_shop, report.generation_id)
    for number in range(4):
        stale_shop.add([f"O{number:03d}"], "Lamps")
        now = past + timedelta(days=number)
        report = reindex.reindex(stale_shop.settings, open_encoder=FakeEncoder, clock=lambda now=now: now)
        assert_published(stale_shop, report.generation_id)
    assert rollback(stale_shop.settings) < report.generation_id
    stale_shop.add(["P000"], "Lamps")
    reindex.reindex(stale_shop.settings, open_encoder=FakeEncoder)
    engine = Engine(stale_shop.settings, FakeEncoder)
    engine.refresh()
    assert engine.serving.generation.gallery.image_ids.tolist() == [row.image_id for row in stale_shop.rows()]
