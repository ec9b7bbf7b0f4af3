import hashlib

import numpy as np
import pytest
from sqlalchemy.orm import Session

from catalog import stored_blocks
from catalog.stored_blocks import Key
from vsearch.core.errors import CatalogError

SHAS = [hashlib.sha256(bytes([number])).hexdigest() for number in range(8)]
KEYS: list[Key] = [(SHAS[0], 0), (SHAS[0], 1), (SHAS[1], 0)]
BLOCKS = np.array([[1, 2], [3, 4], [5, 65504]], dtype=np.float16)


@pytest.fixture
def filled(session: Session) -> Session:
    """A session on three stored rows."""
    stored_blocks.put(session, "first", KEYS, BLOCKS)
    session.commit()
    return session


def test_what_is_put_is_read_back_in_the_order_asked(filled: Session) -> None:
    """Half precision is kept bit by bit, and a key may be asked for twice."""
    read = stored_blocks.read(filled, "first", [KEYS[2], KEYS[0], KEYS[2]])
    np.testing.assert_array_equal(read, BLOCKS[[2, 0, 2]])
    assert read.dtype == np.float16


def test_missing_names_each_key_once_in_order(filled: Session) -> None:
    """Only these need to be encoded."""
    asked = [(SHAS[2], 0), KEYS[1], (SHAS[1], 1), (SHAS[2], 0)]
    assert stored_blocks.missing(filled, "first", asked) == [(SHAS[2], 0), (SHAS[1], 1)]
    assert stored_blocks.missing(filled, "second", KEYS) == KEYS
    assert stored_blocks.missing(filled, "first", []) == []


def test_putting_twice_changes_nothing(filled: Session) -> None:
    """A resumed run may store again what an interrupted one had stored."""
    stored_blocks.put(filled, "first", [*KEYS[:1], (SHAS[3], 0)], np.zeros((2, 2), np.float16))
    filled.commit()
    assert stored_blocks.count(filled, "first") == 4
    np.testing.assert_array_equal(stored_blocks.read(filled, "first", KEYS), BLOCKS)


def test_blocks_of_another_checkpoint_are_others(filled: Session) -> None:
    """The same picture has blocks of its own for every blocks_id, of any length."""
    stored_blocks.put(filled, "second", KEYS[:1], np.ones((1, 5), np.float16))
    assert stored_blocks.read(filled, "second", KEYS[:1]).shape == (1, 5)
    assert [stored_blocks.count(filled, name) for name in ("first", "second", None)] == [3, 1, 4]


def test_reading_what_is_not_stored_is_refused(filled: Session) -> None:
    """The sentence says how many, and what to do."""
    with pytest.raises(CatalogError, match=r"2 of 3 have none.*vsearch index run"):
        stored_blocks.read(filled, "first", [KEYS[0], (SHAS[4], 0), (SHAS[5], 0)])


def test_no_keys_are_an_empty_array(filled: Session) -> None:
    """An empty catalogue is no error here."""
    assert stored_blocks.read(filled, "first", []).shape == (0, 0)
    stored_blocks.put(filled, "first", [], np.empty((0, 2), np.float16))


def test_many_rows_pass_through_in_chunks(session: Session) -> None:
    """More keys than one statement takes."""
    keys = [(hashlib.sha256(str(number).encode()).hexdigest(), 0) for number in range(1201)]
    blocks = np.arange(1201, dtype=np.float16)[:, np.newaxis]
    stored_blocks.put(session, "many", keys, blocks)
    np.testing.assert_array_equal(stored_blocks.read(session, "many", keys[::-1]), blocks[::-1])
    assert stored_blocks.missing(session, "many", keys) == []


def test_blocks_that_nothing_needs_are_listed_and_deleted(filled: Session) -> None:
    """Those of other pictures, and those of another checkpoint; one list says how many views and bytes."""
    stored_blocks.put(filled, "second", KEYS[:1], np.ones((1, 5), np.float16))
    assert list(stored_blocks.unused(filled, pictures=set(SHAS))) == []
    assert sorted(stored_blocks.unused(filled, pictures={SHAS[1]}, blocks_ids={"first"})) == [
        ("first", SHAS[0]),
        ("second", SHAS[0]),
    ]
    assert stored_blocks.size_of(filled, "first", SHAS) == (3, 12)
    assert stored_blocks.size_of(filled, "second", [SHAS[5]]) == (0, 0)
    stored_blocks.delete_of(filled, "first", [SHAS[0], SHAS[5]])
    assert stored_blocks.missing(filled, "first", KEYS) == KEYS[:2]
    assert stored_blocks.missing(filled, "second", KEYS[:1]) == []


@pytest.mark.parametrize(
    "blocks", [np.zeros((3, 2), np.float32), np.zeros((2, 2), np.float16), np.zeros(3, np.float16)]
)
def test_arrays_of_another_shape_or_type_are_bugs(session: Session, blocks: np.ndarray) -> None:
    """Nothing is rounded or broadcast silently."""
    with pytest.raises(ValueError, match=r"float16 \[3, d\]"):
        stored_blocks.put(session, "first", KEYS, blocks)
