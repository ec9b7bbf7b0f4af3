"""Training: what there is to learn from, starting, watching, stopping and resuming runs."""

import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any

from flask import Blueprint, abort, render_template, request, send_file
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response

from catalog import jobs as job_table
from catalog import queries, reviews
from catalog.models import Job, utc_now
from vsearch.core.errors import InvalidRequest
from vsearch.index.generation import Manifest
from webui.admin import jobs
from webui.admin.access import requires
from webui.admin.overview import live_manifest
from webui.services import services

PLANS = ("own_catalog",)
"""Included plans that need no other images than the catalog's."""

RUN_NAME = re.compile(r"[a-z0-9_]{1,80}")
MAX_SHOWN = 12
WIDTH, HEIGHT = 320, 140

blueprint = Blueprint("training", __name__, url_prefix="/training")


@dataclass(frozen=True)
class LabelSummary:
    """Numbers of reviewed photos: to train on, for evaluation, and those labeled since the live index was fitted."""

    train: int
    evaluation: int
    new: int
    classes: tuple[tuple[str, int], ...]  # photos to train on by category, most first


@dataclass(frozen=True)
class Curve:
    """A measure of one network by epoch, in training and, if it has one, in validation; and its SVG polylines."""

    name: str
    training: tuple[float, ...]
    validation: tuple[float, ...]

    def points(self, values: Sequence[float]) -> str:
        """Return the points of a polyline in an image of WIDTH x HEIGHT px."""
        lowest, highest = min(*self.training, *self.validation), max(*self.training, *self.validation)
        span = highest - lowest or 1.0
        step = WIDTH / max(1, len(values) - 1)
        shown = [*range(0, len(values) - 1, max(1, len(values) // WIDTH)), len(values) - 1]
        return " ".join(f"{i * step:.1f},{HEIGHT * (1 - (values[i] - lowest) / span):.1f}" for i in shown)


@blueprint.get("/")
@requires("viewer")
def show() -> str:
    """Show the classes, what is too small or contradictory in them, the reviewed photos, and all runs."""
    settings, live = services().settings, live_manifest(services().settings)
    with services().sessions() as session:
        return render_template(
            "admin/training.html",
            sizes=queries.category_sizes(session),
            shared=queries.shared_images(session, MAX_SHOWN),
            counts=summarize_labels(session, live),
            min_class_size=settings.min_class_size,
            runs=_runs(),
            plans=[*PLANS, *(path.stem for path in sorted(_own_plans().glob("*.toml")))],
            open_jobs=job_table.open_jobs(session, "train"),
            now=utc_now(),
        )


@blueprint.post("/")
@requires("editor")
def start() -> Response:
    """Queue a training run."""
    plan, reviewed = request.form.get("plan", ""), bool(request.form.get("reviewed"))
    own = _own_plans() / f"{plan}.toml"
    if plan not in PLANS and not (RUN_NAME.fullmatch(plan) and own.is_file()):
        raise InvalidRequest("This plan does not exist anymore. Choose another one.")
    run = f"{plan}_{datetime.now(UTC):%Y%m%d_%H%M%S}"
    arguments = {"plan": plan if plan in PLANS else str(own.absolute()), "run": run}
    return jobs.queue("train", arguments | ({} if reviewed else {"reviewed": "no"}))


@blueprint.get("/runs/<run>")
@requires("viewer")
def show_run(run: str) -> str:
    """Show the curves and results of a run."""
    return render_template("admin/run.html", **_state(run))


@blueprint.get("/runs/<run>/state")
@requires("viewer", passive=True)
def show_run_state(run: str) -> str:
    """Show the part of a run's page that changes while it trains."""
    return render_template("admin/_run_state.html", **_state(run))


@blueprint.get("/runs/<run>/<name>.png")
@requires("viewer", passive=True)
def plot(run: str, name: str) -> Response:
    """Send a plot of a finished run."""
    path = _folder(run) / f"{name}.png"
    if not RUN_NAME.fullmatch(name) or not path.is_file():
        abort(404, "There is no such plot.")
    return send_file(BytesIO(path.read_bytes()), "image/png", max_age=60)


@blueprint.post("/runs/<run>/resume")
@requires("editor")
def resume(run: str) -> Response:
    """Queue the job of a stopped run once more; it goes on where it was."""
    _folder(run)
    job = _job_of(run) or abort(404, "The record of this run's job was deleted. Resume it with `vsearch train`.")
    return jobs.queue("train", job.arguments)


def checkpoint_of(run: str) -> Path:
    """Return the folder of the checkpoint that a run made.

    Raises:
        InvalidRequest: there is none yet.
    """
    folder = _folder(run) / "checkpoint"
    if not folder.is_dir():
        raise InvalidRequest(f"Run {run} has no model yet. Wait until it has ended.")
    return folder


def summarize_labels(session: Session, live: Manifest | None) -> LabelSummary:
    """Count the reviewed photos that show something the shop sells."""
    labels = [label for label in reviews.effective_labels(session) if label.verdict != "not ours"]
    train = [label for label in labels if label.split == "train"]
    new = [label for label in train if label.label_id > (live.labels if live else 0)]
    classes = Counter(label.category for label in train if label.category)
    return LabelSummary(len(train), len(labels) - len(train), len(new), tuple(classes.most_common()))


def _own_plans() -> Path:
    return services().settings.data / "plans"


def _runs() -> list[tuple[str, bool]]:
    """Return the name of each run, latest first, and whether it has a model."""
    folder = services().settings.data / "runs"
    found = [path for path in folder.glob("*") if (path / "plan.json").is_file()]
    latest = sorted(found, key=lambda path: path.stat().st_mtime, reverse=True)
    return [(path.name, (path / "checkpoint").is_dir()) for path in latest]


def _folder(run: str) -> Path:
    folder: Path = services().settings.data / "runs" / run
    if not RUN_NAME.fullmatch(run) or not folder.is_dir():
        abort(404, f"There is no run {run}.")
    return folder


def _job_of(run: str) -> Job | None:
    with services().sessions() as session:
        found = (job for job in job_table.latest(session, 500) if job.kind == "train")
        return next((job for job in found if job.arguments.get("run") == run), None)


def _state(run: str) -> dict[str, Any]:
    folder, job = _folder(run), _job_of(run)
    return {
        "run": run,
        "job": job,
        "networks": [(path.parent.name, _curves(path)) for path in sorted(folder.glob("*/history.jsonl"))],
        "plots": sorted(path.stem for path in folder.glob("*.png")),
        "has_model": (folder / "checkpoint").is_dir(),
        "report": _report(folder),
        "now": utc_now(),
    }


def _curves(path: Path) -> list[Curve]:
    """Return the curves of a network; those with a single epoch are not drawn."""
    lines = path.read_text(encoding="utf8").splitlines()
    rows = []
    for line in lines:
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError:  # being written
            continue
    ignored = ("epoch", "seconds", "learning_rate")
    last = rows[-1] if rows else {}
    names = [name for name, value in last.items() if isinstance(value, float) and name not in ignored]
    measured = [name for name in names if not name.startswith("val_")]
    curves = []
    for name in measured:
        training = tuple(row[name] for row in rows if name in row)
        validation = tuple(row[f"val_{name}"] for row in rows if f"val_{name}" in row)
        if len(training) > 1:
            curves.append(Curve(name, training, validation))
    return curves


def _report(folder: Path) -> list[tuple[str, str]]:
    """Return the figures of a finished run."""
    try:
        report = json.loads((folder / "report.json").read_text(encoding="utf8"))
    except (OSError, ValueError):
        return []
    found: list[tuple[str, str]] = []

    def walk(name: str, value: object) -> None:
        if isinstance(value, dict):
            for key, inner in value.items():
                walk(f"{name} {key}".strip().replace("_", " "), inner)
        elif isinstance(value, float):
            found.append((name, f"{value:.4g}"))

    walk("", report)
    return found
