"""Pages, scripts and style sheets are sent compressed; admin pages and images are not."""

import gzip

import brotli
import pytest

ACCEPT = {"Accept-Encoding": "gzip, br"}


@pytest.mark.parametrize("path", ["/", "/products/P-02", "/static/style.css", "/static/upload.js"])
def test_text_is_compressed(client, path):
    plain = client.get(path)
    assert "Content-Encoding" not in plain.headers
    short = client.get(path, headers=ACCEPT)
    assert (short.headers["Content-Encoding"], "Accept-Encoding" in short.vary) == ("br", True)
    assert brotli.decompress(short.data) == plain.data
    zipped = client.get(path, headers={"Accept-Encoding": "gzip"})
    assert gzip.decompress(zipped.data) == plain.data
    assert max(len(short.data), len(zipped.data)) < 0.5 * len(plain.data)


def test_compressed_files_are_revalidated(client):
    tag = client.get("/static/style.css", headers=ACCEPT).headers["ETag"]
    assert client.get("/static/style.css", headers={**ACCEPT, "If-None-Match": tag}).status_code == 304


def test_what_is_sent_as_it_is(site):
    """Compressed sizes would reveal the tokens of admin pages, and images are compressed already."""
    image = site.client.get("/api/v1/products/P-02").get_json()["images"][0]
    assert "Content-Encoding" not in site.client.get(image, headers=ACCEPT).headers
    for path in ("/admin/", "/admin/sign-in", "/admin/nothing"):
        response = site.operator.get(path, headers=ACCEPT, follow_redirects=True)
        assert "Content-Encoding" not in response.headers, path
