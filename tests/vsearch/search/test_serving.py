"""What several threads ask for at once is made once. Threads meet at events and at the futures they wait for."""

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.fakes import FakeDetector, FakeEncoder, coloured
from tests.vsearch.conftest import Shop
from vsearch.detection.detector import Detection
from vsearch.imaging.codec import Box, Picture
from vsearch.search import serving
from vsearch.search.serving import BlockCache, DetectionCache, Latest

LEFT, RIGHT = Box(0, 0, 0.5, 1), Box(0.5, 0, 1, 1)


class Gate:
    """Holds the first who comes until it is opened."""

    def __init__(self) -> None:
        self.reached, self.opened = threading.Event(), threading.Event()

    def wait(self) -> None:
        """Say that somebody is here, and wait."""
        self.reached.set()
        assert self.opened.wait(60)


@dataclass
class Waiting:
    """Counts who waits for what another thread makes."""

    arrived: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))

    def until(self, count: int) -> None:
        """Return when so many wait."""
        for _ in range(count):
            assert self.arrived.acquire(timeout=60)


@pytest.fixture
def waiting(monkeypatch: pytest.MonkeyPatch) -> Waiting:
    """Return what is told of every wait."""
    told = Waiting()

    class Watched(Future):  # type: ignore[type-arg]
        def result(self, timeout: float | None = None) -> object:
            if not self.done():
                told.arrived.release()
            return super().result(timeout)

    monkeypatch.setattr(serving, "Future", Watched)
    return told


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    """Return some threads."""
    with ThreadPoolExecutor(8) as pool:
        yield pool


class SlowEncoder(FakeEncoder):
    """Encodes when its gate is opened, and fails as often as it is told."""

    def __init__(self, shop: Shop, failures: Sequence[BaseException] = ()) -> None:
        super().__init__(shop.checkpoint)
        self.gate, self.failures = Gate(), list(failures)

    def blocks(self, pictures: Sequence[Picture]) -> NDArray[np.float16]:
        """Wait, then encode or fail."""
        found = super().blocks(pictures)
        self.gate.wait()
        if self.failures:
            raise self.failures.pop()
        return found


def test_a_photo_searched_twice_at_once_is_encoded_once(
    shop: Shop, waiting: Waiting, threads: ThreadPoolExecutor
) -> None:
    """Four tabs, one encoding; all get the same blocks."""
    encoder, encoded, picture = SlowEncoder(shop), BlockCache(), shop.pictures[0]
    first = threads.submit(encoded.blocks, encoder, picture, [None])
    assert encoder.gate.reached.wait(60)
    others = [threads.submit(encoded.blocks, encoder, picture.copy(), [None]) for _ in range(3)]
    waiting.until(3)
    encoder.gate.opened.set()
    results = [future.result(60) for future in (first, *others)]
    assert encoder.calls == 1
    for blocks in results:
        np.testing.assert_array_equal(blocks, results[0])


def test_of_parts_only_the_unknown_are_encoded(shop: Shop, waiting: Waiting, threads: ThreadPoolExecutor) -> None:
    """The second thread encodes its own part, before it waits for the one that both want."""
    encoder, encoded, picture = SlowEncoder(shop), BlockCache(), shop.pictures[0]
    first = threads.submit(encoded.blocks, encoder, picture, [None, LEFT])
    assert encoder.gate.reached.wait(60)
    second = threads.submit(encoded.blocks, encoder, picture, [RIGHT, LEFT, RIGHT])
    encoder.gate.opened.set()
    assert first.result(60).shape == (2, 2, 16)
    found = second.result(60)
    assert (encoder.calls, encoder.pictures) == (2, 6)
    expected = BlockCache().blocks(FakeEncoder(shop.checkpoint), picture, [RIGHT, LEFT, RIGHT])
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("error", [RuntimeError("out of memory"), ValueError("no such layer"), KeyboardInterrupt()])
def test_an_encoding_that_fails_fails_for_all_and_is_forgotten(
    error: BaseException, shop: Shop, waiting: Waiting, threads: ThreadPoolExecutor
) -> None:
    """Nobody waits for ever, and the next search encodes again."""
    encoder, encoded, picture = SlowEncoder(shop, [error]), BlockCache(), shop.pictures[0]
    first = threads.submit(encoded.blocks, encoder, picture, [None, LEFT])
    assert encoder.gate.reached.wait(60)
    other = threads.submit(encoded.blocks, encoder, picture, [LEFT])
    waiting.until(1)
    encoder.gate.opened.set()
    for future in (first, other):
        with pytest.raises(type(error)):
            future.result(60)
    assert encoded.blocks(encoder, picture, [None, LEFT]).shape == (2, 2, 16)
    assert encoder.calls == 2


def test_an_encoder_that_gives_too_little_poisons_nothing(shop: Shop) -> None:
    """One row for two parts is an error, not a wrong answer to the next search."""

    class Short(FakeEncoder):
        def blocks(self, pictures: Sequence[Picture]) -> NDArray[np.float16]:
            return super().blocks(pictures[:2])

    encoded = BlockCache()
    with pytest.raises(ValueError, match="reshape"):
        encoded.blocks(Short(shop.checkpoint), shop.pictures[0], [LEFT, RIGHT])
    assert encoded.blocks(FakeEncoder(shop.checkpoint), shop.pictures[0], [LEFT, RIGHT]).shape == (2, 2, 16)


class SlowDetector(FakeDetector):
    """Finds when its gate is opened, and fails the first time if it is told to."""

    def __init__(self, *, fails: bool) -> None:
        super().__init__(LEFT)
        self.gate, self.fails = Gate(), fails

    def find(self, picture: Picture) -> tuple[Detection, ...]:
        """Wait, then find or fail."""
        found = super().find(picture)
        self.gate.wait()
        if self.fails:
            self.fails = False
            raise RuntimeError("the detector fails once")
        return found


@pytest.mark.parametrize("fails", [False, True])
def test_a_photo_is_looked_through_once(fails: bool, waiting: Waiting, threads: ThreadPoolExecutor) -> None:
    """Whoever comes meanwhile waits; where that fails, the next one looks again."""
    detector = SlowDetector(fails=fails)
    parts, picture = DetectionCache(detector), coloured((200, 30, 30))
    first = threads.submit(parts.of, picture)
    assert detector.gate.reached.wait(60)
    other = threads.submit(parts.of, picture.copy())
    waiting.until(1)
    detector.gate.opened.set()
    for future in (first, other):
        if fails:
            with pytest.raises(RuntimeError, match="fails once"):
                future.result(60)
        else:
            assert [part.box for part in future.result(60)] == [LEFT]
    assert [part.box for part in parts.of(picture)] == [LEFT]
    assert detector.calls == 1 + fails


def test_two_threads_may_wait_for_each_other(waiting: Waiting, threads: ThreadPoolExecutor) -> None:
    """Each has begun what the other wants as well."""
    latest: Latest[str] = Latest(9)
    gates = {"a": Gate(), "b": Gate()}

    def make(keys: list[str]) -> list[str]:
        for key in keys:
            gates[key].wait()
        return [key.upper() for key in keys]

    one = threads.submit(latest.get, ["a"], make)
    two = threads.submit(latest.get, ["b"], make)
    assert all(gate.reached.wait(60) for gate in gates.values())
    three = threads.submit(latest.get, ["b", "a", "b"], make)
    four = threads.submit(latest.get, ["a", "b"], make)
    waiting.until(2)
    gates["a"].opened.set()
    gates["b"].opened.set()
    assert [future.result(60) for future in (one, two, three, four)] == [["A"], ["B"], ["B", "A", "B"], ["A", "B"]]


def test_only_so_many_are_remembered() -> None:
    """The one not asked for longest makes room, also where more are made at once than are kept."""
    latest: Latest[int] = Latest(2)
    made: list[str] = []

    def make(keys: list[str]) -> list[int]:
        made.extend(keys)
        return [ord(key) for key in keys]

    count: Callable[[str], list[int]] = lambda keys: latest.get(list(keys), make)  # noqa: E731
    assert count("ab") == [97, 98]
    assert count("a") == [97]
    assert count("c") == [99]  # b makes room
    assert count("a") == [97]
    assert count("b") == [98]
    assert count("xyz") == [120, 121, 122]
    assert count("z") == [122]
    assert "".join(made) == "abcbxyz"


def test_what_is_forgotten_while_it_is_made_is_not_remembered() -> None:
    """A shopper may delete a photo while another page searches with it."""
    latest: Latest[str] = Latest(2)

    def make(keys: list[str]) -> list[str]:
        latest.forget(lambda key: key == "a")
        return [key.upper() for key in keys]

    assert latest.get(["a", "b"], make) == ["A", "B"]
    assert latest.get(["a", "b"], lambda keys: [f"{key} anew" for key in keys]) == ["a anew", "B"]
