"""Convert the ikea data set to a feed: an example of a converter for your own catalog.

    python docs/examples/ikea_feed.py DIR OUT

DIR contains catalogue.csv (sku, name, type, category, colour, base_colours, size, description, image, split) and
qrels_family.csv. OUT receives

    feed.csv                for `vsearch catalog import`, see docs/feed.md
    validation.txt          the skus of the validation split, one per line
    family_validation.csv   the relevance pairs with these as queries, for `vsearch evaluate retrieval`

Your own converter needs to write only the first file.
"""

import csv
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

COLUMNS = ("sku", "title", "brand", "description", "category", "image", "variant_group", "attr:colour", "attr:size")


def feed_row(row: Mapping[str, str]) -> dict[str, str]:
    """Convert a row of catalogue.csv."""
    return {
        "sku": row["sku"],
        "title": f"{row['name']} {row['type']}, {row['colour']}".rstrip(", "),
        "brand": "IKEA",
        "description": row["description"],
        "category": row["category"].replace("_", " "),
        "image": row["image"],
        "variant_group": f"{row['name']} {row['type']}",  # the same design in other colors and sizes
        "attr:colour": row["base_colours"],
        "attr:size": row["size"].replace("|", "/"),
    }


def write_csv(file: Path, columns: Iterable[str], rows: Iterable[Mapping[str, str]]) -> None:
    """Write a header and rows."""
    with file.open("w", encoding="utf8", newline="") as lines:
        writer = csv.DictWriter(lines, tuple(columns))
        writer.writeheader()
        writer.writerows(rows)


def main(source: Path, target: Path) -> None:
    """Write the three files."""
    target.mkdir(parents=True, exist_ok=True)
    with (source / "catalogue.csv").open(encoding="utf8", newline="") as lines:
        products = list(csv.DictReader(lines))
    write_csv(target / "feed.csv", COLUMNS, map(feed_row, products))

    validation = [row["sku"] for row in products if row["split"] == "val"]
    (target / "validation.txt").write_text("\n".join(validation) + "\n", encoding="utf8")
    with (source / "qrels_family.csv").open(encoding="utf8", newline="") as lines:
        pairs = [row for row in csv.DictReader(lines) if row["query"] in set(validation)]
    write_csv(target / "family_validation.csv", ("query", "iter", "doc", "rel"), pairs)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: python docs/examples/ikea_feed.py DIR OUT")
    main(Path(sys.argv[1]), Path(sys.argv[2]))
