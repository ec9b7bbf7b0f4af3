"""What is known of the pictures that feeds name: their content when last read, and why one could not be had."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, func, or_, select, update
from sqlalchemy.orm import Session

from catalog.database import INSERTS, chunks
from catalog.models import FeedImport, SeenPicture, utc_now


@dataclass(frozen=True, slots=True)
class Seen:
    """One picture of a feed.

    Attributes:
        sha256: of its content when it was last read; empty where it never was.
        size: its width and height then.
        tag: changes when the picture does; empty where that cannot be told without reading it.
        problem: why it could not be had the last time; empty where it could.
        failures: how many times running it could not be had.
    """

    sha256: str = ""
    size: tuple[int, int] = (0, 0)
    tag: str = ""
    problem: str = ""
    failures: int = 0


def read(session: Session, keys: Iterable[str]) -> dict[str, Seen]:
    """Return what is known of pictures, by key; unknown ones are left out."""
    found = {}
    for chunk in chunks(keys):
        for row in session.scalars(select(SeenPicture).where(SeenPicture.key.in_(chunk))):
            size = (row.width or 0, row.height or 0)
            found[row.key] = Seen(row.sha256 or "", size, row.tag, row.problem or "", row.failures)
    return found


def write(session: Session, seen: Mapping[str, Seen]) -> None:
    """Remember pictures by key, in place of what was known of them."""
    insert = INSERTS[session.get_bind().dialect.name]
    now = utc_now()
    for chunk in chunks(seen.items()):
        rows = [
            {
                "key": key,
                "sha256": one.sha256 or None,
                "width": one.size[0] or None,
                "height": one.size[1] or None,
                "tag": one.tag,
                "problem": one.problem or None,
                "failures": one.failures,
                "seen_at": now,
            }
            for key, one in chunk
        ]
        statement = insert(SeenPicture)
        changed = {name: statement.excluded[name] for name in rows[0] if name != "key"}
        session.execute(statement.on_conflict_do_update(index_elements=["key"], set_=changed), rows)


def forget(session: Session, named: Collection[str], before: datetime) -> None:
    """Forget what no feed names any more: that a picture could not be had, and all of it where it was seen long ago.

    Args:
        session: of the catalogue.
        named: keys of the pictures that tonight's feed names.
        before: what was written down earlier and is not named is forgotten altogether.
    """
    stale = or_(SeenPicture.problem.is_not(None), SeenPicture.seen_at < before)
    rows = session.execute(select(SeenPicture.key, SeenPicture.sha256, SeenPicture.seen_at).where(stale))
    unnamed = [row for row in rows if row.key not in named]
    for chunk in chunks(row.key for row in unnamed if row.sha256 and row.seen_at >= before):
        well = update(SeenPicture).where(SeenPicture.key.in_(chunk))
        session.execute(well.values(problem=None, failures=0))
    for chunk in chunks(row.key for row in unnamed if not row.sha256 or row.seen_at < before):
        session.execute(delete(SeenPicture).where(SeenPicture.key.in_(chunk)))


def waiting(session: Session) -> set[str]:
    """Return the sha256 of pictures read since a feed was last taken: an import that was stopped or refused and
    begins again will ask for them."""
    taken = select(func.max(FeedImport.finished_at)).where(FeedImport.state != "refused").scalar_subquery()
    newer = or_(taken.is_(None), SeenPicture.seen_at > taken)
    return set(session.scalars(select(SeenPicture.sha256).where(SeenPicture.sha256.is_not(None), newer)))


def failing(session: Session) -> int:
    """Return how many pictures could not be had the last time they were asked for."""
    return session.scalars(select(func.count()).where(SeenPicture.problem.is_not(None))).one()
