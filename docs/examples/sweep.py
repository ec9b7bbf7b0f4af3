"""Measure what each part of the bundled ensemble is worth: blocks, weights, sizes and whitening, on several data sets.

    python docs/examples/sweep.py PHOTOS WORK [--sample N]

PHOTOS is the folder of `vsearch train bundled` (vsearch/training/plans/bundled.toml), which also has the data sets of
`vsearch evaluate all`. WORK keeps the features of each data set, so a run that was stopped continues with the next one.
PCA and known differences are fitted on training images of the plan, a whitening on each shop. Photos are searched
whole, or cropped to the product, by cosine: without detected boxes, mirror images and classes. --sample uses N
products and N photos of each set.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

import click
import numpy as np

from indexer.build.fitting import SHRINK
from vsearch.core.archives import open_archive
from vsearch.core.settings import Settings
from vsearch.core.vectors import l2_normalize
from vsearch.evaluation.rankers import hog
from vsearch.evaluation.research_sets import SHOPS, ikea_validation, read
from vsearch.evaluation.retrieval_metrics import hit_at_k, relevance
from vsearch.imaging.codec import Picture, crop, decode
from vsearch.imaging.geometry import Box
from vsearch.imaging.synthetic import add_margin, photo_in_room, photo_on_own_background, shopper_view
from vsearch.models import checkpoint as checkpoints
from vsearch.models import whitening
from vsearch.models.class_heads import COLOR, MIDDLE
from vsearch.models.encoder import Trunk, open_trunk, prepare, raw_features
from vsearch.training import plan as plans
from vsearch.training.data.sources import read_source

PLAN = plans.read("bundled")
BATCH = 64
LISTS = {
    "wayfair": "views.csv",
    "wayfair_one_picture": "views.csv",
    "groceries": "unseen.csv",
    "dvd_covers": "phone.csv",
}
SEEDS = {"marked": 77, "whole": 77, "easy": 78}  # of photos to search with; views to fit on have the seeds 1, 2, ...

BASE: dict[str, Any] = PLAN.assemble.model_dump() | {
    "networks": PLAN.backbones,
    "power": 1.0,  # of the features of networks, before PCA
    "hog_block": 0,
    "hog_weight": 0.3,
    "embedding_size": Settings().embedding_size,
    "shrink": SHRINK,
    "known": whitening.KNOWN_WEIGHT,
    "half": whitening.TRUE_VIEWS_HALF,
    "turntables": True,
}
OF_SHOP = ("embedding_size", "shrink", "known", "half")  # settings that do not change blocks
ONE, TWO, THREE = PLAN.backbones
CONFIGURATIONS: dict[str, dict[str, Any]] = {
    "as bundled": {},
    "Lite0": {"networks": (ONE,)},
    "Lite1": {"networks": (TWO,)},
    "Lite2": {"networks": (THREE,)},
    "Lite0 and Lite2": {"networks": (ONE, THREE)},
    "no last blocks": {"network_block": 0},
    "no middle blocks": {"middle_block": 0},
    "no color": {"color_block": 0},
    "HOG added": {"hog_block": 192},
    "HOG instead of middle blocks": {"middle_block": 0, "hog_block": 192},
    "square roots of features": {"power": 0.5},
    "middle weight 0.15": {"middle_weight": 0.15},
    "middle weight 0.5": {"middle_weight": 0.5},
    "color weight 0.4": {"color_weight": 0.4},
    "color weight 1": {"color_weight": 1.0},
    "blocks of 256, 192 and 128": {"network_block": 256, "middle_block": 192, "color_block": 128},
    "blocks of 512, 320 and 192": {"network_block": 512, "middle_block": 320},
    "embedding of 256": {"embedding_size": 256},
    "embedding of 512": {"embedding_size": 512},
    "shrink 0.05": {"shrink": 0.05},
    "shrink 0.5": {"shrink": 0.5},
    "known differences 0": {"known": 0.0},
    "known differences without turntables": {"turntables": False},
    "known differences 0.3": {"known": 0.3},
    "known differences 0.7": {"known": 0.7},
    "no true views": {"half": float("inf")},
    "true views n / (n + 400)": {"half": 400},
    "only true views, where there are any": {"half": 0},
}


class Key(NamedTuple):
    """An image: a file in an archive of PHOTOS, and how `draw` changes it."""

    archive: str
    image: str
    change: str = ""


class Query(NamedTuple):
    """A photo to search with; SKUs of right products, and of products to remove from the results."""

    key: Key
    right: set[str]
    neutral: frozenset[str] = frozenset()


class Shop(NamedTuple):
    """First images of the products by SKU, all images with their SKUs, and queries by set."""

    first: dict[str, Key]
    images: list[tuple[str, Key]]
    queries: dict[str, list[Query]]


def read_shops(photos: Path) -> list[Shop]:
    """Read the research data sets and the demo shop."""
    shops = []
    for name, (convert, (archive, *_)) in SHOPS.items():
        if name not in (*LISTS, "ikea"):
            continue
        files = convert(photos)
        images = [(row["sku"], Key(archive, image)) for row in files["feed.csv"] for image in row["image"].split("|")]
        first = dict(reversed(images))
        if name == "ikea":
            numbered = list(enumerate(ikea_validation(photos)))
            queries = {
                f"ikea_{change}": [Query(first[sku]._replace(change=f"{change} {n}"), {sku}) for n, sku in numbered]
                for change in SEEDS
            }
            family = defaultdict(set)
            for row in files["family.csv"]:
                family[row["query"]].add(row["doc"])
            queries["ikea_family"] = [Query(first[sku], right, frozenset({sku})) for sku, right in family.items()]
        else:
            queries = {
                name: [
                    Query(Key(archive, row["photo"]), {row["sku"]}, frozenset(row.get("neutral", "").split("|")))
                    for row in files[LISTS[name]]
                ]
            }
        shops.append(Shop(first, images, queries))
    return [*shops, read_demo(photos / "demo_shop")]


def read_demo(folder: Path) -> Shop:
    """Read the demo shop; queries are photos of families that are not for training."""
    images = [(row["sku"], Key("demo_shop/pictures", row["image"])) for row in read(folder / "packshots.csv")]
    rows, shown = read(folder / "photos.csv"), defaultdict(set)
    for row in rows:
        shown[row["photo"]].add(row["sku"])
    marked, whole = [], []
    for row in rows:
        if row["split"] == "unseen" and row["role"] == "main":
            key = Key("demo_shop/photos", row["photo"])
            whole.append(Query(key, shown[row["photo"]]))
            box = (float(row[side]) for side in ("left", "top", "right", "bottom"))
            marked.append(Query(key._replace(change=describe_box(box)), {row["sku"]}))
    return Shop(dict(images), images, {"demo_marked": marked, "demo_whole": whole})


def describe_box(box: Iterable[float]) -> str:
    """Return the change that crops an image to a box."""
    return " ".join(["box", *map(str, box)])


def sample(shop: Shop, count: int | None) -> Shop:
    """Return the shop with `count` products, half of which queries show, and up to `count` queries in each set."""
    if count is None:
        return shop
    shown = dict.fromkeys(sku for queries in shop.queries.values() for query in queries for sku in sorted(query.right))
    chosen = islice(dict.fromkeys([*islice(shown, count // 2), *shop.first]), count)
    first = {sku: shop.first[sku] for sku in chosen}
    kept = {name: [one for one in some if one.right & first.keys()][:count] for name, some in shop.queries.items()}
    return Shop(first, [(sku, key) for sku, key in shop.images if sku in first], kept)


def views(keys: Iterable[Key]) -> list[Key]:
    """Return synthetic views of images, as many as an index run uses."""
    return [key._replace(change=f"view {n}") for key in keys for n in range(1, Settings().whitening_views + 1)]


def read_training_images(photos: Path, count: int | None, *, turntables: bool) -> tuple[list[Key], list[str]]:
    """Return the images that the plan fits on, up to `count` of each source, and their products.

    With `turntables`, those that count only for the differences; otherwise all others.
    """
    keys: list[Key] = []
    products = []
    for source in PLAN.source:
        if source.background or source.only_differences != turntables:
            continue
        found = read_source(source, photos, work=photos, seed=PLAN.seed)
        for image in islice((image for image in found if image.split == "train"), count):
            name = image.name.removesuffix(f" {image.box}")  # of an image with a box, the name contains the box
            keys.append(Key(str(source.images), name, describe_box(image.box) if image.box else ""))
            products.append(image.labels.get("product", f"alone {len(keys)}"))
    return keys, products


def draw(key: Key, data: bytes, rooms: list[Picture]) -> Picture:
    """Decode an image and change it."""
    picture = decode(data)
    if not key.change:
        return picture
    change, *numbers = key.change.split()
    if change == "box":
        return crop(picture, add_margin(Box(*map(float, numbers))))
    name_seed = int(hashlib.sha256(key.image.encode()).hexdigest()[:12], 16)
    rng = np.random.default_rng([name_seed, SEEDS.get(change, int(numbers[0]))])
    if change == "view":
        return shopper_view(picture, rng)
    if change == "easy":
        return photo_on_own_background(picture, rng)
    photo, box = photo_in_room(picture, rng, room=rooms[int(numbers[0]) % len(rooms)])
    return crop(photo, add_margin(box)) if change == "marked" else photo


@cache
def open_networks() -> dict[str, Trunk]:
    """Compile the networks of the bundled ensemble."""
    checkpoint = checkpoints.load(checkpoints.bundled())
    return {name: open_trunk(checkpoint, name) for name in checkpoint.backbones}


def load_features(keys: list[Key], photos: Path, work: Path) -> dict[str, np.ndarray]:
    """Return the features of images of one archive by name, float16 [n, size]; compute them unless `work` has all."""
    file, names = work / f"{keys[0].archive.replace('/', '_')}.npz", ["|".join(key[1:]) for key in keys]
    stored = dict(np.load(file)) if file.exists() else {"keys": np.array([], str)}
    if not set(names) <= set(stored["keys"].tolist()):
        parts: dict[str, list[np.ndarray]] = defaultdict(list)
        with (
            open_archive(photos / keys[0].archive) as archive,
            open_archive(photos / "ikea" / "scenes.tar") as scenes,
            ThreadPoolExecutor() as threads,
        ):
            rooms = [decode(scenes.read(name)) for name in sorted(scenes)]
            for start in range(0, len(keys), BATCH):
                click.echo(f"{keys[0].archive}: {start} of {len(keys)} images", err=True)
                batch = keys[start : start + BATCH]
                data = [archive.read(key.image) for key in batch]
                pictures = list(threads.map(lambda key, one: draw(key, one, rooms), batch, data))
                features = raw_features(open_networks(), [prepare(open_networks(), picture) for picture in pictures])
                for name, values in {**features, "hog": l2_normalize(list(threads.map(hog, pictures)))}.items():
                    parts[name].append(values.astype(np.float16))
        stored = {"keys": np.array(names), **{name: np.concatenate(values) for name, values in parts.items()}}
        np.savez(file, **stored)
    row_of = {name: row for row, name in enumerate(stored.pop("keys").tolist())}
    rows = [row_of[name] for name in names]
    return {name: values[rows] for name, values in stored.items()}


class Table:
    """Features of all images, and blocks by configuration; PCA is fitted on the images `fit_on`."""

    def __init__(self, keys: Iterable[Key], fit_on: list[Key], photos: Path, work: Path) -> None:
        by_archive: dict[str, list[Key]] = defaultdict(list)
        for key in dict.fromkeys(keys):
            by_archive[key.archive].append(key)
        parts = [load_features(some, photos, work) for some in by_archive.values()]
        self.row_of = {key: row for row, key in enumerate(key for some in by_archive.values() for key in some)}
        self.features = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        self.fit_rows = self.rows(fit_on)
        self.block = cache(self._block)

    def rows(self, keys: Iterable[Key]) -> list[int]:
        """Return the rows of images."""
        return [self.row_of[key] for key in keys]

    def blocks(self, part: dict[str, Any]) -> np.ndarray:
        """Return the blocks of all images, float16 [n, D]."""
        wanted = [(name, "network", part["power"]) for name in part["networks"]]
        wanted += [(f"{name}{MIDDLE}", "middle", part["power"]) for name in part["networks"]]
        wanted += [(COLOR, "color", 1.0), ("hog", "hog", 1.0)]
        sizes = [(name, part[f"{kind}_block"], part[f"{kind}_weight"], power) for name, kind, power in wanted]
        found = [weight * self.block(name, size, power) for name, size, weight, power in sizes if size]
        return np.concatenate(found, axis=1).astype(np.float16)

    def _block(self, name: str, size: int, power: float) -> np.ndarray:
        features = l2_normalize(np.sign(self.features[name]) * np.abs(self.features[name]) ** np.float16(power))
        return whitening.fit_pca(features[self.fit_rows], size).project(features)


def score(shop: Shop, table: Table, blocks: np.ndarray, part: dict[str, Any], known: np.ndarray) -> list[list[float]]:
    """Return hit@1 and hit@5 of each set in percent."""
    number = {sku: row for row, sku in enumerate(shop.first)}
    products = np.array([number[sku] for sku, _ in shop.images])
    images = blocks[table.rows(key for _, key in shop.images)]
    made = views(shop.first.values())
    groups = np.concatenate([np.arange(len(number)), np.repeat(np.arange(len(number)), len(made) // len(number))])
    with patch.multiple(whitening, KNOWN_WEIGHT=part["known"], TRUE_VIEWS_HALF=part["half"]):
        fitted = whitening.fit_whitening(
            blocks[table.rows([*shop.first.values(), *made])],
            groups,
            size=part["embedding_size"],
            shrink=part["shrink"],
            known=known,
            true_views=(images, products),
        )
    catalog, found = l2_normalize(fitted.project(images)), []
    for queries in shop.queries.values():
        cosines = l2_normalize(fitted.project(blocks[table.rows(query.key for query in queries)])) @ catalog.T
        best = np.full((len(number), len(queries)), -np.inf)
        np.maximum.at(best, products, cosines.T)
        for column, query in enumerate(queries):
            best[[number[sku] for sku in query.neutral & number.keys()], column] = -np.inf
        ranked = np.argsort(-best, axis=0, kind="stable")[:5].T
        right = relevance(ranked, [[number[sku] for sku in query.right & number.keys()] for query in queries])
        found.append([100 * hit_at_k(right, k).mean() for k in (1, 5)])
    return found


@click.command()
@click.argument("photos", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("work", type=click.Path(file_okay=False, path_type=Path))
@click.option("--sample", "count", type=click.IntRange(min=20), help="Products and photos of each set.")
def main(photos: Path, work: Path, count: int | None) -> None:
    """Print hit@1 / hit@5 of each configuration as a table."""
    shops = [sample(shop, count) for shop in read_shops(photos)]
    work.mkdir(parents=True, exist_ok=True)
    keys, products = read_training_images(photos, count, turntables=False)
    turned, turned_products = read_training_images(photos, count, turntables=True)
    fit_on = [*keys, *views(key for key in keys if key.archive == "demo_shop/pictures")]
    needed = [*fit_on, *turned]
    for shop in shops:
        needed += [*views(shop.first.values()), *(key for _, key in shop.images)]
        needed += [query.key for queries in shop.queries.values() for query in queries]
    table = Table(needed, fit_on, photos, work)
    numbers, turned_numbers = (np.unique(some, return_inverse=True)[1] for some in (products, turned_products))
    sets = [name for shop in shops for name in shop.queries]
    click.echo("| " + " | ".join(["configuration", "mean", *sets]) + " |\n" + "|---" * (len(sets) + 2) + "|")
    fitted: dict[str, Any] = {}
    for label, changes in CONFIGURATIONS.items():
        part = BASE | changes
        settings = {name: value for name, value in part.items() if name not in OF_SHOP}
        if settings != fitted:
            fitted, blocks = settings, table.blocks(part)
            known = whitening.fit_differences(blocks[table.rows(keys)], numbers, part["differences"])
            if part["turntables"]:
                other = whitening.fit_differences(blocks[table.rows(turned)], turned_numbers, part["differences"] // 2)
                known = whitening.combine_differences(known, other)
        scores = np.array([row for shop in shops for row in score(shop, table, blocks, part, known)])
        cells = [f"{first:.1f} / {fifth:.1f}" for first, fifth in [scores.mean(axis=0), *scores]]
        click.echo(f"| {label} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
