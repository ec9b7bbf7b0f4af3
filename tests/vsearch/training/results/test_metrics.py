import numpy as np
import pytest

from vsearch.models.trained_heads import VOTE, HeadPredictions, HeadSpec
from vsearch.training.results import head_metrics
from vsearch.training.results.head_metrics import Proportion

KIND = HeadSpec("kind", "softmax", ("bed", "sofa", "table"))
COLOR = HeadSpec("color", "sigmoid", ("black", "blue", "red"))
NUMBER = HeadSpec("number", "digits", length=2)
METRIC = HeadSpec("product", "metric")
NONE = [0.0] * 4
LEFT, RIGHT, LOW = [0.0, 0.0, 0.4, 1.0], [0.6, 0.0, 1.0, 1.0], [0.4, 0.8, 0.6, 1.0]


def predictions(spec: HeadSpec, rows: list[object]) -> HeadPredictions:
    """Return the predictions of one head of a network."""
    return HeadPredictions((spec,), {"a": {spec.name: np.array(rows, np.float32)}})


def sampled(spec: HeadSpec, count: int = 3000) -> tuple[np.ndarray, np.ndarray]:
    """Return calibrated logits, and labels drawn from their probabilities."""
    rng = np.random.default_rng(5)
    logits = rng.normal(0, 2, (count, *spec.logits_shape)).astype(np.float32)
    probabilities = spec.probabilities(logits)
    if spec.kind == "sigmoid":
        return logits, (rng.uniform(size=probabilities.shape) < probabilities).astype(np.int32)
    drawn = rng.uniform(size=(*probabilities.shape[:-1], 1)) < np.cumsum(probabilities, axis=-1)
    return logits, drawn.argmax(axis=-1).astype(np.int32)


def test_images_without_a_label_are_left_out():
    found = head_metrics.correct(predictions(KIND, [[0.8, 0.1, 0.1]] * 3), "a", "kind", np.array([0, -1, 2]))

    assert found.tolist() == [True, False]


def test_one_value_is_compared_with_the_most_probable_and_several_as_a_set():
    predicted = predictions(COLOR, [[0.4, 0.1, 0.0], [0.9, 0.6, 0.0], [0.9, 0.6, 0.0], [0.9, 0.6, 0.7]])
    truth = np.array([[1, 0, 0], [1, 0, 0], [1, 1, 0], [1, 1, 0]])

    assert head_metrics.correct(predicted, "a", "color", truth).tolist() == [True, True, True, False]
    assert head_metrics.outputs_correct(predicted, "a", "color", truth)[:2].tolist() == [
        [False, True, True],
        [True, False, True],
    ]


def test_a_number_is_correct_if_all_its_digits_are():
    digits = [np.eye(10)[[int(digit) for digit in number]] for number in ("42", "43", "52", "99")]
    truth = np.array([[4, 2], [4, 2], [4, 2], [-1, -1]])

    assert head_metrics.correct(predictions(NUMBER, digits), "a", "number", truth).tolist() == [True, False, False]


def test_all_heads_are_compared_on_images_with_every_label():
    predicted = HeadPredictions(
        (KIND, COLOR, METRIC),
        {
            "a": {
                "kind": np.array([[1, 0, 0]] * 4, np.float32),
                "color": np.array([[1, 0.6, 0]] * 4, np.float32),
                "product": np.zeros((4, 128), np.float32),
            }
        },
    )
    targets = {
        "kind": np.array([0, 0, 0, -1]),
        "color": np.array([[1, 0, 0], [0, 1, 0], [-1, -1, -1], [1, 0, 0]]),
        "product": np.arange(4),
    }

    assert head_metrics.all_correct(predicted, "a", targets).tolist() == [True, False]


def test_confusion_and_metrics_of_each_class():
    predicted = predictions(KIND, [[1, 0, 0], [1, 0, 0], [0, 1, 0], [0, 1, 0]])
    truth, claimed = head_metrics.indicators(predicted, "a", "kind", np.array([0, 1, 1, 2]))

    assert head_metrics.confusion(truth, claimed).tolist() == [[1, 0, 0], [1, 1, 0], [0, 1, 0]]
    bed, sofa, table = head_metrics.per_class(KIND, truth, claimed)
    assert (bed.support, bed.precision, bed.recall, bed.f1) == (1, 0.5, 1.0, pytest.approx(2 / 3))
    assert (sofa.precision, sofa.recall) == (0.5, 0.5)
    assert (table.precision, table.recall, table.f1) == (0.0, 0.0, 0.0)


def test_a_proportion_has_an_interval():
    many, few = (Proportion.of(np.arange(count) % 10 != 0) for count in (1000, 20))

    assert (many.mean, few.mean) == (0.9, 0.9)
    assert few.high - few.low > many.high - many.low > 0.02
    assert Proportion.of(np.empty(0, np.bool_)).n == 0
    assert str(many).startswith("90.0 (88.")


@pytest.mark.parametrize(
    ("spec", "rows", "targets", "expected"),
    [
        (
            KIND, [[0.5, 0.3, 0.2], [0.9, 0.1, 0.0], [0.9, 0.1, 0.0], [0.1, 0.8, 0.1]], [1, 2, 0, 0],
            [(1, "bed", "table"), (3, "sofa", "bed")],
        ),
        (COLOR, [[0.1, 0.9, 0.2]], [[1, 0, 1]], [(0, "blue", "black|red")]),
        (NUMBER, [np.eye(10)[[4, 2]]], [[0, 7]], [(0, "42", "07")]),
    ],
    ids=["softmax", "sigmoid", "digits"],
)  # fmt: skip
def test_errors_are_listed_most_confident_first(spec, rows, targets, expected):
    found = head_metrics.most_confident_errors(predictions(spec, rows), spec.name, np.array(targets), 2)

    assert [error[:3] for error in found] == expected


def test_the_vote_is_a_predictor_like_any_other():
    rows = {
        name: {"kind": np.eye(3, dtype=np.float32)[[number]]} for name, number in zip("abc", (0, 0, 1), strict=True)
    }
    predicted = HeadPredictions((KIND,), rows)

    found = {name: bool(head_metrics.correct(predicted, name, "kind", np.array([0]))[0]) for name in ("a", "c", VOTE)}
    assert found == {"a": True, "c": False, VOTE: True}


@pytest.mark.parametrize("spec", [KIND, COLOR, NUMBER], ids=lambda spec: spec.kind)
def test_a_temperature_corrects_overconfidence(spec):
    logits, truth = sampled(spec)

    found = head_metrics.calibrate(spec, 3 * logits, truth)

    assert found.temperature == pytest.approx(3, rel=0.1)
    assert found.before > 3 * found.after


def test_calibration_ignores_images_without_a_label():
    logits, truth = sampled(KIND)
    unlabeled = np.concatenate([truth, np.full(500, -1, np.int32)])

    found = head_metrics.calibrate(KIND, np.concatenate([logits, 100 * logits[:500]]), unlabeled)

    assert found == head_metrics.calibrate(KIND, logits, truth)
    none = head_metrics.calibrate(KIND, np.zeros((4, 3)), np.full(4, -1))
    assert (none.temperature, none.before, none.after) == (1, 0, 0)


def test_a_few_images_fit_no_temperature():
    logits, truth = sampled(KIND, 10)

    assert head_metrics.calibrate(KIND, 3 * logits, truth).temperature == 1


def test_the_calibration_error_is_the_distance_of_confidence_and_accuracy():
    assert head_metrics.calibration_error(np.ones(10), np.arange(10) % 2 == 0) == pytest.approx(0.5)
    assert head_metrics.calibration_error(np.empty(0), np.empty(0, np.bool_)) == 0
    bins = head_metrics.reliability_bins(np.array([0.0, 0.5, 0.51, 1.0]), np.array([False, True, False, True]))
    assert [(one.count, one.accuracy) for one in bins] == [(1, 0.0), (2, 0.5), (1, 1.0)]


def cells(*rows: tuple[float, list[float]]) -> np.ndarray:
    """Return a grid of six cells, each with a confidence and a box."""
    filled = [*rows, *[(0.0, NONE)] * (6 - len(rows))]
    return np.array([[confidence, *box] for confidence, box in filled], np.float32).reshape(2, 3, 5)


GRIDS = np.stack(
    [cells((0.9, LEFT), (0.8, LOW), (0.2, RIGHT)), cells((0.9, LOW)), cells((0.1, LOW)), cells((0.9, LEFT))]
)
TRUE_BOXES = np.array([[LEFT, RIGHT], [LEFT, NONE], [NONE, NONE], [[-1] * 4] * 2], np.float32)


def test_a_true_box_is_found_by_the_first_detection_that_overlaps_it():
    found = head_metrics.match_detections(GRIDS, TRUE_BOXES)

    assert [image.row for image in found] == [0, 1, 2]
    assert [image.ranks.tolist() for image in found] == [[1, 3], [0], []]
    assert found[0].found_within(1).tolist() == [True, False]
    assert [head_metrics.recall_at(found, count).mean for count in (1, 3, 5)] == pytest.approx([1 / 3, 2 / 3, 2 / 3])
