"""Measure what an admin's edits and labels are worth: a class mislabeled in the feed, one withheld, 40 photos labeled.

    python docs/examples/labeling_loop.py WORK [--wayfair PHOTOS EVALUATION] [--only edits|labels]

Without --wayfair, on the demo shop: armchairs are called sofas in the feed, and stools have no category. With it, on
the shop that `vsearch evaluate all PHOTOS --work EVALUATION` made: office chairs are called dining chairs, nightstands
have no category. Half of the labeled photos are of these classes, if there are as many. Then the model in use is fitted
anew and promoted, as on the page of models. Printed before and after: hit@1, hit@5 and the share of right classes of
other photos, of all and of the two classes.
"""

import csv
import hashlib
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import click
import numpy as np
from sqlalchemy import select

from catalog import demo, product_edits, queries, reviews
from catalog.database import open_catalog
from catalog.image_store import ImageStore
from catalog.models import Product, utc_now
from catalog.reviews import Area, NewLabel
from indexer.build.reindex import reindex
from indexer.feed.importer import import_feed
from indexer.promotion.promote import promote
from vsearch.core.archives import open_archive
from vsearch.core.settings import Settings
from vsearch.imaging.codec import Picture, crop, decode, encode_jpeg
from vsearch.imaging.geometry import Box
from vsearch.imaging.synthetic import add_margin
from vsearch.models.class_heads import CLASS
from vsearch.search.engine import Engine, Search

LABELED = 40
WHOLE = Box(0, 0, 1, 1)
Row = dict[str, str]


class Loop(NamedTuple):
    """A shop's feed and images, its photos to label and to test with, and the classes that the feed gets wrong."""

    feed: list[Row]
    images: Path
    pool: list[Row]
    test: list[Row]
    read: Callable[[Row], Picture]
    wrong: str
    right: str
    withheld: str


@click.command()
@click.argument("work", type=click.Path(path_type=Path))
@click.option("--wayfair", nargs=2, type=click.Path(exists=True, path_type=Path))
@click.option("--only", type=click.Choice(["edits", "labels"]))
def main(work: Path, wayfair: tuple[Path, Path] | None, only: str | None) -> None:
    """Run the loop."""
    loop = wayfair_loop(*wayfair) if wayfair else demo_loop()
    truth = {row["sku"]: row["category"] for row in loop.feed}
    settings = Settings(data=work / "data")
    broken = write_feed(loop, work)
    with open_catalog(settings.catalog_url, write=True) as sessions:
        import_feed(settings, str(broken), str(loop.images), sessions=sessions)
        reindex(settings)
        measure(loop, truth, settings, "before")
        if only != "labels":
            with sessions.begin() as session:
                known = set(session.scalars(select(Product.sku)))
                for sku, category in truth.items():
                    if category in (loop.right, loop.withheld) and sku in known:
                        product_edits.save(session, "admin", sku, product_edits.CATEGORY, category)
        if only != "edits":
            store = ImageStore(settings.pictures)
            for row in to_label(loop, truth):
                photo = encode_jpeg(loop.read(row))
                with sessions.begin() as session:
                    reviews.begin(session, sha256 := hashlib.sha256(photo).hexdigest())
                    item = reviews.add(session, store, Area(photo, "upload"), keep_days=1, now=utc_now())
                    label = NewLabel("product", row["sku"], crop_sha256=sha256)
                    reviews.label(session, item, "admin", label, based_on=None, now=utc_now())
    started = time.monotonic()
    click.echo(promote(settings).report.note)
    click.echo(f"Fitted, compared and promoted in {time.monotonic() - started:.0f} s.")
    measure(loop, truth, settings, "after")


def demo_loop() -> Loop:
    """Return the demo shop, with photos of rooms cropped to the product."""
    root = demo.FEED.parent
    photos = [row for row in rows(root / "photos.csv") if row["role"] == "main"]

    def read(row: Row) -> Picture:
        box = Box(*(float(row[side]) for side in ("left", "top", "right", "bottom")))
        return crop(decode((root / "photos" / row["photo"]).read_bytes()), add_margin(box))

    pool, test = ([row for row in photos if row["split"] == split] for split in ("train", "unseen"))
    return Loop(rows(demo.FEED), demo.PICTURES, pool, test, read, "Sofas", "Armchairs", "Stools")


def wayfair_loop(photos: Path, evaluation: Path) -> Loop:
    """Return the shop `wayfair` with photos from other viewpoints, 120 of them to label."""
    archive = photos / "wayfair_views" / "images.tar"
    opened = open_archive(archive).__enter__()  # open until the end
    views = rows(evaluation / "wayfair" / "views.csv")
    order = np.random.default_rng(0).permutation(len(views))
    pool, test = ([views[index] for index in part] for part in (order[:120], order[120:]))
    feed = rows(evaluation / "wayfair" / "feed.csv")
    classes = ("dining chair", "office chair", "nightstand")
    return Loop(feed, archive, pool, test, lambda row: decode(opened.read(row["photo"])), *classes)


def rows(file: Path) -> list[Row]:
    """Read a CSV file."""
    with file.open(newline="", encoding="utf8") as lines:
        return list(csv.DictReader(lines))


def write_feed(loop: Loop, work: Path) -> Path:
    """Write the feed with one class mislabeled and one withheld."""
    work.mkdir(parents=True, exist_ok=True)
    changed = {loop.right: loop.wrong, loop.withheld: ""}
    with (file := work / "feed.csv").open("w", newline="", encoding="utf8") as lines:
        writer = csv.DictWriter(lines, loop.feed[0])
        writer.writeheader()
        writer.writerows(row | {"category": changed.get(row["category"], row["category"])} for row in loop.feed)
    return file


def to_label(loop: Loop, truth: Row) -> list[Row]:
    """Return the photos to label, half of them of the two classes if there are as many."""
    rng = np.random.default_rng(1)
    parts: list[Sequence[Row]] = [[], []]
    for row in loop.pool:
        parts[truth.get(row["sku"]) in (loop.right, loop.withheld)].append(row)  # type: ignore[attr-defined]
    return [part[index] for part in reversed(parts) for index in rng.permutation(len(part))[: LABELED // 2]]


def measure(loop: Loop, truth: Row, settings: Settings, name: str) -> None:
    """Search with the test photos and print the scores."""
    engine = Engine(settings)
    engine.refresh()
    with open_catalog(settings.catalog_url) as sessions, sessions() as session:
        sku_of = {row.product_id: row.sku for row in queries.gallery_rows(session)}
    found: list[tuple[Any, ...]] = []
    for row in loop.test:
        result = engine.search(loop.read(row), Search(k=5, box=WHOLE))
        skus, right = [sku_of[hit.product_id] for hit in result.hits], truth.get(row["sku"], "")
        assert result.predictions is not None
        same_class = result.predictions.vote(CLASS)[0] == right
        found.append((skus[:1] == [row["sku"]], row["sku"] in skus, same_class, right in (loop.right, loop.withheld)))
    scores = np.array(found, float)
    for title, chosen in (("all", scores), ("the two classes", scores[scores[:, 3] == 1])):
        means = dict(
            zip(("hit@1", "hit@5", "class"), (100 * chosen[:, :3].mean(axis=0)).round(1).tolist(), strict=True)
        )
        click.echo(json.dumps({"when": name, "photos": title, "queries": len(chosen)} | means))


if __name__ == "__main__":
    main()
