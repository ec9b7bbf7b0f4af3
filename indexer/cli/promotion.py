"""The part of `vsearch models` that changes which model is in use, and measures before it does."""

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import click
import numpy as np

from indexer.promotion import promote as promoting
from indexer.promotion import reader_promotion
from indexer.promotion.comparison import Trial
from indexer.promotion.evaluation_set import Shots
from vsearch.cli import ground_truth, pass_settings, photos
from vsearch.cli.console import progress, table
from vsearch.core.errors import DatasetError, ImageRejected
from vsearch.core.settings import Settings
from vsearch.evaluation.comparison import Paired
from vsearch.imaging.codec import Limits, Picture, decode
from vsearch.models import registry
from vsearch.models.checkpoint import Checkpoint

TAGS = 500
"""Tags drawn to measure a reader of article numbers with."""

TAG_SEED = 50_000
STOPPED = 130
_MAX_SIDE = 1600  # px of the photos that are kept


@click.command(epilog="Example: vsearch models compare 3f9c2a7b")
@click.argument("named", nargs=-1, required=True, metavar="[ID] ID")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@pass_settings
def compare(settings: Settings, named: tuple[str, ...], as_json: bool) -> None:
    """Measure two models on the frozen evaluation set, each with an index of its own, and publish nothing.

    Given one, it is compared with the model in use. Pictures that have no blocks of a model yet are encoded first.
    """
    if len(named) > 2:
        raise click.UsageError("Two models are compared, or one with the model in use.")
    with (
        registry.open_checkpoint(settings, named[-1]) as second,
        registry.open_checkpoint(settings, named[0]) as first,
        _stoppable(),
    ):
        other = first if len(named) == 2 else None
        trial = promoting.compare(settings, second, other, progress=progress)
    if as_json:
        click.echo(json.dumps(asdict(trial), indent=2))
    else:
        _show(trial)


@click.command(epilog="Example: vsearch models promote runs/furniture/checkpoint")
@click.argument("named", metavar="ID|FOLDER|ZIP")
@click.option(
    "--allow-drop",
    default=0.0,
    show_default=True,
    type=click.FloatRange(0, 1),
    help="Loss that is accepted knowingly: of mean reciprocal rank, or of tags read right; as a share of 1.",
)
@pass_settings
def promote(settings: Settings, named: str, allow_drop: float) -> None:
    """Let a model take the place of the one in use, if it finds no worse on the frozen evaluation set.

    An index is built for it first; model and index change together, and `vsearch models rollback` takes both back. A
    checkpoint that only reads article numbers is measured on drawn tags and becomes the reader.
    """
    with registry.open_checkpoint(settings, named) as candidate, _stoppable():
        if registry.role_of(candidate) == "reader":
            _promote_reader(settings, candidate, allow_drop)
        else:
            _promote(settings, candidate, allow_drop)


@click.command()
@click.option("--role", type=click.Choice(["search", "reader"]), default="search", show_default=True)
@pass_settings
def rollback(settings: Settings, role: str) -> None:
    """Take the last promotion back: the model before and its last index, at once; the nights go on with it."""
    if role == "reader":
        reader = reader_promotion.rollback_reader(settings)
        click.echo(f"Model {reader.checkpoint_id} reads tags again." if reader else "No model reads tags now.")
        return
    back = promoting.rollback(settings)
    click.echo(
        f"Rolled back from generation {back.before}; model {back.now.checkpoint_id} searches again, with generation "
        f"{back.now.generation_id} of {back.now.created_at:%Y-%m-%d %H:%M} UTC."
    )
    if settings.checkpoint:
        click.echo(overriding(settings))


@click.command(epilog="Example: vsearch models freeze --photos phone-photos --answers answers.csv")
@click.option("--photos", "source", type=click.Path(exists=True, path_type=Path), help="Folder or tar of photos.")
@click.option(
    "--answers",
    "right",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="CSV: photo, sku. Several rows with one photo name several right products.",
)
@click.option("--replace", is_flag=True, help="Take the place of the set there is; figures cannot be compared then.")
@pass_settings
def freeze(settings: Settings, source: Path | None, right: Path | None, replace: bool) -> None:
    """Freeze the photos that models are measured with: your own, or made shopper photos of 250 products.

    Without it, the first comparison makes such photos. Afterwards the set stays as it is.
    """
    if (source is None) != (right is None):
        raise click.UsageError("--photos and --answers belong together: give both or neither.")
    shots = _own_shots(settings, source, right) if source and right else None
    with progress("freeze"):
        frozen = promoting.freeze(settings, shots, replace=replace)
    click.echo(f"Models are measured with evaluation set {frozen} from now on; it is in {frozen.folder}.")


def overriding(settings: Settings) -> str:
    """Return what the setting checkpoint does to the model that the index names."""
    return (
        f"The setting checkpoint names {settings.checkpoint}: the next index run goes on with that one, whatever is in "
        "use now; remove it (VSEARCH_CHECKPOINT, vsearch.toml) to go on with the model in use."
    )


def _promote(settings: Settings, candidate: Checkpoint, allow_drop: float) -> None:
    promotion = promoting.promote(settings, candidate, allow_drop=allow_drop, progress=progress)
    report = promotion.report
    if promotion.trial is None:
        click.echo(f"Model {report.checkpoint_id} is in use already, with an index that is up to date.")
        return
    _show(promotion.trial)
    new = report.checkpoint_id
    derived = "" if new == candidate.checkpoint_id else f" ({candidate.checkpoint_id} with class heads of this shop)"
    click.echo(
        f"Model {new}{derived} searches now, with generation {report.generation_id}; the page follows within "
        "seconds. `vsearch models rollback` takes both back."
    )


def _promote_reader(settings: Settings, candidate: Checkpoint, allow_drop: float) -> None:
    trial = reader_promotion.promote_reader(settings, candidate, _tags, allow_drop=allow_drop, progress=progress)
    click.echo(f"Read right: {trial.sentence()}.")
    click.echo(
        f"Model {trial.candidate} reads article numbers now; `vsearch models rollback --role reader` takes it back."
    )


def _tags(digits: int) -> Sequence[tuple[Picture, str]]:
    from vsearch.training.tags import draw_tag

    with progress("draw tags") as advance:
        drawn = []
        for number in range(TAGS):
            drawn.append(draw_tag(np.random.default_rng([TAG_SEED, digits, number]), digits))  # type: ignore[arg-type]
            advance(number + 1, TAGS)
    return drawn


def _own_shots(settings: Settings, source: Path, file: Path) -> Shots:
    """Yield the photos of a folder with their skus.

    Raises:
        DatasetError: a row names a photo that is not there or cannot be read.
    """
    right = {Path(name).stem: (name, skus) for name, skus in ground_truth.read_photo_skus(file).items()}
    for photo in photos.read([source]):
        if photo.name in right:
            _, skus = right.pop(photo.name)
            try:
                yield decode(photo.data, Limits.from_settings(settings), max_side=_MAX_SIDE), skus
            except ImageRejected as error:
                raise DatasetError(f"Every photo must be readable, but {photo.file} is not: {error}") from None
    for name, _ in right.values():
        raise DatasetError(f"Every row needs its photo, but {name!r} of {file} is not among {source}; check both.")


def _show(trial: Trial) -> None:
    figures = trial.comparison
    lines = [
        ("hit@1", *_percent(figures.hit_at_1)),
        ("hit@5", *_percent(figures.hit_at_5)),
        ("reciprocal rank", *_share(figures.mrr)),
    ]
    titles = {promoting.LIVE: "in use", promoting.CANDIDATE: "candidate"}
    short = [titles.get(name, name[:8]) for name in (trial.first, trial.second)]
    columns = ("mean", *short, "difference", "95 % interval")
    title = f"Evaluation set {trial.evaluation}; {figures.queries} asked among {trial.pictures} catalogue pictures"
    table(title, columns, lines, right=columns[1:])
    if trial.left_out:
        click.echo(f"{trial.left_out} photos are left out: their products are withdrawn, or not in both indexes.")


def _percent(paired: Paired) -> tuple[str, ...]:
    first, second, change, low, high = (100 * share for share in _numbers(paired))
    return f"{first:.1f} %", f"{second:.1f} %", f"{change:+.1f}", f"{low:+.1f} to {high:+.1f}"


def _share(paired: Paired) -> tuple[str, ...]:
    first, second, change, low, high = _numbers(paired)
    return f"{first:.3f}", f"{second:.3f}", f"{change:+.3f}", f"{low:+.3f} to {high:+.3f}"


def _numbers(paired: Paired) -> tuple[float, ...]:
    change = paired.difference
    return paired.first, paired.second, change.mean, change.low, change.high


@contextmanager
def _stoppable() -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        click.echo("\nStopped; the model in use is unchanged, and the same command goes on from here.", err=True)
        sys.exit(STOPPED)
