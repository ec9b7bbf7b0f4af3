"""Shoppers' verdicts on results: "This is it", "Similar", "Wrong", without an account."""

from datetime import datetime

from flask import Blueprint, Flask, abort, redirect, request, url_for
from flask_babel import gettext
from werkzeug.wrappers import Response

from catalog.models import utc_now
from vsearch.core.settings import Settings
from webui import photo_owners, search_records
from webui.admission import reject_other_sites
from webui.criteria import from_form
from webui.review_photos import TAKEN_BACK, Rating
from webui.services import services
from webui.shop import PHOTO_UNAVAILABLE

blueprint = Blueprint("feedback", __name__)


def register(app: Flask, settings: Settings) -> None:
    """Let all templates say for how long photos are kept, and whether some are kept without a verdict."""
    app.jinja_env.globals.update(
        upload_days=settings.upload_days,
        review_days=settings.review_days,
        keeps_samples=settings.review_sample_share > 0,
        asks_for_feedback=settings.feedback,
    )


@blueprint.post("/results/<photo_id>/feedback")
def rate(photo_id: str) -> Response | dict[str, str | None]:
    """Keep a verdict and the photo, or take it back; then return to the same place on the page; scripts get JSON."""
    form = request.form
    rating = Rating.parse(form.get("sku"), form.get("verdict"), form.get("box"), form.get("rank"))
    reject_other_sites()
    photo_owners.check_browser(photo_id)
    kept = keep_rating(photo_id, rating)
    search_records.record_verdict(request.args.get("query", ""), "" if rating.verdict == TAKEN_BACK else rating.verdict)
    if request.accept_mimetypes.best == "application/json":
        return kept
    criteria = from_form(request.args, services().catalog.currencies())[0]
    return redirect(
        url_for("shop.show_results", photo_id=photo_id, **criteria.query(), _anchor=f"result-{rating.sku}"), code=303
    )


def keep_rating(photo_id: str, rating: Rating) -> dict[str, str | None]:
    """Keep a verdict on a product for a shopper's photo, or take it back; return it, and until when a copy is kept."""
    if not services().settings.feedback:
        abort(404, gettext("Feedback is switched off in this shop."))
    kept_until: datetime | None
    if rating.verdict == TAKEN_BACK:
        kept_until = services().review_photos.take_back(photo_id, rating)
    else:
        found = services().review_photos.rate(photo_id, rating, utc_now())
        if found is None:
            abort(404, PHOTO_UNAVAILABLE)
        item_id, kept_until = found
        services().sampler.guess(item_id)
    return {
        "sku": rating.sku,
        "verdict": rating.verdict,
        "kept_until": f"{kept_until:%Y-%m-%d}" if kept_until else None,
    }
