"""`vsearch evaluate`: measure retrieval and classification against ground truth."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
import numpy as np

from indexer.cli import evaluate_all
from indexer.cli.benchmark_sets import SEED, CatalogImages, read_queries, relevance_queries, synthetic_queries
from vsearch.cli import EXISTING_FILE, EXISTING_FOLDER, EXISTING_PATH, FOLDER, inputs, json_option, pass_settings
from vsearch.cli.console import out, progress, table
from vsearch.cli.inference import load_engine
from vsearch.core.errors import DatasetError
from vsearch.core.settings import Settings
from vsearch.evaluation import rankers
from vsearch.evaluation.bootstrap import Estimate, auroc_interval
from vsearch.evaluation.query_sets import KINDS, Kind, Query, photo_groups
from vsearch.evaluation.rankers import MATCH_LABELS, DescriptorRanker, Ranking, rank_by_engine, score
from vsearch.imaging.codec import Limits, Picture
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


@click.group()
def evaluate() -> None:
    """Measure retrieval and classification against ground truth."""


evaluate.add_command(evaluate_all.evaluate_all)


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
    engine = load_engine(settings)
    catalog = CatalogImages.open(settings)
    report(engine, catalog, {"retrieval": (qrels.name, relevance_queries(catalog, relevant))}, **output)


@evaluate.command(epilog="Example: vsearch evaluate shopper --kind crop --rooms rooms.tar --skus validation.txt")
@click.option("--kind", "kinds", type=click.Choice(KINDS), multiple=True, help="Kind of photos; all three by default.")
@click.option("--rooms", type=EXISTING_PATH, help="Folder or tar of room photos.")
@_skus
@click.option(
    "--sample", default=250, show_default=True, type=click.IntRange(1), help="Sample size; ignored with --skus."
)
@click.option("--seed", default=SEED, show_default=True, type=click.IntRange(0), help="Seed of the photos.")
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
    query_sets: dict[str, QuerySet] = {
        kind: (_TITLES[kind], synthetic_queries(catalog, wanted, kind, room_photos, seed)) for kind in kinds or KINDS
    }
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
    category, neutral. Each photo and box is a query, searched with a margin of 5 percent; several rows for a query are
    several relevant products. Products in neutral (SKUs separated by |) are skipped in the results. Confidence
    intervals resample photos. --skus restricts the queries to these products.
    """
    photo_queries = inputs.read_photo_queries(manifest, whole=whole, where=dict(where))
    if skus is not None:
        chosen = set(inputs.read_skus(skus))
        photo_queries = [query for query in photo_queries if chosen & query.grades.keys()]
        if not photo_queries:
            raise DatasetError(f"No photo of {manifest} shows a product of {skus}.")
    engine = load_engine(settings)
    catalog = CatalogImages.open(settings)
    queries = read_queries(catalog, photo_queries, pictures, Limits.from_settings(settings), manifest)
    title = f"{manifest.name}, {'whole photos' if whole else 'cropped to boxes'}"
    report(engine, catalog, {"photos": (title, queries)}, unrelated=_read_all(settings, unrelated), **output)


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
    baselines = [catalog.ranker(name, describe) for name, describe in _BASELINES.items()]
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
    title = f"{result['title']}: {result['queries']} queries, {images} images (percent, 95 % interval)"
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
