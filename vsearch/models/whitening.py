"""From blocks to embeddings: a PCA for each block, and a learned whitening of the concatenated blocks.

N images, D dimensions. Needs only NumPy and SciPy, and scikit-learn to fit a PCA of wide blocks.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import scipy.linalg
from numpy.typing import NDArray

Floats = NDArray[np.float32]

KNOWN_WEIGHT = 0.5
"""Weight of known differences in the within-product scatter; see docs/benchmarks.md."""

TRUE_VIEWS_HALF = 100
"""Number of products with several images at which true views have half the weight in the within-product scatter."""

_EXACT_UP_TO = 4096  # dimensions; wider blocks (ResNet50 on a 3 x 3 grid has 18,432) use a randomized SVD


@dataclass(frozen=True)
class Projection:
    """x -> (x - mean) @ matrix, with mean float32 [D] and matrix float32 [D, size]."""

    mean: Floats
    matrix: Floats

    @property
    def size(self) -> int:
        """Dimensions of the result."""
        return int(self.matrix.shape[1])

    def project(self, features: NDArray[Any]) -> Floats:
        """Project features [N, D] -> float32 [N, size], not normalized."""
        assert features.shape[1:] == self.mean.shape, features.shape
        return np.asarray((features.astype(np.float32) - self.mean) @ self.matrix, np.float32)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the arrays to store, in half precision."""
        return {"mean": self.mean.astype(np.float16), "matrix": self.matrix.astype(np.float16)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]], prefix: str = "") -> Self:
        """Build from stored arrays, whose names may have a prefix."""
        return cls(arrays[f"{prefix}mean"].astype(np.float32), arrays[f"{prefix}matrix"].astype(np.float32))


def fit_pca(features: NDArray[Any], size: int) -> Projection:
    """Fit a PCA of one block [N, D] to at most `size` dimensions, scaled to unit mean square norm.

    The scale gives all blocks the same weight in the concatenation, regardless of size.
    """
    mean = features.mean(axis=0, dtype=np.float64)
    centered = features - mean
    count = min(size, *features.shape)
    if centered.shape[1] <= _EXACT_UP_TO:
        values, vectors = np.linalg.eigh(centered.T @ centered / len(features))
        values, vectors = values[::-1][:count], vectors[:, ::-1][:, :count]
    else:
        from sklearn.utils.extmath import randomized_svd

        _, singular, rows = randomized_svd(centered.astype(np.float32), count, random_state=0)
        values, vectors = singular**2 / len(features), rows.T
    scale = 1 / np.sqrt(max(float(values.sum()), 1e-12))
    return Projection(mean.astype(np.float32), (vectors * scale).astype(np.float32))


def fit_whitening(
    blocks: NDArray[Any],
    groups: NDArray[np.int64],
    *,
    size: int = 256,
    shrink: float = 0.3,
    known: NDArray[Any] | None = None,
    true_views: tuple[NDArray[Any], NDArray[np.int64]] | None = None,
    true_views_shrink: NDArray[np.float64] | None = None,
) -> Projection:
    """Keep what distinguishes products, and suppress what only distinguishes images of one product.

    Learned whitening (Mikolajczyk & Matas, ICCV 2007; Radenovic et al., TPAMI 2018) as a generalized eigenproblem of
    the between-product scatter and the within-product scatter. The latter is a weighted mean of three: that of
    synthetic views, which vary less than real photos do; of known differences, from other products; and of true views,
    the weight of which grows with their number. With that weight, the between-product scatter is that of all images
    rather than of the means of `groups`, and `true_views_shrink` replaces `shrink`.

    Args:
        blocks: concatenated blocks [N, D] of an image of each product and of synthetic views of it.
        groups: product of each row, [N].
        size: maximum dimensions of an embedding; never more than there are products.
        shrink: fraction of the mean within-scatter added to its diagonal, as regularization.
        known: differences between real photos of products, see `fit_differences`.
        true_views: blocks [M, D] and products [M] of all images; the more products have several, the more they count.
        true_views_shrink: regularization of each dimension [D]; None for the same as `shrink`.

    Raises:
        ValueError: no product has two rows.
    """
    features = blocks.astype(np.float64)
    within, centers, products = _scatter_within(features, groups)
    if not products:
        raise ValueError("a whitening is fitted on at least two views of a product")
    if known is not None and known.any():
        within = _mix(within, known.T.astype(np.float64) @ known, KNOWN_WEIGHT)
    rows, ridge = (centers - centers.mean(axis=0)) / np.sqrt(max(len(centers) - 1, 1)), np.full(len(within), shrink)
    if true_views is not None:
        images = true_views[0].astype(np.float32)
        scatter, _, products = _scatter_within(images, true_views[1])
        if scatter.any():
            weight = products / (products + TRUE_VIEWS_HALF)
            within = _mix(within, scatter, weight)
            images = (images - images.mean(axis=0)) / np.float32(np.sqrt(len(images)))
            rows = np.concatenate([rows.astype(np.float32) * np.sqrt(1 - weight), images * np.sqrt(weight)])
            ridge = (1 - weight) * ridge + weight * (ridge if true_views_shrink is None else true_views_shrink)
    within += np.trace(within) / len(within) * np.diag(ridge)
    values, vectors = _generalized_eigenvectors(rows, within, min(size, *centers.shape))
    matrix = vectors * np.sqrt(values / (1 + values))
    return Projection(features.mean(axis=0).astype(np.float32), matrix.astype(np.float32))


def _generalized_eigenvectors(
    rows: NDArray[Any], within: NDArray[np.float64], count: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Solve rows.T @ rows v = w within v for the `count` largest w: w [count] and v [D, count].

    The smaller of the two matrices with the same eigenvalues is decomposed, which is several times faster than
    `scipy.linalg.eigh(rows.T @ rows, within)` for fewer rows than dimensions.
    """
    factor = scipy.linalg.cholesky(within, lower=True)
    few = len(rows) < len(within)
    spread = scipy.linalg.solve_triangular(factor, rows.T if few else rows.T @ rows, lower=True)
    gram = spread.T @ spread if few else scipy.linalg.solve_triangular(factor, spread.T, lower=True)
    values, vectors = scipy.linalg.eigh(gram, subset_by_index=(len(gram) - count, len(gram) - 1))
    values = np.maximum(values[::-1], 0)
    vectors = vectors[:, ::-1]
    if few:
        vectors = spread @ vectors / np.sqrt(np.maximum(values, np.finfo(float).tiny))
    return values, scipy.linalg.solve_triangular(factor, vectors, lower=True, trans="T")


def fit_differences(blocks: NDArray[Any], groups: NDArray[np.int64], size: int) -> NDArray[np.float16]:
    """Return the principal differences between photos [N, D] of the same product (`groups` [N]): float16 [<= size, D].

    rows.T @ rows approximates the within-product scatter, with equal weight for each product. There are no rows if no
    product has two photos.
    """
    _, group, count = np.unique(groups, return_inverse=True, return_counts=True)
    features = blocks.astype(np.float32)
    weights = 1 / np.sqrt(np.maximum(count[group] - 1, 1))
    inside = ((features - _group_means(features, group, count)[group]) * weights[:, None])[count[group] > 1]
    if not len(inside):
        return np.empty((0, features.shape[1]), np.float16)
    _, singular, rows = np.linalg.svd(inside, full_matrices=False)
    return np.asarray(rows[:size] * (singular[:size] / np.sqrt((count > 1).sum()))[:, None], np.float16)


def combine_differences(one: NDArray[Any], other: NDArray[Any]) -> NDArray[np.float16]:
    """Return the rows of both sets of differences [r, D], scaled so that each set has half of the total weight.

    Rows are not merged, since the principal ones of both together would leave out what only a few products show.
    """
    sizes = [float(np.linalg.norm(rows.astype(np.float32))) for rows in (one, other)]
    if not all(sizes):
        return np.asarray(one if sizes[0] else other, np.float16)
    scaled = [rows * (max(sizes) / size) for rows, size in zip((one, other), sizes, strict=True)]
    return np.concatenate(scaled).astype(np.float16)


def _scatter_within(features: NDArray[Any], groups: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[Any], int]:
    """Return the within-group scatter [D, D], the group means [g, D], and the number of groups with several rows."""
    _, group, count = np.unique(groups, return_inverse=True, return_counts=True)
    means, several = _group_means(features, group, count), int((count > 1).sum())
    inside = (features - means[group])[count[group] > 1]
    return inside.T.astype(np.float64) @ inside / max(1, len(inside) - several), means, several


def _mix(one: NDArray[np.float64], other: NDArray[np.float64], weight: float) -> NDArray[np.float64]:
    """Return a weighted mean of two scatter matrices, in which their sizes do not influence their weights."""
    size, other_size = max(np.trace(one), 1e-12), max(np.trace(other), 1e-12)
    shape = (1 - weight) * one / size + weight * other / other_size
    return np.asarray(shape * ((1 - weight) * size + weight * other_size))


def _group_means(features: NDArray[Any], group: NDArray[np.int64], count: NDArray[np.int64]) -> NDArray[Any]:
    sums = np.zeros((len(count), features.shape[1]), features.dtype)
    np.add.at(sums, group, features)
    return np.asarray(sums / count[:, None])
