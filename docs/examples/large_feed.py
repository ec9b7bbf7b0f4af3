"""Make a feed of any length out of the demo shop: products with names of their own that share its pictures.

    python docs/examples/large_feed.py 200000 large.csv           # a catalogue
    python docs/examples/large_feed.py 200000 changed.csv 1       # after a night: one product in a hundred changed

Import it with the pictures in catalog/demo/shop/pictures: so docs/measured.md times the nights of a large shop.
"""

import csv
import sys
from pathlib import Path

SHOP = Path(__file__).parents[2] / "catalog" / "demo" / "shop"


def main(count: int, file: Path, night: int = 0) -> None:
    """Write a feed of so many products; each night another one in a hundred has another price or picture."""
    with (SHOP / "feed.csv").open(newline="", encoding="utf8") as lines:
        rows = list(csv.DictReader(lines))
    with file.open("w", newline="", encoding="utf8") as lines:
        writer = csv.DictWriter(lines, rows[0])
        writer.writeheader()
        for number in range(count):
            row = rows[number % len(rows)]
            row = row | {"sku": f"{row['sku']}-{number}", "title": f"{row['title']} {number}", "article_number": ""}
            if night and number % 200 == night:
                row["price"] = str(100 + number % 900)
            if night and number % 200 == night + 100:
                row["images"] = rows[(number + 7) % len(rows)]["images"]
            writer.writerow(row)


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]), *map(int, sys.argv[3:]))
