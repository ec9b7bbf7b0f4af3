from dataclasses import dataclass

import numpy as np
import pytest

from vsearch.core.errors import CheckpointMismatch
from vsearch.imaging.codec import crop
from vsearch.imaging.geometry import Box
from vsearch.models.trained_heads import DIGITS, HeadPredictions, HeadSpec
from vsearch.ocr.candidates import MOST, boxed, candidates, grown
from vsearch.ocr.reader import TagReader, dotted

NUMBER = "12345678"
SPECS = (HeadSpec("number", "digits", DIGITS, length=8), HeadSpec("readable", "softmax", ("no", "yes")))


@dataclass
class FakeJudge:
    """Takes red for ink: a window that red fills but for a margin frames the number."""

    specs: tuple[HeadSpec, ...] = SPECS
    calls: int = 0
    windows: int = 0

    def predict(self, pictures):
        """Judge by how far the red goes."""
        self.calls += 1
        self.windows += len(pictures)
        framed = np.array([_frames(picture) for picture in pictures])
        digits = np.full((len(pictures), 8, 10), 0.1, np.float32)
        for number, good in enumerate(framed):
            if good:
                digits[number] = 0.001
                digits[number, np.arange(8), [int(digit) for digit in NUMBER]] = 0.991
        readable = np.where(framed, 0.98, 0.02).astype(np.float32)
        heads = {"number": digits, "readable": np.stack([1 - readable, readable], 1)}
        return HeadPredictions(self.specs, {"fake": {spec.name: heads[spec.name] for spec in self.specs}})


def _frames(picture) -> bool:
    red = (picture[:, :, 0] > 150) & (picture[:, :, 1] < 100)
    rows, columns = np.flatnonzero(red.any(axis=1)), np.flatnonzero(red.any(axis=0))
    if not len(rows):
        return False
    height, width = red.shape
    inside = rows[0] > 0 and rows[-1] < height - 1 and columns[0] > 0 and columns[-1] < width - 1
    return bool(inside and np.ptp(columns) > 0.7 * width and np.ptp(rows) > 0.4 * height)


def photo(left: int = 120, top: int = 300, *, ink=(220, 20, 30)):
    """Return a grey photo [640, 480, 3] with a line of 20 upright strokes, and the box around them."""
    picture = np.full((640, 480, 3), 180, np.uint8)
    for stroke in range(20):
        x = left + 10 * stroke
        picture[top : top + 36, x : x + 5] = ink
    return picture, Box(left / 480, top / 640, (left + 195) / 480, (top + 36) / 640)


@pytest.mark.parametrize(("left", "top"), [(20, 30), (120, 300), (270, 590)])
def test_finds_a_number_anywhere(left, top):
    """The strip is found, framed and read."""
    picture, where = photo(left, top)
    reading = TagReader(FakeJudge()).read(picture)

    assert reading.number == NUMBER
    assert reading.confidence > 0.8
    assert reading.box.x0 < where.x0 < where.x1 < reading.box.x1
    assert reading.box.y0 < where.y0 < where.y1 < reading.box.y1


def test_large_photos_are_searched_small():
    """The place is the same at any size."""
    picture, where = photo()
    reading = TagReader(FakeJudge()).read(picture.repeat(3, axis=0).repeat(3, axis=1))
    assert reading.number == NUMBER
    assert abs(reading.box.x0 - where.x0) < 0.05


def test_marked_box_is_read_roughly():
    """A box drawn by hand is read as it is, and where it frames the whole tag the number in it is looked for."""
    picture, where = photo()
    for wider, higher in ((1.1, 1.4), (1.3, 2.0), (2.2, 6.0)):
        reading = TagReader(FakeJudge()).read(picture, grown(where, wider, higher))
        assert reading is not None, (wider, higher)
        assert reading.number == NUMBER


def test_box_beside_the_number_reads_nothing():
    """Only the marked part counts."""
    picture, _ = photo()
    assert TagReader(FakeJudge()).read(picture, Box(0, 0, 1, 0.3)) is None


def test_photo_without_print_costs_no_network():
    """A plain picture has no candidates."""
    judge = FakeJudge()
    assert TagReader(judge).read(np.full((300, 400, 3), 90, np.uint8)) is None
    assert judge.calls == 0


def test_print_that_is_no_number_is_not_read():
    """The network has the last word."""
    picture, _ = photo(ink=(20, 20, 20))
    assert TagReader(FakeJudge()).read(picture) is None


def test_too_little_confidence_is_no_reading():
    """A reader may be asked to be surer."""
    picture, _ = photo()
    assert TagReader(FakeJudge(), least=0.95).read(picture) is None


def test_head_of_readability_may_be_missing():
    """Then the digits alone decide."""
    picture, _ = photo()
    reading = TagReader(FakeJudge(SPECS[:1])).read(picture)
    assert reading.number == NUMBER
    assert TagReader(FakeJudge(SPECS[:1])).length == 8


def test_reader_needs_digits():
    """A checkpoint without a head of digits is refused in one sentence."""
    with pytest.raises(CheckpointMismatch, match="needs one head of digits, but this checkpoint has 0"):
        TagReader(FakeJudge(SPECS[1:]))


def test_candidates_frame_the_line_and_are_few():
    """The line of print is among few windows, each inside the picture; noise adds none without end."""
    picture, where = photo()
    noise = np.random.default_rng(0).normal(0, 25, picture.shape)
    for noisy in (picture, (picture + noise).clip(0, 255).astype(np.uint8)):
        found = candidates(noisy, 8)
        assert 0 < len(found) <= MOST
        assert any(box.x0 < where.x0 < where.x1 < box.x1 and box.x1 - box.x0 < 0.6 for box in found)


def test_candidates_of_tiny_pictures():
    """No size is too small to be asked."""
    for shape in ((1, 1, 3), (16, 200, 3), (200, 16, 3)):
        assert candidates(np.zeros(shape, np.uint8), 8) == []


def test_grown_boxes_stay_inside():
    """However far they are moved or shrunk."""
    box = Box(0.9, 0.9, 1, 1)
    for wider, across in ((3, 0.9), (0.01, 0), (1, -20), (1, 20)):
        grown(box, wider, wider, across=across)
    assert grown(box, 1, 1).x0 == pytest.approx(0.9)
    assert boxed(2, 2, 3, 3).x1 == 1
    assert crop(np.zeros((50, 50, 3), np.uint8), grown(box, 0.001, 0.001)).size


def test_numbers_as_printed():
    """Eight digits stand in three groups."""
    assert dotted("12345678") == "123.456.78"
    assert dotted("1234") == "1234"
