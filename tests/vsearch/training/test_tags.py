import numpy as np
import pytest

from vsearch.training import tags
from vsearch.training.plan import TagsSource

DIGITS = pytest.mark.parametrize("digits", [4, 8])


@DIGITS
def test_a_tag_follows_from_its_seed(digits):
    first, number = tags.draw_tag(np.random.default_rng(3), digits)
    again, same = tags.draw_tag(np.random.default_rng(3), digits)
    other, _ = tags.draw_tag(np.random.default_rng(4), digits)

    assert first.shape == (*tags.STRIP[digits], 3)
    assert first.dtype == np.uint8
    assert number == same
    assert (first == again).all()
    assert (first != other).any()


@DIGITS
def test_tags_and_blanks_of_many_seeds_are_drawn(digits):
    numbers = []
    for seed in range(60):
        strip, number = tags.draw_tag(np.random.default_rng(seed), digits)
        assert strip.std() > 3, seed
        assert len(number) == digits
        numbers.append(number)
        blank, nothing = tags.draw_tag(np.random.default_rng(seed), digits, blank=True)
        assert blank.shape == strip.shape
        assert nothing == ""

    assert set("".join(numbers)) == set("0123456789")


@pytest.mark.keras
def test_tags_of_a_source_are_drawn_once_and_resumed(tmp_path, monkeypatch):
    monkeypatch.setattr(tags, "_FOLDER_SIZE", 8)
    source = TagsSource(kind="tags", digits=4, train=20, val=6, blanks=0.3, seed=1, terms="drawn")
    found = list(tags.read_tags(source, tmp_path))

    assert [image.split for image in found] == ["train"] * 20 + ["val"] * 6
    assert len({image.name for image in found}) == 26
    assert {image.labels["readable"] for image in found} == {"yes", "no"}
    assert all(("number" in image.labels) == (image.labels["readable"] == "yes") for image in found)

    parts = sorted((tmp_path / "tags").glob("*/*-*"))
    assert [part.name for part in parts] == ["train-000", "train-001", "train-002", "val-000"]
    for file in parts[1].iterdir():
        file.unlink()
    parts[1].rmdir()
    drawn, original = [], tags._draw_chunk
    monkeypatch.setattr(tags, "_draw_chunk", lambda *given: drawn.append(given[2]) or original(*given))
    again = list(tags.read_tags(source, tmp_path))
    assert drawn == [range(8, 16)]
    assert [image.data for image in again] == [image.data for image in found]
