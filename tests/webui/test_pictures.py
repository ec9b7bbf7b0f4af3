import re

import pytest

from tests.pictures import jpeg
from vsearch.images import decode
from webui.thumbnails import WIDTHS


@pytest.fixture
def sha256(client) -> str:
    """The id of a catalogue picture."""
    return re.search(r"/pictures/([0-9a-f]{64})-", client.get("/").text)[1]


def test_picture_is_sent_small_and_kept_long(site, sha256):
    """A catalogue picture is a JPEG of the width asked for that browsers keep for a year."""
    response = site.client.get(f"/pictures/{sha256}-160.jpg")

    assert response.status_code == 200
    assert response.mimetype == "image/jpeg"
    assert decode(response.data).shape == (64, 64, 3), "never enlarged"
    assert "max-age=31536000" in response.headers["Cache-Control"]
    assert "public" in response.headers["Cache-Control"]
    assert "immutable" in response.headers["Cache-Control"]


def test_known_picture_is_not_sent_again(client, sha256):
    """A browser that has the picture gets 304."""
    etag = client.get(f"/pictures/{sha256}-320.jpg").headers["ETag"]

    assert client.get(f"/pictures/{sha256}-320.jpg", headers={"If-None-Match": etag}).status_code == 304


def test_picture_is_made_once(site, sha256):
    """The small picture is kept in the data folder and used again."""
    site.client.get(f"/pictures/{sha256}-320.jpg")
    (made,) = [path for path in (site.settings.data / "thumbnails").rglob("*") if path.is_file()]
    made.write_bytes(b"kept")

    assert site.client.get(f"/pictures/{sha256}-320.jpg").data == b"kept"


@pytest.mark.parametrize("name", ["{}-321.jpg", "{}-999999.jpg", "{}.jpg", "00{}-320.jpg", "x-320.jpg"])
def test_other_names_are_not_found(client, sha256, name):
    """Only the widths of the list are made, and only of pictures that exist."""
    assert client.get(f"/pictures/{name.format(sha256)}").status_code == 404
    assert client.get(f"/pictures/{'0' * 64}-{WIDTHS[0]}.jpg").status_code == 404


def test_shoppers_photo_is_private(site):
    """The shopper's photo is sent back, but no cache on the way may keep it."""
    photo_id = site.upload(0).rpartition("/")[2]
    response = site.client.get(f"/photos/{photo_id}.jpg")

    assert response.status_code == 200
    assert "private" in response.headers["Cache-Control"]
    assert decode(response.data).shape == decode(jpeg()).shape
