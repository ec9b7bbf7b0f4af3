"""Backups and their restoration."""

import shutil
import threading
from pathlib import Path

import pytest
from click.testing import CliRunner

from catalog import queries
from catalog.database import open_catalog
from indexer import backup
from indexer.backup import back_up, list_snapshots, read_snapshot, restore
from indexer.build import reindex
from indexer.build.delta_update import update_delta
from indexer.build.generation_checks import verify_published
from indexer.cli.backups import backup as backup_command
from indexer.cli.backups import restore_ as restore_command
from tests.fakes import FakeEncoder, FrozenClock, colored
from tests.indexer.shop import CATEGORIES, Retailer, Shop, settings_of
from vsearch.core.errors import BackupError
from vsearch.core.settings import Settings
from vsearch.detection.detector import no_detector
from vsearch.imaging.codec import encode_jpeg
from vsearch.index import generation as generations
from vsearch.search.engine import ALL, Engine, Search

NIGHT = 24 * 3600


@pytest.fixture
def clock() -> FrozenClock:
    return FrozenClock()


def restored(shop: Shop, folder: Path, name: str = "restored", snapshot_id: str = "") -> Settings:
    """Restore a backup next to the shop, with the same model, and return the settings."""
    settings = settings_of(folder.parent / name).model_copy(update={"checkpoint": shop.settings.checkpoint})
    restore(settings, folder, snapshot_id)
    return settings


def answers(shop: Shop, settings: Settings) -> list[list[tuple[int, int, float, str]]]:
    """Return the hits for the photos of the shop."""
    engine = Engine(settings, FakeEncoder)
    engine.refresh()
    assert engine.problem is None
    results = [engine.search(photo, Search(k=5, classes=ALL)) for photo, _ in shop.photos()]
    return [[(hit.product_id, hit.image_id, hit.value, hit.label) for hit in result.hits] for result in results]


def test_a_restored_shop_gives_the_same_answers(indexed_shop: Shop, tmp_path: Path, clock: FrozenClock) -> None:
    """This includes what was added since the last night, and the next night changes nothing."""
    indexed_shop.add(["NEW1"], CATEGORIES[2])
    update_delta(indexed_shop.settings, open_encoder=FakeEncoder, clock=clock)
    report = back_up(indexed_shop.settings, tmp_path / "backup", clock=clock)
    assert (report.snapshot.snapshot_id, report.damaged) == ("20261121T013000Z", ())
    assert report.new_bytes > 0
    settings = restored(indexed_shop, tmp_path / "backup")
    assert answers(indexed_shop, settings) == answers(indexed_shop, indexed_shop.settings)
    assert verify_published(settings, FakeEncoder, no_detector).problems == ()
    with open_catalog(settings.catalog_url) as sessions, sessions() as session:
        assert len(queries.gallery_rows(session)) == 26
    assert not [path for path in settings.data.rglob(".*") if path.is_file()]


def test_only_changes_are_copied(indexed_shop: Shop, tmp_path: Path, clock: FrozenClock) -> None:
    folder = tmp_path / "backup"
    first = back_up(indexed_shop.settings, folder, clock=clock)
    clock.move(NIGHT)
    catalog = first.snapshot.files["catalog.sqlite"][1]
    assert back_up(indexed_shop.settings, folder, clock=clock).new_bytes <= catalog
    indexed_shop.add(["NEW1"], CATEGORIES[2], pictures=1)
    clock.move(NIGHT)
    third = back_up(indexed_shop.settings, folder, clock=clock)
    assert len(third.snapshot.files) == len(first.snapshot.files) + 1
    assert list_snapshots(folder) == ["20261121T013000Z", "20261122T013000Z", "20261123T013000Z"]


def test_old_snapshots_are_deleted_with_what_only_they_had(
    indexed_shop: Shop, tmp_path: Path, clock: FrozenClock
) -> None:
    folder = tmp_path / "backup"
    for number in range(4):
        indexed_shop.add([f"NEW{number}"], CATEGORIES[2], pictures=1)
        report = back_up(indexed_shop.settings, folder, keep=2, clock=clock)
        clock.move(NIGHT)
    assert report.deleted_snapshots == 1
    assert len(list_snapshots(folder)) == 2
    snapshots = [read_snapshot(folder, name) for name in list_snapshots(folder)]
    named = {sha256 for snapshot in snapshots for sha256, _ in snapshot.files.values()}
    assert {path.name for path in folder.glob("objects/??/*")} == named
    assert len(answers(indexed_shop, restored(indexed_shop, folder, snapshot_id=snapshots[0].snapshot_id))) == 16


def test_private_and_temporary_files_are_left_out(indexed_shop: Shop, tmp_path: Path, clock: FrozenClock) -> None:
    data = indexed_shop.settings.data
    for name in ("uploads/a.jpg", "thumbnails/b.jpg", "session.key", "jobs/1.log", "pictures/.new-abc", "runs/x/lock"):
        (data / name).parent.mkdir(parents=True, exist_ok=True)
        (data / name).write_bytes(b"private")
    for name in ("runs/x/plan.toml", "runs/x/cache/0.npy", "generations/.building-1/a.faiss", "plans/p.toml"):
        (data / name).parent.mkdir(parents=True, exist_ok=True)
        (data / name).write_bytes(b"content")
    report = back_up(indexed_shop.settings, tmp_path / "backup", clock=clock)
    assert {"runs/x/plan.toml", "plans/p.toml", "generations/CURRENT"} <= report.snapshot.files.keys()
    assert {name.split("/")[0] for name in report.snapshot.files} <= {*backup.FOLDERS, "catalog.sqlite"}
    assert not [name for name in report.snapshot.files if "/." in name or "cache" in name or name.endswith("lock")]
    assert (tmp_path / "backup").stat().st_mode & 0o077 == 0


def test_damage_is_found(indexed_shop: Shop, tmp_path: Path, clock: FrozenClock) -> None:
    """A damaged image is reported, and a damaged or missing file of a backup is not restored."""
    folder = tmp_path / "backup"
    row = indexed_shop.rows()[0]
    indexed_shop.store.path(row.sha256).write_bytes(b"damaged")
    assert back_up(indexed_shop.settings, folder, clock=clock).damaged == (row.sha256,)
    snapshot = read_snapshot(folder)
    sha256, _ = snapshot.files["generations/CURRENT"]
    path = folder / "objects" / sha256[:2] / sha256
    for number, damage in enumerate((lambda: path.write_bytes(b"x"), path.unlink)):
        damage()
        with pytest.raises(BackupError, match="CURRENT"):
            restored(indexed_shop, folder, f"restored{number}")
    (folder / "snapshots" / f"{snapshot.snapshot_id}.json.gz").write_bytes(b"x")
    with pytest.raises(BackupError, match="damaged"):
        read_snapshot(folder)


def test_a_backup_is_restored_only_to_an_empty_folder(indexed_shop: Shop, tmp_path: Path, clock: FrozenClock) -> None:
    folder = tmp_path / "backup"
    with pytest.raises(BackupError):
        read_snapshot(folder)
    back_up(indexed_shop.settings, folder, clock=clock)
    with pytest.raises(BackupError, match="already has"):
        restore(indexed_shop.settings, folder)
    with pytest.raises(BackupError, match="no snapshot"):
        restore(indexed_shop.settings, folder, "20200101T000000Z")
    with pytest.raises(BackupError, match="another disk"):
        back_up(indexed_shop.settings, indexed_shop.settings.data / "backup", clock=clock)


def test_a_stopped_restoration_continues(
    indexed_shop: Shop, tmp_path: Path, clock: FrozenClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, copied = tmp_path / "backup", 0
    back_up(indexed_shop.settings, folder, clock=clock)
    copyfile = shutil.copyfile

    def stop(source: Path, target: Path) -> None:
        nonlocal copied
        copied += 1
        if copied == 10:
            raise KeyboardInterrupt
        copyfile(source, target)

    monkeypatch.setattr(backup.shutil, "copyfile", stop)
    with pytest.raises(KeyboardInterrupt):
        restored(indexed_shop, folder)
    assert generations.current_id(settings_of(tmp_path / "restored").generations) is None
    settings = restored(indexed_shop, folder)
    assert copied == len(read_snapshot(folder).files) + 1
    assert answers(indexed_shop, settings) == answers(indexed_shop, indexed_shop.settings)


@pytest.mark.slow
def test_backups_during_nightly_jobs_are_of_one_moment(
    drawn: Retailer, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Each has an index that fits its catalog, whatever the job was doing."""
    folder = tmp_path_factory.mktemp("backups")
    drawn.run_nightly()
    done = threading.Event()

    def work() -> None:
        try:
            for number in range(50, 56):
                picture = colored([200, 3 * number, 30], seed=number, side=48)
                (Path(drawn.images) / f"{number}.jpg").write_bytes(encode_jpeg(picture))
                drawn.rows[f"P{number}"] = drawn.rows.pop(min(drawn.rows)) | {"sku": f"P{number}"}
                drawn.rows[f"P{number}"]["image"] = f"{number}.jpg"
                drawn.run_nightly()
        finally:
            done.set()

    thread = threading.Thread(target=work)
    thread.start()
    made = []
    clock = FrozenClock()
    while not done.is_set() or not made:
        made.append(back_up(drawn.settings, folder / "backup", clock=clock).snapshot.snapshot_id)
        clock.move(NIGHT)
    thread.join()
    for snapshot_id in (made[0], made[len(made) // 2], made[-1]):
        settings = drawn.settings.model_copy(update={"data": folder / snapshot_id, "database_url": ""})
        restore(settings, folder / "backup", snapshot_id)
        found = verify_published(settings, FakeEncoder, no_detector)
        assert found.problems == ()
        assert reindex.reindex(settings, open_encoder=FakeEncoder, open_detector=no_detector).unreadable == 0


def test_commands(indexed_shop: Shop, tmp_path: Path) -> None:
    folder, new = str(tmp_path / "backup"), settings_of(tmp_path / "new")
    made = CliRunner().invoke(backup_command, [folder, "--keep", "3"], obj=indexed_shop.settings)
    assert made.exit_code == 0, made.output
    listed = CliRunner().invoke(restore_command, [folder, "--list"], obj=new)
    assert listed.output.split() == list_snapshots(tmp_path / "backup")
    result = CliRunner().invoke(restore_command, [folder], obj=new)
    assert result.exit_code == 0, result.output
    assert generations.current_id(new.generations) == indexed_shop.manifest().generation_id
