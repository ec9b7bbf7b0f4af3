from typing import Any

import numpy as np
import pytest

from vsearch.core.errors import CheckpointMismatch
from vsearch.training.loop import resume
from vsearch.training.loop.resume import TrainingState


class Variable:
    """The subset of a Keras variable that is used."""

    def __init__(self, *shape: int) -> None:
        self.value = np.random.default_rng(len(shape)).normal(size=shape)
        self.shape = shape

    def assign(self, value: Any) -> None:
        self.value = value

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        return np.asarray(self.value)


STATE = TrainingState(1, 7, [{"epoch": 1, "loss": 0.5, "val_loss": None}])


def test_a_state_is_restored_with_its_variables(tmp_path):
    variables = [Variable(2, 3), Variable(4), Variable()]
    saved = [np.array(variable.value) for variable in variables]
    resume.save(tmp_path / "state.npz", STATE, variables)
    for variable in variables:
        variable.value = variable.value * 0

    assert resume.load(tmp_path / "state.npz") == STATE
    assert not np.asarray(variables[0]).any()
    assert resume.load(tmp_path / "state.npz", variables) == STATE
    for variable, value in zip(variables, saved, strict=True):
        np.testing.assert_array_equal(variable.value, value)


def test_without_a_file_the_state_is_the_initial_one(tmp_path):
    assert resume.load(tmp_path / "state.npz", [Variable(2)]) == TrainingState()


@pytest.mark.parametrize("others", [[Variable(3)], [Variable(2), Variable(2)]])
def test_a_state_of_another_network_is_refused(tmp_path, others):
    resume.save(tmp_path / "state.npz", STATE, [Variable(2)])

    with pytest.raises(CheckpointMismatch, match=r"state\.npz"):
        resume.load(tmp_path / "state.npz", others)


def test_a_failed_save_keeps_the_last_state(tmp_path, monkeypatch):
    (tmp_path / ".new-incomplete").write_bytes(b"left by a killed run")
    resume.save(tmp_path / "state.npz", STATE, [Variable(2)])
    before = (tmp_path / "state.npz").read_bytes()

    def full(*arguments: Any, **arrays: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full)

    with pytest.raises(OSError, match="No space"):
        resume.save(tmp_path / "state.npz", STATE, [Variable(3)])
    assert [file.name for file in tmp_path.iterdir()] == ["state.npz"]
    assert (tmp_path / "state.npz").read_bytes() == before


@pytest.mark.parametrize("content", [b"no zip", b"", None])
def test_a_damaged_state_is_refused(tmp_path, content):
    file = tmp_path / "state.npz"
    resume.save(file, STATE, [np.ones(3)])
    file.write_bytes(file.read_bytes()[:100] if content is None else content)

    with pytest.raises(CheckpointMismatch, match=r"state\.npz is damaged"):
        resume.load(file)


def test_errors_of_the_disk_are_not_damage(tmp_path):
    with pytest.raises(FileNotFoundError), resume.intact(tmp_path):
        (tmp_path / "none").read_bytes()
