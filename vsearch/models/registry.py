"""The checkpoints on this machine: lookup, exchange, and choice of the article-number reader and the detector.

    checkpoints/<checkpoint_id>/    the shop's own; each is added atomically
    reader/CURRENT                  ids of the promoted article-number readers, latest first; the first is active
    detector/CURRENT                the same for product detectors

The published generation names the checkpoint that searches (see `vsearch.index.generation`), so that model and index
change together.
"""

import re
import shutil
import tempfile
import zipfile
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from vsearch.core.errors import CheckpointError, CheckpointMismatch, CheckpointMissing
from vsearch.core.files import REMOVING, UNFINISHED, atomic_folder, atomic_write, leftovers, replace_text, sync
from vsearch.core.settings import Settings
from vsearch.models import checkpoint as checkpoints
from vsearch.models.checkpoint import Checkpoint, read_description

Role = Literal["search", "reader", "detector", "classifier"]
PromotedRole = Literal["reader", "detector"]

BUNDLED = "bundled"
"""Name of the bundled ensemble on the command line."""

TEMPORARY = (UNFINISHED, REMOVING)
"""Prefixes of hidden folders that killed commands leave behind among the checkpoints."""

_MIN_PREFIX = 4  # minimum number of characters to identify an id


@dataclass(frozen=True)
class Entry:
    """One checkpoint on disk."""

    folder: Path
    checkpoint_id: str  # the name of its folder if it cannot be read
    blocks_id: str
    where: Literal["bundled", "shop"]
    plan: str
    # "search" makes embeddings; "reader" reads article numbers; "detector" detects products; "classifier" only
    # classifies
    role: Role
    heads: tuple[str, ...]  # what it predicts, such as "category (8)"
    size: int
    made: datetime
    problem: str = ""  # why it cannot be used; empty if it can


def list_checkpoints(settings: Settings) -> list[Entry]:
    """Return all checkpoints: the bundled ones, then the shop's own, oldest first."""
    shop = [_entry(folder, "shop") for folder in shop_folders(settings)]
    return [
        *(_entry(folder, "bundled") for folder in bundled_folders()),
        *sorted(shop, key=lambda entry: (entry.made, entry.checkpoint_id)),
    ]


def find(settings: Settings, name: str) -> Checkpoint:
    """Load a checkpoint by its id, an unambiguous prefix of its id, "bundled", or its folder.

    Raises:
        CheckpointMissing: there is no such checkpoint, or the prefix is ambiguous.
        CheckpointMismatch: it is damaged.
    """
    if name == BUNDLED:
        return checkpoints.load(checkpoints.bundled())
    if Path(name).is_dir():
        return checkpoints.load(Path(name))
    folders = {folder.name: folder for folder in shop_folders(settings)}
    if name not in folders:  # otherwise, the bundled files need not be hashed
        folders |= {checkpoints.checkpoint_id(read_description(folder)): folder for folder in bundled_folders()}
    found = [checkpoint_id for checkpoint_id in folders if len(name) >= _MIN_PREFIX and checkpoint_id.startswith(name)]
    found = [name] if name in folders else found
    if not found:
        raise CheckpointMissing(
            f"There is no checkpoint {name!r}. Use an id (see `vsearch models list`), a folder or {BUNDLED!r}."
        )
    if len(found) > 1:
        raise CheckpointMissing(
            f"The checkpoint id {name!r} is ambiguous: it matches {', '.join(found)}. Use a longer prefix."
        )
    loaded = checkpoints.load(folders[found[0]])
    if loaded.checkpoint_id != found[0]:
        raise CheckpointMismatch(
            f"The folder {loaded.folder} contains the checkpoint {loaded.checkpoint_id}. Rename the folder to that id."
        )
    return loaded


@contextmanager
def open_checkpoint(settings: Settings, name: str) -> Iterator[Checkpoint]:
    """Yield a checkpoint by a name that `find` accepts, or from a .zip file written by `export`.

    Raises:
        CheckpointError: there is no such checkpoint, or it is damaged.
    """
    if not (name.endswith(".zip") and Path(name).is_file()):
        yield find(settings, name)
        return
    with tempfile.TemporaryDirectory(prefix="vsearch-") as folder:
        _unzip(Path(name), Path(folder))
        try:
            unzipped = checkpoints.load(Path(folder))
        except CheckpointError as error:
            raise type(error)(str(error).replace(folder, name)) from None
        yield unzipped


def add(settings: Settings, checkpoint: Checkpoint) -> Checkpoint:
    """Copy a checkpoint to the shop's checkpoints unless it is bundled or already there; return the installed one.

    A damaged copy is replaced.

    Raises:
        OSError: the disk is full; no partial copy is left.
    """
    target = settings.checkpoints / checkpoint.checkpoint_id
    if checkpoint.folder in bundled_folders() or checkpoint.folder == target:
        return checkpoint
    aside = target.with_name(f"{REMOVING}{target.name}")
    settings.checkpoints.mkdir(parents=True, exist_ok=True)
    try:
        return checkpoints.load(target)
    except CheckpointMissing:
        pass
    except CheckpointMismatch:
        target.rename(aside)
    _copy(checkpoint.folder, target)
    shutil.rmtree(aside, ignore_errors=True)
    return checkpoints.load(target)


def export(checkpoint: Checkpoint, target: Path) -> Path:
    """Write a checkpoint to a new .zip file or a new folder, atomically.

    Raises:
        CheckpointError: the target exists, or its parent folder does not.
        OSError: the disk is full; no partial copy is left.
    """
    check_target(target)
    if target.suffix != ".zip":
        return _copy(checkpoint.folder, target)
    with atomic_write(target) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for path in _files(checkpoint.folder):
            archive.write(path, path.name)
    return target


def check_target(target: Path) -> None:
    """Raise `CheckpointError` if the target of an export exists, or its parent folder does not."""
    if target.exists():
        raise CheckpointError(f"Cannot export to {target}: it already exists. Choose another name.")
    if not target.parent.is_dir():
        raise CheckpointError(f"Cannot export to {target}: the folder {target.parent} does not exist.")


def remove_leftovers(settings: Settings) -> None:
    """Delete what killed commands left behind; the caller must hold the index-run lock."""
    for path in leftovers(settings.checkpoints, TEMPORARY):
        shutil.rmtree(path)


def unused(settings: Settings, keep: Collection[str], before: float) -> list[Path]:
    """Return the shop's checkpoints that are not among the ids to keep and were written before a Unix time.

    Folders whose names are not ids were put there by hand and are not returned.
    """
    return [
        folder
        for folder in shop_folders(settings)
        if re.fullmatch("[0-9a-f]{16}", folder.name)
        and folder.name not in keep
        and (folder / checkpoints.DESCRIPTION).is_file()
        and folder.stat().st_mtime < before
    ]


def shop_folders(settings: Settings) -> list[Path]:
    """Return the folders of the shop's own checkpoints, in no particular order."""
    folders = settings.checkpoints.iterdir() if settings.checkpoints.is_dir() else ()
    return [folder for folder in folders if folder.is_dir() and not folder.name.startswith(".")]


def bundled_folders() -> list[Path]:
    """Return the folders of the checkpoints that ship with the package."""
    return [folder for folder in (checkpoints.bundled(), bundled_reader(), bundled_detector()) if folder.is_dir()]


def bundled_reader() -> Path:
    """Return the folder of the bundled article-number reader; it may not exist."""
    return checkpoints.bundled().with_name("reader")


def bundled_detector() -> Path:
    """Return the folder of the bundled product detector; it may not exist."""
    return checkpoints.bundled().with_name("detector")


def role_of(checkpoint: Checkpoint) -> Role:
    """Return the role of a checkpoint."""
    if checkpoint.searchable:
        return "search"
    kinds = {spec.kind for spec in checkpoint.specs}
    return "reader" if "digits" in kinds else "detector" if "boxes" in kinds else "classifier"


def plan_of(checkpoint: Checkpoint) -> str:
    """Return the name of the plan it was trained with; empty if unknown."""
    plan = checkpoint.about.get("plan", "")
    return str(plan.get("name", "") if isinstance(plan, Mapping) else plan)


def heads_of(checkpoint: Checkpoint) -> tuple[str, ...]:
    """Return its outputs: "search (9)" for nine searchable classes, and each trained head, such as "color (8)"."""
    found = [f"search ({len(checkpoint.retrieval.heads.classes)})"] if checkpoint.searchable else []
    for spec in checkpoint.specs:
        sizes = {"digits": f"{spec.length} digits", "metric": "metric", "boxes": "boxes"}
        found.append(f"{spec.name} ({sizes.get(spec.kind, len(spec.classes))})")
    return tuple(found)


def active(settings: Settings, role: PromotedRole) -> Checkpoint | None:
    """Return the active checkpoint of a role: the one promoted last, else the bundled one, else None.

    Raises:
        CheckpointError: the promoted one is missing or damaged.
    """
    ids = promoted(settings, role)
    if ids:
        return find(settings, ids[0])
    bundled = bundled_reader() if role == "reader" else bundled_detector()
    return checkpoints.load(bundled) if bundled.is_dir() else None


def use(settings: Settings, role: PromotedRole, checkpoint_id: str) -> None:
    """Make a checkpoint the active one of a role; `rollback` undoes it."""
    _write_promoted(settings, role, [checkpoint_id, *promoted(settings, role)])


def rollback(settings: Settings, role: PromotedRole) -> Checkpoint | None:
    """Roll back to the previous checkpoint of a role and return it; None if there was none.

    Raises:
        CheckpointError: none was promoted, or the previous one is missing; nothing has changed.
    """
    ids = promoted(settings, role)
    if not ids:
        raise CheckpointError(f"There is no promoted {role} to roll back.")
    if len(ids) > 1:
        find(settings, ids[1])
    _write_promoted(settings, role, ids[1:])
    return active(settings, role)


def promoted(settings: Settings, role: PromotedRole) -> list[str]:
    """Return the ids of the promoted checkpoints of a role, latest first."""
    file = settings.data / role / "CURRENT"
    return file.read_text(encoding="utf8", errors="replace").split() if file.is_file() else []


def _write_promoted(settings: Settings, role: PromotedRole, ids: list[str]) -> None:
    folder = settings.data / role
    folder.mkdir(parents=True, exist_ok=True)
    replace_text(folder / "CURRENT", "".join(f"{name}\n" for name in ids))


def _entry(folder: Path, where: Literal["bundled", "shop"]) -> Entry:
    size = sum(file.stat().st_size for file in folder.iterdir() if file.is_file())
    description = folder / checkpoints.DESCRIPTION
    made = datetime.fromtimestamp((description if description.is_file() else folder).stat().st_mtime, UTC)
    try:
        loaded = checkpoints.load(folder)
    except CheckpointError as error:
        return Entry(folder, folder.name, "", where, "", "classifier", (), size, made, str(error))
    ids = loaded.checkpoint_id, loaded.blocks_id
    return Entry(folder, *ids, where, plan_of(loaded), role_of(loaded), heads_of(loaded), size, made)


def _files(folder: Path) -> list[Path]:
    """Return the files of a checkpoint, its description last; other files in the folder are not part of it."""
    names = sorted(read_description(folder)["files"])
    return [*(checkpoints.file_of(folder, name) for name in names), folder / checkpoints.DESCRIPTION]


def _copy(folder: Path, target: Path) -> Path:
    with atomic_folder(target) as hidden:
        for path in _files(folder):
            shutil.copy2(path, hidden / path.name)
            sync(hidden / path.name)
        checkpoints.load(hidden)
    sync(target.parent)
    return target


def _unzip(file: Path, folder: Path) -> None:
    try:
        with zipfile.ZipFile(file) as archive:
            for name in archive.namelist():
                if Path(name).name != name or name.startswith("."):
                    raise CheckpointMismatch(f"{file} is not an exported checkpoint: it contains {name[:80]!r}.")
            archive.extractall(folder)
    except (zipfile.BadZipFile, NotImplementedError, EOFError) as error:
        raise CheckpointMismatch(f"{file} is not a valid zip file ({error}). Copy it again.") from None
