import errno
import io
import os
import re

import pytest
from sqlalchemy import text
from sqlalchemy.orm import sessionmaker

from catalog.database import connect
from tests.fakes import FakeEncoder
from vsearch.core.settings import Settings
from vsearch.search.engine import Engine
from webui import create_app


@pytest.fixture
def unpublished(tmp_path):
    """A client of an application before the first index run."""
    settings = Settings(data=tmp_path / "new")
    engine = Engine(settings, open_encoder=FakeEncoder)
    engine.refresh()
    catalog = connect(settings.catalog_url)
    yield create_app(settings, engine=engine, sessions=sessionmaker(catalog)).test_client()
    catalog.dispose()


def test_unexpected_error_has_an_id(site, monkeypatch, caplog):
    """The page shows only the id; the log has it with the traceback."""

    def fail(*arguments, **options):
        raise ZeroDivisionError("secret detail")

    monkeypatch.setattr(site.engine, "search_like", fail)
    response = site.client.get("/products/P-01")
    assert (response.status_code, "secret detail" in response.text) == (500, False)
    assert re.search(r"error ([0-9a-f]{8})", response.text)[1] in caplog.text
    assert "ZeroDivisionError: secret detail" in caplog.text


def test_nothing_published_yet(unpublished, site, caplog):
    """Shoppers are asked to come back; only the log says what the operator must do."""
    for response in (unpublished.get("/"), unpublished.post("/api/v1/search", data=site.photo(0))):
        assert response.status_code == 503
        assert not re.search(r"vsearch index|generations|/tmp", response.text)
    response = unpublished.get("/")
    assert "vsearch index run" in caplog.text
    assert (response.headers["Retry-After"], response.headers["Cache-Control"]) == ("60", "no-store")


@pytest.mark.parametrize("path", ["/search", "/api/v1/search"])
@pytest.mark.parametrize("error", [errno.EROFS, errno.ENOSPC])
def test_photo_cannot_be_stored(site, monkeypatch, caplog, path, error):
    """Only the log names the folder and the reason."""

    def fail(*arguments, **options):
        raise OSError(error, os.strerror(error))

    monkeypatch.setattr("webui.image_files.write_bytes", fail)
    response = site.client.post(path, data={"photo": (io.BytesIO(site.photo(1)), "a.jpg")})
    assert (response.status_code, response.headers["Retry-After"]) == (503, "60")
    assert str(site.settings.data) not in response.text
    assert all(part in caplog.text for part in (str(site.settings.uploads), os.strerror(error)))


def test_catalog_problem_is_only_logged(site, caplog):
    with site.sessions.begin() as session:
        session.execute(text("ALTER TABLE product RENAME TO elsewhere"))
    for path in ("/products/P-01", "/api/v1/products/P-01", "/"):
        response = site.client.get(path)
        assert response.status_code == 503
        assert "sqlite" not in response.text
    assert caplog.text.count("sqlite:///") == 3


def test_unknown_url(client):
    page = client.get("/nowhere")
    assert (page.status_code, 'href="/"' in page.text) == (404, True)
    assert "URL" not in page.text, "not Werkzeug's message"
    assert client.get("/api/nowhere").get_json()["type"].endswith(":NotFound")


@pytest.mark.parametrize("path", ["/", "/nowhere", "/api/nowhere", "/healthz", "/static/style.css"])
def test_security_headers(client, path):
    with client.get(path) as response:
        headers = response.headers
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert "unsafe" not in headers["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"]


def test_pages_comply_with_the_content_security_policy(site):
    """No inline script, style or handler, and nothing from another site."""
    for path in ("/", site.upload(0), "/products/P-01", "/nowhere"):
        page = site.client.get(path).text
        assert not re.search(r"<script(?![^>]*(?:src=|ld\+json))|<style|\son\w+=|\sstyle=", page)
        assert not re.search(r'(?:src|href)="(?:https?:)?//(?!shop\.example)', page)


def test_form_with_too_many_fields(client):
    """The message does not blame the photo."""
    others = {f"other{number}": "" for number in range(1100)}
    response = client.post("/search", data={"photo": (io.BytesIO(b"x"), "a.jpg"), **others})
    assert response.status_code == 413
    assert "1 MB" not in response.text
