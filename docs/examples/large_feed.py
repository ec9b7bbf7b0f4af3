"""Make a feed of any length from the demo shop: different products that share its images.

    python docs/examples/large_feed.py 200000 large.csv           # a catalog
    python docs/examples/large_feed.py 200000 changed.csv 1       # a day later: one product in a hundred has changed

Import it with the images in catalog/demo/shop/pictures. docs/benchmarks.md times the nightly job with such feeds.
"""

import csv
import sys
from pathlib import Path

SHOP = Path(__file__).parents[2] / "catalog" / "demo" / "shop"


def main(count: int, file: Path, day: int = 0) -> None:
    """Write a feed of `count` products; each day, a different one in a hundred has a new price or image."""
    with (SHOP / "feed.csv").open(newline="", encoding="utf8") as lines:
        rows = list(csv.DictReader(lines))
    with file.open("w", newline="", encoding="utf8") as lines:
        writer = csv.DictWriter(lines, rows[0])
        writer.writeheader()
        for number in range(count):
            row = rows[number % len(rows)]
            row = row | {"sku": f"{row['sku']}-{number}", "title": f"{row['title']} {number}", "article_number": ""}
            if day and number % 200 == day:
                row["price"] = str(100 + number % 900)
            if day and number % 200 == day + 100:
                row["images"] = rows[(number + 7) % len(rows)]["images"]
            writer.writerow(row)


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]), *map(int, sys.argv[3:]))
