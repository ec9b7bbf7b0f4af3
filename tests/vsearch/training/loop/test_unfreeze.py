"""Which layers of a backbone learn in a phase."""

from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from vsearch.core.errors import PlanError
from vsearch.models.backbones import BACKBONES, build
from vsearch.training.loop.unfreeze import unfreeze
from vsearch.training.plan_parts import Phase

pytestmark = pytest.mark.keras


def phase(wanted: str | int) -> Phase:
    """Return a phase that lets these layers learn."""
    return Phase(name="one", size=32, epochs=1, batch=8, learning_rate=1e-3, unfreeze=wanted)


def learning(network: Any, wanted: str | int) -> list[str]:
    """Return the names of the layers with weights that learn."""
    unfreeze(network, BACKBONES[network.name], phase(wanted))
    return [layer.name for layer in network.layers if layer.trainable_weights]


def test_everything_or_nothing() -> None:
    """And everything again after nothing."""
    network = build("pocket_vgg")
    every = learning(network, "all")

    assert len(every) == 14
    assert learning(network, "none") == []
    assert learning(network, "all") == every


STARTS = {
    "resnet50": [
        "conv1_conv",
        "conv2_block1_1_conv",
        "conv3_block1_1_conv",
        "conv4_block1_1_conv",
        "conv5_block1_1_conv",
    ],
    "vgg16": ["block1_conv1", "block2_conv1", "block3_conv1", "block4_conv1", "block5_conv1"],
    "pocket_vgg": ["stem", "stage1_conv1", "stage2_conv1", "stage3_conv1"],
    "alexnet_v2": ["conv1", "conv2", "conv3", "conv4", "conv5"],
}
"""First layer with weights of each stage."""

INCEPTION_COUNTS = [7, 7, 7, 4, 10, 10, 10, 10, 6, 9, 9]
"""Convolutions in each block of InceptionV3, mixed0 to mixed10 (Szegedy et al., 2016, and keras.applications)."""


def convolutions(names: list[str]) -> int:
    """Return how many of these layers are convolutions of InceptionV3."""
    return sum(name.startswith("conv2d") for name in names)


@pytest.mark.parametrize("name", BACKBONES)
def test_from_each_stage_on(name: str) -> None:
    """No layer of an earlier stage learns, and every layer of the stage and of later ones does."""
    network = build(name)
    every = learning(network, "all")
    row = BACKBONES[name]
    found = [learning(network, stage) for stage in row.stages]

    assert [every[-len(names) :] for names in found] == found
    assert all(len(later) < len(earlier) for earlier, later in pairwise(found))
    if name in STARTS:
        assert [names[0] for names in found] == STARTS[name]
    if name == "inception_v3":
        expected = [sum(INCEPTION_COUNTS[number:]) for number in range(len(row.stages))]
        assert [convolutions(names) for names in found] == expected
        assert convolutions(every) - convolutions(found[0]) == 5  # the stem
    else:
        for number, names in enumerate(found):
            others = [layer for layer in every if layer not in names]
            assert not [layer for layer in others if layer.startswith(row.stages[number:])]
            assert not [layer for layer in names if layer.startswith(row.stages[:number])]


def test_a_stage_with_nothing_to_learn_is_refused() -> None:
    """A phase in which nothing learns would waste its epochs in silence."""
    network = build("pocket_vgg")
    for wanted in (-1, len(network.layers) - 1):
        with pytest.raises(PlanError, match=r"Phase 'one', unfreeze: no layer of pocket_vgg from"):
            unfreeze(network, BACKBONES["pocket_vgg"], phase(wanted))


def test_from_a_layer_on() -> None:
    """Counted from the first, or from the last backwards."""
    network = build("pocket_vgg")

    assert learning(network, len(network.layers) - 3) == learning(network, -3) == ["stage3_conv2", "stage3_conv2_bn"]


@pytest.mark.parametrize(("wanted", "rule"), [("stage9", "stages of pocket_vgg: stem, stage1"), (999, "layers 0 to")])
def test_what_the_backbone_lacks_is_refused(wanted: str | int, rule: str) -> None:
    """The sentence names the phase and what there is."""
    with pytest.raises(PlanError, match=f"Phase 'one', unfreeze: .*{rule}"):
        unfreeze(build("pocket_vgg"), BACKBONES["pocket_vgg"], phase(wanted))


def test_batch_norm_of_still_layers_stays_still() -> None:
    """Shown in training, its statistics change where layers learn and nowhere else."""
    network = build("pocket_vgg")
    unfreeze(network, BACKBONES["pocket_vgg"], phase("stage3"))
    norms = [layer for layer in network.layers if layer.name.endswith("_bn")]
    before = [np.array(layer.moving_mean) for layer in norms]

    network(np.random.default_rng(0).normal(size=(4, 32, 32, 3)).astype(np.float32), training=True)

    changed = {n.name for n, old in zip(norms, before, strict=True) if not np.array_equal(n.moving_mean, old)}
    assert changed == {"stage3_conv1_bn", "stage3_conv2_bn"}
