"""Where in a photo a product is seen: boxes in pixels, how much of it is visible, and what counts."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

MAIN_VISIBLE = 0.45
"""How much of its own outline a photo must show of the product it is of."""
MAIN_AREA = 0.04
"""How much of the photo that must fill."""
OTHER_VISIBLE = 0.3
OTHER_AREA = 0.012


@dataclass(frozen=True)
class Seen:
    """One product in a photo: its box, and the share of its own outline that is visible."""

    sku: str
    role: str
    left: int
    top: int
    right: int
    bottom: int
    visible: float

    def row(self, photo: str, size: tuple[int, int]) -> dict[str, object]:
        """Return a line of photos.csv; of `size` is the photo, its sides are shares of that."""
        width, height = size
        sides = {"left": self.left / width, "top": self.top / height}
        sides |= {"right": self.right / width, "bottom": self.bottom / height}
        written = {side: f"{share:.4f}" for side, share in sides.items()}
        return {"photo": photo, **asdict(self), **written, "visible": f"{self.visible:.3f}"}


def box_of(mask: NDArray[np.bool_], left: int = 0, top: int = 0, step: int = 1) -> tuple[int, int, int, int] | None:
    """Return the box [left, top, right, bottom) of a mask's true cells, each `step` pixels; None of none."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if not len(rows):
        return None
    return (
        left + int(columns[0]) * step,
        top + int(rows[0]) * step,
        left + (int(columns[-1]) + 1) * step,
        top + (int(rows[-1]) + 1) * step,
    )


def clipped(box: Sequence[float], size: tuple[int, int]) -> tuple[int, int, int, int]:
    """Return a box in whole pixels, cut at the picture's edges."""
    left, top = max(0, int(np.floor(box[0]))), max(0, int(np.floor(box[1])))
    right, bottom = min(size[0], int(np.ceil(box[2]))), min(size[1], int(np.ceil(box[3])))
    return left, top, max(left, right), max(top, bottom)


def area(box: Sequence[float]) -> float:
    """Return a box's area in pixels."""
    return float(max(0, box[2] - box[0]) * max(0, box[3] - box[1]))


def with_roles(found: list[Seen], main: str, size: tuple[int, int]) -> list[Seen]:
    """Return what is to be recorded: the best sight of the main product as such, of the rest what is clear enough."""
    whole = size[0] * size[1]

    def share(one: Seen) -> float:
        return area((one.left, one.top, one.right, one.bottom)) / whole

    ours = [one for one in found if one.sku == main]
    best = max(ours, key=lambda one: share(one) * one.visible, default=None)
    kept = [] if best is None else [Seen(**{**asdict(best), "role": "main"})]
    kept.extend(one for one in found if one is not best and one.visible >= OTHER_VISIBLE and share(one) >= OTHER_AREA)
    return kept
