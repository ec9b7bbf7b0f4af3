"""Models: which one is in use, comparing two side by side, promoting one, now or before the next night."""

from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from io import BytesIO
from typing import Any

from cronsim import CronSim
from flask import Blueprint, abort, render_template, request, send_file
from werkzeug.wrappers import Response

from catalog import jobs as job_table
from catalog.models import Job, utc_now
from vsearch.core.errors import InvalidRequest
from vsearch.models import registry
from webui.admin import jobs
from webui.admin.access import requires
from webui.admin.overview import live_manifest
from webui.admin.training import checkpoint_of, summarize_labels
from webui.services import services

MAX_DIFFERENCES = 60
RUN = "run:"
"""Prefix of a model that a training run made and that is not in the store."""

blueprint = Blueprint("models", __name__, url_prefix="/models")


@blueprint.get("/")
@requires("viewer")
def show() -> str:
    """List the models, and what was compared and promoted lately."""
    settings = services().settings
    live = live_manifest(settings)
    with services().sessions() as session:
        counts = summarize_labels(session, live)
        latest = [job for job in job_table.latest(session, 200) if job.kind in ("compare", "promote", "rollback")][:10]
    entries = registry.list_checkpoints(settings)
    return render_template("admin/models.html", live=live, entries=entries, counts=counts, jobs=latest, now=utc_now())


@blueprint.post("/compare")
@requires("editor")
def compare() -> Response:
    """Queue a comparison of a model, or of the model in use fitted to new labels, with the one in use."""
    return jobs.queue("compare", _model(request.form.get("model", "")))


@blueprint.get("/comparisons/<int:job_id>")
@requires("viewer")
def show_comparison(job_id: int) -> str:
    """Show two models side by side: scores, confusions, and the photos about which they differ."""
    job, result = _comparison(job_id)
    photos = sorted(result["photos"], key=_gain)
    differing = [photo for photo in photos if _differs(photo)]
    return render_template(
        "admin/comparison.html",
        job=job,
        result=result,
        scores=_scores(result),
        worse=[photo for photo in differing if _gain(photo) < 0][:MAX_DIFFERENCES],
        better=[photo for photo in reversed(differing) if _gain(photo) > 0][:MAX_DIFFERENCES],
        confusions=[_confusion(photos, which) for which in (0, 1)],
        night=next_night(services().settings.schedule),
        now=utc_now(),
    )


@blueprint.get("/evaluation/<set_id>/<name>.jpg")
@requires("viewer", passive=True)
def evaluation_photo(set_id: str, name: str) -> Response:
    """Send a photo of the evaluation set."""
    if not (set_id.isalnum() and name.isalnum()):
        abort(404)
    path = services().settings.data / "evaluation" / set_id / f"{name}.jpg"
    if not path.is_file():
        abort(404, "This photo is not in the evaluation set anymore.")
    return send_file(BytesIO(path.read_bytes()), "image/jpeg", etag=f"{set_id}-{name}", max_age=3600)


@blueprint.post("/promote")
@requires("admin")
def promote() -> Response:
    """Queue a promotion: through the gate, or despite it with a written reason; now, or before the next night."""
    form = request.form
    arguments = _model(form.get("model", ""))
    reason = form.get("reason", "").strip()
    if form.get("despite"):
        if len(reason) < 10:
            raise InvalidRequest("Write down in a sentence why this model should be used although it finds less.")
        arguments |= {"allow_drop": "1", "reason": reason}
    start_at = None
    if form.get("when") == "night":
        start_at = next_night(services().settings.schedule)
        if start_at is None:
            raise InvalidRequest("There is no schedule of nightly jobs. Promote it now, or set `schedule`.")
    return jobs.queue("promote", arguments, start_at=start_at)


def next_night(schedule: str) -> datetime | None:
    """Return a moment shortly before the next nightly job in UTC; None without a schedule."""
    if not schedule:
        return None
    now = datetime.now()
    start = next(CronSim(schedule, now + timedelta(minutes=1))) - timedelta(minutes=1)
    return start.astimezone(UTC)


def _model(name: str) -> dict[str, Any]:
    """Return the arguments of a job for a model: a stored one, that of a training run, or "" for the one in use.

    Raises:
        InvalidRequest: there is no such model.
    """
    if not name:
        return {}
    settings = services().settings
    if name.startswith(RUN):
        return {"model": str(checkpoint_of(name.removeprefix(RUN)))}
    if name not in {entry.checkpoint_id for entry in registry.list_checkpoints(settings)}:
        raise InvalidRequest("This model does not exist anymore. Choose another one.")
    return {"model": name}


def _comparison(job_id: int) -> tuple[Job, Mapping[str, Any]]:
    with services().sessions() as session:
        job = job_table.one(session, job_id)
    if job is None or job.kind not in ("compare", "promote") or "comparison" not in job.result:
        abort(404, f"Job {job_id} has no comparison of models.")
    return job, job.result


def _scores(result: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    figures = result["comparison"]
    scores = [
        ("the right product is first", figures["hit_at_1"]),
        ("it is among the first five", figures["hit_at_5"]),
        ("mean reciprocal rank", figures["mrr"]),
        ("the class is right", result["class_accuracy"]),
    ]
    return [(name, paired) for name, paired in scores if paired]


def _differs(photo: Mapping[str, Any]) -> bool:
    return len(set(photo["ranks"])) > 1 or len(set(photo["classes"])) > 1


def _gain(photo: Mapping[str, Any]) -> float:
    """Return by how much the second model is better: in reciprocal rank, then in the class."""
    first, second = (1 / rank if rank else 0.0 for rank in photo["ranks"])
    right = [name in photo["class_name"].split(", ") for name in photo["classes"]]
    return float(second - first + 0.01 * (right[1] - right[0]))


def _confusion(photos: list[Mapping[str, Any]], which: int) -> dict[str, Any]:
    """Return a confusion matrix: class names, and rows of counts by right and predicted class."""
    pairs = Counter((photo["class_name"], photo["classes"][which]) for photo in photos if photo["classes"][which])
    names = sorted({name for pair in pairs for name in pair})
    rows = [(name, [pairs[name, other] for other in names]) for name in names]
    return {"names": names, "rows": [(name, counts) for name, counts in rows if sum(counts)]}
