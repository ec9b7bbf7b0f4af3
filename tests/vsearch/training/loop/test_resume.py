"""What a killed phase goes on from."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from vsearch.core.errors import CheckpointMismatch
from vsearch.training.loop import resume
from vsearch.training.loop.resume import State


class Variable:
    """What the module needs of a Keras variable."""

    def __init__(self, *shape: int) -> None:
        self.value = np.random.default_rng(len(shape)).normal(size=shape)
        self.shape = shape

    def assign(self, value: NDArray[Any]) -> None:
        """Take a value."""
        self.value = value

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return np.asarray(self.value)


def test_a_state_comes_back_with_its_variables(tmp_path: Path) -> None:
    """Every field, and every value in its place."""
    variables = [Variable(2, 3), Variable(4), Variable()]
    kept = [np.array(variable.value) for variable in variables]
    state = State(np.ones((2, 3), np.float32), 7, 1.5, [{"epoch": 1, "loss": 0.5, "val_loss": None}], 0.5, 1)
    resume.save(tmp_path / "state.npz", state, variables)
    for variable in variables:
        variable.value = variable.value * 0

    found = resume.load(tmp_path / "state.npz", variables)

    assert found is not None
    np.testing.assert_array_equal(found.sums, state.sums)
    assert {**vars(found), "sums": 0} == {**vars(state), "sums": 0}
    for variable, value in zip(variables, kept, strict=True):
        np.testing.assert_array_equal(variable.value, value)


def test_without_a_file_there_is_no_state(tmp_path: Path) -> None:
    """The phase begins."""
    assert resume.load(tmp_path / "state.npz", []) is None


def test_a_state_of_another_network_is_refused(tmp_path: Path) -> None:
    """The sentence names the file."""
    resume.save_values(tmp_path / "one.npz", [Variable(2)])

    with pytest.raises(CheckpointMismatch, match=r"one\.npz belongs to another"):
        resume.load_values(tmp_path / "one.npz", [Variable(3)])


def test_a_save_that_fails_leaves_the_last_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk costs nothing that was there, and leaves nothing half-written."""
    resume.save_values(tmp_path / "one.npz", [Variable(2)])
    before = (tmp_path / "one.npz").read_bytes()

    def full(*arguments: Any, **arrays: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full)

    with pytest.raises(OSError, match="No space"):
        resume.save_values(tmp_path / "one.npz", [Variable(3)])
    assert [file.name for file in tmp_path.iterdir()] == ["one.npz"]
    assert (tmp_path / "one.npz").read_bytes() == before


def test_what_a_kill_left_is_swept_away(tmp_path: Path) -> None:
    """By the next save."""
    (tmp_path / ".new-half").write_bytes(b"half")

    resume.save_values(tmp_path / "one.npz", [Variable(2)])

    assert [file.name for file in tmp_path.iterdir()] == ["one.npz"]


@pytest.mark.parametrize("harm", [b"no zip", b"", None])
def test_a_damaged_file_is_said_with_its_remedy(tmp_path: Path, harm: bytes | None) -> None:
    """Text, nothing, or half of it: one sentence, and the variables stay as they are."""
    file = tmp_path / "phase.state.npz"
    resume.save(file, State(np.zeros((1, 3), np.float32)), [np.ones(3)])
    file.write_bytes(file.read_bytes()[:100] if harm is None else harm)

    for load in (resume.load, resume.load_values):
        with pytest.raises(CheckpointMismatch, match=r"phase\.state\.npz is damaged; remove it, and the same command"):
            load(file, [])


def test_a_disk_in_trouble_is_no_damage(tmp_path: Path) -> None:
    """Nothing is to be removed for that."""
    with pytest.raises(FileNotFoundError), resume.whole(tmp_path):
        (tmp_path / "none").read_bytes()
