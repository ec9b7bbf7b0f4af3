import base64
import io
import json
import re
from pathlib import Path

import pytest

from tests.pictures import jpeg
from tests.webui.conftest import ROOM, import_products, item, room
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
        ("post", "products/P-01", b"", 405, "MethodNotAllowed"),
        ("get", "products/nope", b"", 404, "NotFound"),
    ],
)
def test_errors(site, method, path, body, status, code):
    response = getattr(site.client, method)(f"/api/v1/{path}", data=body)
    problem = response.get_json()
    assert (response.status_code, response.mimetype) == (status, "application/problem+json")
    assert (problem["type"], problem["status"]) == (f"urn:vsearch:problem:{code}", status)
    assert problem["detail"]
    assert ("GET" in response.headers.get("Allow", "")) == (status == 405)
    assert status == 400 or site.stored() == []


def get(site, query, headers=None):
    answer = site.client.get(f"/api/v1/search?{query}", headers=headers)
    return answer.get_json() if answer.status_code == 200 else answer.status_code


def skus(answer):
    return [item["sku"] for item in answer["results"]]


def test_search_again_with_the_same_photo(site):
    first = site.client.post("/api/v1/search?class=all", data=site.photo(3)).get_json()
    again = get(site, f"photo={first['photo']}&class=all")
    assert again["results"] == first["results"]
    assert get(site, f"photo={'0' * 64}") == 404
    box = get(site, f"photo={first['photo']}&box=0,0,0.5,0.5&price_max=120")
    assert all(item["price"]["minor_units"] <= 12_000 for item in box["results"])


def test_search_for_products_like_one(site):
    found = get(site, "sku=P-03")
    assert "P-03" not in skus(found)
    assert (found["photo"], found["boxes"], found["routing"]) == (None, [], "all")
    assert all(item["score"] > -1 for item in found["results"])
    assert set(skus(get(site, "sku=P-03&text=velvet"))) == {"P-04"}
    assert {item["class"] for item in get(site, "sku=P-03&class=lamp")["results"]} == {"lamp"}
    assert get(site, "sku=none") == 404
    import_products(site, added=(item(40, ()),))
    assert get(site, "sku=P-40") == 404, "it is not in the index yet"


def test_search_by_words_alone(site):
    found = get(site, "text=velvet")
    assert (sorted(skus(found)), found["next_page"]) == (["P-03", "P-04"], None)
    assert {(each["match"], each["score"]) for each in found["results"]} == {(None, None)}
    assert skus(get(site, "text=velvet&price_max=135")) == ["P-03"]
    assert skus(get(site, "text=velvet&class=lamp")) == []
    assert get(site, "text=velvet&class=spaceship") == 400
    dear = get(site, "text=chair&sort=price_desc&page=1")
    prices = [each["price"]["minor_units"] for each in dear["results"]]
    assert prices == sorted(prices, reverse=True)
    assert (len(prices), dear["next_page"]) == (5, 2)
    last = get(site, "text=chair&sort=price_desc&page=2")
    assert (len(last["results"]), last["next_page"]) == (1, None)
    assert not {"P-03", "P-04"} & set(skus(get(site, "text=chair -velvet")))


@pytest.mark.parametrize(
    "query", ["", "text=", "text=%20", "photo=a&sku=b", "sku=P-01&box=0,0,1,1", "text=oak&visual=only", "text=a%00b"]
)
def test_searches_without_one_subject_are_refused(client, query):
    assert client.get(f"/api/v1/search?{query}").status_code == 400


def test_a_batch_has_an_answer_or_a_problem_for_each_search(site, headers):
    photo = site.upload(5).rpartition("/")[2]
    image = base64.b64encode(site.photo(3)).decode()
    searches = [
        {"image": image, "class": "all"},
        {"photo": photo, "price_max": 200.5, "stock": "in"},
        {"sku": "P-04", "brand": ["Nordhem"], "attributes": {"color": ["red"]}},
        {"text": "velvet", "brand": [], "attributes": {"color": []}},
        {"sku": "none"},
        {"image": "not Base64!"},
        {"image": base64.b64encode(b"text").decode()},
        {"text": "chair", "class": "spaceship"},
        {"text": "a\0b"},
    ]
    answer = site.client.post("/api/v1/search/batch", json={"searches": searches}, headers=headers)
    results = answer.get_json()["results"]
    assert [each["status"] for each in results] == [200] * 4 + [404, 400, 415, 400, 400]
    assert skus(results[0]["answer"])[0] == "P-03"
    assert [(each["answer"] is None, each["problem"] is None) for each in results] == [(False, True)] * 4 + [
        (True, False)
    ] * 5
    assert results[6]["problem"]["type"] == "urn:vsearch:problem:NotAnImage"


def test_batches_that_are_refused_as_a_whole(site, headers):
    for body in (
        {},
        {"searches": []},
        {"searches": [{"text": "oak"}] * 33},
        {"searches": [{}]},
        {"searches": [{"page": "1"}]},
    ):
        assert site.client.post("/api/v1/search/batch", json=body, headers=headers).status_code == 400
    assert site.client.post("/api/v1/search/batch", json={"searches": [{"text": "oak"}]}).status_code == 401


def test_boxes_and_classes_of_a_photo(detector_site):
    client = detector_site.client
    sent = client.post("/api/v1/photos", data=room())
    photo = sent.get_json()
    assert (sent.status_code, photo["width"], photo["height"]) == (201, 512, 256)
    assert [box["box"] for box in photo["boxes"]][:2] == [str(box) for box in ROOM]
    assert {box["class"] for box in photo["boxes"]} <= {"chair", "lamp"}
    assert {each["name"] for each in photo["classes"]} == {"chair", "lamp"}
    assert client.get(f"/api/v1/photos/{photo['photo']}").get_json() == photo | {"owner": None}
    assert client.delete(f"/api/v1/photos/{photo['photo']}?owner={photo['owner']}").status_code == 204
    assert client.get(f"/api/v1/photos/{photo['photo']}").status_code == 404
    assert client.post("/api/v1/photos", data=b"").status_code == 400
    assert client.post("/api/v1/photos", data=b"text").status_code == 415


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
