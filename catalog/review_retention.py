"""How long reviewed photos are kept, and their deletion with everything that was derived from them."""

from collections.abc import Collection, Iterable
from datetime import datetime

from sqlalchemy import delete, exists, func, or_, select
from sqlalchemy.orm import Session

from catalog import audit
from catalog.database import chunks
from catalog.image_store import ImageStore
from catalog.models import FeedPicture, Image, ReviewItem, ReviewLabel, StoredBlocks
from catalog.reviews import SAMPLED, target, unknown


def pictures_in_use(session: Session) -> set[str]:
    """Return the SHA-256 of all reviewed photos and of their labeled areas, until they are deleted."""
    crops = select(ReviewLabel.crop_sha256).where(ReviewLabel.crop_sha256 != "")
    return {*session.scalars(select(ReviewItem.sha256)), *session.scalars(crops)}


def expired(session: Session, now: datetime) -> dict[str, list[int]]:
    """Return the expired items by the SHA-256 of their photo."""
    found: dict[str, list[int]] = {}
    for sha256, item_id in session.execute(
        select(ReviewItem.sha256, ReviewItem.item_id).where(ReviewItem.expires_at <= now).order_by(ReviewItem.item_id)
    ):
        found.setdefault(sha256, []).append(item_id)
    return found


def kept_until(session: Session, photo_id: str) -> datetime | None:
    """Return when the last item of a shopper's photo expires; None without items."""
    wanted = select(func.max(ReviewItem.expires_at)).where(ReviewItem.photo_id == photo_id)
    return session.scalar(wanted) if photo_id else None


def items_of_photo(session: Session, photo_id: str, content: str = "") -> dict[str, list[int]]:
    """Return all items of a shopper's photo by the SHA-256 of the stored copy.

    They include areas that admins added, and what was kept without a verdict of an equal photo: one with the SHA-256
    `content`. What other shoppers let the shop keep of an equal photo is theirs.
    """
    found: dict[str, list[int]] = {}
    if photo_id:
        photos = select(ReviewItem.sha256).where(ReviewItem.photo_id == photo_id)
        added = ReviewItem.sha256.in_(photos) & (ReviewItem.photo_id == "")
        equal = (ReviewItem.sha256.in_(photos) | (ReviewItem.sha256 == content)) & ReviewItem.source.in_(SAMPLED)
        wanted = or_(ReviewItem.photo_id == photo_id, added, equal)
        for sha256, item_id in session.execute(select(ReviewItem.sha256, ReviewItem.item_id).where(wanted)):
            found.setdefault(sha256, []).append(item_id)
    return found


def items_with(session: Session, sha256: str) -> list[int]:
    """Return all items of a photo."""
    return list(session.scalars(select(ReviewItem.item_id).where(ReviewItem.sha256 == sha256)))


def is_kept(session: Session, sha256: str) -> bool:
    """Return whether an image is a reviewed photo or a labeled area of one."""
    photo = exists().where(ReviewItem.sha256 == sha256)
    return session.scalar(select(photo | exists().where(ReviewLabel.crop_sha256 == sha256))) or False


def photo_of(session: Session, item_id: int) -> str:
    """Return the SHA-256 of the photo of an item; raises `UnknownItem`."""
    sha256 = session.scalar(select(ReviewItem.sha256).where(ReviewItem.item_id == item_id))
    if sha256 is None:
        raise unknown(item_id)
    return sha256


def pictures_of(session: Session, item_ids: Collection[int]) -> set[str]:
    """Return the SHA-256 of the photos of these items and of all their labeled areas."""
    found: set[str] = set()
    for chunk in chunks(item_ids):
        crops = select(ReviewLabel.crop_sha256).where(ReviewLabel.item_id.in_(chunk), ReviewLabel.crop_sha256 != "")
        found |= {*session.scalars(select(ReviewItem.sha256).where(ReviewItem.item_id.in_(chunk)))}
        found |= {*session.scalars(crops)}
    return found


def delete_items(session: Session, store: ImageStore, item_ids: Collection[int], account: str = "") -> set[str]:
    """Delete items of one photo with their verdicts and labels, and every image and block that nothing else uses.

    Start the transaction with `reviews.begin` and the photo's SHA-256. Files are deleted before the transaction ends:
    if that fails, the rows are still there, and deleting them again is harmless.

    Args:
        account: who deletes them; empty for shoppers and for photos that expire, which no log entry should survive.

    Returns:
        The SHA-256 of the deleted images.
    """
    pictures = pictures_of(session, item_ids)
    if account:
        for item in session.scalars(select(ReviewItem).where(ReviewItem.item_id.in_(item_ids))):
            audit.record(session, account, "delete photo", target(item))
    session.execute(delete(ReviewItem).where(ReviewItem.item_id.in_(item_ids)))
    unused = pictures - _used(session, pictures)
    for chunk in chunks(unused):
        session.execute(delete(StoredBlocks).where(StoredBlocks.sha256.in_(chunk)))
    for sha256 in unused:
        store.path(sha256).unlink(missing_ok=True)
    return unused


def _used(session: Session, pictures: Iterable[str]) -> set[str]:
    """Return those images that a product, a reviewed photo or the next import uses."""
    found: set[str] = set()
    for chunk in chunks(pictures):
        for column in (Image.sha256, FeedPicture.sha256, ReviewItem.sha256, ReviewLabel.crop_sha256):
            found |= {sha256 for sha256 in session.scalars(select(column).where(column.in_(chunk))) if sha256}
    return found
