"""One phase, step by step, with a learner that answers what it is told to."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tests.vsearch.training.loop.test_resume import Variable
from vsearch.core.errors import PlanError
from vsearch.models.trained_heads import HeadSpec
from vsearch.training.plan_parts import Phase

pytestmark = pytest.mark.keras

STEPS = 4
KIND = HeadSpec("kind", "softmax", ("bar", "disc"))


class Learner:
    """Counts its steps in its only weight; judged, it gives the losses of a list, one for each epoch."""

    def __init__(self, losses: list[float], *, broken_at: int = 0) -> None:
        self.weight = Variable()
        self.weight.value = np.zeros(())
        self.model = SimpleNamespace(variables=[self.weight])
        self.variables = [self.weight]
        self.losses, self.broken_at, self.swapped = losses, broken_at, 0

    def train(self, inputs: Any, targets: Mapping[str, Any], rate: float) -> Any:
        """Learn from a batch, which is its step's number."""
        assert inputs == self.weight.value
        self.weight.value = self.weight.value + 1
        return np.array([[np.nan if inputs + 1 == self.broken_at else 2.0, 1.0, 2.0]], np.float32)

    def judge(self, inputs: Any, targets: Mapping[str, Any]) -> Any:
        """Judge: half of the answers are right."""
        epoch = int(self.weight.value) // STEPS
        return np.array([[10 * self.losses[epoch - 1], 5.0, 10.0]], np.float32)

    def swap_averages(self) -> None:
        """Count."""
        self.swapped += 1


def batches(step: int) -> Iterator[Any]:
    """Give the steps' numbers for batches."""
    while True:
        yield step, {}
        step += 1


def run_of(folder: Path, learner: Learner, *, epochs: int = 3, patience: int = 0, **tells: Any) -> Any:
    """Return a phase with a learner."""
    from vsearch.training.loop.batches import Batches
    from vsearch.training.loop.phases import PhaseRun
    from vsearch.training.losses import Objective

    phase = Phase(
        name="one", size=32, epochs=epochs, batch=2, learning_rate=0.5, patience=patience, schedule="constant"
    )
    tells = {"advance": lambda step: None, "write_history": lambda rows: None} | tells
    found = Batches(STEPS, batches, lambda: [(None, {})])
    return PhaseRun(phase, learner, found, [Objective(KIND)], folder, **tells)  # type: ignore[arg-type]


def test_a_phase_learns_all_its_epochs_and_writes_a_line_for_each(tmp_path: Path) -> None:
    """Means over the pictures of an epoch; the last weights are kept, however they are judged."""
    learner = Learner([3.0, 1.0, 2.0])
    lines: list[list[Any]] = []
    steps: list[int] = []

    run_of(tmp_path, learner, advance=steps.append, write_history=lambda rows: lines.append(list(rows))).run()

    assert [len(rows) for rows in lines] == [0, 1, 2, 3]
    last = lines[-1][-1]
    assert {**last, "seconds": 0} == {
        "phase": "one",
        "epoch": 3,
        "learning_rate": 0.5,
        "seconds": 0,
        "loss": 1.0,
        "val_loss": 2.0,
        "kind": 0.5,
        "val_kind": 0.5,
    }
    assert steps == [*range(1, 13), 12]
    assert learner.weight.value == 12


def test_patience_ends_a_phase_and_takes_its_best_back(tmp_path: Path) -> None:
    """Two epochs after the best: the weights are those of the second epoch, and progress is told as whole."""
    learner = Learner([3.0, 1.0, 2.0, 2.0, 0.0])
    steps: list[int] = []

    run_of(tmp_path, learner, epochs=5, patience=2, advance=steps.append).run()

    assert learner.weight.value == 2 * STEPS
    assert steps[-2:] == [4 * STEPS, 5 * STEPS]


def test_a_phase_that_was_over_is_not_gone_on_with(tmp_path: Path) -> None:
    """Killed after its last step and before its weights were kept, it has them again."""
    run_of(tmp_path, Learner([3.0, 1.0, 2.0, 2.0, 0.0]), epochs=5, patience=2).run()
    again = Learner([])

    run_of(tmp_path, again, epochs=5, patience=2).run()

    assert again.weight.value == 2 * STEPS


def test_a_stopped_phase_goes_on_after_the_last_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stopped at step six with every step kept: the next is told as the sixth again, and the sums go on."""
    from vsearch.training.loop import phases

    monkeypatch.setattr(phases._Saves, "due", lambda self: True)

    def stop(step: int) -> None:
        if step == 6:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_of(tmp_path, Learner([3.0, 1.0, 2.0]), advance=stop).run()
    learner = Learner([3.0, 1.0, 2.0])
    steps: list[int] = []
    lines: list[list[Any]] = []
    run_of(tmp_path, learner, advance=steps.append, write_history=lambda rows: lines.append(list(rows))).run()

    assert steps[0] == 6
    assert [len(rows) for rows in lines] == [1, 2, 3]
    assert [row["loss"] for row in lines[-1]] == [1.0, 1.0, 1.0]
    assert learner.weight.value == 12


def test_a_loss_that_is_no_number_ends_the_phase(tmp_path: Path) -> None:
    """The sentence names phase and step; what was kept before stays."""
    with pytest.raises(PlanError, match=r"phase 'one' the loss of .* is no number any more at step 8; lower"):
        run_of(tmp_path, Learner([3.0, 1.0], broken_at=6)).run()

    learner = Learner([3.0, 1.0, 2.0])
    run_of(tmp_path, learner).run()
    assert learner.weight.value == 12


def test_averages_are_judged_and_left_in_place(tmp_path: Path) -> None:
    """In for each judgement and out again, and in at the end: an odd number of swaps."""
    learner = Learner([3.0, 1.0, 2.0])

    run_of(tmp_path, learner).run()

    assert learner.swapped == 7


def test_nothing_is_left_of_a_phase_that_is_forgotten(tmp_path: Path) -> None:
    """Neither state nor best."""
    run = run_of(tmp_path, Learner([3.0, 1.0, 2.0]), patience=3)
    run.run()
    assert len(list(tmp_path.iterdir())) == 2

    run.forget()

    assert list(tmp_path.iterdir()) == []
