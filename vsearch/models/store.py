"""The shop's own checkpoints on disk: `checkpoints/<checkpoint_id>/`, each added whole or not at all."""

import re
import shutil
import tempfile
import zipfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from vsearch.core.errors import CheckpointError, CheckpointMismatch, CheckpointMissing
from vsearch.core.files import REMOVING, UNFINISHED, atomic_write, leftovers, sync
from vsearch.core.settings import Settings
from vsearch.models import checkpoint as checkpoints
from vsearch.models import registry
from vsearch.models.checkpoint import Checkpoint, read_description

HIDDEN = (UNFINISHED, REMOVING)


@contextmanager
def opened(settings: Settings, named: str) -> Iterator[Checkpoint]:
    """Yield a checkpoint named as `registry.find` takes it, or by a .zip file that `export` wrote.

    Raises:
        CheckpointError: there is none of that name, or it is damaged.
    """
    if not (named.endswith(".zip") and Path(named).is_file()):
        yield registry.find(settings, named)
        return
    with tempfile.TemporaryDirectory(prefix="vsearch-") as folder:
        _unpack(Path(named), Path(folder))
        try:
            unpacked = checkpoints.load(Path(folder))
        except CheckpointError as error:
            raise type(error)(str(error).replace(folder, named)) from None
        yield unpacked


def add(settings: Settings, checkpoint: Checkpoint) -> Checkpoint:
    """Copy a checkpoint into the store, unless it is bundled or there already, and return it from there.

    Raises:
        OSError: the disk is full; nothing is left of it then.
    """
    own = settings.checkpoints / checkpoint.checkpoint_id
    known = checkpoint.folder in registry.bundled() or checkpoint.folder == own
    return checkpoint if known else _stored(settings.checkpoints, checkpoint)


def export(checkpoint: Checkpoint, target: Path) -> Path:
    """Write a checkpoint as a .zip file or a new folder, whole or not at all; `add` checks it by its own hashes.

    Raises:
        CheckpointError: the target exists, or the folder that it should lie in does not.
        OSError: the disk is full; nothing is left of it then.
    """
    if target.exists() or not target.parent.is_dir():
        wrong = "exists" if target.exists() else "would lie in a folder that does not exist"
        raise CheckpointError(f"An export needs a new place, but {target} {wrong}; name another.")
    if target.suffix != ".zip":
        return _copied(checkpoint.folder, target)
    with atomic_write(target) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for path in _files(checkpoint.folder):
            archive.write(path, path.name)
    return target


def clean(settings: Settings) -> None:
    """Delete what killed commands left in the store; only the holder of the run's lock may."""
    for path in leftovers(settings.checkpoints, HIDDEN):
        shutil.rmtree(path)


def unused(settings: Settings, keep: Collection[str], before: float) -> list[Path]:
    """Return the stored checkpoints that are not among the ids to keep and were written before that time (Unix).

    A folder that does not have the name that `add` or an index run gives it is a person's, and left alone.
    """
    return [
        folder
        for folder in registry.own(settings)
        if re.fullmatch("[0-9a-f]{16}", folder.name)
        and folder.name not in keep
        and (folder / checkpoints.DESCRIPTION).is_file()
        and folder.stat().st_mtime < before
    ]


def _files(folder: Path) -> list[Path]:
    """Return the files that belong to a checkpoint, its description last."""
    names = sorted(read_description(folder)["files"])
    return [*(folder / name for name in names), folder / checkpoints.DESCRIPTION]


def _stored(store: Path, found: Checkpoint) -> Checkpoint:
    target = store / found.checkpoint_id
    aside = target.with_name(f"{REMOVING}{target.name}")
    store.mkdir(parents=True, exist_ok=True)
    try:
        return checkpoints.load(target)
    except CheckpointMissing:
        pass
    except CheckpointMismatch:  # damaged: the good copy takes its place
        target.rename(aside)
    _copied(found.folder, target)
    shutil.rmtree(aside, ignore_errors=True)
    return checkpoints.load(target)


def _copied(folder: Path, target: Path) -> Path:
    with tempfile.TemporaryDirectory(prefix=UNFINISHED, dir=target.parent) as name:
        hidden = Path(name) / "checkpoint"
        hidden.mkdir()
        for path in _files(folder):
            shutil.copy2(path, hidden / path.name)
            sync(hidden / path.name)
        checkpoints.load(hidden)
        hidden.rename(target)
        sync(target.parent)
    return target


def _unpack(file: Path, folder: Path) -> None:
    try:
        with zipfile.ZipFile(file) as archive:
            for name in archive.namelist():
                if Path(name).name != name or name.startswith("."):
                    raise CheckpointMismatch(
                        f"An exported checkpoint holds plain files, but {file} holds {name[:80]!r}; export it again."
                    )
            archive.extractall(folder)
    except (zipfile.BadZipFile, NotImplementedError, EOFError) as error:
        raise CheckpointMismatch(
            f"An exported checkpoint must be a whole zip file, but {file} is not ({error}); copy it again."
        ) from None
