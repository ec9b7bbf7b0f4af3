"""`vsearch train`: backbones by a plan, joined into a checkpoint."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from vsearch.cli import pass_settings
from vsearch.cli.console import out, progress
from vsearch.model.startup import import_tensorflow
from vsearch.settings import Settings

if TYPE_CHECKING:
    from vsearch.training.plan import Plan


@click.command(epilog="Example: vsearch train pocket --photos photos --runs runs --out pocket")
@click.argument("plan")
@click.option(
    "--photos", type=click.Path(exists=True, file_okay=False, path_type=Path), required=True,
    help="Folder the plan's sources are relative to.",
)  # fmt: skip
@click.option(
    "--runs", type=click.Path(path_type=Path), default=Path("runs"), help="Where training is kept, to resume."
)
@click.option("--only", help="Train this backbone of the plan alone, and assemble nothing.")
@click.option("--out", "target", type=click.Path(path_type=Path), help="New folder for the checkpoint.")
@pass_settings
def command(settings: Settings, plan: str, photos: Path, runs: Path, only: str | None, target: Path | None) -> None:
    """Train the backbones of PLAN (a shipped plan's name or a .toml file) and join them into a checkpoint.

    Stopped at any moment, the same command goes on where it was.
    """
    from vsearch.training import plan as plans

    chosen = plans.read(plan)
    import_tensorflow()
    folder = runs / chosen.name
    if chosen.phase:
        _train(chosen, photos, folder, only)
    if target is not None and not only:
        _join(chosen, photos, folder, target, settings.weights)


def _train(plan: "Plan", photos: Path, folder: Path, only: str | None) -> None:
    from vsearch.training import fit, sources

    wanted = [name for name in ((only,) if only else plan.backbones) if not fit.finished(folder, name)]
    if not wanted:
        return
    with progress("decode") as advance:
        names, data = sources.decoded(plan.source, photos, plan.cache_side, advance)
    for name in wanted:
        with progress(name) as advance:
            weights = fit.run(plan, name, names, data, folder, advance)
        out.print(f"{name}: {weights}")


def _join(plan: "Plan", photos: Path, folder: Path, target: Path, weights: Path | None) -> None:
    from vsearch.training import assemble

    trained = assemble.trained_networks(plan, folder) if plan.phase else None
    networks = trained or assemble.pretrained_networks(plan, weights)
    with progress("join") as advance:
        checkpoint = assemble.assemble(plan, photos, networks, target, advance)
    out.print(f"checkpoint {checkpoint.checkpoint_id} in {target}")
