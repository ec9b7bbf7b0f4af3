"""Weights of networks: pretrained ones from Keras, and packed ones in checkpoints.

Pretrained weights are looked up in the folder of the `weights` setting and in the Keras cache, else downloaded.
"""

import tempfile
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vsearch.core.errors import CheckpointMismatch, WeightsUnavailable, first_line
from vsearch.models.backbones import backbone, build

LARGE_ENSEMBLE = ("resnet50", "vgg16", "inception_v3")
"""The backbones of the `ensemble` plan."""

_FLOAT16_MAX = float(np.finfo(np.float16).max)


def weights_file(name: str, folder: Path) -> Path:
    """Return the path of a backbone's weights in a folder."""
    return folder / f"{name}.weights.h5"


def pull(name: str, folder: Path) -> Path:
    """Save the ImageNet weights of a backbone in `folder`, from the Keras cache or by download; return the file.

    Raises:
        WeightsUnavailable: they are not on this machine and cannot be downloaded.
    """
    from vsearch.models.tensorflow_startup import import_tensorflow

    import_tensorflow()
    network = load_pretrained(name, folder=folder)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".pulling-", dir=folder) as hidden:
        file = weights_file(name, Path(hidden))
        network.save_weights(file)
        return file.rename(weights_file(name, folder))


def load_pretrained(name: str, *, folder: Path | None = None) -> Any:
    """Return the `keras.Model` of a backbone with pretrained weights; see the module docstring.

    Raises:
        WeightsUnavailable: they are not on this machine and cannot be downloaded.
        CheckpointMismatch: a file contains the weights of a different network.
    """
    row = backbone(name)
    files = [weights_file(name, folder)] if folder else []
    if folder and row.application:
        files += sorted(folder.glob(f"{name}_weights_*_notop.h5"))  # the file name that Keras uses
    found = next((path for path in files if path.is_file()), None)
    if found is not None:
        return _load(build(name), name, found)
    if not row.application:
        raise WeightsUnavailable(f"There are no pretrained weights for {name}. Train it with `vsearch train`.")
    import keras

    builder = getattr(keras.applications, row.application)
    try:
        return builder(include_top=False, weights="imagenet", name=name)  # the Keras cache, then the download
    except Exception as error:  # Keras raises a bare Exception when the download fails
        raise WeightsUnavailable(
            f"The pretrained weights of {name} are not on this machine and could not be downloaded "
            f"({first_line(error)[:200]}). Put {name}.weights.h5 in a folder and set VSEARCH_WEIGHTS to its path."
        ) from error


def read_arrays(file: Path) -> dict[str, NDArray[Any]]:
    """Read all arrays of an .npz file."""
    with np.load(file) as arrays:
        return dict(arrays)


def write_arrays(file: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write arrays to an .npz file; equal arrays give equal bytes."""
    np.savez(file, **arrays)  # type: ignore[arg-type]  # the stub takes the names for options


def pack(variables: Sequence[Any], file: Path) -> Path:
    """Write variables in half precision, in the given order; those outside its range in single precision."""
    arrays = [np.asarray(variable, np.float32) for variable in variables]
    packed = [w.astype(np.float16) if np.abs(w).max(initial=0) < _FLOAT16_MAX else w for w in arrays]
    write_arrays(file, {f"w{index:04d}": w for index, w in enumerate(packed)})
    return file


def read_packed(file: Path) -> list[NDArray[Any]]:
    """Read weights written by `pack`."""
    arrays = read_arrays(file)
    return [arrays[name] for name in sorted(arrays)]


def unpack(variables: Sequence[Any], weights: Sequence[NDArray[Any]], name: str) -> None:
    """Assign packed weights to the variables of a network called `name`.

    Raises:
        CheckpointMismatch: the number of arrays or a shape differs.
    """
    expected, received = [tuple(w.shape) for w in variables], [w.shape for w in weights]
    if expected != received:
        differing = next((i for i, (a, b) in enumerate(zip(expected, received, strict=False)) if a != b), None)
        detail = "" if differing is None else f"; the first that differs is number {differing}"
        raise CheckpointMismatch(
            f"The weights of {name} do not fit its network: {len(received)} arrays for {len(expected)}{detail}."
        )
    for variable, array in zip(variables, weights, strict=True):
        variable.assign(array.astype(np.float32))


def _load(network: Any, name: str, file: Path) -> Any:
    try:
        with warnings.catch_warnings():
            # Keras only warns about layers missing from the file, and leaves them random.
            warnings.filterwarnings("error", message="Skipping nested container")
            network.load_weights(file)
    except (ValueError, OSError, KeyError, UserWarning) as error:
        raise CheckpointMismatch(
            f"{file} does not contain weights of {name} without its top: {first_line(error)[:200]}."
        ) from error
    return network
