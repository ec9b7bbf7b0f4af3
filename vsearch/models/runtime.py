"""Networks on the CPU, run by OpenVINO.

A checkpoint contains the graph of each network, exported from Keras by `vsearch.models.network.export_graph`, with one
input for the images and one for each weight. Here the weights become constants, so that OpenVINO merges batch
normalization into convolutions.
"""

import os
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from vsearch.core.errors import CheckpointMismatch

# OpenVINO's converter reports its use to its maker if it can import this; None prevents that.
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]

Precision = Literal["f32", "bf16"]
Graph = Mapping[str, NDArray[np.uint8]]
"""A graph as OpenVINO serializes it: "topology" (XML) and "constants"."""

IMAGES: Final = "images"
"""Name of the graph input that is not a weight."""

_BATCH = 8  # images


class Network:
    """A compiled network: uint8 [n, h, w, 3] -> float32 [n, ...] by output name. One thread at a time may run it.

    Args:
        graph: with inputs `images`, then `w0000`, `w0001` and so on.
        weights: in that order.
        name: of the network, for messages.
        precision: of the computation; the outputs are float32 in either case.
        streams: images computed side by side, each on its share of the cores. Several are faster for several images,
            since cores do not wait for each other at each layer; one is faster for a single image.

    Raises:
        CheckpointMismatch: the weights do not fit the graph, or this CPU does not compute in that precision.
    """

    def __init__(
        self,
        graph: Graph,
        weights: Sequence[NDArray[Any]],
        name: str,
        precision: Precision = "f32",
        *,
        streams: int = 1,
    ) -> None:
        import openvino as ov

        if precision not in supported_precisions():
            raise CheckpointMismatch(
                f"{name} computes in {precision}, which this CPU does not support. Set VSEARCH_PRECISION=f32 and run "
                "`vsearch index run` on it."
            )
        model = _core().read_model(graph["topology"].tobytes(), ov.Tensor(graph["constants"]))
        inputs = [node for node in model.get_parameters() if IMAGES not in node.output(0).names]
        expected = [tuple(node.output(0).shape) for node in inputs]
        if expected != [array.shape for array in weights]:
            raise CheckpointMismatch(
                f"The weights of {name} do not fit its network: {len(weights)} arrays for {len(expected)}, or one of a "
                "different shape."
            )
        for node, array in zip(inputs, weights, strict=True):
            constant = ov.op.Constant(np.ascontiguousarray(array, np.float32))
            node.output(0).replace(constant.output(0))
            model.remove_parameter(node)
        options = {"INFERENCE_PRECISION_HINT": precision, "NUM_STREAMS": streams, "ENABLE_CPU_PINNING": False}
        compiled = _core().compile_model(model, "CPU", options | {"INFERENCE_NUM_THREADS": cores()})
        self._names = [output.any_name for output in compiled.outputs]
        self._streams, self._queue = streams, ov.AsyncInferQueue(compiled, streams)

    def __call__(self, images: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
        """Compute the outputs of n > 0 images."""
        size = min(_BATCH, -(-len(images) // (2 * self._streams)))  # small for a search, which saves memory
        parts: dict[int, list[NDArray[np.float32]]] = {}
        numbers = range(len(self._names))

        def keep(request: Any, start: int) -> None:
            parts[start] = [request.get_output_tensor(number).data.copy() for number in numbers]

        self._queue.set_callback(keep)
        for start in range(0, len(images), size):
            self._queue.start_async({IMAGES: np.ascontiguousarray(images[start : start + size])}, start)
        self._queue.wait_all()
        ordered = [parts[start] for start in sorted(parts)]
        return {name: np.concatenate([part[number] for part in ordered]) for number, name in enumerate(self._names)}


def cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def supported_precisions() -> tuple[Precision, ...]:
    """Return the precisions that this CPU computes in natively, the fastest last."""
    found = _core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return ("f32", "bf16") if "BF16" in found else ("f32",)


def choose_precision(wanted: Literal["auto"] | Precision) -> Precision:
    """Return the precision to compute in: for "auto", the fastest one of this CPU."""
    return supported_precisions()[-1] if wanted == "auto" else wanted


@cache
def _core() -> Any:
    import openvino as ov

    return ov.Core()
