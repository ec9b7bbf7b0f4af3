"""`vsearch models`: list, show, download, export, compare, promote and roll back models."""

import json
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import asdict
from pathlib import Path
from typing import get_args

import click
import numpy as np

from indexer.build.run_context import current_manifest, exclusive_run
from indexer.promotion import evaluation_set, reader_promotion
from indexer.promotion import promote as promotion
from indexer.promotion.evaluation_set import Photos
from indexer.promotion.model_comparison import CANDIDATE, IN_USE, REFITTED, ModelComparison
from vsearch.cli import ANY_PATH, EXISTING_FILE, EXISTING_PATH, FOLDER, inputs, json_option, pass_settings
from vsearch.cli.console import out, progress, stoppable, table
from vsearch.core.errors import CheckpointError, GenerationCorrupt
from vsearch.core.settings import Settings
from vsearch.imaging.codec import Limits, Picture
from vsearch.index import generation as generations
from vsearch.models import registry
from vsearch.models.checkpoint import CARD, Checkpoint
from vsearch.models.registry import Entry
from vsearch.models.weights import LARGE_ENSEMBLE, pull, weights_file

_ID_LENGTH = 8  # characters of an id in tables
_PURPOSES: dict[registry.Role, str] = {
    "search": "search",
    "reader": "reads article numbers",
    "detector": "detects products in photos",
    "classifier": "classifies photos",
}
_STOPPED = "Stopped; the model in use is unchanged. Run the same command to continue."

TAGS = 500
"""Number of tags that an article-number reader is evaluated on."""

TAG_SEED = 50_000


@click.group()
def models() -> None:
    """List and compare models, and choose the one used for searching."""


@models.command("list")
@json_option
@pass_settings
def list_(settings: Settings, *, as_json: bool) -> None:
    """List all checkpoints on this machine, and show which one is in use.

    The last column is "active", "same networks" if only the class heads differ from those of the active one, or
    "previous" if an older index on disk uses it.
    """
    usage = _usage(settings)
    entries = [(entry, usage(entry)) for entry in registry.list_checkpoints(settings)]
    if as_json:
        fields = [
            asdict(entry) | {"folder": str(entry.folder), "made": entry.made.isoformat(), "in_use": in_use}
            for entry, in_use in entries
        ]
        click.echo(json.dumps(fields, indent=2))
        return
    title = f"Models; the first {_ID_LENGTH} characters of an id are enough"
    lines = [_line(entry, in_use) for entry, in_use in entries]
    table(title, ("id", "plan", "predicts", "MB", "made", "in use"), lines, right=("MB",))
    for entry, _ in entries:
        if entry.problem:
            click.secho(entry.problem, err=True, fg="yellow")
    if settings.checkpoint:
        click.echo(_override_note(settings))


@models.command("show", epilog="Example: vsearch models show 3f9c2a7b")
@click.argument("name", metavar="ID|FOLDER|ZIP")
@pass_settings
def show(settings: Settings, name: str) -> None:
    """Show a checkpoint, its training scores, and its model card."""
    from rich.markdown import Markdown

    with registry.open_checkpoint(settings, name) as checkpoint:
        lines = [("id", checkpoint.checkpoint_id), *_facts(checkpoint, name), *_scores(checkpoint)]
        table(f"Model {registry.plan_of(checkpoint)}".rstrip(), ("", "value"), lines)
        card = checkpoint.folder / CARD
        if card.is_file():
            out.print(Markdown(card.read_text(encoding="utf8")))


@models.command("pull", epilog="Example: vsearch models pull resnet50 vgg16 inception_v3")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--to", type=FOLDER, help="Folder to save the weights in.")
@pass_settings
def pull_(settings: Settings, names: tuple[str, ...], to: Path | None) -> None:
    """Download ImageNet weights of backbones for training; the default is those of the `ensemble` plan.

    They are saved as NAME.weights.h5 in the folder of the `weights` setting, or else in data/weights.
    """
    folder = to or settings.weights or settings.data / "weights"
    for name in names or LARGE_ENSEMBLE:
        file = weights_file(name, folder)
        if file.is_file():
            click.echo(f"{file} already exists.")
            continue
        click.echo(f"Downloading {name} ...", err=True)
        pull(name, folder)
        click.echo(f"{file} ({file.stat().st_size / 1e6:.0f} MB)")
    if folder != settings.weights:
        click.echo(f"Set VSEARCH_WEIGHTS={folder} so that `vsearch train` finds them.")


@models.command("export", epilog="Example: vsearch models export 3f9c2a7b --out sofa-model.zip")
@click.argument("name", metavar="ID|FOLDER")
@click.option("--out", "target", required=True, type=ANY_PATH, help="New .zip file, or new folder.")
@click.option(
    "--format", "kind", type=click.Choice(["checkpoint", "savedmodel"]), default="checkpoint", show_default=True,
    help="A checkpoint for other vsearch installations, or a folder of TensorFlow SavedModels for other programs.",
)  # fmt: skip
@pass_settings
def export(settings: Settings, name: str, target: Path, kind: str) -> None:
    """Write a model to a file or folder; `vsearch models promote` accepts an exported checkpoint."""
    with registry.open_checkpoint(settings, name) as checkpoint:
        if kind == "savedmodel":
            from vsearch.models.tensorflow_startup import import_tensorflow

            import_tensorflow()
            from vsearch.models.network import export_networks

            with progress("export"):
                export_networks(checkpoint, target)
        else:
            registry.export(checkpoint, target)
        click.echo(f"Model {checkpoint.checkpoint_id} was exported to {target}.")


@models.command(epilog="Example: vsearch models compare 3f9c2a7b")
@click.argument("names", nargs=-1, metavar="[[ID] ID]")
@json_option
@pass_settings
def compare(settings: Settings, names: tuple[str, ...], as_json: bool) -> None:
    """Evaluate two models on the evaluation set, each with its own index, without publishing anything.

    A single model is compared with the one in use. Without an ID, the model in use is compared with itself, fitted to
    the photos that were reviewed since. Images that have no stored blocks for a model are encoded first.
    """
    if len(names) > 2:
        raise click.UsageError("Give one model, or two to compare with each other.")
    with ExitStack() as opened, stoppable(_STOPPED):
        *first, second = [None, *(opened.enter_context(registry.open_checkpoint(settings, name)) for name in names)]
        comparison = promotion.compare(settings, second, first[-1] if first else None, progress=progress)
    if as_json:
        click.echo(json.dumps(asdict(comparison), indent=2))
    else:
        _print_comparison(comparison)


@models.command(epilog="Example: vsearch models promote runs/furniture/checkpoint")
@click.argument("name", required=False, metavar="[ID|FOLDER|ZIP]")
@click.option(
    "--allow-drop", default=0.0, show_default=True, type=click.FloatRange(0, 1),
    help="Accepted loss of hit@1 and of hit@5, or of the proportion of tags read correctly.",
)  # fmt: skip
@click.option("--reason", default="", help="Why a loss is accepted; it is recorded with the run.")
@pass_settings
def promote(settings: Settings, name: str | None, allow_drop: float, reason: str) -> None:
    """Replace the model in use with another one, unless the new one is clearly worse on the evaluation set.

    Without a model, the one in use is fitted to the photos that were reviewed since it was published.

    Clearly worse means that the whole 95 % interval of the difference in hit@1 or hit@5 is below the accepted loss. An
    index is built for it first. Model and index change together, and `vsearch models rollback` undoes both. A
    checkpoint that only reads article numbers is evaluated on synthetic tags and replaces the article-number reader;
    one that only detects products searches the index in use with its own boxes and replaces the detector.
    """
    with ExitStack() as opened, stoppable(_STOPPED):
        candidate = opened.enter_context(registry.open_checkpoint(settings, name)) if name else None
        role = registry.role_of(candidate) if candidate else "search"
        if candidate and role in ("reader", "detector"):
            promote_role = _promote_reader if role == "reader" else _promote_detector
            promote_role(settings, candidate, allow_drop)
            click.echo(f"`vsearch models rollback --role {role}` undoes this.")
            return
        result = promotion.promote(settings, candidate, allow_drop=allow_drop, reason=reason, progress=progress)
        own = candidate.checkpoint_id if candidate else ""
    new, generation_id = result.report.checkpoint_id, result.report.generation_id
    if result.comparison is None:
        click.echo(f"Model {new} is already in use, and its index is up to date.")
        return
    _print_comparison(result.comparison)
    derived = "" if own in ("", new) else f" ({own} with this shop's class heads)"
    click.echo(
        f"Model {new}{derived} is now in use, with generation {generation_id}; the web server follows within seconds. "
        "`vsearch models rollback` undoes this."
    )


def _promote_reader(settings: Settings, candidate: Checkpoint, allow_drop: float) -> None:
    result = reader_promotion.promote_reader(settings, candidate, _draw_tags, allow_drop=allow_drop, progress=progress)
    click.echo(f"Result: {result.text()}.")
    click.echo(f"Model {result.candidate} now reads article numbers.")


def _promote_detector(settings: Settings, candidate: Checkpoint, allow_drop: float) -> None:
    _print_comparison(promotion.promote_detector(settings, candidate, allow_drop=allow_drop, progress=progress))
    click.echo(f"Model {candidate.checkpoint_id} now detects products.")


@models.command()
@click.option("--role", type=click.Choice(["search", "reader", "detector"]), default="search", show_default=True)
@pass_settings
def rollback(settings: Settings, role: str) -> None:
    """Undo the last promotion: return to the previous model and its last index; nightly jobs continue with it."""
    if role == "reader":
        reader = reader_promotion.rollback_reader(settings)
        click.echo(f"Model {reader.checkpoint_id} reads tags again." if reader else "No model reads tags anymore.")
        return
    if role == "detector":
        detector = promotion.rollback_detector(settings)
        click.echo(f"Model {detector.checkpoint_id} detects products again." if detector else "No model detects them.")
        return
    result = promotion.rollback(settings)
    click.echo(
        f"Rolled back from generation {result.before}; model {result.now.checkpoint_id} is in use again, with "
        f"generation {result.now.generation_id} from {result.now.created_at:%Y-%m-%d %H:%M} UTC."
    )
    if settings.checkpoint:
        click.echo(_override_note(settings))


@models.command(
    "evaluation-set", epilog="Example: vsearch models evaluation-set --photos phone-photos --answers answers.csv"
)
@click.option("--photos", "source", type=EXISTING_PATH, help="Folder or tar of photos.")
@click.option(
    "--answers", type=EXISTING_FILE, help="CSV: photo, sku. A photo with several rows has several correct products."
)
@click.option("--reviewed", is_flag=True, help="Use the reviewed photos of products that are not trained on.")
@click.option("--replace", is_flag=True, help="Replace the existing set; scores on the two are not comparable.")
@pass_settings
def create_evaluation_set(
    settings: Settings, *, source: Path | None, answers: Path | None, reviewed: bool, replace: bool
) -> None:
    """Create the evaluation set for comparing models, from shoppers' photos or synthetic photos of 250 products.

    Shoppers' photos are your own, or those reviewed on the admin pages. If you never run this command, the first
    comparison creates synthetic photos. The set does not change afterwards.
    """
    if (source is None) != (answers is None):
        raise click.UsageError("Give both --photos and --answers, or neither.")
    if reviewed and source:
        raise click.UsageError("Give either --reviewed or --photos.")
    own = _own_photos(settings, source, answers) if source and answers else None
    with exclusive_run(settings, progress=progress) as context:
        photos, sources = evaluation_set.reviewed_photos(context) if reviewed else (own, [])
        created = evaluation_set.create(context, photos, sources=sources, replace=replace)
    click.echo(f"Models are now compared on evaluation set {created}, stored in {created.folder}.")


def _usage(settings: Settings) -> Callable[[Entry], str]:
    """Return a function that describes how a checkpoint is used."""
    current = current_manifest(settings)
    active = {current.checkpoint_id} if current else set()
    for role in get_args(registry.PromotedRole):
        try:
            if model := registry.active(settings, role):
                active.add(model.checkpoint_id)
        except CheckpointError as error:
            click.secho(str(error), err=True, fg="yellow")
    previous = set()
    for generation_id in generations.generation_ids(settings.generations):
        with suppress(GenerationCorrupt):
            previous.add(generations.read_manifest(settings.generations / generation_id).checkpoint_id)

    def usage(entry: Entry) -> str:
        if entry.checkpoint_id in active:
            return "active"
        if current and entry.blocks_id and entry.blocks_id == current.blocks_id:
            return "same networks"
        return "previous" if entry.checkpoint_id in previous else ""

    return usage


def _line(entry: Entry, in_use: str) -> tuple[str, ...]:
    predicts = "damaged" if entry.problem else ", ".join(entry.heads)
    made = "bundled" if entry.where == "bundled" else f"{entry.made:%Y-%m-%d}"
    return (entry.checkpoint_id[:_ID_LENGTH], entry.plan, predicts, f"{entry.size / 1e6:.1f}", made, in_use)


def _facts(checkpoint: Checkpoint, name: str) -> list[tuple[str, str]]:
    size = sum(file.stat().st_size for file in checkpoint.folder.iterdir())
    blocks = (
        f"{checkpoint.blocks_id}, {sum(checkpoint.retrieval.block_sizes.values())} dimensions"
        if checkpoint.searchable
        else "none"
    )
    return [
        ("purpose", _PURPOSES[registry.role_of(checkpoint)]),
        ("networks", ", ".join(checkpoint.backbones)),
        ("predicts", ", ".join(registry.heads_of(checkpoint))),
        ("blocks", blocks),
        ("from", name if name.endswith(".zip") else str(checkpoint.folder)),
        ("size", f"{size / 1e6:.1f} MB"),
        *((library, str(version)) for library, version in checkpoint.about.get("versions", {}).items()),
    ]


def _scores(checkpoint: Checkpoint) -> list[tuple[str, str]]:
    """Return all numbers that the training run recorded, named by their paths."""
    found: list[tuple[str, str]] = []

    def walk(name: str, value: object) -> None:
        if isinstance(value, dict):
            for key, inner in value.items():
                walk(f"{name} {key}".strip(), inner)
        elif isinstance(value, int | float):
            found.append((name, f"{value:.4g}"))

    walk("", checkpoint.about.get("figures", {}))
    return found


def _override_note(settings: Settings) -> str:
    effect = f"The `checkpoint` setting names {settings.checkpoint}, so the next index run uses that model."
    return f"{effect} Remove VSEARCH_CHECKPOINT, or the line in vsearch.toml, to keep the model in use."


def _draw_tags(digits: int) -> Sequence[tuple[Picture, str]]:
    from vsearch.training.tags import draw_tag

    drawn = []
    with progress("draw tags") as advance:
        for number in range(TAGS):
            drawn.append(draw_tag(np.random.default_rng([TAG_SEED, digits, number]), digits))  # type: ignore[arg-type]
            advance(number + 1, TAGS)
    return drawn


def _own_photos(settings: Settings, source: Path, answers: Path) -> Photos:
    skus = {query.photo: set(query.grades) for query in inputs.read_photo_queries(answers, whole=True)}
    for name, picture in inputs.decode_named_photos(source, skus, Limits.from_settings(settings), file=answers):
        yield picture, skus[name]


def _print_comparison(result: ModelComparison) -> None:
    figures = result.comparison
    scores = {"hit@1": figures.hit_at_1, "hit@5": figures.hit_at_5, "reciprocal rank": figures.mrr}
    if result.class_accuracy:
        scores["right class"] = result.class_accuracy
    rows = []
    for name, paired in scores.items():
        change = paired.difference
        numbers = (f"{paired.first:.3f}", f"{paired.second:.3f}", f"{change.mean:+.3f}")
        rows.append((name, *numbers, f"{change.low:+.3f} to {change.high:+.3f}"))
    titles = {IN_USE: "in use", CANDIDATE: "candidate", REFITTED: "refitted"}
    names = [titles.get(name, name[:8]) for name in (result.first, result.second)]
    columns = ("mean", *names, "difference", "95 % interval")
    title = f"Evaluation set {result.evaluation}; {figures.queries} queries among {result.pictures} catalog images"
    table(title, columns, rows, right=columns[1:])
    click.echo(f"A search takes {result.milliseconds[0]:.0f} and {result.milliseconds[1]:.0f} ms (median).")
    if result.synthetic:
        click.echo(
            "Synthetic photos are easier than shoppers' photos: compare the scores only with each other. Create a set "
            "of shoppers' photos with `vsearch models evaluation-set --photos FOLDER --answers FILE --replace`."
        )
    if result.skipped:
        click.echo(f"Photos skipped because their products are withdrawn or not in both indexes: {result.skipped}.")
