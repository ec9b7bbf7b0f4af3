"""A small furniture catalogue drawn by code, so that everything can be tried without any data.

`products` says what there is, `write` draws it into a folder as a shop would deliver it (a feed and its
pictures), and `shopper_photo` draws one of its products in somebody's room.
"""

import csv
import hashlib
import io
import random
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

from PIL import Image

from catalog.demo import cabinets, seating
from catalog.demo.canvas import Canvas, colour, shade
from catalog.demo.seating import FLOOR, Look

SIDE = 640
COLUMNS = (
    "sku",
    "title",
    "brand",
    "description",
    "category",
    "price",
    "currency",
    "url",
    "stock",
    "images",
    "variant_group",
    "article_number",
    "dimensions",
    "attr:colour",
    "attr:material",
)
EXAMPLES = ("JUN-04-MUS", "SOL-01-SAG", "MOA-18-NAV", "PIP-06-BLA")
DRAWINGS: dict[str, Callable[..., None]] = {
    "armchair": seating.armchair,
    "bed": seating.bed,
    "bookcase": cabinets.bookcase,
    "cabinet": cabinets.cabinet,
    "chair": seating.chair,
    "floor_lamp": cabinets.floor_lamp,
    "mirror": cabinets.mirror,
    "pedestal": cabinets.pedestal,
    "pendant": cabinets.pendant,
    "pouf": seating.pouf,
    "sofa": seating.sofa,
    "stool": seating.stool,
    "table": cabinets.table,
    "table_lamp": cabinets.table_lamp,
}
"""What `draw` in products.toml can name."""

_BRAND = "Nordhem"
_WALLS = ("#e9e4dc", "#dfe3df", "#e6dcd2", "#d9dee2", "#ece6d6")
_FLOORS = ("#c9a67d", "#b08c66", "#d8c3a2", "#a9a29a")


@dataclass(frozen=True)
class DemoProduct:
    """One product: what the feed says of it and how it is drawn."""

    row: dict[str, str]
    draw: str
    look: Look
    lift: float = 0.0
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def sku(self) -> str:
        """Its key."""
        return self.row["sku"]


def products(seed: int = 0) -> list[DemoProduct]:
    """Return the catalogue, the same for the same seed; prices and stock vary with it."""
    table = tomllib.loads(resources.files(__name__).joinpath("products.toml").read_text(encoding="utf8"))
    return list(_products(table, random.Random(seed)))


def write(folder: Path, seed: int = 0, side: int = SIDE) -> Path:
    """Draw the catalogue into the folder, its pictures of this side in pixels, and return the feed.

    Its pictures are in `pictures` beside it; in `examples` lie some shoppers' photos to try the search with.
    """
    pictures, examples = folder / "pictures", folder / "examples"
    for place in (pictures, examples):
        place.mkdir(parents=True, exist_ok=True)
    items = products(seed)
    for item in items:
        studio_name, room_name = item.row["images"].split("|")
        (pictures / studio_name).write_bytes(_jpeg(studio(item, side)))
        (pictures / room_name).write_bytes(_jpeg(room(item, seed, side)))
    for sku in EXAMPLES:
        (examples / f"{sku.lower()}.jpg").write_bytes(shopper_photo(sku, seed))
    feed = folder / "feed.csv"
    with feed.open("w", encoding="utf8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(item.row for item in items)
    return feed


def studio(item: DemoProduct, side: int = SIDE) -> Image.Image:
    """Draw the product on a plain light background, as a shop shows it."""
    canvas = Canvas(side)
    canvas.backdrop(colour("#fbfaf8"), colour("#f1eeea"))
    size = min(0.86 / max(item.look.width, item.look.height), 1.4)
    middle = FLOOR - item.look.height / 2
    canvas.frame(0.5 - size / 2, 0.51 - size * middle, size)
    _draw(canvas, item)
    return canvas.finish()


def room(item: DemoProduct, seed: int = 0, side: int = SIDE) -> Image.Image:
    """Draw the product in front of a wall, on a floor, with a skirting board between."""
    dice = random.Random(f"{seed} {item.sku}")
    wall, floor = colour(dice.choice(_WALLS)), colour(dice.choice(_FLOORS))
    canvas = Canvas(side)
    canvas.backdrop(shade(wall, 0.15), shade(wall, -0.04))
    canvas.backdrop(shade(floor, -0.06), shade(floor, 0.12), y0=0.7)
    canvas.backdrop(shade(wall, 0.5), shade(wall, 0.3), y0=0.68, y1=0.705)
    canvas.frame(0.09 + dice.uniform(-0.05, 0.05), 0.115 - item.lift, 0.82)
    _draw(canvas, item)
    return canvas.finish()


def shopper_photo(sku: str, seed: int = 0) -> bytes:
    """Return a JPEG of the product as a shopper might take it: in a room, a little askew, in evening light.

    Raises:
        KeyError: the catalogue has no such sku.
    """
    item = {item.sku: item for item in products(seed)}[sku]
    dice = random.Random(f"photo {seed} {sku}")
    photo = room(item, seed + 1, 900).rotate(dice.uniform(-3, 3), Image.Resampling.BICUBIC, fillcolor=(190, 180, 168))
    photo = photo.crop((40, 40, 860, 860))
    warm = Image.new("RGB", photo.size, (255, 226, 190))
    return _jpeg(Image.blend(photo, warm, 0.14), quality=82)


def _products(table: dict[str, Any], dice: random.Random) -> Iterator[DemoProduct]:
    for number, model in enumerate(table["model"], start=1):
        price = model["price"] + dice.choice((0, 0, 10, -10, 50)) - dice.choice((0, 0, 0.1))
        for name in model["colours"]:
            sku = f"{model['name'][:3].upper()}-{number:02d}-{name[:3].upper()}"
            main, accent = colour(table["colours"][name]), colour(table["colours"][model.get("accent", name)])
            if "body" in model:  # The colour of the variant is on the smaller part, as on a ceramic lamp base.
                main, accent = colour(table["colours"][model["body"]]), main
            row = {
                "sku": sku,
                "title": f"{model['name']} {model['noun']}, {name.replace('-', ' ')}",
                "brand": _BRAND,
                "description": model["text"],
                "category": model["category"],
                "price": f"{price:.2f}",
                "currency": "EUR",
                "url": f"https://shop.example/{sku.lower()}",
                "stock": str(dice.choice((0, 2, 5, 8, 14, 25, 40))),
                "images": f"{sku.lower()}.jpg|{sku.lower()}-room.jpg",
                "variant_group": model["name"].lower(),
                "article_number": _article_number(sku),
                "dimensions": "width={}cm; depth={}cm; height={}cm".format(*model["size"]),
                "attr:colour": name.replace("-", " "),
                "attr:material": model["material"].replace(", ", "|"),
            }
            look = Look(main, accent, model["width"], model["height"])
            yield DemoProduct(row, model["draw"], look, model.get("lift", 0.0), model.get("options", {}))


def _article_number(sku: str) -> str:
    """Return what is printed on the product's shelf tag."""
    digits = f"{int(hashlib.sha256(sku.encode()).hexdigest(), 16) % 10**8:08d}"
    return f"{digits[:3]}.{digits[3:6]}.{digits[6:]}"


def _draw(canvas: Canvas, item: DemoProduct) -> None:
    DRAWINGS[item.draw](canvas, item.look, **item.options)


def _jpeg(image: Image.Image, quality: int = 90) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()
