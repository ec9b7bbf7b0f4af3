"""One picture of the whole shop: python -m demo_shop_renderer.sheet SHOP OUT.jpg --seed 7."""

import argparse
import csv
import io
import random
import sys
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from PIL import Image, ImageChops, ImageDraw, ImageFont

COLUMNS, ROWS = 10, 6
SIDE, GAP, MARGIN = 248, 28, 84
CAPTION = 50
PAPER, TILE, INK, SOFT = "#faf8f4", "#f4f0e9", "#22201c", "#7a7268"
MAX_BYTES = 1_500_000

Row = dict[str, str]


@dataclass(frozen=True)
class Cell:
    """A picture with the line of the feed it shows; `middle` is where in a photo the product stands, in shares."""

    file: Path
    product: Row
    middle: tuple[float, float] | None = None


def main(arguments: Sequence[str] | None = None) -> int:
    """Draw the sheet."""
    parser = argparse.ArgumentParser(
        prog="python -m demo_shop_renderer.sheet",
        description="Draw a contact sheet of random packshots and photos of a rendered shop.",
        epilog="example: python -m demo_shop_renderer.sheet shop docs/demo_shop.jpg --seed 7",
    )
    parser.add_argument("shop", type=Path, help="folder with feed.csv, photos.csv, pictures and photos")
    parser.add_argument("out", type=Path, help="JPEG file to write")
    parser.add_argument("--seed", type=int, default=0, help="another number, other pictures (default: 0)")
    options = parser.parse_args(arguments)
    try:
        options.out.write_bytes(encoded(draw(choose(options.shop, random.Random(options.seed)))))
    except (ValueError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def choose(shop: Path, chance: random.Random) -> list[Cell]:
    """Return packshots and photos in turn, like the squares of a chessboard, each of another family.

    Raises:
        ValueError: there are too few families, or photos.
    """
    families: dict[str, list[Row]] = {}
    for product in _rows(shop / "feed.csv"):
        families.setdefault(product["variant_group"], []).append(product)
    photos: dict[str, list[Row]] = {}
    for row in _rows(shop / "photos.csv"):
        if row["role"] == "main":
            photos.setdefault(row["sku"], []).append(row)
    half = COLUMNS * ROWS // 2
    products = [chance.choice(families[key]) for key in chance.sample(sorted(families), len(families))]
    shown = [product for product in products if product["sku"] in photos][:half]
    alone = [product for product in products if product not in shown][:half]
    if min(len(shown), len(alone)) < half:
        raise ValueError(
            f"A sheet needs {half} packshots and {half} photos of different families, but {shop} has {len(alone)} and "
            f"{len(shown)}; render the rest first."
        )
    taken = [_photo(shop, product, chance.choice(photos[product["sku"]])) for product in shown]
    packshots = [Cell(shop / "pictures" / product["images"].split("|")[0], product) for product in alone]
    pairs = zip(packshots, taken, strict=True)
    return [
        cell
        for number, pair in enumerate(pairs)
        for cell in (pair if number // (COLUMNS // 2) % 2 == 0 else pair[::-1])
    ]


def draw(cells: Sequence[Cell]) -> Image.Image:
    """Return the sheet."""
    step, down = SIDE + GAP, SIDE + CAPTION + GAP
    sheet = Image.new("RGB", (2 * MARGIN + COLUMNS * step - GAP, 2 * MARGIN + ROWS * down - GAP), PAPER)
    pen = ImageDraw.Draw(sheet)
    for number, cell in enumerate(cells):
        left, top = MARGIN + number % COLUMNS * step, MARGIN + number // COLUMNS * down
        sheet.paste(_square(cell), (left, top), _rounded())
        title, _, finish = _plain(cell.product["title"]).rpartition(", ")
        price = f"{cell.product['price'].removesuffix('.00')} {cell.product['currency']}"
        pen.text((left + 2, top + SIDE + 10), title, INK, _fitting(title))
        pen.text((left + 2, top + SIDE + 32), finish, SOFT, _font(15))
        pen.text((left + SIDE - 2, top + SIDE + 32), price, SOFT, _font(15), anchor="ra")
    return sheet


def encoded(sheet: Image.Image, most: int = MAX_BYTES) -> bytes:
    """Return the sheet as a JPEG of at most so many bytes, as good as that allows."""
    for quality in range(92, 40, -4):
        file = io.BytesIO()
        sheet.save(file, "JPEG", quality=quality, optimize=True, progressive=True)
        if file.tell() <= most:
            break
    return file.getvalue()


def _rows(file: Path) -> list[Row]:
    with file.open(encoding="utf8", newline="") as lines:
        return list(csv.DictReader(lines))


def _photo(shop: Path, product: Row, row: Row) -> Cell:
    middle = (float(row["left"]) + float(row["right"])) / 2, (float(row["top"]) + float(row["bottom"])) / 2
    return Cell(shop / "photos" / row["photo"], product, middle)


def _square(cell: Cell) -> Image.Image:
    """Return a picture as a square tile: a packshot whole on the tile's colour, a photo cut around its product."""
    with Image.open(cell.file) as file:
        image = file.convert("RGB")
    side = min(image.size)
    left, top = (image.width - side) / 2, (image.height - side) / 2
    if cell.middle:
        left = min(max(0, cell.middle[0] * image.width - side / 2), image.width - side)
        top = min(max(0, cell.middle[1] * image.height - side / 2), image.height - side)
    tile = image.resize((SIDE, SIDE), Image.Resampling.LANCZOS, (left, top, left + side, top + side))
    return tile if cell.middle else ImageChops.multiply(tile, Image.new("RGB", tile.size, TILE))


@cache
def _rounded() -> Image.Image:
    """Return the mask of a tile's rounded corners."""
    mask = Image.new("L", (4 * SIDE, 4 * SIDE))
    ImageDraw.Draw(mask).rounded_rectangle((0, 0, 4 * SIDE - 1, 4 * SIDE - 1), 4 * 14, 255)
    return mask.resize((SIDE, SIDE), Image.Resampling.LANCZOS)


@cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    font = ImageFont.load_default(size)
    assert isinstance(font, ImageFont.FreeTypeFont)
    return font


def _plain(text: str) -> str:
    """Return the text without accents, which Pillow's own font lacks."""
    return unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()


def _fitting(text: str) -> ImageFont.FreeTypeFont:
    """Return the largest font in which the text fits under a tile."""
    return next((_font(size) for size in (17, 16, 15, 14) if _font(size).getlength(text) <= SIDE - 4), _font(13))


if __name__ == "__main__":
    sys.exit(main())
