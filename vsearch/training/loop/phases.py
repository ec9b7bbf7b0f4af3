"""One phase, step by step: what is learned, judged, written down and kept to go on from."""

import logging
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from vsearch.core.errors import PlanError
from vsearch.training.loop import resume
from vsearch.training.loop.batches import Batches
from vsearch.training.loop.resume import State
from vsearch.training.loop.schedules import learning_rate
from vsearch.training.loop.steps import Learner
from vsearch.training.losses import PARTS, Objective, mean_loss
from vsearch.training.plan_parts import Phase

logger = logging.getLogger(__name__)

Row = dict[str, Any]
"""A line of the history."""

SAVE_SECONDS: Final = 30.0
_SAVE_SHARE: Final = 0.05  # of the time that saving may take


@dataclass(frozen=True)
class PhaseRun:
    """A phase of one backbone.

    Attributes:
        folder: where its state is kept.
        advance: is told how many of the phase's steps are done.
        write_history: is given the lines of its finished epochs.
    """

    phase: Phase
    learner: Learner
    batches: Batches
    objectives: Sequence[Objective]
    folder: Path
    advance: Callable[[int], None]
    write_history: Callable[[list[Row]], None]

    @property
    def total(self) -> int:
        """Steps of all epochs."""
        return self.phase.epochs * self.batches.steps

    def run(self) -> None:
        """Learn to the end of the phase, from where an earlier run was; leave the model with the weights to keep.

        Raises:
            PlanError: the loss is no number any more.
            CheckpointMismatch: the state on disk belongs to another network.
            OSError: the disk is full; the last state stays.
        """
        state = resume.load(self._state, self.learner.variables) or State(self._nothing())
        self.write_history(state.rows)
        if not self._over(state):
            self._learn(state)
        if self.phase.patience and self._best.is_file():
            resume.load_values(self._best, self.learner.model.variables)
        else:
            self.learner.swap_averages()
        self.advance(self.total)

    def forget(self) -> None:
        """Remove what a run would have gone on from."""
        for file in (self._state, self._best):
            file.unlink(missing_ok=True)

    @property
    def _state(self) -> Path:
        return self.folder / f"{self.phase.name}.state.npz"

    @property
    def _best(self) -> Path:
        return self.folder / f"{self.phase.name}.best.npz"

    def _nothing(self) -> Any:
        return np.zeros((len(self.objectives), PARTS), np.float32)

    def _over(self, state: State) -> bool:
        waited = len(state.rows) - state.best_epoch
        return state.step >= self.total or bool(self.phase.patience and waited >= self.phase.patience)

    def _learn(self, state: State) -> None:
        steps = self.batches.steps
        saves = _Saves()
        started = time.monotonic() - state.seconds
        for inputs, targets in self.batches.training(state.step):
            rate = learning_rate(self.phase, state.step, steps)
            state.sums = state.sums + self.learner.train(inputs, targets, rate)
            state.step += 1
            self.advance(state.step)
            if state.step % steps == 0:
                self._end_epoch(state, time.monotonic() - started, rate)
                saves.run(lambda: resume.save(self._state, state, self.learner.variables))
                self.write_history(state.rows)
                started = time.monotonic()
                if self._over(state):
                    return
            elif saves.due():
                state.sums, state.seconds = np.asarray(state.sums), time.monotonic() - started
                self._check(state)
                saves.run(lambda: resume.save(self._state, state, self.learner.variables))

    def _end_epoch(self, state: State, seconds: float, rate: float) -> None:
        """Judge, write the epoch's line, and keep the model if it is the best so far."""
        state.sums = np.asarray(state.sums)
        self._check(state)
        self.learner.swap_averages()
        judged = self._nothing()
        for inputs, targets in self.batches.validation():
            judged = judged + self.learner.judge(inputs, targets)
        epoch = len(state.rows) + 1
        row = self._row(state.sums, np.asarray(judged))
        loss = row["loss"] if row["val_loss"] is None else row["val_loss"]
        if state.best is None or loss < state.best:
            state.best, state.best_epoch = loss, epoch
            if self.phase.patience:
                resume.save_values(self._best, self.learner.model.variables)
        self.learner.swap_averages()
        about = {"phase": self.phase.name, "epoch": epoch, "learning_rate": rate, "seconds": round(seconds, 2)}
        state.rows.append(about | row)
        state.sums, state.seconds = self._nothing(), 0.0
        logger.info("%s: %s", self.folder.name, about | row)

    def _row(self, learned: Any, judged: Any) -> Row:
        """Return losses and accuracies; None where no picture has a label."""
        row: Row = {"loss": mean_loss(self.objectives, learned)}
        row["val_loss"] = mean_loss(self.objectives, judged) if judged[:, 2].any() else None
        for number, objective in enumerate(self.objectives):
            for prefix, sums in (("", learned[number]), ("val_", judged[number])):
                row[f"{prefix}{objective.spec.name}"] = float(sums[1] / sums[2]) if sums[2] else None
        return row

    def _check(self, state: State) -> None:
        if not math.isfinite(float(np.sum(state.sums))):
            raise PlanError(
                f"A learning rate must be one the network can follow, but in phase {self.phase.name!r} the loss of "
                f"{self.folder.name} is no number any more at step {state.step}; lower it or warm up "
                "longer, in another --runs."
            )


class _Saves:
    """Says when a state is to be saved: every half minute, more rarely where saving takes long."""

    def __init__(self) -> None:
        self._last = time.monotonic()
        self._wait = SAVE_SECONDS

    def due(self) -> bool:
        """Whether it is time."""
        return time.monotonic() - self._last >= self._wait

    def run(self, save: Callable[[], None]) -> None:
        """Save, and see how long it takes."""
        started = time.monotonic()
        save()
        self._last = time.monotonic()
        self._wait = max(SAVE_SECONDS, (self._last - started) / _SAVE_SHARE)
