"""Blocks stored by the content of a picture, so that no picture is encoded twice for the same `blocks_id`.

A key is (sha256, view): view 0 is the picture itself, others are seeded, augmented views of it.
"""

from collections.abc import Collection, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from catalog.database import INSERTS, chunks
from catalog.models import StoredBlocks
from vsearch.core.errors import CatalogError

Key = tuple[str, int]

STORED_TYPE = np.dtype("<f2")


def missing(session: Session, blocks_id: str, keys: Sequence[Key]) -> list[Key]:
    """Return those of `keys` that nothing is stored for, in their order, each once."""
    wanted = dict.fromkeys(keys)
    statement = select(StoredBlocks.sha256, StoredBlocks.view)
    for chunk in chunks(dict.fromkeys(sha256 for sha256, _ in wanted)):
        rows = session.execute(statement.where(_stored(blocks_id, chunk)))
        for sha256, view in rows:
            wanted.pop((sha256, view), None)
    return list(wanted)


def put(session: Session, blocks_id: str, keys: Sequence[Key], blocks: NDArray[np.float16]) -> None:
    """Store the rows of `blocks` [n, d] under `keys`; a key that is stored already keeps what it has."""
    if blocks.ndim != 2 or len(blocks) != len(keys) or blocks.dtype != np.float16:
        raise ValueError(f"blocks must be float16 [{len(keys)}, d], got {blocks.dtype} {blocks.shape}")
    insert = INSERTS[session.get_bind().dialect.name]
    statement = insert(StoredBlocks).on_conflict_do_nothing()
    for chunk in chunks(zip(keys, blocks.astype(STORED_TYPE, copy=False), strict=True)):
        session.execute(
            statement,
            [
                {"blocks_id": blocks_id, "sha256": sha256, "view": view, "vector": row.tobytes()}
                for (sha256, view), row in chunk
            ],
        )


def read(session: Session, blocks_id: str, keys: Sequence[Key]) -> NDArray[np.float16]:
    """Return the blocks of `keys`, in their order; float16 [n, d], and [0, 0] for no keys.

    Raises:
        CatalogError: nothing is stored for one of them.
    """
    places: dict[Key, list[int]] = {}
    for place, key in enumerate(keys):
        places.setdefault(key, []).append(place)
    blocks = np.empty((0, 0), dtype=np.float16)
    for key, row in _rows(session, blocks_id, places):
        if not len(blocks):
            blocks = np.empty((len(keys), len(row)), dtype=np.float16)
        blocks[places.pop(key)] = row
    if places:
        sha256, view = next(iter(places))
        raise CatalogError(
            f"Blocks must be stored for every picture, but {len(places)} of {len(keys)} have none "
            f"(picture {sha256[:12]}, view {view}, {blocks_id}); run `vsearch index run`."
        )
    return blocks


def count(session: Session, blocks_id: str | None = None) -> int:
    """Return how many blocks are stored, for one `blocks_id` or for all."""
    statement = select(func.count()).select_from(StoredBlocks)
    if blocks_id is not None:
        statement = statement.where(StoredBlocks.blocks_id == blocks_id)
    return session.scalars(statement).one()


def unused(
    session: Session, *, pictures: Collection[str], blocks_ids: Collection[str] | None = None
) -> Iterator[tuple[str, str]]:
    """Yield blocks_id and sha256 of what need not be stored; of all that is stored, only the keys are read.

    Args:
        session: of the catalogue.
        pictures: whose blocks are needed, by sha256.
        blocks_ids: those that are needed; None means all.
    """
    for blocks_id, sha256 in session.execute(select(StoredBlocks.blocks_id, StoredBlocks.sha256).distinct()):
        if sha256 not in pictures or (blocks_ids is not None and blocks_id not in blocks_ids):
            yield blocks_id, sha256


def size_of(session: Session, blocks_id: str, sha256s: Sequence[str]) -> tuple[int, int]:
    """Return how many views of pictures are stored for one `blocks_id`, and their bytes."""
    views, size = 0, 0
    measure = select(func.count(), func.coalesce(func.sum(func.length(StoredBlocks.vector)), 0))
    for chunk in chunks(sha256s):
        count, total = session.execute(measure.where(_stored(blocks_id, chunk))).one()
        views, size = views + count, size + int(total)
    return views, size


def delete_of(session: Session, blocks_id: str, sha256s: Sequence[str]) -> None:
    """Delete all views of pictures that are stored for one `blocks_id`."""
    for chunk in chunks(sha256s):
        session.execute(delete(StoredBlocks).where(_stored(blocks_id, chunk)))


def _rows(session: Session, blocks_id: str, wanted: dict[Key, list[int]]) -> Iterator[tuple[Key, NDArray[np.float16]]]:
    statement = select(StoredBlocks.sha256, StoredBlocks.view, StoredBlocks.vector)
    for chunk in chunks(dict.fromkeys(sha256 for sha256, _ in wanted)):
        for sha256, view, vector in session.execute(statement.where(_stored(blocks_id, chunk))):
            if (sha256, view) in wanted:
                yield (sha256, view), np.frombuffer(vector, dtype=STORED_TYPE)


def _stored(blocks_id: str, sha256s: Sequence[str]) -> Any:
    return (StoredBlocks.blocks_id == blocks_id) & StoredBlocks.sha256.in_(sha256s)
