"""The published index and those that can be published again; and the images of all products."""

from dataclasses import dataclass
from io import BytesIO

from flask import Blueprint, abort, render_template, request, send_file
from werkzeug.wrappers import Response

from vsearch.core.errors import GenerationCorrupt, InvalidRequest
from vsearch.index import generation as generations
from vsearch.index.generation import Manifest
from webui.admin import jobs
from webui.admin.access import requires
from webui.admin.overview import live_manifest
from webui.services import services

blueprint = Blueprint("index", __name__)


@dataclass(frozen=True)
class Change:
    """What a rollback changes: one line of a table."""

    name: str
    before: str
    after: str

    @property
    def differs(self) -> bool:
        """Whether it changes at all."""
        return self.before != self.after


@blueprint.get("/index")
@requires("viewer")
def show() -> str:
    """List the generations on disk."""
    live = live_manifest(services().settings)
    return render_template("admin/index.html", live=live, manifests=_manifests())


@blueprint.get("/index/rollback")
@requires("admin")
def confirm_rollback() -> str:
    """Show what a rollback would change."""
    what, to = _wanted(request.args)
    live = live_manifest(services().settings) or abort(404, "No index has been published yet.")
    target = next((each for each in _manifests() if each.generation_id == to), None)
    if target is None:
        abort(404, f"Generation {to} is not on disk anymore, so it cannot be published again.")
    return render_template("admin/rollback.html", what=what, live=live, target=target, changes=_changes(live, target))


@blueprint.post("/index/rollback")
@requires("admin")
def roll_back() -> Response:
    """Queue a job that publishes an earlier index, or the previous model with its index."""
    what, to = _wanted(request.form)
    live = live_manifest(services().settings)
    if live is None or live.generation_id != request.form.get("live"):
        raise InvalidRequest("Another index was published meanwhile. Look at the changes again.")
    return jobs.queue("rollback", {"what": what, "to": to} if what == "index" else {"what": what})


@blueprint.get("/pictures/<sha256>-<int:width>.jpg")
@requires("viewer", passive=True)
def picture(sha256: str, width: int) -> Response:
    """Send an image of a product or a reviewed photo, its longer side at most `width` pixels."""
    content = BytesIO(services().thumbnails.read(sha256, width) or abort(404, "This image does not exist."))
    response = send_file(content, "image/jpeg", etag=f"{sha256}-{width}", max_age=3600)
    response.cache_control.private = True
    return response


def _wanted(values: object) -> tuple[str, str]:
    what, to = values.get("what", "index"), values.get("to", "")  # type: ignore[attr-defined]
    if what not in ("index", "search"):
        raise InvalidRequest(f"{what[:20]!r} cannot be rolled back. Choose the index or the search model.")
    if what == "search":
        live = live_manifest(services().settings)
        to = (live and live.model_before) or abort(404, "There is no promotion to undo: this is the first model.")
    return what, to


def _manifests() -> list[Manifest]:
    """Return the readable generations, latest first."""
    folder, found = services().settings.generations, []
    for generation_id in reversed(generations.generation_ids(folder)):
        try:
            found.append(generations.read_manifest(folder / generation_id))
        except GenerationCorrupt:
            continue
    return found


def _changes(live: Manifest, target: Manifest) -> list[Change]:
    def count(manifest: Manifest) -> str:
        return f"{sum(each.count for each in manifest.classes):,}"

    return [
        Change("index", live.generation_id, target.generation_id),
        Change("built (UTC)", f"{live.created_at:%Y-%m-%d %H:%M}", f"{target.created_at:%Y-%m-%d %H:%M}"),
        Change("model", live.checkpoint_id, target.checkpoint_id),
        Change("images", count(live), count(target)),
        Change("classes", f"{len(live.classes)}", f"{len(target.classes)}"),
        Change(
            "found at rank 1, of its own test photos",
            f"{live.quality.hit_at_1:.0%}" if live.quality else "not measured",
            f"{target.quality.hit_at_1:.0%}" if target.quality else "not measured",
        ),
    ]
