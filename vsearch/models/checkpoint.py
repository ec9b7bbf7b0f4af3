"""A checkpoint: a folder with weights and everything needed to use them. Loading one does not import TensorFlow.

    model.json            format, backbones, SHA-256 of every other file, plan, data, library versions, figures
    NAME.weights.npz      weights of each backbone, in half precision
    CARD.md               the model card (optional)

A checkpoint with trained heads also has, described in model.json:

    NAME.top.npz          the weights of the heads on each backbone
    NAME.heads_graph.npz  the graph of each backbone with its heads, see `vsearch.models.runtime`

A searchable checkpoint also has:

    NAME.trunk_graph.npz  the graph of each backbone that computes features
    blocks.npz            the PCA of each block
    heads.npz             a class head on a block of each backbone
    whitening.npz         a whitening for catalogs too small to fit one, the typical differences between photos of one
                          product ("differences"), and the background cohort ("background_cohort")

`blocks_id` covers everything that determines blocks: they stay valid when a shop fits its own class heads.
`checkpoint_id` covers everything.
"""

import hashlib
import json
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from vsearch.core.errors import CheckpointMismatch, CheckpointMissing
from vsearch.core.files import UNFINISHED, atomic_folder, checksum
from vsearch.models.class_heads import ClassHeads
from vsearch.models.runtime import Graph, Precision
from vsearch.models.trained_heads import HeadSpec, TrainedHeads
from vsearch.models.weights import read_arrays, write_arrays
from vsearch.models.whitening import Projection

FORMAT: Final = 4
PREPROCESSING_VERSION: Final = 3
"""Increase this when preprocessing or a descriptor changes, which invalidates stored blocks."""

DESCRIPTION = "model.json"
CARD = "CARD.md"
TRUNK_GRAPH: Final = ".trunk_graph.npz"
HEADS_GRAPH: Final = ".heads_graph.npz"
_BLOCK_FILES = (".weights.npz", "blocks.npz")  # suffixes of the files that determine blocks
_ABOUT = ("plan", "data", "versions", "figures")


@dataclass(frozen=True)
class Retrieval:
    """The search data of a checkpoint, in addition to its networks; D is the size of concatenated blocks."""

    sides: Mapping[str, int]  # input side of each backbone, in pixels
    projections: Mapping[str, Projection]  # the PCA of each block, in concatenation order
    heads: ClassHeads
    whitening: Projection  # for catalogs too small to fit one
    differences: NDArray[np.float16]  # between photos of the same product [r, D]; may be empty
    background_cohort: NDArray[np.float16]  # blocks of images of objects that no shop sells [s, D]; may be empty
    class_sizes: Mapping[str, int] | None = None  # images per class that a shop fitted the heads on

    @property
    def block_sizes(self) -> dict[str, int]:
        """Name -> size of each block, in concatenation order."""
        return {name: projection.size for name, projection in self.projections.items()}

    def write(self, folder: Path) -> dict[str, Any]:
        """Write the arrays; return the fields for model.json."""
        blocks = {f"{name}.{key}": a for name, p in self.projections.items() for key, a in p.arrays().items()}
        write_arrays(folder / "blocks.npz", blocks)
        write_arrays(folder / "heads.npz", self.heads.arrays())
        cohort = {"differences": self.differences, "background_cohort": self.background_cohort}
        write_arrays(folder / "whitening.npz", self.whitening.arrays() | cohort)
        sizes = {"sides": dict(self.sides), "block_sizes": self.block_sizes}
        return sizes | {"classes": list(self.heads.classes)}

    @classmethod
    def read(cls, folder: Path, description: Mapping[str, Any]) -> "Retrieval":
        """Read the arrays of a checkpoint.

        Raises:
            CheckpointMismatch: the whitening is for blocks of a different size.
        """
        sizes, blocks = description["block_sizes"], read_arrays(folder / "blocks.npz")
        whitening = read_arrays(folder / "whitening.npz")
        if len(whitening["mean"]) != (size := sum(sizes.values())):
            raise CheckpointMismatch(
                f"The whitening in {folder} takes {len(whitening['mean'])} dimensions, but the blocks have {size}."
            )
        return cls(
            description["sides"],
            {name: Projection.from_arrays(blocks, f"{name}.") for name in sizes},
            ClassHeads.from_arrays(read_arrays(folder / "heads.npz"), tuple(description["classes"]), sizes),
            Projection.from_arrays(whitening),
            whitening["differences"],
            whitening["background_cohort"],
            description.get("class_sizes"),
        )


@dataclass(frozen=True)
class Checkpoint:
    """A loaded checkpoint: its description, and the arrays other than network weights."""

    folder: Path
    checkpoint_id: str
    blocks_id: str  # empty if not searchable
    backbones: tuple[str, ...]  # names in `vsearch.models.backbones`, in the order of the blocks
    trained_heads: TrainedHeads | None
    about: Mapping[str, Any] = field(repr=False)  # plan, data, library versions, figures of the training run
    _description: Mapping[str, Any] = field(repr=False)

    @property
    def searchable(self) -> bool:
        """Whether it can compute blocks and embeddings."""
        return "block_sizes" in self._description

    @property
    def precision(self) -> Precision:
        """The precision in which its blocks are computed."""
        found: Precision = self._description.get("precision", "f32")
        return found

    @property
    def specs(self) -> tuple[HeadSpec, ...]:
        """The trained heads; may be empty."""
        return self.trained_heads.specs if self.trained_heads else ()

    @cached_property
    def retrieval(self) -> Retrieval:
        """The data for searching.

        Raises:
            CheckpointMismatch: it is not searchable.
        """
        if not self.searchable:
            raise CheckpointMismatch(
                f"The checkpoint {self.folder} cannot be used to search: its plan has no [assemble] table."
            )
        return Retrieval.read(self.folder, self._description)


def bundled() -> Path:
    """Return the folder of the ensemble that ships with the package."""
    return Path(__file__).with_name("bundled") / "ensemble"


def file_of(folder: Path, name: str) -> Path:
    """Return the path of a checkpoint's file. Bundled checkpoints share the weights of the ensemble's backbones."""
    path = folder / name
    return bundled() / name if folder.parent == bundled().parent and not path.is_file() else path


def load(folder: Path) -> Checkpoint:
    """Load a checkpoint and verify the hash of every file.

    Raises:
        CheckpointMissing: the folder is not a checkpoint.
        CheckpointMismatch: its format is not supported, or a file is missing or has changed.
    """
    description = read_description(folder)
    checkpoint = Checkpoint(
        folder,
        checkpoint_id(description),
        blocks_id(description) if "block_sizes" in description else "",
        tuple(description["backbones"]),
        TrainedHeads.from_dict(description) if "heads" in description else None,
        {key: description[key] for key in _ABOUT if key in description},
        description,
    )
    if checkpoint.searchable:
        _ = checkpoint.retrieval
    return checkpoint


def save(
    folder: Path,
    *,
    weights: Mapping[str, Path],
    about: Mapping[str, Any],
    retrieval: Retrieval | None = None,
    trained_heads: TrainedHeads | None = None,
    tops: Mapping[str, Path] | None = None,
    graphs: Mapping[str, Graph] | None = None,
    card: str = "",
) -> Checkpoint:
    """Write a new checkpoint folder atomically, and load it.

    Args:
        folder: must not exist.
        weights: for each backbone, a file written by `vsearch.models.weights.pack`.
        about: "plan", "data", "versions" and "figures" (metrics), as available.
        retrieval: makes the checkpoint searchable.
        trained_heads, tops: the trained heads, and a file with their weights for each backbone.
        graphs: the graphs, by file name.
        card: Markdown.

    Raises:
        CheckpointMismatch: `folder` exists.
        OSError: the disk is full or read-only.
    """
    if folder.exists():
        raise CheckpointMismatch(f"The checkpoint folder {folder} already exists. Choose a new one.")
    with atomic_folder(folder) as hidden:
        for name, file in weights.items():
            shutil.copyfile(file, hidden / f"{name}.weights.npz")
        for name, file in (tops or {}).items():
            shutil.copyfile(file, hidden / f"{name}.top.npz")
        for file_name, graph in (graphs or {}).items():
            np.savez_compressed(hidden / file_name, **graph)  # type: ignore[arg-type]  # as in `write_arrays`
        if card:
            (hidden / CARD).write_text(card, encoding="utf8")
        description: dict[str, Any] = {"backbones": list(weights)} | {key: about[key] for key in _ABOUT if key in about}
        if retrieval is not None:
            description |= retrieval.write(hidden)
        if trained_heads is not None:
            description |= trained_heads.to_dict()
        _write_description(hidden, description)
    return load(folder)


def at_precision(checkpoint: Checkpoint, precision: Precision) -> Checkpoint:
    """Return a checkpoint that computes its blocks in this precision; `save_with_heads` saves it."""
    description = {**checkpoint._description, "precision": precision}
    return replace(
        checkpoint,
        checkpoint_id=checkpoint_id(description),
        blocks_id=blocks_id(description),
        _description=description,
    )


def save_with_heads(
    checkpoint: Checkpoint, heads: ClassHeads, parent: Path, class_sizes: Mapping[str, int] | None = None
) -> Checkpoint:
    """Save a copy with a shop's own class heads as `parent/<checkpoint_id>`, unless it exists, and load it.

    `class_sizes` are the numbers of images per class that the heads were fitted on; None keeps those of the checkpoint.
    """
    parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=UNFINISHED, dir=parent) as name:
        hidden = Path(name) / "checkpoint"
        shutil.copytree(checkpoint.folder, hidden)
        write_arrays(hidden / "heads.npz", heads.arrays())
        description = read_description(checkpoint.folder) | {"classes": list(heads.classes)}
        description["precision"] = checkpoint.precision
        if class_sizes is not None:
            description["class_sizes"] = dict(sorted(class_sizes.items()))
        target = parent / checkpoint_id(_write_description(hidden, description))
        if not target.exists():
            hidden.rename(target)
    return load(target)


def read_description(folder: Path) -> dict[str, Any]:
    """Return the contents of model.json, after verifying the hash of every file; raises as `load` does."""
    if not (folder / DESCRIPTION).is_file():
        raise CheckpointMissing(f"{folder} is not a checkpoint: it has no {DESCRIPTION}.")
    description = _parse(folder)
    for name, digest in description["files"].items():
        path = file_of(folder, name)
        if not path.is_file() or checksum(path) != digest:
            raise CheckpointMismatch(
                f"The checkpoint {folder} is damaged: {name} is missing or has changed. Copy the folder again."
            )
    return description


def checkpoint_id(description: Mapping[str, Any]) -> str:
    """Return the hash of a description, which includes the hash of every file."""
    return _hash(description)


def blocks_id(description: Mapping[str, Any]) -> str:
    """Return the hash of everything that determines blocks: networks, their options, and preprocessing."""
    files = {name: digest for name, digest in description["files"].items() if name.endswith(_BLOCK_FILES)}
    fields = ("format", "backbones", "sides", "block_sizes")
    relevant = {key: description[key] for key in fields if key in description}
    relevant["precision"] = description.get("precision", "f32")
    return _hash({"files": files, "preprocessing": PREPROCESSING_VERSION} | relevant)


def _write_description(folder: Path, description: Mapping[str, Any]) -> dict[str, Any]:
    files = {file.name: checksum(file) for file in sorted(folder.iterdir()) if file.name != DESCRIPTION}
    whole = {"format": FORMAT} | {key: description[key] for key in description if key not in ("files", "format")}
    text = json.dumps(whole | {"files": files}, indent=1, ensure_ascii=False)
    (folder / DESCRIPTION).write_text(text + "\n", encoding="utf8")
    return _parse(folder)


def _parse(folder: Path) -> dict[str, Any]:
    file = folder / DESCRIPTION
    try:
        description: dict[str, Any] = json.loads(file.read_text(encoding="utf8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise CheckpointMismatch(f"{file} is not valid JSON: {error}. Copy the checkpoint again.") from None
    version = description.get("format") if isinstance(description, dict) else None
    if version != FORMAT:
        raise CheckpointMismatch(f"{file} has format {version!r}, but this version of vsearch reads format {FORMAT}.")
    if not ({"files", "backbones"} <= description.keys()):
        raise CheckpointMismatch(f"{file} does not list files and backbones. Copy the checkpoint again.")
    return description


def _hash(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]
