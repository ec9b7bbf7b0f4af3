"""The research data sets in miniature, with drawn pictures."""

import csv
import io
import tarfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tests.fakes import colored
from vsearch.imaging.codec import encode_jpeg

COMPONENTS = tuple(f"maker{number}" for number in range(12))
"""Of wayfair_views, each with one product in two colors, the second of which has a lookalike on another page."""

GROCERIES = {f"P{number}": "Milk" if number < 5 else "Apple" for number in range(9)}
"""Product -> kind of food."""


def make_research_data(folder: Path) -> Path:
    """Write all data sets to a new folder, and return it."""
    _wayfair(folder / "wayfair_views")
    _ikea(folder / "ikea")
    _set(
        folder / "ikea_rooms",
        ("image", "product_id", "variant_id", "name", "kind", "gallery", "class"),
        [
            ("malm1.jpg", "malm", "malm-1", "MALM", "packshot", "1", "stool"),
            ("malm1_room.jpg", "malm", "malm-1", "MALM", "room", "0", "stool"),
            ("malm1_detail.jpg", "malm", "malm-1", "MALM", "detail", "0", "stool"),
        ],
    )
    kinds = GROCERIES.items()
    _set(
        folder / "grocery_phone_photos",
        ("image", "product", "coarse", "kind"),
        [(f"{name}_cat.jpg", name, kind, "catalogue") for name, kind in kinds]
        + [(f"{name}_1.jpg", name, kind, "photo") for name, kind in kinds],
    )
    _set(
        folder / "dvd_phone_photos",
        ("image", "product_id", "kind", "gallery", "class"),
        [
            (f"d{n}_{kind}.jpg", f"d{n}", kind, str(int(kind == "packshot")), "dvd")
            for n in range(6)
            for kind in ("packshot", "phone")
        ],
    )
    _set(
        folder / "caltech_other",
        ("image", "class"),
        [(f"{name}.jpg", name) for name in ("ant", "emu", "pizza", "wrench")],
    )
    _set(
        folder / "furniture_photos",
        ("image", "category", "split"),
        [(f"{name}_{n}.jpg", name, "val" if n > 3 else "train") for name in ("bed", "sofa") for n in range(6)],
    )
    return folder


def _wayfair(folder: Path) -> None:
    columns = ("split_component", "title", "maker", "product_id", "lookalike_group", "variant_id", "colour", "class")
    columns += ("image", "kind", "gallery", "hash_dist_to_gallery", "colour_dist")
    views = [("front", "packshot", 1, 0, 0), ("side", "packshot", 0, 22, 44.9), ("room", "room", 0, 0, 90)]
    views += [("same", "packshot", 0, 21, 0), ("recolored", "packshot", 0, 30, 45)]
    rows = []
    for component in COMPONENTS:
        for page, color in (("a", "red"), ("a", "blue"), ("b", "blue")):
            variant = f"{component}-{page}-{color}"
            product = (
                component,
                "Sofa",
                "Maker",
                f"{component}-{page}",
                f"{component}-{color}",
                variant,
                color,
                "sofa_bed",
            )
            rows += [(*product, f"{variant}-{view}.jpg", *values) for view, *values in views]
    _set(folder, columns, rows)


def _ikea(folder: Path) -> None:
    products = [
        (
            f"sku{n}",
            ("MALM", "IVAR")[n % 2],
            "bed",
            "bed_frame",
            "white",
            "white",
            "1|2",
            "",
            f"sku{n}.jpg",
            ("train", "val")[n > 3],
        )
        for n in range(8)
    ]
    columns = ("sku", "name", "type", "category", "colour", "base_colours", "size", "description", "image", "split")
    _set(folder, columns, products, name="catalogue.csv")
    _csv(
        folder / "qrels_family.csv",
        ("query", "iter", "doc", "rel"),
        [("sku1", "0", "sku3", "1"), ("sku5", "0", "sku7", "1")],
    )
    _tar(folder / "scenes.tar", ["scene0.jpg"])


def _set(folder: Path, columns: Sequence[str], rows: Sequence[Sequence[object]], name: str = "labels.csv") -> None:
    folder.mkdir(parents=True)
    _csv(folder / name, columns, rows)
    _tar(folder / "images.tar", [str(row[columns.index("image")]) for row in rows])


def _csv(file: Path, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    with file.open("w", encoding="utf8", newline="") as lines:
        csv.writer(lines).writerows([columns, *rows])


def _tar(file: Path, names: Sequence[str]) -> None:
    """Write pictures whose color depends on the first part of the name, so that photos resemble their product."""
    with tarfile.open(file, "w") as archive:
        for number, name in enumerate(names):
            stem = name.removesuffix(".jpg").rpartition("-")[0] or name.partition("_")[0].removesuffix(".jpg")
            color = np.random.default_rng(list(stem.encode())).integers(30, 255, size=3).tolist()
            data = encode_jpeg(colored(color, seed=number, side=48))
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
