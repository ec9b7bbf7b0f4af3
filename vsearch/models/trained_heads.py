"""Trained heads: their outputs, image preparation and predictions. Needs only NumPy."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, softmax

from vsearch.detection import boxes
from vsearch.imaging.codec import Picture
from vsearch.imaging.preprocess import frame as frame_image

HeadKind = Literal["softmax", "sigmoid", "digits", "metric", "boxes"]
Framing = Literal["product", "stretch"]
MISSING = -1
"""Target of an image without a label for the head; the loss ignores it."""

DIGITS = tuple("0123456789")
VOTE: Final = "vote"
"""Name of the predictor that combines all networks."""


@dataclass(frozen=True)
class HeadSpec:
    """One output of a network."""

    name: str  # from the plan
    # "softmax" predicts one of `classes`; "sigmoid" any number of them; "digits" `length` digits; "metric" an embedding
    # of `size` dimensions; "boxes" product boxes, see `vsearch.detection.boxes`
    kind: HeadKind
    classes: tuple[str, ...] = ()  # in the order of the outputs; empty for the other kinds
    length: int = 1
    size: int = 128
    separator: str = "|"  # separates several classes in a label of a sigmoid head
    grid: int = 1  # the feature map is averaged over grid x grid regions
    hidden: int = 0  # width of a hidden layer before the logits; 0 for none
    middle: bool = False  # read the middle feature map too; equal for all heads of a network
    temperature: float = 1.0  # logits are divided by it before they become probabilities (Guo et al., ICML 2017)

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
            return (0, 0, boxes.GRID_CHANNELS)
        return (self.size,) if self.kind == "metric" else (len(self.classes),)

    def target(self, label: str | None) -> NDArray[np.int32]:
        """Convert a label to a training target; None or "" means a missing label.

        Returns:
            int32: softmax [], the class index; sigmoid [classes] of 0 and 1; digits [length]. -1 where missing.

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
                raise ValueError(f"head {self.name!r} reads {self.length} digits, but got label {label!r}")
            return np.array([int(digit) for digit in label], np.int32)
        raise ValueError(f"head {self.name!r} of kind {self.kind} does not accept labels")

    def probabilities(self, logits: NDArray[Any]) -> NDArray[np.float32]:
        """Convert logits [n, *logits_shape] to calibrated probabilities of the same shape.

        A metric head gives unit vectors; for a boxes head, see `vsearch.detection.boxes.decode_grid`.
        """
        if self.kind == "boxes":
            return boxes.decode_grid(logits, self.temperature)
        scaled = logits.astype(np.float32) / np.float32(self.temperature)
        if self.kind == "metric":
            return np.asarray(scaled / np.maximum(np.linalg.norm(scaled, axis=-1, keepdims=True), 1e-12), np.float32)
        return np.asarray(expit(scaled) if self.kind == "sigmoid" else softmax(scaled, axis=-1), np.float32)

    def labels(self, probabilities: NDArray[Any]) -> list[str]:
        """Return the predicted label of each of n images.

        A sigmoid head predicts all classes above one half, or the most probable one if there is none.
        """
        if self.kind == "sigmoid":
            chosen = [np.flatnonzero(row > 0.5).tolist() or [int(row.argmax())] for row in probabilities]
            return [self.separator.join(self.classes[number] for number in numbers) for numbers in chosen]
        return self.decode(probabilities.argmax(axis=-1))

    def decode(self, numbers: NDArray[Any]) -> list[str]:
        """Return the labels for class indexes [n] (softmax) or digits [n, length]."""
        if self.kind == "digits":
            return ["".join(DIGITS[number] for number in row) for row in numbers]
        return [self.classes[number] for number in numbers]

    def _class_number(self, label: str) -> int:
        if label not in self.classes:
            raise ValueError(
                f"head {self.name!r} knows {', '.join(self.classes[:12]) or 'no classes'}, but got label {label!r}"
            )
        return self.classes.index(label)


@dataclass(frozen=True)
class TrainedHeads:
    """The trained heads of a checkpoint; every network has all of them."""

    specs: tuple[HeadSpec, ...]  # in the plan's order
    framing: Framing  # "product" trims a uniform border and keeps part of the aspect ratio; "stretch" resizes
    frame: tuple[int, int]  # (height, width) in pixels that images are framed to; also those cached for training
    shape: tuple[int, int]  # (height, width) in pixels of the networks' input
    mirrored: bool = False  # average the logits of an image and its mirror image
    # network -> head -> divisor of its logits
    temperatures: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    def preprocess(self, pictures: Sequence[Picture]) -> NDArray[np.uint8]:
        """Frame n images: uint8 [n, height, width, 3]."""
        rows = [frame_image(picture, self.frame, self.framing) for picture in pictures]
        return np.stack(rows) if rows else np.empty((0, *self.frame, 3), np.uint8)

    def calibrated(self, network: str) -> tuple[HeadSpec, ...]:
        """Return the heads with the temperatures of a network."""
        own = self.temperatures.get(network, {})
        return tuple(replace(spec, temperature=own.get(spec.name, spec.temperature)) for spec in self.specs)

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        fields = asdict(self)
        return {"heads": fields.pop("specs")} | fields

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> "TrainedHeads":
        """Build from the JSON form."""
        return cls(
            tuple(HeadSpec(**head | {"classes": tuple(head["classes"])}) for head in fields["heads"]),
            fields["framing"],
            tuple(fields["frame"]),
            tuple(fields["shape"]),
            fields["mirrored"],
            fields["temperatures"],
        )


def vote(probabilities: NDArray[Any]) -> NDArray[np.int64]:
    """Return the majority vote: the class that most models rank first; ties go to the higher mean probability.

    Probabilities [models, n images, classes] -> class indexes int64 [n].
    """
    models, _, classes = probabilities.shape
    votes = np.eye(classes)[probabilities.argmax(axis=2)].sum(axis=0)
    return np.asarray((votes + probabilities.sum(axis=0) / (models + 1)).argmax(axis=1), np.int64)


@dataclass(frozen=True)
class HeadPredictions:
    """Predictions for n images: network -> head -> calibrated probabilities, float32 [n, *logits_shape]."""

    specs: tuple[HeadSpec, ...]
    probabilities: Mapping[str, Mapping[str, NDArray[np.float32]]]

    @property
    def networks(self) -> tuple[str, ...]:
        """The names of the networks."""
        return tuple(self.probabilities)

    @property
    def predictors(self) -> tuple[str, ...]:
        """The networks, followed by the vote if there are several."""
        return (*self.networks, VOTE) if len(self.networks) > 1 else self.networks

    def spec(self, head: str) -> HeadSpec:
        """Return a head by name."""
        return {spec.name: spec for spec in self.specs}[head]

    def mean(self, head: str) -> NDArray[np.float32]:
        """Return the networks' mean probabilities, float32 [n, *logits_shape]."""
        return np.asarray(self._stacked(head).mean(axis=0), np.float32)

    def probabilities_of(self, predictor: str, head: str) -> NDArray[np.float32]:
        """Return the probabilities of one network, or the mean of all for the vote."""
        return self.mean(head) if predictor == VOTE else self.probabilities[predictor][head]

    def predicted(self, predictor: str, head: str) -> NDArray[np.int64]:
        """Return the most probable class of each image [n], or digits [n, length].

        The vote is by majority, with ties broken by the mean probability; for a sigmoid head, it is the mean.
        """
        if predictor != VOTE or self.spec(head).kind == "sigmoid":
            return np.asarray(self.probabilities_of(predictor, head).argmax(axis=-1), np.int64)
        stacked = self._stacked(head)
        return vote(stacked.reshape(len(stacked), -1, stacked.shape[-1])).reshape(stacked.shape[1:-1])

    def labels(self, predictor: str, head: str) -> list[str]:
        """Return the predicted label of each image; see `HeadSpec.labels`."""
        spec = self.spec(head)
        if spec.kind == "sigmoid":
            return spec.labels(self.probabilities_of(predictor, head))
        return spec.decode(self.predicted(predictor, head))

    def vote(self, head: str) -> list[str]:
        """Return the label that the networks jointly predict for each image."""
        return self.labels(VOTE, head)

    def confidence(self, predictor: str, head: str) -> NDArray[np.float32]:
        """Return the probability that each predicted label is entirely correct, float32 [n].

        For digits and for several sigmoid classes, it is the product of the individual probabilities.
        """
        found = self.probabilities_of(predictor, head)
        spec = self.spec(head)
        if spec.kind == "sigmoid":
            several = np.maximum(found, 1 - found).prod(axis=-1)
            return np.asarray(np.where((found <= 0.5).all(axis=-1), found.max(axis=-1), several), np.float32)
        chosen = np.take_along_axis(found, self.predicted(predictor, head)[..., None], axis=-1)[..., 0]
        return np.asarray(chosen.prod(axis=-1) if spec.kind == "digits" else chosen, np.float32)

    def _stacked(self, head: str) -> NDArray[np.float32]:
        return np.stack([own[head] for own in self.probabilities.values()])


def predictions_from_logits(
    specs: tuple[HeadSpec, ...],
    calibrated: Mapping[str, tuple[HeadSpec, ...]],
    logits: Mapping[str, Mapping[str, NDArray[np.float32]]],
) -> HeadPredictions:
    """Convert logits, network -> head -> [n, *logits_shape], with the temperatures of each network."""
    probabilities = {
        network: {spec.name: spec.probabilities(own[spec.name]) for spec in calibrated[network]}
        for network, own in logits.items()
    }
    return HeadPredictions(specs, probabilities)
