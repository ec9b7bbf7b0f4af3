"""`vsearch evaluate checkpoint`: evaluate a checkpoint's trained heads on the validation images of a plan."""

import json
from pathlib import Path

import click

from vsearch.cli.console import out, progress, table


@click.command(epilog="Example: vsearch evaluate checkpoint runs/furniture/checkpoint --plan furniture --photos photos")
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--plan", "plan_name", required=True, help="Name of a shipped plan or a .toml file with the sources.")
@click.option(
    "--photos", type=click.Path(exists=True, file_okay=False, path_type=Path), default=Path(), show_default=True,
    help="Folder that the plan's sources are relative to.",
)  # fmt: skip
@click.option(
    "--runs", type=click.Path(file_okay=False, path_type=Path), default=Path("runs"), show_default=True,
    help="Folder with the cache of decoded images.",
)  # fmt: skip
@click.option(
    "--out", "target", type=click.Path(file_okay=False, path_type=Path),
    help="Folder for report.json and the plots  [default: FOLDER-evaluation, beside the checkpoint]",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def checkpoint(folder: Path, plan_name: str, photos: Path, runs: Path, target: Path | None, as_json: bool) -> None:
    """Evaluate the trained heads of the checkpoint in FOLDER on a plan's validation images.

    Each network and the vote are evaluated, on the heads that the plan names.
    """
    from vsearch.training import plan as plans
    from vsearch.training.results import report
    from vsearch.training.results.evaluate import evaluate_checkpoint

    plan = plans.read(plan_name)
    target = target or folder.with_name(f"{folder.name}-evaluation")
    figures = evaluate_checkpoint(folder, plan, photos, target, work=runs / plan.name, progress=progress)
    if as_json:
        out.print_json(json.dumps(figures))
        return
    columns, lines = report.table(figures["validation"])
    title = f"{folder}: accuracy on {figures['pictures']} validation images of {plan.name} (percent, 95 % interval)"
    table(title, columns, lines, right=columns[1:])
    for sentence in report.compare_with_vote(figures["validation"]):
        out.print(sentence, soft_wrap=True)
    out.print(f"Figures and plots are in {target}.", soft_wrap=True)
