"""The state of a training run on disk: a single file that is replaced atomically."""

import json
import os
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from vsearch.core.errors import CheckpointMismatch
from vsearch.core.files import UNFINISHED, atomic_write


@dataclass
class TrainingState:
    """The progress of a training run.

    Attributes:
        phase: number of the current phase.
        step: number of finished steps in it.
        history: a row for each finished epoch of all phases.
    """

    phase: int = 0
    step: int = 0
    history: list[dict[str, Any]] = field(default_factory=list)


@contextmanager
def intact(path: Path) -> Iterator[None]:
    """Translate errors caused by damaged content of `path`, a file written by an earlier run.

    Raises:
        CheckpointMismatch: the content is damaged.
    """
    try:
        yield
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise CheckpointMismatch(f"{path} is damaged. Remove it and run the same command again.") from None


def save(file: Path, state: TrainingState, variables: Sequence[Any]) -> None:
    """Write a state and the values of its variables atomically.

    Raises:
        OSError: the disk is full; the file is unchanged.
    """
    for left in file.parent.glob(f"{UNFINISHED}*"):  # left behind by a killed run
        left.unlink()
    arrays = {f"v{number:05d}": np.asarray(variable) for number, variable in enumerate(variables)}
    arrays["state"] = np.array(json.dumps(asdict(state)))
    with atomic_write(file) as fresh:
        np.savez(fresh, **arrays)  # type: ignore[arg-type]  # the stub mistakes the names for options
        fresh.flush()
        os.fsync(fresh.fileno())


def load(file: Path, variables: Sequence[Any] | None = None) -> TrainingState:
    """Read a state, or the initial one if there is no file, and assign the first saved values to the variables.

    Raises:
        CheckpointMismatch: the file is damaged or belongs to a different network.
    """
    if not file.is_file():
        return TrainingState()
    with intact(file), file.open("rb") as opened, np.load(opened) as arrays:
        state = TrainingState(**json.loads(str(arrays["state"])))
        names = sorted(name for name in arrays.files if name != "state")
        values = [arrays[name] for name, _ in zip(names, variables or (), strict=False)]
    if [value.shape for value in values] != [tuple(variable.shape) for variable in variables or ()]:
        raise CheckpointMismatch(f"{file} belongs to a different network. Remove it, or choose another --runs.")
    for variable, value in zip(variables or (), values, strict=True):
        variable.assign(value)
    return state
