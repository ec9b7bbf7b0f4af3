import numpy as np
import pytest

from vsearch.imaging.codec import crop
from vsearch.training import tags
from vsearch.training.plan_sources import TagsSource


@pytest.mark.parametrize("digits", [4, 8])
def test_tag_is_drawn_from_its_seed(digits):
    """The same seed draws the same strip, another one another; the label has so many digits."""
    first, number = tags.draw_tag(np.random.default_rng(3), digits)
    again, same = tags.draw_tag(np.random.default_rng(3), digits)
    other, _ = tags.draw_tag(np.random.default_rng(4), digits)

    assert first.shape == (*tags.STRIP[digits], 3)
    assert first.dtype == np.uint8
    assert len(number) == digits
    assert number.isdigit()
    assert number == same
    assert (first == again).all()
    assert (first != other).any()


@pytest.mark.parametrize("digits", [4, 8])
def test_every_way_of_drawing_works(digits):
    """Numbers and blanks, over many seeds: none is without any contrast, a blank has no number."""
    for seed in range(60):
        strip, number = tags.draw_tag(np.random.default_rng(seed), digits)
        assert strip.std() > 3, seed
        assert len(number) == digits
        blank, nothing = tags.draw_tag(np.random.default_rng(seed), digits, blank=True)
        assert blank.shape == strip.shape
        assert nothing == ""


def test_size_can_be_chosen():
    """For a network that sees another shape."""
    strip, _ = tags.draw_tag(np.random.default_rng(0), 8, size=(32, 128))
    assert strip.shape == (32, 128, 3)


@pytest.mark.parametrize("digits", [4, 8])
def test_photo_has_its_number_in_the_box(digits):
    """A whole photo: the box lies inside, has the shape of a number, and holds print."""
    for seed in range(6):
        photo, box, number = tags.draw_tag_photo(np.random.default_rng(seed), digits)
        assert photo.shape == (640, 480, 3)
        assert len(number) == digits
        strip = crop(photo, box)
        height, width = strip.shape[:2]
        assert 1.3 < width / height < 12, seed
        assert strip.std() > 5, seed
    chosen = "1234" if digits == 4 else "12345678"
    assert tags.draw_tag_photo(np.random.default_rng(0), digits, number=chosen)[2] == chosen


def test_all_digits_are_drawn_alike_often():
    """No digit is rare at any place."""
    numbers = [tags.draw_tag(np.random.default_rng(seed), 4)[1] for seed in range(100)]
    for place in range(4):
        assert {number[place] for number in numbers} == set("0123456789")


@pytest.mark.keras
def test_examples_are_drawn_once_and_resumed(tmp_path, monkeypatch):
    """Labels, splits and shares are as asked; parts that are there are not drawn again, one that is lost is."""
    monkeypatch.setattr(tags, "_PART", 8)
    source = TagsSource(kind="tags", digits=4, train=20, val=6, blanks=0.3, seed=1, terms="drawn")
    found = list(tags.examples(source, tmp_path))

    assert [example.split for example in found] == ["train"] * 20 + ["val"] * 6
    assert len({example.name for example in found}) == 26
    assert {example.labels["readable"] for example in found} == {"yes", "no"}
    assert all(("number" in example.labels) == (example.labels["readable"] == "yes") for example in found)

    parts = sorted((tmp_path / "tags").glob("*/*-*"))
    assert [part.name for part in parts] == ["train-000", "train-001", "train-002", "val-000"]
    for file in parts[1].iterdir():
        file.unlink()
    parts[1].rmdir()
    drawn = []
    monkeypatch.setattr(tags, "_drawn_chunk", lambda *given: drawn.append(given[2]) or original(*given))
    again = list(tags.examples(source, tmp_path))
    assert drawn == [range(8, 16)]
    assert [example.data for example in again] == [example.data for example in found]


original = tags._drawn_chunk
