"""Run a plan's phases for one backbone: resumable after a kill at any moment, at most one epoch is done again."""

import json
import logging
import shutil
from pathlib import Path
from typing import Any

import keras

from vsearch.model.network import build_classifier
from vsearch.progress import Advance, unseen
from vsearch.training.pipeline import steps_per_epoch, training_batches, validation_batches
from vsearch.training.plan import Phase, Plan
from vsearch.training.sources import Pictures

logger = logging.getLogger(__name__)


def run(
    plan: Plan,
    backbone_name: str,
    class_names: tuple[str, ...],
    data: dict[str, Pictures],
    folder: Path,
    advance: Advance = unseen,
) -> Path:
    """Train one backbone by all phases and return its weights file, `folder/<backbone>/backbone.weights.h5`.

    A finished phase leaves `<phase>.weights.h5` and is not run again; an interrupted one goes on after its last
    whole epoch.
    """
    folder = folder / backbone_name
    folder.mkdir(parents=True, exist_ok=True)
    keras.utils.set_random_seed(plan.seed)
    keras.mixed_precision.set_global_policy("mixed_bfloat16")
    try:
        backbone, classifier = build_classifier(backbone_name, len(class_names))
    finally:
        keras.mixed_precision.set_global_policy("float32")
    for phase in plan.phase:
        _run_phase(phase, plan, classifier, data, folder, advance)
    _save(backbone, weights_file(folder.parent, backbone_name))
    return weights_file(folder.parent, backbone_name)


def weights_file(folder: Path, backbone_name: str) -> Path:
    """Return where `run` leaves the weights of a backbone."""
    return folder / backbone_name / "backbone.weights.h5"


def finished(folder: Path, backbone_name: str) -> bool:
    """Tell whether all phases of a backbone are done."""
    return weights_file(folder, backbone_name).is_file()


def _run_phase(
    phase: Phase,
    plan: Plan,
    classifier: Any,
    data: dict[str, Pictures],
    folder: Path,
    advance: Advance,
) -> None:
    done = folder / f"{phase.name}.weights.h5"
    if done.is_file():
        classifier.load_weights(done)
        return
    class_count = classifier.output_shape[-1]
    steps = steps_per_epoch(data["train"], phase.batch)
    classifier.compile(
        optimizer=keras.optimizers.AdamW(_schedule(phase, steps), weight_decay=phase.weight_decay),
        loss=keras.losses.CategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    history = classifier.fit(
        training_batches(data["train"], phase, class_count, plan.seed),
        validation_data=validation_batches(data["val"], phase, class_count) if len(data["val"].labels) else None,
        epochs=phase.epochs,
        steps_per_epoch=steps,
        shuffle=False,
        callbacks=[
            keras.callbacks.BackupAndRestore(folder / f"{phase.name}.backup"),
            _Watch(advance, phase.epochs * steps, steps, folder / f"{phase.name}.jsonl"),
        ],
        verbose=0,
    )
    logger.info("%s %s: %s", folder.name, phase.name, {k: v[-1] for k, v in history.history.items()})
    _save(classifier, done)
    shutil.rmtree(folder / f"{phase.name}.backup", ignore_errors=True)


def _save(network: Any, file: Path) -> None:
    """Write weights whole or not at all."""
    partial = file.with_name(f"partial-{file.name}")
    network.save_weights(partial)
    partial.rename(file)


def _schedule(phase: Phase, steps: int) -> Any:
    warm_up = max(1, round(phase.warm_up_epochs * steps))
    return keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=phase.learning_rate / 100,
        decay_steps=max(1, phase.epochs * steps - warm_up),
        warmup_target=phase.learning_rate,
        warmup_steps=warm_up,
    )


class _Watch(keras.callbacks.Callback):  # type: ignore[misc]  # keras ships no types
    """Tells how many steps of a phase are done, and adds a line to its history after each epoch."""

    def __init__(self, advance: Advance, total: int, steps: int, history: Path) -> None:
        super().__init__()
        self._advance, self._total, self._steps, self._history = advance, total, steps, history
        self._before = 0

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._before = epoch * self._steps

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self._advance(self._before + batch + 1, self._total)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        line = {"epoch": epoch + 1} | {name: float(value) for name, value in (logs or {}).items()}
        with self._history.open("a", encoding="utf8") as file:
            file.write(json.dumps(line) + "\n")
