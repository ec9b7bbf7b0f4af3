"""The specification of a trained head: what it predicts, and how logits become labels. Needs numpy only."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, softmax

from vsearch import boxes

HeadKind = Literal["softmax", "sigmoid", "digits", "metric", "boxes"]
MISSING = -1
"""Target of an image without a label for the head; the loss ignores it."""

DIGITS = tuple("0123456789")


@dataclass(frozen=True)
class HeadSpec:
    """One output of a network.

    Attributes:
        name: as in the plan.
        kind: "softmax" predicts one of `classes`; "sigmoid" any number of them; "digits" `length` digits; "metric" an
            embedding of `size` dimensions; "boxes" product boxes, see `vsearch.boxes`.
        classes: in the order of the outputs; empty for the other kinds.
        separator: separates several classes in a label of a sigmoid head.
        grid: the feature map is averaged over grid x grid regions.
        hidden: width of a hidden layer before the logits; 0 for none.
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
        """Whether it predicts labels, rather than an embedding or boxes."""
        return self.kind in ("softmax", "sigmoid", "digits")

    @property
    def logits_shape(self) -> tuple[int, ...]:
        """Shape of the output per image; of a boxes head (0, 0, 5), as the grid depends on the image size."""
        if self.kind == "digits":
            return (self.length, len(DIGITS))
        if self.kind == "boxes":
            return (0, 0, boxes.NUMBERS)
        return (self.size,) if self.kind == "metric" else (len(self.classes),)

    def target(self, label: str | None) -> NDArray[np.int32]:
        """Convert a label to a training target; None or "" is a missing label.

        Returns:
            int32: softmax [], the class number; sigmoid [classes] of 0 and 1; digits [length]. -1 where missing.

        Raises:
            ValueError: the label is not one of the classes, or does not consist of `length` digits.
        """
        if self.kind == "softmax":
            return np.array(self._class_number(label) if label else MISSING, np.int32)
        if self.kind == "sigmoid":
            if not label:
                return np.full(len(self.classes), MISSING, np.int32)
            target = np.zeros(len(self.classes), np.int32)
            target[[self._class_number(part.strip()) for part in label.split(self.separator)]] = 1
            return target
        if self.kind == "digits":
            if not label:
                return np.full(self.length, MISSING, np.int32)
            if len(label) != self.length or not (label.isascii() and label.isdigit()):
                raise ValueError(f"head {self.name!r} reads {self.length} digits, but a label is {label!r}")
            return np.array([int(digit) for digit in label], np.int32)
        raise ValueError(f"head {self.name!r} is of kind {self.kind} and takes no label")

    def probabilities(self, logits: NDArray[Any]) -> NDArray[np.float32]:
        """Convert logits [n, *logits_shape] to calibrated probabilities of the same shape.

        A metric head gives unit vectors; for a boxes head see `vsearch.boxes.decoded`.
        """
        if self.kind == "boxes":
            return boxes.decoded(logits, self.temperature)
        scaled = logits.astype(np.float32) / np.float32(self.temperature)
        if self.kind == "metric":
            return np.asarray(scaled / np.maximum(np.linalg.norm(scaled, axis=-1, keepdims=True), 1e-12), np.float32)
        return np.asarray(expit(scaled) if self.kind == "sigmoid" else softmax(scaled, axis=-1), np.float32)

    def labels(self, probabilities: NDArray[Any]) -> list[str]:
        """Return the predicted label of each of n images.

        A sigmoid head predicts all classes above one half, or the most probable one if there are none.
        """
        if self.kind == "sigmoid":
            chosen = [np.flatnonzero(row > 0.5).tolist() or [int(row.argmax())] for row in probabilities]
            return [self.separator.join(self.classes[number] for number in numbers) for numbers in chosen]
        return self.decode(probabilities.argmax(axis=-1))

    def decode(self, numbers: NDArray[Any]) -> list[str]:
        """Return the labels of class numbers [n] (softmax) or of digits [n, length]."""
        if self.kind == "digits":
            return ["".join(DIGITS[number] for number in row) for row in numbers]
        return [self.classes[number] for number in numbers]

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return asdict(self) | {"classes": list(self.classes)}

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> "HeadSpec":
        """Build from the JSON form."""
        return cls(**{**fields, "classes": tuple(fields["classes"])})

    def _class_number(self, label: str) -> int:
        if label not in self.classes:
            raise ValueError(
                f"head {self.name!r} knows {', '.join(self.classes[:12]) or 'no class'}, but a label is {label!r}"
            )
        return self.classes.index(label)
