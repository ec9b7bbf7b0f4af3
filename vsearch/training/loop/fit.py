"""Train a backbone with its heads in Keras, phase by phase. A killed run resumes from its last saved state.

FOLDER/<backbone>/state.npz         phase, step, history, and the variables of network and optimizer
                 /best.npz          the same after the best epoch of the current phase
                 /history.jsonl     a row for each epoch
"""

import json
import logging
import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import keras
import numpy as np
import tensorflow as tf

from vsearch.core.errors import PlanError
from vsearch.core.files import replace_text
from vsearch.core.progress import ProgressCallback, no_progress
from vsearch.models.backbones import backbone
from vsearch.models.network import build_network, build_top, head_features
from vsearch.models.trained_heads import MISSING, HeadSpec
from vsearch.training.data.dataset import Dataset
from vsearch.training.loop import batches, resume
from vsearch.training.loop.batches import Batches
from vsearch.training.loop.frozen_trunk import FrozenTrunk
from vsearch.training.loop.phase_setup import PhaseSchedule, first_trainable_layer, load_start_weights, precision_policy
from vsearch.training.loop.resume import TrainingState

if TYPE_CHECKING:
    from vsearch.training.run import Run
from vsearch.training.losses import HeadAccuracy, head_losses
from vsearch.training.plan import Phase, Plan

logger = logging.getLogger(__name__)

SAVE_SECONDS: Final = 30.0
_MAX_SAVE_SHARE: Final = 0.05  # of the training time; on a slow disk, states are saved less often


def train_backbone(
    run: "Run",
    name: str,
    dataset: Dataset,
    advance: ProgressCallback = no_progress,
    *,
    devices: Sequence[str] | None = None,
) -> None:
    """Train a run's backbone and its heads in all phases, unless already done, on the given devices or all GPUs.

    Raises:
        PlanError: a phase names layers that the backbone does not have, or the loss became NaN.
        CheckpointError: the initial weights cannot be used, or the saved state is for a different network.
        OSError: the disk is full; the last state is kept.
    """
    if resume.load(state_file(run, name)).phase < len(run.plan.phase):
        _Training(run, name, dataset, advance, devices).train()


def state_file(run: "Run", name: str) -> Path:
    """Return the file with a backbone's training state."""
    return run.folder / name / "state.npz"


def load_network(run: "Run", name: str, heads: Sequence[HeadSpec]) -> tuple[Any, Any]:
    """Return the trained (backbone, network) in single precision."""
    trunk, network = _build(run.plan, name, heads, "float32")
    resume.load(state_file(run, name), _variables_of(trunk, network))
    return trunk, network


def choose_strategy(devices: Sequence[str] | None = None) -> Any:
    """Return the strategy that distributes batches over the devices, by default all GPUs."""
    if devices is None:
        devices = [f"GPU:{number}" for number in range(len(tf.config.list_logical_devices("GPU")))]
    return tf.distribute.MirroredStrategy(devices) if len(devices) > 1 else tf.distribute.get_strategy()


class _Training:
    """The training run of one backbone."""

    def __init__(
        self, run: "Run", name: str, dataset: Dataset, advance: ProgressCallback, devices: Sequence[str] | None
    ) -> None:
        self._plan, self._dataset, self._advance = run.plan, dataset, advance
        self._file, self._trunk_cache = state_file(run, name), run.folder / "trunk"
        self._steps = [phase.epochs * batches.steps_per_epoch(dataset.train, phase.batch) for phase in self._plan.phase]
        self._precision = precision_policy(self._plan.precision)
        keras.utils.set_random_seed(self._plan.seed)
        self._strategy = choose_strategy(devices)
        with self._strategy.scope():
            self._trunk, self._network = _build(self._plan, name, dataset.heads, self._precision)
            self._features = head_features(self._trunk, dataset.heads)
            for phase in self._plan.phase:
                first_trainable_layer(self._trunk, phase)
                if phase.batch % self._strategy.num_replicas_in_sync:
                    raise PlanError(
                        f"Phase {phase.name!r}: batch {phase.batch} cannot be divided evenly among "
                        f"{self._strategy.num_replicas_in_sync} devices. Use a multiple of that number."
                    )
            load_start_weights(self._trunk, name, self._plan.start, runs=run.runs, folder=run.weights)
        self._start = self._trunk.get_weights()

    def train(self) -> None:
        """Train, starting from the last state."""
        self._file.parent.mkdir(parents=True, exist_ok=True)
        state = resume.load(self._file, _variables_of(self._trunk, self._network))
        for number in range(state.phase, len(self._plan.phase)):
            self.run_phase(number)

    def run_phase(self, number: int) -> None:
        """Train from the last state to the end of the phase; afterwards the network has the weights to keep."""
        phase, network = self._plan.phase[number], self._network
        first = first_trainable_layer(self._trunk, phase)
        self._trunk.trainable = True
        for position, layer in enumerate(self._trunk.layers):
            still = phase.freeze_batch_norm and isinstance(layer, keras.layers.BatchNormalization)
            layer.trainable = position >= first and not still
        data = self._batches(number)
        with self._strategy.scope():
            model = network if phase.unfreeze != "none" else build_top(network, self._features.output_shape[-1])
            schedule = self._compile(model, phase, data.steps)
        optimizer = model.optimizer
        variables = [*_variables_of(self._trunk, network), *optimizer.variables]
        saver = _StateSaver(self._file, variables, phase, number, data.steps, schedule, self._report(number))
        has_labels = any((target != MISSING).any() for target in self._dataset.val.targets.values())
        while saver.restore():
            epoch, done = divmod(saver.state.step, data.steps)
            model.fit(
                data.training(saver.state.step),
                initial_epoch=epoch,
                epochs=epoch + 1 if done else phase.epochs,  # the rest of an interrupted epoch is fitted separately
                steps_per_epoch=data.steps - done,
                validation_data=data.validation if has_labels else None,
                callbacks=[saver, *([keras.callbacks.SwapEMAWeights()] if phase.ema else [])],
                shuffle=False,
                verbose=0,
            )
        saver.restore_best()
        optimizer.finalize_variable_values(model.trainable_variables)
        if share := phase.average_with_start:
            trained = self._trunk.get_weights()
            self._trunk.set_weights([share * a + (1 - share) * b for a, b in zip(self._start, trained, strict=True)])
        finished = TrainingState(number + 1, 0, saver.state.history)
        resume.save(self._file, finished, _variables_of(self._trunk, network))
        self._file.with_name("best.npz").unlink(missing_ok=True)
        self._report(number)(self._steps[number])

    def _compile(self, model: Any, phase: Phase, steps: int) -> PhaseSchedule:
        schedule = PhaseSchedule(phase, steps)
        optimizer = keras.optimizers.AdamW(
            schedule, weight_decay=phase.weight_decay, use_ema=phase.ema > 0, ema_momentum=phase.ema or 0.99
        )
        optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
        if self._precision == "mixed_float16":
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
            self._features,
            backbone(self._trunk.name).scaling,
            phase.shape,
            keep_map=any(head.kind in ("digits", "boxes") or head.grid > 1 for head in self._dataset.heads),
            precision=self._precision,
        )
        return batches.of_features(
            self._dataset, phase, augment,
            seed=seed, trunk=trunk, folder=self._trunk_cache, replicas=replicas, advance=self._advance,
        )  # fmt: skip

    def _report(self, number: int) -> Any:
        before = sum(self._steps[:number])
        return lambda step: self._advance(before + step, sum(self._steps))


class _StateSaver(keras.callbacks.Callback):  # type: ignore[misc]  # untyped
    """Saves the state every half minute and after each epoch, keeps the best epoch, and stops if progress stalls.

    `keras.callbacks.BackupAndRestore` is not used because it repeats an interrupted epoch with the mid-epoch weights.
    """

    def __init__(
        self,
        file: Path,
        variables: list[Any],
        phase: Phase,
        number: int,
        steps: int,
        schedule: PhaseSchedule,
        report: Any,
    ) -> None:
        super().__init__()
        self._file, self._best_file = file, file.with_name("best.npz")
        self._variables, self._phase, self._number, self._steps = variables, phase, number, steps
        self._schedule, self._report = schedule, report
        self._wait, self._last_save, self._epoch_start = SAVE_SECONDS, time.monotonic(), time.monotonic()
        self.state = TrainingState(number)

    def restore(self) -> bool:
        """Load the last state and return whether anything is left to do."""
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
        """Count the step, and save the state if it is due."""
        self.state.step += 1
        self._report(self.state.step)
        if self.state.step % self._steps and time.monotonic() - self._last_save >= self._wait:
            self._check_loss(logs)
            self._save()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Write the epoch's row and save the state."""
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
                # If there is only one head, Keras omits its name from the metric's name.
                accuracy = float(logs.get(f"{split}{head}_accuracy", logs.get(f"{split}accuracy", math.nan)))
                row[f"{split}{head}"] = None if math.isnan(accuracy) else accuracy
        self.state.history.append(row)
        rows = self._rows()
        if self._phase.patience and self._best(rows) == len(rows) - 1:
            resume.save(self._best_file, self.state, self._variables)
        self._save()
        lines = "".join(f"{json.dumps(row)}\n" for row in self.state.history)
        replace_text(self._file.with_name("history.jsonl"), lines)
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
                f"{self.state.step}. Use a lower learning_rate or a longer warm-up, and choose another --runs."
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


def _variables_of(trunk: Any, network: Any) -> list[Any]:
    # Those of the layers, since those of a model include variables that `compile` adds. A boxes head does not use the
    # last layers of the trunk.
    layers = [layer for model in (network, trunk) for layer in model.layers]
    return list({id(variable): variable for layer in layers for variable in layer.variables}.values())
