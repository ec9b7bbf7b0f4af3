"""The weights of trained networks in half precision, and whether they still say the same."""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vsearch.models import weights
from vsearch.models.classifier import Logits, compiled, run_in_batches, top_weights
from vsearch.models.trained_heads import HeadSpec, TrainedHeads
from vsearch.models.weights import read_arrays, write_arrays
from vsearch.training.data.dataset import Split

logger = logging.getLogger(__name__)

_COMPARED = 100  # pictures that the network in memory judges too
_SAME = 0.97  # share of answers that must stay


@dataclass(frozen=True)
class Packed:
    """Files of packed weights in a folder of their own."""

    folder: Path

    def weights(self, name: str) -> Path:
        """Return the file of a backbone."""
        return self.folder / f"{name}.weights.npz"

    def top(self, name: str) -> Path:
        """Return the file of what stands on a backbone."""
        return self.folder / f"{name}.top.npz"

    def pack(self, name: str, trunk: Any, network: Any) -> None:
        """Write both files of a network."""
        weights.pack(trunk.weights, self.weights(name))
        weights.pack(top_weights(trunk, network), self.top(name))

    def remember(self, name: str, network: Any, trained: TrainedHeads, split: Split) -> None:
        """Keep what a network in memory says of some pictures."""
        said = run_in_batches(compiled(network, trained), split.pictures[:_COMPARED], trained.specs)
        write_arrays(self._said(name), said)

    def agreement(self, name: str, logits: Logits, heads: tuple[HeadSpec, ...]) -> float:
        """Return the share of remembered answers that packing did not change; few are logged as a warning.

        Args:
            name: of the network.
            logits: of all pictures, by the packed weights.
            heads: those that answer are compared.
        """
        before = read_arrays(self._said(name))
        same = [
            (_first(spec, found) == _first(spec, logits[spec.name][: len(found)])).ravel()
            for spec in heads
            if spec.kind != "metric" and len(found := before[spec.name])
        ]
        share = float(np.mean(np.concatenate(same))) if same else 1.0
        if share < _SAME:
            logger.warning("%s: in half precision only %.1f percent of its answers stay the same", name, 100 * share)
        return share

    def _said(self, name: str) -> Path:
        return self.folder / f"{name}.said.npz"


def _first(spec: HeadSpec, logits: NDArray[np.float32]) -> NDArray[np.int64]:
    """Return what a head puts first; of boxes the surest cell."""
    values = logits[..., 0].reshape(len(logits), -1) if spec.kind == "boxes" else logits
    return np.asarray(values.argmax(axis=-1), np.int64)
