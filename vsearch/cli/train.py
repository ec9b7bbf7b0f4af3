"""`vsearch train`: train a plan; `vsearch dataset`: pack training images into TFRecord shards and inspect them."""

import pkgutil
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import click

from vsearch.cli import ANY_PATH, EXISTING_FOLDER, FOLDER, pass_settings
from vsearch.cli.console import out, progress, table
from vsearch.cli.inputs import ARCHIVES
from vsearch.core.errors import CheckpointMismatch, DatasetError
from vsearch.core.settings import Settings
from vsearch.models import checkpoint as checkpoints
from vsearch.models import registry
from vsearch.models.tensorflow_startup import import_tensorflow
from vsearch.training import plan as plans
from vsearch.training.data.catalog_snapshot import CatalogImage
from vsearch.training.plan import CsvSource, FolderSource, Source

_MAX_VALUES = 30  # printed per label
_CATALOG = "indexer.cli.catalog_images:list_images"  # by name, since this package does not depend on the indexer


@click.command(epilog="Example: vsearch train furniture --photos photos --runs runs")
@click.argument("plan")
@click.option(
    "--photos", type=EXISTING_FOLDER, default=Path(), show_default=True,
    help="Folder that the plan's sources are relative to.",
)  # fmt: skip
@click.option(
    "--runs", type=FOLDER, default=Path("runs"), show_default=True,
    help="Folder for the state and results of training runs.",
)  # fmt: skip
@click.option("--out", "target", type=ANY_PATH, help="New folder for a copy of the checkpoint.")
@pass_settings
def train(settings: Settings, plan: str, photos: Path, runs: Path, target: Path | None) -> None:
    """Train PLAN, the name of an included plan or a .toml file, and write a checkpoint with its metrics.

    If it is interrupted, run the same command to continue.
    """
    chosen = plans.read(plan)
    if target is not None and target.exists():
        raise CheckpointMismatch(f"Folder {target} exists. Choose a new one for the checkpoint.")
    import_tensorflow()
    from vsearch.training import run as training

    run = training.Run(chosen, photos, runs / chosen.name, settings.weights, partial(_list_catalog, settings))
    results = training.train(run, progress)
    _show_results(chosen.name, results)
    out.print(
        f"Checkpoint {results['checkpoint_id']} is in {run.checkpoint}; its metrics and plots are in {run.folder}.",
        soft_wrap=True,
    )
    if target is not None:
        target.parent.mkdir(parents=True, exist_ok=True)
        registry.export(checkpoints.load(run.checkpoint), target)
        out.print(f"Copied to {target}.", soft_wrap=True)


def _list_catalog(settings: Settings) -> Sequence[CatalogImage]:
    pictures: Sequence[CatalogImage] = pkgutil.resolve_name(_CATALOG)(settings)
    return pictures


def _show_results(name: str, results: Mapping[str, Any]) -> None:
    from vsearch.training.results import training_report

    for note in results.get("notes", ()):
        out.print(note, soft_wrap=True)
    for figures, images, what in (
        ("validation", "val", "validation images (percent, 95 % interval)"),
        ("held_out", "held_out", "images of combinations held out of training"),
    ):
        if figures in results:
            columns, lines = training_report.table(results[figures])
            title = f"{name}: accuracy on {results['data'][images]} {what}"
            table(title, columns, lines, right=columns[1:])
            if figures == "validation":
                for sentence in training_report.compare_with_vote(results[figures]):
                    out.print(sentence, soft_wrap=True)
    if results.get("block_heads"):
        lines = [[block, f"{100 * accuracy:.1f}"] for block, accuracy in results["block_heads"].items()]
        table("Classes of the search: accuracy of the heads on blocks (percent)", ("block", "accuracy"), lines,
              right=("accuracy",))  # fmt: skip


@click.group()
def dataset() -> None:
    """Pack training images into TFRecord shards and inspect them."""


def _parse_labels(context: click.Context, option: click.Parameter, given: tuple[str, ...]) -> dict[str, str]:
    return {text.partition("=")[0]: text.partition("=")[2] or text for text in given}


@dataset.command(
    epilog="Example: vsearch dataset pack labels.csv --images images.tar --label class=category --out packed"
)
@click.argument("source", metavar="PLAN|FOLDER|ARCHIVE|MANIFEST.csv")
@click.option("--out", "target", type=ANY_PATH, required=True, help="New folder for the shards.")
@click.option("--shards", default=4, show_default=True, type=click.IntRange(1, 99_999), help="Files per split.")
@click.option("--photos", type=ANY_PATH, default=Path(), help="Folder that a plan's sources are relative to.")
@click.option("--images", type=ANY_PATH, help="Folder or archive with the images of a manifest.")
@click.option(
    "--label", "labels", multiple=True, callback=_parse_labels, metavar="NAME[=COLUMN]",
    help="Label of a manifest; can be repeated.",
)  # fmt: skip
@click.option("--group", default="", help="Column of a manifest; rows with equal values stay in one split.")
@click.option(
    "--val-share", default=0.2, show_default=True, type=click.FloatRange(0, 1),
    help="Validation share if the source has no split.",
)  # fmt: skip
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0), help="Seed of the random split.")
def pack(source: str, target: Path, shards: int, photos: Path, seed: int, **given: Any) -> None:
    """Pack the sources of a PLAN, a FOLDER or ARCHIVE with a folder for each class, or a MANIFEST.

    A manifest is a CSV file with a column "image" and optionally "split" (train or val). Image files are not changed.
    A plan's `repeat` is not packed; set it in the plan that reads the shards.
    """
    from vsearch.training.data import tfrecord
    from vsearch.training.data.sources import read_source

    sources, seed = _sources_of(source, seed, given)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".drawn-") as work, progress("pack") as advance:
        images = (image for source in sources for image in read_source(source, photos, work=Path(work), seed=seed))
        counted = (advance(done, 0) or image for done, image in enumerate(images, start=1))
        tfrecord.pack(counted, target, shards=shards)
    _show_shards(target)


@dataset.command(epilog="Example: vsearch dataset inspect packed")
@click.argument("folder", type=ANY_PATH)
def inspect(folder: Path) -> None:
    """Verify the checksums of all records in FOLDER, and count the images and labels."""
    _show_shards(folder)


def _sources_of(name: str, seed: int, given: Mapping[str, Any]) -> tuple[tuple[Source, ...], int]:
    path = Path(name)
    source: Source
    if path.suffix == ".csv":
        if not given["labels"] or given["images"] is None:
            raise DatasetError(f"Manifest {name} needs --images and at least one --label.")
        source = CsvSource(
            kind="csv", terms="", manifest=path.absolute(), images=given["images"].absolute(), labels=given["labels"],
            group=given["group"], val_share=given["val_share"],
        )  # fmt: skip
    elif path.is_dir() or path.suffix in ARCHIVES:
        source = FolderSource(kind="folder", terms="", folder=path.absolute(), val_share=given["val_share"])
    else:
        plan = plans.read(name)
        return plan.source, plan.seed
    return (source,), seed


def _show_shards(folder: Path) -> None:
    """Read all records; print their number and the most frequent values of each label by split."""
    from vsearch.training.data import tfrecord

    images: Counter[str] = Counter()
    labels: dict[str, dict[str, Counter[str]]] = {}
    for image in tfrecord.read(folder):
        images[image.split] += 1
        for label, value in image.labels.items():
            labels.setdefault(label, {}).setdefault(value, Counter())[image.split] += 1
    splits = sorted(images)
    table(f"{folder}", ("", *splits), [("images", *(str(images[split]) for split in splits))], right=splits)
    for label, values in labels.items():
        rows = [(value, *(str(counts[split]) for split in splits)) for value, counts in sorted(values.items())]
        table(f"label {label}", ("value", *splits), rows[:_MAX_VALUES], right=splits)
        if len(rows) > _MAX_VALUES:
            out.print(f"and {len(rows) - _MAX_VALUES} more values")
