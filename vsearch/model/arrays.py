"""Named arrays in a file: what checkpoints and generations are made of."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


def read_arrays(file: Path) -> dict[str, NDArray[Any]]:
    """Read all arrays of an .npz file."""
    with np.load(file) as arrays:
        return {name: arrays[name] for name in arrays.files}


def write_arrays(file: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write arrays to an .npz file; equal arrays give equal bytes."""
    np.savez(file, **arrays)  # type: ignore[arg-type]  # the stub takes the names for options
