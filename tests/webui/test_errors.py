import errno
import io
import logging
import os
import re

import pytest
from sqlalchemy import text

from catalog.database import connect, sessions
from tests.fakes import FakeEncoder
from vsearch.core import errors as known
from vsearch.core.settings import Settings
from vsearch.search.engine import Engine
from webui import create_app
from webui.errors import status_of


@pytest.fixture
def broken(site, monkeypatch):
    """A browser on an application that has a bug."""

    def fail(*arguments, **options):
        raise ZeroDivisionError("secret detail")

    monkeypatch.setattr(site.engine, "search_like", fail)
    return site.client


@pytest.fixture
def unpublished(tmp_path):
    """A browser on an application whose operator has not run anything yet."""
    settings = Settings(data=tmp_path / "new")
    engine = Engine(settings, open_encoder=FakeEncoder)
    engine.refresh()
    catalogue = connect(settings.catalogue_url)
    yield create_app(settings, engine=engine, sessions=sessions(catalogue)).test_client()
    catalogue.dispose()


def test_unexpected_error_has_a_number(broken, caplog):
    """A bug shows a number and nothing else; the log has the number with the traceback."""
    with caplog.at_level(logging.ERROR):
        response = broken.get("/products/P-01")

    number = re.search(r"the number ([0-9a-f]{8})", response.text)[1]
    assert response.status_code == 500
    assert "secret detail" not in response.text
    assert number in caplog.text
    assert "ZeroDivisionError: secret detail" in caplog.text


def test_nothing_published_yet(unpublished, caplog):
    """Before the first index run every page says to come back; the log says what the operator must do."""
    for method, address in (("get", "/"), ("post", "/api/v1/search")):
        response = getattr(unpublished, method)(address, data=b"")
        assert response.status_code in (503, 400)
        assert not re.search(r"vsearch index|generations|/tmp", response.text)
    response = unpublished.get("/")
    assert "The catalogue is not ready yet" in response.text
    assert "come back" in response.text
    assert "vsearch index run" in caplog.text
    assert response.headers["Retry-After"] == "60"
    assert response.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("address", ["/search", "/api/v1/search"])
@pytest.mark.parametrize("error", [errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.EACCES])
def test_a_photo_that_cannot_be_stored(site, monkeypatch, caplog, address, error):
    """A shopper is asked to come back; the log names the folder and what is wrong with it."""

    def fail(*arguments, **options):
        raise OSError(error, os.strerror(error))

    monkeypatch.setattr("webui.uploads.new_file", fail)
    response = site.client.post(address, data={"photo": (io.BytesIO(site.photo(1)), "a.jpg")})

    assert response.status_code == 503
    assert response.headers["Retry-After"] == "60"
    assert "Photos cannot be stored" in response.text
    assert str(site.settings.data) not in response.text
    assert str(site.settings.uploads) in caplog.text
    assert os.strerror(error) in caplog.text


@pytest.mark.parametrize("address", ["/products/P-01", "/api/v1/products/P-01", "/"])
def test_a_shopper_is_not_told_where_the_catalogue_lies(site, caplog, address):
    """Addresses and folders are for the log; the page says to come back."""
    with site.sessions.begin() as session:
        session.execute(text("ALTER TABLE product RENAME TO elsewhere"))
    response = site.client.get(address)

    assert response.status_code == 503
    assert "try again in a minute" in response.text
    assert "sqlite" not in response.text
    assert "sqlite:///" in caplog.text


def test_unknown_address(client):
    """An unknown address is a page with a way back; below /api it is JSON."""
    assert client.get("/nowhere").status_code == 404
    assert 'href="/"' in client.get("/nowhere").text
    assert client.get("/api/nowhere").get_json()["error"]["code"] == "NotFound"


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (known.ImageTooLarge, 413),
        (known.NotAnImage, 415),
        (known.UnknownClass, 400),
        (known.NoGeneration, 503),
        (known.GenerationCorrupt, 503),
        (known.CheckpointMissing, 503),
        (known.CatalogueError, 503),
        (known.UploadsUnavailable, 503),
        (known.FeedRejected, 500),
    ],
)
def test_status_of_each_error(error, status):
    """An error has the status of the nearest class in the table."""
    assert status_of(error("x")) == status


@pytest.mark.parametrize("address", ["/", "/nowhere", "/api/nowhere", "/healthz", "/static/style.css"])
def test_security_headers(client, address):
    """Every answer forbids what the page does not need."""
    with client.get(address) as response:
        headers = response.headers

    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert "unsafe" not in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"]


def test_pages_keep_to_their_own_policy(site):
    """No page has an inline script, style or handler, or anything from another site."""
    for address in ("/", site.upload(0), "/products/P-01", "/nowhere"):
        page = site.client.get(address).text
        assert not re.search(r"<script(?![^>]*src=)|<style|\son\w+=|\sstyle=", page)
        assert not re.search(r'(?:src|href)="(?:https?:)?//(?!shop\.example)', page)


def test_a_wrong_wish_leads_back_to_the_results(site):
    """The photo is not lost by a typing error."""
    address = site.upload(0)
    page = site.client.get(f"{address}?class=spaceship")

    assert page.status_code == 400
    assert f'href="{address}"' in page.text


def test_a_form_that_holds_too_much_else(client):
    """It is not the photo that is too large then."""
    others = {f"other{number}": "" for number in range(1100)}
    response = client.post("/search", data={"photo": (io.BytesIO(b"x"), "a.jpg"), **others})

    assert response.status_code == 413
    assert "nothing else" in response.text


@pytest.mark.parametrize(("method", "address"), [("get", "/nowhere"), ("put", "/")])
def test_our_own_words(client, method, address):
    """Nothing about servers and URLs for a shopper."""
    text = getattr(client, method)(address).text

    assert "URL" not in text
    assert "This address" in text
