"""The shop's tables: the feed of its products, which may be trained on, which product is where in a photo."""

import csv
import io
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from PIL import Image

from demo_shop_renderer import wording
from demo_shop_renderer.boxes import Seen
from demo_shop_renderer.catalogue import CATEGORIES, Product, dice, products

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
PACKSHOTS = ("image", "sku", "family", "category", "split")
PHOTOS = ("photo", "sku", "role", "left", "top", "right", "bottom", "visible", "category", "split")
TURNTABLES = ("image", "sku", "view", "family", "category")
SHOTS = 3
"""Photos in rooms of each product."""

_DEARER = {
    "leather": 1.45,
    "velvet": 1.08,
    "boucle": 1.12,
    "marble": 1.6,
    "terrazzo": 1.3,
    "walnut": 1.18,
    "teak": 1.15,
    "cherry": 1.1,
    "brass": 1.06,
    "pine": 0.8,
    "birch": 0.9,
    "paint": 0.92,
}
"""What a material does to a price; all others leave it as it is."""


def picture_name(product: Product) -> str:
    """Return the name of its packshot."""
    return f"{product.sku.lower()}.jpg"


def photo_name(product: Product, number: int) -> str:
    """Return the name of one of its photos in rooms, counted from 1."""
    return f"{product.sku.lower()}-{number}.jpg"


def price(product: Product, seed: int = 0) -> str:
    """Return its price in EUR: by design, width and material, ending as shops like it."""
    design = product.family.design
    worth = design.price * (product.shape.width / design.shape.width) ** 0.8
    worth *= max(_DEARER.get(part.words, 1.0) for part in (product.lead, product.finishes[0]))
    worth *= dice(seed, product.family.key, "price").uniform(0.9, 1.15)
    if worth < 60:
        return f"{round(worth) - 0.01:.2f}"
    step = 10 if worth < 1000 else 50
    whole = max(step, round(worth / step) * step)
    return f"{whole - dice(seed, product.family.key, 'ending').choice((0, 1, 1, 5, 0.05)):.2f}"


def row(product: Product, seed: int = 0) -> dict[str, str]:
    """Return its line of the feed."""
    shape = product.shape
    sides = (round(part * 100) for part in (shape.width, shape.depth, shape.height))
    return {
        "sku": product.sku,
        "title": wording.title(product),
        "brand": product.family.brand,
        "description": wording.description(product, seed),
        "category": CATEGORIES[product.category],
        "price": price(product, seed),
        "currency": "EUR",
        "url": f"https://shop.example/{product.sku.lower()}",
        "stock": str(dice(seed, product.sku, "stock").choice((0, 1, 2, 3, 5, 8, 12, 14, 20, 25, 40))),
        "images": picture_name(product),
        "variant_group": product.family.key,
        "article_number": product.article_number,
        "dimensions": "width={}cm; depth={}cm; height={}cm".format(*sides),
        "attr:colour": wording.colour(product),
        "attr:material": "|".join(wording.materials(product)),
    }


def table(columns: Iterable[str], rows: Iterable[Mapping[str, object]]) -> str:
    """Return a table as CSV."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(columns), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def write(folder: Path, seed: int, seen: Mapping[str, Iterable[Seen]]) -> None:
    """Write feed.csv, packshots.csv and photos.csv; `seen` holds what each photo in the folder shows, by its name.

    A split is that of the family; all rows of a photo have that of the product it is of. Boxes are in shares of the
    photo's sides.
    """
    shop = {product.sku: product for product in products(seed)}
    tables = {
        "feed.csv": table(COLUMNS, (row(product, seed) for product in shop.values())),
        "packshots.csv": table(
            PACKSHOTS,
            (
                {"image": picture_name(one), "sku": one.sku, "family": one.family.key, **_about(one)}
                for one in shop.values()
            ),
        ),
        "photos.csv": table(
            PHOTOS,
            (line for photo in sorted(seen) for line in _photo_rows(folder / "photos" / photo, seen[photo], shop)),
        ),
    }
    for name, text in tables.items():
        (folder / name).write_text(text, encoding="utf8")


def write_turntables(folder: Path, views: Iterable[tuple[Product, int]]) -> None:
    """Write turntables.csv: the views on turntables that are in the folder."""
    rows = (
        {
            "image": photo_name(one, view),
            "sku": one.sku,
            "view": view,
            "family": one.family.key,
            "category": CATEGORIES[one.category],
        }
        for one, view in views
    )
    (folder / "turntables.csv").write_text(table(TURNTABLES, rows), encoding="utf8")


def _photo_rows(photo: Path, found: Iterable[Seen], shop: Mapping[str, Product]) -> Iterator[dict[str, object]]:
    found = list(found)
    with Image.open(photo) as picture:
        size = picture.size
    split = next(shop[one.sku].family.split for one in found if one.role == "main")
    for one in found:
        yield one.row(photo.name, size) | _about(shop[one.sku]) | {"split": split}


def _about(product: Product) -> dict[str, object]:
    return {"category": CATEGORIES[product.category], "split": product.family.split}
