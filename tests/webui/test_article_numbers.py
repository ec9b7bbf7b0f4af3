import io
import logging
import re
import threading

import numpy as np
import pytest

from tests.fakes import FakeReader
from vsearch.imaging.codec import encode_jpeg
from webui.article_numbers import ArticleNumberReader
from webui.services import services_of


def tag(*, right_half: bool = False) -> bytes:
    """Return a photo of a shelf tag, which is yellow."""
    photo = np.full((64, 64, 3), (240, 210, 40), np.uint8)
    if right_half:
        photo[:, :40] = (20, 40, 90)
    return encode_jpeg(photo, quality=95)


def send(site, photo: bytes):
    """Upload a photo on the start page."""
    return site.client.post("/search", data={"photo": (io.BytesIO(photo), "tag.jpg")})


def test_tag_redirects_to_its_product(article_number_site):
    """The product page shows the number and links to a visual search that does not read it again."""
    response = send(article_number_site, tag())
    assert response.status_code == 303
    assert re.search(r"/products/P-03\?photo=[0-9a-f]{64}$", response.location)

    page = article_number_site.client.get(response.location).text
    assert "123.456.78" in page
    (back,) = re.findall(r'href="(/results/[^"]*visual=only)"', page)
    assert article_number_site.client.get(back).status_code == 200


def test_photo_without_a_number(article_number_site):
    assert re.search(r"/results/[0-9a-f]{64}$", send(article_number_site, article_number_site.photo(3)).location)


@pytest.mark.parametrize("number", ["99999999", "66666666"], ids=["no product", "two products"])
def test_number_without_a_single_product(article_number_site, monkeypatch, number):
    monkeypatch.setattr(FakeReader, "number", number)
    response = send(article_number_site, tag())
    assert response.location.endswith(f"?article_number={number}")
    page = article_number_site.client.get(response.location).text
    assert f"{number[:3]}.{number[3:6]}.{number[6:]}" in page
    assert 'class="card"' in page
    body = article_number_site.client.post("/api/v1/search", data=tag()).get_json()
    assert body["article_number"] == {"number": number, "confidence": 0.97, "product": None}


def test_number_in_a_selected_box(article_number_site):
    """The link back keeps the box."""
    results = send(article_number_site, tag(right_half=True)).location
    assert "/results/" in results
    response = article_number_site.client.get(f"{results}?box=0.7,0.2,1,0.6")
    assert response.status_code == 303
    assert "/products/P-03?photo=" in response.location
    assert "box=0.7,0.2,1,0.6&amp;visual=only" in article_number_site.client.get(response.location).text

    page = article_number_site.client.get(f"{results}?box=0.7,0.2,1,0.6&visual=only")
    assert page.status_code == 200
    assert "visual=only" in page.text


def test_api(article_number_site):
    body = article_number_site.client.post("/api/v1/search", data=tag()).get_json()
    read = body["article_number"]
    assert (read["number"], read["confidence"], read["product"]["sku"]) == ("12345678", 0.97, "P-03")
    assert body["results"]
    assert (
        article_number_site.client.post("/api/v1/search?visual=only", data=tag()).get_json()["article_number"] is None
    )


def test_product_page_shows_the_number(client):
    for url in ("/products/P-03", f"/products/P-03?photo={'0' * 64}"):
        page = client.get(url).text
        assert "123.456.78" in page
        assert "in your photo" not in page
    assert "Article number" not in client.get("/products/P-05").text
    assert client.get("/api/v1/products/P-03").get_json()["article_number"] == "12345678"


def test_start_page_mentions_tags_once_the_reader_is_open(article_number_site):
    """It does not wait for the reader to open."""
    assert "shelf tag" not in article_number_site.client.get("/").text
    services_of(article_number_site.app).article_numbers.refresh()
    assert "shelf tag" in article_number_site.client.get("/").text


def test_shop_without_a_reader(site, monkeypatch):
    monkeypatch.setattr("vsearch.models.registry.reader_checkpoint", lambda settings: None)
    assert "/results/" in send(site, tag()).location
    assert site.client.post("/api/v1/search", data=tag()).get_json()["article_number"] is None


def test_shop_without_article_numbers(article_number_site):
    """The reader is never opened."""
    with article_number_site.sessions.begin() as session:
        session.connection().exec_driver_sql("UPDATE product SET article_number = NULL")
    opened = []
    reader = ArticleNumberReader(article_number_site.settings, article_number_site.sessions, opened.append)
    assert reader.reader is None
    assert opened == []


def test_damaged_reader_is_logged_once(article_number_site, caplog):
    (article_number_site.settings.data / "reader" / "CURRENT").write_text("0123456789abcdef\n")
    reader = ArticleNumberReader(article_number_site.settings, article_number_site.sessions, FakeReader)
    with caplog.at_level(logging.WARNING):
        reader.refresh()
        reader.refresh()
    assert reader.reader is None
    assert len(caplog.records) == 1


def test_concurrent_requests_open_one_reader(article_number_site):
    opened = []

    def open_reader(checkpoint):
        opened.append(checkpoint)
        return FakeReader(checkpoint)

    reader = ArticleNumberReader(article_number_site.settings, article_number_site.sessions, open_reader)
    threads = [threading.Thread(target=lambda: reader.reader) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(opened) == 1
