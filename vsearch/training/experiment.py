"""A plan from beginning to end: pictures, training of every backbone, what it leaves. Each finished step is skipped.

RUNS/<plan>/plan.json       the plan and the pictures it began with
           /cache/          decoded pictures
           /trunk/          outputs of still trunks
           /<backbone>/     see `vsearch.training.fit`
           /checkpoint/, report.json and its pictures      see `vsearch.training.outcome`
           /unseen/         see `vsearch.training.unseen`
"""

import json
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from vsearch.errors import DatasetError, PlanError
from vsearch.files import replace_text
from vsearch.progress import Progress, silent
from vsearch.training import dataset, fit, outcome, unseen
from vsearch.training.dataset import Dataset
from vsearch.training.outcome import Run
from vsearch.training.plan import Plan


def carry_out(run: Run, progress: Progress = silent) -> dict[str, Any]:
    """Train a plan, or go on where an earlier call stopped, and return what report.json says.

    Raises:
        PlanError: the plan has changed since the run began, or names what a backbone lacks.
        DatasetError: the pictures cannot be used, or have changed since the run began.
        CheckpointError: weights cannot be used.
        OSError: the disk is full; what was finished stays.
    """
    run.folder.mkdir(parents=True, exist_ok=True)
    _same_plan(run)
    if not run.plan.phase:
        return outcome.leave(run, None, progress)
    data = dataset.prepare(run.plan, run.photos, work=run.folder, progress=progress)
    _same_pictures(run, data)
    for name in run.plan.backbones:
        if not fit.finished(run.folder, name):
            with progress(name) as advance:
                fit.run(run.plan, name, data, run.folder, work=run.folder, advance=advance, weights=run.weights)
    said = outcome.leave(run, data, progress)
    if run.plan.leave_out and "unseen" not in said:
        said["unseen"] = unseen.judge_pairs(run, data, progress)
        replace_text(run.report, json.dumps(said, indent=1, ensure_ascii=False) + "\n")
    return said


def _same_plan(run: Run) -> None:
    """Refuse a plan that is not the one that the folder was begun with."""
    before = _remembered(run.folder)
    if not before:
        _remember(run.folder, {"plan": run.plan.model_dump(mode="json")})
        return
    try:
        begun = Plan.model_validate(before.get("plan"))
    except ValidationError:
        changed = ["plan"]
    else:
        changed = [key for key in Plan.model_fields if getattr(begun, key) != getattr(run.plan, key)]
    if changed:
        raise PlanError(
            f"A run keeps to the plan it began with, but {', '.join(changed)} of {run.plan.name!r} changed since; name "
            f"another --runs, or remove {run.folder}."
        )


def _same_pictures(run: Run, data: Dataset) -> None:
    """Refuse pictures that are not those that the training began with."""
    before = _remembered(run.folder)
    if before.setdefault("pictures", data.fingerprint) != data.fingerprint:
        raise DatasetError(
            f"A run keeps to the pictures it began with, but those in {run.photos} changed since; name another --runs, "
            f"or remove {run.folder}."
        )
    _remember(run.folder, before)


def _remembered(folder: Path) -> dict[str, Any]:
    file = folder / "plan.json"
    try:
        found: dict[str, Any] = json.loads(file.read_text(encoding="utf8")) if file.is_file() else {}
    except ValueError:
        raise PlanError(f"A run's plan.json must be JSON, but {file} is damaged; remove {folder}.") from None
    return found


def _remember(folder: Path, said: dict[str, Any]) -> None:
    text = json.dumps(said, indent=1, ensure_ascii=False) + "\n"
    if not (folder / "plan.json").is_file() or (folder / "plan.json").read_text(encoding="utf8") != text:
        replace_text(folder / "plan.json", text)
