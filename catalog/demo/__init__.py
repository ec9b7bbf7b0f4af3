"""The demo shop: a furniture shop with its pictures, made by `tools/demo_shop_renderer` and shipped with the project.

A shop would deliver `FEED` and `PICTURES`; `examples` are photos that its shoppers might send.
"""

import csv
import shutil
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

SHOP = Path(str(resources.files(__name__))) / "shop"
FEED = SHOP / "feed.csv"
PICTURES = SHOP / "pictures"
PHOTOS = SHOP / "photos"

EXAMPLES = {
    "rik-007-bra-2.jpg": "a brass bed before patterned wallpaper",
    "ovi-020-ter-1.jpg": "a terracotta sofa by the window",
    "cal-032-eme-2.jpg": "an emerald armchair",
    "ell-117-pet-3.jpg": "a petrol blue chest of drawers",
    "lun-106-ter-1.jpg": "an arched bookcase against bricks",
    "jar-144-skbl-2.jpg": "a table lamp of stacked discs",
    "tra-047-red-3.jpg": "a red chair on a striped rug",
    "ron-057-cor-1.jpg": "a coral pouf on a parquet floor",
}
"""Photos to try the search with -> what they show; none of a family that the bundled networks have learned."""


@dataclass(frozen=True)
class Example:
    """A shopper's photo of a product.

    Attributes:
        box: where in the photo the product stands, in shares of its sides: left, top, right, bottom.
    """

    photo: Path
    words: str
    sku: str
    box: tuple[float, float, float, float]


def skus() -> set[str]:
    """Return the skus of all its products."""
    with FEED.open(encoding="utf8", newline="") as file:
        return {row["sku"] for row in csv.DictReader(file)}


def examples() -> tuple[Example, ...]:
    """Return the photos to try the search with."""
    with (SHOP / "photos.csv").open(encoding="utf8", newline="") as file:
        rows = {row["photo"]: row for row in csv.DictReader(file) if row["role"] == "main"}
    return tuple(_example(name, words, rows[name]) for name, words in EXAMPLES.items())


def write_examples(folder: Path) -> None:
    """Make a folder of these photos, named by what they show; one that is there is replaced."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for example in examples():
        shutil.copyfile(example.photo, folder / f"{example.words}{example.photo.suffix}")


def _example(name: str, words: str, row: dict[str, str]) -> Example:
    box = float(row["left"]), float(row["top"]), float(row["right"]), float(row["bottom"])
    return Example(PHOTOS / name, words, row["sku"], box)
