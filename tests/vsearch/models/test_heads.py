"""Class heads on stored blocks."""

import numpy as np
import pytest

from vsearch.models.heads import ClassHeads, block_spans, fit_heads, vote

SIZES = {"one": 4, "two": 6, "shape": 3, "colour": 2}


def blocks_of(classes: int, each: int = 20, seed: int = 0) -> tuple[np.ndarray, list[str]]:
    """Return joined blocks around a centre for each class, and the class names."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(0, 0.6, (classes, sum(SIZES.values())))
    rows = np.repeat(centres, each, axis=0) + rng.normal(0, 0.05, (classes * each, sum(SIZES.values())))
    return rows.astype(np.float16), [f"class {number}" for number in range(classes) for _ in range(each)]


@pytest.mark.parametrize("classes", [1, 2, 5])
def test_every_model_learns_separable_classes(classes: int) -> None:
    """Whatever the number of classes, each model names those it was fitted on, and probabilities sum to 1."""
    blocks, names = blocks_of(classes)

    said = fit_heads(blocks, names, SIZES).predict(blocks)

    assert said.classes == tuple(sorted(set(names)))
    assert set(said.votes) == {"one", "two"}
    for probabilities in (*said.votes.values(), said.probabilities):
        assert probabilities.shape == (len(names), classes)
        np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)
        assert [said.classes[i] for i in probabilities.argmax(axis=1)] == names
    assert [said.classes[i] for i in said.winners] == names


def test_descriptors_vote_only_where_there_is_no_network() -> None:
    """Shape and colour have no head beside networks, and one each without any."""
    blocks, names = blocks_of(2)

    alone = fit_heads(blocks[:, -5:], names, {"shape": 3, "colour": 2})

    assert set(alone.heads) == {"shape", "colour"}


def test_the_majority_wins_against_a_surer_minority() -> None:
    """Two models that lean to one class beat one that is sure of another."""
    probabilities = np.array([[[0.51, 0.49]], [[0.51, 0.49]], [[0.0, 1.0]]])

    np.testing.assert_array_equal(vote(probabilities), [0])


def test_a_tied_vote_goes_to_the_higher_mean_probability() -> None:
    """Three models, three opinions: the surest one wins."""
    probabilities = np.array([[[0.5, 0.3, 0.2]], [[0.1, 0.8, 0.1]], [[0.3, 0.3, 0.4]]])

    np.testing.assert_array_equal(vote(probabilities), [1])


def test_heads_survive_their_arrays() -> None:
    """Stored in half precision and built again, the heads judge alike."""
    blocks, names = blocks_of(3)
    heads = fit_heads(blocks, names, SIZES)
    before = heads.predict(blocks).probabilities
    arrays = heads.arrays()
    del heads

    again = ClassHeads.from_arrays(arrays, tuple(sorted(set(names))), SIZES)

    np.testing.assert_allclose(again.predict(blocks).probabilities, before, atol=0.01)


def test_no_picture_is_no_head() -> None:
    """ClassHeads cannot be fitted on nothing."""
    with pytest.raises(ValueError, match="at least one image"):
        fit_heads(np.empty((0, 15), np.float16), [], SIZES)


def test_spans_follow_the_order_of_the_blocks() -> None:
    """Each block lies behind the one before it."""
    assert block_spans({"a": 2, "b": 3}) == {"a": slice(0, 2), "b": slice(2, 5)}
