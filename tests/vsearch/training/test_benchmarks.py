"""Timing how pictures are loaded."""

from pathlib import Path

import pytest

from tests.vsearch.training import sample_data
from vsearch.core.errors import DatasetError
from vsearch.training.benchmarks import loading

pytestmark = pytest.mark.keras


def test_three_ways_are_timed(tmp_path: Path) -> None:
    """How much each gives depends on the machine."""
    sample_data.write(tmp_path)

    found = loading(tmp_path / "images.tar", count=40, shape=(32, 48), repeats=1)

    assert found.pictures == 40
    assert min(found.one_by_one, found.parallel, found.cached) > 0


def test_a_place_without_pictures_is_one_sentence(tmp_path: Path) -> None:
    """Whether it is no place for pictures or holds none."""
    (tmp_path / "a.jpg").write_bytes(b"no picture")
    with pytest.raises(DatasetError, match="has none; name another"):
        loading(tmp_path)
    with pytest.raises(DatasetError, match="must be in a folder, tar or zip"):
        loading(tmp_path / "a.jpg")
