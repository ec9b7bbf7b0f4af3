import io
import json
import re
from pathlib import Path

import pytest

from tests.pictures import jpeg
from vsearch.imaging.geometry import Box
from webui.criteria import Criteria
from webui.errors import STATUSES

DOCUMENT = (Path(__file__).parents[3] / "docs" / "api.md").read_text(encoding="utf8")


def test_search_with_a_form(site):
    response = site.client.post("/api/v1/search", data={"photo": (io.BytesIO(site.photo(3)), "x.jpg")})
    body = response.get_json()
    assert response.status_code == 200
    first = body["results"][0]
    assert (first["sku"], first["match"], first["class"]) == ("P-03", "exact", "chair")
    assert first["price"] == {"amount": "131.50", "minor_units": 13150, "currency": "EUR"}
    assert first["score"] > 0.95
    assert first["distance"] is None
    assert (body["boxes"], first["box"]) == ([], None)
    assert site.client.get(body["page_url"]).status_code == 200
    assert site.client.get(first["image_url"]).mimetype == "image/jpeg"


def test_search_with_the_photo_as_the_body(site):
    query = "metric=euclidean&class=all&price_max=120&page=1"
    body = site.client.post(f"/api/v1/search?{query}", data=site.photo(0), content_type="image/jpeg").get_json()
    assert (body["metric"], body["routing"], len(body["results"])) == ("euclidean", "all", 2)
    assert [item["distance"] for item in body["results"]] == sorted(item["distance"] for item in body["results"])


def test_pages(site):
    seen, page = [], 1
    while page:
        body = site.client.post(f"/api/v1/search?class=all&page={page}", data=site.photo(0)).get_json()
        seen += [item["sku"] for item in body["results"]]
        page = body["next_page"]
    assert len(seen) == len(set(seen)) == 12


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code"),
    [
        ("post", "search", b"text", 415, "NotAnImage"),
        ("post", "search", bytes(3_000_000), 413, "ImageTooLarge"),
        ("post", "search?class=spaceship", jpeg(), 400, "UnknownClass"),
        ("post", "search?box=1", jpeg(), 400, "InvalidRequest"),
        ("post", "search?price_max=1.200", jpeg(), 400, "InvalidRequest"),
        ("post", "search?price_min=£5", jpeg(), 400, "InvalidRequest"),
        ("post", "search?prize_max=5", jpeg(), 400, "InvalidFields"),
        ("post", "search?page=1&page=2", jpeg(), 400, "InvalidFields"),
        ("post", "search?metric=manhattan", jpeg(), 400, "InvalidFields"),
        ("get", "search", b"", 405, "MethodNotAllowed"),
        ("get", "products/nope", b"", 404, "NotFound"),
    ],
)
def test_errors(site, method, path, body, status, code):
    response = getattr(site.client, method)(f"/api/v1/{path}", data=body)
    problem = response.get_json()
    assert (response.status_code, response.mimetype) == (status, "application/problem+json")
    assert (problem["type"], problem["status"]) == (f"urn:vsearch:problem:{code}", status)
    assert problem["detail"]
    assert ("POST" in response.headers.get("Allow", "")) == (status == 405)
    assert status == 400 or site.stored() == []


def test_product(client):
    body = client.get("/api/v1/products/P-04").get_json()
    assert body["sku"] == "P-04"
    assert body["attributes"] == {"color": ["red", "white"]}
    assert body["dimensions"] == {"width": "40 cm"}
    assert len(body["images"]) == 2
    assert body["variants"] == []
    assert client.get("/api/v1/products/P-11").get_json()["price"] is None


def test_example_response_has_the_fields_of_a_real_one(site):
    """So that docs/api.md is complete."""
    (example,) = (
        json.loads(text) for text in re.findall(r"```json\n(.*?)```", DOCUMENT, re.DOTALL) if "results" in text
    )
    answer = site.client.post("/api/v1/search", data=site.photo(0)).get_json()
    assert list(example) == list(answer)
    assert list(example["results"][0]) == list(answer["results"][0])
    assert set(example["timings_ms"]) == set(answer["timings_ms"])


def test_every_field_parameter_and_status_is_documented(client):
    for name in client.get("/api/v1/products/P-04").get_json():
        assert f'"{name}"' in DOCUMENT or f"`{name}`" in DOCUMENT, name
    for name in Criteria(
        *(Box(0, 0, 1, 1), "all", "euclidean", "oak", 1, 2, True, 2, True, "", "JPY", True),
        width_max=80,
        chosen=(("attr.NAME", ("oak",)), ("brand", ("Nordhem",))),
        sort="price",
    ).query():
        assert f"`{name}`" in DOCUMENT, name
    for error, status in STATUSES.items():
        assert f"| {status} |" in DOCUMENT, error
