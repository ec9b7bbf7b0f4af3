"""A training in a process of its own that kills itself after so many steps; every step is kept to go on from."""

import os
import signal
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path

LOG = "steps.log"


@dataclass(frozen=True)
class Training:
    """What to train, and on what.

    Attributes:
        step: of all phases' steps; the process kills itself there; 0 lets it finish.
        devices: that share each batch.
    """

    folder: Path
    plan: str
    step: int = 0
    devices: tuple[str, ...] = field(default=())


def child(training: Training) -> None:
    """Train, in the child process."""
    import tensorflow as tf

    if training.devices:
        one = tf.config.LogicalDeviceConfiguration()
        tf.config.set_logical_device_configuration(
            tf.config.list_physical_devices("CPU")[0], [one] * len(training.devices)
        )
    tf.config.experimental.enable_op_determinism()

    from vsearch.training import dataset, fit, phases
    from vsearch.training import plan as plans

    def advance(done: int, total: int) -> None:
        with (training.folder / LOG).open("a") as log:
            log.write(f"{done}\n")
        if done == training.step:
            os.kill(os.getpid(), signal.SIGKILL)

    phases._Saves.due = lambda self: True  # type: ignore[method-assign]  # a process of its own
    plan = plans.parse(training.plan, "tiny")
    pictures = dataset.prepare(plan, training.folder, work=training.folder / "work")
    runs, work = training.folder / "runs", training.folder / "work"
    devices = training.devices or None
    fit.run(plan, plan.backbones[0], pictures, runs, work=work, advance=advance, devices=devices)


def train(training: Training) -> tuple[int, list[int]]:
    """Train in a new process; return its exit code (-9 when it was killed) and the steps it told of."""
    (training.folder / LOG).unlink(missing_ok=True)
    process = get_context("spawn").Process(target=child, args=(training,), daemon=True)
    process.start()
    process.join()
    assert process.exitcode is not None
    return process.exitcode, [int(line) for line in (training.folder / LOG).read_text().split()]
