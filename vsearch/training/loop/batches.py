"""The batches of one phase: pictures, or what a still trunk made of them."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from vsearch.core.progress import ProgressCallback, no_progress
from vsearch.training.data.dataset import Dataset
from vsearch.training.loop import pipeline, trunk_cache
from vsearch.training.loop.trunk_cache import Trunk
from vsearch.training.plan_parts import Augment, Phase

Batch = tuple[Any, Mapping[str, Any]]
"""Inputs float32 [b, h, w, c] and the targets of each head; with a metric head first views, then second views."""


@dataclass(frozen=True)
class Batches:
    """What a phase learns from and is judged by.

    Attributes:
        steps: of an epoch.
        training: endless batches from a step of the phase on.
        validation: every validation picture once.
    """

    steps: int
    training: Callable[[int], Iterable[Batch]]
    validation: Callable[[], Iterable[Batch]]


def of_pictures(dataset: Dataset, phase: Phase, augment: Augment, *, seed: int) -> Batches:
    """Return augmented pictures, and validation pictures as they are."""

    def training(step: int) -> Iterable[Batch]:
        found: Iterable[Batch] = pipeline.training_batches(
            dataset.train, dataset.heads, phase, augment, seed=seed, start_step=step
        )
        return found

    def validation() -> Iterable[Batch]:
        found: Any = pipeline.validation_batches(dataset.val, dataset.heads, phase.shape, phase.batch)
        paired: Iterable[Batch] = found.map(_with_mirrored) if _has_metric(dataset) else found
        return paired

    return Batches(pipeline.steps_per_epoch(dataset.train, phase.batch), training, validation)


def of_features(
    dataset: Dataset,
    phase: Phase,
    augment: Augment,
    *,
    seed: int,
    trunk: Trunk,
    folder: Path,
    advance: ProgressCallback = no_progress,
) -> Batches:
    """Return features of the pictures, mirrored ones and changed views, computed now where no earlier run did.

    Raises:
        OSError: the disk is full.
    """
    views = 2 if augment.mirror else 1
    train = trunk_cache.features(trunk, dataset.train, folder, views=views, advance=advance)
    for view in range(phase.views):
        changed = pipeline.changed_view(dataset.train, augment, shape=phase.shape, seed=(seed, view))
        more = trunk_cache.features(trunk, changed, folder, advance=advance)
        train = np.concatenate([train, more])
    # A metric head is judged by whether a picture finds its mirror image.
    val = trunk_cache.features(trunk, dataset.val, folder, views=2 if _has_metric(dataset) else 1)

    def training(step: int) -> Iterable[Batch]:
        return trunk_cache.training_batches(
            train, dataset.train, dataset.heads, batch=phase.batch, seed=seed, start_step=step
        )

    def validation() -> Iterable[Batch]:
        return trunk_cache.validation_batches(val, dataset.val, dataset.heads)

    return Batches(pipeline.steps_per_epoch(dataset.train, phase.batch), training, validation)


def _has_metric(dataset: Dataset) -> bool:
    return any(head.kind == "metric" for head in dataset.heads)


def _with_mirrored(pictures: Any, targets: Mapping[str, Any]) -> Batch:
    twice = {name: tf.concat([target, target], 0) for name, target in targets.items()}
    return tf.concat([pictures, pictures[:, :, ::-1]], 0), twice
