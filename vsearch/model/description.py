"""What `model.json` of a checkpoint says, the hashes that follow from it, and how its folder comes to be."""

import hashlib
import json
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from vsearch.errors import CheckpointMismatch, CheckpointMissing
from vsearch.files import checksum, naming

FORMAT: Final = 2
READABLE: Final = (1, 2)
PREPROCESSING_VERSION: Final = 2
"""Raised when framing or a descriptor changes: the same files then give other blocks, and stored ones are stale."""

DESCRIPTION = "model.json"
CARD = "CARD.md"
_BLOCK_FILES = (".weights.npz", "blocks.npz")  # endings of the files that determine blocks


def read(folder: Path) -> dict[str, Any]:
    """Return what `model.json` says, after checking every file against its hash.

    Raises:
        CheckpointMissing: there is none.
        CheckpointMismatch: its format is another, or a file is missing or changed.
    """
    if not (folder / DESCRIPTION).is_file():
        raise CheckpointMissing(f"A checkpoint is a folder with {DESCRIPTION}, but {folder} has none; name another.")
    said = _parsed(folder)
    for name, digest in said["files"].items():
        if not (folder / name).is_file() or checksum(folder / name) != digest:
            raise CheckpointMismatch(
                f"The files of a checkpoint belong together, but {name} in {folder} is missing or was changed; "
                "copy the folder again."
            )
    return said


def describe(folder: Path, said: Mapping[str, Any]) -> dict[str, Any]:
    """Write `model.json` of the files that lie in a folder, and return it. A format that `said` has is kept."""
    files = {file.name: checksum(file) for file in sorted(folder.iterdir()) if file.name != DESCRIPTION}
    whole = {"format": said.get("format", FORMAT)} | {key: said[key] for key in said if key not in ("files", "format")}
    text = json.dumps(whole | {"files": files}, indent=1, ensure_ascii=False)
    (folder / DESCRIPTION).write_text(text + "\n", encoding="utf8")
    return _parsed(folder)


def checkpoint_id(said: Mapping[str, Any]) -> str:
    """Return the hash of a description, which holds the hash of every file."""
    return _hash(said)


def blocks_id(said: Mapping[str, Any]) -> str:
    """Return the hash of what determines blocks: that part of a description, and how this version sees pictures."""
    files = {name: digest for name, digest in said["files"].items() if name.endswith(_BLOCK_FILES)}
    described = {key: said[key] for key in ("format", "backbones", "grid", "sides", "block_sizes") if key in said}
    return _hash({"files": files, "seeing": PREPROCESSING_VERSION} | described)


@contextmanager
def building(folder: Path) -> Iterator[Path]:
    """Yield a hidden folder beside `folder` that takes its place when all went well.

    Raises:
        CheckpointMismatch: `folder` exists.
    """
    if folder.exists():
        raise CheckpointMismatch(f"A checkpoint needs a new folder, but {folder} exists; name another.")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".building-", dir=folder.parent) as name:
        hidden = Path(name) / "checkpoint"
        hidden.mkdir()
        with naming(folder):
            yield hidden
        hidden.rename(folder)


def _parsed(folder: Path) -> dict[str, Any]:
    try:
        said: dict[str, Any] = json.loads((folder / DESCRIPTION).read_text(encoding="utf8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise CheckpointMismatch(f"{DESCRIPTION} of a checkpoint must be JSON, but in {folder}: {error}.") from None
    kind = said.get("format") if isinstance(said, dict) else None
    if kind not in READABLE:
        known = " or ".join(map(str, READABLE))
        raise CheckpointMismatch(f"A checkpoint must have format {known}, but {folder} has {kind!r}; make it anew.")
    if not ({"files", "backbones"} <= said.keys()):
        raise CheckpointMismatch(f"{DESCRIPTION} must list files and backbones, but in {folder} it does not; copy it.")
    return said


def _hash(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]
