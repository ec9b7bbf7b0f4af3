from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vsearch.core.errors import CheckpointMissing, PlanError
from vsearch.models.backbones import BACKBONES, build
from vsearch.training import plan as plans
from vsearch.training.plan import Phase

pytestmark = pytest.mark.keras


def phase(**keys: Any) -> Phase:
    """Return a phase of 10 epochs with a learning rate of 1."""
    return Phase(**{"name": "one", "size": 32, "epochs": 10, "batch": 8, "learning_rate": 1.0} | keys)


def rates(steps_per_epoch: int, steps: Any, **keys: Any) -> list[float]:
    from vsearch.training.loop.phase_setup import PhaseSchedule

    schedule = PhaseSchedule(phase(**keys), steps_per_epoch)
    return [float(schedule(step)) for step in steps]


def test_the_warm_up_is_linear():
    found = rates(8, range(6), warm_up_epochs=0.5, schedule="constant")
    assert found == pytest.approx([0.25, 0.5, 0.75, 1.0, 1.0, 1.0])


def test_the_cosine_falls_to_zero_after_the_warm_up():
    found = rates(10, range(101))
    assert [found[0], found[50], found[100]] == pytest.approx([1.0, 0.5, 0.0], abs=1e-6)
    assert found == sorted(found, reverse=True)
    assert rates(10, [20], warm_up_epochs=2) == pytest.approx([1.0])


@pytest.mark.parametrize("interval", [{"every_steps": 20}, {"every_epochs": 2.0}])
def test_steps_multiply_the_rate(interval):
    found = rates(10, (0, 19, 20, 39, 40), schedule="step", **interval)
    assert found == pytest.approx([1, 1, 1 / 3, 1 / 3, 1 / 9])


def trainable(network: Any, unfreeze: str | int) -> list[str]:
    """Return the layers with weights, starting at the first trainable one."""
    from vsearch.training.loop.phase_setup import first_trainable_layer

    first = first_trainable_layer(network, phase(unfreeze=unfreeze))
    return [layer.name for layer in network.layers[first:] if layer.weights]


STARTS = {
    "resnet50": [
        "conv1_conv",
        "conv2_block1_1_conv",
        "conv3_block1_1_conv",
        "conv4_block1_1_conv",
        "conv5_block1_1_conv",
    ],
    "vgg16": ["block1_conv1", "block2_conv1", "block3_conv1", "block4_conv1", "block5_conv1"],
    "pocket_strip": ["stem", "stage1_block1_conv1", "stage2_block1_conv1", "stage3_block1_conv1"],
    "alexnet_v2": ["conv1", "conv2", "conv3", "conv4", "conv5"],
}
"""The first layer with weights in each stage."""

INCEPTION_COUNTS = [7, 7, 7, 4, 10, 10, 10, 10, 6, 9, 9]
"""Convolutions in each block of InceptionV3, mixed0 to mixed10 (Szegedy et al., 2016, and keras.applications)."""


def convolutions(names: list[str]) -> int:
    return sum(name.startswith("conv2d") for name in names)


@pytest.mark.parametrize("name", BACKBONES)
def test_layers_learn_from_each_stage_on(name):
    network = build(name)
    every = trainable(network, "all")
    row = BACKBONES[name]
    found = [trainable(network, stage) for stage in row.stages]

    assert trainable(network, "none") == []
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


def test_layers_learn_from_a_number_on():
    network = build("pocket_strip")

    assert trainable(network, len(network.layers) - 3) == trainable(network, -3) == ["stage3_block1_shortcut_bn"]


@pytest.mark.parametrize(("unfreeze", "message"), [("stage9", "stem, stage1"), (999, "0 to"), (-1, "weights")])
def test_layers_that_cannot_learn_are_refused(unfreeze, message):
    with pytest.raises(PlanError, match=f"Phase 'one', unfreeze: .*pocket_strip.*{message}"):
        trainable(build("pocket_strip"), unfreeze)


def test_a_backbone_starts_from_the_bundled_weights():
    from vsearch.models import checkpoint, weights
    from vsearch.training.loop.phase_setup import load_start_weights

    network = build("efficientnet_lite0")
    load_start_weights(network, "efficientnet_lite0", "bundled", runs=Path("runs"))

    packed = weights.read_packed(checkpoint.bundled() / "efficientnet_lite0.weights.npz")
    for ours, theirs in zip(network.get_weights(), packed, strict=True):
        np.testing.assert_array_equal(ours, theirs.astype(np.float32))


def test_a_backbone_that_the_checkpoint_lacks_is_refused():
    from vsearch.training.loop.phase_setup import load_start_weights

    with pytest.raises(CheckpointMissing, match=r"pocket_strip.*efficientnet_lite0, efficientnet_lite1"):
        load_start_weights(build("pocket_strip"), "pocket_strip", "bundled", runs=Path("runs"))


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ("fpu avx2 avx512f avx512_bf16", "mixed_bfloat16"),
        ("fpu avx2 amx_bf16 amx_tile", "mixed_bfloat16"),
        ("fpu avx2 avx512f", "float32"),
    ],
)
def test_auto_precision_depends_on_the_processor(tmp_path, monkeypatch, flags, expected):
    import tensorflow as tf

    from vsearch.training.loop.phase_setup import precision_policy

    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: [])
    (tmp_path / "cpuinfo").write_text(f"processor : 0\nflags : {flags}\n")

    assert precision_policy("auto", cpuinfo=tmp_path / "cpuinfo") == expected
    assert precision_policy("mixed_float16", cpuinfo=tmp_path / "cpuinfo") == "mixed_float16"


@pytest.mark.parametrize(("capability", "expected"), [((7, 5), "float32"), ((9, 0), "mixed_bfloat16")])
def test_auto_precision_depends_on_the_gpu(monkeypatch, capability, expected):
    import tensorflow as tf

    from vsearch.training.loop.phase_setup import precision_policy

    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: ["a GPU"])
    monkeypatch.setattr(tf.config.experimental, "get_device_details", lambda gpu: {"compute_capability": capability})

    assert precision_policy("auto") == expected


@pytest.mark.parametrize("name", plans.list_shipped())
def test_shipped_plans_unfreeze_layers_that_their_backbones_have(name):
    from vsearch.training.loop.phase_setup import first_trainable_layer

    plan = plans.read(name)
    wanted = [phase for phase in plan.phase if phase.unfreeze not in ("all", "none")]
    for backbone in plan.backbones if wanted else ():
        network = build(backbone)
        assert all(0 < first_trainable_layer(network, phase) < len(network.layers) for phase in wanted)
