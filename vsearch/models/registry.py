"""What checkpoints there are, and which of them reads article numbers.

    checkpoints/<checkpoint_id>/    the shop's own, see `vsearch.models.store`
    reader/CURRENT                  ids of the tag readers put into use, the latest first; the first one reads

Which checkpoint searches is not said here: the published generation names it (see `vsearch.index.generation`), so that
the
model and the index change together.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from vsearch.core.errors import CheckpointError, CheckpointMismatch, CheckpointMissing
from vsearch.core.files import replace_text
from vsearch.core.settings import Settings
from vsearch.models import checkpoint as checkpoints
from vsearch.models.checkpoint import Checkpoint, read_description

Role = Literal["search", "reader", "finder", "classifier"]

BUNDLED = "bundled"
"""What the bundled checkpoint may be called instead of its id."""

_SHORTEST = 4  # characters of an id that may stand for all of it


@dataclass(frozen=True)
class Entry:
    """One checkpoint on disk.

    Attributes:
        checkpoint_id: the name of its folder when it cannot be read.
        blocks_id: hash of what determines blocks; empty when it makes none, or cannot be read.
        plan: name of the plan it was trained by; empty when it does not say.
        role: "search" makes embeddings; "reader" reads article numbers; "finder" detects products; "classifier" only
            classifies.
        heads: what it can say, such as "category (8)".
        size: bytes on disk.
        made: when it was written here.
        problem: why it cannot be used; empty when it can.
    """

    folder: Path
    checkpoint_id: str
    blocks_id: str
    where: Literal["bundled", "shop"]
    plan: str
    role: Role
    heads: tuple[str, ...]
    size: int
    made: datetime
    problem: str = ""


def listed(settings: Settings) -> list[Entry]:
    """Return all checkpoints: the bundled ones, then the shop's own, the oldest first."""
    entries = [_entry(folder, "shop") for folder in own(settings)]
    return [
        *(_entry(folder, "bundled") for folder in bundled()),
        *sorted(entries, key=lambda entry: (entry.made, entry.checkpoint_id)),
    ]


def find(settings: Settings, named: str) -> Checkpoint:
    """Load a checkpoint by its id, the first characters of its id, "bundled", or its folder.

    Raises:
        CheckpointMissing: there is none of that name, or several begin so.
        CheckpointMismatch: it is damaged.
    """
    if named == BUNDLED:
        return checkpoints.load(checkpoints.bundled())
    if Path(named).is_dir():
        return checkpoints.load(Path(named))
    folders = {checkpoints.checkpoint_id(read_description(folder)): folder for folder in bundled()}
    folders |= {folder.name: folder for folder in own(settings)}
    found = [name for name in folders if len(named) >= _SHORTEST and name.startswith(named)]
    found = [name for name in found if name == named] or found
    if not found:
        raise CheckpointMissing(
            f"A checkpoint is named by its id, its folder or {BUNDLED!r}, but {named!r} is none of them; "
            "`vsearch models list` shows the ids."
        )
    if len(found) > 1:
        raise CheckpointMissing(
            f"The beginning of an id must fit one checkpoint, but {named!r} begins {', '.join(found)}; give more of it."
        )
    loaded = checkpoints.load(folders[found[0]])
    if loaded.checkpoint_id != found[0]:
        raise CheckpointMismatch(
            f"A checkpoint's folder is named by its id, but {loaded.folder} holds {loaded.checkpoint_id}; rename it."
        )
    return loaded


def own(settings: Settings) -> list[Path]:
    """Return the folders of the shop's own checkpoints, in no order."""
    folders = settings.checkpoints.iterdir() if settings.checkpoints.is_dir() else ()
    return [folder for folder in folders if folder.is_dir() and not folder.name.startswith(".")]


def bundled() -> list[Path]:
    """Return the folders of the checkpoints that ship with the package."""
    return [folder for folder in (checkpoints.bundled(), bundled_reader(), bundled_finder()) if folder.is_dir()]


def role(checkpoint: Checkpoint) -> Role:
    """Return what a checkpoint is good for."""
    if checkpoint.searchable:
        return "search"
    kinds = {spec.kind for spec in checkpoint.specs}
    return "reader" if "digits" in kinds else "finder" if "boxes" in kinds else "classifier"


def plan_of(checkpoint: Checkpoint) -> str:
    """Return the name of the plan that it was trained by, or nothing."""
    plan = checkpoint.about.get("plan", "")
    return str(plan.get("name", "") if isinstance(plan, Mapping) else plan)


def heads_of(checkpoint: Checkpoint) -> tuple[str, ...]:
    """Return what it can do: "search (9)" among so many classes, and what each trained head says, "colour (8)"."""
    sizes = {"digits": "{0.length} digits", "metric": "metric", "boxes": "boxes"}
    trained = [
        f"{spec.name} ({sizes.get(spec.kind, str(len(spec.classes))).format(spec)})" for spec in checkpoint.specs
    ]
    return (*([f"search ({len(checkpoint.vocabulary)})"] if checkpoint.searchable else []), *trained)


# ---- the reader of article numbers: a second role, beside search ----


def bundled_reader() -> Path:
    """Return the folder of the tag reader that ships with the package; it need not exist."""
    return checkpoints.bundled().with_name("reader")


def reader_checkpoint(settings: Settings) -> Checkpoint | None:
    """Return the checkpoint that reads article numbers: the one put into use last, else the bundled one, else None.

    Raises:
        CheckpointError: the one in use is gone or damaged.
    """
    used = readers(settings)
    if used:
        return find(settings, used[0])
    return checkpoints.load(bundled_reader()) if bundled_reader().is_dir() else None


def use_reader(settings: Settings, checkpoint_id: str) -> None:
    """Let this checkpoint read article numbers from now on; the one before is kept for `rollback_reader`."""
    _write_readers(settings, [checkpoint_id, *readers(settings)])


def rollback_reader(settings: Settings) -> Checkpoint | None:
    """Let the reader before the present one read again, and return it; None when there was none before.

    Raises:
        CheckpointError: no reader has been put into use, or the one before is gone; nothing is changed then.
    """
    used = readers(settings)
    if not used:
        raise CheckpointError(
            "A rollback needs a tag reader that was promoted, but none was; `vsearch models promote FOLDER` does it."
        )
    if len(used) > 1:
        find(settings, used[1])
    _write_readers(settings, used[1:])
    return reader_checkpoint(settings)


def readers(settings: Settings) -> list[str]:
    """Return the ids of the tag readers put into use, the latest first."""
    file = settings.data / "reader" / "CURRENT"
    return file.read_text(encoding="utf8", errors="replace").split() if file.is_file() else []


def _write_readers(settings: Settings, ids: list[str]) -> None:
    folder = settings.data / "reader"
    folder.mkdir(parents=True, exist_ok=True)
    replace_text(folder / "CURRENT", "".join(f"{name}\n" for name in ids))


# ---- the finder of products in whole photos ----


def bundled_finder() -> Path:
    """Return the folder of the finder that ships with the package; it need not exist."""
    return checkpoints.bundled().with_name("detector")


# ---- folders ----


def _entry(folder: Path, where: Literal["bundled", "shop"]) -> Entry:
    size = sum(file.stat().st_size for file in folder.iterdir() if file.is_file())
    name = folder / checkpoints.DESCRIPTION
    made = datetime.fromtimestamp((name if name.is_file() else folder).stat().st_mtime, UTC)
    try:
        loaded = checkpoints.load(folder)
    except CheckpointError as error:
        return Entry(folder, folder.name, "", where, "", "classifier", (), size, made, str(error))
    ids = loaded.checkpoint_id, loaded.blocks_id
    return Entry(folder, *ids, where, plan_of(loaded), role(loaded), heads_of(loaded), size, made)
