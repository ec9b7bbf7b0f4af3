from dataclasses import replace

import numpy as np
import pytest

from catalog import stored_blocks
from indexer.build.encode import EncodeContext, encode_missing, view_of
from tests.fakes import FakeEncoder, Opened, coloured
from tests.indexer.shop import Shop
from vsearch.imaging.codec import Limits, decode
from vsearch.models import checkpoint as checkpoints
from vsearch.models.encoder import Encoder


def ignore(done: int, total: int) -> None:
    """Show nothing."""


@pytest.fixture
def encoder(shop: Shop) -> FakeEncoder:
    """The encoder of the shop's checkpoint."""
    return FakeEncoder(checkpoints.load(shop.settings.data / "given"))


@pytest.fixture
def encoding(shop: Shop, encoder: FakeEncoder) -> EncodeContext:
    """The tools to encode that shop with, four pictures at a time."""
    return EncodeContext(shop.sessions, shop.store, encoder.blocks_id, lambda: encoder, batch_size=4, limits=Limits())


def test_what_is_stored_is_what_the_encoder_gives(shop: Shop, encoding: EncodeContext, encoder: FakeEncoder) -> None:
    """Under the picture's content and view."""
    sha256s = [row.sha256 for row in shop.rows()]
    keys = [(sha256, view) for sha256 in sha256s[:3] for view in (0, 1)]
    assert encode_missing(encoding, keys, ignore).stored == 6
    pictures = [view_of(decode(shop.store.read(sha256)), sha256, view) for sha256, view in keys]
    with shop.sessions() as session:
        stored = stored_blocks.read(session, encoder.blocks_id, keys)
    np.testing.assert_array_equal(stored, encoder.blocks(pictures))


def test_only_missing_keys_are_encoded(shop: Shop, encoding: EncodeContext, encoder: FakeEncoder) -> None:
    """Each once, however often it is asked for."""
    keys = [(row.sha256, 0) for row in shop.rows()]
    assert encode_missing(encoding, keys[:6], ignore).stored == 6
    assert encode_missing(encoding, keys + keys, ignore).stored == 18
    assert encode_missing(encoding, keys, ignore).stored == 0
    assert encoder.pictures == 24


def test_pictures_are_encoded_in_batches(shop: Shop, encoding: EncodeContext, encoder: FakeEncoder) -> None:
    """Of the size that was asked for; the last may be smaller."""
    encode_missing(encoding, [(row.sha256, 0) for row in shop.rows()][:10], ignore)
    assert encoder.calls == 3


def test_no_encoder_is_opened_for_nothing(shop: Shop, encoding: EncodeContext, opened: Opened) -> None:
    """Opening one takes seconds."""

    def never() -> Encoder:
        raise AssertionError("nothing is to be encoded")

    assert encode_missing(replace(encoding, encoder=never), [], ignore).stored == 0


def test_a_picture_that_cannot_be_used_is_said_and_skipped(shop: Shop, encoding: EncodeContext) -> None:
    """Bytes that are no picture, one over the limits, and a file that is not there."""
    rows = shop.rows()
    shop.store.path(rows[0].sha256).write_bytes(b"text, not a picture")
    shop.store.path(rows[1].sha256).unlink()
    done = encode_missing(encoding, [(row.sha256, 0) for row in rows[:5]], ignore)
    assert done.stored == 3
    assert done.problems.keys() == {(rows[0].sha256, 0), (rows[1].sha256, 0)}
    small = replace(encoding, limits=Limits(max_pixels=100))
    assert len(encode_missing(small, [(rows[7].sha256, 0)], ignore).problems) == 1


def test_batches_before_a_failure_are_kept(shop: Shop, encoding: EncodeContext, encoder: FakeEncoder) -> None:
    """The batch that failed is not."""
    encoder.fail_after = 9
    with pytest.raises(RuntimeError):
        encode_missing(encoding, [(row.sha256, 0) for row in shop.rows()], ignore)
    with shop.sessions() as session:
        assert stored_blocks.count(session, encoder.blocks_id) == 8


def test_a_view_is_the_same_every_time() -> None:
    """It depends on the picture's content and the view's number alone; view 0 is the picture."""
    picture, sha256 = coloured((200, 40, 40)), "ab" * 32
    np.testing.assert_array_equal(view_of(picture, sha256, 0), picture)
    np.testing.assert_array_equal(view_of(picture, sha256, 1), view_of(picture, sha256, 1))
    others = [view_of(picture, sha256, 2), view_of(picture, "cd" * 32, 1)]
    assert all(other.tobytes() != view_of(picture, sha256, 1).tobytes() for other in others)
