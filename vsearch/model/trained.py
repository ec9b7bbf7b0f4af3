"""What a checkpoint says of the heads it was trained with: what they answer, and how a picture is brought to them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from vsearch.framing import frame
from vsearch.images import Picture
from vsearch.model.headspec import HeadSpec

Framing = Literal["product", "stretch"]


@dataclass(frozen=True)
class TrainedHeads:
    """The trained heads of a checkpoint.

    Attributes:
        specs: one for each head, in the plan's order; every network has all of them.
        framing: "product" trims a uniform border and squashes by half; "stretch" fits the picture into the frame.
        frame: (height, width) in pixels that a picture is framed to; training kept its pictures at this size.
        shape: (height, width) in pixels of what the networks see.
        mirrored: judge a picture together with its mirror image.
        temperatures: network -> head -> what its logits are divided by.
    """

    specs: tuple[HeadSpec, ...]
    framing: Framing
    frame: tuple[int, int]
    shape: tuple[int, int]
    mirrored: bool = False
    temperatures: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    def framed(self, pictures: Sequence[Picture]) -> NDArray[np.uint8]:
        """Bring n pictures to the frame: uint8 [n, height, width, 3]."""
        rows = [frame(picture, self.frame, self.framing) for picture in pictures]
        return np.stack(rows) if rows else np.empty((0, *self.frame, 3), np.uint8)

    def calibrated(self, network: str) -> tuple[HeadSpec, ...]:
        """Return the heads with the temperatures of one network."""
        own = self.temperatures.get(network, {})
        return tuple(replace(spec, temperature=own.get(spec.name, spec.temperature)) for spec in self.specs)

    def to_dict(self) -> dict[str, Any]:
        """Return what `from_dict` takes; fit for JSON."""
        return {
            "heads": [spec.to_dict() for spec in self.specs],
            "framing": self.framing,
            "frame": list(self.frame),
            "shape": list(self.shape),
            "mirrored": self.mirrored,
            "temperatures": {name: dict(own) for name, own in self.temperatures.items()},
        }

    @classmethod
    def from_dict(cls, said: Mapping[str, Any]) -> "TrainedHeads":
        """Build from what `to_dict` gave."""
        return cls(
            tuple(HeadSpec.from_dict(head) for head in said["heads"]),
            said["framing"],
            (said["frame"][0], said["frame"][1]),
            (said["shape"][0], said["shape"][1]),
            said["mirrored"],
            said["temperatures"],
        )
