from dataclasses import dataclass

import numpy as np
import pytest

from vsearch import ocr
from vsearch.core.errors import CheckpointMismatch
from vsearch.imaging.codec import crop
from vsearch.imaging.geometry import Box
from vsearch.models.trained_heads import DIGITS, HeadPredictions, HeadSpec
from vsearch.ocr import MAX_CANDIDATES, TagReader, clip_box, find_candidates, format_article_number, scale_box

NUMBER = "12345678"
SPECS = (HeadSpec("number", "digits", DIGITS, length=8), HeadSpec("readable", "softmax", ("no", "yes")))


@dataclass
class FakeClassifier:
    """Reads the number from crops filled by red strokes except for a margin."""

    specs: tuple[HeadSpec, ...] = SPECS
    calls: int = 0

    def predict(self, pictures):
        self.calls += 1
        framed = np.array([is_framed(picture) for picture in pictures])
        digits = np.full((len(pictures), 8, 10), 0.1, np.float32)
        for row in np.flatnonzero(framed):
            digits[row] = 0.001
            digits[row, np.arange(8), [int(digit) for digit in NUMBER]] = 0.991
        readable = np.where(framed, 0.98, 0.02).astype(np.float32)
        heads = {"number": digits, "readable": np.stack([1 - readable, readable], 1)}
        return HeadPredictions(self.specs, {"fake": {spec.name: heads[spec.name] for spec in self.specs}})


def is_framed(picture) -> bool:
    red = (picture[:, :, 0] > 150) & (picture[:, :, 1] < 100)
    rows, columns = np.flatnonzero(red.any(axis=1)), np.flatnonzero(red.any(axis=0))
    if not len(rows):
        return False
    height, width = red.shape
    inside = rows[0] > 0 and rows[-1] < height - 1 and columns[0] > 0 and columns[-1] < width - 1
    return bool(inside and np.ptp(columns) > 0.7 * width and np.ptp(rows) > 0.4 * height)


def photo(left: int = 120, top: int = 300, *, ink=(220, 20, 30)):
    """Return a gray photo [640, 480, 3] with a line of 20 upright strokes, and the box around them."""
    picture = np.full((640, 480, 3), 180, np.uint8)
    for stroke in range(20):
        x = left + 10 * stroke
        picture[top : top + 36, x : x + 5] = ink
    return picture, Box(left / 480, top / 640, (left + 195) / 480, (top + 36) / 640)


@pytest.mark.parametrize(("left", "top", "size"), [(20, 30, 1), (120, 300, 1), (270, 590, 1), (120, 300, 3)])
def test_a_number_is_read_anywhere_and_at_any_size(left, top, size):
    picture, box = photo(left, top)
    reading = TagReader(FakeClassifier()).read(picture.repeat(size, axis=0).repeat(size, axis=1))

    assert reading.number == NUMBER
    assert reading.confidence > 0.8
    assert reading.box.x0 < box.x0 < box.x1 < reading.box.x1
    assert reading.box.y0 < box.y0 < box.y1 < reading.box.y1


@pytest.mark.parametrize(("width", "height"), [(1.1, 1.4), (1.3, 2.0), (2.2, 6.0)])
def test_a_drawn_box_can_be_rough_or_frame_the_whole_tag(width, height):
    picture, box = photo()
    assert TagReader(FakeClassifier()).read(picture, scale_box(box, width, height)).number == NUMBER


def test_a_photo_without_print_needs_no_network():
    classifier = FakeClassifier()
    for shape in ((300, 400, 3), (1, 1, 3), (16, 200, 3), (200, 16, 3)):
        assert TagReader(classifier).read(np.full(shape, 90, np.uint8)) is None
    assert classifier.calls == 0


def test_other_print_and_numbers_outside_the_box_are_not_read():
    assert TagReader(FakeClassifier()).read(photo(ink=(20, 20, 20))[0]) is None
    assert TagReader(FakeClassifier()).read(photo()[0], Box(0, 0, 1, 0.3)) is None


def test_only_eight_digit_numbers_are_grouped():
    assert [format_article_number(number) for number in ("12345678", "1234")] == ["123.456.78", "1234"]


def test_a_low_confidence_reading_is_dropped(monkeypatch):
    picture, _ = photo()
    monkeypatch.setattr(ocr, "MIN_CONFIDENCE", 0.95)
    assert TagReader(FakeClassifier()).read(picture) is None


def test_the_readable_head_is_optional_and_the_digits_head_is_not():
    picture, _ = photo()
    assert TagReader(FakeClassifier(SPECS[:1])).read(picture).number == NUMBER
    with pytest.raises(CheckpointMismatch, match=r"has 0\."):
        TagReader(FakeClassifier(SPECS[1:]))


@pytest.mark.parametrize("noise", [0, 25])
def test_one_of_few_candidates_frames_the_line(noise):
    picture, box = photo()
    noisy = picture + np.random.default_rng(0).normal(0, noise, picture.shape)
    found = find_candidates(noisy.clip(0, 255).astype(np.uint8), 8)
    assert 0 < len(found) <= MAX_CANDIDATES
    assert any(one.x0 < box.x0 < box.x1 < one.x1 and one.x1 - one.x0 < 0.6 for one in found)


def test_scaled_boxes_are_clipped_to_the_image():
    box = Box(0.9, 0.9, 1, 1)
    for size, shift in ((3, 0.9), (0.01, 0), (1, -20), (1, 20)):
        scale_box(box, size, size, shift_x=shift)
    assert scale_box(box, 1, 1).x0 == pytest.approx(0.9)
    assert clip_box(2, 2, 3, 3).x1 == 1
    assert crop(np.zeros((50, 50, 3), np.uint8), scale_box(box, 0.001, 0.001)).size
