"""The setup of a phase: initial weights, trainable layers, learning rate schedule, precision."""

import math
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf
from keras import ops

from vsearch.core.errors import CheckpointMissing, PlanError
from vsearch.models import checkpoint, weights
from vsearch.models.backbones import backbone
from vsearch.training import plan as plans
from vsearch.training.plan import START_FROM_PLAN, Phase

_BFLOAT16_FLAGS = ("avx512_bf16", "amx_bf16")  # without these, emulated bfloat16 is three times slower than float32


class PhaseSchedule(keras.optimizers.schedules.LearningRateSchedule):  # type: ignore[misc]  # untyped
    """The learning rate of a phase by step: a linear warm-up, then the phase's schedule.

    "cosine" reaches zero after the last step; the intervals of "step" are counted from the start of the phase.
    """

    def __init__(self, phase: Phase, steps_per_epoch: int) -> None:
        self._phase = phase
        self._warm_up = round(phase.warm_up_epochs * steps_per_epoch)
        self._total = phase.epochs * steps_per_epoch
        self._interval = phase.every_steps or phase.every_epochs * steps_per_epoch or 1

    def __call__(self, step: Any) -> Any:
        """Return the learning rate of a step, counted from 0 at the start of the phase."""
        step = ops.cast(step, "float32")
        factor = ops.ones_like(step)
        if self._phase.schedule == "step":
            factor = self._phase.factor ** ops.floor(step / self._interval)
        elif self._phase.schedule == "cosine":
            share = (step - self._warm_up) / max(1, self._total - self._warm_up)
            factor = (1 + ops.cos(math.pi * ops.clip(share, 0.0, 1.0))) / 2
        warm_up = (step + 1) / max(1, self._warm_up)
        return self._phase.learning_rate * ops.where(step < self._warm_up, warm_up, factor)


def first_trainable_layer(network: Any, phase: Phase) -> int:
    """Return the index of a backbone's first trainable layer, or the number of layers if none is trainable.

    Raises:
        PlanError: there is no such stage or layer, or no layer from it onward has weights.
    """
    count, wanted, row = len(network.layers), phase.first_layer(network.name), backbone(network.name)
    if wanted in ("all", "none"):
        return 0 if wanted == "all" else count
    where = f"Phase {phase.name!r}, unfreeze"
    if isinstance(wanted, int):
        if not -count <= wanted < count:
            raise PlanError(f"{where}: {row.name} has no layer {wanted}. Use 0 to {count - 1}.")
        first = wanted % count
    elif wanted in row.stages:
        names = [layer.name for layer in network.layers]
        if not row.stem_layers:
            first = next(number for number, name in enumerate(names) if name.startswith(wanted))
        else:  # stages are given by their last layers
            before = row.stages.index(wanted) - 1
            first = names.index(row.stages[before]) + 1 if before >= 0 else row.stem_layers
    else:
        raise PlanError(
            f"{where}: {row.name} has no stage {wanted!r}. "
            f"Use all, none, a layer number, or one of {', '.join(row.stages)}."
        )
    if not any(layer.weights for layer in network.layers[first:]):
        raise PlanError(
            f"{where}: no layer of {row.name} from {wanted!r} onward has weights. Use an earlier one or 'none'."
        )
    return first


def load_start_weights(network: Any, name: str, start: str, *, runs: Path, folder: Path | None = None) -> None:
    """Load the weights that a plan starts from into a backbone.

    Weights of other plans are read from `runs`; pretrained weights are looked up in `folder` first.

    Raises:
        WeightsUnavailable: pretrained weights cannot be found.
        CheckpointMissing: there is no such checkpoint, or it has no such backbone.
        CheckpointMismatch: its weights are for a different network, or a file was changed.
    """
    if start == "random":
        return
    if start == "pretrained":
        network.set_weights(weights.load_pretrained(name, folder=folder).get_weights())
        return
    source = start_folder(start, runs)
    assert source is not None
    file = source / f"{name}.weights.npz"
    if not file.is_file():
        have = ", ".join(sorted(other.name.removesuffix(".weights.npz") for other in source.glob("*.weights.npz")))
        raise CheckpointMissing(
            f"Checkpoint {source} has no weights of {name} (it has {have or 'none'}). "
            "Change the plan's `start` or backbones."
        )
    checkpoint.load(source)  # verifies its checksums
    weights.unpack(network.weights, weights.read_packed(file), name)


def start_folder(start: str, runs: Path) -> Path | None:
    """Return the folder of the checkpoint that a plan starts from, if it starts from one; see `load_start_weights`."""
    if start in ("random", "pretrained"):
        return None
    if start == "bundled":
        return checkpoint.bundled()
    if start.startswith(START_FROM_PLAN):
        return runs / plans.read(start.removeprefix(START_FROM_PLAN)).name / "checkpoint"
    return Path(start)


def precision_policy(wanted: str, *, cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """Return the Keras dtype policy for a plan's precision; "auto" uses bfloat16 if the hardware supports it."""
    if wanted != "auto":
        return wanted
    gpus = [tf.config.experimental.get_device_details(gpu) for gpu in tf.config.list_physical_devices("GPU")]
    if gpus:
        supported = all(details.get("compute_capability", (0, 0)) >= (8, 0) for details in gpus)
        return "mixed_bfloat16" if supported else "float32"
    flags = cpuinfo.read_text(encoding="utf8", errors="replace").split() if cpuinfo.is_file() else []
    return "mixed_bfloat16" if any(flag in flags for flag in _BFLOAT16_FLAGS) else "float32"
