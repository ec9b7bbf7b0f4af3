"""`vsearch evaluate all`: index the research data sets as shops, and score searches with their photos."""

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import click
import numpy as np
from numpy.typing import NDArray

from catalog import demo
from indexer.build.class_indexes import assign_classes
from indexer.build.reindex import reindex
from indexer.cli.benchmark_sets import SETS, BenchmarkSet, CatalogImages, Source, unrelated_queries
from indexer.cli.catalog_import import print_findings
from indexer.feed.importer import ImportReport
from indexer.jobs.kinds import CHECKS
from vsearch.cli import EXISTING_FOLDER, FOLDER, inputs, json_option, pass_settings
from vsearch.cli.console import out, progress, stoppable, table
from vsearch.cli.inference import load_engine
from vsearch.core.archives import open_archive
from vsearch.core.errors import DatasetError
from vsearch.core.settings import Settings
from vsearch.core.vectors import l2_normalize
from vsearch.detection.boxes import iou
from vsearch.evaluation import research_sets, retrieval_metrics
from vsearch.evaluation.bootstrap import Estimate, auroc_interval, mean_interval
from vsearch.evaluation.query_sets import Query, photo_groups
from vsearch.evaluation.rankers import DescriptorRanker, Ranking, lab_histogram, rank_by_engine, score
from vsearch.imaging.codec import Limits
from vsearch.imaging.geometry import Box
from vsearch.models import registry
from vsearch.models.checkpoint import Checkpoint
from vsearch.models.encoder import Encoder
from vsearch.models.trained_heads import VOTE
from vsearch.search.engine import Engine

Item = TypeVar("Item")

VSEARCH = "vsearch"
HISTOGRAM = "Lab histogram"
CLASSES = "furniture_classes"

CLASS_IMAGES = Path("furniture_photos", "images.tar")

SIMILAR = {"wayfair_one_picture": "wayfair", "ikea_rooms": "ikea"}
"""Shop -> another with the same images."""

LABEL_FIGURES = (
    "exact, product not sold",
    "exact, nor its variants",
    "nothing close, unrelated",
    "at least similar, right at rank 1",
)
"""Shares of queries with a match label: wrong, wrong, right and right."""

MIN_OVERLAP = 0.5
"""Smallest intersection over union of a product and the region that found it."""


@dataclass(frozen=True)
class IndexedShop:
    """A shop that can be searched."""

    engine: Engine
    catalog: CatalogImages
    classes: Mapping[int, str]  # product id -> class
    histogram: DescriptorRanker


@click.command("all", epilog="Example: vsearch evaluate all shared/data --work work --only ikea_marked")
@click.argument("folder", metavar="PHOTOS", type=EXISTING_FOLDER)
@click.option(
    "--work", type=FOLDER, default=Path("evaluation"), show_default=True, help="Folder for the indexed shops."
)
@click.option("--only", type=click.Choice([*SETS, CLASSES]), multiple=True, help="Evaluate only this set (repeatable).")
@click.option("--sample", type=click.IntRange(1), help="Use only this many queries of each set.")
@json_option
@pass_settings
def evaluate_all(
    settings: Settings, /, folder: Path, work: Path, only: tuple[str, ...], sample: int | None, as_json: bool
) -> None:
    """Score the checkpoint on the research data sets in PHOTOS, with a Lab histogram as the baseline.

    Each set is searched in a shop that is indexed in --work. If the command is stopped, run it again to continue. The
    lists of photos are kept for `vsearch --data WORK/SHOP/data evaluate photos WORK/SHOP/LIST.csv`.
    """
    chosen = {name: each for name, each in SETS.items() if not only or name in only}
    checkpoint = registry.find(settings, settings.checkpoint or registry.BUNDLED)
    shops = list(dict.fromkeys(each.shop for each in chosen.values()))
    # Convert all shops first, so that missing data is reported at once.
    feeds = {shop: _convert(shop, folder, work / shop) for shop in shops}
    results: dict[str, Any] = {"checkpoint": checkpoint.checkpoint_id, "sets": {}}
    with stoppable("Stopped. Run the same command again to continue."):
        for shop in shops:
            _copy_encoded(work, shop)
            indexed = _index(_settings_of(settings, work / shop / "data", checkpoint), *feeds[shop])
            source = Source(folder, work / shop, indexed.catalog, Limits.from_settings(settings))
            sets = {name: each for name, each in chosen.items() if each.shop == shop}
            results["sets"] |= _evaluate_sets(indexed, source, sets, sample)
        if not only or CLASSES in only:
            results[CLASSES] = _furniture_classes(settings, folder, checkpoint, sample)
    if as_json:
        out.print_json(json.dumps(results, default=asdict))
    else:
        _print(results)


def _convert(shop: str, folder: Path, target: Path) -> tuple[Path, Path]:
    """Write the shop's files; return its feed and its images."""
    if shop == "demo":
        return demo.FEED, demo.PICTURES
    convert, archives = research_sets.SHOPS[shop]
    research_sets.write(convert(folder), target)
    if len(archives) == 1:
        return target / "feed.csv", folder / archives[0]
    pictures = target / "pictures"  # an import reads only one archive
    pictures.mkdir(exist_ok=True)
    for archive in archives:
        with open_archive(folder / archive) as files:
            for name in files:
                (pictures / Path(name).name).write_bytes(files.read(name))
    return target / "feed.csv", pictures


def _copy_encoded(work: Path, shop: str) -> None:
    """Start a new shop with the catalog of the shop that has most of its images, to avoid encoding them again."""
    source, target = work / SIMILAR.get(shop, shop) / "data", work / shop / "data"
    if source.is_dir() and not target.exists():
        copied = target.with_name(f".{target.name}")
        shutil.rmtree(copied, ignore_errors=True)
        shutil.copytree(source, copied, ignore=shutil.ignore_patterns("generations", "checkpoints"))
        copied.rename(target)


def _settings_of(settings: Settings, data: Path, checkpoint: Checkpoint) -> Settings:
    own = {
        "data": data,
        "database_url": "",
        "checkpoint": str(checkpoint.folder),
        "feed_mapping": None,
        "canaries": None,
    }
    return settings.model_copy(update=own)


def _index(settings: Settings, feed: Path, images: Path) -> IndexedShop:
    def check(report: ImportReport) -> None:
        if report.findings:
            print_findings(str(feed), report)
            raise DatasetError(f"{feed} could not be imported completely; see above.")

    reindex(settings, feed=str(feed), images=str(images), on_imported=check, progress=progress, accept=CHECKS)
    catalog = CatalogImages.open(settings)
    classes = assign_classes([row.category for row in catalog.rows], settings.min_class_size)
    return IndexedShop(
        load_engine(settings),
        catalog,
        dict(zip((row.product_id for row in catalog.rows), classes, strict=True)),
        catalog.ranker(HISTOGRAM, lab_histogram),
    )


def _rank(shop: IndexedShop, queries: Sequence[Query], label: str) -> tuple[Ranking, Ranking]:
    with progress(f"search {label}") as advance:
        _, routed = rank_by_engine(shop.engine, queries, advance=advance)
    return replace(routed, name=VSEARCH), shop.histogram.rank(queries)


def _evaluate_sets(
    shop: IndexedShop, source: Source, sets: Mapping[str, BenchmarkSet], sample: int | None
) -> dict[str, Any]:
    unrelated: tuple[Ranking, Ranking] | None = None
    if any(each.labels for each in sets.values()):
        unrelated = _rank(shop, _sample(unrelated_queries(source), sample), "unrelated photos")
    results = {}
    for name, each in sets.items():
        found = _evaluate(shop, _sample(each.read(source), sample), name, unrelated if each.labels else None)
        results[name] = {"title": each.title, "products": len(shop.classes)} | found
        hits = (f"{metric} {found['scores'][VSEARCH][metric]}" for metric in ("hit@1", "hit@5"))
        click.echo(f"{name}: {', '.join(hits)}", err=True)  # a run that is stopped has shown something
    return results


def _evaluate(
    shop: IndexedShop, queries: Sequence[Query], label: str, unrelated: tuple[Ranking, Ranking] | None
) -> dict[str, Any]:
    rankings = _rank(shop, queries, label)
    ranking, groups = rankings[0], photo_groups(queries)
    pairs = list(zip(ranking.classes, queries, strict=True))
    same_class = [name in {shop.classes[product] for product in query.relevant} for name, query in pairs]
    figures: dict[str, Any] = {
        "queries": len(queries),
        "scores": {each.name: score(each.ids, queries) for each in rankings},
        "class": mean_interval(np.array(same_class), groups),
        "hub_skewness": {
            each.name: retrieval_metrics.occurrence_skewness(each.ids, len(shop.classes)) for each in rankings
        },
    }
    if any(query.shown for query in queries):
        figures["box"] = mean_interval(np.array(list(map(_overlap, ranking.boxes, queries))), groups)
    if unrelated is not None:
        figures["labels"] = _label_figures(ranking, unrelated[0], queries, groups)
        figures["auroc"] = {
            ours.name: auroc_interval(ours.best, theirs.best, groups)
            for ours, theirs in zip(rankings, unrelated, strict=True)
        }
    return figures


def _overlap(box: Box | None, query: Query) -> bool:
    if box is None or query.shown is None:
        return False
    found, shown = (np.array([[each.x0, each.y0, each.x1, each.y1]]) for each in (box, query.shown))
    return bool(iou(found, shown)[0, 0] >= MIN_OVERLAP)


def _label_figures(
    ranking: Ranking, unrelated: Ranking, queries: Sequence[Query], groups: NDArray[np.int64]
) -> dict[str, Any]:
    first = retrieval_metrics.relevance(ranking.ids[:, :1], [query.relevant for query in queries])[:, 0]
    close = np.array(ranking.first)[first] != "nothing close"
    figures = (
        mean_interval(np.array(ranking.unsold) == "exact", groups),
        mean_interval(np.array(ranking.unsold_variants) == "exact", groups),
        mean_interval(np.array(unrelated.labels) == "nothing close"),
        mean_interval(close, np.unique(groups[first], return_inverse=True)[1]) if len(close) else None,
    )
    return dict(zip(LABEL_FIGURES, figures, strict=True))


def _sample(items: Sequence[Item], size: int | None) -> list[Item]:
    rows = np.random.default_rng(0).permutation(len(items))[:size]
    return [items[row] for row in sorted(rows.tolist())]


def _furniture_classes(settings: Settings, folder: Path, checkpoint: Checkpoint, sample: int | None) -> dict[str, Any]:
    """Fit class heads on the training images of furniture_photos as for a shop, and score them on the others."""
    from vsearch.models.class_heads import CLASS, fit_heads

    labels = inputs.read_labels(folder / "furniture_photos" / "labels.csv", "category")
    pictures = dict(inputs.decode_photos(inputs.read_photos([folder / CLASS_IMAGES]), Limits.from_settings(settings)))
    encoder = Encoder(checkpoint)
    blocks, histograms, names = {}, {}, {}
    for split in inputs.SPLITS:
        files = _sample([file for file, (its_split, _) in labels.items() if its_split == split], sample)
        names[split] = [labels[file][1] for file in files]
        histograms[split] = l2_normalize(np.stack([lab_histogram(pictures[file]) for file in files]))
        with progress(f"encode {CLASSES}, {split}") as advance:
            batches = []
            for start in range(0, len(files), settings.batch_size):
                advance(start, len(files))
                batch = files[start : start + settings.batch_size]
                batches.append(encoder.blocks([pictures[file] for file in batch]))
        blocks[split] = np.concatenate(batches)
    heads = fit_heads(blocks["train"], names["train"], encoder.block_sizes)
    baseline = fit_heads(histograms["train"], names["train"], {HISTOGRAM: histograms["train"].shape[1]})
    predictions = heads.predict(blocks["val"])
    found = {name: predictions.predicted(name, CLASS) for name in (VOTE, *predictions.networks)}
    found[HISTOGRAM] = baseline.predict(histograms["val"]).predicted(VOTE, CLASS)
    truth = heads.class_numbers(names["val"])  # both have the same classes
    right = {name: mean_interval(predicted == truth) for name, predicted in found.items()}
    return {"train": len(names["train"]), "queries": len(truth), "accuracy": right}


def _print(results: Mapping[str, Any]) -> None:
    sets: dict[str, dict[str, Any]] = results["sets"]
    if sets:
        columns = ("queries", "products", "hit@1", "hit@5", "hit@10", "histogram hit@1", "histogram hit@5", "class")
        title = f"Checkpoint {results['checkpoint']} (percent, 95 % interval; hubs: skewness of 10-occurrence)"
        lines = [_line(name, each) for name, each in sets.items()]
        table(title, ("set", "", *columns, "box", "hubs"), lines, right=(*columns, "box", "hubs"))
    labeled = {name: each["labels"] | each["auroc"] for name, each in sets.items() if "labels" in each}
    if labeled:
        figures = (*LABEL_FIGURES, "AUROC", "histogram AUROC")
        lines = [(name, *map(_text, found.values())) for name, found in labeled.items()]
        title = "Match labels, and catalog products against unrelated photos (percent, 95 % interval)"
        table(title, ("set", *figures), lines, right=figures)
    if CLASSES in results:
        found = results[CLASSES]
        title = f"{CLASSES}: {found['train']} train, {found['queries']} val images (percent, 95 % interval)"
        table(
            title,
            ("model", "right"),
            [(name, str(right)) for name, right in found["accuracy"].items()],
            right=("right",),
        )


def _line(name: str, found: Mapping[str, Any]) -> tuple[str, ...]:
    ours, histogram = found["scores"][VSEARCH], found["scores"][HISTOGRAM]
    scores = [ours["hit@1"], ours["hit@5"], ours["hit@10"], histogram["hit@1"], histogram["hit@5"], found["class"]]
    return (
        name,
        found["title"],
        str(found["queries"]),
        str(found["products"]),
        *map(_text, (*scores, found.get("box"))),
        f"{found['hub_skewness'][VSEARCH]:.1f}",
    )


def _text(found: Estimate | None) -> str:
    return "" if found is None else str(found)
