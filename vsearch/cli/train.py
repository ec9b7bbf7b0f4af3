"""`vsearch train`: backbones by a plan, joined into a checkpoint."""

from pathlib import Path

import click

from vsearch.cli.console import out, progress


@click.command(epilog="Example: vsearch train pocket --photos photos --runs runs --out pocket")
@click.argument("plan")
@click.option(
    "--photos", type=click.Path(exists=True, file_okay=False, path_type=Path), required=True,
    help="Folder the plan's sources are relative to.",
)  # fmt: skip
@click.option("--runs", type=click.Path(path_type=Path), default=Path("runs"), help="Where training is kept, to resume.")
@click.option("--only", help="Train this backbone of the plan alone, and assemble nothing.")
@click.option("--out", "target", type=click.Path(path_type=Path), help="New folder for the checkpoint.")
def command(plan: str, photos: Path, runs: Path, only: str | None, target: Path | None) -> None:
    """Train the backbones of PLAN (a shipped plan's name or a .toml file) and join them into a checkpoint.

    Stopped at any moment, the same command goes on where it was.
    """
    from vsearch.training import fit, plan as plans, sources

    chosen = plans.read(plan)
    folder = runs / chosen.name
    with progress("decode") as advance:
        names, data = sources.decoded(chosen.source, photos, chosen.cache_side, advance)
    for name in (only,) if only else chosen.backbones:
        with progress(name) as advance:
            weights = fit.run(chosen, name, names, data, folder, advance)
        out.print(f"{name}: {weights}")
    if target is not None and not only:
        from vsearch.training import assemble

        with progress("assemble") as advance:
            checkpoint = assemble.assemble(chosen, names, data, folder, target, advance)
        out.print(f"checkpoint {checkpoint.checkpoint_id} in {target}")
