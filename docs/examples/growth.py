"""Measure how the nightly job, start-up, memory and searches grow with the catalog, and draw the figures.

    python docs/examples/growth.py WORK 1000 10000 100000 1000000
    python docs/examples/growth.py WORK 1000 10000 100000 1000000 --draw docs/images/growth.svg

Products are made up, each with its own small image. Their blocks are stored as if the images had been encoded: the
blocks of the demo shop's images with noise, since encoding a million images takes hours. Images that change in the
second night are encoded. A measurement that is in WORK is not repeated; a million products need 22 GB there.
"""

import argparse
import csv
import io
import json
import os
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import click
import numpy as np
from PIL import Image
from sqlalchemy import select

from catalog import stored_blocks
from catalog.database import open_catalog
from catalog.models import Image as CatalogImage
from catalog.stored_blocks import Key
from vsearch.core.settings import Settings
from vsearch.imaging.codec import decode
from vsearch.models import checkpoint as checkpoints
from vsearch.models.encoder import Encoder
from vsearch.models.runtime import choose_precision

SHOP = Path(__file__).parents[2] / "catalog" / "demo" / "shop"
SIDE = 64
"""Of the images, in pixels."""

NOISE = 0.5
"""Standard deviation of the noise, relative to that of the demo shop's blocks."""


def main(work: Path, counts: list[int], drawing: Path | None) -> None:
    """Measure what has not been measured, print all figures, and draw them."""
    for count in counts:
        measure(work / str(count), count)
    figures = {count: json.loads((work / str(count) / "figures.json").read_text()) for count in counts}
    click.echo(json.dumps(figures, indent=2))
    if drawing:
        draw(figures, drawing)


def measure(folder: Path, count: int) -> None:
    """Measure a catalog of `count` products, and keep the figures in the folder."""
    figures_file = folder / "figures.json"
    folder.mkdir(parents=True, exist_ok=True)
    figures = json.loads(figures_file.read_text()) if figures_file.exists() else {}
    pictures, data = folder / "pictures", folder / "data"
    if not figures:
        make_feeds(folder, pictures, count)
    night = ["index", "run", "--images", str(pictures), "--feed"]
    commands = {
        "import": ["catalog", "import", str(folder / "feed.csv"), "--images", str(pictures)],
        "first run": ["index", "run"],
        "unchanged night": [*night, str(folder / "feed.csv")],
        "changed night": [*night, str(folder / "changed.csv")],
        "server": ["bench", "http", str(SHOP / "photos"), "--clients", "1", "--seconds", "20", "--json"],
    }
    for step, command in commands.items():
        if step not in figures:
            if step == "first run":
                with ProcessPoolExecutor(1, get_context("spawn")) as pool:  # its memory would count as the command's
                    pool.submit(store_blocks, data).result()
            seconds, peak_mb, printed = run(data, command)
            figures[step] = {"seconds": seconds, "peak_mb": peak_mb}
            if step == "server":
                server = json.loads(printed)
                load = server["loads"][0]
                figures[step] = {"ready_seconds": server["ready_seconds"], "ready_mb": server["ready_mb"], **load}
            figures_file.write_text(json.dumps(figures, indent=2))
            click.echo(f"{count} {step} {figures[step]}", err=True)


def run(data: Path, command: list[str]) -> tuple[float, float, str]:
    """Run a command; return its seconds, its peak memory in MB, and what it printed."""
    started = time.perf_counter()
    call = [sys.executable, "-c", "from vsearch.cli import main; main()", "--data", str(data), *command]
    with subprocess.Popen(call, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        printed = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{' '.join(command)} failed.")
    return round(time.perf_counter() - started, 1), round(usage.ru_maxrss / 1024), printed


def make_feeds(folder: Path, pictures: Path, count: int) -> None:
    """Write the images, the feed, and a feed of the next day: 0.5 percent new prices and as many new images."""
    with (SHOP / "feed.csv").open(newline="", encoding="utf8") as lines:
        products = list(csv.DictReader(lines))
    thumbnails = [thumbnail(SHOP / "pictures" / product["images"].split("|")[0]) for product in products]

    def picture(name: str, number: int) -> str:
        path = pictures / f"{number // 1000:04d}" / f"{name}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        jpeg, comment = thumbnails[number % len(products)], name.encode()
        path.write_bytes(jpeg[:2] + b"\xff\xfe" + (len(comment) + 2).to_bytes(2) + comment + jpeg[2:])
        return str(path.relative_to(pictures))

    with (
        (folder / "feed.csv").open("w", newline="", encoding="utf8") as first,
        (folder / "changed.csv").open("w", newline="", encoding="utf8") as second,
    ):
        writers = [csv.DictWriter(file, products[0]) for file in (first, second)]
        for writer in writers:
            writer.writeheader()
        for number in range(count):
            product = products[number % len(products)]
            row = product | {"sku": f"{product['sku']}-{number}", "title": f"{product['title']} {number}"}
            row |= {"article_number": "", "images": picture(f"{number}", number)}
            if row["variant_group"]:
                row["variant_group"] += f"-{number // len(products)}"
            writers[0].writerow(row)
            if number % 200 == 0:
                row["price"] = str(100 + number % 900)
            if number % 200 == 100:
                row["images"] = picture(f"{number}-new", number)
            writers[1].writerow(row)


def thumbnail(path: Path) -> bytes:
    """Return a small JPEG of an image."""
    with Image.open(path) as image:
        image.thumbnail((SIDE, SIDE))
        image.convert("RGB").save(buffer := io.BytesIO(), "JPEG")
    return buffer.getvalue()


def store_blocks(data: Path) -> None:
    """Store blocks for all images of the catalog: those of the demo shop's images, with noise."""
    settings = Settings(data=data)
    checkpoint = checkpoints.at_precision(checkpoints.load(checkpoints.bundled()), choose_precision(settings.precision))
    encoder = Encoder(checkpoint)
    paths = sorted((SHOP / "pictures").glob("*.*"))
    real = encoder.blocks([encoder.prepare(decode(path.read_bytes())) for path in paths]).astype(np.float32)
    rng, spread = np.random.default_rng(0), NOISE * real.std(axis=0)
    with open_catalog(settings.catalog_url, write=True) as sessions:
        with sessions() as session:
            sha256s = session.scalars(select(CatalogImage.sha256).distinct()).all()
        for start in range(0, len(sha256s), 2000):
            keys: list[Key] = [(sha256, 0) for sha256 in sha256s[start : start + 2000]]
            chosen = real[rng.integers(len(real), size=len(keys))]
            blocks = (chosen + spread * rng.standard_normal(chosen.shape, dtype=np.float32)).astype(np.float16)
            with sessions.begin() as session:
                stored_blocks.put(session, checkpoint.blocks_id, keys, blocks)


def draw(figures: dict[int, dict[str, Any]], drawing: Path) -> None:
    """Draw seconds, memory and milliseconds against the number of products."""
    import matplotlib.pyplot as plt

    counts = list(figures)
    lines = {
        "seconds": {
            "first run": [each["first run"]["seconds"] for each in figures.values()],
            "night, 1 percent changed": [each["changed night"]["seconds"] for each in figures.values()],
            "night, unchanged": [each["unchanged night"]["seconds"] for each in figures.values()],
            "server ready": [each["server"]["ready_seconds"] for each in figures.values()],
        },
        "peak memory, MB": {
            "night, 1 percent changed": [each["changed night"]["peak_mb"] for each in figures.values()],
            "night, unchanged": [each["unchanged night"]["peak_mb"] for each in figures.values()],
            "server ready": [each["server"]["ready_mb"] for each in figures.values()],
        },
        "one search, ms": {
            "median": [each["server"]["p50_ms"] for each in figures.values()],
            "of it in the index": [each["server"]["stages_ms"]["search"] for each in figures.values()],
        },
    }
    names = dict.fromkeys(name for series in lines.values() for name in series)
    colors = dict(zip(names, plt.rcParams["axes.prop_cycle"].by_key()["color"], strict=False))
    figure, axes = plt.subplots(1, 3, figsize=(13, 4), layout="constrained")
    for axis, (title, series) in zip(axes, lines.items(), strict=True):
        for name, values in series.items():
            axis.plot(counts, values, marker="o", label=name, color=colors[name])
        axis.set(title=title, xscale="log", yscale="log", xlabel="products")
        axis.grid(visible=True, alpha=0.3)
        axis.legend(fontsize=8)
    figure.savefig(drawing, metadata={"Date": None})


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path)
    parser.add_argument("counts", type=int, nargs="+")
    parser.add_argument("--draw", type=Path)
    options = parser.parse_args()
    main(options.work, options.counts, options.draw)
