"""Batches: order, views, targets, and the same again after a stop."""

from dataclasses import replace
from itertools import islice
from typing import Any

import numpy as np
import pytest

from vsearch.models.trained_heads import DIGITS, HeadSpec
from vsearch.training.data.dataset import Split
from vsearch.training.plan_parts import Augment, Phase

pytestmark = pytest.mark.keras

KIND = HeadSpec("kind", "softmax", ("a", "b", "c"))
LOOK = HeadSpec("look", "sigmoid", ("p", "q"))
NUMBER = HeadSpec("number", "digits", DIGITS, length=2)
SAME = HeadSpec("same", "metric", size=8)
STILL = Augment(
    crop_area=(1, 1), crop_shape=0, mirror=False, brightness=0, contrast=0, saturation=0, cast=0
)  # fmt: skip


def split(count: int = 10, repeat: float = 1) -> Split:
    """Return flat pictures whose grey is ten times their number; every fifth has no label."""
    numbers = np.arange(count)
    kind = np.where(numbers % 5 == 4, -1, numbers % 3).astype(np.int32)
    look = np.stack([numbers % 2, 1 - numbers % 2], axis=1).astype(np.int32)
    look[4::5] = -1
    digits = np.stack([numbers // 10, numbers % 10], axis=1).astype(np.int32)
    digits[4::5] = -1
    targets = {"kind": kind, "look": look, "number": digits, "same": numbers.astype(np.int64) // 2}
    pictures = np.broadcast_to((numbers * 10).astype(np.uint8)[:, None, None, None], (count, 20, 24, 3))
    names = tuple(map(str, numbers))
    return Split(pictures, targets, names, names, np.full(count, repeat, np.float64), np.ones(count, np.bool_))


def phase(batch: int = 4) -> Phase:
    """Return a phase of 16 by 18 pixels."""
    return Phase(name="p", size=(16, 18), epochs=1, batch=batch, learning_rate=0.1)


def batches(count: int, *heads: HeadSpec, of: Split | None = None, augment: Augment = STILL, **given: Any) -> list[Any]:
    """Return the first batches as numpy."""
    from vsearch.training.loop.pipeline import training_batches

    made = training_batches(of or split(), heads, phase(), augment, seed=3, **given)
    return list(islice(made.as_numpy_iterator(), count))


def shown(batch: Any) -> list[int]:
    """Return the numbers of the pictures of a batch."""
    return [round(float(grey) / 10) for grey in batch[0][:, 0, 0, 0]]


def test_an_epoch_shows_every_picture_once_in_an_order_of_its_own() -> None:
    """As far as full batches go."""
    found = [shown(batch) for batch in batches(4, KIND)]

    epochs = found[0] + found[1], found[2] + found[3]
    assert all(len(set(epoch)) == 8 for epoch in epochs)
    assert epochs[0] != epochs[1]


def test_repeated_pictures_count_several_times() -> None:
    """In the steps and in the order."""
    from vsearch.training.loop.pipeline import steps_per_epoch

    repeated = split(10, repeat=2)

    found = [number for batch in batches(5, KIND, of=repeated) for number in shown(batch)]

    assert steps_per_epoch(repeated, 4) == 5
    assert sorted(found) == sorted([*range(10), *range(10)])


def test_a_part_of_a_time_takes_other_pictures_in_each_epoch() -> None:
    """As many in each, and all of them in time."""
    from vsearch.training.loop.pipeline import row_order, steps_per_epoch

    sparse = split(20, repeat=0.4)
    order = row_order(sparse, 4, seed=3)

    epochs = [{*order(2 * epoch).tolist(), *order(2 * epoch + 1).tolist()} for epoch in range(12)]

    assert steps_per_epoch(sparse, 4) == 2
    assert all(len(epoch) == 8 for epoch in epochs)
    assert set.union(*epochs) == set(range(20))


def test_few_pictures_still_make_a_batch() -> None:
    """Each at least once."""
    from vsearch.training.loop.pipeline import steps_per_epoch

    assert steps_per_epoch(split(3), 4) == 1
    assert set(shown(batches(1, KIND, of=split(3))[0])) == {0, 1, 2}


def test_a_resumed_run_sees_what_an_undisturbed_one_sees() -> None:
    """Order and augmentation, to the bit, from any step on."""
    augment = Augment(turn=10, noise=10, blur=1, mix=0.5, recolour=0.5, scramble=0.5)

    undisturbed = batches(6, KIND, augment=augment)
    resumed = batches(3, KIND, augment=augment, start_step=3)

    for one, other in zip(undisturbed[3:], resumed, strict=True):
        np.testing.assert_array_equal(one[0], other[0])
        np.testing.assert_array_equal(one[1]["kind"], other[1]["kind"])
    assert np.abs(undisturbed[0][0] - undisturbed[2][0]).max() > 1


def test_targets_are_what_the_losses_take() -> None:
    """Each kind its own shape; a missing label is a row of -1."""
    pictures, targets = batches(1, KIND, LOOK, NUMBER)[0]
    numbers = shown((pictures, None))

    assert pictures.shape == (4, 16, 18, 3)
    assert pictures.dtype == np.float32
    assert {name: (target.shape, target.dtype) for name, target in targets.items()} == {
        "kind": ((4, 3), np.float32),
        "look": ((4, 2), np.float32),
        "number": ((4, 2, 10), np.float32),
    }
    for row, number in enumerate(numbers):
        if number % 5 == 4:
            assert all((target[row] == -1).all() for target in targets.values())
        else:
            assert targets["kind"][row].argmax() == number % 3
            assert targets["look"][row].tolist() == [number % 2, 1 - number % 2]
            assert targets["number"][row].argmax(axis=1).tolist() == [0, number]


def test_a_metric_head_makes_two_views() -> None:
    """Of each product in both halves, changed differently, with the number of the product."""
    pictures, targets = batches(1, KIND, SAME, augment=Augment(brightness=0.5), of=split(4))[0]

    assert pictures.shape[0] == 8
    assert targets["same"].dtype == np.int64
    np.testing.assert_array_equal(targets["same"][:4], targets["same"][4:])
    assert np.abs(pictures[:4] - pictures[4:]).max() > 1


def test_the_second_view_is_another_picture_of_the_product() -> None:
    """Where there is one: pictures 2n and 2n + 1 show product n, the last stands alone."""
    for pictures in (batch[0] for batch in batches(3, SAME, of=split(7))):
        grey = np.rint(pictures[:, 0, 0, 0] / 10).astype(int)
        first, second = grey[:4], grey[4:]
        np.testing.assert_array_equal(second, np.where(first == 6, 6, first ^ 1))


def test_every_other_picture_of_a_product_is_seen_in_time() -> None:
    """And never the picture itself; a product of five."""
    from vsearch.training.loop.pipeline import partners

    five = replace(split(6), targets={"same": np.array([0, 0, 7, 0, 0, 0])})
    partner = partners(five, [SAME], seed=1)
    assert partner is not None

    seen = {tuple(partner(np.array([3, 2]), step)) for step in range(60)}

    assert seen == {(other, 2) for other in (0, 1, 4, 5)}
    assert partners(five, [KIND], seed=1) is None


def test_mixed_labels_are_blended_like_their_pictures() -> None:
    """Missing where either label is missing; a product stays itself."""
    targets = batches(1, KIND, SAME, augment=STILL.model_copy(update={"mix": 1.0}), of=split(4))[0][1]
    kind = targets["kind"]

    np.testing.assert_allclose(kind[kind[:, 0] >= 0].sum(axis=1), 1, rtol=1e-5)
    assert ((kind > 0) & (kind < 1)).any()
    assert set(targets["same"]) == {0, 1}
    missing = batches(8, KIND, augment=STILL.model_copy(update={"mix": 1.0}))
    assert sum((batch[1]["kind"][:, 0] < 0).sum() for batch in missing) > 8  # two of ten, and those after them


def test_an_augmentation_hides_the_labels_it_spoils() -> None:
    """And only those."""
    hiding = STILL.model_copy(update={"recolour": 1.0, "recolour_hides": ("look",)})
    targets = batches(1, KIND, LOOK, SAME, augment=hiding, of=split(4))[0][1]

    assert (targets["look"] == -1).all()
    assert (targets["kind"] >= 0).all()
    assert (targets["same"] >= 0).all()


def test_validation_shows_each_picture_once_in_order() -> None:
    """The last batch may be smaller; nothing is changed but the size."""
    from vsearch.training.loop.pipeline import validation_batches

    found = list(validation_batches(split(), (KIND, SAME), (16, 18), 4).as_numpy_iterator())

    assert [len(batch[0]) for batch in found] == [4, 4, 2]
    assert [number for batch in found for number in shown(batch)] == list(range(10))
    assert found[0][0].shape == (4, 16, 18, 3)
    assert found[1][1]["kind"].tolist() == [[-1, -1, -1], [0, 0, 1], [1, 0, 0], [0, 1, 0]]
    assert np.concatenate([batch[1]["same"] for batch in found]).tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]


def test_a_changed_view_touches_pixels_and_no_label() -> None:
    """The same seed gives the same view, another another; what would hide a label or blend two is left out."""
    from vsearch.training.loop.pipeline import changed_view

    lively = STILL.model_copy(update={"brightness": 0.5, "mix": 1.0, "recolour": 1.0, "recolour_hides": ("kind",)})

    one = changed_view(split(), lively, shape=(16, 18), seed=(3, 0))
    same = changed_view(split(), lively, shape=(16, 18), seed=(3, 0))
    other = changed_view(split(), lively, shape=(16, 18), seed=(3, 1))

    assert one.pictures.shape == (10, 16, 18, 3)
    assert one.pictures.dtype == np.uint8
    assert np.array_equal(one.pictures, same.pictures)
    assert not np.array_equal(one.pictures, other.pictures)
    assert np.ptp(one.pictures, axis=3).max() <= 1  # grey stays grey: nothing was recoloured
    assert all(np.array_equal(one.targets[name], target) for name, target in split().targets.items())
