"""Blocks stored by image content, so that no image is encoded twice with the same `blocks_id`.

A key is (sha256, view): view 0 is the image itself; the others are augmented views of it with fixed seeds.
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
    """Return the keys that have no stored blocks, in the given order and without duplicates."""
    wanted = dict.fromkeys(keys)
    for chunk in chunks(dict.fromkeys(sha256 for sha256, _ in keys)):
        for sha256, view in session.execute(_select(blocks_id, chunk, StoredBlocks.sha256, StoredBlocks.view)):
            wanted.pop((sha256, view), None)
    return list(wanted)


def put(session: Session, blocks_id: str, keys: Sequence[Key], blocks: NDArray[np.float16]) -> None:
    """Store the rows of `blocks`, float16 [n, d]; blocks that are already stored are not replaced."""
    if blocks.ndim != 2 or len(blocks) != len(keys) or blocks.dtype != np.float16:
        raise ValueError(f"blocks must be float16 [{len(keys)}, d], got {blocks.dtype} {blocks.shape}")
    statement = INSERTS[session.get_bind().dialect.name](StoredBlocks).on_conflict_do_nothing()
    for chunk in chunks(zip(keys, blocks.astype(STORED_TYPE, copy=False), strict=True)):
        rows = [
            {"blocks_id": blocks_id, "sha256": sha256, "view": view, "vector": row.tobytes()}
            for (sha256, view), row in chunk
        ]
        session.execute(statement, rows)


def read(session: Session, blocks_id: str, keys: Sequence[Key]) -> NDArray[np.float16]:
    """Return the blocks of the keys, in the given order: float16 [n, d], or [0, 0] if there are no keys.

    Raises:
        CatalogError: a key has no stored blocks.
    """
    remaining: dict[Key, list[int]] = {}
    for row, key in enumerate(keys):
        remaining.setdefault(key, []).append(row)
    blocks = np.empty((0, 0), dtype=np.float16)
    columns = StoredBlocks.sha256, StoredBlocks.view, StoredBlocks.vector
    for chunk in chunks(dict.fromkeys(sha256 for sha256, _ in keys)):
        for sha256, view, data in session.execute(_select(blocks_id, chunk, *columns)):
            if (sha256, view) in remaining:
                vector = np.frombuffer(data, dtype=STORED_TYPE)
                if not len(blocks):
                    blocks = np.empty((len(keys), len(vector)), dtype=np.float16)
                blocks[remaining.pop((sha256, view))] = vector
    if remaining:
        sha256, view = next(iter(remaining))
        example = f"for example view {view} of {sha256[:12]}"
        raise CatalogError(
            f"{len(remaining)} images have no blocks of {blocks_id}, {example}. Run `vsearch index run`."
        )
    return blocks


def unused(session: Session, *, pictures: Collection[str], blocks_ids: Collection[str]) -> Iterator[tuple[str, str]]:
    """Yield the blocks_id and SHA-256 of stored blocks whose image or blocks_id is not among the given ones."""
    for blocks_id, sha256 in session.execute(select(StoredBlocks.blocks_id, StoredBlocks.sha256).distinct()):
        if sha256 not in pictures or blocks_id not in blocks_ids:
            yield blocks_id, sha256


def size_of(session: Session, blocks_id: str, sha256s: Sequence[str]) -> tuple[int, int]:
    """Return the number of views stored for these images, and their size in bytes."""
    views, size = 0, 0
    measures = func.count(), func.coalesce(func.sum(func.length(StoredBlocks.vector)), 0)
    for chunk in chunks(sha256s):
        count, total = session.execute(_select(blocks_id, chunk, *measures)).one()
        views, size = views + count, size + int(total)
    return views, size


def delete_of(session: Session, blocks_id: str, sha256s: Sequence[str]) -> None:
    """Delete all views stored for these images."""
    for chunk in chunks(sha256s):
        condition = (StoredBlocks.blocks_id == blocks_id) & StoredBlocks.sha256.in_(chunk)
        session.execute(delete(StoredBlocks).where(condition))


def _select(blocks_id: str, sha256s: Sequence[str], *columns: Any) -> Any:
    return select(*columns).where(StoredBlocks.blocks_id == blocks_id, StoredBlocks.sha256.in_(sha256s))
