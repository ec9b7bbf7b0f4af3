"""The photo cache computes once what several threads ask for at once."""

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.fakes import FakeDetector, FakeEncoder, colored
from tests.vsearch.conftest import Shop
from vsearch.detection.detector import Detection, no_detector
from vsearch.imaging.codec import Picture
from vsearch.imaging.geometry import Box
from vsearch.search.serving import PhotoCache

LEFT, RIGHT = Box(0, 0, 0.5, 1), Box(0.5, 0, 1, 1)


class Gate:
    """Blocks callers until it is opened."""

    def __init__(self) -> None:
        self.reached, self.opened = threading.Event(), threading.Event()

    def wait(self) -> None:
        """Signal the arrival and wait."""
        self.reached.set()
        assert self.opened.wait(60)


class SlowEncoder(FakeEncoder):
    """Encodes when its gate opens; raises the given errors first."""

    def __init__(self, shop: Shop, *failures: BaseException) -> None:
        super().__init__(shop.checkpoint)
        self.gate, self.failures = Gate(), list(failures)

    def blocks(self, pictures: Sequence[Picture]) -> NDArray[np.float16]:
        found = super().blocks(pictures)
        self.gate.wait()
        if self.failures:
            raise self.failures.pop()
        return found


class SlowDetector(FakeDetector):
    """Detects when its gate opens; the first call may fail."""

    def __init__(self, *, fails: bool) -> None:
        super().__init__(LEFT)
        self.gate, self.fails = Gate(), fails

    def find(self, picture: Picture) -> tuple[Detection, ...]:
        found = super().find(picture)
        self.gate.wait()
        if self.fails:
            self.fails = False
            raise RuntimeError("the detector fails once")
        return found


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(8) as pool:
        yield pool


@pytest.fixture
def cache() -> PhotoCache:
    return PhotoCache(no_detector)


def test_concurrent_requests_encode_a_photo_once(shop: Shop, cache: PhotoCache, threads: ThreadPoolExecutor) -> None:
    encoder, picture = SlowEncoder(shop), shop.pictures[0]
    first = threads.submit(cache.blocks, encoder, picture, [None])
    assert encoder.gate.reached.wait(60)
    others = [threads.submit(cache.blocks, encoder, picture.copy(), [None]) for _ in range(3)]
    encoder.gate.opened.set()
    results = [future.result(60) for future in (first, *others)]
    assert encoder.calls == 1
    for blocks in results:
        np.testing.assert_array_equal(blocks, results[0])


def test_only_unknown_regions_are_encoded(shop: Shop, cache: PhotoCache) -> None:
    encoder, picture = FakeEncoder(shop.checkpoint), shop.pictures[0]
    assert cache.blocks(encoder, picture, [None, LEFT]).shape == (2, 2, 16)
    found = cache.blocks(encoder, picture, [RIGHT, LEFT, RIGHT])
    assert (encoder.calls, encoder.pictures) == (2, 6)
    expected = PhotoCache(no_detector).blocks(FakeEncoder(shop.checkpoint), picture, [RIGHT, LEFT, RIGHT])
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("error", [RuntimeError("out of memory"), KeyboardInterrupt()])
def test_a_failed_encoding_is_repeated_by_the_next_request(
    error: BaseException, shop: Shop, cache: PhotoCache, threads: ThreadPoolExecutor
) -> None:
    encoder, picture = SlowEncoder(shop, error), shop.pictures[0]
    first = threads.submit(cache.blocks, encoder, picture, [None, LEFT])
    assert encoder.gate.reached.wait(60)
    other = threads.submit(cache.blocks, encoder, picture, [LEFT])
    encoder.gate.opened.set()
    with pytest.raises(type(error)):
        first.result(60)
    assert other.result(60).shape == (1, 2, 16)
    assert encoder.calls == 2


def test_an_encoder_that_returns_too_few_rows_is_an_error(shop: Shop, cache: PhotoCache) -> None:
    class Short(FakeEncoder):
        def blocks(self, pictures: Sequence[Picture]) -> NDArray[np.float16]:
            return super().blocks(pictures[:3])

    with pytest.raises(ValueError, match="reshape"):
        cache.blocks(Short(shop.checkpoint), shop.pictures[0], [LEFT, RIGHT])
    assert cache.blocks(FakeEncoder(shop.checkpoint), shop.pictures[0], [LEFT, RIGHT]).shape == (2, 2, 16)


@pytest.mark.parametrize("fails", [False, True])
def test_concurrent_requests_run_the_detector_once(fails: bool, threads: ThreadPoolExecutor) -> None:
    detector, picture = SlowDetector(fails=fails), colored((200, 30, 30))
    cache = PhotoCache(detector)
    first = threads.submit(cache.detections, picture)
    assert detector.gate.reached.wait(60)
    other = threads.submit(cache.detections, picture.copy())
    detector.gate.opened.set()
    if fails:
        with pytest.raises(RuntimeError, match="fails once"):
            first.result(60)
    assert [detection.box for detection in other.result(60)] == [LEFT]
    assert detector.calls == 1 + fails


def test_a_photo_forgotten_while_it_is_encoded_is_not_cached(
    shop: Shop, cache: PhotoCache, threads: ThreadPoolExecutor
) -> None:
    """A shopper may delete a photo while another page searches with it."""
    encoder, picture = SlowEncoder(shop), shop.pictures[0]
    encoding = threads.submit(cache.blocks, encoder, picture, [None])
    assert encoder.gate.reached.wait(60)
    cache.forget(picture)
    encoder.gate.opened.set()
    encoding.result(60)
    cache.blocks(encoder, picture, [None])
    assert encoder.calls == 2
