"""The labels that were given to photos: a list with filters, and taking labels back."""

from flask import Blueprint, flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from catalog import review_queue, reviews
from catalog.models import utc_now
from catalog.review_queue import Filter
from catalog.reviews import EFFECTIVE
from webui.admin.access import account_name, number, requires
from webui.services import services

PAGE_SIZE = 48
FILTERS = ("state", "verdict", "category", "split", "account")
STATES = ("labeled", "open", "dismissed")

blueprint = Blueprint("review_labels", __name__, url_prefix="/review/labels")


@blueprint.get("/")
@requires("viewer")
def show() -> str:
    """List photos, those labeled last first."""
    given = {name: request.args.get(name, "").strip() for name in FILTERS}
    given["state"] = given["state"] if given["state"] in STATES else STATES[0]
    page = max(1, request.args.get("page", 1, type=number))
    with services().sessions() as session:
        wanted = Filter(**given)  # type: ignore[arg-type]  # none of the names is item_ids
        total = review_queue.count(session, wanted)
        items = review_queue.find(session, wanted, limit=PAGE_SIZE, offset=(page - 1) * PAGE_SIZE)
        counts, accounts = review_queue.counts(session), review_queue.labelers(session)
    return render_template(
        "admin/review_labels.html",
        items=items,
        total=total,
        given=given,
        number=page,
        pages=-(-total // PAGE_SIZE),
        counts=counts,
        accounts=accounts,
        states=STATES,
        verdicts=EFFECTIVE,
    )


@blueprint.post("/<int:item_id>/take-back")
@requires("editor")
def take_back(item_id: int) -> Response:
    """Take back the label of a photo, which is in the queue again."""
    with services().sessions.begin() as session:
        reviews.begin(session)
        reviews.undo(session, item_id, account_name(), utc_now())
    flash(f"The label of photo {item_id} was taken back; it is in the queue again.")
    return redirect(url_for(".show"), 303)
