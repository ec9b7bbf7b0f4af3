import errno
import shutil
import zipfile
from pathlib import Path

import pytest

from tests.fakes import fake_checkpoint
from vsearch.core.errors import CheckpointError, CheckpointMismatch, CheckpointMissing
from vsearch.core.settings import Settings
from vsearch.models import checkpoint as checkpoints
from vsearch.models import registry
from vsearch.models.checkpoint import Checkpoint
from vsearch.models.trained_heads import HeadSpec, TrainedHeads


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data=tmp_path / "data")


def reader(folder: Path, length: int = 4, plan: str = "tags") -> Checkpoint:
    heads = (HeadSpec("number", "digits", length=length), HeadSpec("readable", "softmax", ("no", "yes")))
    trained = TrainedHeads(heads, "stretch", (32, 96), (32, 96))
    return checkpoints.save(folder, weights={}, about={"plan": {"name": plan}}, trained_heads=trained)


def test_the_bundled_ensemble_is_always_listed(settings: Settings) -> None:
    entry = registry.list_checkpoints(settings)[0]
    assert (entry.where, entry.plan, entry.role, entry.heads) == ("bundled", "bundled", "search", ("search (13)",))
    assert registry.find(settings, "bundled").checkpoint_id == entry.checkpoint_id
    assert registry.find(settings, entry.checkpoint_id[:6]).folder == entry.folder
    assert not settings.data.exists()


def test_roles_and_heads_of_checkpoints(settings: Settings, tmp_path: Path) -> None:
    classifier = checkpoints.save(tmp_path / "classifier", weights={}, about={})
    for checkpoint in (fake_checkpoint(tmp_path / "search"), reader(tmp_path / "reader"), classifier):
        registry.add(settings, checkpoint)
    found = {entry.role: (entry.heads, entry.plan) for entry in registry.list_checkpoints(settings)[1:]}
    assert found == {
        "search": (("search (2)",), "fake"),
        "reader": (("number (4 digits)", "readable (2)"), "tags"),
        "classifier": ((), ""),
        "detector": (("products (boxes)",), "detector"),  # bundled
    }


def test_damaged_checkpoints_are_listed_with_the_reason(settings: Settings, tmp_path: Path) -> None:
    own = registry.add(settings, fake_checkpoint(tmp_path / "search"))
    (own.folder / "heads.npz").write_bytes(b"")
    entry = registry.list_checkpoints(settings)[-1]
    assert (entry.checkpoint_id, entry.role) == (own.checkpoint_id, "classifier")
    assert "heads.npz" in entry.problem
    with pytest.raises(CheckpointMismatch, match=r"heads\.npz"):
        registry.find(settings, own.checkpoint_id)


def test_unknown_and_ambiguous_names(settings: Settings, tmp_path: Path) -> None:
    own = registry.add(settings, fake_checkpoint(tmp_path / "search"))
    with pytest.raises(CheckpointMissing, match="'nothing'"):
        registry.find(settings, "nothing")
    with pytest.raises(CheckpointMissing, match=own.checkpoint_id[:3]):
        registry.find(settings, own.checkpoint_id[:3])
    twin = f"{own.checkpoint_id[:5]}{'0' * 11}"
    shutil.copytree(own.folder, settings.checkpoints / twin)
    with pytest.raises(CheckpointMissing, match="ambiguous"):
        registry.find(settings, own.checkpoint_id[:5])
    with pytest.raises(CheckpointMismatch, match=own.checkpoint_id):
        registry.find(settings, twin)


def test_readers_are_promoted_and_rolled_back(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundled = reader(tmp_path / "bundled", length=8)
    monkeypatch.setattr(registry, "bundled_reader", lambda: tmp_path / "nowhere")
    assert registry.active(settings, "reader") is None
    with pytest.raises(CheckpointError, match="no promoted"):
        registry.rollback(settings, "reader")
    monkeypatch.setattr(registry, "bundled_reader", lambda: bundled.folder)
    first, second = (registry.add(settings, reader(tmp_path / plan, plan=plan)) for plan in ("one", "two"))
    used = []
    for step in (None, first, second):
        if step:
            registry.use(settings, "reader", step.checkpoint_id)
        now = registry.active(settings, "reader")
        used.append(now and now.checkpoint_id)
    assert used == [bundled.checkpoint_id, first.checkpoint_id, second.checkpoint_id]
    first.folder.rename(tmp_path / "aside")
    with pytest.raises(CheckpointMissing):
        registry.rollback(settings, "reader")
    assert registry.promoted(settings, "reader")[0] == second.checkpoint_id
    (tmp_path / "aside").rename(first.folder)
    back = [registry.rollback(settings, "reader") for _ in range(2)]
    assert [step and step.checkpoint_id for step in back] == used[1::-1]


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_checkpoints_are_added_once(settings: Settings, tmp_path: Path) -> None:
    trained = fake_checkpoint(tmp_path / "trained")
    (trained.folder / "notes.txt").write_text("mine")
    own = registry.add(settings, trained)
    assert own.folder == settings.checkpoints / trained.checkpoint_id
    assert files(own.folder) == {name: data for name, data in files(trained.folder).items() if name != "notes.txt"}
    assert registry.add(settings, trained) == registry.add(settings, own) == own
    bundled = checkpoints.load(checkpoints.bundled())
    assert registry.add(settings, bundled) is bundled
    assert [path.name for path in settings.checkpoints.iterdir()] == [own.checkpoint_id]


def test_damaged_copies_are_replaced(settings: Settings, tmp_path: Path) -> None:
    trained = fake_checkpoint(tmp_path / "trained")
    own = registry.add(settings, trained)
    (own.folder / "blocks.npz").unlink()
    registry.add(settings, trained)
    assert files(own.folder) == files(trained.folder)
    assert [path.name for path in settings.checkpoints.iterdir()] == [own.checkpoint_id]


def test_a_full_disk_leaves_no_partial_copies(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained = fake_checkpoint(tmp_path / "trained")

    def full(*arguments: object, **options: object) -> None:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr("vsearch.models.registry.shutil.copy2", full)
    monkeypatch.setattr("vsearch.models.registry.zipfile.ZipFile.write", full)
    before = {path.name for path in tmp_path.iterdir()}
    for act in (
        lambda: registry.add(settings, trained),
        lambda: registry.export(trained, tmp_path / "new"),
        lambda: registry.export(trained, tmp_path / "new.zip"),
    ):
        with pytest.raises(OSError, match="full"):
            act()
    assert {path.name for path in tmp_path.iterdir()} == before | {"data"}
    assert list(settings.checkpoints.iterdir()) == []


@pytest.mark.parametrize("name", ["copy", "copy.zip"])
def test_exports_can_be_added_elsewhere(settings: Settings, tmp_path: Path, name: str) -> None:
    trained = fake_checkpoint(tmp_path / "trained")
    target = registry.export(trained, tmp_path / name)
    with registry.open_checkpoint(settings, str(target)) as found:
        own = registry.add(settings, found)
    assert files(own.folder) == files(trained.folder)
    with pytest.raises(CheckpointError, match="exists"):
        registry.export(trained, target)
    with pytest.raises(CheckpointError, match="does not exist"):
        registry.export(trained, tmp_path / "no" / name)


@pytest.mark.parametrize("damage", ["cut", "empty", "changed", "outside"])
def test_damaged_zip_files_are_rejected(settings: Settings, tmp_path: Path, damage: str) -> None:
    trained = fake_checkpoint(tmp_path / "trained")
    file = registry.export(trained, tmp_path / "copy.zip")
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
    with pytest.raises(CheckpointError, match=r"copy\.zip"), registry.open_checkpoint(settings, str(file)):
        pass
    assert not (tmp_path.parent / "outside.txt").exists()


def test_leftovers_of_killed_commands_are_removed(settings: Settings, tmp_path: Path) -> None:
    own = registry.add(settings, fake_checkpoint(tmp_path / "trained"))
    for name in (".new-x", ".removing-y"):
        (settings.checkpoints / name).mkdir()
    registry.remove_leftovers(settings)
    assert registry.shop_folders(settings) == [own.folder]
    assert len(list(settings.checkpoints.iterdir())) == 1
