"""A checkpoint: a folder with the weights and everything needed to use them. Loading one imports no TensorFlow.

    model.json            format, backbones, SHA-256 of every other file, plan, data, library versions, figures
    NAME.weights.npz      the weights of each backbone, half precision
    CARD.md               what it was trained on, and the terms (optional)

One that judges pictures by the heads it was trained with also has, and says in model.json how to use it:

    NAME.top.npz          what stands on each backbone

One that can be searched with also has:

    blocks.npz            the PCA of each block
    heads.npz             one softmax head on the block of each backbone
    whitening.npz         the checkpoint's own whitening, for a catalogue too small to fit one on; what true photos of
                          one product differ by, for all others; and strangers, see `vsearch.strangers`

`blocks_id` covers what determines blocks: a shop's own heads leave it as it is, so stored blocks stay valid.
`checkpoint_id` covers everything. Format 1 had no trained heads; it is read as it is.
"""

import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vsearch.errors import CheckpointMismatch
from vsearch.model.arrays import read_arrays, write_arrays
from vsearch.model.backbones import side_before
from vsearch.model.description import CARD, DESCRIPTION, blocks_id, building, checkpoint_id, describe, read
from vsearch.model.heads import Heads
from vsearch.model.headspec import HeadSpec
from vsearch.model.retrieval import Retrieval
from vsearch.model.trained import TrainedHeads
from vsearch.model.whitening import Projection, Whitening
from vsearch.vocabulary import Vocabulary

__all__ = [
    "CARD",
    "DESCRIPTION",
    "Checkpoint",
    "blocks_id",
    "bundled",
    "checkpoint_id",
    "load",
    "save",
    "save_with_heads",
]

_CLASS_SIZES = "class_sizes"
_ABOUT = ("plan", "data", "versions", "figures")


@dataclass(frozen=True)
class Checkpoint:
    """What `model.json` says, and the arrays that need no network.

    Attributes:
        folder: where it lies.
        checkpoint_id: hash of everything, 16 hex digits.
        blocks_id: hash of what determines blocks, 16 hex digits; empty where it cannot be searched with.
        backbones: names in the table of `vsearch.model.backbones`, in the blocks' order.
        trained_heads: the heads it was trained with and how to use them; None where it has none.
        about: plan, data, library versions and figures, as the training wrote them.
    """

    folder: Path
    checkpoint_id: str
    blocks_id: str
    backbones: tuple[str, ...]
    trained_heads: TrainedHeads | None
    about: Mapping[str, Any] = field(repr=False)
    _said: Mapping[str, Any] = field(repr=False)

    @property
    def searchable(self) -> bool:
        """Whether it makes blocks and embeddings."""
        return "block_sizes" in self._said

    @property
    def specs(self) -> tuple[HeadSpec, ...]:
        """The heads it was trained with; none where it has none."""
        return self.trained_heads.specs if self.trained_heads else ()

    @property
    def grid(self) -> int:
        """Cells a side that a feature map is pooled to."""
        return int(self._retrieval("grid"))

    def side(self, name: str) -> int:
        """Return the px that a backbone looks at pictures through; checkpoints before these do not say."""
        sides: Mapping[str, int] = self._retrieval("sides") if "sides" in self._said else {}
        return sides.get(name) or side_before(name)

    @property
    def block_sizes(self) -> Mapping[str, int]:
        """Name -> numbers, in the order they are joined."""
        sizes: Mapping[str, int] = self._retrieval("block_sizes")
        return sizes

    @cached_property
    def heads(self) -> Heads:
        """One softmax head on the block of each backbone, with the vocabulary."""
        vocabulary = Vocabulary(tuple(self._retrieval("classes")))
        return Heads.from_arrays(read_arrays(self.folder / "heads.npz"), vocabulary, self.block_sizes)

    @property
    def class_sizes(self) -> Mapping[str, int] | None:
        """Pictures of each class that a shop had when `heads` were fitted on them; None for all other heads."""
        sizes: Mapping[str, int] | None = self._said.get(_CLASS_SIZES)
        return sizes

    @property
    def vocabulary(self) -> Vocabulary:
        """The class names of `heads`."""
        return self.heads.vocabulary

    @cached_property
    def whitening(self) -> Whitening:
        """The checkpoint's own."""
        taken = sum(self.block_sizes.values())
        found = Whitening.from_arrays(read_arrays(self.folder / "whitening.npz"))
        if len(found.mean) != taken:
            raise CheckpointMismatch(
                f"A whitening must take {taken} numbers, but that of {self.folder} takes {len(found.mean)}."
            )
        return found

    @cached_property
    def differences(self) -> NDArray[np.float16]:
        """What true photos of one product differ by, float16 [r, D]; no rows where the checkpoint does not know."""
        return self._known("differences")

    @cached_property
    def background_cohort(self) -> NDArray[np.float16]:
        """Blocks of things that no shop sells, float16 [s, D]; no rows where the checkpoint knows none."""
        return self._known("strangers")

    @cached_property
    def projections(self) -> dict[str, Projection]:
        """The PCA of each block: raw features -> block."""
        sizes = self.block_sizes
        arrays = read_arrays(self.folder / "blocks.npz")
        return {
            name: Projection.from_arrays({key: arrays[f"{name}.{key}"] for key in ("mean", "matrix")}) for name in sizes
        }

    def _known(self, name: str) -> NDArray[np.float16]:
        nothing = np.empty((0, sum(self.block_sizes.values())), np.float16)
        return read_arrays(self.folder / "whitening.npz").get(name, nothing)

    def _retrieval(self, key: str) -> Any:
        if not self.searchable:
            raise CheckpointMismatch(
                f"To search needs a checkpoint whose plan has [assemble], but {self.folder} only judges pictures; "
                "name another."
            )
        return self._said[key]


def bundled() -> Path:
    """Return the folder of the pocket ensemble that ships with the package."""
    return Path(__file__).with_name("pocket")


def load(folder: Path) -> Checkpoint:
    """Read a checkpoint and check every file against its hash.

    Raises:
        CheckpointMissing: there is none.
        CheckpointMismatch: its format is another, or a file is missing or changed.
    """
    said = read(folder)
    checkpoint = Checkpoint(
        folder,
        checkpoint_id(said),
        blocks_id(said) if "block_sizes" in said else "",
        tuple(said["backbones"]),
        TrainedHeads.from_dict(said) if "heads" in said else None,
        said["about"] if "about" in said else {key: said[key] for key in _ABOUT if key in said},
        said,
    )
    if checkpoint.searchable:
        _ = checkpoint.heads, checkpoint.whitening
    return checkpoint


def save(
    folder: Path,
    *,
    weights: Mapping[str, Path],
    about: Mapping[str, Any],
    retrieval: Retrieval | None = None,
    trained_heads: TrainedHeads | None = None,
    tops: Mapping[str, Path] | None = None,
    card: str = "",
) -> Checkpoint:
    """Write a new checkpoint folder, whole or not at all, and load it.

    Args:
        folder: must not exist.
        weights: for each backbone, a file that `vsearch.model.weights.pack` wrote.
        about: plan, data, versions and figures; whatever of it there is.
        retrieval: given, the checkpoint can be searched with.
        trained_heads, tops: the trained heads, and for each backbone a file like those of `weights`.
        card: Markdown.

    Raises:
        OSError: the disk is full or read-only; nothing half-written is left.
    """
    with building(folder) as hidden:
        for name, file in weights.items():
            shutil.copyfile(file, hidden / f"{name}.weights.npz")
        for name, file in (tops or {}).items():
            shutil.copyfile(file, hidden / f"{name}.top.npz")
        if card:
            (hidden / CARD).write_text(card, encoding="utf8")
        said: dict[str, Any] = {"backbones": list(weights)} | {key: about[key] for key in _ABOUT if key in about}
        if retrieval is not None:
            said |= retrieval.write(hidden)
        if trained_heads is not None:
            said |= trained_heads.to_dict()
        describe(hidden, said)
    return load(folder)


def save_with_heads(
    checkpoint: Checkpoint, heads: Heads, parent: Path, class_sizes: Mapping[str, int] | None = None
) -> Checkpoint:
    """Write `parent/<checkpoint_id>`: the same trunk with a shop's own heads. Written already, it is loaded.

    Args:
        checkpoint: gives all but the heads.
        heads: to take the place of its own.
        parent: folder of the shop's checkpoints.
        class_sizes: pictures of each class that the heads were fitted on; None keeps what the checkpoint says.

    Raises:
        OSError: the disk is full or read-only; nothing half-written is left under the final name.
    """
    parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".building-", dir=parent) as name:
        hidden = Path(name) / "checkpoint"
        shutil.copytree(checkpoint.folder, hidden)
        write_arrays(hidden / "heads.npz", heads.arrays())
        said = read(checkpoint.folder) | {"classes": list(heads.vocabulary)}
        if class_sizes is not None:
            said |= {_CLASS_SIZES: dict(sorted(class_sizes.items()))}
        target = parent / checkpoint_id(describe(hidden, said))
        if not target.exists():
            hidden.rename(target)
    return load(target)
