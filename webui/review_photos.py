"""Photos for review: kept with a shopper's verdict or as a sample of searches, cropped, and deleted; without Flask."""

import hashlib
import logging
import queue
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Literal

from sqlalchemy.orm import Session, sessionmaker

from catalog import audit, review_queue, review_retention, reviews
from catalog.image_store import ImageStore, import_lock
from catalog.models import utc_now
from catalog.reviews import EFFECTIVE, SHOPPER_VERDICTS, Area, ClassGuess, NewLabel, ShopperVerdict
from vsearch.core.errors import InvalidRequest, VSearchError
from vsearch.core.lock import shared_lock
from vsearch.core.settings import Settings
from vsearch.imaging import codec
from vsearch.imaging.codec import Limits, Picture, decode, encode_jpeg
from vsearch.imaging.geometry import Box
from vsearch.models.class_heads import CLASS
from vsearch.models.trained_heads import HeadPredictions
from vsearch.search.engine import Engine, Search
from vsearch.search.merging import SearchResult
from webui.criteria import Criteria
from webui.image_files import MAX_SIDE, Thumbnails, UploadStore

WHOLE = Box(0, 0, 1, 1)
MAX_RANK = 100_000
TAKEN_BACK: Literal["none"] = "none"
"""Verdict that takes back the earlier one."""

MAX_WAITING = 100
"""Photos that wait to be sampled; when there are more, the next are not sampled."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Rating:
    """A shopper's verdict on a product."""

    sku: str
    verdict: ShopperVerdict | Literal["none"]  # none: the earlier one is taken back
    box: str  # the area in which the product was found; empty for the whole photo
    rank: int  # of the product in the results, from 1

    @classmethod
    def parse(cls, sku: object, verdict: object, box: object, rank: object) -> "Rating":
        """Check values from a form or JSON; raises `InvalidRequest`."""
        if verdict != TAKEN_BACK and verdict not in SHOPPER_VERDICTS:
            raise InvalidRequest(
                "%(verdict)r is not a verdict. Use %(verdicts)s.",
                verdict=str(verdict)[:40],
                verdicts=", ".join((*SHOPPER_VERDICTS, TAKEN_BACK)),
            )
        if not isinstance(sku, str) or not sku or "\0" in sku:
            raise InvalidRequest("The SKU of the product is missing.")
        number = str(rank)
        if not (number.isascii() and number.isdigit() and 1 <= int(number[:9]) <= MAX_RANK):
            raise InvalidRequest("%(rank)r is not a rank. Use a number from 1.", rank=number[:20])
        return cls(sku, verdict, area_of(Box.parse(str(box)) if box else None), int(number))


def area_of(box: Box | None) -> str:
    """Return the box of a review item; empty for the whole photo."""
    return "" if box is None or box == WHOLE else str(box)


def guess_of(predictions: HeadPredictions | None) -> ClassGuess:
    """Summarize what the networks say about one area."""
    if predictions is None:
        return ClassGuess()
    classes = predictions.spec(CLASS).classes
    name = predictions.vote(CLASS)[0]
    votes = [predictions.labels(network, CLASS)[0] for network in predictions.networks]
    probability = float(predictions.mean(CLASS)[0][classes.index(name)])
    return ClassGuess(name, 1 - probability, sum(vote != name for vote in votes) / len(votes))


class ReviewPhotos:
    """Writes review items and their photos; thread-safe."""

    def __init__(self, settings: Settings, sessions: sessionmaker[Session]) -> None:
        self._settings, self._sessions = settings, sessions
        self._store = ImageStore(settings.pictures)
        self._uploads, self._thumbnails = UploadStore(settings), Thumbnails(settings)

    def add(self, area: Area, now: datetime, account: str = "") -> int:
        """Keep a photo for review and return the item's id; the audit log gets the account, if there is one."""
        sha256 = hashlib.sha256(area.photo).hexdigest()
        with shared_lock(import_lock(self._store.folder)), self._sessions.begin() as session:
            reviews.begin(session, sha256)
            item_id = reviews.add(session, self._store, area, keep_days=self._settings.review_days, now=now)
            if account:
                audit.record(session, account, "add photo", f"photo {item_id}")
            return item_id

    def upload(self, data: bytes, account: str, now: datetime, box: str = "") -> int:
        """Keep a photo that somebody chose, without its metadata; raises `ImageRejected` if it is no image."""
        with self._sessions() as session:
            if reviews.is_known(session, hashlib.sha256(data).hexdigest()):  # it was exported
                return self.add(Area(data, "upload", box), now, account)
        picture = decode(data, Limits.from_settings(self._settings), max_side=MAX_SIDE)
        return self.add(Area(encode_jpeg(picture), "upload", box), now, account)

    def take_back(self, photo_id: str, rating: Rating) -> datetime | None:
        """Forget a verdict, and the copy of the photo if that was the last one on its area.

        Returns when the last copy of the photo is deleted; None if none is kept.
        """
        with self._sessions.begin() as session:
            reviews.begin(session)
            unrated = reviews.take_back_feedback(session, photo_id, rating.box, rating.sku)
        if unrated is not None:
            self.delete(*unrated)
        return self.kept_until(photo_id)

    def rate(self, photo_id: str, rating: Rating, now: datetime) -> tuple[int, datetime] | None:
        """Keep a shopper's photo and the verdict; return the item and when both are deleted, None without a photo."""
        photo, verdict = self._uploads.read(photo_id), rating.verdict
        if photo is None or verdict == TAKEN_BACK:
            return None
        area = Area(photo, "feedback", rating.box, photo_id)
        days = self._settings.review_days
        with shared_lock(import_lock(self._store.folder)), self._sessions.begin() as session:
            reviews.begin(session, hashlib.sha256(photo).hexdigest())
            product = reviews.live_product(session, rating.sku)
            item_id = reviews.add(session, self._store, area, keep_days=days, now=now)
            reviews.add_feedback(session, item_id, product.product_id, verdict, rating.rank, now)
        self._delete_if_withdrawn(photo_id)
        return item_id, now + timedelta(days=days)

    def sample(self, photo_id: str, source: reviews.Source, box: str, guess: ClassGuess, generation_id: str) -> None:
        """Keep a shopper's photo if it is in the sample, once."""
        photo = self._uploads.read(photo_id) or b""
        sha256 = hashlib.sha256(photo).hexdigest()
        if not photo or not reviews.is_sampled(sha256, self._settings.review_sample_share):
            return
        with self._sessions() as session:
            if reviews.is_known(session, sha256):
                return
        self.add(Area(photo, source, box, photo_id, guess, generation_id), utc_now())
        self._delete_if_withdrawn(photo_id)

    def read(self, sha256: str) -> Picture:
        """Return a photo that is kept; raises `CatalogError` if it is not stored."""
        return decode(self._store.read(sha256), Limits(min_side=1))

    def label(self, item_id: int, account: str, new: NewLabel, *, based_on: int | None, now: datetime) -> int:
        """Store a label and the image of the labeled area; raises the errors of `reviews.label`."""
        with self._sessions() as session:
            sha256 = review_retention.photo_of(session, item_id)
        area = b""
        if new.verdict in EFFECTIVE and new.box:
            area = encode_jpeg(codec.crop(self.read(sha256), Box.parse(new.box)), quality=95)
        crop_sha256 = hashlib.sha256(area).hexdigest() if area else sha256
        with shared_lock(import_lock(self._store.folder)), self._sessions.begin() as session:
            reviews.begin(session, sha256)
            new = replace(new, crop_sha256=crop_sha256)
            label_id = reviews.label(session, item_id, account, new, based_on=based_on, now=now)
            if area:
                self._store.put(area)
            return label_id

    def kept_until(self, photo_id: str) -> datetime | None:
        """Return when the last copy of a shopper's photo is deleted; None if none is kept."""
        with self._sessions() as session:
            return review_retention.kept_until(session, photo_id)

    def verdicts_on(self, photo_id: str) -> dict[tuple[str, int], str]:
        """Return the verdicts given for a shopper's photo, by area and product id."""
        with self._sessions() as session:
            return reviews.verdicts_on(session, photo_id)

    def delete_photo(self, photo_id: str, photo: bytes | None = None) -> bool:
        """Delete everything kept of a shopper's photo; return whether there was anything.

        Given the photo, this includes what was kept of an equal one without a verdict.
        """
        with self._sessions() as session:
            sha256 = hashlib.sha256(photo).hexdigest() if photo else ""
            found = review_retention.items_of_photo(session, photo_id, sha256)
        for sha256, item_ids in found.items():
            self.delete(sha256, item_ids)
        return bool(found)

    def delete_expired(self, now: datetime | None = None) -> None:
        """Delete all expired items."""
        with self._sessions() as session:
            found = review_retention.expired(session, now or utc_now())
        for sha256, item_ids in found.items():
            self.delete(sha256, item_ids)

    def delete(self, sha256: str, item_ids: list[int], account: str = "") -> None:
        """Delete items of one photo, and all files that nothing else uses."""
        with self._sessions.begin() as session:
            reviews.begin(session, sha256)
            deleted = review_retention.delete_items(session, self._store, item_ids, account)
        for picture in deleted:
            self._thumbnails.delete(picture)

    def _delete_if_withdrawn(self, photo_id: str) -> None:
        """Delete what was kept if the shopper deleted the photo while it was being copied."""
        if self._uploads.find(photo_id) is None:
            self.delete_photo(photo_id)


class ReviewSampler:
    """Keeps photos of searches, and computes what the networks say about rated ones, in a thread of its own.

    It does its best: a failure is logged, and when too many photos wait, further ones are ignored.
    """

    def __init__(self, settings: Settings, engine: Engine, sessions: sessionmaker[Session]) -> None:
        self._settings, self._engine, self._sessions = settings, engine, sessions
        self._photos = ReviewPhotos(settings, sessions)
        self._tasks: queue.Queue[Callable[[], None]] = queue.Queue(MAX_WAITING)
        self._starting, self._thread = threading.Lock(), threading.Thread()

    def consider(self, photo_id: str, criteria: Criteria, result: SearchResult, *, nothing_close: bool) -> None:
        """Keep the photo of an unfiltered search if nothing was close or its class is uncertain."""
        if not self._settings.review_sample_share or criteria.page > 1 or criteria.class_name or criteria.filters:
            return
        guess = guess_of(result.predictions)
        source: reviews.Source = "nothing close" if nothing_close else "uncertain"
        if source == "uncertain" and 1 - guess.uncertainty >= self._settings.route_floor:
            return
        box, generation_id = area_of(criteria.box or result.box), result.generation_id
        self._submit(lambda: self._photos.sample(photo_id, source, box, guess, generation_id))

    def guess(self, *item_ids: int) -> None:
        """Compute and store what the networks say about items that were added without it."""
        for item_id in item_ids:
            self._submit(partial(self._guess, item_id))

    def join(self) -> None:
        """Wait until nothing waits."""
        self._tasks.join()

    def _submit(self, task: Callable[[], None]) -> None:
        with suppress(queue.Full):
            self._tasks.put_nowait(task)
        with self._starting:
            if not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="vsearch-review", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while True:
            task = self._tasks.get()
            try:
                task()
            except VSearchError as error:
                log.warning("a photo was not kept for review: %s", error)
            except Exception:
                log.exception("a photo was not kept for review")
            finally:
                self._tasks.task_done()

    def _guess(self, item_id: int) -> None:
        with self._sessions() as session:
            item = review_queue.one(session, item_id)
        if item is None:
            return
        search = Search(k=1, box=Box.parse(item.box) if item.box else WHOLE)
        result = self._engine.search(self._photos.read(item.sha256), search)
        with self._sessions.begin() as session:
            reviews.begin(session)
            reviews.set_guess(session, item_id, guess_of(result.predictions), result.generation_id)
