import hashlib

import numpy as np
import pytest

from catalog import stored_blocks
from catalog.stored_blocks import Key
from vsearch.core.errors import CatalogError

SHAS = [hashlib.sha256(bytes([number])).hexdigest() for number in range(8)]
KEYS: list[Key] = [(SHAS[0], 0), (SHAS[0], 1), (SHAS[1], 0)]
BLOCKS = np.array([[1, 2], [3, 4], [5, 65504]], dtype=np.float16)


@pytest.fixture
def filled(session):
    """A session with three stored rows for one blocks_id and one row for another."""
    stored_blocks.put(session, "first", KEYS, BLOCKS)
    stored_blocks.put(session, "second", KEYS[:1], np.ones((1, 5), np.float16))
    session.commit()
    return session


def test_blocks_are_read_in_the_order_of_the_keys(filled):
    """Keys may be repeated."""
    read = stored_blocks.read(filled, "first", [KEYS[2], KEYS[0], KEYS[2]])
    np.testing.assert_array_equal(read, BLOCKS[[2, 0, 2]])
    assert read.dtype == np.float16
    assert stored_blocks.read(filled, "second", KEYS[:1]).shape == (1, 5)
    assert stored_blocks.read(filled, "first", []).shape == (0, 0)


def test_missing_keys_are_listed_once_in_order(filled):
    keys = [(SHAS[2], 0), KEYS[1], (SHAS[1], 1), (SHAS[2], 0)]
    assert stored_blocks.missing(filled, "first", keys) == [(SHAS[2], 0), (SHAS[1], 1)]
    assert stored_blocks.missing(filled, "second", KEYS) == KEYS[1:]
    assert stored_blocks.missing(filled, "first", []) == []
    with pytest.raises(CatalogError, match="2 images"):
        stored_blocks.read(filled, "first", [KEYS[0], (SHAS[4], 0), (SHAS[5], 0)])


def test_stored_blocks_are_not_overwritten(filled):
    """A resumed run may store blocks that the interrupted run already stored."""
    stored_blocks.put(filled, "first", [*KEYS[:1], (SHAS[3], 0)], np.zeros((2, 2), np.float16))
    stored_blocks.put(filled, "first", [], np.empty((0, 2), np.float16))
    filled.commit()
    assert stored_blocks.size_of(filled, "first", SHAS) == (4, 16)
    np.testing.assert_array_equal(stored_blocks.read(filled, "first", KEYS), BLOCKS)


def test_more_keys_than_one_statement_takes(session):
    keys = [(hashlib.sha256(str(number).encode()).hexdigest(), 0) for number in range(1201)]
    blocks = np.arange(1201, dtype=np.float16)[:, np.newaxis]
    stored_blocks.put(session, "many", keys, blocks)
    np.testing.assert_array_equal(stored_blocks.read(session, "many", keys[::-1]), blocks[::-1])
    assert stored_blocks.missing(session, "many", keys) == []


def test_unused_blocks_are_listed_measured_and_deleted(filled):
    both = {"first", "second"}
    assert list(stored_blocks.unused(filled, pictures=set(SHAS), blocks_ids=both)) == []
    unused = sorted(stored_blocks.unused(filled, pictures={SHAS[1]}, blocks_ids={"first"}))
    assert unused == [("first", SHAS[0]), ("second", SHAS[0])]
    assert stored_blocks.size_of(filled, "first", SHAS) == (3, 12)
    assert stored_blocks.size_of(filled, "second", [SHAS[5]]) == (0, 0)
    stored_blocks.delete_of(filled, "first", [SHAS[0], SHAS[5]])
    assert stored_blocks.missing(filled, "first", KEYS) == KEYS[:2]
    assert stored_blocks.missing(filled, "second", KEYS[:1]) == []


@pytest.mark.parametrize(
    "blocks", [np.zeros((3, 2), np.float32), np.zeros((2, 2), np.float16), np.zeros(3, np.float16)]
)
def test_blocks_of_another_shape_or_type_are_refused(session, blocks):
    with pytest.raises(ValueError, match=r"float16 \[3, d\]"):
        stored_blocks.put(session, "first", KEYS, blocks)
