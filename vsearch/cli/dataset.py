"""`vsearch dataset`: training pictures packed into a few large files, and what such files hold."""

import tempfile
from collections.abc import Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vsearch.cli.console import out, progress, table
from vsearch.core.errors import DatasetError
from vsearch.training.plan_sources import CsvSource, FolderSource, Source

if TYPE_CHECKING:
    from vsearch.training.data.examples import Example
    from vsearch.training.data.records import Inventory

_ARCHIVES = (".tar", ".tgz", ".gz", ".zip")
_SHOWN = 30  # values of a label


@click.group()
def command() -> None:
    """Pack training pictures into TFRecord shards, and look into them."""


def _pairs(context: click.Context, option: click.Parameter, given: tuple[str, ...]) -> dict[str, str]:
    """Turn NAME=COLUMN, or a NAME that is the column's too, into a mapping."""
    return {text.partition("=")[0]: text.partition("=")[2] or text for text in given}


@command.command(
    epilog="Example: vsearch dataset pack labels.csv --images images.tar --label class=category --out packed"
)
@click.argument("source", metavar="PLAN|FOLDER|ARCHIVE|MANIFEST.csv")
@click.option("--out", "target", type=click.Path(path_type=Path), required=True, help="New folder for the shards.")
@click.option("--shards", default=4, show_default=True, type=click.IntRange(1, 99_999), help="Files for each split.")
@click.option(
    "--photos", type=click.Path(path_type=Path), default=Path(), help="Folder a plan's paths are relative to."
)
@click.option("--images", type=click.Path(path_type=Path), help="Folder or archive of a manifest's pictures.")
@click.option(
    "--label", "labels", multiple=True, callback=_pairs, metavar="NAME=COLUMN", help="Label of a manifest; repeatable."
)
@click.option("--group", default="", help="Column of a manifest whose equal values stay in one split.")
@click.option(
    "--val-share", default=0.2, show_default=True, type=click.FloatRange(0, 1), help="Put aside where no split is said."
)
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0), help="Of that split; a plan has its own.")
def pack(source: str, target: Path, shards: int, photos: Path, seed: int, **given: Any) -> None:
    """Pack all sources of a PLAN, a FOLDER or ARCHIVE with one folder for each class, or a MANIFEST.

    A manifest is a CSV with the column image, and perhaps split (train or val). Pictures are packed as they are. How
    often a plan's source repeats is left out: the plan that reads the shards says that.
    """
    from vsearch.training.data import records

    sources, seed, about = _sources(source, seed, given)
    if target.exists():
        raise DatasetError(f"Shards need a new folder, but {target} exists; name another, or remove it.")
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".drawn-") as work, progress("pack") as advance:

        def counted() -> Iterator["Example"]:
            for done, example in enumerate(_examples(sources, photos, Path(work), seed), start=1):
                yield example
                advance(done, 0)

        inventory = records.pack(counted(), target, shards=shards, about=about)
    _show(inventory)


@command.command(epilog="Example: vsearch dataset inspect packed")
@click.argument("folder", type=click.Path(path_type=Path))
def inspect(folder: Path) -> None:
    """Compare every shard of FOLDER with its checksum, and say what they hold."""
    from vsearch.training.data import records

    _show(records.inspect(folder))


def _sources(name: str, seed: int, given: Mapping[str, Any]) -> tuple[tuple[Source, ...], int, dict[str, Any]]:
    """Return the sources that a name stands for, the seed of their splits, and what the index says of them."""
    path = Path(name)
    source: Source
    if path.suffix == ".csv":
        if not given["labels"] or given["images"] is None:
            raise DatasetError(f"A manifest needs --images and at least one --label, but {name} was given alone.")
        source = CsvSource(
            kind="csv", terms="", manifest=path.absolute(), images=given["images"].absolute(), labels=given["labels"],
            group=given["group"], val_share=given["val_share"],
        )  # fmt: skip
    elif path.is_dir() or path.suffix in _ARCHIVES:
        source = FolderSource(kind="folder", terms="", folder=path.absolute(), val_share=given["val_share"])
    else:
        from vsearch.training import plan as plans

        plan = plans.read(name)
        return plan.source, plan.seed, {"plan": plan.model_dump(mode="json")}
    return (source,), seed, {"packed": path.name}


def _examples(sources: tuple[Source, ...], photos: Path, work: Path, seed: int) -> Iterator["Example"]:
    from vsearch.training.data.sources import examples

    return chain.from_iterable(examples(source, photos, work=work, seed=seed) for source in sources)


def _show(inventory: "Inventory") -> None:
    splits = sorted({shard.split for shard in inventory.shards})
    lines = []
    for split in splits:
        sizes = [shard.bytes for shard in inventory.shards if shard.split == split]
        lines.append((split, f"{inventory.count(split)}", f"{len(sizes)}", f"{sum(sizes) / 1e6:.1f}"))
    columns = ("split", "pictures", "shards", "MB")
    table(f"{inventory.folder}: whole", columns, lines, right=columns[1:])
    for label, counts in inventory.labels.items():
        values = sorted({value for of in counts.values() for value in of})
        rows = [(value or "(very many)", *(f"{counts[split].get(value, 0)}" for split in splits)) for value in values]
        table(f"label {label}", ("value", *splits), rows[:_SHOWN], right=splits)
        if len(rows) > _SHOWN:
            out.print(f"and {len(rows) - _SHOWN} more values")
