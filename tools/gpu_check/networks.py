"""Encoding and training through Keras on the device of its backend. Run as a process of its own by `__main__`."""

import argparse
import importlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpu_check.report import Report, milliseconds
from vsearch.models.backbones import backbone
from vsearch.models.checkpoint import TRUNK_GRAPH, bundled
from vsearch.models.runtime import Network
from vsearch.models.trained_heads import HeadSpec
from vsearch.models.weights import LARGE_ENSEMBLE, read_arrays, read_packed, unpack, write_arrays

FEATURES = "features.npz"
"""File with the features that OpenVINO computes on the CPU, as served, and the pictures that they are of."""

BATCH = 32
MIN_COSINE = 0.99
CLASSES = 10


def main(arguments: list[str] | None = None) -> None:
    """Run one part."""
    parser = argparse.ArgumentParser()
    parser.add_argument("part", choices=("encode", "train"))
    parser.add_argument("file", type=Path)
    parser.add_argument("--device", choices=("GPU", "CPU"), required=True)
    parser.add_argument("--features", type=Path)
    parser.add_argument("--small", action="store_true")
    options = parser.parse_args(arguments)
    report = Report(options.file, f"{options.part} {options.device}")
    import keras

    if options.device == "GPU" and not has_gpu(keras.backend.backend()):
        report.not_run("networks", f"{keras.backend.backend()} sees no GPU")
        return
    # Convolutions in bfloat16 are slower on most CPUs.
    policy = "mixed_bfloat16" if options.device == "GPU" else "float32"
    keras.mixed_precision.set_global_policy(policy)
    where = f"{keras.backend.backend()}, {policy}"
    ensembles = {"bundled": tuple(_sides()), "large": LARGE_ENSEMBLE}
    if options.small:
        ensembles = {"bundled": tuple(_sides())[:1]}
    for ensemble, names in ensembles.items():
        if options.part == "encode":
            encode(report, ensemble, names, where, options.features)
        else:
            train(report, ensemble, names, where)


def has_gpu(backend: str) -> bool:
    """Return whether a Keras backend computes on a GPU."""
    library: Any = importlib.import_module(backend)
    return bool(library.default_backend() == "gpu" if backend == "jax" else library.cuda.is_available())


def _sides() -> dict[str, int]:
    """Return the input side of each network of the bundled ensemble."""
    names = [file.name.removesuffix(".weights.npz") for file in sorted(bundled().glob("*.weights.npz"))]
    return {name: backbone(name).side for name in names}


def encode(report: Report, ensemble: str, names: tuple[str, ...], where: str, features: Path | None) -> None:
    """Measure an ensemble's images per second; compare the features of real weights with those of OpenVINO."""
    from vsearch.models.network import build_trunk

    trunks = {}
    for name in names:
        network, trunks[name] = build_trunk(name)
        if ensemble == "bundled":
            unpack(network.weights, read_packed(bundled() / f"{name}.weights.npz"), name)
    if ensemble == "bundled" and features is not None and features.is_file():
        _compare(report, trunks, features)
    for batch in (1, BATCH):
        inputs = {name: pictures(trunk.input_shape[1], batch).astype(np.float32) for name, trunk in trunks.items()}

        def run(inputs: dict[str, NDArray[np.float32]] = inputs) -> None:
            for name, trunk in trunks.items():
                trunk.predict_on_batch(inputs[name])

        report.figure(f"{ensemble} ensemble, batch {batch}", 1000 * batch / milliseconds(run), f"images/s ({where})")


def _compare(report: Report, trunks: dict[str, Any], features: Path) -> None:
    """Prove that features point the same way as those of the CPU."""
    with np.load(features) as expected:
        for trunk in trunks.values():
            found = trunk.predict_on_batch(pictures(trunk.input_shape[1], BATCH).astype(np.float32))
            for block, values in found.items():
                cosine = least_cosine(np.asarray(values, np.float32), expected[block])
                report.proof(f"features {block}", cosine >= MIN_COSINE, f"least cosine to OpenVINO {cosine:.5f}")


def least_cosine(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    """Return the smallest cosine of corresponding rows."""
    lengths = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    return float((np.einsum("nd,nd->n", one, other) / lengths).min())


def train(report: Report, ensemble: str, names: tuple[str, ...], where: str) -> None:
    """Measure one training step of each network, all layers trainable."""
    import keras

    from vsearch.models.network import build_network

    head = HeadSpec("kind", "softmax", tuple(f"class {number}" for number in range(CLASSES)))
    targets = {head.name: np.eye(CLASSES, dtype=np.float32)[np.arange(BATCH) % CLASSES]}
    for name in names:
        side = backbone(name).side
        _, network = build_network(name, [head], dropout=0.2, shape=(side, side))
        loss = keras.losses.CategoricalCrossentropy(from_logits=True)
        network.compile(keras.optimizers.AdamW(1e-4), loss={head.name: loss})
        images, losses = pictures(side, BATCH).astype(np.float32), []
        step = milliseconds(lambda: losses.append(network.train_on_batch(images, targets)))  # noqa: B023  # called here
        report.figure(f"{ensemble}, {name}, batch {BATCH}", step, f"ms/step ({where})")
        report.proof(f"{name}: the loss is a number", bool(np.isfinite(np.asarray(losses, float)).all()))
        keras.utils.clear_session()


def pictures(side: int, count: int) -> NDArray[np.uint8]:
    """Return pictures of colored squares, the same in each run, uint8 [count, side, side, 3]."""
    colors = np.random.default_rng(0).integers(0, 256, (BATCH, 8, 8, 3), dtype=np.uint8)[:count]
    width = -(-side // 8)
    return np.ascontiguousarray(colors.repeat(width, 1).repeat(width, 2)[:, :side, :side])


def write_features(folder: Path) -> None:
    """Write the features of the bundled ensemble, computed by OpenVINO in single precision."""
    found: dict[str, NDArray[np.float32]] = {}
    for name, side in _sides().items():
        graph = read_arrays(bundled() / f"{name}{TRUNK_GRAPH}")
        weights = read_packed(bundled() / f"{name}.weights.npz")
        found |= Network(graph, weights, name)(pictures(side, BATCH))
    write_arrays(folder / FEATURES, found)


if __name__ == "__main__":
    main()
