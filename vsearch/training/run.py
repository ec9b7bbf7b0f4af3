"""Run a plan from images to checkpoint. Finished steps are kept, so the same command resumes a killed run.

RUNS/<plan>/plan.json       the plan and the fingerprint of the images that the run began with
           /lock            held while training
           /catalog.json    the catalog's images, if they are a source
           /cache/, /tags/, /trunk/     decoded images, drawn tags, features of frozen trunks
           /<backbone>/     see `vsearch.training.loop.fit`
           /checkpoint/, report.json and plots      see `vsearch.training.results.export`
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from vsearch.core.errors import DatasetError, PlanError
from vsearch.core.files import replace_text
from vsearch.core.lock import run_lock
from vsearch.core.progress import Progress, no_stages
from vsearch.training import plan as plans
from vsearch.training.data import catalog_snapshot, dataset
from vsearch.training.data.catalog_snapshot import CatalogReader
from vsearch.training.data.image_cache import fingerprint
from vsearch.training.plan import START_FROM_PLAN, Plan

_UNTRAINED_FOLDERS = ("cache", "tags", "trunk")  # with only these, the plan may still change


@dataclass(frozen=True)
class Run:
    """A plan, its images, and the folder of its training run.

    Attributes:
        photos: folder that the plan's sources are relative to.
        folder: of this run only; its parent contains the runs of all plans.
        weights: folder to search first for pretrained weights.
        read_catalog: lists the shop's catalog, for a plan with it as a source.
    """

    plan: Plan
    photos: Path
    folder: Path
    weights: Path | None = None
    read_catalog: CatalogReader | None = None

    @property
    def previous(self) -> "Run | None":
        """The run of the plan that this one starts from, if any.

        Raises:
            PlanError: the plan names itself, or does not exist.
        """
        if not self.plan.start.startswith(START_FROM_PLAN):
            return None
        plan = plans.read(self.plan.start.removeprefix(START_FROM_PLAN))
        if plan.name == self.plan.name:
            raise PlanError(f"Plan {plan.name} starts from itself. Correct its `start`.")
        return replace(self, plan=plan, folder=self.runs / plan.name)

    @property
    def runs(self) -> Path:
        """Folder with the runs of all plans."""
        return self.folder.parent

    @property
    def checkpoint(self) -> Path:
        """Folder of the checkpoint."""
        return self.folder / "checkpoint"

    @property
    def report(self) -> Path:
        """File with all metrics; written last."""
        return self.folder / "report.json"


def train(run: Run, progress: Progress = no_stages) -> dict[str, Any]:
    """Run a plan, or resume its training run, and return the content of report.json.

    A plan that this one starts from is trained first, in its own run.

    Raises:
        RunInProgress: another process is training in this folder.
        PlanError: the plan has changed since the run began, starts from itself, or does not fit its backbones.
        DatasetError: the images cannot be used, or have changed since the run began.
        CheckpointError: weights cannot be used.
        OSError: the disk is full; finished steps are kept.
    """
    previous = run.previous
    if previous and not previous.checkpoint.is_dir():
        train(previous, progress)
    with run_lock(run.folder / "lock", datetime.now(UTC), f"training in {run.folder}"):
        return _train(run, progress)


def _train(run: Run, progress: Progress) -> dict[str, Any]:
    from vsearch.training.loop import fit
    from vsearch.training.results import export

    begun = _load_begun(run.folder)
    _check_plan(run, begun)
    if run.plan.uses_catalog:
        if run.read_catalog is None:
            raise DatasetError(f"Plan {run.plan.name} reads the catalog, but there is none.")
        catalog_snapshot.take(run.read_catalog, run.folder, begun=bool(begun), finished=run.report.is_file())
    if not run.plan.phase:
        _record(run)
        return export.write_results(run, None, progress)
    if begun.get("images") not in (None, fingerprint(run.plan, run.photos, run.folder)):
        raise DatasetError(
            f"The images in {run.photos} have changed since run {run.folder} began. "
            "Choose another --runs, or remove that folder."
        )
    data = dataset.prepare(run.plan, run.photos, work=run.folder, progress=progress)
    dataset.check_learnable(data)
    _record(run, images=data.fingerprint)
    for name in run.plan.backbones:
        with progress(f"train {name}") as advance:
            fit.train_backbone(run, name, data, advance)
    return export.write_results(run, data, progress)


def _record(run: Run, **more: str) -> None:
    """Record the plan and images that the run begins with, unless already done."""
    text = json.dumps({"plan": run.plan.model_dump(mode="json")} | more, indent=1, ensure_ascii=False) + "\n"
    file = run.folder / "plan.json"
    if not file.is_file() or file.read_text(encoding="utf8") != text:
        replace_text(file, text)


def _load_begun(folder: Path) -> dict[str, Any]:
    """Return the plan and images recorded at the start, or {} before anything is trained: the plan may still change."""
    trained = [
        item
        for item in folder.iterdir()
        if item.is_dir() and item.name[0] != "." and item.name not in _UNTRAINED_FOLDERS
    ]
    file = folder / "plan.json"
    if not trained or not file.is_file():
        return {}
    try:
        begun: dict[str, Any] = json.loads(file.read_text(encoding="utf8"))
    except ValueError:
        raise PlanError(f"{file} is damaged. Remove {folder}.") from None
    return begun


def _check_plan(run: Run, begun: Mapping[str, Any]) -> None:
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
            f"Plan {run.plan.name!r} has changed since run {run.folder} began ({', '.join(changed)}). "
            "Choose another --runs, or remove that folder."
        )
