"""Leaving pairs of values out; nothing is trained here."""

from dataclasses import replace

import numpy as np
import pytest

from vsearch.models.trained_heads import HeadSpec
from vsearch.training.data.dataset import Dataset, Split

pytestmark = pytest.mark.keras  # the module under test imports the training

COLOUR = HeadSpec("colour", "sigmoid", ("black", "blue"))
TYPE = HeadSpec("type", "softmax", ("dress", "jeans", "shoes"))
PAIRS = (("blue", "dress"), ("blue", "jeans"), ("black", "jeans"), ("black", "shoes"))


def split(pairs: list[tuple[str, str]]) -> Split:
    """Return a split with a picture for each pair, shaded by its place."""
    names = tuple(str(number) for number in range(len(pairs)))
    return Split(
        np.stack([np.full((4, 4, 3), number, np.uint8) for number in range(len(pairs))]),
        {
            "colour": np.stack([COLOUR.target(colour) for colour, _ in pairs]),
            "type": np.stack([TYPE.target(kind) for _, kind in pairs]),
        },
        names,
        names,
        np.ones(len(pairs), np.int32),
        np.ones(len(pairs), np.bool_),
    )


@pytest.fixture
def dataset() -> Dataset:
    """Three training pictures of each pair, one validation picture."""
    return Dataset((COLOUR, TYPE), split(list(PAIRS) * 3), split(list(PAIRS)), "0" * 16, (), ())


def test_the_pairs_are_those_that_training_shows(dataset: Dataset) -> None:
    """Black dresses and blue shoes are not among them."""
    from vsearch.training import unseen

    found = [tuple(pair.values()) for pair in unseen.pairs(dataset, ("colour", "type"))]

    assert sorted(found) == sorted(PAIRS)


def test_a_fold_shows_the_pair_nowhere_and_holds_all_its_pictures(dataset: Dataset) -> None:
    """Neither split it learns from or chooses by has the pair."""
    from vsearch.training import unseen

    found = unseen.fold(dataset, {"colour": "blue", "type": "jeans"})

    assert (len(found.data.train), len(found.data.val), len(found.held)) == (9, 3, 4)
    assert (found.held.targets["type"] == 1).all()
    assert found.held.targets["colour"].tolist() == [[0, 1]] * 4
    assert found.held.names == ("1", "5", "9", "1")
    assert len(dataset.train) == 12


def test_pictures_to_learn_from_only_are_taken_away_but_not_held(dataset: Dataset) -> None:
    """A source beside the judged one shows black jeans, which must not be learned, and a pair that is not asked for."""
    from vsearch.training import unseen

    judged = dataset.train.judged.copy()
    judged[[2, 6]] = False  # two of three black jeans
    part = replace(dataset, train=replace(dataset.train, judged=judged))

    found = unseen.fold(part, {"colour": "black", "type": "jeans"})

    assert (len(found.data.train), found.held.names) == (9, ("10", "2"))
    judged[10] = False
    assert {"colour": "black", "type": "jeans"} not in list(unseen.pairs(part, ("colour", "type")))


def test_a_pair_with_the_only_pictures_of_a_value_cannot_be_judged(dataset: Dataset) -> None:
    """Without black shoes there are no shoes."""
    from vsearch.training import unseen

    assert unseen.unlearnable(dataset, {"colour": "black", "type": "shoes"}) == "no other shoes in training"
    assert unseen.unlearnable(dataset, {"colour": "black", "type": "jeans"}) == ""


def test_the_table_pools_the_pairs_by_pictures() -> None:
    """By the last judge, the vote; what cannot be judged stands apart."""
    from vsearch.training import unseen

    counts = {"a": {"first": 1, "second": 1, "both": 0}, "vote": {"first": 4, "second": 3, "both": 2}}
    entry = {"values": {"colour": "blue", "type": "dress"}, "n": 4, "judges": counts}
    apart = {"values": {"colour": "black", "type": "shoes"}, "n": 9, "reason": "no other shoes in training"}
    pooled = {
        "a": {"n": 4, "mean": 0.0, "low": 0.0, "high": 0.0},
        "vote": {"n": 4, "mean": 0.5, "low": 0.0, "high": 1.0},
    }

    columns, lines = unseen.table({"heads": ["colour", "type"], "pairs": [entry, apart], "pooled": pooled})

    assert columns == ["unseen pair", "pictures", "colour right", "type right", "both right"]
    assert lines[0] == ["blue dress", "4", "100.0", "75.0", "50.0"]
    assert lines[1][2] == "cannot be judged: no other shoes in training"
    assert lines[2] == ["all together", "4", "", "", "50.0 (0-100)"]
