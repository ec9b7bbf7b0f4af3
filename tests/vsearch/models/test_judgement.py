"""What networks say of pictures, each and by vote."""

import numpy as np
import pytest

from vsearch.models.trained_heads import VOTE, HeadPredictions, HeadSpec, predictions_from_logits

KIND = HeadSpec("kind", "softmax", ("bed", "sofa", "table"))
COLOUR = HeadSpec("colour", "sigmoid", ("black", "blue", "red"))
NUMBER = HeadSpec("number", "digits", length=2)


def sure(rows: list[list[int]], mass: float = 0.9) -> np.ndarray:
    """Return digit probabilities that put `mass` on the given digits."""
    found = np.full((len(rows), 2, 10), (1 - mass) / 9, np.float32)
    for picture, row in enumerate(rows):
        for place, digit in enumerate(row):
            found[picture, place, digit] = mass
    return found


def of_three(head: HeadSpec, rows: list[np.ndarray]) -> HeadPredictions:
    """Return what three networks say with one head."""
    return HeadPredictions((head,), {name: {head.name: row} for name, row in zip("abc", rows, strict=True)})


def test_the_majority_wins_though_the_mean_says_otherwise() -> None:
    """Two narrow votes beat a very sure one."""
    rows = [[[0.5, 0.45, 0.05]], [[0.5, 0.45, 0.05]], [[0.0, 1.0, 0.0]]]
    said = of_three(KIND, [np.array(row, np.float32) for row in rows])

    assert said.vote("kind") == ["bed"]
    assert said.mean("kind").argmax() == 1
    assert said.labels("c", "kind") == ["sofa"]
    assert said.predictors == ("a", "b", "c", VOTE)


def test_digits_are_voted_place_by_place() -> None:
    """Each network misreads another place; together they read the number."""
    said = of_three(NUMBER, [sure([[4, 2]]), sure([[4, 7]]), sure([[1, 2]])])

    assert said.vote("number") == ["42"]
    assert said.predicted(VOTE, "number").tolist() == [[4, 2]]
    assert said.confidence("a", "number") == pytest.approx([0.81])


def test_the_vote_of_values_is_their_mean() -> None:
    """Values above one half on average are said, or the likeliest where none is."""
    rows = [np.array([[0.9, 0.7, 0.0], [0.1, 0.2, 0.4]], np.float32)] * 2 + [
        np.array([[0.9, 0.4, 0.0], [0.1, 0.2, 0.4]], np.float32)
    ]
    said = of_three(COLOUR, rows)

    assert said.vote("colour") == ["black|blue", "red"]
    assert said.labels("c", "colour") == ["black", "red"]
    assert said.confidence(VOTE, "colour")[1] == pytest.approx(0.4)


def test_one_network_has_no_vote_beside_it() -> None:
    """Its own answer is the answer."""
    said = HeadPredictions((KIND,), {"a": {"kind": np.array([[0.2, 0.7, 0.1]], np.float32)}})

    assert said.predictors == ("a",)
    assert said.vote("kind") == ["sofa"]


def test_no_picture_is_no_answer() -> None:
    """Empty in, empty out, for every kind of head."""
    for head in (KIND, COLOUR, NUMBER):
        said = of_three(head, [np.empty((0, *head.logits_shape), np.float32)] * 3)
        assert said.vote(head.name) == []


def test_logits_are_cooled_by_each_network_s_own_temperature() -> None:
    """A higher temperature makes a network less sure, and changes no answer."""
    logits = {name: {"kind": np.array([[2.0, 0.0, -1.0]], np.float32)} for name in "ab"}
    hot = HeadSpec("kind", "softmax", KIND.classes, temperature=4.0)

    said = predictions_from_logits((KIND,), {"a": (KIND,), "b": (hot,)}, logits)

    assert said.confidence("a", "kind") > said.confidence("b", "kind")
    assert said.labels("a", "kind") == said.labels("b", "kind") == ["bed"]
