"""The sub-commands of `vsearch models` that compare, promote and roll back models."""

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import click
import numpy as np

from indexer.build.index_run import exclusive_run
from indexer.promotion import evaluation_set, reader_promotion
from indexer.promotion import promote as promotion
from indexer.promotion.evaluation_set import Photos
from indexer.promotion.promote import ModelComparison
from vsearch.cli import ground_truth, pass_settings, photos
from vsearch.cli.console import STOPPED, progress, table
from vsearch.core.settings import Settings
from vsearch.evaluation.comparison import Paired
from vsearch.imaging.codec import Limits, Picture
from vsearch.models import registry
from vsearch.models.checkpoint import Checkpoint

TAGS = 500
"""Tags drawn to measure a reader of article numbers with."""

TAG_SEED = 50_000


@click.command(epilog="Example: vsearch models compare 3f9c2a7b")
@click.argument("names", nargs=-1, required=True, metavar="[ID] ID")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@pass_settings
def compare(settings: Settings, names: tuple[str, ...], as_json: bool) -> None:
    """Measure two models on the evaluation set, each with an index of its own, and publish nothing.

    A single model is compared with the one in use. Pictures without stored blocks of a model are encoded first.
    """
    if len(names) > 2:
        raise click.UsageError("Give one model, or two to compare with each other.")
    with (
        registry.open_checkpoint(settings, names[-1]) as second,
        registry.open_checkpoint(settings, names[0]) as first,
        _stoppable(),
    ):
        other = first if len(names) == 2 else None
        comparison = promotion.compare(settings, second, other, progress=progress)
    if as_json:
        click.echo(json.dumps(asdict(comparison), indent=2))
    else:
        _print_comparison(comparison)


@click.command(epilog="Example: vsearch models promote runs/furniture/checkpoint")
@click.argument("name", metavar="ID|FOLDER|ZIP")
@click.option(
    "--allow-drop",
    default=0.0,
    show_default=True,
    type=click.FloatRange(0, 1),
    help="Accepted loss of mean reciprocal rank, or of the share of tags read correctly.",
)
@pass_settings
def promote(settings: Settings, name: str, allow_drop: float) -> None:
    """Replace the model in use by another one that finds no worse on the evaluation set.

    An index is built for it first; model and index change together, and `vsearch models rollback` undoes both. A
    checkpoint that only reads article numbers is measured on drawn tags and becomes the reader.
    """
    with registry.open_checkpoint(settings, name) as candidate, _stoppable():
        if registry.role_of(candidate) == "reader":
            comparison = reader_promotion.promote_reader(
                settings, candidate, _draw_tags, allow_drop=allow_drop, progress=progress
            )
            click.echo(f"Result: {comparison.text()}.")
            click.echo(
                f"Model {comparison.candidate} now reads article numbers. "
                "`vsearch models rollback --role reader` undoes this."
            )
        else:
            _promote(settings, candidate, allow_drop)


@click.command()
@click.option("--role", type=click.Choice(["search", "reader"]), default="search", show_default=True)
@pass_settings
def rollback(settings: Settings, role: str) -> None:
    """Undo the last promotion: return to the previous model and its last index; nightly jobs continue with it."""
    if role == "reader":
        reader = reader_promotion.rollback_reader(settings)
        click.echo(f"Model {reader.checkpoint_id} reads tags again." if reader else "No model reads tags now.")
        return
    result = promotion.rollback(settings)
    click.echo(
        f"Rolled back from generation {result.before}; model {result.now.checkpoint_id} searches again, with "
        f"generation {result.now.generation_id} of {result.now.created_at:%Y-%m-%d %H:%M} UTC."
    )
    if settings.checkpoint:
        click.echo(override_note(settings))


@click.command(
    "evaluation-set", epilog="Example: vsearch models evaluation-set --photos phone-photos --answers answers.csv"
)
@click.option("--photos", "source", type=click.Path(exists=True, path_type=Path), help="Folder or tar of photos.")
@click.option(
    "--answers",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="CSV: photo, sku. A photo with several rows has several right products.",
)
@click.option("--replace", is_flag=True, help="Replace the existing set; figures before and after are not comparable.")
@pass_settings
def create_evaluation_set(settings: Settings, source: Path | None, answers: Path | None, replace: bool) -> None:
    """Create the evaluation set that models are measured with: your own photos, or synthetic photos of 250 products.

    Without this command the first comparison creates synthetic photos. The set does not change afterwards.
    """
    if (source is None) != (answers is None):
        raise click.UsageError("Give both --photos and --answers, or neither.")
    own = _own_photos(settings, source, answers) if source and answers else None
    with exclusive_run(settings, progress=progress) as context:
        created = evaluation_set.create(context, own, replace=replace)
    click.echo(f"Models are now measured with evaluation set {created}, stored in {created.folder}.")


def override_note(settings: Settings) -> str:
    """Return how the setting checkpoint overrides the model in use."""
    return (
        f"The setting checkpoint names {settings.checkpoint}, so the next index run uses that model. "
        "Remove the setting (VSEARCH_CHECKPOINT, vsearch.toml) to keep the model in use."
    )


def _promote(settings: Settings, candidate: Checkpoint, allow_drop: float) -> None:
    result = promotion.promote(settings, candidate, allow_drop=allow_drop, progress=progress)
    new, generation_id = result.report.checkpoint_id, result.report.generation_id
    if result.comparison is None:
        click.echo(f"Model {new} is in use already, and its index is up to date.")
        return
    _print_comparison(result.comparison)
    derived = "" if new == candidate.checkpoint_id else f" ({candidate.checkpoint_id} with class heads of this shop)"
    click.echo(
        f"Model {new}{derived} now searches, with generation {generation_id}; the page follows within seconds. "
        "`vsearch models rollback` undoes this."
    )


def _draw_tags(digits: int) -> Sequence[tuple[Picture, str]]:
    from vsearch.training.tags import draw_tag

    drawn = []
    with progress("draw tags") as advance:
        for number in range(TAGS):
            drawn.append(draw_tag(np.random.default_rng([TAG_SEED, digits, number]), digits))  # type: ignore[arg-type]
            advance(number + 1, TAGS)
    return drawn


def _own_photos(settings: Settings, source: Path, answers: Path) -> Photos:
    """Yield photos with their skus.

    Raises:
        DatasetError: a row names a photo that is missing or cannot be read.
    """
    skus = {query.photo: set(query.grades) for query in ground_truth.read_photo_queries(answers, whole=True)}
    for name, picture in photos.decode_named(source, skus, Limits.from_settings(settings), file=answers):
        yield picture, skus[name]


def _print_comparison(result: ModelComparison) -> None:
    figures = result.comparison
    rows = [
        ("hit@1", *_cells(figures.hit_at_1)),
        ("hit@5", *_cells(figures.hit_at_5)),
        ("reciprocal rank", *_cells(figures.mrr)),
    ]
    titles = {promotion.IN_USE: "in use", promotion.CANDIDATE: "candidate"}
    models = [titles.get(name, name[:8]) for name in (result.first, result.second)]
    columns = ("mean", *models, "difference", "95 % interval")
    title = f"Evaluation set {result.evaluation}; {figures.queries} queries among {result.pictures} catalog pictures"
    table(title, columns, rows, right=columns[1:])
    if result.skipped:
        click.echo(f"Photos skipped because their products are withdrawn or not in both indexes: {result.skipped}.")


def _cells(paired: Paired) -> tuple[str, ...]:
    change = paired.difference
    return (
        f"{paired.first:.3f}",
        f"{paired.second:.3f}",
        f"{change.mean:+.3f}",
        f"{change.low:+.3f} to {change.high:+.3f}",
    )


@contextmanager
def _stoppable() -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        click.echo("\nStopped; the model in use is unchanged. Run the same command to continue.", err=True)
        sys.exit(STOPPED)
