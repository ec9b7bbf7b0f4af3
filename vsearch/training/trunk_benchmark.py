"""Epochs of a head on a still trunk: with the trunk in the loop, and on its outputs computed once."""

import time
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from vsearch.models.backbones import backbone
from vsearch.models.network import build_network, build_top
from vsearch.models.trained_heads import HeadSpec
from vsearch.training.data.dataset import Dataset, Split
from vsearch.training.loop import batches, precision
from vsearch.training.loop.batches import Batches
from vsearch.training.loop.steps import Learner, strategy
from vsearch.training.loop.trunk_cache import Trunk
from vsearch.training.loop.unfreeze import unfreeze
from vsearch.training.losses import Objective
from vsearch.training.plan_parts import Augment, Phase

_CLASSES = 10
_AS_THEY_ARE = Augment(
    crop_area=(1, 1), crop_shape=0, mirror=False, brightness=0, contrast=0, saturation=0, cast=0
)  # both ways see the same pictures


@dataclass(frozen=True)
class StillTrunk:
    """Seconds for all epochs; compiling is not counted.

    Attributes:
        pictures: of an epoch.
        in_loop: every epoch runs every picture through the trunk.
        filling: each picture runs through it once, and what it gives is kept on disk.
        cached: the epochs on what was kept.
    """

    pictures: int
    epochs: int
    in_loop: float
    filling: float
    cached: float


def still_trunk(name: str, pictures: NDArray[np.uint8], *, work: Path, epochs: int = 5, batch: int = 32) -> StillTrunk:
    """Train a softmax head for some epochs both ways, on random weights: speed does not depend on them.

    Args:
        name: a row of the backbone table.
        pictures: uint8 [n, h, w, 3], as large as the backbone takes them; n is at least `batch`.
        work: empty folder for the trunk's outputs.
        epochs: of the head.
        batch: pictures of a step.

    Raises:
        CheckpointError: no such backbone.
    """
    row = backbone(name)
    head = HeadSpec("kind", "softmax", tuple(f"class {number}" for number in range(_CLASSES)))
    phase = Phase(
        name="head", size=pictures.shape[1:3], epochs=epochs, batch=batch, learning_rate=1e-3, unfreeze="none"
    )
    policy = precision.policy("auto")
    keras.mixed_precision.set_global_policy(policy)
    try:
        still, network = build_network(name, [head], dropout=0.2)
    finally:
        keras.mixed_precision.set_global_policy("float32")
    unfreeze(still, row, phase)
    data = _dataset(head, pictures)
    in_loop = _seconds(network, batches.of_pictures(data, phase, _AS_THEY_ARE, seed=0), head, phase)
    trunk = Trunk(still, row.scaling, phase.shape, precision=policy)
    _fill(_dataset(head, pictures[:1]), phase, trunk, work / "one")  # compiles
    started = time.perf_counter()
    found = _fill(data, phase, trunk, work / "all")
    filling = time.perf_counter() - started
    cached = _seconds(build_top(network, still.output_shape[-1]), found, head, phase)
    return StillTrunk(len(pictures), epochs, in_loop, filling, cached)


def _fill(data: Dataset, phase: Phase, trunk: Trunk, folder: Path) -> Batches:
    return batches.of_features(
        data, phase, _AS_THEY_ARE, seed=0, trunk=trunk, folder=folder, advance=lambda done, total: None
    )


def _seconds(model: Any, found: Batches, head: HeadSpec, phase: Phase) -> float:
    """Return how long the epochs of a phase take, after one step that does not count."""
    learner = Learner(model, [Objective(head)], phase, strategy=strategy())
    steps = islice(iter(found.training(0)), 1 + phase.epochs * found.steps)
    learner.train(*next(steps), phase.learning_rate)
    started = time.perf_counter()
    for inputs, targets in steps:
        learner.train(inputs, targets, phase.learning_rate).numpy()
    return time.perf_counter() - started


def _dataset(head: HeadSpec, pictures: NDArray[np.uint8]) -> Dataset:
    kinds = np.random.default_rng(0).integers(0, _CLASSES, len(pictures)).astype(np.int32)
    names = tuple(str(number) for number in range(len(pictures)))
    once, judged = np.ones(len(pictures), np.float64), np.ones(len(pictures), np.bool_)
    train = Split(pictures, {head.name: kinds}, names, names, once, judged)
    return Dataset((head,), train, train.where(np.zeros(len(pictures), np.bool_)), "", (), ())
