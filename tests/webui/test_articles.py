import io
import logging
import re
import threading

import numpy as np
import pytest

from tests.fakes import FakeReader
from vsearch.imaging.codec import encode_jpeg
from webui.articles import Articles
from webui.services import services_of


def tag(*, half: bool = False) -> bytes:
    """Return a photo of a shelf tag, which is yellow; or one whose right half alone is."""
    photo = np.full((64, 64, 3), (240, 210, 40), np.uint8)
    if half:
        photo[:, :40] = (20, 40, 90)
    return encode_jpeg(photo, quality=95)


def send(site, photo: bytes):
    """Send a photo from the start page."""
    return site.client.post("/search", data={"photo": (io.BytesIO(photo), "tag.jpg")})


def test_tag_leads_to_its_product(reading_site):
    """The number is named, and the way back searches by look and does not read again."""
    answer = send(reading_site, tag())
    assert answer.status_code == 303
    assert re.search(r"/products/P-03\?photo=[0-9a-f]{64}$", answer.location)

    page = reading_site.client.get(answer.location).text
    assert "123.456.78" in page
    (back,) = re.findall(r'href="(/results/[^"]*)">Not this', page)
    assert back.endswith("?look=only")
    assert reading_site.client.get(back).status_code == 200


def test_other_photos_go_to_their_results(reading_site):
    """A photo without a number is searched by look, as ever."""
    answer = send(reading_site, reading_site.photo(3))
    assert re.search(r"/results/[0-9a-f]{64}$", answer.location)


@pytest.mark.parametrize("number", ["99999999", "66666666"])
def test_number_of_no_one_product(reading_site, monkeypatch, number):
    """A number that no product has, or several have, is told in one line above what looks alike."""
    monkeypatch.setattr(FakeReader, "number", number)
    answer = send(reading_site, tag())
    assert answer.location.endswith(f"?read={number}")

    page = reading_site.client.get(answer.location).text
    assert f"{number[:3]}.{number[3:6]}.{number[6:]}" in page
    assert 'class="card"' in page


def test_marked_box_is_read(reading_site):
    """A part of the photo that frames the number leads to the product, and back to that part."""
    results = send(reading_site, tag(half=True)).location
    assert "/results/" in results

    answer = reading_site.client.get(f"{results}?box=0.7,0.2,1,0.6")
    assert answer.status_code == 303
    assert "/products/P-03?photo=" in answer.location
    page = reading_site.client.get(answer.location).text
    assert "box=0.7,0.2,1,0.6&amp;look=only" in page

    by_look = reading_site.client.get(f"{results}?box=0.7,0.2,1,0.6&look=only")
    assert by_look.status_code == 200
    assert "look=only" in by_look.text


def test_api_tells_the_reading(reading_site, monkeypatch):
    """Number, confidence and product; the results by look are there too."""
    body = reading_site.client.post("/api/v1/search", data=tag()).get_json()
    assert body["article_number"]["number"] == "12345678"
    assert body["article_number"]["confidence"] == 0.97
    assert body["article_number"]["product"]["sku"] == "P-03"
    assert body["results"]

    assert reading_site.client.post("/api/v1/search?look=only", data=tag()).get_json()["article_number"] is None
    monkeypatch.setattr(FakeReader, "number", "99999999")
    assert reading_site.client.post("/api/v1/search", data=tag()).get_json()["article_number"]["product"] is None


def test_product_page_shows_the_number(client):
    """As it is printed; a product without one has no such line."""
    assert "123.456.78" in client.get("/products/P-03").text
    assert "from your photo" not in client.get("/products/P-03").text
    assert "Article number" not in client.get("/products/P-05").text
    assert client.get("/api/v1/products/P-03").get_json()["article_number"] == "12345678"


def test_photo_that_is_no_longer_kept(reading_site):
    """The product is shown without the line about the photo."""
    page = reading_site.client.get(f"/products/P-03?photo={'0' * 64}")
    assert page.status_code == 200
    assert "from your photo" not in page.text


def test_bad_parameters_are_refused(reading_site):
    """Nothing but digits and "only" is taken."""
    results = send(reading_site, reading_site.photo(3)).location
    for query in ("read=12a", "read=" + "1" * 17, "look=twice"):
        assert reading_site.client.get(f"{results}?{query}").status_code == 400, query


def test_start_page_tells_of_tags_once_they_are_read(reading_site):
    """It never waits for the reader itself."""
    assert "shelf tag" not in reading_site.client.get("/").text
    services_of(reading_site.app).articles.refresh()
    assert "shelf tag" in reading_site.client.get("/").text


def test_off_without_a_reader(site, monkeypatch):
    """The page works as if there were no such thing."""
    monkeypatch.setattr("vsearch.models.registry.reader_checkpoint", lambda settings: None)
    assert "/results/" in send(site, tag()).location
    assert site.client.post("/api/v1/search", data=tag()).get_json()["article_number"] is None


def test_off_without_any_number(reading_site):
    """A shop whose products have no numbers never opens the reader."""
    with reading_site.sessions.begin() as session:
        session.connection().exec_driver_sql("UPDATE product SET article_number = NULL")
    opened = []
    articles = Articles(reading_site.settings, reading_site.sessions, opened.append)
    assert articles.reader is None
    assert opened == []


def test_damaged_reader_is_told_once_and_off(reading_site, caplog):
    """The log says why; shoppers notice nothing."""
    (reading_site.settings.data / "reader" / "CURRENT").write_text("0123456789abcdef\n")
    articles = Articles(reading_site.settings, reading_site.sessions, FakeReader)
    with caplog.at_level(logging.WARNING):
        articles.refresh()
        articles.refresh()
    assert articles.reader is None
    assert len(caplog.records) == 1


def test_many_threads_open_one_reader(reading_site):
    """However many photos come at once."""
    opened = []

    def opening(checkpoint):
        opened.append(checkpoint)
        return FakeReader(checkpoint)

    articles = Articles(reading_site.settings, reading_site.sessions, opening)
    threads = [threading.Thread(target=lambda: articles.reader) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(opened) == 1
    assert services_of(reading_site.app).articles.reader.checkpoint_id == opened[0].checkpoint_id


def test_sessions_are_those_of_the_application(reading_site):
    """The product is looked up in the same catalogue."""
    articles = services_of(reading_site.app).articles
    assert articles.product("00000004").sku == "P-04"
