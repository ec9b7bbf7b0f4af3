"""`vsearch models`: what models there are, which one searches, and how another takes its place."""

import json
from dataclasses import asdict
from pathlib import Path

import click

from indexer.build.run import current_manifest
from indexer.cli import promotion
from vsearch.cli import pass_settings
from vsearch.cli.console import out, progress, table
from vsearch.core.errors import CheckpointError, GenerationCorrupt
from vsearch.core.settings import Settings
from vsearch.index import generation as generations
from vsearch.index.manifest import Manifest
from vsearch.models import registry
from vsearch.models.checkpoint import CARD, Checkpoint
from vsearch.models.registry import Entry
from vsearch.models.weights import LARGE_ENSEMBLE, pull, weights_file

_SHORT = 8
_FOR: dict[registry.Role, str] = {
    "search": "search",
    "reader": "reads tags",
    "finder": "finds products in photos",
    "classifier": "classifies photos",
}


@click.group()
def command() -> None:
    """List models, compare them, and let another one search."""


for _step in (promotion.compare, promotion.promote, promotion.rollback, promotion.freeze):
    command.add_command(_step)


@command.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@pass_settings
def list_(settings: Settings, *, as_json: bool) -> None:
    """Show every checkpoint on this machine, and which one is in use.

    The last column says "now"; "its networks" where the index in use is of the same networks with other class heads;
    and "before" where an index on disk is of it.
    """
    entries, use = registry.list_checkpoints(settings), _Use(settings)
    if as_json:
        click.echo(json.dumps([_plain(entry, use.of(entry)) for entry in entries], indent=2))
        return
    columns = ("id", "plan", "says", "MB", "made", "in use")
    table(
        f"Models; the first {_SHORT} characters of an id are enough",
        columns,
        [_line(entry, use.of(entry)) for entry in entries],
        right=("MB",),
    )
    for entry in entries:
        if entry.problem:
            click.secho(entry.problem, err=True, fg="yellow")
    if settings.checkpoint:
        click.echo(promotion.overriding(settings))


@command.command("show", epilog="Example: vsearch models show 3f9c2a7b")
@click.argument("named", metavar="ID|FOLDER")
@pass_settings
def show(settings: Settings, named: str) -> None:
    """Show what a checkpoint is, the figures of its training, and its card."""
    from rich.markdown import Markdown

    with registry.open_checkpoint(settings, named) as checkpoint:
        lines = [("id", checkpoint.checkpoint_id), *_facts(checkpoint, named), *_figures(checkpoint)]
        table(f"Model {registry.plan_of(checkpoint)}".rstrip(), ("", "value"), lines)
        card = checkpoint.folder / CARD
        if card.is_file():
            out.print(Markdown(card.read_text(encoding="utf8")))


@command.command("pull", epilog="Example: vsearch models pull resnet50 vgg16 inception_v3")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--to", type=click.Path(file_okay=False, path_type=Path), help="Folder; see below for the default.")
@pass_settings
def pull_(settings: Settings, names: tuple[str, ...], to: Path | None) -> None:
    """Fetch ImageNet weights of backbones, to train with; without names those of the plan `ensemble`.

    They are kept as NAME.weights.h5 in the folder of the setting weights, or in data/weights.
    """
    folder = to or settings.weights or settings.data / "weights"
    for name in names or LARGE_ENSEMBLE:
        if weights_file(name, folder).is_file():
            click.echo(f"{weights_file(name, folder)} is there already.")
            continue
        click.echo(f"Fetching {name} ...", err=True)
        file = pull(name, folder)
        click.echo(f"{file} ({file.stat().st_size / 1e6:.0f} MB)")
    if folder != settings.weights:
        click.echo(f"Set VSEARCH_WEIGHTS={folder} so that `vsearch train` finds them.")


@command.command("export", epilog="Example: vsearch models export 3f9c2a7b --out sofa-model.zip")
@click.argument("named", metavar="ID|FOLDER")
@click.option("--out", "target", required=True, type=click.Path(path_type=Path), help="New .zip file, or new folder.")
@click.option(
    "--format",
    "kind",
    type=click.Choice(["checkpoint", "savedmodel"]),
    default="checkpoint",
    show_default=True,
    help="A checkpoint for another vsearch, or a folder of TensorFlow SavedModels for other programs.",
)
@pass_settings
def export(settings: Settings, named: str, target: Path, kind: str) -> None:
    """Write a model whole to one file or folder; `vsearch models promote` takes either, and checks every file."""
    with registry.open_checkpoint(settings, named) as checkpoint:
        if kind == "savedmodel":
            from vsearch.models.predictor import export_networks

            with progress("export"):
                export_networks(checkpoint, target)
        else:
            registry.export(checkpoint, target)
        click.echo(f"Model {checkpoint.checkpoint_id} is in {target}.")


class _Use:
    """What is in use, and what was."""

    def __init__(self, settings: Settings) -> None:
        self._current = current_manifest(settings)
        self._reader = _reader_id(settings)
        folder = settings.generations
        self._kept = [kept for name in generations.generation_ids(folder) if (kept := _manifest(folder / name))]

    def of(self, entry: Entry) -> str:
        """Return the words of the last column."""
        if self._reader == entry.checkpoint_id:
            return "now"
        if self._current and entry.checkpoint_id == self._current.checkpoint_id:
            return "now"
        if self._current and entry.blocks_id and entry.blocks_id == self._current.blocks_id:
            return "its networks"
        return "before" if any(kept.checkpoint_id == entry.checkpoint_id for kept in self._kept) else ""


def _manifest(path: Path) -> Manifest | None:
    try:
        return generations.read_manifest(path)
    except GenerationCorrupt:
        return None


def _reader_id(settings: Settings) -> str:
    try:
        reader = registry.reader_checkpoint(settings)
    except CheckpointError as error:
        click.secho(str(error), err=True, fg="yellow")
        return ""
    return reader.checkpoint_id if reader else ""


def _line(entry: Entry, use: str) -> tuple[str, ...]:
    says = "damaged" if entry.problem else ", ".join(entry.heads)
    made = "bundled" if entry.where == "bundled" else f"{entry.made:%Y-%m-%d}"
    return (entry.checkpoint_id[:_SHORT], entry.plan, says, f"{entry.size / 1e6:.1f}", made, use)


def _plain(entry: Entry, use: str) -> dict[str, object]:
    return asdict(entry) | {"folder": str(entry.folder), "made": entry.made.isoformat(), "in_use": use}


def _facts(checkpoint: Checkpoint, named: str) -> list[tuple[str, str]]:
    size = sum(file.stat().st_size for file in checkpoint.folder.iterdir())
    return [
        ("for", _FOR[registry.role_of(checkpoint)]),
        ("networks", ", ".join(checkpoint.backbones)),
        ("says", ", ".join(registry.heads_of(checkpoint))),
        ("blocks", f"{checkpoint.blocks_id}, {sum(checkpoint.block_sizes.values())} numbers a picture")
        if checkpoint.searchable
        else ("blocks", "none"),
        ("from", named if named.endswith(".zip") else str(checkpoint.folder)),
        ("size", f"{size / 1e6:.1f} MB"),
        *((name, str(found)) for name, found in checkpoint.about.get("versions", {}).items()),
    ]


def _figures(checkpoint: Checkpoint) -> list[tuple[str, str]]:
    """Return the figures that the training wrote, however deep they lie."""
    found: list[tuple[str, str]] = []

    def walk(name: str, value: object) -> None:
        if isinstance(value, dict):
            for key, inner in value.items():
                walk(f"{name} {key}".strip(), inner)
        elif isinstance(value, int | float):
            found.append((name, f"{value:.4g}"))

    for kind in ("figures", "accuracy"):
        walk("" if kind == "figures" else kind, checkpoint.about.get(kind, {}))
    return found
