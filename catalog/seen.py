"""What is known of the pictures that feeds name: their content when last read, and why one could not be had."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from catalog.database import INSERTS, chunks
from catalog.models import SeenPicture, utc_now


@dataclass(frozen=True)
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


def forget_failures(session: Session, keep: Collection[str]) -> None:
    """Forget the pictures that could not be had, but for these keys: no feed names the others any more."""
    known = session.scalars(select(SeenPicture.key).where(SeenPicture.problem.is_not(None)))
    for chunk in chunks(key for key in known.all() if key not in keep):
        session.execute(delete(SeenPicture).where(SeenPicture.key.in_(chunk)))


def failing(session: Session) -> int:
    """Return how many pictures could not be had the last time they were asked for."""
    return session.scalars(select(func.count()).where(SeenPicture.problem.is_not(None))).one()
