import numpy as np
import pytest

from vsearch.models.trained_heads import VOTE, HeadPredictions, HeadSpec, predictions_from_logits, vote

KIND = HeadSpec("kind", "softmax", ("bed", "sofa", "table"))
COLOR = HeadSpec("color", "sigmoid", ("black", "blue", "red"))
NUMBER = HeadSpec("number", "digits", length=2)


def digit_probabilities(rows: list[list[int]], mass: float = 0.9) -> np.ndarray:
    """Return digit probabilities that put `mass` on the given digits."""
    found = np.full((len(rows), 2, 10), (1 - mass) / 9, np.float32)
    for picture, row in enumerate(rows):
        for position, digit in enumerate(row):
            found[picture, position, digit] = mass
    return found


def of_three(head: HeadSpec, rows: list[np.ndarray]) -> HeadPredictions:
    return HeadPredictions((head,), {name: {head.name: row} for name, row in zip("abc", rows, strict=True)})


def test_the_majority_outvotes_the_mean() -> None:
    rows = [[[0.5, 0.45, 0.05]], [[0.5, 0.45, 0.05]], [[0.0, 1.0, 0.0]]]
    predictions = of_three(KIND, [np.array(row, np.float32) for row in rows])
    assert predictions.vote("kind") == ["bed"]
    assert predictions.mean("kind").argmax() == 1
    assert predictions.labels("c", "kind") == ["sofa"]
    assert predictions.predictors == ("a", "b", "c", VOTE)


def test_digits_are_voted_one_by_one() -> None:
    predictions = of_three(
        NUMBER, [digit_probabilities([[4, 2]]), digit_probabilities([[4, 7]]), digit_probabilities([[1, 2]])]
    )
    assert predictions.vote("number") == ["42"]
    assert predictions.predicted(VOTE, "number").tolist() == [[4, 2]]
    assert predictions.confidence("a", "number") == pytest.approx([0.81])


def test_the_vote_of_a_sigmoid_head_is_the_mean() -> None:
    rows = [np.array([[0.9, 0.7, 0.0], [0.1, 0.2, 0.4]], np.float32)] * 2 + [
        np.array([[0.9, 0.4, 0.0], [0.1, 0.2, 0.4]], np.float32)
    ]
    predictions = of_three(COLOR, rows)
    assert predictions.vote("color") == ["black|blue", "red"]
    assert predictions.labels("c", "color") == ["black", "red"]
    assert predictions.confidence(VOTE, "color")[1] == pytest.approx(0.4)


def test_a_single_network_has_no_vote() -> None:
    predictions = HeadPredictions((KIND,), {"a": {"kind": np.array([[0.2, 0.7, 0.1]], np.float32)}})
    assert predictions.predictors == ("a",)
    assert predictions.vote("kind") == ["sofa"]


@pytest.mark.parametrize("head", [KIND, COLOR, NUMBER])
def test_no_images_give_no_labels(head: HeadSpec) -> None:
    predictions = of_three(head, [np.empty((0, *head.logits_shape), np.float32)] * 3)
    assert predictions.vote(head.name) == []


def test_logits_are_divided_by_the_temperature_of_their_network() -> None:
    logits = {name: {"kind": np.array([[2.0, 0.0, -1.0]], np.float32)} for name in "ab"}
    hot = HeadSpec("kind", "softmax", KIND.classes, temperature=4.0)
    predictions = predictions_from_logits((KIND,), {"a": (KIND,), "b": (hot,)}, logits)
    assert predictions.confidence("a", "kind") > predictions.confidence("b", "kind")
    assert predictions.labels("a", "kind") == predictions.labels("b", "kind") == ["bed"]


@pytest.mark.parametrize(
    ("probabilities", "winner"),
    [([[0.51, 0.49], [0.51, 0.49], [0.0, 1.0]], 0), ([[0.5, 0.3, 0.2], [0.1, 0.8, 0.1], [0.3, 0.3, 0.4]], 1)],
    ids=["majority against a more confident minority", "tie"],
)
def test_the_majority_wins_and_ties_go_to_the_higher_mean(probabilities: list[list[float]], winner: int) -> None:
    assert vote(np.array(probabilities)[:, None]).tolist() == [winner]
