import hashlib

import pytest

from catalog.image_store import ImageStore
from vsearch.core.errors import CatalogError


def test_pictures_are_stored_once_by_their_sha256(tmp_path):
    store = ImageStore(tmp_path / "pictures")
    sha256 = hashlib.sha256(b"bytes").hexdigest()
    assert not store.exists(sha256)
    assert store.put(b"bytes") == sha256
    assert store.path(sha256) == tmp_path / "pictures" / sha256[:2] / sha256[2:4] / sha256
    assert (store.exists(sha256), store.read(sha256)) == (True, b"bytes")
    first = store.path(sha256).stat()
    assert store.put(b"bytes") == sha256
    assert store.path(sha256).stat().st_ino == first.st_ino
    assert sum(path.is_file() for path in tmp_path.rglob("*")) == 1
    with pytest.raises(CatalogError, match="0" * 64):
        store.read("0" * 64)


def test_a_failed_write_leaves_nothing(tmp_path):
    store = ImageStore(tmp_path)
    path = store.path(hashlib.sha256(b"bytes").hexdigest())
    (path / "in the way").mkdir(parents=True)
    with pytest.raises(OSError, match="directory"):
        store.put(b"bytes")
    assert not any(found.is_file() for found in tmp_path.rglob("*"))


@pytest.mark.parametrize("name", ["", "../../etc/passwd", "0" * 63, "G" * 64, "0" * 64 + "/..", "0" * 64 + "\n"])
def test_names_that_are_not_a_sha256(tmp_path, name):
    with pytest.raises(CatalogError, match="SHA-256"):
        ImageStore(tmp_path).path(name)
