"""Converters from the research data sets to feeds and lists of photos, for `vsearch evaluate all`.

A converter returns the rows of several CSV files by name: "feed.csv" (docs/feed.md), and lists of photos for
`vsearch evaluate photos` or relevance files for `vsearch evaluate retrieval`.
"""

import csv
import hashlib
import random
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from vsearch.core.errors import DatasetError

Row = dict[str, str]
Files = Mapping[str, Sequence[Row]]

GROCERY_SEED = 1

VIEWPOINT_BITS = 22
"""Minimum distance of the perceptual hashes of two photos of a product from clearly different viewpoints."""

FABRIC_DISTANCE = 45
"""Color distance of two photos of a product from which they may show different fabrics."""

ROOM_CATEGORIES = {
    "artificial plant": "plant pot vase",
    "chest of drawers": "cabinet wardrobe",
    "jar": "kitchenware",
    "place mat": "kitchenware",
    "rail": "fitting",
    "stool": "chair",
    "vase": "plant pot vase",
}
"""Classes of ikea_rooms -> categories of ikea with other names."""


def wayfair(photos: Path, *, every_view: bool) -> Files:
    """Convert wayfair_views; views.csv and rooms.csv list photos of products that have a single catalog image.

    With `every_view`, these are the products in three of ten components of similar products, and the other products
    have all their images in the catalog. Otherwise every product has one image. views.csv is the same in both cases.
    """
    rows = read(photos / "wayfair_views" / "labels.csv")
    held_out = {name for name in {row["split_component"] for row in rows} if _is_held_out(name)}
    queries = [row for row in rows if row["split_component"] in held_out and row["gallery"] != "1"]
    rooms = [row for row in (queries if every_view else rows) if row["kind"] == "room"]
    views = [
        row
        for row in queries
        if row["kind"] == "packshot"
        and int(row["hash_dist_to_gallery"]) >= VIEWPOINT_BITS
        and float(row["colour_dist"]) < FABRIC_DISTANCE
    ]
    gallery = [row for row in rows if row["gallery"] == "1" or (every_view and row["split_component"] not in held_out)]
    lookalikes: dict[str, dict[str, str]] = defaultdict(dict)
    for row in rows:
        lookalikes[row["lookalike_group"]][row["variant_id"]] = row["product_id"]

    def photo(row: Row) -> Row:
        others = lookalikes[row["lookalike_group"]].items()
        neutral = [sku for sku, product in others if product != row["product_id"]]
        return {"photo": row["image"], "sku": row["variant_id"], "neutral": "|".join(neutral)}

    pictures: dict[str, list[str]] = defaultdict(list)
    for row in sorted(gallery, key=lambda row: -int(row["gallery"])):
        pictures[row["variant_id"]].append(row["image"])
    feed = [
        {
            "sku": row["variant_id"],
            "title": row["title"],
            "brand": row["maker"],
            "category": row["class"].replace("_", " "),
            "image": "|".join(pictures[row["variant_id"]]),
            "variant_group": row["product_id"],
            "attr:colour": row["colour"],
        }
        for row in rows
        if row["gallery"] == "1"
    ]
    return {"feed.csv": feed, "views.csv": [photo(row) for row in views], "rooms.csv": [photo(row) for row in rooms]}


def ikea(photos: Path) -> Files:
    """Convert ikea; family.csv lists the products of the same family as each validation product."""
    products = read(photos / "ikea" / "catalogue.csv")
    validation = {row["sku"] for row in products if row["split"] == "val"}
    pairs = read(photos / "ikea" / "qrels_family.csv")
    feed = [
        {
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
        for row in products
    ]
    return {"feed.csv": feed, "family.csv": [row for row in pairs if row["query"] in validation]}


def ikea_validation(photos: Path) -> list[str]:
    """Return the SKUs of the validation split of ikea."""
    return [row["sku"] for row in read(photos / "ikea" / "catalogue.csv") if row["split"] == "val"]


def ikea_rooms(photos: Path) -> Files:
    """Convert ikea_rooms, with the products of ikea as distractors; rooms.csv lists the room photos.

    Products of ikea with the same name as the one in the photo are neutral: they may be the same product.
    """
    rows = read(photos / "ikea_rooms" / "labels.csv")
    namesakes: dict[str, list[str]] = defaultdict(list)
    for product in read(photos / "ikea" / "catalogue.csv"):
        namesakes[product["name"]].append(product["sku"])
    feed = [
        {
            "sku": row["variant_id"],
            "title": f"{row['name']} {row['class']}",
            "brand": "IKEA",
            "category": ROOM_CATEGORIES.get(row["class"], row["class"]),
            "image": row["image"],
            "variant_group": row["product_id"],
        }
        for row in rows
        if row["gallery"] == "1"
    ]
    rooms = [
        {"photo": row["image"], "sku": row["variant_id"], "neutral": "|".join(namesakes[row["name"]])}
        for row in rows
        if row["kind"] == "room"
    ]
    return {"feed.csv": [*ikea(photos)["feed.csv"], *feed], "rooms.csv": rooms}


def groceries(photos: Path) -> Files:
    """Convert grocery_phone_photos; unseen.csv lists the photos of the half of the products not used for training.

    The split is reproducible, and halves each kind of food (the column `coarse`).
    """
    rows = read(photos / "grocery_phone_photos" / "labels.csv")
    kinds = {row["product"]: row["coarse"] for row in rows}
    order = sorted(kinds)
    random.Random(GROCERY_SEED).shuffle(order)  # nosec B311 # reproducible, not secret
    order.sort(key=kinds.__getitem__)  # stable: by kind of food, shuffled within
    unseen = set(order[1::2])
    return {
        "feed.csv": [
            {
                "sku": row["product"],
                "title": row["product"].replace("-", " "),
                "category": row["coarse"],
                "image": row["image"],
            }
            for row in rows
            if row["kind"] == "catalogue"
        ],
        "unseen.csv": [
            {"photo": row["image"], "sku": row["product"], "category": row["coarse"]}
            for row in rows
            if row["kind"] == "photo" and row["product"] in unseen
        ],
    }


def dvd_covers(photos: Path) -> Files:
    """Convert dvd_phone_photos; phone.csv lists the photos of the covers."""
    rows = read(photos / "dvd_phone_photos" / "labels.csv")
    feed = [
        {"sku": row["product_id"], "title": row["product_id"], "category": row["class"], "image": row["image"]}
        for row in rows
        if row["gallery"] == "1"
    ]
    phone = [{"photo": row["image"], "sku": row["product_id"]} for row in rows if row["kind"] == "phone"]
    return {"feed.csv": feed, "phone.csv": phone}


SHOPS: Mapping[str, tuple[Callable[[Path], Files], tuple[str, ...]]] = {
    "wayfair": (partial(wayfair, every_view=True), ("wayfair_views/images.tar",)),
    "wayfair_one_picture": (partial(wayfair, every_view=False), ("wayfair_views/images.tar",)),
    "ikea": (ikea, ("ikea/images.tar",)),
    "ikea_rooms": (ikea_rooms, ("ikea/images.tar", "ikea_rooms/images.tar")),
    "groceries": (groceries, ("grocery_phone_photos/images.tar",)),
    "dvd_covers": (dvd_covers, ("dvd_phone_photos/images.tar",)),
}
"""Name of a shop -> its converter, and the archives with its images, in the folder of the data sets."""


def unrelated_photos(photos: Path) -> list[str]:
    """Return the names of the photos in caltech_other whose classes are in the second half of the alphabet.

    The background cohort of the bundled checkpoint may contain those of the first half.
    """
    rows = read(photos / "caltech_other" / "labels.csv")
    classes = sorted({row["class"] for row in rows})
    chosen = classes[(len(classes) + 1) // 2 :]
    return [row["image"] for row in rows if row["class"] in chosen]


def write(files: Files, folder: Path) -> None:
    """Write the files to a folder, which is created."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, rows in files.items():
        columns = dict.fromkeys(column for row in rows for column in row)
        with (folder / name).open("w", encoding="utf8", newline="") as lines:
            writer = csv.DictWriter(lines, tuple(columns))
            writer.writeheader()
            writer.writerows(rows)


def read(file: Path) -> list[Row]:
    """Return the rows of a CSV file.

    Raises:
        DatasetError: the file does not exist.
    """
    if not file.is_file():
        raise DatasetError(f"{file} does not exist. Give the folder that contains the research data sets.")
    with file.open(encoding="utf8", newline="") as lines:
        return list(csv.DictReader(lines))


def _is_held_out(component: str) -> bool:
    return int(hashlib.sha256(component.encode()).hexdigest(), 16) % 10 >= 7
