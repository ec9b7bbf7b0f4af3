"""Photos: what is detected in them, and deleting them."""

from vsearch.imaging.codec import Picture
from webui import monitoring, photo_owners, results
from webui.api.answers import photo_of
from webui.api.operations import operation
from webui.api.schemas import PhotoAnswer, PhotoOwner
from webui.api.search import PHOTO_PROBLEMS, sent_photo, store_photo
from webui.criteria import Criteria
from webui.services import services
from webui.shop import delete_everything, load_photo, read_article_number


@operation(
    "POST", "/photos", "search", public=True, photo=True, answer=PhotoAnswer, status=201, problems=PHOTO_PROBLEMS
)
def upload_photo() -> PhotoAnswer:
    """Store a photo, and return what is detected in it.

    Photos are sent and kept as for a search.
    """
    photo_id, picture = store_photo(sent_photo())
    return _described(photo_id, picture, services().uploads.owner_token(photo_id))


@operation("GET", "/photos/<photo_id>", "search", public=True, answer=PhotoAnswer, problems=(404,))
def photo(photo_id: str) -> PhotoAnswer:
    """Return what is detected in a photo that was sent before."""
    return _described(photo_id, load_photo(photo_id))


@operation(
    "DELETE", "/photos/<photo_id>", "search", public=True, query=PhotoOwner, answer=None, status=204,
    problems=(403, 404),
)  # fmt: skip
def delete_photo(photo_id: str, query: PhotoOwner) -> None:
    """Delete a photo and everything kept about it.

    Only its sender can: the owner token is in the answer to the request that sent the photo.
    """
    photo_owners.check_token(photo_id, query.owner)
    delete_everything(photo_id)


def _described(photo_id: str, picture: Picture, owner: str | None = None) -> PhotoAnswer:
    criteria = Criteria()
    number = read_article_number(picture, criteria)
    page = results.find_products(services(), picture, criteria, by_design=False)
    monitoring.add_timings(page.timings)
    return photo_of(photo_id, picture.shape[:2], page, number, owner)
