"""`vsearch evaluate checkpoint`: a checkpoint's trained heads on the validation pictures of a plan."""

import json
from pathlib import Path
from typing import Any

import click

from vsearch.cli.console import out, progress, table


@click.command(epilog="Example: vsearch evaluate checkpoint runs/furniture/checkpoint --plan furniture --photos photos")
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option(
    "--plan", "plan_name", required=True, help="A shipped plan's name or a .toml file; its sources are judged."
)
@click.option(
    "--photos", type=click.Path(exists=True, file_okay=False, path_type=Path), default=Path(), show_default=True,
    help="Folder the plan's sources are relative to.",
)  # fmt: skip
@click.option(
    "--runs", type=click.Path(file_okay=False, path_type=Path), default=Path("runs"), show_default=True,
    help="Where decoded pictures are kept.",
)  # fmt: skip
@click.option(
    "--out", "target", type=click.Path(file_okay=False, path_type=Path),
    help="Folder for report.json and the pictures; the default is FOLDER-judged beside the checkpoint.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def checkpoint(folder: Path, plan_name: str, photos: Path, runs: Path, target: Path | None, as_json: bool) -> None:
    """Score the trained heads of the checkpoint in FOLDER on a plan's validation pictures.

    Each network and the vote are judged, heads that the plan does not name are left out.
    """
    from vsearch.training import plan as plans
    from vsearch.training.results import predictions, report

    plan = plans.read(plan_name)
    said = predictions.judge_checkpoint(folder, plan, photos, work=runs / plan.name, progress=progress)
    place = target or folder.with_name(f"{folder.name}-judged")
    figures: dict[str, Any] = said.figures
    predictions.write(said, place)
    if as_json:
        out.print_json(json.dumps(figures))
        return
    columns, lines = report.lines(figures["validation"])
    title = f"{folder}: {figures['pictures']} validation pictures of {plan.name} (percent right, 95 % interval)"
    table(title, columns, lines, right=columns[1:])
    for sentence in report.verdict(figures["validation"]):
        out.print(sentence, soft_wrap=True)
    out.print(f"figures and pictures in {place}", soft_wrap=True)
