import re
from urllib.parse import urlsplit

import pytest
from sqlalchemy import select, update

from catalog.models import Image, Product, utc_now
from tests.pictures import jpeg
from vsearch.imaging.codec import decode
from webui.thumbnails import WIDTHS


@pytest.fixture
def sha256(client) -> str:
    """The id of a catalogue picture."""
    return re.search(r"/pictures/([0-9a-f]{64})-", client.get("/").text)[1]


def test_picture_is_sent_small_and_kept_long(site, sha256):
    """A catalogue picture is a JPEG of the width asked for that browsers and proxies keep for a day."""
    response = site.client.get(f"/pictures/{sha256}-160.jpg")

    assert response.status_code == 200
    assert response.mimetype == "image/jpeg"
    assert decode(response.data).shape == (64, 64, 3), "never enlarged"
    assert response.headers["Cache-Control"] == "public, max-age=86400"


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


def test_a_full_disk_costs_no_picture(site, sha256, caplog):
    """Where a thumbnail cannot be stored it is sent all the same; the log says why it is made each time."""
    (site.settings.data / "thumbnails").write_bytes(b"a file in place of the folder")

    response = site.client.get(f"/pictures/{sha256}-160.jpg")
    assert response.status_code == 200
    assert decode(response.data).shape == (64, 64, 3)
    assert "cannot be stored" in caplog.text


@pytest.mark.parametrize("name", ["{}-321.jpg", "{}-999999.jpg", "{}.jpg", "00{}-320.jpg", "x-320.jpg"])
def test_other_names_are_not_found(client, sha256, name):
    """Only the widths of the list are made, and only of pictures that exist."""
    assert client.get(f"/pictures/{name.format(sha256)}").status_code == 404
    assert client.get(f"/pictures/{'0' * 64}-{WIDTHS[0]}.jpg").status_code == 404


def test_shoppers_photo_is_private(site):
    """The shopper's photo is sent back; no cache on the way may keep it, and the browser asks whether it still may."""
    photo_id = site.upload(0).rpartition("/")[2]
    response = site.client.get(f"/photos/{photo_id}.jpg")

    assert response.status_code == 200
    assert {"private", "no-cache"} <= set(response.headers["Cache-Control"].split(", "))
    assert decode(response.data).shape == decode(jpeg()).shape
    again = site.client.get(f"/photos/{photo_id}.jpg", headers={"If-None-Match": response.headers["ETag"]})
    assert again.status_code == 304


def withdraw(site, *skus: str) -> None:
    """Take products from the catalogue, as a feed without them does."""
    with site.sessions.begin() as session:
        session.execute(update(Product).where(Product.sku.in_(skus)).values(withdrawn_at=utc_now()))


def test_pictures_of_withdrawn_products_are_gone(site):
    """At every width, those made before included; a product that comes back has its pictures back."""
    images = site.client.get("/api/v1/products/P-02").get_json()["images"]
    paths = [urlsplit(address).path.replace("-640.", f"-{width}.") for address in images for width in WIDTHS]
    assert {site.client.get(path).status_code for path in paths} == {200}

    withdraw(site, "P-02")
    assert {site.client.get(path).status_code for path in paths} == {404}
    assert site.client.get(paths[0], headers={"If-None-Match": "*"}).status_code == 404
    assert "max-age" not in site.client.get(paths[0]).headers["Cache-Control"]

    with site.sessions.begin() as session:
        session.execute(update(Product).values(withdrawn_at=None))
    assert {site.client.get(path).status_code for path in paths} == {200}


def test_a_picture_that_a_live_product_shares_stays(site):
    """Two products, one picture: only when both are withdrawn is it gone."""
    with site.sessions.begin() as session:
        first, second = session.scalars(select(Product).where(Product.sku.in_(("P-02", "P-05"))).order_by(Product.sku))
        shared = first.images[0].sha256
        second.images.append(Image(sha256=shared, position=9))
    withdraw(site, "P-02")
    assert site.client.get(f"/pictures/{shared}-160.jpg").status_code == 200
    withdraw(site, "P-05")
    assert site.client.get(f"/pictures/{shared}-160.jpg").status_code == 404
