"""Sources of training pictures."""

from pathlib import Path

import numpy as np
import pytest

from tests.training import data
from vsearch.errors import DatasetError
from vsearch.images import encode_jpeg
from vsearch.training import sources
from vsearch.training.plan import NpzSource


def test_a_manifest_is_read_by_split_and_filtered(tmp_path: Path) -> None:
    """Rows that `where` leaves out are not seen; the class is what follows the last slash."""
    plan = data.write(tmp_path)

    names, pictures = sources.decoded(plan.source, tmp_path, 40)

    assert names == ("bar", "disc")
    assert pictures["train"].pictures.shape == (48, 40, 40, 3)
    assert pictures["val"].labels.tolist() == [0, 1] * 4


def test_packed_pictures_are_read(tmp_path: Path) -> None:
    """The .npz form gives the same as files."""
    encoded = [encode_jpeg(np.full((20, 20, 3), shade, np.uint8)) for shade in (10, 200, 90)]
    np.savez(
        tmp_path / "photos.npz",
        data=np.frombuffer(b"".join(encoded), np.uint8),
        offsets=np.cumsum([0, *map(len, encoded)]),
        labels=np.array([0, 1, 1]),
        split=np.array([0, 0, 1]),
        names=np.array(["dark, dim", "light"]),
    )

    names, pictures = sources.decoded((NpzSource(kind="npz", file="photos.npz", terms="ours"),), tmp_path, 32)

    assert names == ("dark", "light")
    assert pictures["train"].labels.tolist() == [0, 1]
    assert pictures["val"].labels.tolist() == [1]


def test_a_missing_file_is_said(tmp_path: Path) -> None:
    """The sentence names the file and the option."""
    plan = data.write(tmp_path)
    (tmp_path / "images.tar").unlink()

    with pytest.raises(DatasetError, match=r"images\.tar.*--photos"):
        sources.decoded(plan.source, tmp_path, 40)


def test_a_missing_column_is_said(tmp_path: Path) -> None:
    """The sentence names the column that is needed and those there are."""
    plan = data.write(tmp_path)
    (tmp_path / "labels.csv").write_text("image,kind\n0.jpg,disc\n")

    with pytest.raises(DatasetError, match="split"):
        sources.decoded(plan.source, tmp_path, 40)


def test_no_training_picture_is_said(tmp_path: Path) -> None:
    """A manifest with validation rows alone cannot be trained on."""
    plan = data.write(tmp_path)
    (tmp_path / "labels.csv").write_text("image,kind,split,source\n0.jpg,disc,val,ours/\n")

    with pytest.raises(DatasetError, match="training"):
        sources.decoded(plan.source, tmp_path, 40)
