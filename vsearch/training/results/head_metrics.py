"""Metrics of predictions against targets: accuracy, per-class metrics, calibration and detection.

For targets see `vsearch.training.data.dataset.Split`. Images without a head's label are excluded from its metrics.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from vsearch.detection.boxes import IOU_THRESHOLD, Boxes, box_areas, iou, non_max_suppression
from vsearch.evaluation.bootstrap import mean_interval
from vsearch.models.trained_heads import DIGITS, MISSING, VOTE, HeadPredictions, HeadSpec

Targets = Mapping[str, NDArray[Any]]
"""Head -> targets [n, ...]."""

Flags = NDArray[np.bool_]

RECALL_AT: Final = (1, 3, 5)
"""Recall is reported for these numbers of most confident detections."""

DETECTIONS: Final = RECALL_AT[1]
"""The main value of `RECALL_AT`: the number of detections that a search uses."""

_BINS = 15
_TEMPERATURES = (0.2, 10.0)
_MIN_CALIBRATION = 20  # labeled images; with fewer, a fitted temperature is not useful
_NARROW = 0.05  # widest interval that is printed with a decimal


@dataclass(frozen=True)
class Proportion:
    """A proportion of n with its 95 % bootstrap confidence interval."""

    n: int
    mean: float
    low: float
    high: float

    @classmethod
    def of(cls, flags: NDArray[Any]) -> "Proportion":
        """Estimate the proportion of true flags; 0 if there are no flags."""
        if not flags.size:
            return cls(0, 0.0, 0.0, 0.0)
        found = mean_interval(flags.ravel())
        return cls(flags.size, found.mean, found.low, found.high)

    def __str__(self) -> str:
        places = 1 if 0 < self.high - self.low < _NARROW else 0
        return f"{100 * self.mean:.1f} ({100 * self.low:.{places}f}-{100 * self.high:.{places}f})" if self.n else "-"


@dataclass(frozen=True)
class ClassMetrics:
    """Metrics of one value of a head."""

    value: str
    support: int
    precision: float
    recall: float
    f1: float


@dataclass(frozen=True)
class Calibration:
    """The effect of temperature scaling (Guo et al., ICML 2017) on one head of one network.

    Attributes:
        temperature: fitted on all labeled validation images; 1 if there are too few.
        before: expected calibration error without scaling.
        after: the same with scaling, cross-validated on two halves of the images.
    """

    temperature: float
    before: float
    after: float


@dataclass(frozen=True)
class Bin:
    """Predictions of similar confidence."""

    count: int
    confidence: float
    accuracy: float


@dataclass(frozen=True)
class DetectedImage:
    """The detections in an image with known boxes.

    Attributes:
        row: row of the image in the split.
        true: its true boxes, [m, 4].
        detections: confidence and sides, at most RECALL_AT[-1] rows of 5, most confident first.
        ranks: int [m], rank of the first detection that matches each true box; 0 if none does.
    """

    row: int
    true: Boxes
    detections: NDArray[np.float32]
    ranks: NDArray[np.int64]

    def found_within(self, count: int) -> Flags:
        """Return which true boxes are found by the first `count` detections, bool [m]."""
        return (self.ranks > 0) & (self.ranks <= count)


def labeled(spec: HeadSpec, targets: NDArray[Any]) -> Flags:
    """Return which of n images have the head's label, bool [n]; all false for a metric head."""
    flat = targets.reshape(len(targets), int(np.prod(targets.shape[1:], dtype=int)))
    return np.asarray((flat != MISSING).all(axis=1) if spec.kind != "metric" else np.zeros(len(flat)), np.bool_)


def indicators(predictions: HeadPredictions, predictor: str, head: str, targets: NDArray[Any]) -> tuple[Flags, Flags]:
    """Return the true and predicted classes of the labeled images, bool [m, classes] each.

    If an image has exactly one true value of a sigmoid head, the most probable value is predicted, otherwise all above
    0.5. A digits head has a row for each position, [m * length, 10].
    """
    spec = predictions.spec(head)
    mask = labeled(spec, targets)
    numbers, truth = predictions.predicted(predictor, head)[mask], targets[mask]
    if spec.kind != "sigmoid":
        one_hot = np.eye(spec.logits_shape[-1], dtype=np.bool_)
        return one_hot[truth.ravel()], one_hot[numbers.ravel()]
    true = truth.astype(np.bool_)
    most_probable = np.eye(len(spec.classes), dtype=np.bool_)[numbers]
    several = true.sum(axis=1, keepdims=True) != 1
    return true, np.where(several, predictions.probabilities_of(predictor, head)[mask] > 0.5, most_probable)


def correct(predictions: HeadPredictions, predictor: str, head: str, targets: NDArray[Any]) -> Flags:
    """Return which labeled images are predicted correctly, bool [m]; a number needs all its digits."""
    truth, predicted = indicators(predictions, predictor, head, targets)
    spec = predictions.spec(head)
    positions = spec.length if spec.kind == "digits" else 1
    return np.asarray((truth == predicted).all(axis=1).reshape(-1, positions).all(axis=1), np.bool_)


def outputs_correct(predictions: HeadPredictions, predictor: str, head: str, targets: NDArray[Any]) -> Flags:
    """Return which outputs of a sigmoid head are on the correct side of 0.5, bool [m, classes]."""
    mask = labeled(predictions.spec(head), targets)
    above = predictions.probabilities_of(predictor, head)[mask] > 0.5
    return np.asarray(above == targets[mask].astype(np.bool_), np.bool_)


def all_correct(predictions: HeadPredictions, predictor: str, targets: Targets) -> Flags:
    """For images with labels for all classification heads, return whether all are correct, bool [m]."""
    heads = classification_heads(predictions)
    masks = {spec.name: labeled(spec, targets[spec.name]) for spec in heads}
    mask = np.asarray(np.stack(list(masks.values())).all(axis=0), np.bool_)
    flags = [correct(predictions, predictor, name, targets[name])[mask[own]] for name, own in masks.items()]
    return np.asarray(np.stack(flags).all(axis=0), np.bool_)


def classification_heads(predictions: HeadPredictions) -> list[HeadSpec]:
    """Return the heads that predict labels."""
    return [spec for spec in predictions.specs if spec.is_classification]


def confusion(truth: Flags, predicted: Flags) -> NDArray[np.int64]:
    """Return how often each true class (row) is predicted as each class (column), int64 [classes, classes]."""
    return np.asarray(truth.T.astype(np.int64) @ predicted.astype(np.int64), np.int64)


def per_class(spec: HeadSpec, truth: Flags, predicted: Flags) -> list[ClassMetrics]:
    """Return the metrics for each value or digit, from `indicators`."""
    from sklearn.metrics import precision_recall_fscore_support

    names = DIGITS if spec.kind == "digits" else spec.classes
    columns = precision_recall_fscore_support(truth, predicted, average=None, zero_division=0)
    return [
        ClassMetrics(name, int(support), float(precision), float(recall), float(f1))
        for name, precision, recall, f1, support in zip(names, *columns, strict=True)
    ]


def most_confident_errors(
    predictions: HeadPredictions, head: str, targets: NDArray[Any], count: int
) -> list[tuple[int, str, str, float]]:
    """Return (row, predicted, true, confidence) of errors of the vote, most confident first."""
    spec = predictions.spec(head)
    rows = np.flatnonzero(labeled(spec, targets))
    wrong = rows[~correct(predictions, VOTE, head, targets)]
    confidence, predicted = predictions.confidence(VOTE, head), predictions.vote(head)
    order = sorted(wrong.tolist(), key=lambda row: -confidence[row])[:count]
    return [(row, predicted[row], _label_of(spec, targets[row]), float(confidence[row])) for row in order]


def confidences(spec: HeadSpec, probabilities: NDArray[Any], targets: NDArray[Any]) -> tuple[NDArray[Any], Flags]:
    """Return the confidence and correctness of each prediction for the labeled images, each [a].

    A softmax head makes one prediction per image, a digits head one per position, a sigmoid head one per value.
    """
    mask = labeled(spec, targets)
    found, truth = probabilities[mask], targets[mask]
    if spec.kind == "sigmoid":
        return np.maximum(found, 1 - found).ravel(), ((found > 0.5) == truth.astype(np.bool_)).ravel()
    return found.max(axis=-1).ravel(), (found.argmax(axis=-1) == truth).ravel()


def reliability_bins(confidence: NDArray[Any], hits: Flags) -> list[Bin]:
    """Group predictions into bins of equal width by confidence; empty bins are omitted."""
    numbers = np.minimum((confidence * _BINS).astype(int), _BINS - 1)
    masks = [numbers == number for number in np.unique(numbers)]
    return [Bin(int(mask.sum()), float(confidence[mask].mean()), float(hits[mask].mean())) for mask in masks]


def calibration_error(confidence: NDArray[Any], hits: Flags) -> float:
    """Return the expected calibration error: the weighted mean difference of confidence and accuracy over the bins."""
    total = max(1, len(confidence))
    return sum(one.count * abs(one.confidence - one.accuracy) for one in reliability_bins(confidence, hits)) / total


def calibrate(spec: HeadSpec, logits: NDArray[Any], targets: NDArray[Any]) -> Calibration:
    """Fit the temperature of one head of one network to n validation images: logits [n, *logits_shape], targets."""
    mask = labeled(spec, targets)
    own, truth = logits[mask], targets[mask]

    def measure(rows: Any, temperature: float) -> tuple[NDArray[Any], Flags]:
        scaled = replace(spec, temperature=temperature)
        return confidences(scaled, scaled.probabilities(own[rows]), truth[rows])

    before = calibration_error(*measure(slice(None), 1.0))
    if len(own) < _MIN_CALIBRATION:
        return Calibration(1.0, before, before)
    even = np.arange(len(own)) % 2 == 0
    halves = [
        measure(measured, fit_temperature(spec, own[fitted], truth[fitted]))
        for fitted, measured in ((even, ~even), (~even, even))
    ]
    after = calibration_error(*(np.concatenate(parts) for parts in zip(*halves, strict=True)))
    return Calibration(fit_temperature(spec, own, truth), before, after)


def fit_temperature(spec: HeadSpec, logits: NDArray[Any], truth: NDArray[Any]) -> float:
    """Return the temperature, between 0.2 and 10, that maximizes the likelihood of the truth."""
    from scipy.optimize import minimize_scalar

    def negative_log_likelihood(log_temperature: float) -> float:
        scaled = replace(spec, temperature=float(np.exp(log_temperature)))
        found = scaled.probabilities(logits).astype(np.float64)
        if spec.kind == "sigmoid":
            likelihood = np.where(truth.astype(np.bool_), found, 1 - found)
        else:
            likelihood = np.take_along_axis(found, truth[..., None].astype(np.int64), axis=-1)
        return float(-np.log(np.maximum(likelihood, 1e-12)).mean())

    best = minimize_scalar(negative_log_likelihood, bounds=tuple(np.log(_TEMPERATURES)), method="bounded")
    return round(float(np.exp(best.x)), 4)


def match_detections(cells: NDArray[np.float32], targets: NDArray[Any]) -> list[DetectedImage]:
    """Match the detections in n images to their true boxes; images with unknown boxes are omitted.

    Args:
        cells: as returned by `vsearch.detection.boxes.decode_grid`, [n, rows, columns, 5].
        targets: [n, k, 4]; empty boxes are padding, -1 is unknown.
    """
    images = []
    for row in np.flatnonzero((targets >= 0).all(axis=(1, 2))).tolist():
        true = targets[row][box_areas(targets[row]) > 0]
        detections = non_max_suppression(cells[row], RECALL_AT[-1])
        hits = iou(true, detections[:, 1:]) >= IOU_THRESHOLD
        ranks = np.where(hits.any(axis=1), hits.argmax(axis=1) + 1, 0) if hits.size else np.zeros(len(true), np.int64)
        images.append(DetectedImage(row, true, detections, ranks))
    return images


def recall_at(images: list[DetectedImage], count: int) -> Proportion:
    """Return the proportion of true boxes found by the first `count` detections of their image."""
    return Proportion.of(np.concatenate([np.empty(0, np.bool_), *(image.found_within(count) for image in images)]))


def _label_of(spec: HeadSpec, target: NDArray[Any]) -> str:
    if spec.kind == "sigmoid":
        return spec.separator.join(name for name, true in zip(spec.classes, target, strict=True) if true)
    return spec.decode(target[None])[0]
