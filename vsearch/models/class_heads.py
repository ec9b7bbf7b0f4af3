"""Class heads: a softmax layer for each network, fitted on stored blocks and calibrated with a temperature.

Since blocks are stored, fitting heads to a shop's own classes takes seconds. Predictions have the same type as those of
trained heads. Needs scikit-learn only for fitting.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import softmax

from vsearch.models.trained_heads import HeadPredictions, HeadSpec, predictions_from_logits
from vsearch.models.whitening import Projection, fit_whitening

Floats = NDArray[np.float32]
COLOR: Final = "color"
"""Name of the block that does not come from a network."""

MIDDLE: Final = "_middle"
"""Suffix of the block of a backbone's middle feature map."""

CLASS: Final = "class"
"""Name of the head in the predictions."""

MIN_CALIBRATION: Final = 50
"""Held-out images that a temperature is fitted on; with fewer, it is 1."""

_INVERSE_PENALTY = 0.03  # of the L2 regularization, tuned on furniture and photos of rooms
_MAX_ITERATIONS = 300
_TOLERANCE = 1e-2  # ten times faster than 1e-3, without loss on held-out images
_FOLDS = 4  # of the cross-validation
_ONE_FOLD = 5000  # images beyond which a single fold is enough
_EXPONENTS = (-2.5, 2.5)  # range of the logarithm of a temperature


@dataclass(frozen=True)
class ClassHead:
    """A linear layer before a softmax: blocks float [n, d] -> logits [n, c]."""

    weights: Floats
    bias: Floats

    def logits(self, block: NDArray[Any]) -> Floats:
        """Return logits, float32 [n, c]."""
        return np.asarray(block.astype(np.float32) @ self.weights + self.bias, np.float32)


@dataclass(frozen=True)
class ClassHeads:
    """One head per network, on the blocks of its last and its middle feature map, all with the same classes."""

    classes: tuple[str, ...]
    heads: Mapping[str, ClassHead]
    block_sizes: Mapping[str, int] = field(repr=False)

    @property
    def spec(self) -> HeadSpec:
        """The output of each head."""
        return HeadSpec(CLASS, "softmax", self.classes)

    def predict(self, blocks: NDArray[Any]) -> HeadPredictions:
        """Predict the classes of concatenated blocks [n, sum(block_sizes)], as the single head `CLASS`."""
        columns = network_columns(self.block_sizes)
        logits = {
            # A head fitted by an earlier version is shorter: it uses the last feature map only, whose block is first.
            name: {CLASS: head.logits(blocks[:, columns[name][: len(head.weights)]])}
            for name, head in self.heads.items()
        }
        return predictions_from_logits((self.spec,), dict.fromkeys(logits, (self.spec,)), logits)

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


def block_spans(block_sizes: Mapping[str, int]) -> dict[str, slice]:
    """Return the columns of each block in the concatenated blocks."""
    stops = np.cumsum(list(block_sizes.values())).tolist()
    return {name: slice(stop - block_sizes[name], stop) for name, stop in zip(block_sizes, stops, strict=True)}


def network_columns(block_sizes: Mapping[str, int]) -> dict[str, NDArray[np.int64]]:
    """Return the columns of each network's blocks in the concatenated blocks; the color block belongs to none."""
    owners = np.repeat([name.removesuffix(MIDDLE) for name in block_sizes], list(block_sizes.values()))
    return {name: np.flatnonzero(owners == name) for name in dict.fromkeys(owners.tolist()) if name != COLOR}


def fit_heads(
    blocks: NDArray[Any],
    class_names: Sequence[str],
    block_sizes: Mapping[str, int],
    *,
    groups: NDArray[Any] | None = None,
    photos: NDArray[np.bool_] | None = None,
    differences: NDArray[Any] | None = None,
) -> ClassHeads:
    """Fit a head per network to concatenated blocks of n images, by penalized maximum likelihood (L-BFGS).

    Where products have several images, blocks are whitened first, so that a head does not learn from what varies within
    a product. One temperature for all networks is fitted on the mean probabilities of held-out products.

    Args:
        blocks: [n, sum(block_sizes)].
        class_names: of each image.
        block_sizes: of each block, in concatenation order.
        groups: product of each image [n]; without them, each image counts as a product.
        photos: bool [n], the images to fit the temperature on, which resemble shoppers' photos; None for all.
        differences: between photos of products that are not among the images, see `Retrieval`.

    Raises:
        ValueError: there are no images.
    """
    if not len(blocks):
        raise ValueError("heads are fitted on at least one image")
    classes, labels = np.unique(class_names, return_inverse=True)
    products = np.arange(len(labels)) if groups is None else np.unique(groups, return_inverse=True)[1]
    judged = np.ones(len(labels), np.bool_) if photos is None or not photos.any() else photos
    whitenings, inputs = {}, {}
    for name, columns in network_columns(block_sizes).items():
        known = None if differences is None else differences[:, columns]
        whitenings[name] = _fit_scaling(blocks[:, columns], products, known)
        inputs[name] = whitenings[name].project(blocks[:, columns])
    temperature = _fit_temperature(list(inputs.values()), labels, products, judged)
    heads = {}
    for name, whitening in whitenings.items():
        head = _fit_head(inputs[name], labels, len(classes))
        weights = whitening.matrix @ head.weights / np.float32(temperature)
        bias = head.bias / np.float32(temperature) - whitening.mean @ weights
        heads[name] = ClassHead(weights, bias)
    return ClassHeads(tuple(classes.tolist()), heads, dict(block_sizes))


def _fit_scaling(block: NDArray[Any], products: NDArray[np.int64], known: NDArray[Any] | None) -> Projection:
    """Return a projection to unit mean square: a whitening if products have several images, otherwise only a scale."""
    if len(np.unique(products)) < len(products):
        fitted = fit_whitening(block, products, size=block.shape[1], known=known)
    else:
        fitted = Projection(np.zeros(block.shape[1], np.float32), np.eye(block.shape[1], dtype=np.float32))
    size = np.sqrt(np.mean(fitted.project(block) ** 2))
    return Projection(fitted.mean, fitted.matrix / np.float32(max(float(size), 1e-6)))


def _fit_head(block: Floats, labels: NDArray[np.int64], count: int) -> ClassHead:
    if count == 1:
        return ClassHead(np.zeros((block.shape[1], 1), np.float32), np.zeros(1, np.float32))
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=_INVERSE_PENALTY, max_iter=_MAX_ITERATIONS, tol=_TOLERANCE).fit(block, labels)
    weights, bias = model.coef_.T, model.intercept_
    if count == 2:  # scikit-learn keeps one column for two classes
        weights, bias = np.hstack([-weights / 2, weights / 2]), np.concatenate([-bias / 2, bias / 2])
    return ClassHead(weights.astype(np.float32), bias.astype(np.float32))


def _fit_temperature(
    inputs: Sequence[Floats], labels: NDArray[np.int64], products: NDArray[Any], judged: NDArray[np.bool_]
) -> float:
    """Return the temperature at which the mean probability of the true class is highest, by cross-validation."""
    order = np.random.default_rng(0).permutation(np.unique(products))
    held_out: list[tuple[Floats, NDArray[np.int64]]] = []  # logits [networks, n, classes] and labels [n]
    for fold in range(_FOLDS if len(labels) <= _ONE_FOLD else 1):
        out = np.isin(products, order[fold::_FOLDS])
        classes, numbers = np.unique(labels[~out], return_inverse=True)
        chosen = out & judged & np.isin(labels, classes)
        if len(classes) > 1 and chosen.any():
            heads = [_fit_head(block[~out], numbers, len(classes)) for block in inputs]
            logits = [head.logits(block[chosen]) for head, block in zip(heads, inputs, strict=True)]
            held_out.append((np.stack(logits), np.searchsorted(classes, labels[chosen])))
    if sum(len(truth) for _, truth in held_out) < MIN_CALIBRATION:
        return 1.0

    def loss(exponent: float) -> float:
        likelihoods = [
            softmax(logits / np.exp(exponent), axis=2).mean(axis=0)[np.arange(len(truth)), truth]
            for logits, truth in held_out
        ]
        return -float(np.log(np.maximum(np.concatenate(likelihoods), 1e-12)).mean())

    return float(np.exp(minimize_scalar(loss, bounds=_EXPONENTS, method="bounded").x))
