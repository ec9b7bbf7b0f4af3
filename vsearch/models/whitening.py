"""From blocks to vectors: a PCA for each block, and one learned whitening over all blocks joined.

N pictures, D numbers a picture, G products. numpy and scipy only; blocks are [N, D].
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import scipy.linalg
from numpy.typing import NDArray

Floats = NDArray[np.float32]

KNOWN_SHARE = 0.25
"""Share of the scatter within products that is taken from elsewhere, where that is known; see docs/measured.md."""

_EXACT_UP_TO = 4096  # numbers of a block; a wider one (ResNet50 on 3 x 3 cells has 18,432) is decomposed by sampling


@dataclass(frozen=True)
class Projection:
    """x -> (x - mean) @ matrix.

    Attributes:
        mean: float32 [D].
        matrix: float32 [D, size].
    """

    mean: Floats
    matrix: Floats

    @property
    def size(self) -> int:
        """Numbers that come out."""
        return int(self.matrix.shape[1])

    def project(self, features: NDArray[Any]) -> Floats:
        """Project features [N, D] -> float32 [N, size], not normalised."""
        assert features.shape[1:] == self.mean.shape, features.shape
        return np.asarray((features.astype(np.float32) - self.mean) @ self.matrix, np.float32)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return what `from_arrays` takes, in half precision."""
        return {"mean": self.mean.astype(np.float16), "matrix": self.matrix.astype(np.float16)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """Build from the arrays `mean` and `matrix`."""
        return cls(arrays["mean"].astype(np.float32), arrays["matrix"].astype(np.float32))


class Whitening(Projection):
    """A learned whitening: blocks [N, D] -> embeddings [N, size]."""


def fit_pca(features: NDArray[Any], size: int) -> Projection:
    """Fit a PCA to `size` dimensions (fewer when there are not as many), scaled to unit mean square norm.

    So each block weighs the same when blocks are joined, however many numbers it keeps.

    Args:
        features: one block of N pictures, [N, D].
        size: numbers to keep.
    """
    mean = features.mean(axis=0, dtype=np.float64)
    centred = features - mean
    count = min(size, *features.shape)
    if centred.shape[1] <= _EXACT_UP_TO:
        values, vectors = np.linalg.eigh(centred.T @ centred / len(features))
        values, vectors = values[::-1][:count], vectors[:, ::-1][:, :count]
    else:
        from sklearn.utils.extmath import randomized_svd

        _, singular, rows = randomized_svd(centred.astype(np.float32), count, random_state=0)
        values, vectors = singular**2 / len(features), rows.T
    scale = 1 / np.sqrt(max(float(values.sum()), 1e-12))
    return Projection(mean.astype(np.float32), (vectors * scale).astype(np.float32))


def fit_whitening(
    blocks: NDArray[Any],
    groups: NDArray[np.int64],
    *,
    block_sizes: Mapping[str, int],
    size: int = 256,
    shrink: float = 0.3,
    known: NDArray[Any] | None = None,
) -> Whitening:
    """Learn what tells products apart and what only tells two photos of one product apart; keep the first.

    Learned whitening (Mikolajczyk & Matas, ICCV 2007; Radenovic et al., TPAMI 2018) as a generalised eigenproblem
    of the scatter between products and the scatter within them. Labels are not needed: augmented views of one
    picture are the second photos.

    Args:
        blocks: joined blocks [N, D] of several views of each product.
        groups: which product each row shows, [N].
        block_sizes: sizes of the joined blocks in order; their sum is D.
        size: numbers an embedding has; fewer when there are fewer products.
        shrink: share of the mean within-scatter added to its diagonal, against a scatter of too few views.
        known: what true photos of one product differ by elsewhere, see `fit_differences`; a quarter of the scatter
            within products is theirs, for made views differ in less.

    Raises:
        ValueError: no product has two rows.
    """
    assert blocks.shape[1] == sum(block_sizes.values()), (blocks.shape, block_sizes)
    features = blocks.astype(np.float64)
    mean = features.mean(axis=0)
    _, group = np.unique(groups, return_inverse=True)
    count = np.bincount(group)
    if count.max(initial=0) < 2:
        raise ValueError("a whitening is fitted on at least two views of a product")
    centre = np.zeros((len(count), features.shape[1]))
    np.add.at(centre, group, features)
    centre /= count[:, None]
    several = count[group] > 1
    inside = (features - centre[group])[several]
    within = inside.T @ inside / (len(inside) - (count > 1).sum())
    if known is not None and known.any():
        elsewhere = known.T.astype(np.float64) @ known
        within = (1 - KNOWN_SHARE) * within + KNOWN_SHARE * np.trace(within) / np.trace(elsewhere) * elsewhere
    within += shrink * np.trace(within) / len(within) * np.eye(len(within))
    between = np.cov(centre, rowvar=False)
    values, vectors = scipy.linalg.eigh(between, within)
    order = np.argsort(-values)[: min(size, len(count))]
    kept = np.maximum(values[order], 0)
    matrix = vectors[:, order] * np.sqrt(kept / (1 + kept))
    return Whitening(mean.astype(np.float32), matrix.astype(np.float32))


def fit_differences(blocks: NDArray[Any], groups: NDArray[np.int64], size: int) -> NDArray[np.float16]:
    """Return what true photos of one product differ by, float16 [size, D]: rows.T @ rows is nearly their scatter.

    Every product counts the same, however many photos it has; fewer rows where there are fewer differences, none where
    no product has two photos.

    Args:
        blocks: joined blocks of photos [N, D], none of them made.
        groups: which product each row shows, [N].
        size: of the principal directions that are kept.
    """
    _, group, count = np.unique(groups, return_inverse=True, return_counts=True)
    features = blocks.astype(np.float32)
    centre = np.zeros((len(count), features.shape[1]), np.float32)
    np.add.at(centre, group, features)
    several = count[group] > 1
    weights = 1 / np.sqrt(np.maximum(count[group] - 1, 1))
    inside = ((features - centre[group] / count[group, None]) * weights[:, None])[several]
    if not len(inside):
        return np.empty((0, features.shape[1]), np.float16)
    _, singular, rows = np.linalg.svd(inside, full_matrices=False)
    kept = rows[:size] * (singular[:size] / np.sqrt((count > 1).sum()))[:, None]
    return np.asarray(kept, np.float16)
