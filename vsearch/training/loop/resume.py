"""What a killed phase goes on from: one file, replaced whole."""

import json
import os
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vsearch.core.errors import CheckpointMismatch
from vsearch.core.files import UNFINISHED, atomic_write


@dataclass
class State:
    """Where a phase is.

    Attributes:
        step: steps done, over all its epochs.
        sums: float32 [heads, 3] of the epoch so far; see `vsearch.training.losses`.
        seconds: spent on the epoch so far.
        rows: history of the finished epochs.
        best: lowest validation loss so far; None before the first.
        best_epoch: when that was, from 1.
    """

    sums: NDArray[np.float32]
    step: int = 0
    seconds: float = 0.0
    rows: list[dict[str, Any]] = field(default_factory=list)
    best: float | None = None
    best_epoch: int = 0


@contextmanager
def whole(place: Path) -> Iterator[None]:
    """Say of what an earlier run left at `place`, and is read in the block, that it is damaged.

    Raises:
        CheckpointMismatch: it is.
    """
    try:
        yield
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise CheckpointMismatch(
            f"What an earlier run left must be whole, but {place} is damaged; remove it, and the same command makes "
            "it anew."
        ) from None


def save(file: Path, state: State, variables: Sequence[Any]) -> None:
    """Write a state and the variables that go with it, whole or not at all.

    Raises:
        OSError: the disk is full; what was there before stays.
    """
    said = {key: value for key, value in vars(state).items() if key != "sums"}
    arrays = {f"v{number:05d}": np.asarray(variable) for number, variable in enumerate(variables)}
    _write(file, {"said": np.array(json.dumps(said)), "sums": state.sums} | arrays)


def load(file: Path, variables: Sequence[Any]) -> State | None:
    """Read what `save` wrote and put the values into the variables; None where there is no file.

    Raises:
        CheckpointMismatch: it belongs to other variables, or is damaged.
    """
    if not file.is_file():
        return None
    with whole(file), file.open("rb") as opened, np.load(opened) as arrays:
        _assign(file, [arrays[name] for name in sorted(arrays.files) if name.startswith("v")], variables)
        return State(sums=arrays["sums"], **json.loads(str(arrays["said"])))


def save_values(file: Path, variables: Sequence[Any]) -> None:
    """Write the values of variables, whole or not at all."""
    _write(file, {f"v{number:05d}": np.asarray(variable) for number, variable in enumerate(variables)})


def load_values(file: Path, variables: Sequence[Any]) -> None:
    """Put what `save_values` wrote into the variables.

    Raises:
        CheckpointMismatch: it belongs to other variables.
    """
    with whole(file), file.open("rb") as opened, np.load(opened) as arrays:
        _assign(file, [arrays[name] for name in sorted(arrays.files)], variables)


def _write(file: Path, arrays: dict[str, NDArray[Any]]) -> None:
    for left in file.parent.glob(f"{UNFINISHED}*"):  # by a kill
        left.unlink()
    with atomic_write(file) as fresh:
        np.savez(fresh, **arrays)  # type: ignore[arg-type]  # the stub takes the names for options
        fresh.flush()
        os.fsync(fresh.fileno())


def _assign(file: Path, values: Sequence[NDArray[Any]], variables: Sequence[Any]) -> None:
    if [value.shape for value in values] != [tuple(variable.shape) for variable in variables]:
        raise CheckpointMismatch(
            f"A training goes on with the network it began with, but {file} belongs to another; name another folder "
            "for the run, or remove this one."
        )
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)
