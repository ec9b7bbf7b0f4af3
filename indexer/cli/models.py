"""`vsearch models`: list, show, fetch, export, compare and promote models."""

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

import click

from indexer.build.index_run import current_manifest
from indexer.cli import promotion
from vsearch.cli import pass_settings
from vsearch.cli.console import out, progress, table
from vsearch.core.errors import CheckpointError, GenerationCorrupt
from vsearch.core.settings import Settings
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


@click.group()
def command() -> None:
    """List models, compare them, and choose which one searches."""


for _step in (promotion.compare, promotion.promote, promotion.rollback, promotion.create_evaluation_set):
    command.add_command(_step)


@command.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@pass_settings
def list_(settings: Settings, *, as_json: bool) -> None:
    """Show every checkpoint on this machine, and which one is in use.

    The last column is "active", "same networks" if the active one differs only in its class heads, or "previous" if an
    older index on disk uses it.
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
        click.echo(promotion.override_note(settings))


@command.command("show", epilog="Example: vsearch models show 3f9c2a7b")
@click.argument("name", metavar="ID|FOLDER|ZIP")
@pass_settings
def show(settings: Settings, name: str) -> None:
    """Show a checkpoint, its scores in training, and its model card."""
    from rich.markdown import Markdown

    with registry.open_checkpoint(settings, name) as checkpoint:
        lines = [("id", checkpoint.checkpoint_id), *_facts(checkpoint, name), *_scores(checkpoint)]
        table(f"Model {registry.plan_of(checkpoint)}".rstrip(), ("", "value"), lines)
        card = checkpoint.folder / CARD
        if card.is_file():
            out.print(Markdown(card.read_text(encoding="utf8")))


@command.command("pull", epilog="Example: vsearch models pull resnet50 vgg16 inception_v3")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--to", type=click.Path(file_okay=False, path_type=Path), help="Folder to save them in.")
@pass_settings
def pull_(settings: Settings, names: tuple[str, ...], to: Path | None) -> None:
    """Download ImageNet weights of backbones for training; without names, those of the plan `ensemble`.

    They are saved as NAME.weights.h5 in the folder of the setting weights, or in data/weights.
    """
    folder = to or settings.weights or settings.data / "weights"
    for name in names or LARGE_ENSEMBLE:
        file = weights_file(name, folder)
        if file.is_file():
            click.echo(f"{file} exists already.")
            continue
        click.echo(f"Downloading {name} ...", err=True)
        pull(name, folder)
        click.echo(f"{file} ({file.stat().st_size / 1e6:.0f} MB)")
    if folder != settings.weights:
        click.echo(f"Set VSEARCH_WEIGHTS={folder} so that `vsearch train` finds them.")


@command.command("export", epilog="Example: vsearch models export 3f9c2a7b --out sofa-model.zip")
@click.argument("name", metavar="ID|FOLDER")
@click.option("--out", "target", required=True, type=click.Path(path_type=Path), help="New .zip file, or new folder.")
@click.option(
    "--format", "kind", type=click.Choice(["checkpoint", "savedmodel"]), default="checkpoint", show_default=True,
    help="A checkpoint for another vsearch, or a folder of TensorFlow SavedModels for other programs.",
)  # fmt: skip
@pass_settings
def export(settings: Settings, name: str, target: Path, kind: str) -> None:
    """Write a model to a file or folder, which `vsearch models promote` accepts and verifies."""
    with registry.open_checkpoint(settings, name) as checkpoint:
        if kind == "savedmodel":
            from vsearch.models.classifier import export_networks

            with progress("export"):
                export_networks(checkpoint, target)
        else:
            registry.export(checkpoint, target)
        click.echo(f"Model {checkpoint.checkpoint_id} was exported to {target}.")


def _usage(settings: Settings) -> Callable[[Entry], str]:
    """Return a function that says how a checkpoint is used."""
    current = current_manifest(settings)
    try:
        reader = registry.reader_checkpoint(settings)
    except CheckpointError as error:
        click.secho(str(error), err=True, fg="yellow")
        reader = None
    active = {model.checkpoint_id for model in (current, reader) if model}
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
    """Return all numbers that the training wrote, with their paths as names."""
    found: list[tuple[str, str]] = []

    def walk(name: str, value: object) -> None:
        if isinstance(value, dict):
            for key, inner in value.items():
                walk(f"{name} {key}".strip(), inner)
        elif isinstance(value, int | float):
            found.append((name, f"{value:.4g}"))

    walk("", checkpoint.about.get("figures", {}))
    return found
