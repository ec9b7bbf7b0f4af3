import io

import pytest

from tests.pictures import jpeg


def test_search_with_a_form(site):
    response = site.client.post("/api/v1/search", data={"photo": (io.BytesIO(site.photo(3)), "x.jpg")})
    body = response.get_json()
    assert response.status_code == 200
    first = body["results"][0]
    assert (first["sku"], first["match"], first["class"]) == ("P-03", "exact", "chair")
    assert first["price"] == {"amount": "131.50", "minor_units": 13150, "currency": "EUR"}
    assert first["score"] > 0.95
    assert "distance" not in first
    assert (body["boxes"], first["box"]) == ([], None)
    assert site.client.get(body["page_url"]).status_code == 200
    assert site.client.get(first["image_url"]).mimetype == "image/jpeg"


def test_search_with_the_photo_as_the_body(site):
    response = site.client.post(
        "/api/v1/search?metric=euclidean&class=all&price_max=120&page=1", data=site.photo(0), content_type="image/jpeg"
    )
    body = response.get_json()
    assert body["metric"] == "euclidean"
    assert body["routing"] == "all"
    assert len(body["results"]) == 2
    assert [item["distance"] for item in body["results"]] == sorted(item["distance"] for item in body["results"])


def test_pages(site):
    seen, page = [], 1
    while page:
        body = site.client.post(f"/api/v1/search?class=all&page={page}", data=site.photo(0)).get_json()
        seen += [item["sku"] for item in body["results"]]
        page = body["next_page"]
    assert len(seen) == len(set(seen)) == 12


def test_bad_photo(shared_site):
    response = shared_site.client.post("/api/v1/search", data=b"text", content_type="application/octet-stream")
    assert response.status_code == 415
    assert set(response.get_json()) == {"error"}
    assert set(response.get_json()["error"]) == {"code", "message"}
    assert shared_site.stored() == []


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("class=spaceship", "UnknownClass"),
        ("box=1", "InvalidRequest"),
        ("page=0", "InvalidRequest"),
        ("price_max=1.200", "InvalidRequest"),
        ("price_min=£5", "InvalidRequest"),
    ],
)
def test_invalid_parameters(site, query, code):
    response = site.client.post(f"/api/v1/search?{query}", data=jpeg())
    assert response.status_code == 400
    assert response.get_json()["error"]["code"] == code


def test_too_large_request(client):
    response = client.post("/api/v1/search", data=bytes(3_000_000))
    assert response.status_code == 413
    assert response.get_json()["error"]["code"] == "ImageTooLarge"


def test_product(client):
    body = client.get("/api/v1/products/P-04").get_json()
    assert body["sku"] == "P-04"
    assert body["attributes"] == {"color": ["red", "white"]}
    assert body["dimensions"] == {"width": "40 cm"}
    assert len(body["images"]) == 2
    assert [variant["sku"] for variant in body["variants"]] == ["P-03", "P-05"]
    assert client.get("/api/v1/products/P-11").get_json()["price"] is None


def test_unknown_product(client):
    response = client.get("/api/v1/products/nope")
    assert response.status_code == 404
    assert response.get_json()["error"]["code"] == "NotFound"


def test_wrong_method(client):
    response = client.get("/api/v1/search")
    assert response.status_code == 405
    assert "POST" in response.headers["Allow"]
    assert response.get_json()["error"]["code"] == "MethodNotAllowed"
