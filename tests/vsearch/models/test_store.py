import errno
import zipfile
from pathlib import Path

import pytest

from tests.fakes import fake_checkpoint
from vsearch.core.errors import CheckpointError
from vsearch.core.settings import Settings
from vsearch.models import checkpoint as checkpoints
from vsearch.models import registry, store


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings of a new data folder."""
    return Settings(data=tmp_path / "data")


def files(folder: Path) -> dict[str, bytes]:
    """Return what lies in a folder."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_folder_is_taken_once(settings: Settings, tmp_path: Path) -> None:
    """Under its id, with nothing that is not part of it; the bundled one stays where it is."""
    trained = fake_checkpoint(tmp_path / "trained")
    (trained.folder / "notes.txt").write_text("mine")
    own = store.add(settings, trained)
    assert own.folder == settings.checkpoints / trained.checkpoint_id
    assert files(own.folder) == {name: data for name, data in files(trained.folder).items() if name != "notes.txt"}
    assert store.add(settings, trained) == store.add(settings, own) == own
    bundled = checkpoints.load(checkpoints.bundled())
    assert store.add(settings, bundled) is bundled
    assert [path.name for path in settings.checkpoints.iterdir()] == [own.checkpoint_id]


def test_a_good_copy_takes_the_place_of_a_damaged_one(settings: Settings, tmp_path: Path) -> None:
    """Which could not be used anyway."""
    trained = fake_checkpoint(tmp_path / "trained")
    own = store.add(settings, trained)
    (own.folder / "blocks.npz").unlink()
    store.add(settings, trained)
    assert files(own.folder) == files(trained.folder)
    assert [path.name for path in settings.checkpoints.iterdir()] == [own.checkpoint_id]


def test_a_full_disk_leaves_nothing(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither in the store nor where something is exported to."""
    trained = fake_checkpoint(tmp_path / "trained")

    def full(*arguments: object, **options: object) -> None:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr("vsearch.models.store.shutil.copy2", full)
    monkeypatch.setattr("vsearch.models.store.zipfile.ZipFile.write", full)
    before = {path.name for path in tmp_path.iterdir()}
    for act in (
        lambda: store.add(settings, trained),
        lambda: store.export(trained, tmp_path / "new"),
        lambda: store.export(trained, tmp_path / "new.zip"),
    ):
        with pytest.raises(OSError, match="full"):
            act()
    assert {path.name for path in tmp_path.iterdir()} == before | {"data"}
    assert list(settings.checkpoints.iterdir()) == []


@pytest.mark.parametrize("name", ["copy", "copy.zip"])
def test_what_is_exported_can_be_taken_elsewhere(settings: Settings, tmp_path: Path, name: str) -> None:
    """A folder or a zip file; every file is checked on the way in."""
    trained = fake_checkpoint(tmp_path / "trained")
    target = store.export(trained, tmp_path / name)
    with store.opened(settings, str(target)) as found:
        own = store.add(settings, found)
    assert files(own.folder) == files(trained.folder)
    with pytest.raises(CheckpointError, match="exists; name another"):
        store.export(trained, target)


def test_an_export_goes_into_a_folder_that_is_there(settings: Settings, tmp_path: Path) -> None:
    """A misspelt path makes no folders."""
    with pytest.raises(CheckpointError, match="in a folder that does not exist"):
        store.export(fake_checkpoint(tmp_path / "trained"), tmp_path / "no" / "x.zip")


@pytest.mark.parametrize("damage", ["cut", "empty", "changed", "outside"])
def test_a_zip_file_that_is_not_whole(settings: Settings, tmp_path: Path, damage: str) -> None:
    """Or that would write elsewhere; one sentence each."""
    trained = fake_checkpoint(tmp_path / "trained")
    file = store.export(trained, tmp_path / "copy.zip")
    if damage == "cut":
        file.write_bytes(file.read_bytes()[:-100])
    elif damage == "empty":
        file.write_bytes(b"")
    elif damage == "changed":
        data = bytearray(file.read_bytes())
        data[len(data) // 3] ^= 255
        file.write_bytes(bytes(data))
    else:
        with zipfile.ZipFile(file, "a") as archive:
            archive.writestr("../outside.txt", "x")
    with pytest.raises(CheckpointError, match=r"copy\.zip") as caught, store.opened(settings, str(file)):
        pass
    assert not (tmp_path.parent / "outside.txt").exists()
    assert "\n" not in str(caught.value)


def test_leftovers_of_killed_commands_are_cleared_away(settings: Settings, tmp_path: Path) -> None:
    """Whole checkpoints stay."""
    own = store.add(settings, fake_checkpoint(tmp_path / "trained"))
    for name in (".new-x", ".removing-y"):
        (settings.checkpoints / name).mkdir()
    store.clean(settings)
    assert registry.own(settings) == [own.folder]
    assert len(list(settings.checkpoints.iterdir())) == 1
