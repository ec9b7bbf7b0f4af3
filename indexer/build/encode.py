"""Blocks for every picture, each computed once: stored in SQL batch by batch, so a killed run goes on where it was."""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from sqlalchemy.orm import Session, sessionmaker

from catalog import imports, stored_blocks
from catalog.changes import mark_readable, mark_unreadable
from catalog.database import chunks
from catalog.image_store import ImageStore
from catalog.stored_blocks import Key
from indexer.images.prefetch import prefetch_map
from vsearch.core.errors import EncodingFailed, VSearchError
from vsearch.core.progress import ProgressCallback, no_progress
from vsearch.imaging.codec import Limits, Picture, decode
from vsearch.imaging.synthetic import shopper_view
from vsearch.models.encoder import Encoder

log = logging.getLogger(__name__)

THREADS = 2
"""Threads that read and decode ahead of the encoder."""

FORGIVEN = 3
"""So many unreadable pictures never stop a run, whatever share of the new ones they are."""


@dataclass(frozen=True)
class EncodeContext:
    """Where pictures come from, and what turns them into blocks.

    Attributes:
        sessions: of the catalogue.
        store: the pictures' files.
        blocks_id: what the blocks are stored under.
        encoder: returns the encoder; asked for only when something must be encoded, for loading one takes seconds.
        batch_size: pictures encoded, and stored, at a time.
        limits: what a picture file may be at most.
    """

    sessions: sessionmaker[Session]
    store: ImageStore
    blocks_id: str
    encoder: Callable[[], Encoder]
    batch_size: int
    limits: Limits


@dataclass(frozen=True)
class EncodeResult:
    """What `encode_missing` did: how many views it stored, and why some could not be made."""

    stored: int
    problems: dict[Key, str]


def encode_missing(encoding: EncodeContext, keys: Iterable[Key], advance: ProgressCallback) -> EncodeResult:
    """Encode and store the views that nothing is stored for yet, each batch in its own transaction.

    Args:
        encoding: the tools.
        keys: (sha256, view); view 0 is the picture itself, others are seeded views of it.
        advance: told of every batch.
    """
    with encoding.sessions() as session:
        missing = stored_blocks.missing(session, encoding.blocks_id, list(keys))
    stored, problems = 0, {}
    advance(0, len(missing))
    for batch in chunks(_decoded(encoding, missing), encoding.batch_size):
        problems.update({key: str(found) for key, found in batch if isinstance(found, VSearchError)})
        good = [(key, found) for key, found in batch if not isinstance(found, VSearchError)]
        if good:
            blocks = encoding.encoder().blocks([picture for _, picture in good])
            with encoding.sessions.begin() as session:
                stored_blocks.put(session, encoding.blocks_id, [key for key, _ in good], blocks)
        stored += len(good)
        advance(stored + len(problems), len(missing))
    return EncodeResult(stored, problems)


def encode_pictures(
    encoding: EncodeContext, sha256s: Sequence[str], *, max_failed_share: float, advance: ProgressCallback
) -> EncodeResult:
    """Encode pictures themselves (view 0); those that cannot be read leave the gallery, with the reason on record.

    Those that could not be read another night are tried again.

    Raises:
        EncodingFailed: too many cannot be read: then the catalogue's picture files are in trouble, not a few
            pictures, and nothing is put on record.
    """
    with encoding.sessions() as session:
        again = imports.unreadable(session)
    if again:
        retried = encode_missing(encoding, [(sha256, 0) for sha256 in again], no_progress)
        readable = [sha256 for sha256 in again if (sha256, 0) not in retried.problems]
        with encoding.sessions.begin() as session:
            mark_readable(session, readable)
    done = encode_missing(encoding, [(sha256, 0) for sha256 in sha256s], advance)
    failed, tried = len(done.problems), done.stored + len(done.problems)
    if failed > max(FORGIVEN, max_failed_share * tried):
        raise EncodingFailed(
            f"At most {max_failed_share:.0%} of new pictures may be unreadable, but {failed} of {tried} were, "
            f"such as: {next(iter(done.problems.values()))} Check the pictures, or raise max_failed_share."
        )
    for (sha256, _), problem in done.problems.items():
        log.warning("picture %s cannot be used: %s", sha256, problem)
    with encoding.sessions.begin() as session:
        mark_unreadable(session, {sha256: problem for (sha256, _), problem in done.problems.items()})
    return done


def view_of(picture: Picture, sha256: str, view: int) -> Picture:
    """Return a view of a picture: itself for 0, else one as a shopper might take it, the same every time."""
    if view == 0:
        return picture
    return shopper_view(picture, np.random.default_rng([int(sha256[:16], 16), view]))


def _decoded(encoding: EncodeContext, keys: Sequence[Key]) -> Iterator[tuple[Key, Picture | VSearchError]]:
    """Yield each key with its picture or what is wrong with that, made ahead of time by threads."""
    return prefetch_map(keys, partial(_read, encoding), threads=THREADS, max_pending=encoding.batch_size)


def _read(encoding: EncodeContext, key: Key) -> Picture | VSearchError:
    sha256, view = key
    try:
        return view_of(decode(encoding.store.read(sha256), encoding.limits), sha256, view)
    except VSearchError as error:
        return error
