"""Measure whether heat maps look at the product, on the demo shop's photos, and draw some.

    vsearch --data DIR demo --no-serve
    python docs/examples/heat_maps.py DIR --count 100 --grid heat_maps.jpg

The photos are those marked "unseen", of whose main product one is among the first results. The mass of its heat map
inside the product's box is compared with that of a uniform map, in the region that found the product and in the whole
photo.
"""

import csv
import random
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import click
import numpy as np
from PIL import Image

from catalog import queries
from catalog.database import open_catalog
from vsearch.core.settings import Settings
from vsearch.detection.detector import open_active
from vsearch.imaging.codec import Picture, crop, decode, resize
from vsearch.imaging.geometry import Box
from vsearch.search.engine import Engine, Search
from vsearch.search.heat_map import HeatMap, heat_map
from webui.explanations import cells

SIDE, FRAME = 280, 2  # pixels of a grid's picture, and of the frame around the true box
SAMPLES = 400  # points a side at which a heat map is compared with a box
WHOLE = Box(0, 0, 1, 1)


@click.command()
@click.argument("data", type=click.Path(path_type=Path, exists=True))
@click.option("--count", default=100, help="Number of right matches.")
@click.option("--within", default=10, help="Ranks that count as found.")
@click.option("--grid", type=click.Path(path_type=Path), help="Where to draw ten of them.")
def main(data: Path, count: int, within: int, grid: Path | None) -> None:
    """Print the share of the mass inside the product's box."""
    settings = Settings(data=data)
    engine = Engine(settings, open_detector=open_active)
    engine.refresh()
    masses, drawn = [], []
    for picture, truth, image_id, box in right_matches(engine, settings, within):
        target = engine.serving.generation.gallery.embedding(image_id)
        row = []
        for region in (box, WHOLE):
            found = heat_map(engine.serving, crop(picture, region), target)
            row += [inside(found, region, truth), inside(np.ones_like(found), region, truth)]
            if region == box and len(drawn) < 10:
                drawn.append(drawing(picture, found, region, truth))
        masses.append(row)
        if len(masses) == count:
            break
    for name, heat, uniform in (("region", 0, 1), ("whole photo", 2, 3)):
        mass = np.array(masses)[:, heat]
        click.echo(
            f"{name}: {mass.mean():.1%} of the mass inside the box (median {np.median(mass):.1%}, uniform "
            f"{np.mean(masses, axis=0)[uniform]:.1%}), at least 70% in {np.mean(mass >= 0.7):.0%} of {len(mass)}"
        )
    if grid:
        rows = [np.concatenate(drawn[start : start + 5], axis=1) for start in (0, 5)]
        Image.fromarray(np.concatenate(rows)).save(grid, quality=80, optimize=True)


def right_matches(engine: Engine, settings: Settings, within: int) -> Iterator[tuple[Picture, Box, int, Box]]:
    """Yield photos, the box of the main product, the image that matched, and the region that found it."""
    shop = files("catalog") / "demo" / "shop"
    with (shop / "photos.csv").open(encoding="utf8", newline="") as lines:
        rows = [row for row in csv.DictReader(lines) if (row["split"], row["role"]) == ("unseen", "main")]
    random.Random(0).shuffle(rows)
    with open_catalog(settings.catalog_url) as sessions, sessions() as session:
        products = {row.image_id: row.sku for row in queries.gallery_rows(session)}
    for row in rows:
        picture = decode((shop / "photos" / row["photo"]).read_bytes())
        for hit in engine.search(picture, Search(k=within)).hits:
            if products.get(hit.image_id) == row["sku"]:
                truth = Box(*(float(row[side]) for side in ("left", "top", "right", "bottom")))
                yield picture, truth, hit.image_id, hit.box or WHOLE


def inside(found: HeatMap, region: Box, truth: Box) -> float:
    """Return the share of a heat map's mass inside a box."""
    at = (np.arange(SAMPLES) + 0.5) / SAMPLES
    large = found[(at * len(found)).astype(int)][:, (at * len(found)).astype(int)]
    x, y = region.x0 + at * (region.x1 - region.x0), region.y0 + at * (region.y1 - region.y0)
    rows, columns = (y >= truth.y0) & (y <= truth.y1), (x >= truth.x0) & (x <= truth.x1)
    return float(large[rows][:, columns].sum() / max(large.sum(), 1e-9))


def drawing(picture: Picture, found: HeatMap, region: Box, truth: Box) -> Picture:
    """Return a square picture with the heat map, and a white frame around the true box."""
    image = resize(picture, SIDE, SIDE)
    for cell in cells(found, region):
        top, left = round(cell.y * SIDE), round(cell.x * SIDE)
        part = image[top : round((cell.y + cell.height) * SIDE), left : round((cell.x + cell.width) * SIDE)]
        color = [int(cell.color[start : start + 2], 16) for start in (1, 3, 5)]
        part[:] = (0.45 * part + 0.55 * np.array(color)).astype(np.uint8)
    x0, y0, x1, y1 = (round(side * (SIDE - 1)) for side in (truth.x0, truth.y0, truth.x1, truth.y1))
    for rows, columns in (
        (slice(y0, y0 + FRAME), slice(x0, x1)),
        (slice(y1 - FRAME, y1), slice(x0, x1)),
        (slice(y0, y1), slice(x0, x0 + FRAME)),
        (slice(y0, y1), slice(x1 - FRAME, x1)),
    ):
        image[rows, columns] = 255
    return image


if __name__ == "__main__":
    main()
