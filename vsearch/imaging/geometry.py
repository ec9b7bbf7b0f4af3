"""A rectangular part of an image."""

from dataclasses import dataclass
from typing import Self

from vsearch.core.errors import InvalidRequest

MIN_BOX_SIDE = 0.01


@dataclass(frozen=True)
class Box:
    """A part of an image, as fractions of its width and height from the top left corner."""

    x0: float
    y0: float
    x1: float
    y1: float

    def __post_init__(self) -> None:
        inside = all(0 <= value <= 1 for value in (self.x0, self.y0, self.x1, self.y1))
        if not inside or min(self.x1 - self.x0, self.y1 - self.y0) < MIN_BOX_SIDE:
            raise InvalidRequest(
                "The box %(box)s is not valid: it needs left,top,right,bottom from 0 to 1, with sides of at least "
                "%(side)s. Draw it again on the photo.",
                box=str(self),
                side=MIN_BOX_SIDE,
            )

    def __str__(self) -> str:
        return ",".join(f"{value:.4g}" for value in (self.x0, self.y0, self.x1, self.y1))

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse a box written as "x0,y0,x1,y1"; raises `InvalidRequest` if the text is not a valid box."""
        try:
            x0, y0, x1, y1 = (float(part) for part in text.split(","))
        except ValueError:
            raise InvalidRequest(
                "The box %(box)r is not four comma-separated numbers. Draw it again on the photo.",
                box=text[:60],
            ) from None
        return cls(x0, y0, x1, y1)
