"""The demo shop, a furniture shop rendered by `tools/demo_shop_renderer`: a feed, its images, and photos."""

import csv
import shutil
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

SHOP = Path(str(resources.files(__name__))) / "shop"
FEED = SHOP / "feed.csv"
PICTURES = SHOP / "pictures"
PHOTOS = SHOP / "photos"  # in an installed wheel only those with split `unseen`, see setup.py

SYNONYMS = SHOP / "synonyms.toml"
"""What the color words of shoppers stand for in this shop."""

EXAMPLES = {
    "rik-007-bra-2.jpg": "a brass bed in front of patterned wallpaper",
    "ovi-020-ter-1.jpg": "a terracotta sofa by the window",
    "cal-032-eme-2.jpg": "an emerald armchair",
    "ell-117-pet-3.jpg": "a petrol blue chest of drawers",
    "lun-106-ter-1.jpg": "an arched bookcase against bricks",
    "jar-144-skbl-2.jpg": "a table lamp of stacked discs",
    "tra-047-red-3.jpg": "a red chair on a striped rug",
    "ron-057-cor-1.jpg": "a coral pouf on a parquet floor",
}
"""Example photos and their captions; the bundled networks were not trained on products of these families."""


@dataclass(frozen=True)
class DemoPhoto:
    """A shopper's photo of the product `sku`; `box` is (left, top, right, bottom) as fractions of the photo."""

    path: Path
    caption: str
    sku: str
    box: tuple[float, float, float, float]


def skus() -> set[str]:
    """Return the SKUs of all products."""
    with FEED.open(encoding="utf8", newline="") as file:
        return {row["sku"] for row in csv.DictReader(file)}


def example_photos() -> tuple[DemoPhoto, ...]:
    """Return the example photos."""
    with (SHOP / "photos.csv").open(encoding="utf8", newline="") as file:
        rows = {row["photo"]: row for row in csv.DictReader(file) if row["role"] == "main"}
    sides = ("left", "top", "right", "bottom")
    return tuple(
        DemoPhoto(PHOTOS / name, caption, rows[name]["sku"], tuple(float(rows[name][side]) for side in sides))  # type: ignore[arg-type]
        for name, caption in EXAMPLES.items()
    )


def write_example_photos(folder: Path) -> None:
    """Replace the folder with a new one that holds the example photos, named after their captions."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for example in example_photos():
        shutil.copyfile(example.path, folder / f"{example.caption}{example.path.suffix}")
