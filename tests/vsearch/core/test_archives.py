import os

import pytest

from tests.archives import make_folder, make_tar, make_zip
from vsearch.core.archives import DAMAGED, open_archive
from vsearch.core.errors import first_line

FILES = {"b/2.jpg": b"two", "a/1.jpg": b"one", "a/.hidden": b"", "__MACOSX/a/._1.jpg": b"resource fork"}


@pytest.mark.parametrize("make", [make_folder, make_tar, make_zip])
def test_hidden_files_and_links_are_not_listed(tmp_path, make):
    with open_archive(make(tmp_path, FILES)) as archive:
        assert sorted(archive) == ["a/1.jpg", "b/2.jpg"]


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
