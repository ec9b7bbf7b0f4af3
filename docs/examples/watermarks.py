"""Measure the detection rate and the false positives of watermark detection.

    python docs/examples/watermarks.py DIR

DIR contains catalogue.csv and images.tar of the ikea data set. Groups are classes, families and random mixtures.
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

WATERMARKS = {
    "a line in a corner": {"text": "shop.example", "size": 0.06, "at": (0.55, 0.9), "gray": 60},
    "a small line at the top": {"text": "(c) ACME", "size": 0.05, "at": (0.05, 0.05), "gray": 0},
    "a stamp over the middle": {"text": "SAMPLE", "size": 0.15, "at": (0.2, 0.4), "gray": 128},
}


def main(folder: Path) -> None:
    """Print the detection rates."""
    with (folder / "catalogue.csv").open(encoding="utf8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    with tarfile.open(folder / "images.tar") as archive:
        photos = {row["sku"]: Image.open(io.BytesIO(archive.extractfile(row["image"]).read())) for row in rows}
    for kind, groups in make_groups(rows).items():
        false_positives = sum(bool(detect(photos[sku] for sku in skus).any()) for skus in groups)
        click.echo(f"{kind}: false positives in {false_positives} of {len(groups)}")
        for name, watermark in WATERMARKS.items():
            for opacity in (0.15, 0.3, 0.5):
                found = sum(
                    bool(detect(draw(photos[sku], watermark, opacity) for sku in skus).any()) for skus in groups
                )
                click.echo(f"{kind}: {name}, {opacity:.0%} opaque, is found in {found} of {len(groups)}")


def make_groups(rows: list[dict[str, str]]) -> dict[str, list[list[str]]]:
    """Return groups of skus by kind of group."""
    rng = random.Random(0)
    by: dict[str, dict[str, list[str]]] = {"classes": defaultdict(list), "families": defaultdict(list)}
    for row in rows:
        by["classes"][row["category"]].append(row["sku"])
        by["families"][row["name"]].append(row["sku"])
    found = {
        kind: [rng.sample(skus, min(len(skus), SAMPLE_SIZE)) for skus in groups.values() if len(skus) >= MIN_PICTURES]
        for kind, groups in by.items()
    }
    return {**found, "mixtures": [rng.sample([row["sku"] for row in rows], SAMPLE_SIZE) for _ in range(20)]}


def detect(photos) -> np.ndarray:
    """Return which photos have a watermark."""
    return find_watermarked(np.stack([np.asarray(photo.convert("L").resize((SIDE, SIDE), 2)) for photo in photos]))


def draw(photo: Image.Image, watermark: dict, opacity: float) -> Image.Image:
    """Draw a watermark on a photo."""
    photo, (x, y) = photo.convert("RGB"), watermark["at"]
    mask = Image.new("L", photo.size, 0)
    font = ImageFont.load_default(size=max(8, int(photo.height * watermark["size"])))
    position = (int(x * photo.width), int(y * photo.height))
    ImageDraw.Draw(mask).text(position, watermark["text"], int(255 * opacity), font=font)
    return Image.composite(Image.new("RGB", photo.size, (watermark["gray"],) * 3), photo, mask)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
