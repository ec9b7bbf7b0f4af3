"""Fetches every image that a feed names and records its content, or the reason why it is unavailable.

Results are stored by name through `catalog.imports`, so that unchanged images are not read again and an interrupted
import resumes where it stopped. An unavailable image keeps its previous content.
"""

import hashlib
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial

from sqlalchemy.orm import Session, sessionmaker

from catalog import imports, queries
from catalog.changes import ImageSizes
from catalog.database import chunks
from catalog.image_store import ImageStore
from catalog.imports import PictureState
from indexer.feed.picture_sources import PictureSource
from vsearch.core.errors import ImageRejected
from vsearch.core.progress import Progress
from vsearch.core.redaction import redact
from vsearch.imaging.codec import Limits, decode

_BATCH_SIZE = 200
"""Images fetched per commit."""


@dataclass(frozen=True, slots=True)
class FetchResult:
    """The outcome of fetching one image."""

    state: PictureState  # to be stored; if it has a problem and a SHA-256, the content is that of an earlier fetch
    new: bool = False  # the catalog does not have this content, or its file is missing
    known_to_fail: bool = False  # the previous attempt also failed
    changed: bool = True  # since the last fetch, in the catalog or at its source


@dataclass(frozen=True)
class FetchContext:
    """The source of images, and where new content is stored immediately unless this is a dry run."""

    source: PictureSource
    sessions: sessionmaker[Session]
    store: ImageStore
    limits: Limits
    dry_run: bool


def sync_pictures(names: Iterable[str], context: FetchContext, progress: Progress) -> dict[str, FetchResult]:
    """Fetch images concurrently and return the result for each name."""
    ordered = context.source.in_reading_order(names)
    with context.sessions() as session:
        sizes = queries.picture_sizes(session)
    results: dict[str, FetchResult] = {}
    with progress("fetch pictures") as advance, ThreadPoolExecutor(context.source.threads) as pool:
        for batch in chunks(ordered, _BATCH_SIZE):
            with context.sessions() as session:
                earlier = imports.read_picture_states(session, batch)
            unchanged = {
                name: _unchanged(last, sizes) for name, last in earlier.items() if _is_unchanged(name, last, context)
            }
            others = [name for name in batch if name not in unchanged]
            fetch = partial(_fetch, context=context, earlier=earlier, sizes=sizes)
            fetched = unchanged | dict(zip(others, pool.map(fetch, others), strict=True))
            # Failures are recorded with the import, which may still be refused.
            changed = {
                name: result.state
                for name, result in fetched.items()
                if not result.state.problem and earlier.get(name) != result.state
            }
            if changed and not context.dry_run:
                with context.sessions.begin() as session:
                    imports.write_picture_states(session, changed)
            results.update(fetched)
            advance(len(results), len(ordered))
    return results


def _is_unchanged(name: str, last: PictureState, context: FetchContext) -> bool:
    return bool(last.tag) and context.source.is_unchanged(name, last.tag) and context.store.exists(last.sha256)


def _unchanged(last: PictureState, sizes: ImageSizes) -> FetchResult:
    new = last.sha256 not in sizes
    return FetchResult(PictureState(last.sha256, last.size, last.tag), new=new, changed=new or bool(last.problem))


def _fetch(name: str, context: FetchContext, earlier: Mapping[str, PictureState], sizes: ImageSizes) -> FetchResult:
    last = earlier.get(name, PictureState())
    is_stored = bool(last.sha256) and context.store.exists(last.sha256)
    try:
        content = context.source.fetch(name, last.tag if is_stored else "")
        if content.data is None:
            return _unchanged(last, sizes)
        return _store(content.data, content.tag, context, sizes, last)
    except ImageRejected as error:
        reason = str(error)
        if not reason.startswith("picture "):
            reason = f"image {name!r} cannot be used: {reason[:1].lower()}{reason[1:]}"
        kept = last if is_stored else PictureState()
        failed = replace(kept, tag="", problem=redact(reason), failures=last.failures + 1)
        changed = (failed.sha256, failed.problem) != (last.sha256, last.problem)
        return FetchResult(failed, known_to_fail=last.failures > 0, changed=changed)


def _store(data: bytes, tag: str, context: FetchContext, sizes: ImageSizes, last: PictureState) -> FetchResult:
    sha256 = hashlib.sha256(data).hexdigest()
    is_stored = context.store.exists(sha256)
    size = sizes.get(sha256)
    if size is not None and is_stored:
        return FetchResult(PictureState(sha256, size, tag), changed=(sha256, "") != (last.sha256, last.problem))
    height, width = decode(data, context.limits).shape[:2]
    if not is_stored and not context.dry_run:
        context.store.put(data)
    return FetchResult(PictureState(sha256, (width, height), tag), new=True)
