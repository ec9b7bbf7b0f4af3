"""What each kind of head learns from, against plain numpy."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from vsearch.models.trained_heads import HeadSpec
from vsearch.training.plan_parts import HeadPlan

pytestmark = pytest.mark.keras

KIND = HeadSpec("kind", "softmax", ("bed", "sofa", "table"))
TINTS = HeadSpec("tints", "sigmoid", ("red", "blue"))
NUMBER = HeadSpec("number", "digits", length=2)
PRODUCT = HeadSpec("product", "metric", size=4)
TARGETS: dict[str, NDArray[Any]] = {
    "kind": np.array([0, 2, -1, 2]),
    "tints": np.array([[1, 0], [0, 0], [-1, -1], [1, 1]]),
    "number": np.array([[1, 2], [3, 4], [-1, -1], [9, 0]]),
}


def sums(spec: HeadSpec, logits: NDArray[Any], *, training: bool = True, **keys: Any) -> list[float]:
    """Return loss, right answers and labelled pictures of the targets above."""
    from vsearch.training.loop.pipeline import encode
    from vsearch.training.losses import Objective

    targets = encode(spec, TARGETS[spec.name])
    return [float(part) for part in Objective(spec, **keys).sums(targets, logits.astype(np.float32), training=training)]


def log_softmax(logits: NDArray[Any]) -> NDArray[Any]:
    """Return log probabilities along the last axis."""
    return np.asarray(logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True)))


@pytest.fixture
def rng() -> np.random.Generator:
    """Chance with a seed."""
    return np.random.default_rng(0)


def test_softmax_is_the_cross_entropy_of_the_labelled(rng: np.random.Generator) -> None:
    """The third picture has no label: it is not in the loss, not right, and not counted."""
    logits = rng.normal(size=(4, 3))

    loss, right, labelled = sums(KIND, logits)

    expected = -sum(log_softmax(logits)[row, kind] for row, kind in ((0, 0), (1, 2), (3, 2)))
    assert loss == pytest.approx(expected, rel=1e-5)
    assert right == sum(logits[row].argmax() == kind for row, kind in ((0, 0), (1, 2), (3, 2)))
    assert labelled == 3


def test_smoothing_spreads_a_share_of_the_label_in_training_only(rng: np.random.Generator) -> None:
    """A tenth of it over the three classes."""
    logits = rng.normal(size=(4, 3))
    said = log_softmax(logits)[[0, 1, 3]]
    smooth = np.eye(3)[[0, 2, 2]] * 0.9 + 0.1 / 3

    assert sums(KIND, logits, smoothing=0.1)[0] == pytest.approx(-(smooth * said).sum(), rel=1e-5)
    assert sums(KIND, logits, smoothing=0.1, training=False) == pytest.approx(sums(KIND, logits))


def test_sigmoid_is_the_mean_over_the_outputs(rng: np.random.Generator) -> None:
    """Right is the share of outputs on their side of one half."""
    logits = rng.normal(size=(4, 2))
    wanted = TARGETS["tints"][[0, 1, 3]]
    said = 1 / (1 + np.exp(-logits[[0, 1, 3]]))
    each = -(wanted * np.log(said) + (1 - wanted) * np.log(1 - said))

    loss, right, labelled = sums(TINTS, logits)

    assert loss == pytest.approx(each.mean(axis=1).sum(), rel=1e-5)
    assert right == pytest.approx(((said > 0.5) == wanted).mean(axis=1).sum())
    assert labelled == 3


def test_digits_are_right_when_every_position_is() -> None:
    """One of three labelled numbers is read wrong in one position."""
    logits = 9.0 * np.eye(10)[np.maximum(TARGETS["number"], 0)]
    logits[1, 1] = 9.0 * np.eye(10)[7]

    loss, right, labelled = sums(NUMBER, logits)

    assert (right, labelled) == (2, 3)
    assert loss == pytest.approx(9 / 2, abs=0.02)


@pytest.mark.parametrize("spec", [KIND, TINTS, NUMBER], ids=lambda spec: spec.kind)
def test_a_batch_without_labels_costs_nothing(spec: HeadSpec, rng: np.random.Generator) -> None:
    """Neither loss nor gradient, and nothing that is no number."""
    import tensorflow as tf

    from vsearch.training.loop.pipeline import encode
    from vsearch.training.losses import Objective

    logits = tf.constant(rng.normal(size=(1, *spec.logits_shape)), tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(logits)
        found = Objective(spec).sums(encode(spec, TARGETS[spec.name][2:3]), logits, training=True)
        loss = found[0]

    assert found.numpy().tolist() == [0, 0, 0]
    assert not np.asarray(tape.gradient(loss, logits)).any()


def test_balanced_classes_weigh_the_same_together() -> None:
    """The class with one picture weighs twice what that with two does, and the mean weight is one."""
    from vsearch.training.losses import objectives

    heads = [HeadPlan(name="kind", kind="softmax", class_weights="balanced")]
    found = objectives(heads, [KIND], {"kind": np.array([0, 2, -1, 2])})[0].class_weights

    assert found is not None
    np.testing.assert_allclose(found, [1.5, 0, 0.75])


def test_balanced_outputs_weigh_present_and_absent_the_same() -> None:
    """An output that is present in one of four pictures: that one weighs three times as much as each other."""
    from vsearch.training.losses import objectives

    heads = [HeadPlan(name="tints", kind="sigmoid", class_weights="balanced")]
    targets = np.array([[1, 0], [0, 1], [0, 1], [0, 0], [-1, -1]])
    found = objectives(heads, [TINTS], {"tints": targets})[0].class_weights

    assert found is not None
    np.testing.assert_allclose(found, [[4 / 6, 1], [2, 1]])


def test_nt_xent_is_that_of_its_paper(rng: np.random.Generator) -> None:
    """Each view against all others but itself; the other view is the answer."""
    from vsearch.training.losses import nt_xent

    views = rng.normal(size=(6, 4))
    unit = views / np.linalg.norm(views, axis=1, keepdims=True)
    scores = unit @ unit.T / 0.5
    np.fill_diagonal(scores, -np.inf)
    expected = [-log_softmax(scores[row])[(row + 3) % 6] for row in range(6)]

    np.testing.assert_allclose(nt_xent(views.astype(np.float32), 0.5), expected, rtol=1e-5)


def test_supcon_of_pairs_is_nt_xent_and_takes_all_of_a_product(rng: np.random.Generator) -> None:
    """With two views of each product they agree; with four of one, each looks for three."""
    from vsearch.training.losses import nt_xent, supcon

    views = rng.normal(size=(6, 4)).astype(np.float32)
    unit = views / np.linalg.norm(views, axis=1, keepdims=True)
    scores = unit @ unit.T / 0.5
    np.fill_diagonal(scores, -np.inf)
    same = [1, 3, 4]

    np.testing.assert_allclose(supcon(views, np.array([5, 6, 7, 5, 6, 7]), 0.5), nt_xent(views, 0.5), rtol=1e-5)
    found = supcon(views, np.array([5, 5, 7, 5, 5, 7]), 0.5)
    assert float(found[0]) == pytest.approx(-log_softmax(scores[0])[same].mean(), rel=1e-5)


def test_a_metric_head_is_right_where_the_nearest_is_the_same_product() -> None:
    """The pictures without a product are nobody's neighbour to be counted."""
    from vsearch.training.losses import Objective

    views = np.array([[1, 0], [0, 1], [-1, 0], [1, 0.1], [1, 0.2], [-1, 0.1]], np.float32)
    products = np.array([0, 1, -1, 0, 1, -1])

    found = Objective(PRODUCT).sums(products, views, training=False).numpy()

    assert found[1:].tolist() == [2, 4]


def test_the_mean_loss_weighs_the_heads() -> None:
    """Each head's mean over its own labelled pictures; a head without any adds nothing."""
    from vsearch.training.losses import Objective, mean_loss

    heads = [Objective(KIND, weight=2.0), Objective(TINTS), Objective(NUMBER)]

    assert mean_loss(heads, np.array([[6.0, 0, 3], [5.0, 0, 10], [0, 0, 0]])) == pytest.approx(4.5)
