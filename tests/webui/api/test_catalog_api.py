"""Lists of products, facets, ETags and cross-origin requests."""

from datetime import timedelta

import pytest

from catalog.models import utc_now
from tests.webui.conftest import PRODUCTS, import_products, item, running, withdraw


@pytest.fixture
def listed(site, headers):
    """A function that returns a page of products, or the status of an error."""

    def get(query=""):
        answer = site.client.get(f"/api/v1/products?{query}", headers=headers)
        return answer.get_json() if answer.status_code == 200 else answer.status_code

    return get


def skus(page):
    return [product["sku"] for product in page["products"]]


def test_pages_of_products(site, listed):
    """A product that is added or withdrawn between two pages makes none appear twice or not at all."""
    page, found = listed("limit=5"), []
    withdraw(site, "P-00")
    import_products(site, added=(item(30, ()),))
    while True:
        found += skus(page)
        if page["next"] is None:
            break
        page = listed(f"limit=5&cursor={page['next']}")
    assert found == [*(f"P-{number:02d}" for number in range(PRODUCTS)), "P-30"]


def test_filters_of_products(site, listed):
    assert skus(listed("category=Lamps&limit=500")) == [f"P-{number:02d}" for number in range(6, 12)]
    assert skus(listed("category=Seating")) == [f"P-{number:02d}" for number in range(6)]
    assert skus(listed("text=velvet")) == ["P-03", "P-04"]
    assert skus(listed("text=p-0")) == [f"P-{number:02d}" for number in range(10)]
    assert len(skus(listed("brand=Nordhem"))) == PRODUCTS
    assert skus(listed("brand=Nord")) == []
    before = utc_now().isoformat().replace("+00:00", "Z")
    withdraw(site, "P-07")
    assert skus(listed("state=withdrawn")) == ["P-07"]
    (changed,) = listed(f"state=all&changed_since={before}")["products"]
    assert (changed["sku"], changed["withdrawn"]) == ("P-07", True)
    later = (utc_now() + timedelta(hours=1)).isoformat().replace("+00:00", "Z")
    assert listed(f"changed_since={later}") == {"products": [], "next": None}


TIMES = ("yesterday", "2026-01-01T00:00:00")  # without a time zone
CURSORS = ("", "x", "WyJhIiwxXQ.a")


@pytest.mark.parametrize(
    "query",
    [
        *(f"changed_since={time}" for time in TIMES),
        *(f"cursor={cursor}" for cursor in CURSORS),
        *("limit=0", "limit=501", "limit=x", "state=gone", "colour=red", "text=%00"),
    ],
)
def test_invalid_queries(listed, query):
    assert listed(query) == 400


def test_cursors_belong_to_their_list(listed):
    cursor = listed("limit=2&category=Lamps")["next"]
    assert skus(listed(f"limit=3&category=Lamps&cursor={cursor}")) == ["P-08", "P-09", "P-10"]
    assert listed(f"limit=2&cursor={cursor}") == 400
    assert listed(f"limit=2&category=Lamps&cursor={cursor[:-1]}") == 400


def test_facets(client):
    found = client.get("/api/v1/facets?text=velvet&class=all").get_json()
    assert found["total"] == 2
    assert {each["value"]: each["count"] for each in found["classes"]} == {"chair": 2, "lamp": 0}
    whole = client.get("/api/v1/facets").get_json()
    assert whole["total"] == PRODUCTS
    (colors,) = (each for each in whole["facets"] if each["name"] == "attr.color")
    assert {(each["value"], each["count"], each["chosen"]) for each in colors["values"]} == {
        ("red", PRODUCTS, False),
        ("white", PRODUCTS, False),
    }
    assert sum(band["count"] for band in whole["prices"]) == PRODUCTS - 1
    assert client.get("/api/v1/facets?stock=in").get_json()["total"] == whole["in_stock"]
    assert client.get("/api/v1/facets?text=unobtainium").get_json()["unknown_words"] == ["unobtainium"]
    chosen = client.get("/api/v1/facets?attr.color=red&attr.color=blue").get_json()
    assert chosen["total"] == PRODUCTS
    assert client.get("/api/v1/facets?class=spaceship").status_code == 400


def test_unchanged_answers_are_not_sent_again(site, headers):
    for path in ("products/P-03", "products?limit=3", "facets", "openapi.json"):
        first = site.client.get(f"/api/v1/{path}", headers=headers)
        again = site.client.get(f"/api/v1/{path}", headers=headers | {"If-None-Match": first.headers.get("ETag", "")})
        if path != "openapi.json":
            assert (again.status_code, again.data) == (304, b"")
    tag = site.client.get("/api/v1/products/P-03").headers["ETag"]
    withdraw(site, "P-03")
    assert site.client.get("/api/v1/products/P-03", headers={"If-None-Match": tag}).status_code == 404


def test_pages_of_other_origins(settings):
    with running(settings.model_copy(update={"api_origins": "https://shop.example"})) as site:
        ours, other = {"Origin": "https://shop.example"}, {"Origin": "https://evil.example"}
        ask = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}
        preflight = site.client.options("/api/v1/search", headers=ours | ask)
        assert preflight.headers["Access-Control-Allow-Origin"] == "https://shop.example"
        assert "POST" in preflight.headers["Access-Control-Allow-Methods"]
        assert "Authorization" in preflight.headers["Access-Control-Allow-Headers"]
        for path in ("/api/v1/products/P-01", "/api/v1/products/none", "/api/v1/products"):
            answer = site.client.get(path, headers=ours)
            assert answer.headers["Access-Control-Allow-Origin"] == "https://shop.example"
            assert "Origin" in answer.headers["Vary"]
            refused = site.client.get(path, headers=other)
            assert "Access-Control-Allow-Origin" not in refused.headers
        sent = site.client.post("/api/v1/photos", data=site.photo(3)).json
        verdict = {"photo": sent["photo"], "owner": sent["owner"], "sku": "P-03", "verdict": "right", "rank": 1}
        assert site.client.post("/api/v1/feedback", json=verdict, headers=other).status_code == 403
        assert site.client.post("/api/v1/feedback", json=verdict, headers=ours).status_code == 200


def test_no_origin_is_allowed_by_default(client):
    answer = client.get("/api/v1/products/P-01", headers={"Origin": "https://shop.example"})
    assert "Access-Control-Allow-Origin" not in answer.headers
