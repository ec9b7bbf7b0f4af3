"""What is to be rendered, what of it is done, and doing the rest: resumable, and in several processes."""

import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from demo_shop_renderer import feed
from demo_shop_renderer.boxes import Seen
from demo_shop_renderer.catalogue import Product

Render = Callable[["Picture"], tuple[bytes, list[Seen] | None]]
"""Returns a picture's JPEG and, of a photo, what it shows."""


@dataclass(frozen=True)
class Picture:
    """One picture of a product: its packshot (0), one of its photos, or a view on a turntable, counted from 1."""

    product: Product
    number: int
    turned: bool = False

    @property
    def path(self) -> Path:
        """Where it goes, from the output folder on."""
        if self.turned:
            return Path("turntables") / feed.photo_name(self.product, self.number)
        if self.number == 0:
            return Path("pictures") / feed.picture_name(self.product)
        return Path("photos") / feed.photo_name(self.product, self.number)

    @property
    def noted(self) -> bool:
        """Whether it is written down what it shows."""
        return self.number > 0 and not self.turned

    @property
    def notes(self) -> Path:
        """Where it is written down what a photo shows."""
        return Path("seen") / f"{self.path.stem}.json"


def pictures(products: Sequence[Product]) -> list[Picture]:
    """Return all pictures of these products, the packshots first."""
    shots = [Picture(product, 0) for product in products]
    return shots + [Picture(product, number) for product in products for number in range(1, feed.SHOTS + 1)]


def turntables(products: Sequence[Product], views: int) -> list[Picture]:
    """Return the views of these products on a turntable: the first of each, then the second, and so on."""
    return [Picture(product, number, turned=True) for number in range(1, views + 1) for product in products]


def missing(folder: Path, wanted: Sequence[Picture]) -> list[Picture]:
    """Return those that are not there yet; a photo is there when what it shows is written down too."""
    return [one for one in wanted if not _done(folder, one)]


def share(wanted: Sequence[Picture], part: int, of: int) -> list[Picture]:
    """Return every `of`-th picture from that numbered `part` on: together such shares are all, and no two meet."""
    return list(wanted[part::of])


def carry_out(folder: Path, wanted: Sequence[Picture], render: Render) -> Iterator[Picture]:
    """Render those that are missing, one by one; yield each when it is on disk, whole."""
    for one in wanted:
        if _done(folder, one):
            continue
        data, seen = render(one)
        if seen is not None:
            _put(folder / one.notes, json.dumps([asdict(found) for found in seen]).encode())
        _put(folder / one.path, data)
        yield one


def seen(folder: Path, wanted: Sequence[Picture]) -> dict[str, list[Seen]]:
    """Return what the photos that are there show, by their names."""
    photos = [one for one in wanted if one.noted and _done(folder, one)]
    return {
        one.path.name: [Seen(**found) for found in json.loads((folder / one.notes).read_text(encoding="utf8"))]
        for one in photos
    }


def _done(folder: Path, one: Picture) -> bool:
    return (folder / one.path).exists() and (not one.noted or (folder / one.notes).exists())


def _put(path: Path, data: bytes) -> None:
    """Write a file at once or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    hidden = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        hidden.write_bytes(data)
        hidden.replace(path)
    finally:
        hidden.unlink(missing_ok=True)
