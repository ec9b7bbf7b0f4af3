import os

import pytest

from tests.archives import make_folder, make_tar, make_zip
from vsearch.core.archives import DAMAGED, open_archive
from vsearch.core.errors import first_line

FILES = {"b/2.jpg": b"two", "a/1.jpg": b"one", "a/.hidden": b"", "__MACOSX/a/._1.jpg": b"resource fork"}


@pytest.mark.parametrize(
    ("make", "order"),
    [
        pytest.param(make_folder, ["a/1.jpg", "b/2.jpg"], id="folder"),
        pytest.param(make_tar, ["b/2.jpg", "a/1.jpg"], id="tar"),
        pytest.param(lambda parent, files: make_tar(parent, files, "w:gz"), ["b/2.jpg", "a/1.jpg"], id="tar.gz"),
        pytest.param(make_zip, ["b/2.jpg", "a/1.jpg"], id="zip"),
    ],
)
def test_regular_files_are_listed_in_reading_order(tmp_path, make, order):
    """Hidden files, links and folders are skipped; nothing is unpacked."""
    path = make(tmp_path, FILES)
    before = sorted(tmp_path.rglob("*"))
    with open_archive(path) as archive:
        assert list(archive) == order
        assert [archive.read(name) for name in order] == [FILES[name] for name in order]
        assert archive.sizes["a/1.jpg"] == 3
        assert archive.sizes.get("b/link.jpg", -1) == -1
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    ("mode", "size"),
    [("w", None), ("w", 0), ("w", 100), ("w", 1024), ("w:gz", 100)],
    ids=["missing", "empty", "cut within a header", "cut between two files", "cut gzip"],
)
def test_damaged_archives_are_rejected(tmp_path, mode, size):
    """The tarfile module accepts a tar truncated between two files as complete."""
    path = make_tar(tmp_path, FILES, mode)
    if size is None:
        path.unlink()
    else:
        os.truncate(path, size)
    with pytest.raises(DAMAGED) as caught:
        open_archive(path)
    assert "\n" not in first_line(caught.value)
