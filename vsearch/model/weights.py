"""Where the weights of a backbone come from, and how a checkpoint keeps them.

Pretrained weights are looked for in this order: an explicit file, the folder of the setting `weights`, the Keras
cache, the download that Keras does. When none can be had, the error says so and names the remedy.
"""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vsearch.errors import CheckpointMismatch, WeightsUnavailable
from vsearch.model.arrays import read_arrays, write_arrays
from vsearch.model.backbones import backbone, build

_MOST = float(np.finfo(np.float16).max)


def pretrained(name: str, *, file: Path | None = None, folder: Path | None = None) -> Any:
    """Return the `keras.Model` of a backbone with pretrained weights.

    Args:
        name: a row of the backbone table that comes from keras.applications.
        file: weights to use, whatever else there is.
        folder: searched for NAME.weights.h5 and for the file name that Keras uses.

    Raises:
        WeightsUnavailable: they are nowhere and cannot be downloaded.
        CheckpointMismatch: a file holds the weights of another network.
    """
    row = backbone(name)
    found = file or _in_folder(name, folder)
    if found is not None:
        return _load(build(name), name, found)
    if not row.application:
        raise WeightsUnavailable(
            f"{name} is a network of our own and has no pretrained weights; train it with `vsearch train`."
        )
    import keras

    builder = getattr(keras.applications, row.application)
    try:
        return builder(include_top=False, weights="imagenet", name=name)  # the Keras cache, then the download
    except Exception as error:  # Keras raises a bare Exception when the download fails
        raise WeightsUnavailable(
            f"Pretrained weights of {name} are not on this machine and could not be downloaded ({_reason(error)}); "
            f"put {name}.weights.h5 into a folder and set VSEARCH_WEIGHTS to it."
        ) from error


def pack(network: Any, file: Path) -> Path:
    """Write the weights of a network in half precision, in the order Keras lists them."""
    return pack_variables(network.weights, file)


def pack_variables(variables: Sequence[Any], file: Path) -> Path:
    """Write variables in half precision, in the order given; an array that half precision cannot hold stays whole."""
    arrays = (np.asarray(variable, np.float32) for variable in variables)
    kept = [w.astype(np.float16) if np.abs(w).max(initial=0) < _MOST else w for w in arrays]
    write_arrays(file, {f"w{index:04d}": w for index, w in enumerate(kept)})
    return file


def packed(file: Path) -> list[NDArray[Any]]:
    """Read what `pack` wrote."""
    arrays = read_arrays(file)
    return [arrays[name] for name in sorted(arrays)]


def unpack(network: Any, weights: Sequence[NDArray[Any]], name: str) -> None:
    """Put packed weights into a network.

    Raises:
        CheckpointMismatch: their number or a shape is another.
    """
    unpack_variables(network.weights, weights, name)


def unpack_variables(variables: Sequence[Any], weights: Sequence[NDArray[Any]], name: str) -> None:
    """Put packed weights into variables of a network called `name`.

    Raises:
        CheckpointMismatch: their number or a shape is another.
    """
    expected = [tuple(w.shape) for w in variables]
    received = [w.shape for w in weights]
    if expected != received:
        place = next((i for i, pair in enumerate(zip(expected, received, strict=False)) if pair[0] != pair[1]), -1)
        raise CheckpointMismatch(
            f"The weights of {name} must have the shapes of its network, but received {len(received)} arrays for "
            f"{len(expected)}" + (f", the first that differs is number {place}" if place >= 0 else "") + "."
        )
    for variable, array in zip(variables, weights, strict=True):
        variable.assign(array.astype(np.float32))


def _in_folder(name: str, folder: Path | None) -> Path | None:
    if folder is None:
        return None
    application = backbone(name).application.lower()
    candidates = [folder / f"{name}.weights.h5"]
    if application and folder.is_dir():
        candidates += sorted(folder.glob(f"{name}_weights_*_notop.h5"))
    return next((path for path in candidates if path.is_file()), None)


def _load(network: Any, name: str, file: Path) -> Any:
    if not file.is_file():
        raise WeightsUnavailable(f"The weights of {name} should be in {file}, but there is no such file.")
    try:
        with warnings.catch_warnings():
            # Keras only warns of layers that the file lacks and leaves them as they were: random.
            warnings.filterwarnings("error", message="Skipping nested container")
            network.load_weights(file)
    except (ValueError, OSError, KeyError, UserWarning) as error:
        raise CheckpointMismatch(
            f"{file} must hold weights of {name} without its top, but it does not: {_reason(error)}."
        ) from error
    return network


def _reason(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return (lines[0] if lines else type(error).__name__).rstrip(".")[:200]
