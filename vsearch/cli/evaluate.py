"""`vsearch evaluate`: figures that can be trusted, each with a baseline in the same run."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import click
import numpy as np

from vsearch.cli import ground_truth, pass_settings, photos
from vsearch.cli.evaluate_checkpoint import checkpoint
from vsearch.cli.evaluate_classes import classes
from vsearch.cli.load_model import open_engine
from vsearch.core.errors import DatasetError, ImageRejected
from vsearch.core.settings import Settings
from vsearch.evaluation import queries as made
from vsearch.evaluation.evaluate import Query
from vsearch.evaluation.queries import KINDS, Kind
from vsearch.imaging.codec import Limits, Picture, decode
from vsearch.imaging.synthetic import with_margin
from webui.cli.evaluate_report import Shop, Test, report

_MAX_SIDE = 1600  # px that the page keeps of a photo
_TITLES: dict[Kind, str] = {
    "easy": "easy made photos, own background",
    "hard": "hard made photos, whole",
    "crop": "hard made photos, cut to the product",
}

_file = click.Path(exists=True, dir_okay=False, path_type=Path)
_place = click.Path(exists=True, path_type=Path)
_skus = click.option("--skus", type=_file, help="Ask for these products only, one sku a line.")
_by_category = click.option("--by-category", is_flag=True, help="Print a table by category too.")
_unrelated = click.option(
    "--unrelated", type=_place, multiple=True,
    help="Folder, tar or zip of photos of what the shop does not sell, to tell from the others; repeatable.",
)  # fmt: skip
_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group()
def command() -> None:
    """Measure retrieval and classes against known answers."""


command.add_command(checkpoint)
command.add_command(classes)


@command.command(epilog="Example: vsearch evaluate retrieval --qrels same_family.csv")
@click.option("--qrels", type=_file, required=True, help="CSV: query, iter, doc, rel.")
@click.option("--photos", "source", type=_place, help="Folder or tar of query photos.")
@_by_category
@_json
@pass_settings
def retrieval(settings: Settings, qrels: Path, source: Path | None, by_category: bool, as_json: bool) -> None:
    """Score the live index on a relevance file, beside HOG (scikit-image, cosine).

    In the file, doc is a sku. query is a sku too, searched with the product's own first picture and itself left out;
    or, with --photos, the name of a photo without its ending. nDCG@10 counts where rel has several values.
    """
    right = ground_truth.relevant(qrels)
    graded = len({grade for grades in right.values() for grade in grades.values()}) > 1
    engine = open_engine(settings)
    shop = Shop.open(settings)
    pictures = {} if source is None else _read(settings, source, right, file=qrels)
    asked = []
    for name, grades in right.items():
        wanted = {shop.first[doc].product_id: grade for doc, grade in grades.items() if doc in shop.first}
        known = frozenset(wanted)
        if source is None:
            row = shop.row(name)
            query = Query(shop.picture(row), known, itself=row.product_id, category=row.category)
        else:
            query = Query(pictures[name], known)
        asked.append(replace(query, grades=wanted if graded else None))
    report(engine, shop, {"retrieval": Test(qrels.name, asked)}, by_category=by_category, as_json=as_json)


@command.command(epilog="Example: vsearch evaluate shopper --kind crop --rooms rooms.tar --skus validation.txt")
@click.option("--kind", "kinds", type=click.Choice(KINDS), multiple=True, help="Which photos; all three by default.")
@click.option("--rooms", type=_place, help="Folder or tar of room photos.")
@_skus
@click.option(
    "--sample", default=250, show_default=True, type=click.IntRange(1),
    help="Products to photograph when --skus is not given.",
)  # fmt: skip
@click.option(
    "--seed", default=20_000, show_default=True, type=click.IntRange(0), help="Other seeds make other photos."
)
@_unrelated
@_by_category
@_json
@pass_settings
def shopper(
    settings: Settings, kinds: tuple[Kind, ...], rooms: Path | None, skus: Path | None, sample: int, seed: int,
    unrelated: tuple[Path, ...], by_category: bool, as_json: bool,
) -> None:  # fmt: skip
    """Score made shopper photos of catalogue products, beside HOG and a Lab histogram.

    easy: the product on its own background, seen from elsewhere. hard: pasted into a room, the whole photo. crop: the
    hard one cut to the product and 5 percent around it. Rooms are made up when no photos of rooms are given.
    """
    engine = open_engine(settings)
    shop = Shop.open(settings)
    scenes = (
        [picture for _, picture in photos.readable(photos.read([rooms]), Limits.from_settings(settings))]
        if rooms
        else []
    )
    wanted = ground_truth.skus(skus) if skus else _drawn(shop, sample, seed)
    tests: dict[str, Test] = {}
    for kind in KINDS:
        if not kinds or kind in kinds:
            asked = [_made(shop, sku, kind, scenes, [seed, number]) for number, sku in enumerate(wanted)]
            tests[kind] = Test(_TITLES[kind], asked)
    strangers = _unrelated_pictures(settings, unrelated)
    report(engine, shop, tests, unrelated=strangers, by_category=by_category, as_json=as_json)


@command.command("photos", epilog="Example: vsearch evaluate photos photos.csv --pictures photos --whole")
@click.argument("manifest", type=_file)
@click.option("--pictures", type=_place, required=True, help="Folder, tar or zip of the photos.")
@click.option("--whole", is_flag=True, help="Search with whole photos: any product of a photo is a right answer.")
@click.option(
    "--where", type=(str, str), multiple=True, metavar="COLUMN VALUE", help="Ask for these rows only; repeatable."
)
@_skus
@_unrelated
@_by_category
@_json
@pass_settings
def real_photos(
    settings: Settings, manifest: Path, pictures: Path, whole: bool, where: tuple[tuple[str, str], ...],
    skus: Path | None, unrelated: tuple[Path, ...], by_category: bool, as_json: bool,
) -> None:  # fmt: skip
    """Score photos with known answers, beside HOG and a Lab histogram.

    MANIFEST is a CSV: photo, sku and, where there are any, left, top, right, bottom (the marked box, as fractions of
    the photo), grade, category. Each photo and box is a query, searched with 5 percent around the box; several rows of
    it are several right answers. Intervals resample photos. With --skus, queries for these products alone are asked.
    """
    asked = ground_truth.asked(manifest, whole=whole, where=dict(where))
    if skus is not None:
        chosen = set(ground_truth.skus(skus))
        asked = [query for query in asked if chosen & query.grades.keys()]
        if not asked:
            raise DatasetError(
                f"At least one photo must show a product of {skus}, but {manifest} has none; check both."
            )
    engine = open_engine(settings)
    shop = Shop.open(settings)
    found = _read(settings, pictures, {query.photo for query in asked}, file=manifest)
    graded = len({grade for query in asked for grade in query.grades.values()}) > 1
    queries = [_query(shop, query, found[query.photo], graded=graded) for query in asked]
    title = f"{manifest.name}, {'whole photos' if whole else 'cut to the box where one is given'}"
    strangers = _unrelated_pictures(settings, unrelated)
    tests = {"photos": Test(title, queries)}
    report(engine, shop, tests, unrelated=strangers, by_category=by_category, as_json=as_json)


def _drawn(shop: Shop, sample: int, seed: int) -> list[str]:
    return [str(sku) for sku in np.random.default_rng(seed).permutation(sorted(shop.first))[:sample]]


def _made(shop: Shop, sku: str, kind: Kind, scenes: list[Picture], seed: list[int]) -> Query:
    rng = np.random.default_rng(seed)
    row = shop.row(sku)
    room = scenes[rng.integers(len(scenes))] if scenes else None
    photo, box = made.make(shop.picture(row), kind, rng, room=room)
    return Query(photo, frozenset({row.product_id}), box=box, category=row.category)


def _query(shop: Shop, asked: ground_truth.Asked, picture: Picture, *, graded: bool) -> Query:
    rows = {sku: shop.row(sku) for sku in asked.grades}
    grades = {rows[sku].product_id: grade for sku, grade in asked.grades.items()}
    return Query(
        picture,
        frozenset(grades),
        box=None if asked.box is None else with_margin(asked.box),
        grades=grades if graded else None,
        category=asked.category or next(iter(rows.values())).category,
        photo=asked.photo,
    )


def _read(settings: Settings, place: Path, wanted: Iterable[str], *, file: Path) -> dict[str, Picture]:
    """Return the wanted photos of a place, by their names without ending.

    Raises:
        DatasetError: one is not there, or cannot be read.
    """
    missing = set(wanted)
    found = {}
    for photo in photos.read([place]):
        if photo.name in missing:
            missing.discard(photo.name)
            try:
                found[photo.name] = decode(photo.data, Limits.from_settings(settings), max_side=_MAX_SIDE)
            except ImageRejected as error:
                raise DatasetError(f"Every photo must be readable, but {photo.file} is not: {error}") from None
    if missing:
        raise DatasetError(
            f"Every photo of {file} must be there, but {min(missing)!r} is not among {place}; check both."
        )
    return found


def _unrelated_pictures(settings: Settings, places: tuple[Path, ...]) -> list[Picture]:
    return (
        [picture for _, picture in photos.readable(photos.read(places), Limits.from_settings(settings))]
        if places
        else []
    )
