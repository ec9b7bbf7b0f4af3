"""What each kind of head learns from, and how its answers are counted; a missing label costs and counts nothing.

Targets are float32 with -1 where missing: softmax [b, classes], sigmoid [b, classes], digits [b, length, 10]; a metric
head has int64 [b] product numbers of two views, [0 : b/2] and [b/2 : b]; a boxes head [b, k, 4], see `box_losses`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from vsearch.models.trained_heads import MISSING, HeadSpec
from vsearch.training.box_losses import box_sums
from vsearch.training.plan_parts import HeadPlan

PARTS = 3
"""Numbers of a sum: loss, right answers, labelled pictures."""

_FAR = -1e9  # a similarity that no softmax sees


@dataclass(frozen=True)
class Objective:
    """One head: its loss and how it is counted.

    Attributes:
        weight: of its loss among the others.
        class_weights: float32 [classes] for softmax and digits, [2, classes] (absent, present) for sigmoid, or None.
        loss: "supcon" or "nt_xent", of a metric head.
    """

    spec: HeadSpec
    weight: float = 1.0
    smoothing: float = 0.0
    class_weights: NDArray[np.float32] | None = None
    loss: str = "supcon"
    temperature: float = 0.1

    def sums(self, targets: Any, logits: Any, *, training: bool) -> Any:
        """Return float32 [PARTS] over the labelled pictures of a batch.

        Class weights and smoothing count in training only. Right is, for softmax, the likeliest class; for sigmoid,
        the share of outputs on their side of one half; for digits, every position; for metric, a nearest neighbour
        in the batch that is the same product; for boxes, whether the surest one is a true one.
        """
        if self.spec.kind == "metric":
            each, right, labelled = _metric(self, targets, logits)
        elif self.spec.kind == "boxes":
            each, right, labelled = box_sums(targets, logits)
        else:
            weights = self.class_weights if training else None
            kind = {"softmax": _softmax, "sigmoid": _sigmoid, "digits": _digits}[self.spec.kind]
            each, right, labelled = kind(targets, logits, self.smoothing if training else 0.0, weights)
        mask = tf.cast(labelled, tf.float32)
        zero = tf.zeros_like(each)
        return tf.stack([tf.reduce_sum(tf.where(labelled, part, zero)) for part in (each, right, mask)])


def objectives(
    plans: Sequence[HeadPlan], specs: Sequence[HeadSpec], targets: Mapping[str, NDArray[Any]]
) -> tuple[Objective, ...]:
    """Join what the plan says of each head with its classes and the training split's targets."""
    by_name = {plan.name: plan for plan in plans}
    return tuple(
        Objective(
            spec,
            weight=by_name[spec.name].weight,
            smoothing=by_name[spec.name].label_smoothing,
            class_weights=_balanced(spec, targets[spec.name]) if _weighs(by_name[spec.name]) else None,
            loss=by_name[spec.name].loss,
            temperature=by_name[spec.name].temperature,
        )
        for spec in specs
    )


def mean_loss(objectives: Sequence[Objective], sums: Any) -> Any:
    """Return the weighted sum of the heads' mean losses from sums [heads, PARTS]; a head without labels adds 0."""
    losses = [o.weight * sums[i][0] / max(float(sums[i][2]), 1.0) for i, o in enumerate(objectives)]
    return float(sum(losses))


def nt_xent(embeddings: Any, temperature: float) -> Any:
    """Return the loss of each of two views of b pictures, float32 [2b] (Chen et al., ICML 2020).

    Each view must find the other among all views of the batch.

    Args:
        embeddings: [2b, size], first views, then second views; of any length.
        temperature: similarities are divided by it.
    """
    count = tf.shape(embeddings)[0]
    logits = tf.where(tf.eye(count, dtype=tf.bool), _FAR, _similarities(embeddings) / temperature)
    other = tf.roll(tf.range(count), count // 2, 0)
    return tf.nn.sparse_softmax_cross_entropy_with_logits(other, logits)


def supcon(embeddings: Any, products: Any, temperature: float) -> Any:
    """Return the loss of each view, float32 [n] (Khosla et al., NeurIPS 2020, the sum outside the logarithm).

    All views of the same product are to be found; one whose product is missing has none to find.

    Args:
        embeddings: [n, size], of any length.
        products: int64 [n].
        temperature: similarities are divided by it.
    """
    count = tf.shape(embeddings)[0]
    itself = tf.eye(count, dtype=tf.bool)
    logits = tf.where(itself, _FAR, _similarities(embeddings) / temperature)
    same = tf.cast(_same(products) & ~itself, tf.float32)
    likelihood = tf.nn.log_softmax(logits)
    return -tf.math.divide_no_nan(tf.reduce_sum(same * likelihood, axis=1), tf.reduce_sum(same, axis=1))


def _softmax(targets: Any, logits: Any, smoothing: float, weights: Any) -> tuple[Any, Any, Any]:
    """[b, c] -> loss, right, labelled, [b] each."""
    labelled = targets[:, 0] >= 0
    right = tf.argmax(targets, -1) == tf.argmax(logits, -1)
    each = tf.nn.softmax_cross_entropy_with_logits(_smooth(targets, smoothing), logits)
    if weights is not None:
        each *= tf.linalg.matvec(targets, weights)
    return each, tf.cast(right, tf.float32), labelled


def _digits(targets: Any, logits: Any, smoothing: float, weights: Any) -> tuple[Any, Any, Any]:
    """[b, length, 10] -> loss (mean over the positions), right (all of them), labelled, [b] each."""
    each = tf.nn.softmax_cross_entropy_with_logits(_smooth(targets, smoothing), logits)
    if weights is not None:
        each *= tf.linalg.matvec(targets, weights)
    right = tf.reduce_all(tf.argmax(targets, -1) == tf.argmax(logits, -1), axis=-1)
    return tf.reduce_mean(each, -1), tf.cast(right, tf.float32), targets[:, 0, 0] >= 0


def _sigmoid(targets: Any, logits: Any, smoothing: float, weights: Any) -> tuple[Any, Any, Any]:
    """[b, c] -> loss (mean over the outputs), right (share of them), labelled, [b] each."""
    each = tf.nn.sigmoid_cross_entropy_with_logits(targets * (1 - smoothing) + smoothing / 2, logits)
    if weights is not None:
        each *= targets * weights[1] + (1 - targets) * weights[0]
    right = tf.cast((targets > 0.5) == (logits > 0), tf.float32)
    return tf.reduce_mean(each, -1), tf.reduce_mean(right, -1), targets[:, 0] >= 0


def _metric(objective: Objective, products: Any, embeddings: Any) -> tuple[Any, Any, Any]:
    if objective.loss == "nt_xent":
        each = nt_xent(embeddings, objective.temperature)
    else:
        each = supcon(embeddings, products, objective.temperature)
    away = tf.where(tf.eye(tf.shape(embeddings)[0], dtype=tf.bool), _FAR, _similarities(embeddings))
    right = tf.gather(products, tf.argmax(away, -1)) == products
    return each, tf.cast(right, tf.float32), products != MISSING


def _similarities(embeddings: Any) -> Any:
    unit = tf.math.l2_normalize(embeddings, axis=-1)
    return tf.matmul(unit, unit, transpose_b=True)


def _same(products: Any) -> Any:
    """Return bool [n, n]; a missing product is like none."""
    return (products[:, None] == products[None, :]) & (products != MISSING)[:, None]


def _smooth(targets: Any, smoothing: float) -> Any:
    return targets * (1 - smoothing) + smoothing / targets.shape[-1]


def _weighs(plan: HeadPlan) -> bool:
    return plan.class_weights == "balanced" and plan.kind not in ("metric", "boxes")


def _balanced(spec: HeadSpec, targets: NDArray[Any]) -> NDArray[np.float32]:
    """Return weights whose mean over the labelled training pictures is 1; a class without any has weight 0."""
    if spec.kind == "sigmoid":
        labelled = targets[targets[:, 0] != MISSING]
        counts = np.stack([(labelled == value).sum(axis=0) for value in (0, 1)])
        return np.asarray(len(labelled) / (2 * np.maximum(counts, 1)) * (counts > 0), np.float32)
    counts = np.bincount(targets[targets != MISSING].ravel(), minlength=spec.logits_shape[-1])
    return np.asarray(counts.sum() / np.maximum(counts, 1) / max(1, (counts > 0).sum()) * (counts > 0), np.float32)
