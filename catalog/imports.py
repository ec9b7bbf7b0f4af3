"""Records of feed imports, and the states of the images that feeds name."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import delete, exists, func, or_, select, update
from sqlalchemy.orm import Session

from catalog.database import INSERTS, chunks
from catalog.models import FeedImport, FeedPicture, Image, Product, utc_now

MAX_RECORDED_FINDINGS = 1000

BATCH = "batch"
"""State of the record of a batch of changes by the API, which is not an import of a feed."""


def last_columns(session: Session) -> list[str]:
    """Return the columns of the last imported feed."""
    last = last_import(session)
    return last.columns if last else []


def last_import(session: Session) -> FeedImport | None:
    """Return the last import of a feed that was not refused."""
    finished = select(FeedImport).where(FeedImport.state.not_in(("refused", BATCH)))
    return session.scalar(finished.order_by(FeedImport.import_id.desc()).limit(1))


def batches_after(session: Session, last: FeedImport) -> bool:
    """Return whether the API has changed products since an import."""
    later = exists().where(FeedImport.state == BATCH, FeedImport.import_id > last.import_id)
    return session.scalar(select(later)) or False


def unreadable(session: Session) -> list[str]:
    """Return the SHA-256 of those images of live products that could not be decoded or encoded."""
    failed = select(Image.sha256).join(Product).where(Product.withdrawn_at.is_(None), Image.problem.is_not(None))
    return list(session.scalars(failed.distinct().order_by(Image.sha256)))


def latest(session: Session, limit: int = 10) -> list[FeedImport]:
    """Return the latest imports, newest first."""
    return list(session.scalars(select(FeedImport).order_by(FeedImport.import_id.desc()).limit(limit)))


def change_count(session: Session) -> tuple[int, int]:
    """Return a value that changes with every import, in the same transaction as the products.

    It includes the sum of the ids because a refused import may get a higher id than one that is still writing. It is
    not a count of records because old ones are pruned.
    """
    newest, total = session.execute(select(func.max(FeedImport.import_id), func.sum(FeedImport.import_id))).one()
    return newest or 0, int(total or 0)


def last_finished_by_state(session: Session) -> dict[str, datetime]:
    """Return when the last import of each state ended."""
    last = select(FeedImport.state, func.max(FeedImport.finished_at)).group_by(FeedImport.state)
    return {state: finished for state, finished in session.execute(last) if finished is not None}


def as_json(row: FeedImport) -> dict[str, Any]:
    """Return an import as plain data."""
    return {
        "import_id": row.import_id,
        "feed": row.feed,
        "started": row.started_at.isoformat(),
        "finished": row.finished_at.isoformat(),
        "state": row.state,
        "counts": row.counts,
        "findings": row.findings,
        "message": row.message,
    }


@dataclass(frozen=True, slots=True)
class PictureState:
    """What is known about an image that a feed names."""

    sha256: str = ""  # of its content when last read
    size: tuple[int, int] = (0, 0)  # width and height of that content
    tag: str = ""  # changes when the image does, like an ETag; empty if unknown
    problem: str = ""  # why the last fetch failed
    failures: int = 0  # number of consecutive failed fetches


def read_picture_states(session: Session, keys: Iterable[str]) -> dict[str, PictureState]:
    """Return the states of the known images, by key."""
    found = {}
    for chunk in chunks(keys):
        for row in session.execute(select(FeedPicture.__table__).where(FeedPicture.key.in_(chunk))):
            size = (row.width or 0, row.height or 0)
            found[row.key] = PictureState(row.sha256 or "", size, row.tag, row.problem or "", row.failures)
    return found


def pictures_in_use(session: Session) -> list[str]:
    """Return the keys of images that live products have, or whose last fetch failed."""
    live = select(Image.sha256).join(Product).where(Product.withdrawn_at.is_(None))
    used = or_(FeedPicture.problem.is_not(None), FeedPicture.sha256.in_(live))
    return list(session.scalars(select(FeedPicture.key).where(used)))


def write_picture_states(session: Session, states: Mapping[str, PictureState]) -> None:
    """Insert or replace the states of images, by key."""
    now = utc_now()
    for chunk in chunks(states.items()):
        rows = [
            {
                "key": key,
                "sha256": state.sha256 or None,
                "width": state.size[0] or None,
                "height": state.size[1] or None,
                "tag": state.tag,
                "problem": state.problem or None,
                "failures": state.failures,
                "fetched_at": now,
            }
            for key, state in chunk
        ]
        statement = INSERTS[session.get_bind().dialect.name](FeedPicture)
        changed = {name: statement.excluded[name] for name in rows[0] if name != "key"}
        session.execute(statement.on_conflict_do_update(index_elements=["key"], set_=changed), rows)


def forget_picture_states(session: Session, named: Collection[str], before: datetime) -> None:
    """Clear the problems of images that are no longer named, and delete the states last updated before a time."""
    stale = or_(FeedPicture.problem.is_not(None), FeedPicture.fetched_at < before)
    rows = session.execute(select(FeedPicture.key, FeedPicture.sha256, FeedPicture.fetched_at).where(stale))
    unnamed = [row for row in rows if row.key not in named]
    for chunk in chunks(row.key for row in unnamed if row.sha256 and row.fetched_at >= before):
        cleared = update(FeedPicture).where(FeedPicture.key.in_(chunk))
        session.execute(cleared.values(problem=None, failures=0))
    for chunk in chunks(row.key for row in unnamed if not row.sha256 or row.fetched_at < before):
        session.execute(delete(FeedPicture).where(FeedPicture.key.in_(chunk)))


def unimported_pictures(session: Session) -> set[str]:
    """Return the SHA-256 of images fetched since the last successful import; a repeated import will need them."""
    feeds = FeedImport.state.not_in(("refused", BATCH))
    last = select(func.max(FeedImport.finished_at)).where(feeds).scalar_subquery()
    newer = or_(last.is_(None), FeedPicture.fetched_at > last)
    return set(session.scalars(select(FeedPicture.sha256).where(FeedPicture.sha256.is_not(None), newer)))


def count_failing_pictures(session: Session) -> int:
    """Return the number of images whose last fetch failed."""
    return session.scalars(select(func.count()).where(FeedPicture.problem.is_not(None))).one()
