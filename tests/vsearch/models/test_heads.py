import numpy as np
import pytest

from vsearch.models.class_heads import ClassHeads, block_spans, fit_heads, vote

SIZES = {"one": 4, "one_middle": 2, "two": 6, "two_middle": 1, "color": 2}


def blocks_of(classes: int, each: int = 20, seed: int = 0) -> tuple[np.ndarray, list[str]]:
    """Return concatenated blocks clustered around a center for each class, and the class names."""
    rng = np.random.default_rng(seed)
    centers = rng.normal(0, 0.6, (classes, sum(SIZES.values())))
    rows = np.repeat(centers, each, axis=0) + rng.normal(0, 0.05, (classes * each, sum(SIZES.values())))
    return rows.astype(np.float16), [f"class {number}" for number in range(classes) for _ in range(each)]


@pytest.mark.parametrize("classes", [1, 2, 5])
def test_every_head_learns_separable_classes(classes: int) -> None:
    blocks, names = blocks_of(classes)
    predictions = fit_heads(blocks, names, SIZES).predict(blocks)
    assert predictions.classes == tuple(sorted(set(names)))
    assert set(predictions.votes) == {"one", "two"}
    for probabilities in (*predictions.votes.values(), predictions.probabilities):
        assert probabilities.shape == (len(names), classes)
        np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)
        assert [predictions.classes[i] for i in probabilities.argmax(axis=1)] == names
    assert [predictions.classes[i] for i in predictions.winners] == names


@pytest.mark.parametrize(
    ("probabilities", "winner"),
    [([[0.51, 0.49], [0.51, 0.49], [0.0, 1.0]], 0), ([[0.5, 0.3, 0.2], [0.1, 0.8, 0.1], [0.3, 0.3, 0.4]], 1)],
    ids=["majority against a more confident minority", "tie"],
)
def test_the_majority_wins_and_ties_go_to_the_higher_mean(probabilities: list[list[float]], winner: int) -> None:
    assert vote(np.array(probabilities)[:, None]).tolist() == [winner]


def test_heads_are_rebuilt_from_their_arrays() -> None:
    blocks, names = blocks_of(3)
    heads = fit_heads(blocks, names, SIZES)
    again = ClassHeads.from_arrays(heads.arrays(), heads.classes, SIZES)
    np.testing.assert_allclose(again.predict(blocks).probabilities, heads.predict(blocks).probabilities, atol=0.01)


def test_fitting_needs_images() -> None:
    with pytest.raises(ValueError, match="at least one image"):
        fit_heads(np.empty((0, 15), np.float16), [], SIZES)


def test_spans_follow_the_order_of_the_blocks() -> None:
    assert block_spans({"a": 2, "b": 3}) == {"a": slice(0, 2), "b": slice(2, 5)}
