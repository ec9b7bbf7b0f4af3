"""Which layers of a backbone learn in a phase."""

from typing import Any

import numpy as np
import pytest

from vsearch.errors import PlanError
from vsearch.model.backbones import BACKBONES, build
from vsearch.training.plan_parts import Phase
from vsearch.training.unfreeze import unfreeze

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


@pytest.mark.parametrize("name", ["pocket_resnet", "pocket_vgg", "pocket_inception", "vgg16"])
def test_from_each_stage_on(name: str) -> None:
    """No layer of an earlier stage learns, and every later one does."""
    network = build(name)
    every = learning(network, "all")
    for stage in BACKBONES[name].stages:
        first = next(number for number, layer in enumerate(every) if layer.startswith(stage))
        found = learning(network, stage)
        assert set(found) == set(every[first:])
        earlier = BACKBONES[name].stages[: BACKBONES[name].stages.index(stage)]
        assert not [layer for layer in found if layer.startswith(earlier)]


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
