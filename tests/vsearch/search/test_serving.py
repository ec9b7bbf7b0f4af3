"""The photo cache computes a result only once when several threads request it concurrently."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.fakes import FakeDetector, FakeEncoder, colored
from tests.vsearch.conftest import Shop
from vsearch.detection.detector import Detection
from vsearch.imaging.codec import Picture
from vsearch.imaging.geometry import Box
from vsearch.search.serving import PhotoCache

LEFT, RIGHT = Box(0, 0, 0.5, 1), Box(0.5, 0, 1, 1)


class Gate:
    """Blocks its first caller until it is opened; that caller then raises the given error, if any."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.reached, self.opened, self.error = threading.Event(), threading.Event(), error

    def wait(self) -> None:
        """Signal the arrival and wait."""
        self.reached.set()
        assert self.opened.wait(60)
        if self.error is not None:
            error, self.error = self.error, None
            raise error


class SlowEncoder(FakeEncoder):
    """Encodes once its gate opens."""

    def __init__(self, shop: Shop, gate: Gate) -> None:
        super().__init__(shop.checkpoint)
        self.gate = gate

    def blocks(self, pictures: Sequence[Picture]) -> NDArray[np.float16]:
        found = super().blocks(pictures)
        self.gate.wait()
        return found


class SlowDetector(FakeDetector):
    """Detects once its gate opens."""

    def __init__(self, gate: Gate) -> None:
        super().__init__(LEFT)
        self.gate = gate

    def find(self, picture: Picture) -> tuple[Detection, ...]:
        found = super().find(picture)
        self.gate.wait()
        return found


@pytest.fixture
def cache() -> PhotoCache:
    return PhotoCache(lambda: None)


def concurrently(gate: Gate, first: Callable[[], Any], *others: Callable[[], Any]) -> list[Future[Any]]:
    """Make the other calls while the first waits at the gate; return all results."""
    with ThreadPoolExecutor(8) as pool:
        futures = [pool.submit(first)]
        assert gate.reached.wait(60)
        futures += map(pool.submit, others)
        gate.opened.set()
    return futures


def test_only_regions_not_yet_cached_are_encoded(shop: Shop, cache: PhotoCache) -> None:
    encoder, picture = FakeEncoder(shop.checkpoint), shop.pictures[0]
    assert cache.blocks(encoder, picture, [None, LEFT]).shape == (2, 16)
    found = cache.blocks(encoder, picture, [RIGHT, LEFT, RIGHT])
    assert (encoder.calls, encoder.pictures) == (2, 3)
    expected = PhotoCache(lambda: None).blocks(FakeEncoder(shop.checkpoint), picture, [RIGHT, LEFT, RIGHT])
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("error", [None, RuntimeError("out of memory"), KeyboardInterrupt()], ids=str)
def test_concurrent_requests_encode_a_photo_once(error: BaseException | None, shop: Shop, cache: PhotoCache) -> None:
    """If encoding fails, the next request encodes again."""
    gate, picture = Gate(error), shop.pictures[0]
    encoder = SlowEncoder(shop, gate)
    first, *others = concurrently(
        gate,
        lambda: cache.blocks(encoder, picture, [None, LEFT]),
        *[lambda: cache.blocks(encoder, picture.copy(), [LEFT])] * 3,
    )
    if error is None:
        np.testing.assert_array_equal(first.result()[1:], others[0].result())
    else:
        assert first.exception() is error
    assert {other.result().tobytes() for other in others} == {others[0].result().tobytes()}
    assert encoder.calls == (1 if error is None else 2)


@pytest.mark.parametrize("error", [None, RuntimeError("the detector fails once")], ids=str)
def test_concurrent_requests_run_the_detector_once(error: Exception | None) -> None:
    gate, picture = Gate(error), colored((200, 30, 30))
    detector = SlowDetector(gate)
    cache = PhotoCache(lambda: detector)
    first, other = concurrently(gate, lambda: cache.detections(picture), lambda: cache.detections(picture.copy()))
    assert first.exception() is error
    assert [detection.box for detection in other.result()] == [LEFT]
    assert detector.calls == (1 if error is None else 2)


def test_a_photo_forgotten_while_it_is_encoded_is_not_cached(shop: Shop, cache: PhotoCache) -> None:
    """A shopper may delete a photo while another request searches with it."""
    gate, picture = Gate(), shop.pictures[0]
    encoder = SlowEncoder(shop, gate)
    with ThreadPoolExecutor(1) as pool:
        encoding = pool.submit(cache.blocks, encoder, picture, [None])
        assert gate.reached.wait(60)
        cache.forget(picture)
        gate.opened.set()
        encoding.result()
    cache.blocks(encoder, picture, [None])
    assert encoder.calls == 2
