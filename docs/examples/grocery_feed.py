"""Convert the grocery_phone_photos data set to a feed and evaluation files.

    python docs/examples/grocery_feed.py DIR OUT

DIR contains labels.csv (id, image, product, coarse, kind) and images.tar. OUT receives

    feed.csv      a feed of the catalog images, for `vsearch catalog import`
    photos.csv    photo, sku, category of every phone photo, for `vsearch evaluate photos`
    train.txt     skus of the products to train on, one half
    unseen.txt    skus of the other half, for `vsearch evaluate photos --skus unseen.txt`

The split is reproducible, and halves each kind of food (coarse).
"""

import csv
import random
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

SEED = 1


def split(kinds: Mapping[str, str]) -> tuple[list[str], list[str]]:
    """Return the skus to train on and those to evaluate on; `kinds` maps skus to kinds of food."""
    order = sorted(kinds)
    random.Random(SEED).shuffle(order)
    order.sort(key=kinds.__getitem__)  # stable: by kind of food, shuffled within
    return sorted(order[::2]), sorted(order[1::2])


def write_csv(file: Path, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Write a header and rows."""
    with file.open("w", encoding="utf8", newline="") as lines:
        writer = csv.writer(lines)
        writer.writerow(columns)
        writer.writerows(rows)


def main(source: Path, target: Path) -> None:
    """Write the four files."""
    target.mkdir(parents=True, exist_ok=True)
    with (source / "labels.csv").open(encoding="utf8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    products = [row for row in rows if row["kind"] == "catalog"]
    write_csv(
        target / "feed.csv",
        ("sku", "title", "category", "image"),
        [(row["product"], row["product"].replace("-", " "), row["coarse"], row["image"]) for row in products],
    )
    write_csv(
        target / "photos.csv",
        ("photo", "sku", "category"),
        [(row["image"], row["product"], row["coarse"]) for row in rows if row["kind"] == "photo"],
    )
    halves = split({row["product"]: row["coarse"] for row in products})
    for name, skus in zip(("train.txt", "unseen.txt"), halves, strict=True):
        (target / name).write_text("\n".join(skus) + "\n", encoding="utf8")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: python docs/examples/grocery_feed.py DIR OUT")
    main(Path(sys.argv[1]), Path(sys.argv[2]))
