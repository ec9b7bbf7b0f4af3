"""A training run in a separate process that kills itself at a given step; the state is saved at every step."""

import os
import signal
import traceback
from dataclasses import dataclass, field
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path

LOG = "steps.log"


@dataclass(frozen=True)
class Training:
    """The training run to start.

    Attributes:
        step: of all phases, at which the process kills itself; 0 to finish.
        devices: to share each batch.
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

    from vsearch.training import plan as plans
    from vsearch.training.data import dataset
    from vsearch.training.loop import fit
    from vsearch.training.run import Run

    def advance(done: int, total: int) -> None:
        with (training.folder / LOG).open("a") as log:
            log.write(f"{done}\n")
        if done == training.step:
            os.kill(os.getpid(), signal.SIGKILL)

    fit.SAVE_SECONDS, fit._MAX_SAVE_SHARE = 0, 1e9  # type: ignore[misc]  # in this process only
    plan = plans.parse(training.plan, "tiny")
    pictures = dataset.prepare(plan, training.folder, work=training.folder / "work")
    run = Run(plan, training.folder, training.folder / "runs")
    fit.train_backbone(run, plan.backbones[0], pictures, advance, devices=training.devices or None)


class Trainer:
    """A process with TensorFlow loaded, from which each training run is forked."""

    def __init__(self) -> None:
        context = get_context("spawn")
        self._line, other = context.Pipe()
        context.Process(target=_fork_for_each, args=(other,), daemon=True).start()
        other.close()

    def __call__(self, training: Training) -> tuple[int, list[int]]:
        """Train in a new process; return its exit code (-9 if it was killed) and the steps it reported."""
        (training.folder / LOG).unlink(missing_ok=True)
        self._line.send(training)
        code: int = self._line.recv()
        return code, [int(line) for line in (training.folder / LOG).read_text().split()]

    def close(self) -> None:
        """End the process."""
        self._line.close()


def _fork_for_each(line: Connection) -> None:
    import vsearch.training.loop.fit  # noqa: F401  # with TensorFlow and Keras

    while True:
        try:
            training = line.recv()
        except EOFError:
            return
        process = os.fork()
        if process == 0:
            try:
                child(training)
            except BaseException:
                traceback.print_exc()
                os._exit(1)
            os._exit(0)
        line.send(os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]))
