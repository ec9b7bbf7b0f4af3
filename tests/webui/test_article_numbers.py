import io
import logging
import re
from concurrent.futures import ThreadPoolExecutor
from unittest.mock import Mock

import numpy as np
import pytest

from tests.fakes import FakeReader
from vsearch.imaging.codec import encode_jpeg
from webui.services import ArticleNumberReader, services_of


def tag(*, right_half: bool = False) -> bytes:
    """Return a photo of a shelf tag, which is yellow."""
    photo = np.full((64, 64, 3), (240, 210, 40), np.uint8)
    if right_half:
        photo[:, :40] = (20, 40, 90)
    return encode_jpeg(photo, quality=95)


def send(site, photo: bytes) -> str:
    """Upload a photo on the start page and return where that redirects to."""
    response = site.client.post("/search", data={"photo": (io.BytesIO(photo), "tag.jpg")})
    assert response.status_code == 303
    return response.location


def search(site, query: str = "") -> dict:
    """Search with the API for a tag and return the article number in its response."""
    return site.client.post(f"/api/v1/search{query}", data=tag()).get_json()["article_number"]


def test_tag_redirects_to_its_product(article_number_site):
    """The product page shows the number and links to a visual search that does not read it again."""
    site, url = article_number_site, send(article_number_site, tag())
    assert re.search(r"/products/P-03\?photo=[0-9a-f]{64}$", url)
    page = site.client.get(url).text
    assert "123.456.78" in page
    (back,) = re.findall(r'href="(/results/[^"]*visual=only)"', page)
    assert site.client.get(back).status_code == 200
    assert re.search(r"/results/[0-9a-f]{64}$", send(site, site.photo(3))), "a photo without a number"
    read = search(site)
    assert (read["number"], read["confidence"], read["product"]["sku"]) == ("12345678", 0.97, "P-03")
    assert search(site, "?visual=only") is None


@pytest.mark.parametrize("number", ["99999999", "66666666"], ids=["no product", "two products"])
def test_number_without_a_single_product(article_number_site, monkeypatch, number):
    monkeypatch.setattr(FakeReader, "number", number)
    url = send(article_number_site, tag())
    assert url.endswith(f"?article_number={number}")
    page = article_number_site.client.get(url).text
    assert f"{number[:3]}.{number[3:6]}.{number[6:]}" in page
    assert 'class="card"' in page
    assert search(article_number_site) == {"number": number, "confidence": 0.97, "product": None}


def test_number_in_a_selected_box(article_number_site):
    """The link back keeps the box."""
    client, results = article_number_site.client, send(article_number_site, tag(right_half=True))
    assert "/results/" in results
    response = client.get(f"{results}?box=0.7,0.2,1,0.6")
    assert response.status_code == 303
    assert "/products/P-03?photo=" in response.location
    assert "box=0.7,0.2,1,0.6&amp;visual=only" in client.get(response.location).text
    page = client.get(f"{results}?box=0.7,0.2,1,0.6&visual=only")
    assert (page.status_code, "visual=only" in page.text) == (200, True)


def test_product_page_shows_the_number(client):
    for url in ("/products/P-03", f"/products/P-03?photo={'0' * 64}"):
        page = client.get(url).text
        assert "123.456.78" in page
        assert "from your photo" not in page
    assert "Article number" not in client.get("/products/P-05").text
    assert client.get("/api/v1/products/P-03").get_json()["article_number"] == "12345678"


def test_start_page_mentions_tags_once_the_reader_is_open(article_number_site):
    """It does not wait for the reader to open."""
    assert "shelf tag" not in article_number_site.client.get("/").text
    services_of(article_number_site.app).article_numbers.refresh()
    assert "shelf tag" in article_number_site.client.get("/").text


def test_shop_without_a_reader(site, monkeypatch):
    monkeypatch.setattr("vsearch.models.registry.active", lambda settings, role: None)
    assert "/results/" in send(site, tag())
    assert search(site) is None


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
    open_reader = Mock(side_effect=FakeReader)
    reader = ArticleNumberReader(article_number_site.settings, article_number_site.sessions, open_reader)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: reader.reader, range(8)))
    open_reader.assert_called_once()
