"""Train a backbone with its heads by Keras, phase by phase. A killed training continues where it was.

FOLDER/<backbone>/network.weights.h5     the result
                 /history.jsonl          a row for each epoch
                 /state.npz              phase, step, and the variables of network and optimizer
                 /best.npz               the same after the best epoch of the current phase
"""

import json
import logging
import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import keras
import numpy as np
import tensorflow as tf

from vsearch.core.errors import PlanError
from vsearch.core.files import filename_in_errors, replace_text
from vsearch.core.progress import ProgressCallback, no_progress
from vsearch.models.backbones import backbone
from vsearch.models.network import build_network, build_top
from vsearch.models.trained_heads import HeadSpec
from vsearch.training.data.dataset import Dataset
from vsearch.training.loop import batches, resume
from vsearch.training.loop.batches import Batches
from vsearch.training.loop.frozen_trunk import FrozenTrunk
from vsearch.training.loop.phase_setup import PhaseSchedule, first_trainable_layer, load_start_weights, precision_policy
from vsearch.training.loop.resume import TrainingState
from vsearch.training.losses import HeadAccuracy, head_losses
from vsearch.training.plan import Phase, Plan

logger = logging.getLogger(__name__)

SAVE_SECONDS: Final = 30.0
_MAX_SAVE_SHARE: Final = 0.05  # of the time; a slow disk is written to more rarely


def train_backbone(
    plan: Plan,
    name: str,
    dataset: Dataset,
    folder: Path,
    *,
    work: Path,
    advance: ProgressCallback = no_progress,
    runs: Path = Path("runs"),
    weights: Path | None = None,
    devices: Sequence[str] | None = None,
) -> Path:
    """Train a backbone and its heads by all phases; return the file with the network's weights.

    Args:
        plan: the experiment.
        name: one of its backbones.
        dataset: as prepared for the plan.
        folder: gets a folder for the backbone; finished steps in it are not repeated.
        work: features of frozen trunks are cached in its folder `trunk`.
        advance: reports steps of all phases, and pictures while features of a frozen trunk are computed.
        runs: folder with the runs of other plans to start from.
        weights: folder to search first for pretrained weights.
        devices: names of devices to share each batch; by default all GPUs.

    Raises:
        PlanError: a phase names layers that the backbone lacks, or the loss became NaN.
        CheckpointError: the initial weights cannot be used, or the saved state is of another network.
        OSError: the disk is full; the last state is kept.
    """
    target = weights_file(folder, name)
    if target.is_file():
        return target
    keras.utils.set_random_seed(plan.seed)
    strategy = choose_strategy(devices)
    with strategy.scope():
        trunk, network = _build(plan, name, dataset.heads, precision_policy(plan.precision))
        for phase in plan.phase:
            first_trainable_layer(trunk, phase)
            if phase.batch % strategy.num_replicas_in_sync:
                raise PlanError(
                    f"Phase {phase.name!r}: batch {phase.batch} cannot be shared evenly by "
                    f"{strategy.num_replicas_in_sync} devices. Use a multiple of that."
                )
        load_start_weights(trunk, name, plan.start, runs=runs, folder=weights)
    target.parent.mkdir(parents=True, exist_ok=True)
    training = _Training(plan, dataset, target.parent, work / "trunk", strategy, trunk, network, advance)
    for number in range(training.resume_phase(), len(plan.phase)):
        training.run_phase(number)
    partial = target.with_name(f"partial-{target.name}")
    try:
        with filename_in_errors(target):
            network.save_weights(partial)
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
    for file in target.parent.glob("*.npz"):
        file.unlink()
    return target


def weights_file(folder: Path, name: str) -> Path:
    """Return the file in which `train_backbone` leaves the weights; it exists once the training is finished."""
    return folder / name / "network.weights.h5"


def load_history(folder: Path, name: str) -> list[dict[str, Any]]:
    """Return a row for each epoch: phase, epoch, learning_rate, seconds, losses and each head's accuracy."""
    file = folder / name / "history.jsonl"
    if not file.is_file():
        return []
    with resume.intact(file):
        return [json.loads(line) for line in file.read_text(encoding="utf8").splitlines()]


def load_network(plan: Plan, name: str, heads: Sequence[HeadSpec], folder: Path) -> tuple[Any, Any]:
    """Return the trained (backbone, network) in single precision."""
    trunk, network = _build(plan, name, heads, "float32")
    file = weights_file(folder, name)
    with resume.intact(file):
        network.load_weights(file)
    return trunk, network


def choose_strategy(devices: Sequence[str] | None = None) -> Any:
    """Return the strategy that shares batches among the devices, by default all GPUs."""
    if devices is None:
        devices = [f"GPU:{number}" for number in range(len(tf.config.list_logical_devices("GPU")))]
    return tf.distribute.MirroredStrategy(devices) if len(devices) > 1 else tf.distribute.get_strategy()


class _Training:
    """The phases of one backbone."""

    def __init__(
        self,
        plan: Plan,
        dataset: Dataset,
        folder: Path,
        trunks: Path,
        strategy: Any,
        trunk: Any,
        network: Any,
        advance: ProgressCallback,
    ) -> None:
        self._plan, self._dataset, self._folder, self._trunks = plan, dataset, folder, trunks
        self._strategy, self._trunk, self._network, self._advance = strategy, trunk, network, advance
        self._steps = [phase.epochs * batches.steps_per_epoch(dataset.train, phase.batch) for phase in plan.phase]

    def resume_phase(self) -> int:
        """Load the network's variables where an earlier run saved them; return the number of the phase."""
        return resume.load(self._folder / "state.npz", self._network_variables()).phase

    def run_phase(self, number: int) -> None:
        """Train from the last state to the end of the phase and leave the network with the weights to keep."""
        phase, network = self._plan.phase[number], self._network
        first = first_trainable_layer(self._trunk, phase)
        self._trunk.trainable = True
        for position, layer in enumerate(self._trunk.layers):
            layer.trainable = position >= first
        data = self._batches(number)
        with self._strategy.scope():
            if phase.unfreeze == "none":
                model = build_top(network, self._trunk.output_shape[-1])
            else:  # a model of its own, since a compiled one saves its optimizer with the weights
                model = keras.Model(network.input, network.output)
            schedule = self._compile(model, phase, data.steps)
        optimizer = model.optimizer
        variables = [*self._network_variables(), *optimizer.variables]
        saver = _StateSaver(self._folder, variables, phase, number, data.steps, schedule, self._report(number))
        validation = data.validation if self._has_validation_labels() else None
        while saver.restore():
            epoch, done = divmod(saver.state.step, data.steps)
            model.fit(
                data.training(saver.state.step),
                initial_epoch=epoch,
                epochs=epoch + 1 if done else phase.epochs,  # the rest of an interrupted epoch on its own
                steps_per_epoch=data.steps - done,
                validation_data=validation,
                callbacks=[saver, *([keras.callbacks.SwapEMAWeights()] if phase.ema else [])],
                shuffle=False,
                verbose=0,
            )
        saver.restore_best()
        optimizer.finalize_variable_values(model.trainable_variables)
        finished = TrainingState(number + 1, 0, saver.state.history)
        resume.save(self._folder / "state.npz", finished, self._network_variables())
        (self._folder / "best.npz").unlink(missing_ok=True)
        self._report(number)(self._steps[number])

    def _compile(self, model: Any, phase: Phase, steps: int) -> PhaseSchedule:
        schedule = PhaseSchedule(phase, steps)
        optimizer = keras.optimizers.AdamW(
            schedule, weight_decay=phase.weight_decay, use_ema=phase.ema > 0, ema_momentum=phase.ema or 0.99
        )
        optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
        if precision_policy(self._plan.precision) == "mixed_float16":
            optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
        optimizer.build(model.trainable_variables)
        losses = head_losses(self._plan.head, self._dataset.heads, self._dataset.train.targets)
        model.compile(
            optimizer,
            loss=losses,
            loss_weights={head.name: head.weight for head in self._plan.head},
            metrics={name: [HeadAccuracy(loss)] for name, loss in losses.items()},
            auto_scale_loss=False,
            jit_compile=False,
        )
        return schedule

    def _batches(self, number: int) -> Batches:
        phase = self._plan.phase[number]
        augment, seed = phase.augment or self._plan.augment, 1000 * self._plan.seed + number
        replicas = self._strategy.num_replicas_in_sync
        if phase.unfreeze != "none":
            return batches.of_pictures(self._dataset, phase, augment, seed=seed, replicas=replicas)
        trunk = FrozenTrunk(
            self._trunk,
            backbone(self._trunk.name).scaling,
            phase.shape,
            keep_map=any(head.kind == "digits" or head.grid > 1 for head in self._dataset.heads),
            precision=precision_policy(self._plan.precision),
        )
        return batches.of_features(
            self._dataset, phase, augment,
            seed=seed, trunk=trunk, folder=self._trunks, replicas=replicas, advance=self._advance,
        )  # fmt: skip

    def _network_variables(self) -> list[Any]:
        # Of the layers: those of the model would include what `compile` adds.
        return [variable for layer in self._network.layers for variable in layer.variables]

    def _has_validation_labels(self) -> bool:
        return any((target != -1).any() for target in self._dataset.val.targets.values())

    def _report(self, number: int) -> Any:
        before = sum(self._steps[:number])
        return lambda step: self._advance(before + step, sum(self._steps))


class _StateSaver(keras.callbacks.Callback):  # type: ignore[misc]  # untyped
    """Saves the state every half minute and after each epoch, keeps the best epoch, and stops for lack of progress.

    `keras.callbacks.BackupAndRestore` restarts an interrupted epoch from its beginning with the weights of its middle.
    """

    def __init__(
        self,
        folder: Path,
        variables: list[Any],
        phase: Phase,
        number: int,
        steps: int,
        schedule: PhaseSchedule,
        report: Any,
    ) -> None:
        super().__init__()
        self._file, self._best_file, self._history = (
            folder / name for name in ("state.npz", "best.npz", "history.jsonl")
        )
        self._variables, self._phase, self._number, self._steps = variables, phase, number, steps
        self._schedule, self._report = schedule, report
        self._wait, self._last_save, self._epoch_start = SAVE_SECONDS, time.monotonic(), time.monotonic()
        self.state = TrainingState(number)

    def restore(self) -> bool:
        """Load the last state and return whether there is anything left to do."""
        self.state = resume.load(self._file)
        if self.state.step:
            resume.load(self._file, self._variables)
        self.state.phase = self._number
        self._last_save = self._epoch_start = time.monotonic()
        return self.state.step < self._phase.epochs * self._steps and not self._out_of_patience()

    def restore_best(self) -> None:
        """Load the variables of the best epoch, if the phase has patience."""
        if self._phase.patience and self._best_file.is_file():
            resume.load(self._best_file, self._variables)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Count the step and save if it is time."""
        self.state.step += 1
        self._report(self.state.step)
        if self.state.step % self._steps and time.monotonic() - self._last_save >= self._wait:
            self._check_loss(logs)
            self._save()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Write the row of the epoch and save."""
        self._check_loss(logs)
        row = {
            "phase": self._phase.name,
            "epoch": epoch + 1,
            "learning_rate": float(self._schedule(self.state.step - 1)),
            "seconds": round(time.monotonic() - self._epoch_start, 2),
            "loss": float(logs["loss"]),
            "val_loss": float(logs["val_loss"]) if "val_loss" in logs else None,
        }
        for head in self.model.output:
            for split in ("", "val_"):
                # Keras names the metric of a single head without the head.
                accuracy = float(logs.get(f"{split}{head}_accuracy", logs.get(f"{split}accuracy", math.nan)))
                row[f"{split}{head}"] = None if math.isnan(accuracy) else accuracy
        self.state.history.append(row)
        rows = self._rows()
        if self._phase.patience and self._best(rows) == len(rows) - 1:
            resume.save(self._best_file, self.state, self._variables)
        self._save()
        replace_text(self._history, "".join(f"{json.dumps(row)}\n" for row in self.state.history))
        logger.info("%s: %s", self._file.parent.name, row)
        self._epoch_start = time.monotonic()
        if self._out_of_patience():
            self.model.stop_training = True

    def _rows(self) -> list[dict[str, Any]]:
        return [row for row in self.state.history if row["phase"] == self._phase.name]

    def _best(self, rows: list[dict[str, Any]]) -> int:
        return int(np.argmin([row["loss"] if row["val_loss"] is None else row["val_loss"] for row in rows]))

    def _out_of_patience(self) -> bool:
        rows = self._rows()
        return bool(rows and self._phase.patience) and len(rows) - 1 - self._best(rows) >= self._phase.patience

    def _check_loss(self, logs: Any) -> None:
        if not math.isfinite(float(logs["loss"])):
            raise PlanError(
                f"The loss of {self._file.parent.name} became NaN in phase {self._phase.name!r} by step "
                f"{self.state.step}. Use a lower learning_rate or a longer warm-up, and another --runs."
            )

    def _save(self) -> None:
        started = time.monotonic()
        resume.save(self._file, self.state, self._variables)
        self._last_save = time.monotonic()
        self._wait = max(SAVE_SECONDS, (self._last_save - started) / _MAX_SAVE_SHARE)


def _build(plan: Plan, name: str, heads: Sequence[HeadSpec], policy: str) -> tuple[Any, Any]:
    keras.mixed_precision.set_global_policy(policy)
    try:
        return build_network(name, heads, dropout=plan.dropout)
    finally:
        keras.mixed_precision.set_global_policy("float32")
