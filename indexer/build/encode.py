"""Computes the blocks of each image once and stores them in SQL batch by batch, so that a killed run can resume."""

import logging
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from itertools import islice

import numpy as np
from sqlalchemy.orm import Session, sessionmaker

from catalog import imports, stored_blocks
from catalog.changes import mark_readable, mark_unreadable
from catalog.database import chunks
from catalog.image_store import ImageStore
from catalog.stored_blocks import Key
from vsearch.core.errors import EncodingFailed, VSearchError
from vsearch.core.progress import ProgressCallback, no_progress
from vsearch.core.settings import Settings
from vsearch.imaging.codec import Limits, Picture, decode
from vsearch.imaging.synthetic import shopper_view
from vsearch.models.checkpoint import Checkpoint
from vsearch.models.encoder import PREPARING_THREADS, Encoder, Inputs
from vsearch.search.serving import OpenEncoder

log = logging.getLogger(__name__)

TOLERATED_FAILURES = 3
"""Up to this many unreadable images never stop a run, regardless of their share."""


@dataclass(frozen=True)
class EncodeContext:
    """The source of images and the encoder for them.

    `encoder` returns the encoder; it is called only if there is something to encode, since loading takes seconds.
    """

    sessions: sessionmaker[Session]
    store: ImageStore
    blocks_id: str
    encoder: Callable[[], Encoder]
    batch_size: int
    limits: Limits

    @classmethod
    def of_shop(
        cls, settings: Settings, sessions: sessionmaker[Session], checkpoint: Checkpoint, open_encoder: OpenEncoder
    ) -> "EncodeContext":
        """Return the context for encoding the shop's images with a checkpoint."""
        encoder, limits = cache(lambda: open_encoder(checkpoint)), Limits.from_settings(settings)
        store = ImageStore(settings.pictures)
        return cls(sessions, store, checkpoint.blocks_id, encoder, settings.batch_size, limits)


@dataclass(frozen=True)
class EncodeResult:
    """The number of views that were stored, and the reasons why others were not."""

    stored: int
    problems: dict[Key, str]


def encode_missing(context: EncodeContext, keys: Iterable[Key], advance: ProgressCallback) -> EncodeResult:
    """Encode and store the views that have no blocks yet, each batch in its own transaction.

    A key is (sha256, view); view 0 is the image itself, and the others are augmented views of it with fixed seeds.
    """
    with context.sessions() as session:
        missing = stored_blocks.missing(session, context.blocks_id, list(keys))
    stored, problems = 0, {}
    advance(0, len(missing))
    if missing:
        context.encoder()  # opened once, before several threads need it
    for batch in chunks(_read_ahead(context, missing), context.batch_size):
        problems.update({key: str(view) for key, view in batch if isinstance(view, VSearchError)})
        readable = [(key, view) for key, view in batch if not isinstance(view, VSearchError)]
        if readable:
            blocks = context.encoder().blocks([view for _, view in readable])
            with context.sessions.begin() as session:
                stored_blocks.put(session, context.blocks_id, [key for key, _ in readable], blocks)
        stored += len(readable)
        advance(stored + len(problems), len(missing))
    return EncodeResult(stored, problems)


def encode_pictures(
    context: EncodeContext, sha256s: Sequence[str], *, max_failed_share: float, advance: ProgressCallback
) -> EncodeResult:
    """Encode images (view 0) and mark unreadable ones, which excludes them from the gallery.

    Raises:
        EncodingFailed: too many images are unreadable, which suggests a problem with the store rather than the
            images; nothing is marked.
    """
    result = encode_missing(context, [(sha256, 0) for sha256 in sha256s], advance)
    failed, tried = len(result.problems), result.stored + len(result.problems)
    if failed > max(TOLERATED_FAILURES, max_failed_share * tried):
        raise EncodingFailed(
            f"{failed} of {tried} new images are unreadable, over the limit of {max_failed_share:.0%}. "
            f"First problem: {next(iter(result.problems.values()))} Check the images, or raise max_failed_share."
        )
    for (sha256, _), problem in result.problems.items():
        log.warning("Image %s is unreadable: %s", sha256, problem)
    with context.sessions.begin() as session:
        mark_unreadable(session, {sha256: problem for (sha256, _), problem in result.problems.items()})
    return result


def retry_unreadable(context: EncodeContext) -> None:
    """Encode the images that an earlier run marked unreadable; those that can be read now are searched again."""
    with context.sessions() as session:
        marked = imports.unreadable(session)
    if marked:
        retried = encode_missing(context, [(sha256, 0) for sha256 in marked], no_progress)
        with context.sessions.begin() as session:
            mark_readable(session, [sha256 for sha256 in marked if (sha256, 0) not in retried.problems])


def view_of(picture: Picture, sha256: str, view: int) -> Picture:
    """Return a view of an image: itself for 0, otherwise a synthetic shopper photo determined by (sha256, view)."""
    if view == 0:
        return picture
    return shopper_view(picture, np.random.default_rng([int(sha256[:16], 16), view]))


def _read_ahead(context: EncodeContext, keys: Sequence[Key]) -> Iterator[tuple[Key, Inputs | VSearchError]]:
    """Yield each key with the inputs of its view or the error, in order, at most one batch ahead of the networks."""
    pending: deque[tuple[Key, Future[Inputs | VSearchError]]] = deque()
    remaining = iter(keys)
    with ThreadPoolExecutor(PREPARING_THREADS) as pool:
        try:
            while True:
                for key in islice(remaining, context.batch_size - len(pending)):
                    pending.append((key, pool.submit(_read, context, key)))
                if not pending:
                    return
                key, future = pending.popleft()
                yield key, future.result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _read(context: EncodeContext, key: Key) -> Inputs | VSearchError:
    sha256, view = key
    try:
        picture = view_of(decode(context.store.read(sha256), context.limits), sha256, view)
        return context.encoder().prepare(picture)
    except VSearchError as error:
        return error
