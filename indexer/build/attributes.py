"""Predicts attributes that products lack, such as their color, from the products that have them."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vsearch.index.generation import PredictedAttribute
from vsearch.models.class_heads import COLOR, block_spans

MIN_PRODUCTS = 8
"""Products with a value that are needed to predict it."""

MIN_KNOWN = 40
"""Products with an attribute that are needed to predict it."""

MAX_FITTED = 4000
"""Products that an attribute, and the scale of blocks, are fitted on; chosen at random from more."""

MIN_PRECISION = 0.9
"""Predictions are kept where, on products of other designs, at least this share of them is right."""

COLOR_WEIGHT = 3.0
"""Of the color block. On the demo shop it raises the share of right colors from 62 to 71 percent."""

ReadBlocks = Callable[[Sequence[int]], Iterable[NDArray[Any]]]

_INVERSE_PENALTY = 0.1
_FOLDS = 4


@dataclass(frozen=True)
class KnownProduct:
    """A product: its id, what its variants share, and its attributes in the feed or by an admin."""

    product_id: int
    group: str
    attributes: Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class AttributeClassifier:
    """A fitted classifier of scaled blocks, and the probability from which its predictions are kept."""

    classifier: Any
    threshold: float


def predict_attributes(
    products: Sequence[KnownProduct], read: ReadBlocks, block_sizes: Mapping[str, int]
) -> list[PredictedAttribute]:
    """Predict the attributes that some products lack.

    A linear classifier is fitted for each attribute to the products with a single value; the probability from which
    its predictions are kept is chosen by cross-validation, in which the variants of a design stay together.

    Args:
        products: n products.
        read: reads the blocks of an image of each of some products, which it gets as numbers from 0 to n - 1, in
            batches [m, sum(block_sizes)].
        block_sizes: of each block, in concatenation order.

    Returns:
        Predictions, by attribute and product.
    """
    scale = _scale(_read(read, _sample(range(len(products)))), block_sizes)
    names = sorted({name for product in products for name, values in product.attributes.items() if values})
    fitted = {name: found for name in names if (found := _fit_attribute(name, products, read, scale))}
    lacking = [
        number for number, product in enumerate(products) if any(not product.attributes.get(name) for name in fitted)
    ]
    predicted: dict[str, list[PredictedAttribute]] = {name: [] for name in fitted}
    remaining = iter(lacking)
    for blocks in read(lacking):
        features = blocks.astype(np.float32) * scale
        batch = [products[number] for number in islice(remaining, len(blocks))]
        for name, found in fitted.items():
            predicted[name] += _predict(name, found, batch, features)
    return [each for name in names if name in fitted for each in predicted[name]]


def _sample(numbers: Sequence[int]) -> list[int]:
    """Return up to `MAX_FITTED` of the numbers, in ascending order."""
    chosen = np.random.default_rng(0).permutation(len(numbers))[:MAX_FITTED]
    return [numbers[index] for index in sorted(chosen.tolist())]


def _read(read: ReadBlocks, numbers: Sequence[int]) -> NDArray[np.float32]:
    batches = list(read(numbers))
    return np.concatenate(batches).astype(np.float32) if batches else np.empty((0, 0), np.float32)


def _scale(blocks: NDArray[np.float32], block_sizes: Mapping[str, int]) -> NDArray[np.float32]:
    """Return what to multiply blocks by: each has unit mean square then, and the color block `COLOR_WEIGHT`."""
    scale = np.ones(sum(block_sizes.values()), np.float32)
    for name, span in block_spans(block_sizes).items():
        size = np.sqrt(np.mean(blocks[:, span] ** 2)) if len(blocks) else 1.0
        scale[span] = (COLOR_WEIGHT if name == COLOR else 1.0) / max(float(size), 1e-6)
    return scale


def _fit_attribute(
    name: str, products: Sequence[KnownProduct], read: ReadBlocks, scale: NDArray[np.float32]
) -> AttributeClassifier | None:
    """Return a classifier of an attribute that some products lack, or None if it is not reliable."""
    single = [number for number, product in enumerate(products) if len(product.attributes.get(name, ())) == 1]
    counts = Counter(products[number].attributes[name][0] for number in single)
    known = [number for number in single if counts[products[number].attributes[name][0]] >= MIN_PRODUCTS]
    complete = all(product.attributes.get(name) for product in products)
    if complete or len(known) < MIN_KNOWN or len({products[number].attributes[name][0] for number in known}) < 2:
        return None
    known = _sample(known)
    labels = np.array([products[number].attributes[name][0] for number in known])
    features = _read(read, known) * scale
    threshold = _threshold(features, labels, np.array([products[number].group for number in known]))
    return AttributeClassifier(_fit(features, labels), threshold) if threshold <= 1 else None


def _predict(
    name: str, fitted: AttributeClassifier, products: Sequence[KnownProduct], features: NDArray[np.float32]
) -> Iterator[PredictedAttribute]:
    """Yield predictions for those of n products, with features [n, d], that lack the attribute."""
    lacking = [row for row, product in enumerate(products) if not product.attributes.get(name)]
    if not lacking:
        return
    for row, values in zip(lacking, fitted.classifier.predict_proba(features[lacking]), strict=True):
        best = int(values.argmax())
        if values[best] >= fitted.threshold:
            value, probability = str(fitted.classifier.classes_[best]), round(float(values[best]), 3)
            yield PredictedAttribute(products[row].product_id, name, value, probability)


def _threshold(features: NDArray[np.float32], labels: NDArray[Any], groups: NDArray[Any]) -> float:
    """Return the lowest probability above which `MIN_PRECISION` of the predictions are right; above 1 if none is."""
    designs = np.unique(groups)
    order = np.random.default_rng(0).permutation(len(designs))
    fold_of = dict(zip(designs[order].tolist(), (np.arange(len(designs)) % _FOLDS).tolist(), strict=True))
    folds = np.array([fold_of[group] for group in groups.tolist()])
    right, probability = np.zeros(len(labels), np.bool_), np.zeros(len(labels))
    for fold in range(_FOLDS):
        out = folds == fold
        if not out.any() or len(np.unique(labels[~out])) < 2:
            continue
        classifier = _fit(features[~out], labels[~out])
        predicted = classifier.predict_proba(features[out])
        right[out] = classifier.classes_[predicted.argmax(axis=1)] == labels[out]
        probability[out] = predicted.max(axis=1)
    order = np.argsort(-probability, kind="stable")
    precision = np.cumsum(right[order]) / np.arange(1, len(order) + 1)
    enough = np.flatnonzero((precision >= MIN_PRECISION) & (np.arange(len(order)) >= MIN_PRODUCTS))
    return float(probability[order[enough[-1]]]) if len(enough) else 2.0


def _fit(features: NDArray[np.float32], labels: NDArray[Any]) -> Any:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=_INVERSE_PENALTY, max_iter=300, tol=1e-2).fit(features, labels)
