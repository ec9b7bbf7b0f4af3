import hashlib
from pathlib import Path

import pytest

from catalog.image_store import ImageStore
from vsearch.core.errors import CatalogError


def test_put_and_read(tmp_path: Path) -> None:
    store = ImageStore(tmp_path / "pictures")
    sha256 = store.put(b"bytes")
    assert sha256 == hashlib.sha256(b"bytes").hexdigest()
    assert store.path(sha256) == tmp_path / "pictures" / sha256[:2] / sha256[2:4] / sha256
    assert store.exists(sha256)
    assert store.read(sha256) == b"bytes"


def test_the_same_bytes_are_stored_once(tmp_path: Path) -> None:
    store = ImageStore(tmp_path)
    first = store.path(store.put(b"bytes")).stat()
    second = store.path(store.put(b"bytes")).stat()
    assert (first.st_ino, first.st_mtime_ns) == (second.st_ino, second.st_mtime_ns)
    assert sum(path.is_file() for path in tmp_path.rglob("*")) == 1


def test_a_failed_write_leaves_nothing(tmp_path: Path) -> None:
    store = ImageStore(tmp_path)
    path = store.path(hashlib.sha256(b"bytes").hexdigest())
    (path / "in the way").mkdir(parents=True)
    with pytest.raises(OSError, match="directory"):
        store.put(b"bytes")
    assert not any(found.is_file() for found in tmp_path.rglob("*"))


def test_unknown_picture(tmp_path: Path) -> None:
    store = ImageStore(tmp_path)
    assert not store.exists("0" * 64)
    with pytest.raises(CatalogError, match="0" * 64):
        store.read("0" * 64)


@pytest.mark.parametrize("name", ["", "../../etc/passwd", "0" * 63, "G" * 64, "0" * 64 + "/..", "0" * 64 + "\n"])
def test_names_that_are_not_a_sha256(tmp_path: Path, name: str) -> None:
    with pytest.raises(CatalogError, match="sha256"):
        ImageStore(tmp_path).path(name)
