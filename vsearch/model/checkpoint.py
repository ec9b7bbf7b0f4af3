"""A checkpoint: a folder with the weights and everything needed to use them. Loading one imports no TensorFlow.

    model.json            format, name, backbones, block sizes, vocabulary, SHA-256 of every other file
    NAME.weights.npz      the weights of each backbone, half precision
    blocks.npz            the PCA of each block
    heads.npz             one softmax head for each backbone
    whitening.npz         the checkpoint's own whitening, for a catalogue too small to fit one on
    CARD.md               what it was trained on, and the terms (optional)

`blocks_id` covers what determines blocks: a shop's own heads leave it as it is, so stored blocks stay valid.
`checkpoint_id` covers everything.
"""

import hashlib
import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from vsearch.errors import CheckpointMismatch, CheckpointMissing
from vsearch.model.arrays import read_arrays, write_arrays
from vsearch.model.heads import Heads
from vsearch.model.whitening import Projection, Whitening
from vsearch.vocabulary import Vocabulary

FORMAT: Final = 1
DESCRIPTION = "model.json"
CARD = "CARD.md"
_BLOCK_FILES = (".weights.npz", "blocks.npz")  # endings of the files that determine blocks


@dataclass(frozen=True)
class Checkpoint:
    """What `model.json` says, and the arrays that need no network.

    Attributes:
        folder: where it lies.
        checkpoint_id: hash of everything, 16 hex digits.
        blocks_id: hash of what determines blocks, 16 hex digits.
        backbones: names in the table of `vsearch.model.backbones`, in the blocks' order.
        grid: cells a side that a feature map is pooled to.
        block_sizes: name -> numbers, in the order they are joined.
        heads: one softmax head for each backbone, with the vocabulary.
        whitening: the checkpoint's own.
    """

    folder: Path
    checkpoint_id: str
    blocks_id: str
    backbones: tuple[str, ...]
    grid: int
    block_sizes: Mapping[str, int]
    heads: Heads
    whitening: Whitening

    @property
    def vocabulary(self) -> Vocabulary:
        """The class names of its heads."""
        return self.heads.vocabulary

    @cached_property
    def projections(self) -> dict[str, Projection]:
        """The PCA of each block: raw features -> block."""
        arrays = read_arrays(self.folder / "blocks.npz")
        return {
            name: Projection.from_arrays({key: arrays[f"{name}.{key}"] for key in ("mean", "matrix")})
            for name in self.block_sizes
        }


def bundled() -> Path:
    """Return the folder of the pocket ensemble that ships with the package."""
    return Path(__file__).with_name("pocket")


def load(folder: Path) -> Checkpoint:
    """Read a checkpoint and check every file against its hash.

    Raises:
        CheckpointMissing: there is none.
        CheckpointMismatch: its format is another, or a file is missing or changed.
    """
    if not (folder / DESCRIPTION).is_file():
        raise CheckpointMissing(f"A checkpoint is a folder with {DESCRIPTION}, but {folder} has none; name another.")
    said = _description(folder)
    for name, digest in said["files"].items():
        if not (folder / name).is_file() or _sha256(folder / name) != digest:
            raise CheckpointMismatch(
                f"The files of a checkpoint belong together, but {name} in {folder} is missing or was changed; "
                "copy the folder again."
            )
    sizes = said["block_sizes"]
    heads = Heads.from_arrays(read_arrays(folder / "heads.npz"), Vocabulary(tuple(said["classes"])), sizes)
    whitening = Whitening.from_arrays(read_arrays(folder / "whitening.npz"))
    if len(whitening.mean) != sum(sizes.values()):
        raise CheckpointMismatch(
            f"A whitening must take {sum(sizes.values())} numbers, but that of {folder} takes {len(whitening.mean)}."
        )
    return Checkpoint(
        folder,
        checkpoint_id(said),
        blocks_id(said),
        tuple(said["backbones"]),
        said["grid"],
        sizes,
        heads,
        whitening,
    )


def save(
    folder: Path,
    *,
    backbones: tuple[str, ...],
    grid: int,
    projections: Mapping[str, Projection],
    heads: Heads,
    whitening: Whitening,
    weights: Mapping[str, Path],
    about: Mapping[str, Any],
    card: str = "",
) -> Checkpoint:
    """Write a new checkpoint folder, whole or not at all, and load it.

    Args:
        folder: must not exist.
        weights: for each backbone, a file that `vsearch.model.weights.pack` wrote.
        about: anything worth keeping: plan, data, library versions.
    """
    blocks = {f"{name}.{key}": a for name, p in projections.items() for key, a in p.arrays().items()}
    with _building(folder) as hidden:
        for name, file in weights.items():
            shutil.copyfile(file, hidden / f"{name}.weights.npz")
        write_arrays(hidden / "blocks.npz", blocks)
        write_arrays(hidden / "heads.npz", heads.arrays())
        write_arrays(hidden / "whitening.npz", whitening.arrays())
        if card:
            (hidden / CARD).write_text(card, encoding="utf8")
        sizes = {name: projection.size for name, projection in projections.items()}
        said = {"backbones": list(backbones), "grid": grid, "block_sizes": sizes, "about": dict(about)}
        _describe(hidden, said | {"classes": list(heads.vocabulary)})
    return load(folder)


def save_with_heads(checkpoint: Checkpoint, heads: Heads, parent: Path) -> Checkpoint:
    """Write `parent/<checkpoint_id>`: the same trunk with a shop's own heads. Written already, it is loaded.

    Raises:
        OSError: the disk is full or read-only; nothing half-written is left under the final name.
    """
    parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".building-", dir=parent) as name:
        hidden = Path(name) / "checkpoint"
        shutil.copytree(checkpoint.folder, hidden)
        write_arrays(hidden / "heads.npz", heads.arrays())
        said = {key: value for key, value in _description(checkpoint.folder).items() if key not in ("files", "format")}
        _describe(hidden, said | {"classes": list(heads.vocabulary)})
        target = parent / checkpoint_id(_description(hidden))
        if not target.exists():
            hidden.rename(target)
    return load(target)


def checkpoint_id(said: Mapping[str, Any]) -> str:
    """Return the hash of a description, which holds the hash of every file."""
    return _hash(said)


def blocks_id(said: Mapping[str, Any]) -> str:
    """Return the hash of the part of a description that determines blocks."""
    files = {name: digest for name, digest in said["files"].items() if name.endswith(_BLOCK_FILES)}
    return _hash({"files": files} | {key: said[key] for key in ("format", "backbones", "grid", "block_sizes")})


def _description(folder: Path) -> dict[str, Any]:
    try:
        said: dict[str, Any] = json.loads((folder / DESCRIPTION).read_text(encoding="utf8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise CheckpointMismatch(f"{DESCRIPTION} of a checkpoint must be JSON, but in {folder}: {error}.") from None
    if said.get("format") != FORMAT:
        raise CheckpointMismatch(
            f"A checkpoint must have format {FORMAT}, but {folder} has {said.get('format')!r}; make it anew."
        )
    return said


def _describe(folder: Path, said: Mapping[str, Any]) -> None:
    files = {file.name: _sha256(file) for file in sorted(folder.iterdir()) if file.name != DESCRIPTION}
    text = json.dumps({"format": FORMAT, **said, "files": files}, indent=1, ensure_ascii=False)
    (folder / DESCRIPTION).write_text(text + "\n", encoding="utf8")


@contextmanager
def _building(folder: Path) -> Iterator[Path]:
    """Yield a hidden folder beside `folder` that takes its place when all went well."""
    if folder.exists():
        raise CheckpointMismatch(f"A checkpoint needs a new folder, but {folder} exists; name another.")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".building-", dir=folder.parent) as name:
        hidden = Path(name) / "checkpoint"
        hidden.mkdir()
        yield hidden
        hidden.rename(folder)


def _hash(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]


def _sha256(file: Path) -> str:
    with file.open("rb") as data:
        return hashlib.file_digest(data, "sha256").hexdigest()
