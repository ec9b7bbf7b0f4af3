"""`vsearch evaluate`: figures that can be trusted, each with a baseline in the same run."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray

from catalog import database, queries
from catalog.imagestore import ImageStore
from catalog.queries import GalleryRow
from vsearch import augment, evaluation, metrics
from vsearch.cli import answers, pass_settings, photos
from vsearch.cli.console import out, progress, table
from vsearch.cli.evaluate_checkpoint import checkpoint
from vsearch.cli.opening import open_engine, open_model
from vsearch.engine import Engine
from vsearch.errors import DatasetError
from vsearch.evaluation import Query, Scores
from vsearch.images import Limits, Picture, decode
from vsearch.settings import Settings

_HARD_SHARE = (0.35, 0.6)  # of the photo's side that the product takes when it stands in a room


@click.group()
def command() -> None:
    """Measure retrieval and classes against known answers."""


command.add_command(checkpoint)


@command.command(epilog="Example: vsearch evaluate retrieval --qrels same_family.csv")
@click.option(
    "--qrels",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    required=True,
    help="CSV: query, iter, doc, rel.",
)
@click.option("--photos", "source", type=click.Path(exists=True, path_type=Path), help="Folder or tar of query photos.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@pass_settings
def retrieval(settings: Settings, qrels: Path, source: Path | None, as_json: bool) -> None:
    """Score the live index on a relevance file, beside HOG (scikit-image, cosine).

    In the file, doc is a sku. query is a sku too, searched with the product's own first picture and itself left out;
    or, with --photos, the name of a photo without its ending.
    """
    right = answers.relevant(qrels)
    engine = open_engine(settings)
    shop = _Shop.open(settings)
    if source is None:
        asked = shop.product_queries(right)
    else:
        asked = shop.photo_queries(right, dict(photos.readable(photos.read([source]), Limits.of(settings))))
    _report(f"{qrels.name}: {len(asked)} queries, {len(shop.rows)} pictures", engine, shop, asked, as_json)


@command.command(epilog="Example: vsearch evaluate shopper --rooms rooms.tar --skus validation.txt")
@click.option("--rooms", type=click.Path(exists=True, path_type=Path), help="Folder or tar of room photos.")
@click.option(
    "--skus",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Products to photograph, one sku a line.",
)
@click.option(
    "--sample",
    default=250,
    show_default=True,
    type=click.IntRange(1),
    help="Products to photograph when --skus is not given.",
)
@click.option(
    "--seed", default=20_000, show_default=True, type=click.IntRange(0), help="Other seeds make other photos."
)
@click.option("--whole", is_flag=True, help="Search with the whole photo instead of the marked product.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@pass_settings
def shopper(
    settings: Settings, rooms: Path | None, skus: Path | None, sample: int, seed: int, whole: bool, as_json: bool
) -> None:
    """Score made shopper photos: each product put into a room, searched with the part a shopper would mark.

    The marked box has 5 percent around the product. Rooms are made up when no photos of rooms are given.
    """
    engine = open_engine(settings)
    shop = _Shop.open(settings)
    scenes = [picture for _, picture in photos.readable(photos.read([rooms]), Limits.of(settings))] if rooms else []
    wanted = _chosen_skus(shop, skus, sample, seed)
    asked = []
    for number, sku in enumerate(wanted):
        rng = np.random.default_rng([seed, number])
        row = shop.first_picture(sku)
        room = scenes[rng.integers(len(scenes))] if scenes else None
        shot = augment.shoot(shop.picture(row), rng, room=room, share=_HARD_SHARE)
        asked.append(Query(shot.photo if whole else augment.cut_to_box(shot), frozenset({row.product_id})))
    kind = "whole photos" if whole else "photos cut to the product"
    _report(f"{len(asked)} made shopper {kind}, {len(shop.rows)} pictures", engine, shop, asked, as_json)


@command.command(epilog="Example: vsearch evaluate classes --manifest labels.csv --images images.tar --label category")
@click.option(
    "--manifest",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    required=True,
    help="CSV: image, split, label.",
)
@click.option(
    "--images", type=click.Path(exists=True, path_type=Path), required=True, help="Folder or tar of pictures."
)
@click.option("--label", default="category", show_default=True, help="Column of the class.")
@pass_settings
def classes(settings: Settings, manifest: Path, images: Path, label: str) -> None:
    """Fit class heads on the pictures of split 'train' and score each model and the vote on split 'val'.

    The networks stay as they are: this is what a shop gets whose feed has these classes.
    """
    from vsearch.model.heads import fit_heads

    known = answers.labels(manifest, label)
    model = open_model(settings)
    blocks: dict[str, list[NDArray[np.float16]]] = {split: [] for split in answers.SPLITS}
    names: dict[str, list[str]] = {split: [] for split in answers.SPLITS}
    with progress("encode") as advance:
        for name, picture in photos.readable(photos.read([images]), Limits.of(settings)):
            if name in known:
                split, class_name = known[name]
                blocks[split].append(model.encoder.blocks([picture])[0])
                names[split].append(class_name)
                advance(sum(map(len, names.values())), len(known))
    lacking = [split for split in answers.SPLITS if not names[split]]
    if lacking:
        raise DatasetError(f"Both splits need pictures, but {images} has none that {manifest} calls {lacking[0]!r}.")
    heads = fit_heads(np.stack(blocks["train"]), names["train"], model.encoder.block_sizes)
    said = heads.predict(np.stack(blocks["val"]))
    truth = heads.vocabulary.encode(names["val"])
    judged = {name: votes.argmax(axis=1) for name, votes in said.votes.items()} | {"vote": said.winners}
    lines = [(name, f"{100 * (numbers == truth).mean():.1f} %") for name, numbers in judged.items()]
    title = (
        f"{manifest.name}: {len(names['train'])} to learn from, {len(truth)} to judge, {len(heads.vocabulary)} classes"
    )
    table(title, ("model", "right"), lines, right=("right",))


@dataclass(frozen=True)
class _Shop:
    """The catalogue as the live index sees it."""

    rows: list[GalleryRow]
    store: ImageStore

    @classmethod
    def open(cls, settings: Settings) -> "_Shop":
        with database.opened(settings.catalogue_url) as sessions, sessions() as session:
            return cls(queries.gallery_rows(session), ImageStore(settings.pictures))

    def picture(self, row: GalleryRow) -> Picture:
        return decode(self.store.read(row.sha256))

    def first_picture(self, sku: str) -> GalleryRow:
        for row in self.rows:
            if row.sku == sku:
                return row
        raise DatasetError(f"Queries must be of catalogue products with a picture, but sku {sku!r} is not.")

    def product_queries(self, right: dict[str, set[str]]) -> list[Query]:
        first: dict[str, GalleryRow] = {}
        for row in self.rows:
            first.setdefault(row.sku, row)
        asked = []
        for sku, wanted in right.items():
            row = first.get(sku) or self.first_picture(sku)
            relevant = frozenset(first[doc].product_id for doc in wanted if doc in first)
            asked.append(Query(self.picture(row), relevant, itself=row.product_id))
        return asked

    def photo_queries(self, right: dict[str, set[str]], pictures: dict[str, Picture]) -> list[Query]:
        ids = {row.sku: row.product_id for row in self.rows}
        missing = [name for name in right if name not in pictures]
        if missing:
            raise DatasetError(f"Every query needs its photo, but {missing[0]!r} has none; check --photos.")
        return [
            Query(pictures[name], frozenset(ids[doc] for doc in wanted if doc in ids)) for name, wanted in right.items()
        ]


def _chosen_skus(shop: _Shop, file: Path | None, sample: int, seed: int) -> list[str]:
    if file is not None:
        return answers.skus(file)
    known = sorted({row.sku for row in shop.rows})
    return [str(sku) for sku in np.random.default_rng(seed).permutation(known)[:sample]]


def _report(title: str, engine: Engine, shop: _Shop, asked: Sequence[Query], as_json: bool) -> None:
    """Rank by the engine and the baselines, and print one table."""
    with progress("search") as advance:
        routed = evaluation.rank_by_engine(engine, asked, everywhere=False, advance=advance)
        everywhere = evaluation.rank_by_engine(engine, asked, everywhere=True)
    gallery = [shop.picture(row) for row in shop.rows]
    ids = np.array([row.product_id for row in shop.rows], np.int64)
    found = [
        evaluation.score("vsearch, all classes", everywhere, asked),
        evaluation.score("vsearch, routed", routed, asked),
        *(
            evaluation.score(name, evaluation.rank_by_descriptor(describe, gallery, ids, asked), asked)
            for name, describe in (("HOG", evaluation.hog), ("Lab histogram", evaluation.lab_histogram))
        ),
    ]
    loss = metrics.routing_loss(found[1].by_query, found[0].by_query)
    if as_json:
        out.print_json(json.dumps({"title": title, "routing_loss": loss, "scores": [_plain(s) for s in found]}))
        return
    columns = ("searcher", "hit@1", "hit@5", "hit@10", "mAP@R")
    table(f"{title} (percent, 95 % interval)", columns, [_line(scores) for scores in found], right=columns[1:])
    out.print(f"routing loss at hit@1: {loss:.3f} (routed divided by all; 1 is no loss)")


def _line(scores: Scores) -> tuple[str, ...]:
    return (scores.name, *map(str, (scores.hit_at_1, scores.hit_at_5, scores.hit_at_10, scores.map_at_r)))


def _plain(scores: Scores) -> dict[str, object]:
    names = ("hit_at_1", "hit_at_5", "hit_at_10", "map_at_r")
    return {"name": scores.name} | {name: getattr(scores, name).mean for name in names}
