"""Figures of judgements beside the truth."""

import numpy as np
import pytest

from vsearch.models.trained_heads import VOTE, HeadPredictions, HeadSpec
from vsearch.training.results import scoring

KIND = HeadSpec("kind", "softmax", ("bed", "sofa", "table"))
COLOUR = HeadSpec("colour", "sigmoid", ("black", "blue", "red"))
NUMBER = HeadSpec("number", "digits", length=2)
METRIC = HeadSpec("product", "metric")


def said(spec: HeadSpec, rows: list[object], network: str = "a") -> HeadPredictions:
    """Return the judgement of one network with one head."""
    return HeadPredictions((spec,), {network: {spec.name: np.array(rows, np.float32)}})


def reading(numbers: list[str]) -> np.ndarray:
    """Return the probabilities of a reader that is sure of these numbers."""
    return np.stack([np.eye(10, dtype=np.float32)[[int(digit) for digit in number]] for number in numbers])


def test_a_missing_label_counts_for_nothing() -> None:
    """Of three pictures one has no label and one is right."""
    judgement = said(KIND, [[0.8, 0.1, 0.1], [0.8, 0.1, 0.1], [0.8, 0.1, 0.1]])

    flags = scoring.right(judgement, "a", "kind", np.array([0, -1, 2]))

    assert flags.tolist() == [True, False]
    assert scoring.share(flags).n == 2


def test_one_true_value_is_compared_with_the_likeliest_and_several_as_a_set() -> None:
    """Where none is above one half the likeliest is said; two true values need both, and no third."""
    judgement = said(COLOUR, [[0.4, 0.1, 0.0], [0.9, 0.6, 0.0], [0.9, 0.6, 0.0], [0.9, 0.6, 0.7]])
    truth = np.array([[1, 0, 0], [1, 0, 0], [1, 1, 0], [1, 1, 0]])

    assert scoring.right(judgement, "a", "colour", truth).tolist() == [True, True, True, False]


def test_outputs_are_judged_each_by_one_half() -> None:
    """The label accuracy of tutorials: each output on its side."""
    judgement = said(COLOUR, [[0.4, 0.1, 0.0], [0.9, 0.6, 0.0]])

    flags = scoring.outputs_right(judgement, "a", "colour", np.array([[1, 0, 0], [1, 1, 0]]))

    assert flags.tolist() == [[False, True, True], [True, True, True]]


def test_a_number_is_right_when_every_digit_is() -> None:
    """Exact match is the headline; each position has a share of its own."""
    judgement = said(NUMBER, list(reading(["42", "43", "52", "99"])))
    truth = np.array([[4, 2], [4, 2], [4, 2], [-1, -1]])

    assert scoring.right(judgement, "a", "number", truth).tolist() == [True, False, False]
    assert scoring.positions(judgement, "a", "number", truth) == pytest.approx([2 / 3, 2 / 3])


def test_all_heads_right_counts_pictures_with_every_label() -> None:
    """A picture that lacks one label is left out; a metric head says nothing."""
    judgement = HeadPredictions(
        (KIND, COLOUR, METRIC),
        {
            "a": {
                "kind": np.array([[1, 0, 0]] * 3, np.float32),
                "colour": np.array([[1, 0, 0]] * 3, np.float32),
                "product": np.zeros((3, 128), np.float32),
            }
        },
    )
    truth = {
        "kind": np.array([0, 0, 0]),
        "colour": np.array([[1, 0, 0], [0, 1, 0], [-1, -1, -1]]),
        "product": np.arange(3),
    }

    assert scoring.all_right(judgement, "a", truth).tolist() == [True, False]


def test_confusion_and_figures_of_each_class() -> None:
    """Rows are the truth; a class never said has precision 0, not an error."""
    judgement = said(KIND, [[1, 0, 0], [1, 0, 0], [0, 1, 0], [0, 1, 0]])
    truth, claimed = scoring.answers(judgement, "a", "kind", np.array([0, 1, 1, 2]))

    assert scoring.confusion(truth, claimed).tolist() == [[1, 0, 0], [1, 1, 0], [0, 1, 0]]
    bed, sofa, table = scoring.per_class(KIND, truth, claimed)
    assert (bed.support, bed.precision, bed.recall, bed.f1) == (1, 0.5, 1.0, pytest.approx(2 / 3))
    assert (sofa.precision, sofa.recall) == (0.5, 0.5)
    assert (table.precision, table.recall, table.f1) == (0.0, 0.0, 0.0)


def test_a_share_has_an_interval() -> None:
    """Wider for fewer; of nothing it is nothing."""
    many, few = scoring.share(np.arange(1000) % 10 != 0), scoring.share(np.arange(20) % 10 != 0)

    assert (many.mean, few.mean) == (0.9, 0.9)
    assert few.high - few.low > many.high - many.low > 0.02
    assert scoring.share(np.empty(0, np.bool_)).n == 0
    assert str(many).startswith("90.0 (88.")


def test_a_judge_is_compared_on_the_same_pictures() -> None:
    """Ten pictures of a thousand more are beyond noise when nothing is lost for them, and noise when as much is."""
    vote = np.arange(1000) >= 100
    better, other = np.arange(1000) >= 90, np.roll(vote, 500)

    assert scoring.compare(better, vote).beyond_noise
    assert not scoring.compare(other, vote).beyond_noise
    assert not scoring.compare(vote, vote).beyond_noise
    assert scoring.compare(vote, better).difference == pytest.approx(-0.01)
    assert not scoring.compare(vote[:0], vote[:0]).beyond_noise


def test_the_worst_mistakes_are_those_it_is_surest_of() -> None:
    """In words, the surest first."""
    judgement = said(KIND, [[0.5, 0.3, 0.2], [0.9, 0.1, 0.0], [0.9, 0.1, 0.0], [0.1, 0.8, 0.1]])

    found = scoring.worst(judgement, "kind", np.array([1, 2, 0, 0]), 2)

    assert [(place, says, true) for place, says, true, _ in found] == [(1, "bed", "table"), (3, "sofa", "bed")]
    assert found[0][3] == pytest.approx(0.9)


def test_labels_are_put_in_words() -> None:
    """As the head would say them."""
    assert scoring.label(KIND, np.array(2)) == "table"
    assert scoring.label(COLOUR, np.array([1, 0, 1])) == "black|red"
    assert scoring.label(NUMBER, np.array([0, 7])) == "07"


def test_the_vote_is_a_judge_like_any_other() -> None:
    """Two networks of three outvote the third."""
    rows = {name: {"kind": np.eye(3, dtype=np.float32)[[place]]} for name, place in zip("abc", (0, 0, 1), strict=True)}
    judgement = HeadPredictions((KIND,), rows)

    assert [scoring.right(judgement, judge, "kind", np.array([0]))[0] for judge in ("a", "c", VOTE)] == [
        True,
        False,
        True,
    ]
