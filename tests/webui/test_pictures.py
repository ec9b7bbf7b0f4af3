import re
from urllib.parse import urlsplit

import pytest
from sqlalchemy import select, update

from catalog.models import Image, Product
from tests.pictures import jpeg
from tests.webui.conftest import withdraw
from vsearch.imaging.codec import decode
from webui.image_files import WIDTHS


@pytest.fixture
def sha256(client):
    return re.search(r"/pictures/([0-9a-f]{64})-", client.get("/").text)[1]


def test_thumbnail_is_cached(site, sha256):
    """For a day by browsers and proxies, and on disk."""
    response = site.client.get(f"/pictures/{sha256}-160.jpg")
    assert (response.status_code, response.mimetype) == (200, "image/jpeg")
    assert decode(response.data).shape == (64, 64, 3), "never enlarged"
    assert response.headers["Cache-Control"] == "public, max-age=86400"
    again = site.client.get(f"/pictures/{sha256}-160.jpg", headers={"If-None-Match": response.headers["ETag"]})
    assert again.status_code == 304
    (stored,) = [path for path in (site.settings.data / "thumbnails").rglob("*") if path.is_file()]
    stored.write_bytes(b"cached")
    assert site.client.get(f"/pictures/{sha256}-160.jpg").data == b"cached"


def test_thumbnail_that_cannot_be_stored_is_sent(site, sha256, caplog):
    (site.settings.data / "thumbnails").write_bytes(b"a file in place of the folder")
    assert decode(site.client.get(f"/pictures/{sha256}-160.jpg").data).shape == (64, 64, 3)
    assert "cannot be stored" in caplog.text


@pytest.mark.parametrize("name", ["{}-321.jpg", "{}-999999.jpg", "{}.jpg", "00{}-320.jpg", "x-320.jpg"])
def test_other_names_are_not_found(client, sha256, name):
    assert client.get(f"/pictures/{name.format(sha256)}").status_code == 404
    assert client.get(f"/pictures/{'0' * 64}-{WIDTHS[0]}.jpg").status_code == 404


def test_shoppers_photo_is_private(site):
    """Proxies may not cache it, and browsers must revalidate it."""
    photo_id = site.upload(0).rpartition("/")[2]
    response = site.client.get(f"/photos/{photo_id}.jpg")
    assert {"private", "no-cache"} <= set(response.headers["Cache-Control"].split(", "))
    assert decode(response.data).shape == decode(jpeg()).shape
    again = site.client.get(f"/photos/{photo_id}.jpg", headers={"If-None-Match": response.headers["ETag"]})
    assert again.status_code == 304


def test_pictures_of_withdrawn_products_are_not_sent(site):
    """Even if their thumbnails exist; a restored product has its pictures back."""
    images = site.client.get("/api/v1/products/P-02").get_json()["images"]
    paths = [urlsplit(url).path.replace("-640.", f"-{width}.") for url in images for width in WIDTHS]
    assert {site.client.get(path).status_code for path in paths} == {200}
    withdraw(site, "P-02")
    assert {site.client.get(path).status_code for path in paths} == {404}
    assert site.client.get(paths[0], headers={"If-None-Match": "*"}).status_code == 404
    assert "max-age" not in site.client.get(paths[0]).headers["Cache-Control"]
    with site.sessions.begin() as session:
        session.execute(update(Product).values(withdrawn_at=None))
    assert {site.client.get(path).status_code for path in paths} == {200}


def test_picture_shared_with_a_live_product(site):
    with site.sessions.begin() as session:
        first, second = session.scalars(select(Product).where(Product.sku.in_(("P-02", "P-05"))).order_by(Product.sku))
        shared = first.images[0].sha256
        second.images.append(Image(sha256=shared, position=9))
    withdraw(site, "P-02")
    assert site.client.get(f"/pictures/{shared}-160.jpg").status_code == 200
    withdraw(site, "P-02", "P-05")
    assert site.client.get(f"/pictures/{shared}-160.jpg").status_code == 404
