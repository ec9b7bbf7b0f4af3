"""What a head of a network gives, and how its numbers become words. numpy alone; the layers are in `network`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from vsearch import boxes

HeadKind = Literal["softmax", "sigmoid", "digits", "metric", "boxes"]
MISSING = -1
"""Stands in targets where a picture has no such label; it costs the head nothing."""

DIGITS = tuple("0123456789")


@dataclass(frozen=True)
class HeadSpec:
    """One output of a network.

    Attributes:
        name: as in the plan.
        kind: "softmax" one value of `classes`; "sigmoid" any number of them; "digits" one of ten for each of `length`
            positions; "metric" an embedding of `size` numbers; "boxes" where things stand, see `vsearch.boxes`.
        classes: the values, in the order of the outputs; ten digits for "digits", none for "metric" and "boxes".
        grid: the feature map is averaged over grid x grid cells; 1 is one average of all.
        hidden: width of a layer between features and logits; 0 is none.
        temperature: logits are divided by it before they become probabilities (Guo et al., ICML 2017).
    """

    name: str
    kind: HeadKind
    classes: tuple[str, ...] = ()
    length: int = 1
    size: int = 128
    separator: str = "|"
    grid: int = 1
    hidden: int = 0
    temperature: float = 1.0

    @property
    def is_classification(self) -> bool:
        """Whether it answers with words: neither an embedding nor boxes."""
        return self.kind in ("softmax", "sigmoid", "digits")

    @property
    def logits_shape(self) -> tuple[int, ...]:
        """Shape of the output for one picture: (classes,), (length, 10), (size,), or (rows, columns, 5) of cells.

        How many cells there are is the backbone's matter, here 0 by 0.
        """
        if self.kind == "digits":
            return (self.length, len(DIGITS))
        if self.kind == "boxes":
            return (0, 0, boxes.NUMBERS)
        return (self.size,) if self.kind == "metric" else (len(self.classes),)

    def target(self, value: str | None) -> NDArray[np.int32]:
        """Turn a label into what the loss takes; None or "" is a missing label.

        Returns:
            int32: softmax [] a class number; sigmoid [classes] of 0 and 1; digits [length]; -1 all over when missing.

        Raises:
            ValueError: the label is none of the classes, or not `length` digits.
        """
        if self.kind == "softmax":
            return np.array(MISSING if not value else self._number(value), np.int32)
        if self.kind == "sigmoid":
            return self._several(value)
        if self.kind == "digits":
            return self._digits(value)
        raise ValueError(f"head {self.name!r} is of kind {self.kind} and takes no label")

    def probabilities(self, logits: NDArray[Any]) -> NDArray[np.float32]:
        """Turn logits [n, *logits_shape] into calibrated probabilities of the same shape.

        Those of a metric head are of unit length, those of a boxes head as `vsearch.boxes.decoded` gives them.
        """
        if self.kind == "boxes":
            return boxes.decoded(logits, self.temperature)
        scaled = logits.astype(np.float32) / np.float32(self.temperature)
        if self.kind == "metric":
            return np.asarray(scaled / np.maximum(np.linalg.norm(scaled, axis=-1, keepdims=True), 1e-12), np.float32)
        if self.kind == "sigmoid":
            return np.asarray(1 / (1 + np.exp(-np.clip(scaled, -60, 60))), np.float32)
        powers = np.exp(scaled - scaled.max(axis=-1, keepdims=True))
        return np.asarray(powers / powers.sum(axis=-1, keepdims=True), np.float32)

    def words(self, probabilities: NDArray[Any]) -> list[str]:
        """Return what the head says of each of n pictures: a class, values joined by the separator, or digits.

        A sigmoid head says the values above one half, or the likeliest where none is.
        """
        if self.kind == "digits":
            return ["".join(DIGITS[number] for number in row) for row in probabilities.argmax(axis=-1)]
        if self.kind == "sigmoid":
            return [self.separator.join(self.classes[i] for i in _chosen(row)) for row in probabilities]
        return [self.classes[number] for number in probabilities.argmax(axis=-1)]

    def to_dict(self) -> dict[str, Any]:
        """Return what `from_dict` takes; fit for JSON."""
        return {
            "name": self.name,
            "kind": self.kind,
            "classes": list(self.classes),
            "length": self.length,
            "size": self.size,
            "separator": self.separator,
            "grid": self.grid,
            "hidden": self.hidden,
            "temperature": self.temperature,
        }

    @classmethod
    def from_dict(cls, said: Mapping[str, Any]) -> "HeadSpec":
        """Build from what `to_dict` gave."""
        return cls(**{**said, "classes": tuple(said["classes"])})

    def _number(self, value: str) -> int:
        if value not in self.classes:
            raise ValueError(
                f"head {self.name!r} knows {', '.join(self.classes[:12]) or 'no class'}, but a label is {value!r}"
            )
        return self.classes.index(value)

    def _several(self, value: str | None) -> NDArray[np.int32]:
        if not value:
            return np.full(len(self.classes), MISSING, np.int32)
        found = np.zeros(len(self.classes), np.int32)
        found[[self._number(part.strip()) for part in value.split(self.separator)]] = 1
        return found

    def _digits(self, value: str | None) -> NDArray[np.int32]:
        if not value:
            return np.full(self.length, MISSING, np.int32)
        if len(value) != self.length or not (value.isascii() and value.isdigit()):
            raise ValueError(f"head {self.name!r} reads {self.length} digits, but a label is {value!r}")
        return np.array([int(digit) for digit in value], np.int32)


def _chosen(row: NDArray[Any]) -> Sequence[int]:
    above = np.flatnonzero(row > 0.5).tolist()
    return above or [int(row.argmax())]
