from dataclasses import replace

import numpy as np
import pytest

from catalog import stored_blocks
from indexer.build.encode import EncodeContext, encode_missing, view_of
from tests.fakes import FakeEncoder, colored
from tests.indexer.shop import Shop
from vsearch.core.progress import no_progress
from vsearch.imaging.codec import Limits, decode
from vsearch.models import checkpoint as checkpoints
from vsearch.models.encoder import Encoder


@pytest.fixture
def encoder(shop: Shop) -> FakeEncoder:
    return FakeEncoder(checkpoints.load(shop.settings.data / "given"))


@pytest.fixture
def context(shop: Shop, encoder: FakeEncoder) -> EncodeContext:
    return EncodeContext(shop.sessions, shop.store, encoder.blocks_id, lambda: encoder, batch_size=4, limits=Limits())


def test_blocks_are_stored_by_content_and_view(shop: Shop, context: EncodeContext, encoder: FakeEncoder) -> None:
    keys = [(row.sha256, view) for row in shop.rows()[:3] for view in (0, 1)]
    assert encode_missing(context, keys, no_progress).stored == 6
    pictures = [view_of(decode(shop.store.read(sha256)), sha256, view) for sha256, view in keys]
    with shop.sessions() as session:
        stored = stored_blocks.read(session, encoder.blocks_id, keys)
    np.testing.assert_array_equal(stored, encoder.blocks(pictures))


def test_only_missing_keys_are_encoded_in_batches(shop: Shop, context: EncodeContext, encoder: FakeEncoder) -> None:
    keys = [(row.sha256, 0) for row in shop.rows()]
    assert encode_missing(context, keys[:6], no_progress).stored == 6
    assert encoder.calls == 2
    assert encode_missing(context, keys + keys, no_progress).stored == 18
    assert encode_missing(context, keys, no_progress).stored == 0
    assert encoder.pictures == 24


def test_no_encoder_is_opened_if_nothing_is_missing(context: EncodeContext) -> None:
    def fail() -> Encoder:
        raise AssertionError("the encoder was opened")

    assert encode_missing(replace(context, encoder=fail), [], no_progress).stored == 0


def test_unreadable_pictures_are_reported_and_skipped(shop: Shop, context: EncodeContext) -> None:
    rows = shop.rows()
    shop.store.path(rows[0].sha256).write_bytes(b"text, not a picture")
    shop.store.path(rows[1].sha256).unlink()
    result = encode_missing(context, [(row.sha256, 0) for row in rows[:5]], no_progress)
    assert result.stored == 3
    assert result.problems.keys() == {(rows[0].sha256, 0), (rows[1].sha256, 0)}
    small = replace(context, limits=Limits(max_pixels=100))
    assert len(encode_missing(small, [(rows[7].sha256, 0)], no_progress).problems) == 1


def test_batches_before_a_failure_are_kept(shop: Shop, context: EncodeContext, encoder: FakeEncoder) -> None:
    encoder.fail_after = 9
    with pytest.raises(RuntimeError):
        encode_missing(context, [(row.sha256, 0) for row in shop.rows()], no_progress)
    with shop.sessions() as session:
        assert stored_blocks.size_of(session, encoder.blocks_id, [row.sha256 for row in shop.rows()])[0] == 8


def test_a_view_depends_on_content_and_number_alone() -> None:
    picture, sha256 = colored((200, 40, 40)), "ab" * 32
    np.testing.assert_array_equal(view_of(picture, sha256, 0), picture)
    np.testing.assert_array_equal(view_of(picture, sha256, 1), view_of(picture, sha256, 1))
    others = [view_of(picture, sha256, 2), view_of(picture, "cd" * 32, 1)]
    assert all(other.tobytes() != view_of(picture, sha256, 1).tobytes() for other in others)
