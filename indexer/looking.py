"""Every picture that a feed names, looked at once: what it contains, or why it cannot be had.

What was seen is remembered by name (`catalog.seen`), so an unchanged picture is not read again, and an
import that was stopped among a hundred thousand downloads goes on where it was. A picture that cannot be had tonight
stays what it was.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial

from sqlalchemy.orm import Session, sessionmaker

from catalog import queries, seen
from catalog.changes import Sizes
from catalog.database import chunks
from catalog.imagestore import ImageStore
from catalog.seen import Seen
from indexer.ahead import ahead
from indexer.pictures import PictureSource
from vsearch.errors import ImageRejected
from vsearch.images import Limits, decode
from vsearch.progress import Progress
from vsearch.redaction import redact

_REMEMBERED = 200
"""Pictures after which what was seen is written down."""


@dataclass(frozen=True, slots=True)
class Look:
    """What was seen of one picture.

    Attributes:
        seen: what is to be remembered. With a problem and a sha256, the content is that of an earlier night.
        new: the catalogue does not know this content, or its file is lost; a killed import may have stored it already.
        known_to_fail: it could not be had the last time either.
    """

    seen: Seen
    new: bool = False
    known_to_fail: bool = False


@dataclass(frozen=True)
class Looking:
    """What pictures are looked at with.

    Attributes:
        source: where they are.
        sessions: of the catalogue.
        store: where new content goes at once.
        limits: what a picture may be.
        keep: write down and store; False leaves everything as it is.
    """

    source: PictureSource
    sessions: sessionmaker[Session]
    store: ImageStore
    limits: Limits
    keep: bool


def look_at(names: Iterable[str], looking: Looking, progress: Progress) -> dict[str, Look]:
    """Look at pictures, several at a time, and return what was seen of each, by name."""
    ordered = looking.source.in_reading_order(names)
    with looking.sessions() as session:
        sizes = queries.picture_sizes(session)
    looks: dict[str, Look] = {}
    with progress("look at pictures") as advance:
        for batch in chunks(ordered, _REMEMBERED):
            with looking.sessions() as session:
                earlier = seen.read(session, batch)
            look = partial(_look, looking=looking, all_earlier=earlier, sizes=sizes)
            threads = looking.source.threads
            found = dict(ahead(batch, look, threads=threads, waiting=2 * threads))
            if looking.keep:
                _remember(looking, found, earlier)
            looks.update(found)
            advance(len(looks), len(ordered))
    return looks


def failures(looks: Mapping[str, Look]) -> dict[str, Seen]:
    """Return what to remember of the pictures that could not be had, by name."""
    return {name: look.seen for name, look in looks.items() if look.seen.problem}


def _remember(looking: Looking, looks: Mapping[str, Look], earlier: Mapping[str, Seen]) -> None:
    """Write down what could be had; what could not is written with the import, if that is not refused."""
    good = {name: look.seen for name, look in looks.items() if not look.seen.problem and earlier.get(name) != look.seen}
    if good:
        with looking.sessions.begin() as session:
            seen.write(session, good)


def _look(name: str, looking: Looking, all_earlier: Mapping[str, Seen], sizes: Sizes) -> Look:
    earlier = all_earlier.get(name, Seen())
    there = bool(earlier.sha256) and looking.store.exists(earlier.sha256)
    try:
        fetched = looking.source.fetch(name, earlier.tag if there else "")
        if fetched.data is None:
            return Look(Seen(earlier.sha256, earlier.size, earlier.tag), new=earlier.sha256 not in sizes)
        return _looked(fetched.data, fetched.tag, looking=looking, sizes=sizes)
    except ImageRejected as error:
        problem = redact(_sentence(name, error))
        last = Seen(earlier.sha256, earlier.size) if there else Seen()
        failed = Seen(last.sha256, last.size, problem=problem, failures=earlier.failures + 1)
        return Look(failed, known_to_fail=earlier.failures > 0)


def _looked(data: bytes, tag: str, *, looking: Looking, sizes: Sizes) -> Look:
    sha256 = hashlib.sha256(data).hexdigest()
    lacking = not looking.store.exists(sha256)
    size = sizes.get(sha256)
    new = size is None or lacking
    if size is None or lacking:
        height, width = decode(data, looking.limits).shape[:2]
        size = (width, height)
    if lacking and looking.keep:
        looking.store.put(data)
    return Look(Seen(sha256, size, tag), new)


def _sentence(name: str, error: ImageRejected) -> str:
    reason = str(error)
    return (
        reason
        if reason.startswith("picture ")
        else f"picture {name!r} cannot be used: {reason[:1].lower()}{reason[1:]}"
    )
