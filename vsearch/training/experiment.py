"""A plan from beginning to end: pictures, training of every backbone, what it leaves. Each finished step is skipped.

RUNS/<plan>/plan.json       the plan and the pictures it began with
           /lock            held while a training goes
           /cache/          decoded pictures
           /trunk/          outputs of still trunks
           /<backbone>/     see `vsearch.training.loop.fit`
           /checkpoint/, report.json and its pictures      see `vsearch.training.outcome`
           /unseen/         see `vsearch.training.unseen`
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from vsearch.core.errors import DatasetError, PlanError
from vsearch.core.files import replace_text
from vsearch.core.lock import run_lock
from vsearch.core.progress import Progress, no_stages
from vsearch.training import outcome, unseen
from vsearch.training.data import dataset
from vsearch.training.data.dataset import Dataset
from vsearch.training.data.fingerprints import fingerprint
from vsearch.training.loop import fit
from vsearch.training.outcome import Run
from vsearch.training.plan import Plan

_INPUTS = ("cache", "tags", "trunk")  # folders of a run that hold nothing trained


def carry_out(run: Run, progress: Progress = no_stages) -> dict[str, Any]:
    """Train a plan, or go on where an earlier call stopped, and return what report.json says.

    A plan whose networks this one starts from is trained first, beside it, unless that was done.

    Raises:
        RunInProgress: another process trains in this folder.
        PlanError: the plan has changed since the run began, starts from itself, or names what a backbone lacks.
        DatasetError: the pictures cannot be used, or have changed since the run began.
        CheckpointError: weights cannot be used.
        OSError: the disk is full; what was finished stays.
    """
    before = run.before
    if before and not before.checkpoint.is_dir():
        carry_out(before, progress)
    with run_lock(run.folder / "lock", datetime.now(UTC), f"training in {run.folder}"):
        return _carried_out(run, progress)


def _carried_out(run: Run, progress: Progress) -> dict[str, Any]:
    begun = _begun(run.folder)
    _same_plan(run, begun)
    said = {"plan": run.plan.model_dump(mode="json")}
    if not run.plan.phase:
        _remember(run.folder, said)
        return outcome.leave(run, None, progress)
    _same_pictures(run, begun)
    data = dataset.prepare(run.plan, run.photos, work=run.folder, progress=progress)
    _several_values(data)
    _remember(run.folder, said | {"pictures": data.fingerprint})
    return _trained(run, data, progress)


def _trained(run: Run, data: Dataset, progress: Progress) -> dict[str, Any]:
    for name in run.plan.backbones:
        if not fit.finished(run.folder, name):
            with progress(f"train {name}") as advance:
                fit.run(
                    run.plan, name, data, run.folder,
                    work=run.folder, advance=advance, runs=run.runs, weights=run.weights,
                )  # fmt: skip
    said = outcome.leave(run, data, progress)
    if run.plan.leave_out and "unseen" not in said:
        said["unseen"] = unseen.judge_pairs(run, data, progress)
        replace_text(run.report, json.dumps(said, indent=1, ensure_ascii=False) + "\n")
    return said


def _same_plan(run: Run, begun: Mapping[str, Any]) -> None:
    """Refuse a plan that is not the one that the training was begun with."""
    if not begun:
        return
    try:
        before = Plan.model_validate(begun.get("plan"))
    except ValidationError:
        changed = ["plan"]
    else:
        changed = [key for key in Plan.model_fields if getattr(before, key) != getattr(run.plan, key)]
    if changed:
        raise PlanError(
            f"A run keeps to the plan it began with, but {', '.join(changed)} of {run.plan.name!r} changed since; name "
            f"another --runs, or remove {run.folder}."
        )


def _same_pictures(run: Run, begun: Mapping[str, Any]) -> None:
    """Refuse pictures that are not those that the training began with."""
    if "pictures" in begun and begun["pictures"] != fingerprint(run.plan, run.photos, run.folder):
        raise DatasetError(
            f"A run keeps to the pictures it began with, but those in {run.photos} changed since; name another --runs, "
            f"or remove {run.folder}."
        )


def _several_values(data: Dataset) -> None:
    """Refuse to learn what cannot be wrong."""
    for spec in data.heads:
        if spec.kind == "softmax" and len(spec.classes) == 1:
            raise DatasetError(
                f"A softmax head tells values apart, but all training pictures of head {spec.name!r} show "
                f"{spec.classes[0]!r}; add pictures of another value, or take the head out."
            )


def _begun(folder: Path) -> dict[str, Any]:
    """Return what a training began with; nothing before anything is trained: until then a plan may be edited."""
    trained = [item for item in folder.iterdir() if item.is_dir() and item.name[0] != "." and item.name not in _INPUTS]
    file = folder / "plan.json"
    if not trained or not file.is_file():
        return {}
    try:
        found: dict[str, Any] = json.loads(file.read_text(encoding="utf8"))
    except ValueError:
        raise PlanError(f"A run's plan.json must be JSON, but {file} is damaged; remove {folder}.") from None
    return found


def _remember(folder: Path, said: dict[str, Any]) -> None:
    text = json.dumps(said, indent=1, ensure_ascii=False) + "\n"
    if not (folder / "plan.json").is_file() or (folder / "plan.json").read_text(encoding="utf8") != text:
        replace_text(folder / "plan.json", text)
