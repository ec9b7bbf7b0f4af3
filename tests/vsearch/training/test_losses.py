from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from vsearch.models.trained_heads import HeadSpec
from vsearch.training.plan import HeadPlan

pytestmark = pytest.mark.keras

KIND = HeadSpec("kind", "softmax", ("bed", "sofa", "table"))
TINTS = HeadSpec("tints", "sigmoid", ("red", "blue"))
NUMBER = HeadSpec("number", "digits", length=2)
PRODUCT = HeadSpec("product", "metric", size=4)
BOXES = HeadSpec("products", "boxes")
TARGETS: dict[str, NDArray[Any]] = {
    "kind": np.array([0, 2, -1, 2]),
    "tints": np.array([[1, 0], [0, 0], [-1, -1], [1, 1]]),
    "number": np.array([[1, 2], [3, 4], [-1, -1], [9, 0]]),
}
"""The third sample has no label."""


def evaluate(spec: HeadSpec, targets: NDArray[Any], logits: NDArray[Any], **plan: Any) -> tuple[float, float]:
    """Return the loss and accuracy that Keras computes from encoded targets."""
    from vsearch.training.losses import HeadAccuracy, HeadLoss

    loss = HeadLoss(spec, HeadPlan(name=spec.name, kind=spec.kind, **plan))
    accuracy = HeadAccuracy(loss)
    accuracy.update_state(targets, logits.astype(np.float32))
    return float(loss(targets, logits.astype(np.float32))), float(accuracy.result())


def encoded(spec: HeadSpec, rows: Any = slice(None)) -> NDArray[Any]:
    from vsearch.training.loop.batches import encode_targets

    return encode_targets(spec, TARGETS[spec.name][rows])


def log_softmax(logits: NDArray[Any]) -> NDArray[Any]:
    return np.asarray(logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True)))


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_softmax_is_the_mean_cross_entropy_of_labeled_samples(rng, smoothing):
    logits = rng.normal(size=(4, 3))
    truth = np.eye(3)[[0, 2, 2]] * (1 - smoothing) + smoothing / 3

    loss, accuracy = evaluate(KIND, encoded(KIND), logits, label_smoothing=smoothing)

    assert loss == pytest.approx(-(truth * log_softmax(logits)[[0, 1, 3]]).sum() / 3, rel=1e-5)
    assert accuracy == pytest.approx(np.mean(logits[[0, 1, 3]].argmax(axis=1) == [0, 2, 2]))


def test_sigmoid_is_the_mean_over_the_outputs(rng):
    logits = rng.normal(size=(4, 2))
    truth = TARGETS["tints"][[0, 1, 3]]
    predicted = 1 / (1 + np.exp(-logits[[0, 1, 3]]))

    loss, accuracy = evaluate(TINTS, encoded(TINTS), logits)

    assert loss == pytest.approx(-(truth * np.log(predicted) + (1 - truth) * np.log(1 - predicted)).mean(), rel=1e-5)
    assert accuracy == pytest.approx(((predicted > 0.5) == truth).mean())


def test_a_number_is_correct_if_all_its_digits_are():
    logits = 9.0 * np.eye(10)[np.maximum(TARGETS["number"], 0)]
    logits[1, 1] = 9.0 * np.eye(10)[7]

    loss, accuracy = evaluate(NUMBER, encoded(NUMBER), logits)

    assert accuracy == pytest.approx(2 / 3)
    assert loss == pytest.approx(9 / 2 / 3, abs=0.01)


@pytest.mark.parametrize("spec", [KIND, TINTS, NUMBER], ids=lambda spec: spec.kind)
def test_a_batch_without_labels_has_no_loss_and_no_gradient(rng, spec):
    import tensorflow as tf

    from vsearch.training.losses import HeadLoss

    logits = tf.constant(rng.normal(size=(1, *spec.logits_shape)), tf.float32)
    targets = encoded(spec, slice(2, 3))
    with tf.GradientTape() as tape:
        tape.watch(logits)
        loss = HeadLoss(spec, HeadPlan(name=spec.name, kind=spec.kind))(targets, logits)

    assert float(loss) == 0
    assert not np.asarray(tape.gradient(loss, logits)).any()
    assert np.isnan(evaluate(spec, targets, logits.numpy())[1])


@pytest.mark.parametrize(
    ("spec", "targets", "expected"),
    [
        (KIND, np.array([0, 2, -1, 2]), [1.5, 0, 0.75]),
        (TINTS, np.array([[1, 0], [0, 1], [0, 1], [0, 0], [-1, -1]]), [[4 / 6, 1], [2, 1]]),
    ],
    ids=["softmax", "sigmoid"],
)
def test_balanced_weights_have_a_mean_of_one(spec, targets, expected):
    from vsearch.training.losses import head_losses

    plan = HeadPlan(name=spec.name, kind=spec.kind, class_weights="balanced")

    np.testing.assert_allclose(head_losses([plan], [spec], {spec.name: targets})[spec.name].class_weights, expected)


def test_class_weights_scale_the_loss(rng):
    from vsearch.training.losses import HeadLoss

    logits = rng.normal(size=(4, 3)).astype(np.float32)
    weights = np.array([2, 1, 0.5], np.float32)

    loss = HeadLoss(KIND, HeadPlan(name="kind", kind="softmax"), weights)(encoded(KIND), logits)

    expected = -(weights[[0, 2, 2]] * log_softmax(logits)[[0, 1, 3], [0, 2, 2]]).mean()
    assert float(loss) == pytest.approx(expected, rel=1e-5)


def similarities(views: NDArray[Any], temperature: float) -> NDArray[Any]:
    unit = views / np.linalg.norm(views, axis=1, keepdims=True)
    scores = unit @ unit.T / temperature
    np.fill_diagonal(scores, -np.inf)
    return np.asarray(scores)


@pytest.mark.parametrize(
    ("products", "positives"), [([5, 6, 7, 5, 6, 7], [3]), ([5, 5, 7, 5, 5, 7], [1, 3, 4])], ids=["pairs", "four views"]
)
def test_supcon_matches_its_paper(rng, products, positives):
    from vsearch.training.losses import supcon

    views = rng.normal(size=(6, 4)).astype(np.float32)

    found = supcon(views, np.array(products), 0.5)

    assert float(found[0]) == pytest.approx(-log_softmax(similarities(views, 0.5)[0])[positives].mean(), rel=1e-5)


def test_a_metric_head_is_correct_if_the_nearest_view_is_of_the_same_product():
    views = np.array([[1, 0], [0, 1], [-1, 0], [1, 0.1], [1, 0.2], [-1, 0.1]], np.float32)
    products = np.array([0, 1, -1, 0, 1, -1], np.int32)

    assert evaluate(PRODUCT, products, views)[1] == pytest.approx(2 / 4)


def cells_by_loop(boxes: NDArray[Any], rows: int, columns: int) -> NDArray[Any]:
    """Return, for each cell, the number of the smallest box whose core contains the cell's center, or -1."""
    found = np.full((rows, columns), -1)
    for row in range(rows):
        for column in range(columns):
            x, y, smallest = (column + 0.5) / columns, (row + 0.5) / rows, 9.0
            for number, (left, top, right, bottom) in enumerate(boxes):
                area = (right - left) * (bottom - top)
                near_x = abs(x - (left + right) / 2) <= max((right - left) / 4, 0.5 / columns)
                near_y = abs(y - (top + bottom) / 2) <= max((bottom - top) / 4, 0.5 / rows)
                if 0 < area < smallest and near_x and near_y:
                    found[row, column], smallest = number, area
    return found


@pytest.mark.parametrize("seed", range(3))
def test_cells_predict_the_smallest_box_around_them(seed):
    from vsearch.training.losses import assign_cells

    rng = np.random.default_rng(seed)
    low = rng.uniform(0, 0.7, (4, 2))
    boxes = np.concatenate([low, low + rng.uniform(0.02, 0.3, (4, 2))], axis=1).astype(np.float32)
    boxes[3] = 0

    assigned, wanted = (part.numpy()[0] for part in assign_cells(boxes[None], (9, 12)))

    expected = cells_by_loop(boxes, 9, 12)
    np.testing.assert_array_equal(assigned == 1, expected >= 0)
    np.testing.assert_array_equal(wanted[expected >= 0], boxes[expected[expected >= 0]])
    assert assigned.sum() >= 3


def test_generalized_iou():
    from vsearch.training.losses import generalized_iou

    one = np.array([[0, 0, 2, 2], [0, 0, 2, 2], [0, 0, 1, 1]], np.float32)
    other = np.array([[0, 0, 2, 2], [1, 1, 3, 3], [3, 3, 4, 4]], np.float32)

    np.testing.assert_allclose(generalized_iou(one, other).numpy(), [1, 1 / 7 - 2 / 9, -14 / 16], atol=1e-6)


def test_the_focal_loss_weights_hard_examples():
    from vsearch.training.losses import focal_loss

    truth, logits = np.array([1, 1, 0, 0], np.float32), np.array([5, 0, 0, 5], np.float32)

    found = np.asarray(focal_loss(truth, logits))

    np.testing.assert_allclose(found[1:3], [0.25 * 0.25 * np.log(2), 0.75 * 0.25 * np.log(2)], rtol=1e-4)
    assert found[0] < 1e-5
    assert found[3] > 3


def test_pictures_with_unknown_boxes_are_ignored():
    logits = np.random.default_rng(0).normal(0, 3, (3, 4, 4, 5)).astype(np.float32)
    logits[2, ..., 0] = -9
    targets = np.zeros((3, 2, 4), np.float32)
    targets[0] = -1

    unknown, confident, empty = (evaluate(BOXES, targets[[row]], logits[[row]]) for row in range(3))

    assert unknown[0] == 0
    assert confident[0] > 1
    assert confident[1] == 0
    assert empty[0] < 1e-3
    assert empty[1] == 1
    assert evaluate(BOXES, targets, logits)[0] == pytest.approx((confident[0] + empty[0]) / 2, rel=1e-4)
