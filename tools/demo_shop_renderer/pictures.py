"""Renders any picture of the shop, to the sizes and weights it is delivered in."""

from pathlib import Path

from demo_shop_renderer import phone
from demo_shop_renderer.boxes import Seen
from demo_shop_renderer.packshot import packshot, turned
from demo_shop_renderer.photo import photo
from demo_shop_renderer.work import Picture

HEAVIEST = {"packshot": 12_500, "photo": 18_500}
"""Bytes a picture may have: the whole shop stays under 30 MB."""


class Renderer:
    """Called with a picture, returns its JPEG and what it shows.

    Args:
        seed: of the shop.
        size: of a packshot, in pixels; photos are 1.1 times as long.
        samples: light paths for each pixel of a photo, whose noise is a phone's too; packshots get more.
        scratch: a file to use meanwhile.
    """

    def __init__(self, seed: int, size: int, samples: int, scratch: Path) -> None:
        self.seed, self.size, self.samples, self.scratch = seed, size, samples, scratch

    def __call__(self, one: Picture) -> tuple[bytes, list[Seen] | None]:
        """Render one picture."""
        more = round(self.samples * 1.6)
        if one.turned:
            view = turned(one.product, one.number, self.seed, self.size, more, self.scratch)
            return phone.jpeg(view, HEAVIEST["packshot"], 92), None
        if one.number == 0:
            return phone.jpeg(
                packshot(one.product, self.seed, self.size, more, self.scratch), HEAVIEST["packshot"], 92
            ), None
        long = round(self.size * 1.1 / 4) * 4
        picture, seen = photo(one.product, one.number, self.seed, (long, long * 3 // 4), self.samples, self.scratch)
        return phone.jpeg(picture, HEAVIEST["photo"]), seen
