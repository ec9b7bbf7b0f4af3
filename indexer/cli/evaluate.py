"""`vsearch evaluate`: measure retrieval and classification against ground truth."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from catalog import database, queries
from catalog.image_store import ImageStore
from catalog.queries import GalleryRow
from vsearch.cli import (
    EXISTING_FILE,
    EXISTING_FOLDER,
    EXISTING_PATH,
    FOLDER,
    inputs,
    json_option,
    pass_settings,
)
from vsearch.cli.console import out, progress, table
from vsearch.cli.inference import load_engine, load_model
from vsearch.core.errors import DatasetError
from vsearch.core.settings import Settings
from vsearch.evaluation import rankers
from vsearch.evaluation.bootstrap import Estimate, auroc_interval
from vsearch.evaluation.query_sets import KINDS, Kind, Query, photo_groups, synthetic_photo
from vsearch.evaluation.rankers import MATCH_LABELS, DescriptorRanker, Ranking, rank_by_engine, score
from vsearch.imaging.codec import Limits, Picture, decode
from vsearch.imaging.synthetic import add_margin
from vsearch.search.engine import Engine

_TITLES: dict[Kind, str] = {
    "easy": "easy synthetic photos, original background",
    "hard": "hard synthetic photos, uncropped",
    "crop": "hard synthetic photos, cropped to the product",
}

_BASELINES = {"HOG": rankers.hog, "Lab histogram": rankers.lab_histogram}

QuerySet = tuple[str, Sequence[Query]]
"""A title, and queries that are evaluated together."""

_skus = click.option("--skus", type=EXISTING_FILE, help="File with one SKU per line: query these products only.")
_by_category = click.option("--by-category", is_flag=True, help="Also print a table by category.")
_unrelated = click.option(
    "--unrelated", type=EXISTING_PATH, multiple=True,
    help="Folder, tar or zip of photos of items the shop does not sell, to be recognized as such (repeatable).",
)  # fmt: skip


@dataclass(frozen=True)
class CatalogImages:
    """The images of the catalog."""

    rows: list[GalleryRow]
    first: dict[str, GalleryRow]
    """The first image of each product, by SKU."""
    store: ImageStore

    @classmethod
    def open(cls, settings: Settings) -> "CatalogImages":
        """Read the rows."""
        with database.open_catalog(settings.catalog_url) as sessions, sessions() as session:
            rows = queries.gallery_rows(session)
        return cls(rows, {row.sku: row for row in reversed(rows)}, ImageStore(settings.pictures))

    def picture(self, row: GalleryRow) -> Picture:
        """Return an image."""
        return decode(self.store.read(row.sha256))

    def row(self, sku: str) -> GalleryRow:
        """Return the first image of a product.

        Raises:
            DatasetError: no product with an image has this SKU.
        """
        if sku not in self.first:
            raise DatasetError(f"The catalog has no product {sku!r} with an image. Correct or remove that line.")
        return self.first[sku]


@click.group()
def evaluate() -> None:
    """Measure retrieval and classification against ground truth."""


@evaluate.command(epilog="Example: vsearch evaluate retrieval --qrels same_family.csv")
@click.option("--qrels", type=EXISTING_FILE, required=True, help="CSV: query, iter, doc, rel.")
@_by_category
@json_option
@pass_settings
def retrieval(settings: Settings, /, qrels: Path, **output: Any) -> None:
    """Score the published index on a relevance file, with HOG and a Lab histogram as baselines.

    query and doc are SKUs: the first image of the query product is the query, and that product is removed from the
    results. nDCG@10 is reported if rel has several values.
    """
    relevant = inputs.read_relevance(qrels)
    graded = len({grade for grades in relevant.values() for grade in grades.values()}) > 1
    engine = load_engine(settings)
    catalog = CatalogImages.open(settings)
    queries = []
    for sku, sku_grades in relevant.items():
        row = catalog.row(sku)
        grades = {catalog.first[doc].product_id: grade for doc, grade in sku_grades.items() if doc in catalog.first}
        query = Query(catalog.picture(row), frozenset(grades), itself=row.product_id, category=row.category)
        queries.append(replace(query, grades=grades if graded else None))
    report(engine, catalog, {"retrieval": (qrels.name, queries)}, **output)


@evaluate.command(epilog="Example: vsearch evaluate shopper --kind crop --rooms rooms.tar --skus validation.txt")
@click.option("--kind", "kinds", type=click.Choice(KINDS), multiple=True, help="Kind of photos; all three by default.")
@click.option("--rooms", type=EXISTING_PATH, help="Folder or tar of room photos.")
@_skus
@click.option(
    "--sample", default=250, show_default=True, type=click.IntRange(1), help="Sample size; ignored with --skus."
)
@click.option("--seed", default=20_000, show_default=True, type=click.IntRange(0), help="Seed of the photos.")
@_unrelated
@_by_category
@json_option
@pass_settings
def shopper(
    settings: Settings, /, kinds: tuple[Kind, ...], rooms: Path | None, skus: Path | None, sample: int, seed: int,
    unrelated: tuple[Path, ...], **output: bool,
) -> None:  # fmt: skip
    """Score searches with synthetic shopper photos of catalog products, with HOG and a Lab histogram as baselines.

    easy: the product on its original background, from another viewpoint. hard: the product in a room. crop: the hard
    photo cropped to the product. Rooms are generated if --rooms is not given.
    """
    engine = load_engine(settings)
    catalog = CatalogImages.open(settings)
    room_photos = _read_all(settings, (rooms,)) if rooms else []
    if skus:
        wanted = inputs.read_skus(skus)
    else:
        wanted = np.random.default_rng(seed).permutation(sorted(catalog.first))[:sample].tolist()
    query_sets: dict[str, QuerySet] = {}
    for kind in kinds or KINDS:
        queries = [
            _synthetic_query(catalog, sku, kind, room_photos, [seed, number]) for number, sku in enumerate(wanted)
        ]
        query_sets[kind] = (_TITLES[kind], queries)
    report(engine, catalog, query_sets, unrelated=_read_all(settings, unrelated), **output)


@evaluate.command("photos", epilog="Example: vsearch evaluate photos photos.csv --pictures photos --whole")
@click.argument("manifest", type=EXISTING_FILE)
@click.option("--pictures", type=EXISTING_PATH, required=True, help="Folder, tar or zip of the photos.")
@click.option("--whole", is_flag=True, help="Search with whole photos: every product in a photo is relevant.")
@click.option(
    "--where", type=(str, str), multiple=True, metavar="COLUMN VALUE", help="Use only these rows (repeatable)."
)
@_skus
@_unrelated
@_by_category
@json_option
@pass_settings
def real_photos(
    settings: Settings, /, manifest: Path, pictures: Path, whole: bool, where: tuple[tuple[str, str], ...],
    skus: Path | None, unrelated: tuple[Path, ...], **output: bool,
) -> None:  # fmt: skip
    """Score searches with photos of known products, with HOG and a Lab histogram as baselines.

    MANIFEST is a CSV: photo, sku and optionally left, top, right, bottom (a box, as fractions of the photo), grade,
    category. Each photo and box is a query, searched with a margin of 5 percent; several rows for a query are several
    relevant products. Confidence intervals resample photos. --skus restricts the queries to these products.
    """
    photo_queries = inputs.read_photo_queries(manifest, whole=whole, where=dict(where))
    if skus is not None:
        chosen = set(inputs.read_skus(skus))
        photo_queries = [query for query in photo_queries if chosen & query.grades.keys()]
        if not photo_queries:
            raise DatasetError(f"No photo of {manifest} shows a product of {skus}.")
    engine = load_engine(settings)
    catalog = CatalogImages.open(settings)
    names = {query.photo for query in photo_queries}
    found = dict(inputs.decode_named_photos(pictures, names, Limits.from_settings(settings), file=manifest))
    graded = len({grade for query in photo_queries for grade in query.grades.values()}) > 1
    queries = [_photo_query(catalog, query, found[query.photo], graded=graded) for query in photo_queries]
    title = f"{manifest.name}, {'whole photos' if whole else 'cropped to boxes'}"
    report(engine, catalog, {"photos": (title, queries)}, unrelated=_read_all(settings, unrelated), **output)


@evaluate.command(epilog="Example: vsearch evaluate classes --manifest labels.csv --images images.tar --label category")
@click.option("--manifest", type=EXISTING_FILE, required=True, help="CSV: image, split, label.")
@click.option("--images", type=EXISTING_PATH, required=True, help="Folder or tar of images.")
@click.option("--label", default="category", show_default=True, help="Column with the class.")
@pass_settings
def classes(settings: Settings, manifest: Path, images: Path, label: str) -> None:
    """Fit class heads on the images of split 'train', and score each network and the vote on split 'val'.

    The networks are not trained: the scores are those of an index of a shop with these classes.
    """
    from vsearch.models.class_heads import fit_heads

    labels = inputs.read_labels(manifest, label)
    model = load_model(settings)
    blocks: dict[str, list[NDArray[np.float16]]] = {split: [] for split in inputs.SPLITS}
    names: dict[str, list[str]] = {split: [] for split in inputs.SPLITS}
    with progress("encode") as advance:
        for name, picture in inputs.decode_photos(inputs.read_photos([images]), Limits.from_settings(settings)):
            if name in labels:
                split, class_name = labels[name]
                blocks[split].append(model.encoder.blocks([picture])[0])
                names[split].append(class_name)
                advance(sum(map(len, names.values())), len(labels))
    for split in inputs.SPLITS:
        if not names[split]:
            raise DatasetError(f"{images} has no image of the split {split!r} in {manifest}.")
    heads = fit_heads(np.stack(blocks["train"]), names["train"], model.encoder.block_sizes)
    predictions = heads.predict(np.stack(blocks["val"]))
    truth = heads.class_numbers(names["val"])
    numbers = {name: votes.argmax(axis=1) for name, votes in predictions.votes.items()} | {"vote": predictions.winners}
    lines = [(name, f"{100 * (predicted == truth).mean():.1f} %") for name, predicted in numbers.items()]
    title = f"{manifest.name}: {len(names['train'])} train, {len(truth)} val images, {len(heads.classes)} classes"
    table(title, ("model", "right"), lines, right=("right",))


@evaluate.command(
    epilog="Example: vsearch evaluate checkpoint runs/furniture/checkpoint --plan furniture --photos photos"
)
@click.argument("folder", type=EXISTING_FOLDER)
@click.option("--plan", "plan_name", required=True, help="Name of an included plan, or a .toml file, with the sources.")
@click.option(
    "--photos", "source", type=EXISTING_FOLDER, default=Path(), show_default=True,
    help="Folder that the plan's sources are relative to.",
)  # fmt: skip
@click.option(
    "--runs", type=FOLDER, default=Path("runs"), show_default=True, help="Folder with the cache of decoded images."
)
@click.option(
    "--out", "target", type=FOLDER,
    help="Folder for report.json and the plots  [default: FOLDER-evaluation, next to the checkpoint]",
)  # fmt: skip
@json_option
def checkpoint(folder: Path, plan_name: str, source: Path, runs: Path, target: Path | None, as_json: bool) -> None:
    """Evaluate the trained heads of the checkpoint in FOLDER on a plan's validation images.

    Each network and the vote are evaluated on the heads that the plan names.
    """
    from vsearch.training import plan as plans
    from vsearch.training.results import training_report
    from vsearch.training.results.evaluate_heads import evaluate_checkpoint

    plan = plans.read(plan_name)
    target = target or folder.with_name(f"{folder.name}-evaluation")
    figures = evaluate_checkpoint(folder, plan, source, target, work=runs / plan.name, progress=progress)
    if as_json:
        out.print_json(json.dumps(figures))
        return
    columns, lines = training_report.table(figures["validation"])
    title = f"{folder}: accuracy on {figures['pictures']} validation images of {plan.name} (percent, 95 % interval)"
    table(title, columns, lines, right=columns[1:])
    for sentence in training_report.compare_with_vote(figures["validation"]):
        out.print(sentence, soft_wrap=True)
    out.print(f"Metrics and plots are in {target}.", soft_wrap=True)


def _synthetic_query(catalog: CatalogImages, sku: str, kind: Kind, rooms: list[Picture], seed: list[int]) -> Query:
    rng = np.random.default_rng(seed)
    row = catalog.row(sku)
    room = rooms[rng.integers(len(rooms))] if rooms else None
    photo, box = synthetic_photo(catalog.picture(row), kind, rng, room=room)
    return Query(photo, frozenset({row.product_id}), box=box, category=row.category)


def _photo_query(catalog: CatalogImages, query: inputs.PhotoQuery, picture: Picture, *, graded: bool) -> Query:
    rows = {sku: catalog.row(sku) for sku in query.grades}
    grades = {rows[sku].product_id: grade for sku, grade in query.grades.items()}
    return Query(
        picture,
        frozenset(grades),
        box=None if query.box is None else add_margin(query.box),
        grades=grades if graded else None,
        category=query.category or next(iter(rows.values())).category,
        photo=query.photo,
    )


def _read_all(settings: Settings, paths: tuple[Path, ...]) -> list[Picture]:
    decoded = inputs.decode_photos(inputs.read_photos(paths), Limits.from_settings(settings))
    return [picture for _, picture in decoded] if paths else []


def report(
    engine: Engine,
    catalog: CatalogImages,
    query_sets: Mapping[str, QuerySet],
    *,
    unrelated: Sequence[Picture] = (),
    by_category: bool = False,
    as_json: bool = False,
) -> None:
    """Evaluate the published index and the baselines on query sets, and print the scores, optionally by category.

    Args:
        unrelated: images of things that are not in the catalog, to be distinguished from the queries.
        as_json: print JSON instead of tables; for a single query set, its scores are not nested under its name.
    """
    gallery, ids = [catalog.picture(row) for row in catalog.rows], [row.product_id for row in catalog.rows]
    baselines = [DescriptorRanker(name, describe, gallery, np.array(ids)) for name, describe in _BASELINES.items()]
    others = _rank(engine, baselines, [Query(picture, frozenset()) for picture in unrelated]) if unrelated else ()
    results = {
        name: {"title": title} | _evaluate(queries, _rank(engine, baselines, queries), others, by_category)
        for name, (title, queries) in query_sets.items()
    }
    if as_json:
        plain = results if len(results) > 1 else next(iter(results.values()))
        out.print_json(json.dumps(plain, default=asdict))
        return
    for result in results.values():
        _print_scores(result, len(catalog.rows))
    if others:
        _print_no_match(results, len(unrelated))


def _rank(engine: Engine, baselines: Sequence[DescriptorRanker], asked: Sequence[Query]) -> tuple[Ranking, ...]:
    with progress("search") as advance:
        return (*rank_by_engine(engine, asked, advance=advance), *(baseline.rank(asked) for baseline in baselines))


def _evaluate(
    queries: Sequence[Query], rankings: Sequence[Ranking], unrelated: Sequence[Ranking], by_category: bool
) -> dict[str, Any]:
    result = _score(rankings, queries, range(len(queries)))
    if by_category:
        rows: dict[str, list[int]] = {}
        for row, query in sorted(enumerate(queries), key=lambda pair: pair[1].category):
            rows.setdefault(query.category, []).append(row)
        result["categories"] = {name: _score(rankings, queries, chosen) for name, chosen in rows.items()}
    if unrelated:
        groups = photo_groups(queries)
        result["auroc"] = {
            ours.name: auroc_interval(ours.best, theirs.best, groups)
            for ours, theirs in zip(rankings, unrelated, strict=True)
        }
        labels = {"known": rankings[0].labels, "not_sold": rankings[0].unsold, "unrelated": unrelated[0].labels}
        result["match"] = {
            kind: {label: found.count(label) / len(found) for label in MATCH_LABELS} for kind, found in labels.items()
        }
    return result


def _score(rankings: Sequence[Ranking], queries: Sequence[Query], rows: Sequence[int]) -> dict[str, Any]:
    chosen = list(rows)
    scores = {ranking.name: score(ranking.ids[chosen], [queries[row] for row in chosen]) for ranking in rankings}
    everywhere, routed = (found["hit@1"].mean for found in list(scores.values())[:2])
    return {"queries": len(chosen), "scores": scores, "routing_loss": routed / everywhere if everywhere else 1.0}


def _print_scores(result: Mapping[str, Any], images: int) -> None:
    scores: dict[str, dict[str, Estimate]] = result["scores"]
    columns = tuple(next(iter(scores.values())))
    title = f"{result['title']}: {result['queries']} queries, {images} pictures (percent, 95 % interval)"
    lines = [(name, *map(str, found.values())) for name, found in scores.items()]
    table(title, ("ranker", *columns), lines, right=columns)
    out.print(f"routing loss at hit@1: {result['routing_loss']:.3f} (routed divided by all; 1 means no loss)\n")
    if "categories" in result:
        lines = []
        for category, part in result["categories"].items():
            _, routed, *others = part["scores"].values()
            found = [routed.get(column, "") for column in columns] + [other["hit@1"] for other in others]
            lines.append((category, str(part["queries"]), *map(str, found)))
        columns = ("queries", *columns, *(f"{name} hit@1" for name in _BASELINES))
        table(f"{result['title']}, by category, routed", ("category", *columns), lines, right=columns)


def _print_no_match(results: Mapping[str, Mapping[str, Any]], unrelated: int) -> None:
    """Print how well scores separate catalog products from unrelated images, and how often each match label occurs."""
    lines = []
    blank = [""] * (1 + len(_BASELINES))
    for name, result in results.items():
        shares = {kind: [f"{100 * share:.1f}" for share in found.values()] for kind, found in result["match"].items()}
        everywhere, _, *others = map(str, result["auroc"].values())
        lines.append((name, str(result["queries"]), everywhere, *others, *shares["known"]))
        lines.append((f"{name}, product not sold", "", *blank, *shares["not_sold"]))
    lines.append(("unrelated", str(unrelated), *blank, *shares["unrelated"]))
    columns = ("queries", "AUROC", *(f"{name} AUROC" for name in _BASELINES), *MATCH_LABELS)
    title = "Catalog products against unrelated images, and match labels (percent)"
    table(title, ("photos", *columns), lines, right=columns)
