"""`vsearch train`: a plan from pictures to a checkpoint with its figures."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from vsearch.cli import pass_settings
from vsearch.cli.console import out, progress, table
from vsearch.core.errors import CheckpointMismatch
from vsearch.core.settings import Settings
from vsearch.models import checkpoint as checkpoints
from vsearch.models import registry
from vsearch.models.tensorflow_startup import import_tensorflow


@click.command(epilog="Example: vsearch train furniture --photos photos --runs runs")
@click.argument("plan")
@click.option(
    "--photos", type=click.Path(exists=True, file_okay=False, path_type=Path), default=Path(), show_default=True,
    help="Folder the plan's sources are relative to; a plan that draws its pictures needs none.",
)  # fmt: skip
@click.option(
    "--runs", type=click.Path(file_okay=False, path_type=Path), default=Path("runs"), show_default=True,
    help="Where training is kept, to resume, and what it leaves.",
)  # fmt: skip
@click.option(
    "--out", "target", type=click.Path(path_type=Path), help="New folder that the checkpoint is copied to as well."
)
@pass_settings
def command(settings: Settings, plan: str, photos: Path, runs: Path, target: Path | None) -> None:
    """Train by PLAN (a shipped plan's name or a .toml file), and leave a checkpoint and its figures.

    Stopped at any moment, the same command goes on where it was.
    """
    from vsearch.training import plan as plans

    chosen = plans.read(plan)
    if target is not None and target.exists():
        raise CheckpointMismatch(f"A checkpoint needs a new folder, but {target} exists; name another.")
    import_tensorflow()
    from vsearch.training import experiment
    from vsearch.training.outcome import Run

    run = Run(chosen, photos, runs / chosen.name, settings.weights)
    said = experiment.carry_out(run, progress)
    _show(chosen.name, said)
    out.print(
        f"checkpoint {said['checkpoint_id']} in {run.checkpoint}; figures and pictures in {run.folder}", soft_wrap=True
    )
    if target is not None:
        target.parent.mkdir(parents=True, exist_ok=True)
        registry.export(checkpoints.load(run.checkpoint), target)
        out.print(f"copied to {target}", soft_wrap=True)


def _show(name: str, said: Mapping[str, Any]) -> None:
    """Print what the run reached."""
    from vsearch.training import unseen
    from vsearch.training.results import report

    for note in said.get("notes", ()):
        out.print(note, soft_wrap=True)
    if "validation" in said:
        columns, lines = report.lines(said["validation"])
        title = f"{name}: {said['data']['val']} validation pictures (percent right, 95 % interval)"
        table(title, columns, lines, right=columns[1:])
        for sentence in report.verdict(said["validation"]):
            out.print(sentence, soft_wrap=True)
    if said.get("block_heads"):
        lines = [[judge, f"{100 * share:.1f}"] for judge, share in said["block_heads"].items()]
        table(
            "classes of the search, by the heads on blocks (percent right)", ("block", "right"), lines, right=("right",)
        )
    if "unseen" in said:
        columns, lines = unseen.table(said["unseen"])
        table("pairs left out of the training in turn (percent)", columns, lines, right=columns[1:])
