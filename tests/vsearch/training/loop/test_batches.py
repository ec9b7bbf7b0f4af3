from dataclasses import replace
from itertools import islice
from typing import Any

import numpy as np
import pytest

from vsearch.models.trained_heads import DIGITS, HeadSpec
from vsearch.training.data.dataset import Dataset, Split
from vsearch.training.plan import Augment, Phase

pytestmark = pytest.mark.keras

KIND = HeadSpec("kind", "softmax", ("a", "b", "c"))
LOOK = HeadSpec("look", "sigmoid", ("p", "q"))
NUMBER = HeadSpec("number", "digits", DIGITS, length=2)
SAME = HeadSpec("same", "metric", size=8)
UNCHANGED = Augment(
    crop_area=(1, 1), crop_shape=0, mirror=False, brightness=0, contrast=0, saturation=0, color_cast=0
)  # fmt: skip
PHASE = Phase(name="p", size=(16, 18), epochs=1, batch=4, learning_rate=0.1)


def split(count: int = 10, repeat: float = 1) -> Split:
    """Return flat pictures whose gray level is ten times their number; every fifth has no label."""
    numbers = np.arange(count)
    kind = np.where(numbers % 5 == 4, -1, numbers % 3).astype(np.int32)
    look = np.stack([numbers % 2, 1 - numbers % 2], axis=1).astype(np.int32)
    look[4::5] = -1
    digits = np.stack([numbers // 10, numbers % 10], axis=1).astype(np.int32)
    digits[4::5] = -1
    targets = {"kind": kind, "look": look, "number": digits, "same": numbers.astype(np.int64) // 2}
    pictures = np.broadcast_to((numbers * 10).astype(np.uint8)[:, None, None, None], (count, 20, 24, 3))
    return Split(pictures, targets, tuple(map(str, numbers)), np.full(count, repeat, np.float64))


def dataset(heads: tuple[HeadSpec, ...], of: Split | None = None) -> Dataset:
    return Dataset(heads, of or split(), split(), split(1), "0" * 16, (), ())


def batches(
    count: int, *heads: HeadSpec, of: Split | None = None, augment: Augment = UNCHANGED, start: int = 0, **given: Any
) -> list[Any]:
    """Return the first training batches as numpy arrays."""
    from vsearch.training.loop.batches import of_pictures

    made = of_pictures(dataset(heads, of), PHASE, augment, seed=3, **given).training(start)
    return list(islice(made.as_numpy_iterator(), count))


def numbers(batch: Any) -> list[int]:
    return [round(float(gray) / 10) for gray in batch[0][:, 0, 0, 0]]


def test_an_epoch_shows_every_picture_once_in_its_own_order():
    found = [numbers(batch) for batch in batches(4, KIND)]

    epochs = found[0] + found[1], found[2] + found[3]
    assert all(len(set(epoch)) == 8 for epoch in epochs)
    assert epochs[0] != epochs[1]


def test_pictures_repeat_in_an_epoch():
    from vsearch.training.loop.batches import steps_per_epoch

    repeated = split(10, repeat=2)

    assert steps_per_epoch(repeated, 4) == 5
    assert sorted(n for batch in batches(5, KIND, of=repeated) for n in numbers(batch)) == sorted([*range(10)] * 2)


def test_a_fraction_of_a_repeat_draws_other_pictures_in_each_epoch():
    from vsearch.training.loop.batches import row_order, steps_per_epoch

    sparse = split(20, repeat=0.4)
    order = row_order(sparse, 4, seed=3)

    epochs = [{*order(2 * epoch).tolist(), *order(2 * epoch + 1).tolist()} for epoch in range(12)]

    assert steps_per_epoch(sparse, 4) == 2
    assert all(len(epoch) == 8 for epoch in epochs)
    assert set.union(*epochs) == set(range(20))


def test_fewer_pictures_than_a_batch_repeat():
    assert set(numbers(batches(1, KIND, of=split(3))[0])) == {0, 1, 2}


def test_batches_follow_from_seed_and_step():
    augment = Augment(rotation=10, noise=10, blur=1, recolor=0.5, scramble=0.5)

    undisturbed = batches(6, KIND, augment=augment)
    resumed = batches(3, KIND, augment=augment, start=3)

    for one, other in zip(undisturbed[3:], resumed, strict=True):
        np.testing.assert_array_equal(one[0], other[0])
        np.testing.assert_array_equal(one[1]["kind"], other[1]["kind"])
    assert np.abs(undisturbed[0][0] - undisturbed[2][0]).max() > 1


def test_targets_are_encoded_for_the_losses():
    pictures, targets = batches(1, KIND, LOOK, NUMBER)[0]

    assert pictures.shape == (4, 16, 18, 3)
    assert pictures.dtype == np.float32
    assert {name: (target.shape, target.dtype) for name, target in targets.items()} == {
        "kind": ((4, 3), np.float32),
        "look": ((4, 2), np.float32),
        "number": ((4, 2, 10), np.float32),
    }
    for row, number in enumerate(numbers((pictures, None))):
        if number % 5 == 4:
            assert all((target[row] == -1).all() for target in targets.values())
        else:
            assert targets["kind"][row].argmax() == number % 3
            assert targets["look"][row].tolist() == [number % 2, 1 - number % 2]
            assert targets["number"][row].argmax(axis=1).tolist() == [0, number]


def test_a_metric_head_gets_two_views_of_each_product():
    pictures, targets = batches(1, KIND, SAME, augment=Augment(brightness=0.5), of=split(4))[0]

    assert pictures.shape[0] == 8
    np.testing.assert_array_equal(targets["same"][:4], targets["same"][4:])
    assert np.abs(pictures[:4] - pictures[4:]).max() > 1


def test_the_second_view_is_another_picture_of_the_product_if_there_is_one():
    for batch in batches(3, SAME, of=split(7)):
        first, second = np.array(numbers(batch)).reshape(2, 4)
        np.testing.assert_array_equal(second, np.where(first == 6, 6, first ^ 1))


def test_every_other_picture_of_a_product_is_a_partner():
    from vsearch.training.loop.batches import partners

    five = replace(split(6), targets={"same": np.array([0, 0, 7, 0, 0, 0])})
    partner = partners(five, [SAME], seed=1)
    assert partner is not None

    assert {tuple(partner(np.array([3, 2]), step)) for step in range(60)} == {(other, 2) for other in (0, 1, 4, 5)}


def test_each_replica_gets_both_views_of_its_products():
    whole, dealt = (batches(1, SAME, of=split(8), replicas=count)[0] for count in (1, 2))

    first, second = np.array(numbers(dealt)).reshape(2, 4)
    assert sorted(numbers(dealt)) == sorted(numbers(whole))
    for part in (first, second):
        assert part[0] // 2 == part[2] // 2
        assert part[1] // 2 == part[3] // 2


def test_an_augmentation_hides_labels():
    hiding = UNCHANGED.model_copy(update={"recolor": 1.0, "recolor_hides": ("look",)})
    targets = batches(1, KIND, LOOK, SAME, augment=hiding, of=split(4))[0][1]

    assert (targets["look"] == -1).all()
    assert (targets["kind"] >= 0).all()
    assert (targets["same"] >= 0).all()


@pytest.mark.parametrize(("heads", "views"), [((KIND,), 1), ((KIND, SAME), 2)])
def test_validation_shows_each_picture_once_in_order(heads, views):
    from vsearch.training.loop.batches import of_pictures

    found = list(of_pictures(dataset(heads), PHASE, UNCHANGED, seed=3).validation.as_numpy_iterator())

    assert [len(batch[0]) for batch in found] == [4 * views, 4 * views, 2 * views]
    plain = [batch[0][: len(batch[0]) // views] for batch in found]
    assert [n for pictures in plain for n in numbers((pictures, None))] == list(range(10))
    assert found[0][0].shape[1:] == (16, 18, 3)
    assert found[1][1]["kind"][:4].tolist() == [[-1, -1, -1], [0, 0, 1], [1, 0, 0], [0, 1, 0]]


def test_an_augmented_view_hides_no_label():
    from vsearch.training.loop.batches import augmented_view

    lively = UNCHANGED.model_copy(update={"brightness": 0.5, "recolor": 1.0, "recolor_hides": ("kind",)})

    one, same, other = (augmented_view(split(), lively, shape=(16, 18), seed=(3, view))[0] for view in (0, 0, 1))

    assert one.shape == (10, 16, 18, 3)
    assert one.dtype == np.uint8
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)
    assert np.ptp(one, axis=3).max() <= 1  # gray, so not recolored
