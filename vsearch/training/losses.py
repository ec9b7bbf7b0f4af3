"""Keras losses and accuracies for each kind of head. Samples without a label count in neither.

For targets see `vsearch.training.loop.batches`; those of a metric head are for two views, [0:b/2] and [b/2:b].
"""

from collections.abc import Sequence
from typing import Any, Final

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from vsearch.detection.boxes import IOU_THRESHOLD, MAX_LOG_DISTANCE, MIN_LOG_DISTANCE, cell_centers
from vsearch.models.trained_heads import MISSING, HeadSpec
from vsearch.training.plan import HeadPlan

_MASKED_SIMILARITY: Final = -1e9
_BOX_CORE: Final = 0.25  # distance from the center of a box, as a fraction of its side
_FOCAL_ALPHA, _FOCAL_GAMMA = 0.25, 2.0
_NO_AREA: Final = 9.0  # larger than any area

Terms = tuple[Any, Any, Any]
"""Loss, correctness (0..1) and whether there is a label, each [b]."""


class HeadLoss(keras.losses.Loss):  # type: ignore[misc]  # Keras is untyped
    """The mean loss of a head over the labeled samples of a batch, or 0 if there are none.

    Args:
        spec: the head.
        plan: its loss, smoothing and temperature.
        class_weights: float32 [classes] for softmax and digits, [2, classes] (absent, present) for sigmoid, or None.
    """

    def __init__(self, spec: HeadSpec, plan: HeadPlan, class_weights: NDArray[np.float32] | None = None) -> None:
        super().__init__(name=spec.name)
        self.spec, self.plan, self.class_weights = spec, plan, class_weights

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Return the loss of each sample, scaled so that the batch mean equals the mean over labeled samples."""
        each, _, labeled = self.terms(y_true, y_pred)
        mask = tf.cast(labeled, tf.float32)
        scale = tf.math.divide_no_nan(tf.cast(tf.size(mask), tf.float32), tf.reduce_sum(mask))
        return tf.where(labeled, each, tf.zeros_like(each)) * scale

    def terms(self, targets: Any, logits: Any) -> Terms:
        """Return each sample's loss, correctness and whether it is labeled.

        Correctness is that of the most likely class (softmax), the share of correct outputs (sigmoid), all positions
        (digits), whether the nearest neighbor is of the same product (metric), or the most confident box (boxes).
        """
        if self.spec.kind == "metric":
            return self._metric(tf.cast(tf.reshape(targets, (-1,)), tf.int32), logits)
        if self.spec.kind == "boxes":
            return box_terms(targets, logits)
        smoothing = self.plan.label_smoothing
        if self.spec.kind == "sigmoid":
            each = tf.nn.sigmoid_cross_entropy_with_logits(targets * (1 - smoothing) + smoothing / 2, logits)
            if self.class_weights is not None:
                each *= targets * self.class_weights[1] + (1 - targets) * self.class_weights[0]
            correct = tf.cast((targets > 0.5) == (logits > 0), tf.float32)
            return tf.reduce_mean(each, -1), tf.reduce_mean(correct, -1), targets[:, 0] >= 0
        smooth = targets * (1 - smoothing) + smoothing / targets.shape[-1]
        each = tf.nn.softmax_cross_entropy_with_logits(smooth, logits)
        if self.class_weights is not None:
            each *= tf.linalg.matvec(targets, self.class_weights)
        same = tf.argmax(targets, -1) == tf.argmax(logits, -1)
        if self.spec.kind == "digits":
            each, same = tf.reduce_mean(each, -1), tf.reduce_all(same, axis=-1)
            return each, tf.cast(same, tf.float32), targets[:, 0, 0] >= 0
        return each, tf.cast(same, tf.float32), targets[:, 0] >= 0

    def _metric(self, products: Any, embeddings: Any) -> Terms:
        each = supcon(embeddings, products, self.plan.temperature)
        others = tf.where(tf.eye(tf.shape(embeddings)[0], dtype=tf.bool), _MASKED_SIMILARITY, _similarities(embeddings))
        correct = tf.gather(products, tf.argmax(others, -1)) == products
        return each, tf.cast(correct, tf.float32), products != MISSING


class HeadAccuracy(keras.metrics.Mean):  # type: ignore[misc]
    """The mean correctness over the labeled samples, or NaN if there are none."""

    def __init__(self, loss: HeadLoss) -> None:
        super().__init__(name="accuracy")
        self._loss = loss

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Add a batch."""
        _, correct, labeled = self._loss.terms(y_true, y_pred)
        super().update_state(correct, sample_weight=tf.cast(labeled, tf.float32))

    def result(self) -> Any:
        """Return the mean."""
        return keras.ops.where(self.count > 0, super().result(), np.nan)


def head_losses(plans: Sequence[HeadPlan], specs: Sequence[HeadSpec], targets: Any) -> dict[str, HeadLoss]:
    """Return the loss for each head, given the training split's targets (head -> targets, see `Split`)."""
    return {
        spec.name: HeadLoss(
            spec,
            plan,
            balanced_weights(spec, targets[spec.name])
            if plan.class_weights == "balanced" and plan.kind not in ("metric", "boxes")
            else None,
        )
        for plan, spec in zip(plans, specs, strict=True)
    }


def balanced_weights(spec: HeadSpec, targets: NDArray[Any]) -> NDArray[np.float32]:
    """Return class weights whose mean over the labeled training samples is 1; 0 for a class without samples."""
    if spec.kind == "sigmoid":
        labeled = targets[targets[:, 0] != MISSING]
        counts = np.stack([(labeled == value).sum(axis=0) for value in (0, 1)])
        return np.asarray(len(labeled) / (2 * np.maximum(counts, 1)) * (counts > 0), np.float32)
    counts = np.bincount(targets[targets != MISSING].ravel(), minlength=spec.logits_shape[-1])
    return np.asarray(counts.sum() / np.maximum(counts, 1) / max(1, (counts > 0).sum()) * (counts > 0), np.float32)


def supcon(embeddings: Any, products: Any, temperature: float) -> Any:
    """Return the loss of each view, float32 [n] (Khosla et al., NeurIPS 2020, the sum outside the logarithm).

    Each view should be close to all other views of its product; without a product, its loss is 0. With two views
    of each product it equals NT-Xent (Chen et al., ICML 2020).

    Args:
        embeddings: [n, size], not necessarily normalized.
        products: int [n].
        temperature: divides the similarities.
    """
    itself = tf.eye(tf.shape(embeddings)[0], dtype=tf.bool)
    logits = tf.where(itself, _MASKED_SIMILARITY, _similarities(embeddings) / temperature)
    same = (products[:, None] == products[None, :]) & (products != MISSING)[:, None]
    positives = tf.cast(same & ~itself, tf.float32)
    log_likelihood = tf.nn.log_softmax(logits)
    return -tf.math.divide_no_nan(tf.reduce_sum(positives * log_likelihood, axis=1), tf.reduce_sum(positives, axis=1))


def box_terms(targets: Any, logits: Any) -> Terms:
    """Return an anchor-free detector's loss and correctness for each image, and whether the image is labeled.

    As in FCOS (Tian et al., ICCV 2019), a cell whose center is in the core of a box predicts that box, or the smallest
    of several. The loss is the focal loss (Lin et al., ICCV 2017) for objectness and the GIoU loss for the sides. A
    image is correct if its most confident box overlaps a true one or, without true boxes, no confidence reaches 0.5.

    Args:
        targets: float32 [b, k, 4], relative; empty boxes are padding, -1 is unknown.
        logits: float32 [b, h, w, 5], see `vsearch.detection.boxes`.
    """
    assigned, wanted = assign_cells(targets, tuple(logits.shape[1:3]))
    predicted = predicted_boxes(logits)
    count = tf.reduce_sum(assigned, axis=(1, 2))
    objectness = tf.reduce_sum(focal_loss(assigned, logits[..., 0]), axis=(1, 2)) / tf.maximum(count, 1.0)
    regression = tf.math.divide_no_nan(
        tf.reduce_sum(assigned * (1 - generalized_iou(predicted, wanted)), axis=(1, 2)), count
    )
    batch = tf.shape(logits)[0]
    confidence = tf.reshape(logits[..., 0], (batch, -1))
    best = tf.gather(tf.reshape(predicted, (batch, -1, 4)), tf.argmax(confidence, axis=1), batch_dims=1)[:, None]
    intersection = _area(tf.maximum(best[..., :2], targets[..., :2]), tf.minimum(best[..., 2:], targets[..., 2:]))
    true = _area(targets[..., :2], targets[..., 2:])
    union = _area(best[..., :2], best[..., 2:]) + true - intersection
    found = tf.reduce_any((true > 0) & (intersection >= IOU_THRESHOLD * union), axis=1)
    correct = tf.where(tf.reduce_any(true > 0, axis=1), found, tf.reduce_max(confidence, axis=1) < 0)
    return objectness + regression, tf.cast(correct, tf.float32), targets[:, 0, 0] >= 0


def assign_cells(targets: Any, grid: tuple[int, int]) -> tuple[Any, Any]:
    """Return which cells predict a box, float32 [b, h, w] of 0 and 1, and the boxes, float32 [b, h, w, 4].

    The core of a box is the middle half of each side, but at least one cell.
    """
    rows, columns = grid
    centers = tf.constant(cell_centers(rows, columns))[None, :, :, None]  # [1, h, w, 1, 2]
    boxes = targets[:, None, None]  # [b, 1, 1, k, 4]
    size = boxes[..., 2:] - boxes[..., :2]
    reach = tf.maximum(_BOX_CORE * size, (0.5 / columns, 0.5 / rows))
    area = tf.reduce_prod(size, axis=-1)
    inside = tf.reduce_all(tf.abs(centers - (boxes[..., :2] + boxes[..., 2:]) / 2) <= reach, axis=-1) & (area > 0)
    smallest = tf.argmin(tf.where(inside, area, _NO_AREA), axis=-1)
    return tf.cast(tf.reduce_any(inside, axis=-1), tf.float32), tf.gather(targets, smallest, batch_dims=1)


def predicted_boxes(logits: Any) -> Any:
    """Return the boxes predicted by cells [b, h, w, 5], float32 [b, h, w, 4], not clipped to the image."""
    distances = tf.exp(tf.clip_by_value(logits[..., 1:], MIN_LOG_DISTANCE, MAX_LOG_DISTANCE))
    centers = tf.constant(cell_centers(*logits.shape[1:3]))
    return tf.concat([centers - distances[..., :2], centers + distances[..., 2:]], axis=-1)


def focal_loss(truth: Any, logits: Any) -> Any:
    """Return the focal loss of each logit; truth is 0 or 1."""
    return keras.losses.binary_focal_crossentropy(
        truth[..., None],
        logits[..., None],
        apply_class_balancing=True,
        alpha=_FOCAL_ALPHA,
        gamma=_FOCAL_GAMMA,
        from_logits=True,
    )


def generalized_iou(one: Any, other: Any) -> Any:
    """Return the generalized IoU of pairs of boxes [..., 4], -1..1 (Rezatofighi et al., CVPR 2019)."""
    intersection = _area(tf.maximum(one[..., :2], other[..., :2]), tf.minimum(one[..., 2:], other[..., 2:]))
    union = _area(one[..., :2], one[..., 2:]) + _area(other[..., :2], other[..., 2:]) - intersection
    hull = _area(tf.minimum(one[..., :2], other[..., :2]), tf.maximum(one[..., 2:], other[..., 2:]))
    return tf.math.divide_no_nan(intersection, union) - tf.math.divide_no_nan(hull - union, hull)


def _similarities(embeddings: Any) -> Any:
    unit = tf.math.l2_normalize(embeddings, axis=-1)
    return tf.matmul(unit, unit, transpose_b=True)


def _area(low: Any, high: Any) -> Any:
    return tf.reduce_prod(tf.maximum(high - low, 0.0), axis=-1)
