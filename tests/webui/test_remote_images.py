"""Searching with the web address of an image, downloaded from a real local server."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from werkzeug.exceptions import ServiceUnavailable

from tests.pictures import jpeg
from tests.webui.conftest import running
from vsearch.core.errors import InvalidRequest
from vsearch.core.settings import Settings
from webui.remote_images import AT_ONCE, RemoteImages

REFUSED = "could not get an image"


class Handler(BaseHTTPRequestHandler):
    """Serves an image, a large file, and a redirect to a private address."""

    served: int

    def do_GET(self) -> None:
        type(self).served += 1
        body = {"/photo.jpg": jpeg(60, 40), "/large.jpg": b"x" * 1_100_000}.get(self.path, b"")
        self.send_response(302 if self.path == "/away" else 200 if body else 404)
        if self.path == "/away":
            self.send_header("Location", f"http://localhost:{self.server.server_port}/photo.jpg")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None:
        pass


@pytest.fixture
def address():
    Handler.served = 0
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def test_an_image_at_a_trusted_host(address):
    images = RemoteImages(Settings(max_upload_mb=1), trusted_host="127.0.0.1")
    assert images.fetch(f"{address}/photo.jpg") == jpeg(60, 40)
    for path in ("large.jpg", "missing.jpg", "away"):
        with pytest.raises(InvalidRequest, match=REFUSED):
            images.fetch(f"{address}/{path}")


def test_private_addresses_are_refused_before_anything_is_sent(site, address):
    for location in (f"{address}/photo.jpg", address.replace("127.0.0.1", "localhost"), "http://[::1"):
        response = site.client.post("/search/address", data={"address": location})
        assert (response.status_code, REFUSED in response.text) == (400, True)
    assert Handler.served == 0
    assert site.stored() == []


@pytest.mark.parametrize("address", ["", "photo.jpg", "file:///etc/passwd", "ftp://shop.example/a.jpg", "javascript:0"])
def test_other_addresses_are_refused(client, address):
    response = client.post("/search/address", data={"address": address})
    assert response.status_code == 400
    assert "https://" in response.text


def test_only_some_downloads_run_at_once(monkeypatch):
    images = RemoteImages(Settings())
    entered, leave = threading.Semaphore(0), threading.Event()

    def fetch(*arguments: object) -> None:
        entered.release()
        leave.wait()
        raise ValueError

    monkeypatch.setattr(images._downloader, "fetch", fetch)

    def refused() -> None:
        with pytest.raises(InvalidRequest):
            images.fetch("https://shop.example/a.jpg")

    threads = [threading.Thread(target=refused) for _ in range(AT_ONCE)]
    for thread in threads:
        thread.start()
        entered.acquire()
    with pytest.raises(ServiceUnavailable):
        images.fetch("https://shop.example/a.jpg")
    leave.set()
    for thread in threads:
        thread.join()


def test_a_search_by_address(site, monkeypatch):
    monkeypatch.setattr(RemoteImages, "fetch", lambda self, address: site.photo(3))
    response = site.client.post("/search/address", data={"address": "https://shop.example/chair.jpg"})
    assert response.status_code == 303
    assert site.titles(response.location)[0] == "Chair Model 3 velvet"
    scripted = site.client.post(
        "/search/address", data={"address": "https://a.example/"}, headers={"Accept": "application/json"}
    )
    assert site.titles(scripted.json["location"])[0] == "Chair Model 3 velvet"


def test_it_can_be_turned_off(settings):
    with running(settings.model_copy(update={"search_by_address": False})) as site:
        assert site.client.post("/search/address", data={"address": "https://shop.example/a.jpg"}).status_code == 404
        assert "/search/address" not in site.client.get("/").text
