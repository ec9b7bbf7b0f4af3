"""Class heads: a softmax layer for each network, fitted on stored blocks, and their majority vote.

Since blocks are stored, fitting heads to a shop's own classes takes seconds. Needs scikit-learn only for fitting.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

Floats = NDArray[np.float32]
COLOR: Final = "color"
"""Name of the block that does not come from a network."""

MIDDLE: Final = "_middle"
"""Suffix of the block of a backbone's middle feature map."""

_INVERSE_PENALTY = 0.03  # of the L2 regularization, tuned on furniture and synthetic shopper photos
_MAX_ITERATIONS = 300
_TOLERANCE = 1e-2  # ten times faster than 1e-3, without loss on held-out images


@dataclass(frozen=True)
class ClassPredictions:
    """The predictions of class heads for n images."""

    classes: tuple[str, ...]  # c names
    votes: Mapping[str, Floats]  # network -> probabilities, float32 [n, c]
    probabilities: Floats  # the mean of the networks, float32 [n, c]
    winners: NDArray[np.int64]  # majority vote, ties broken by the mean probability, int64 [n]


@dataclass(frozen=True)
class ClassHead:
    """A softmax layer: block float [n, d] -> probabilities [n, c]."""

    weights: Floats
    bias: Floats

    def predict(self, block: NDArray[Any]) -> Floats:
        """Return probabilities, float32 [n, c]."""
        return np.asarray(softmax(block.astype(np.float32) @ self.weights + self.bias, axis=1), np.float32)


@dataclass(frozen=True)
class ClassHeads:
    """One head per network, on the block of its last feature map, all with the same classes."""

    classes: tuple[str, ...]
    heads: Mapping[str, ClassHead]
    block_sizes: Mapping[str, int] = field(repr=False)

    def predict(self, blocks: NDArray[Any]) -> ClassPredictions:
        """Predict the classes of concatenated blocks [n, sum(block_sizes)]."""
        spans = block_spans(self.block_sizes)
        votes = {name: head.predict(blocks[:, spans[name]]) for name, head in self.heads.items()}
        stacked = np.stack(list(votes.values()))
        return ClassPredictions(self.classes, votes, stacked.mean(axis=0), vote(stacked))

    def class_numbers(self, names: Iterable[str]) -> NDArray[np.int64]:
        """Return the index of each class name, -1 for unknown names, int64 [n]."""
        numbers = {name: number for number, name in enumerate(self.classes)}
        return np.array([numbers.get(name, -1) for name in names], np.int64)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the arrays to store, in half precision."""
        weights = {f"{name}.weights": head.weights.astype(np.float16) for name, head in self.heads.items()}
        return weights | {f"{name}.bias": head.bias.astype(np.float16) for name, head in self.heads.items()}

    @classmethod
    def from_arrays(
        cls, arrays: Mapping[str, NDArray[Any]], classes: tuple[str, ...], block_sizes: Mapping[str, int]
    ) -> "ClassHeads":
        """Build the heads from stored arrays."""
        names = [name.removesuffix(".weights") for name in arrays if name.endswith(".weights")]
        heads = {
            name: ClassHead(arrays[f"{name}.weights"].astype(np.float32), arrays[f"{name}.bias"].astype(np.float32))
            for name in names
        }
        return cls(classes, heads, block_sizes)


def vote(probabilities: NDArray[Any]) -> NDArray[np.int64]:
    """Return the majority vote: the class that most models rank first; ties go to the higher mean probability.

    Probabilities [models, n images, classes] -> class indexes int64 [n].
    """
    models, _, classes = probabilities.shape
    votes = np.eye(classes)[probabilities.argmax(axis=2)].sum(axis=0)
    return np.asarray((votes + probabilities.sum(axis=0) / (models + 1)).argmax(axis=1), np.int64)


def block_spans(block_sizes: Mapping[str, int]) -> dict[str, slice]:
    """Return the columns of each block in the concatenated blocks."""
    stops = np.cumsum(list(block_sizes.values())).tolist()
    return {name: slice(stop - block_sizes[name], stop) for name, stop in zip(block_sizes, stops, strict=True)}


def fit_heads(blocks: NDArray[Any], class_names: Sequence[str], block_sizes: Mapping[str, int]) -> ClassHeads:
    """Fit a head per network to concatenated blocks of n images, by penalized maximum likelihood (L-BFGS).

    The color block and those of middle feature maps get no head.

    Raises:
        ValueError: there are no images.
    """
    if not len(blocks):
        raise ValueError("heads are fitted on at least one image")
    classes, labels = np.unique(class_names, return_inverse=True)
    networks = [name for name in block_sizes if name != COLOR and not name.endswith(MIDDLE)]
    spans = block_spans(block_sizes)
    heads = {name: _fit_head(blocks[:, spans[name]].astype(np.float32), labels, len(classes)) for name in networks}
    return ClassHeads(tuple(classes.tolist()), heads, dict(block_sizes))


def _fit_head(block: Floats, labels: NDArray[np.int64], count: int) -> ClassHead:
    if count == 1:
        return ClassHead(np.zeros((block.shape[1], 1), np.float32), np.zeros(1, np.float32))
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=_INVERSE_PENALTY, max_iter=_MAX_ITERATIONS, tol=_TOLERANCE)
    scale = np.float32(np.sqrt(block.shape[1]))  # blocks have unit norm; this brings their values to about 1
    model.fit(block * scale, labels)
    weights, bias = model.coef_.T * scale, model.intercept_
    if count == 2:  # scikit-learn keeps one column for two classes
        weights, bias = np.hstack([-weights / 2, weights / 2]), np.concatenate([-bias / 2, bias / 2])
    return ClassHead(weights.astype(np.float32), bias.astype(np.float32))
