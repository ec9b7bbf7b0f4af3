"""Photos in forms of every make: what their file is called must not matter."""

import pytest

PHOTO = b'Content-Disposition: form-data; name="photo"'


def sent(client, address, *parts: bytes, boundary: bytes = b"B", end: bytes = b"--B--\r\n"):
    """Post parts as they are, bytes for bytes."""
    body = b"".join(b"--" + boundary + b"\r\n" + part + b"\r\n" for part in parts) + end
    kind = f"multipart/form-data; boundary={boundary.decode()}"
    return client.post(address, data=body, content_type=kind)


@pytest.mark.parametrize(
    "head",
    [
        PHOTO + b'; filename="M\xf6bel.jpg"',  # Latin-1
        PHOTO + b'; filename="M\x94bel.jpg"',  # code page 437
        PHOTO + b'; filename="\x83\x5c\x83t\x83@.jpg"',  # Shift JIS, with a backslash as a second byte
        PHOTO + '; filename="Möbel 🛋.jpg"'.encode(),
        PHOTO + b"; filename*=UTF-8''M%C3%B6bel.jpg",
        PHOTO + b"; filename*=iso-8859-1'en'M%F6bel.jpg",
        PHOTO + b"; filename*=klingon''%FF",
        PHOTO + b"; filename=\"a.jpg\"; filename*=UTF-8''M%C3%B6bel.jpg",
        PHOTO + b'; filename="my \\"best\\" chair; name=x.jpg"',
        PHOTO + b'; filename="my "best" chair.jpg"',
        PHOTO + b'; filename=""',
        PHOTO + b'; filename="C:\\Users\\me\\a.jpg"',
        PHOTO,
        b"Content-Disposition: form-data; name=photo; filename=a.jpg",
        b'content-disposition: form-data; filename="a.jpg"; name="photo"',
        PHOTO + b'; filename="a.jpg"\r\nContent-Type: image/jpeg\r\nX-Note: \xe9',
        PHOTO + b"\r\nContent-Type: image/jpeg\r\nContent-Transfer-Encoding: binary",
        PHOTO + b';\r\n filename="folded.jpg"',
    ],
)
def test_the_file_name_does_not_matter(site, head):
    """Neither its encoding nor whether there is one."""
    for address in ("/search", "/api/v1/search"):
        response = sent(site.client, address, head + b"\r\n\r\n" + site.photo(3))
        assert response.status_code in (200, 303), response.text
    assert response.get_json()["results"][0]["sku"] == "P-03"


def test_an_empty_field_beside_the_photo(site):
    """Some clients send the field that was left empty too; other parts are of no interest."""
    empty = PHOTO + b'; filename=""\r\nContent-Type: application/octet-stream\r\n\r\n'
    photo = PHOTO + b'; filename="a.jpg"\r\n\r\n' + site.photo(3)
    note = b'Content-Disposition: form-data; name="n\xf6te"\r\n\r\n\xff'
    response = sent(site.client, "/api/v1/search", note, empty, photo, empty)
    assert response.get_json()["results"][0]["sku"] == "P-03"


def test_a_large_photo_without_a_file_name(site):
    """The limit of text fields does not hold for it."""
    photo = site.photo(3) + bytes(800_000)
    assert sent(site.client, "/api/v1/search", PHOTO + b"\r\n\r\n" + photo).status_code == 200


@pytest.mark.parametrize("boundary", [b"----WebKitFormBoundary7MA4YWxkTrZu0gW", b"=_a.b"])
def test_line_feeds_alone_and_odd_boundaries(site, boundary):
    """As some clients write them."""
    end = b"--" + boundary + b"--"
    body = b"--" + boundary + b"\n" + PHOTO + b"\n\n" + site.photo(3) + b"\n" + end
    kind = f'multipart/form-data; boundary="{boundary.decode()}"'
    response = site.client.post("/api/v1/search", data=body, content_type=kind)
    assert response.get_json()["results"][0]["sku"] == "P-03"


@pytest.mark.parametrize(
    ("parts", "end", "kind"),
    [
        ([], b"--B--\r\n", "multipart/form-data; boundary=B"),
        ([PHOTO + b'; filename=""\r\n\r\n'], b"--B--\r\n", "multipart/form-data; boundary=B"),
        ([b"\r\n\r\nno header"], b"--B--\r\n", "multipart/form-data; boundary=B"),
        ([PHOTO + b"\r\n\r\ncut off"], b"", "multipart/form-data; boundary=B"),
        ([PHOTO + b"\r\n\r\nx"], b"--B--\r\n", "multipart/form-data"),
        ([PHOTO + b"\r\n\r\nx"], b"--B--\r\n", "multipart/form-data; boundary=ö"),
        ([b'Content-Disposition: form-data; name="other"\r\n\r\nx'], b"--B--\r\n", "multipart/form-data; boundary=B"),
    ],
)
def test_forms_without_a_photo(client, parts, end, kind):
    """Each is a sentence and 400, never a fault of ours."""
    body = b"".join(b"--B\r\n" + part + b"\r\n" for part in parts) + end
    for address in ("/search", "/api/v1/search"):
        assert client.post(address, data=body, content_type=kind).status_code == 400
