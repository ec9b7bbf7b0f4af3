import hashlib
from pathlib import Path

import pytest

from catalog.image_store import ImageStore
from vsearch.core.errors import CatalogueError


def test_a_picture_is_kept_by_its_content(tmp_path: Path) -> None:
    """The name is the sha256, two folders deep, and the bytes come back."""
    store = ImageStore(tmp_path / "pictures")
    sha256 = store.put(b"bytes")
    assert sha256 == hashlib.sha256(b"bytes").hexdigest()
    assert store.path(sha256) == tmp_path / "pictures" / sha256[:2] / sha256[2:4] / sha256
    assert store.exists(sha256)
    assert store.read(sha256) == b"bytes"


def test_the_same_bytes_are_stored_once(tmp_path: Path) -> None:
    """Putting twice writes once and leaves no temporary file."""
    store = ImageStore(tmp_path)
    first = store.path(store.put(b"bytes")).stat()
    second = store.path(store.put(b"bytes")).stat()
    assert (first.st_ino, first.st_mtime_ns) == (second.st_ino, second.st_mtime_ns)
    assert sum(path.is_file() for path in tmp_path.rglob("*")) == 1


def test_a_failed_write_leaves_nothing(tmp_path: Path) -> None:
    """A file is there whole or not at all."""
    store = ImageStore(tmp_path)
    path = store.path(hashlib.sha256(b"bytes").hexdigest())
    (path / "in the way").mkdir(parents=True)
    with pytest.raises(OSError, match="directory"):
        store.put(b"bytes")
    assert not any(found.is_file() for found in tmp_path.rglob("*"))


def test_an_unknown_picture_is_refused(tmp_path: Path) -> None:
    """The sentence says what to do."""
    store = ImageStore(tmp_path)
    assert not store.exists("0" * 64)
    with pytest.raises(CatalogueError, match="import the feed again"):
        store.read("0" * 64)


@pytest.mark.parametrize("name", ["", "../../etc/passwd", "0" * 63, "G" * 64, "0" * 64 + "/..", "0" * 64 + "\n"])
def test_no_name_leads_out_of_the_folder(tmp_path: Path, name: str) -> None:
    """Names come from addresses that anybody can type."""
    with pytest.raises(CatalogueError, match="64 digits"):
        ImageStore(tmp_path).path(name)
