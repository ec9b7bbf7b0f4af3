"""What makes blocks, classes and embeddings of a network's features: the part of a checkpoint to search with."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vsearch.model.arrays import write_arrays
from vsearch.model.heads import Heads
from vsearch.model.whitening import Projection, Whitening


@dataclass(frozen=True)
class Retrieval:
    """What a searchable checkpoint has beside its networks; D numbers in joined blocks.

    Attributes:
        grid: cells a side that a feature map is pooled to.
        sides: px that each backbone looks at pictures through.
        projections: the PCA of each block, in the order they are joined.
        heads: one softmax head for each backbone's block, with the vocabulary.
        whitening: for a catalogue too small to fit one on.
        differences: what true photos of one product differ by, float16 [r, D]; no rows where none were learned from.
        background_cohort: blocks of images of things no shop sells, float16 [s, D]; may have no rows.
    """

    grid: int
    sides: Mapping[str, int]
    projections: Mapping[str, Projection]
    heads: Heads
    whitening: Whitening
    differences: NDArray[np.float16]
    background_cohort: NDArray[np.float16]

    def write(self, folder: Path) -> dict[str, Any]:
        """Write the arrays into the folder and return what model.json says of them."""
        blocks = {f"{name}.{key}": a for name, p in self.projections.items() for key, a in p.arrays().items()}
        write_arrays(folder / "blocks.npz", blocks)
        write_arrays(folder / "heads.npz", self.heads.arrays())
        known = {"differences": self.differences, "strangers": self.background_cohort}
        write_arrays(folder / "whitening.npz", self.whitening.arrays() | known)
        return {
            "grid": self.grid,
            "sides": dict(self.sides),
            "block_sizes": {name: projection.size for name, projection in self.projections.items()},
            "classes": list(self.heads.vocabulary),
        }
