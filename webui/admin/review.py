"""The review queue: one photo at a time, with what shoppers said and the products that it may show."""

from contextlib import suppress
from dataclasses import dataclass, field, replace
from io import BytesIO

from flask import Blueprint, abort, flash, redirect, render_template, request, send_file, url_for
from werkzeug.datastructures import FileStorage
from werkzeug.wrappers import Response

from catalog import queries, review_queue, review_retention, reviews
from catalog.models import utc_now
from catalog.review_queue import Item
from catalog.reviews import NewLabel, StaleLabel
from vsearch.core.errors import ImageRejected, InvalidRequest
from vsearch.imaging.geometry import Box
from webui.admin import review_candidates
from webui.admin.access import account_name, may, number, requires
from webui.review_photos import area_of
from webui.services import services

ATTRIBUTE = "attribute:"
"""Prefix of the names of the fields with an attribute's values, separated by commas."""

AREA = "area:"
"""Prefix of the names of the hidden fields with the area in which a product was found."""

MAX_PHOTOS = 100
_TEN_MINUTES = 600
_HANDED_OUT = 2  # the photo that is shown and the one that is loaded in advance

blueprint = Blueprint("review", __name__, url_prefix="/review")


@dataclass(frozen=True)
class Entered:
    """What an admin entered in the form of a photo."""

    choice: str = ""  # SKU of a product
    category: str = ""
    attributes: dict[str, str] = field(default_factory=dict)
    box: str = ""

    @classmethod
    def of(cls, item: Item) -> "Entered":
        """Return the label of an item, or what its shopper said about it."""
        label = item.label
        if label is None:
            right = [judged.sku for judged in item.judged if judged.verdict == "right"]
            return cls(choice=right[0] if len(right) == 1 else "", box=item.box)
        attributes = {name: ", ".join(values) for name, values in label.attributes.items()}
        category = label.category if label.verdict == "category" else ""
        return cls(label.sku, category, attributes, label.box)


@blueprint.get("/")
@requires("viewer")
def show() -> str | tuple[str, int]:
    """Show the next photo, or the one that is asked for."""
    item_id = request.args.get("item", type=number)
    with services().sessions.begin() as session:
        reviews.begin(session)
        found = [review_queue.one(session, item_id)] if item_id else []
        if may("editor"):
            if item_id and found[0]:
                review_queue.claim(session, item_id, account_name(), utc_now())
            handed_out = review_queue.next_items(session, account_name(), _HANDED_OUT, utc_now())
        else:
            handed_out = review_queue.find(session, review_queue.Filter(state="open"), limit=1)
    item = found[0] if found else next(iter(handed_out), None)
    if item_id and item is None:
        abort(404, f"There is no photo {item_id} to review; it may have been deleted.")
    following = next((each for each in handed_out if item and each.item_id != item.item_id), None)
    entered = Entered.of(item) if item else Entered()
    if item and (box := request.args.get("box")):
        entered = replace(entered, box=area_of(Box.parse(box)))
    return _page(item, entered, following)


@blueprint.get("/<int:item_id>/preload")
@requires("editor", passive=True)
def preload(item_id: int) -> dict[str, list[str]]:
    """Search with the photo that comes next, and return the pictures of its page."""
    with services().sessions() as session:
        item = review_queue.one(session, item_id) or abort(404)
    found = review_candidates.find(services(), item, Entered.of(item).box)
    pictures = [(item.sha256, 1280), *((card.image, 160) for card in found.cards if card.image)]
    return {"pictures": [url_for(".picture", sha256=sha256, width=width) for sha256, width in pictures]}


@blueprint.post("/<int:item_id>/label")
@requires("editor")
def label(item_id: int) -> Response | tuple[str, int]:
    """Label a photo and go on to the next; with a conflict or a mistake, show the form again as it was entered."""
    form = request.form
    entered = Entered(
        choice=form.get("choice", ""),
        category=form.get("category", "").strip(),
        attributes={name[len(ATTRIBUTE) :]: value for name, value in form.items() if name.startswith(ATTRIBUTE)},
        box=form.get("box") or form.get(f"{AREA}{form.get('choice', '')}", ""),
    )
    try:
        new = _new_label(form.get("verdict", ""), entered)
        based_on = int(form["based_on"]) if form.get("based_on", "").isdecimal() else None
        services().review_photos.label(item_id, account_name(), new, based_on=based_on, now=utc_now())
    except reviews.UnknownItem:
        raise
    except (StaleLabel, InvalidRequest) as error:
        flash(str(error), "problem")
        with suppress(InvalidRequest):
            entered = replace(entered, box="")
            entered = replace(entered, box=area_of(Box.parse(form.get("box", ""))))
        with services().sessions() as session:
            item = review_queue.one(session, item_id)
        page = _page(item, entered, None, conflict=isinstance(error, StaleLabel))
        return page, 409 if isinstance(error, StaleLabel) else 400
    what = {"product": new.sku, "category": new.category}.get(new.verdict, new.verdict)
    flash(f"Photo {item_id}: {what}.")
    return redirect(url_for(".show"), 303)


@blueprint.post("/undo")
@requires("editor")
def undo() -> Response:
    """Take back the last label that the account gave, and show its photo again."""
    with services().sessions.begin() as session:
        reviews.begin(session)
        item_id = reviews.last_labeled(session, account_name())
        if item_id is None:
            raise InvalidRequest("You have no label to take back.")
        reviews.undo(session, item_id, account_name(), utc_now())
    flash(f"The label of photo {item_id} was taken back.")
    return redirect(url_for(".show", item=item_id), 303)


@blueprint.post("/<int:item_id>/dismiss")
@requires("editor")
def dismiss(item_id: int) -> Response:
    """Remove a photo from the queue without a label."""
    with services().sessions.begin() as session:
        reviews.begin(session)
        reviews.dismiss(session, item_id, account_name())
    flash(f"Photo {item_id} was removed from the queue.")
    return redirect(url_for(".show"), 303)


@blueprint.post("/<int:item_id>/delete")
@requires("editor")
def delete(item_id: int) -> Response:
    """Delete a photo with all its areas, verdicts and labels."""
    with services().sessions() as session:
        sha256 = review_retention.photo_of(session, item_id)
        items = review_retention.items_with(session, sha256)
    services().review_photos.delete(sha256, items, account_name())
    flash(f"Photo {item_id} was deleted, with everything derived from it.")
    back = "admin.review_labels.show" if request.form.get("back") == "labels" else ".show"
    return redirect(url_for(back), 303)


@blueprint.post("/upload")
@requires("editor")
def upload() -> Response:
    """Add photos to the queue."""
    files = [file for file in request.files.getlist("photos") if file.filename]
    if not 1 <= len(files) <= MAX_PHOTOS:
        raise InvalidRequest(f"Choose 1 to {MAX_PHOTOS} photos.")
    added, problems = [], []
    for file in files:
        try:
            added.append(services().review_photos.upload(file.read(), account_name(), utc_now()))
        except (ImageRejected, InvalidRequest) as error:
            problems.append(f"{_name(file)}: {error}")
    services().sampler.guess(*added)
    flash(f"{len(added)} {'photo was' if len(added) == 1 else 'photos were'} added to the queue.")
    for problem in problems:
        flash(problem, "problem")
    return redirect(url_for(".show"), 303)


@blueprint.get("/pictures/<sha256>-<int:width>.jpg")
@requires("viewer", passive=True)
def picture(sha256: str, width: int) -> Response:
    """Send a reviewed photo, a labeled area, or a picture of a live product."""
    with services().sessions() as session:
        known = review_retention.is_kept(session, sha256) or queries.is_picture_public(session, sha256)
    content = BytesIO((services().thumbnails.read(sha256, width) if known else None) or abort(404))
    response = send_file(content, "image/jpeg", etag=f"{sha256}-{width}", max_age=_TEN_MINUTES)
    response.cache_control.private = True
    return response


def _page(item: Item | None, entered: Entered, following: Item | None, *, conflict: bool = False) -> str:
    served = services()
    query = request.args.get("q", "").strip()
    with served.sessions() as session:
        counts = review_queue.counts(session)
        can_undo = may("editor") and reviews.last_labeled(session, account_name()) is not None
    return render_template(
        "admin/review.html",
        item=item,
        entered=entered,
        following=following,
        conflict=conflict,
        query=query,
        counts=counts,
        can_undo=can_undo,
        found=review_candidates.find(served, item, entered.box, query, chosen=entered.choice) if item else None,
        vocabulary=served.catalog.vocabulary(),
    )


def _new_label(verdict: str, entered: Entered) -> NewLabel:
    """Return the label that a form describes; raises `InvalidRequest` if it contradicts itself."""
    if verdict not in ("save", "not ours", "skipped"):
        raise InvalidRequest("Choose what the photo shows.")
    box = area_of(Box.parse(entered.box)) if entered.box else ""
    if verdict != "save":
        return NewLabel(verdict, box=box)  # type: ignore[arg-type]  # one of the two
    attributes = {
        name: tuple(value.strip() for value in values.split(",") if value.strip())
        for name, values in entered.attributes.items()
    }
    attributes = {name: values for name, values in attributes.items() if values}
    if entered.choice and entered.category:
        raise InvalidRequest("Choose a product or a category, not both: a product has its own category.")
    if entered.choice:
        return NewLabel("product", sku=entered.choice, attributes=attributes, box=box)
    if entered.category:
        return NewLabel("category", category=entered.category, attributes=attributes, box=box)
    raise InvalidRequest("Choose a product or a category first.")


def _name(file: FileStorage) -> str:
    return (file.filename or "a photo")[:80]
