"""How often a mark drawn into a shop's pictures is found, and how often one is seen where there is none.

    python docs/examples/marks.py SHARED/ikea

Needs the ikea photographs, which the project does not ship. Groups are classes, families of one name, and mixtures.
"""

import csv
import io
import random
import sys
import tarfile
from collections import defaultdict
from pathlib import Path

import click
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from indexer.catalog_report.watermarks import MIN_PICTURES, SAMPLE_SIZE, SIDE, find_watermarked

MARKS = {
    "a line in a corner": {"text": "shop.example", "size": 0.06, "at": (0.55, 0.9), "grey": 60},
    "a small line at the top": {"text": "(c) ACME", "size": 0.05, "at": (0.05, 0.05), "grey": 0},
    "a stamp over the middle": {"text": "SAMPLE", "size": 0.15, "at": (0.2, 0.4), "grey": 128},
}


def main(folder: Path) -> None:
    """Print what is found."""
    with (folder / "catalogue.csv").open(encoding="utf8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    with tarfile.open(folder / "images.tar") as archive:
        photos = {row["sku"]: Image.open(io.BytesIO(archive.extractfile(row["image"]).read())) for row in rows}
    for kind, groups in grouped(rows).items():
        seen = sum(bool(looked(photos[sku] for sku in skus).any()) for skus in groups)
        click.echo(f"{kind}: without a mark, one is seen in {seen} of {len(groups)}")
        for name, mark in MARKS.items():
            for opacity in (0.15, 0.3, 0.5):
                found = sum(bool(looked(drawn(photos[sku], mark, opacity) for sku in skus).any()) for skus in groups)
                click.echo(f"{kind}: {name}, {opacity:.0%} opaque, is found in {found} of {len(groups)}")


def grouped(rows: list[dict[str, str]]) -> dict[str, list[list[str]]]:
    """Return groups of skus of three kinds."""
    chance = random.Random(0)
    by: dict[str, dict[str, list[str]]] = {"classes": defaultdict(list), "families": defaultdict(list)}
    for row in rows:
        by["classes"][row["category"]].append(row["sku"])
        by["families"][row["name"]].append(row["sku"])
    found = {
        kind: [
            chance.sample(skus, min(len(skus), SAMPLE_SIZE)) for skus in groups.values() if len(skus) >= MIN_PICTURES
        ]
        for kind, groups in by.items()
    }
    return {**found, "mixtures": [chance.sample([row["sku"] for row in rows], SAMPLE_SIZE) for _ in range(20)]}


def looked(photos) -> np.ndarray:
    """Return which pictures bear a mark."""
    return find_watermarked(np.stack([np.asarray(photo.convert("L").resize((SIDE, SIDE), 2)) for photo in photos]))


def drawn(photo: Image.Image, mark: dict, opacity: float) -> Image.Image:
    """Return the photo with a mark."""
    photo, (x, y) = photo.convert("RGB"), mark["at"]
    mask = Image.new("L", photo.size, 0)
    font = ImageFont.load_default(size=max(8, int(photo.height * mark["size"])))
    place = (int(x * photo.width), int(y * photo.height))
    ImageDraw.Draw(mask).text(place, mark["text"], int(255 * opacity), font=font)
    return Image.composite(Image.new("RGB", photo.size, (mark["grey"],) * 3), photo, mask)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
