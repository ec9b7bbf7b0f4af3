import hashlib
import hmac
import os
from pathlib import Path

import pytest

from tests.pictures import jpeg, noise
from vsearch.core.errors import InvalidRequest, NotAnImage, UploadsUnavailable
from vsearch.imaging.codec import Limits, decode
from webui.uploads import MAX_SIDE, UploadStore, write_whole

DAY = 86_400
NOW = 1_800_000_000


@pytest.fixture
def store(tmp_path):
    """An empty store that keeps photos for ten days."""
    return UploadStore(tmp_path / "uploads", Limits(), days=10, max_bytes=10**9)


def put(store, seed: int, age_days: float) -> str:
    """Store a photo that was last sent some days before NOW."""
    photo_id = store.put(noise(40, 40, seed))
    path = store.find(photo_id)
    os.utime(path, (NOW - age_days * DAY, NOW - age_days * DAY))
    return photo_id


class VanishingEntry:
    """An entry of a folder whose file may be deleted as soon as it was looked at."""

    def __init__(self, path: Path, *, vanish: bool) -> None:
        self.path = str(path)
        self._vanish = vanish

    def stat(self) -> os.stat_result:
        """Return the status of the file."""
        status = Path(self.path).stat()
        if self._vanish:
            Path(self.path).unlink()
        return status


def test_photo_is_kept_at_a_sensible_size(store):
    """A large photo is shrunk to what anybody looks at."""
    photo_id = store.put(jpeg(2400, 1200))

    assert decode(store.find(photo_id).read_bytes()).shape == (MAX_SIDE // 2, MAX_SIDE, 3)


@pytest.mark.parametrize(("data", "error"), [(b"", InvalidRequest), (b"text", NotAnImage)])
def test_what_is_refused_leaves_no_trace(store, data, error):
    """A refused photo makes no file, not even a folder."""
    with pytest.raises(error):
        store.put(data)

    assert not store.folder.exists()


def test_old_photos_expire(store):
    """Photos not sent for the given days are dropped, later ones stay."""
    old, young = put(store, 1, 11), put(store, 2, 9)

    assert store.expire(NOW) == 1
    assert store.find(old) is None
    assert store.find(young)


def test_sending_again_keeps_a_photo(store):
    """The days count from the last time a photo was sent."""
    photo_id = put(store, 1, NOW / DAY)
    store.put(noise(40, 40, 1))

    assert store.expire() == 0
    assert store.find(photo_id)


def test_oldest_make_room(store):
    """Over the size limit, the oldest go first."""
    ids = [put(store, seed, age) for seed, age in ((1, 3), (2, 2), (3, 1))]
    size = store.find(ids[0]).stat().st_size
    small = UploadStore(store.folder, Limits(), days=10, max_bytes=round(size * 2.2))

    assert small.expire(NOW) == 1
    assert [bool(store.find(photo_id)) for photo_id in ids] == [False, True, True]


def test_a_new_photo_makes_its_room_itself(store):
    """The folder is within its limit after every upload, whichever of two processes took it."""
    size = len(store.read(put(store, 0, 30)))
    both = [UploadStore(store.folder, Limits(), days=10**4, max_bytes=round(size * 2.5)) for _ in range(2)]
    for seed in range(1, 7):
        latest = both[seed % 2].put(noise(40, 40, seed))
        assert store.find(latest)
        assert sum(path.stat().st_size for path in store.folder.iterdir()) <= size * 2.5
    assert len(list(store.folder.glob("*.jpg"))) == 2


def test_the_folder_is_not_listed_for_every_photo(store, monkeypatch):
    """Only once a share of the space is written; what it then holds too much is dropped."""
    size = len(store.read(put(store, 0, 30)))
    other = UploadStore(store.folder, Limits(), days=10**4, max_bytes=size * 100)
    listings, listed = [], other.expired
    monkeypatch.setattr(other, "expired", lambda *given, **named: listings.append(1) or listed(*given, **named))
    for seed in range(1, 121):
        other.put(noise(40, 40, seed))
    assert len(listings) < 121 / 2
    assert sum(path.stat().st_size for path in store.folder.iterdir()) <= size * 100
    assert store.find(other.put(noise(40, 40, 120)))
    assert len(list(store.folder.glob("*.jpg"))) > 90


def test_another_process_was_quicker(store, monkeypatch):
    """Photos that vanish between being listed and being looked at or dropped do not stop the rest."""
    ids = [put(store, seed, 20) for seed in range(4)]
    listed = [VanishingEntry(path, vanish=path.stem == ids[1]) for path in store.folder.glob("*.jpg")]
    monkeypatch.setattr(store, "_entries", lambda: listed)
    store.delete(ids[0])
    store.expire(NOW)
    assert list(store.folder.glob("*.jpg")) == []


def test_a_photo_that_expires_while_it_is_read(store, monkeypatch):
    """It counts as not kept."""
    photo_id = put(store, 1, 1)
    path = store.find(photo_id)
    path.unlink()
    monkeypatch.setattr(store, "find", lambda photo_id: path)
    assert store.read(photo_id) is None


def test_ids_cannot_be_computed_from_a_photo(store, tmp_path):
    """Who has the same photo cannot find out whether it was sent; another shop gives it another id."""
    photo_id = put(store, 1, 1)
    other = UploadStore(tmp_path / "other" / "uploads", Limits(), days=1, max_bytes=10**9)

    assert hashlib.sha256(store.read(photo_id)).hexdigest() != photo_id
    assert other.put(noise(40, 40, 1)) != photo_id
    assert UploadStore(store.folder, Limits(), days=1, max_bytes=10**9).put(noise(40, 40, 1)) == photo_id
    assert (store.folder.parent / "uploads.key").stat().st_mode & 0o077 == 0


def test_processes_that_begin_together_agree_on_the_key(store, monkeypatch):
    """The first to write it wins."""

    def link(source, target):
        Path(target).write_bytes(b"another process's")
        raise FileExistsError

    monkeypatch.setattr(os, "link", link)
    photo_id = put(store, 1, 1)
    assert hmac.digest(b"another process's", store.read(photo_id), "sha256").hex() == photo_id


def test_deleting(store):
    """A photo is gone; deleting it again, or one that never was, is no error."""
    photo_id, other = put(store, 1, 1), put(store, 2, 1)
    for name in (photo_id, photo_id, "0" * 64, "../catalogue"):
        store.delete(name)
    assert store.read(photo_id) is None
    assert store.read(other)


@pytest.mark.parametrize("act", ["put", "check"])
def test_a_folder_that_cannot_be_written(tmp_path, act):
    """Is named in one sentence, for the operator."""
    (tmp_path / "uploads").write_bytes(b"a file in its place")
    store = UploadStore(tmp_path / "uploads", Limits(), days=1, max_bytes=10**9)
    with pytest.raises(UploadsUnavailable, match=str(tmp_path / "uploads")):
        store.put(noise(40, 40, 1)) if act == "put" else store.check()


def test_checking_leaves_nothing(store):
    """The folder is made, and is empty afterwards."""
    store.check()
    assert list(store.folder.iterdir()) == []


def test_expiring_nothing(store):
    """A store that was never used has nothing to drop."""
    assert store.expire() == 0


@pytest.mark.parametrize("photo_id", ["", "../secret", "A" * 64, "0" * 63, "0" * 64])
def test_names_from_outside_lead_nowhere(store, photo_id):
    """Only the id of a stored photo finds a file."""
    assert store.find(photo_id) is None


def test_half_written_file_is_not_left(tmp_path, monkeypatch):
    """When a file cannot be put in place, neither it nor its draft is left."""

    def fail(*arguments):
        raise OSError("disk full")

    monkeypatch.setattr("pathlib.Path.replace", fail)
    with pytest.raises(OSError, match="disk full"):
        write_whole(tmp_path / "photo.jpg", b"data")

    assert list(tmp_path.iterdir()) == []
