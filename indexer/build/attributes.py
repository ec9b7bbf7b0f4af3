"""Predicts attributes that products lack, such as their color, from the products that have them."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
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
"""Products that an attribute is fitted on; chosen at random from more."""

MIN_PRECISION = 0.9
"""Predictions are kept where, on products of other designs, at least this share of them is right."""

COLOR_WEIGHT = 3.0
"""Of the color block. On the demo shop it raises the share of right colors from 62 to 71 percent."""

_INVERSE_PENALTY = 0.1
_FOLDS = 4


@dataclass(frozen=True)
class KnownProduct:
    """A product: its id, what its variants share, and its attributes in the feed or by an admin."""

    product_id: int
    group: str
    attributes: Mapping[str, Sequence[str]]


def predict_attributes(
    products: Sequence[KnownProduct], blocks: NDArray[Any], block_sizes: Mapping[str, int]
) -> list[PredictedAttribute]:
    """Predict the attributes that some products lack.

    A linear classifier is fitted for each attribute to the products with a single value; the probability from which
    its predictions are kept is chosen by cross-validation, in which the variants of a design stay together.

    Args:
        products: n products.
        blocks: of an image of each, [n, sum(block_sizes)].
        block_sizes: of each block, in concatenation order.

    Returns:
        Predictions, by attribute and product.
    """
    features = _scaled(blocks, block_sizes)
    names = sorted({name for product in products for name, values in product.attributes.items() if values})
    return [found for name in names for found in _predict(name, products, features)]


def _scaled(blocks: NDArray[Any], block_sizes: Mapping[str, int]) -> NDArray[np.float32]:
    """Return the blocks with unit mean square each, and the color block with `COLOR_WEIGHT`."""
    scaled = blocks.astype(np.float32)
    for name, span in block_spans(block_sizes).items():
        scale = np.sqrt(np.mean(scaled[:, span] ** 2)) if len(scaled) else 1.0
        scaled[:, span] *= (COLOR_WEIGHT if name == COLOR else 1.0) / max(float(scale), 1e-6)
    return scaled


def _predict(
    name: str, products: Sequence[KnownProduct], features: NDArray[np.float32]
) -> Iterator[PredictedAttribute]:
    lacking = [row for row, product in enumerate(products) if not product.attributes.get(name)]
    single = [row for row, product in enumerate(products) if len(product.attributes.get(name, ())) == 1]
    counts = Counter(products[row].attributes[name][0] for row in single)
    known = [row for row in single if counts[products[row].attributes[name][0]] >= MIN_PRODUCTS]
    labels = np.array([products[row].attributes[name][0] for row in known])
    if not lacking or len(known) < MIN_KNOWN or len(np.unique(labels)) < 2:
        return
    if len(known) > MAX_FITTED:
        chosen = np.random.default_rng(0).permutation(len(known))[:MAX_FITTED]
        known, labels = [known[index] for index in chosen], labels[chosen]
    threshold = _threshold(features[known], labels, np.array([products[row].group for row in known]))
    if threshold > 1:
        return
    classifier = _fit(features[known], labels)
    probabilities = classifier.predict_proba(features[lacking])
    for row, values in zip(lacking, probabilities, strict=True):
        best = int(values.argmax())
        if values[best] >= threshold:
            value, probability = str(classifier.classes_[best]), round(float(values[best]), 3)
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
