import os

import pytest

from tests.pictures import jpeg, noise
from vsearch.errors import InvalidRequest, NotAnImage
from vsearch.images import Limits, decode
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
