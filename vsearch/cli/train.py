"""`vsearch train`: train a plan, from pictures to a checkpoint with its metrics."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from vsearch.cli import ANY_PATH, EXISTING_FOLDER, FOLDER, pass_settings
from vsearch.cli.console import out, progress, table
from vsearch.core.errors import CheckpointMismatch
from vsearch.core.settings import Settings
from vsearch.models import checkpoint as checkpoints
from vsearch.models import registry
from vsearch.models.tensorflow_startup import import_tensorflow


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
def command(settings: Settings, plan: str, photos: Path, runs: Path, target: Path | None) -> None:
    """Train PLAN, the name of a shipped plan or a .toml file, and write a checkpoint with its metrics.

    If it is interrupted, run the same command to continue.
    """
    from vsearch.training import plan as plans

    chosen = plans.read(plan)
    if target is not None and target.exists():
        raise CheckpointMismatch(f"Folder {target} exists. Choose a new one for the checkpoint.")
    import_tensorflow()
    from vsearch.training.run import Run, train

    run = Run(chosen, photos, runs / chosen.name, settings.weights)
    results = train(run, progress)
    _show(chosen.name, results)
    out.print(
        f"Checkpoint {results['checkpoint_id']} is in {run.checkpoint}; its metrics and plots are in {run.folder}.",
        soft_wrap=True,
    )
    if target is not None:
        target.parent.mkdir(parents=True, exist_ok=True)
        registry.export(checkpoints.load(run.checkpoint), target)
        out.print(f"Copied to {target}.", soft_wrap=True)


def _show(name: str, results: Mapping[str, Any]) -> None:
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
