"""Structured data of product pages, and where results lead to."""

import json
import re

from tests.webui.conftest import running


def data_of(text: str) -> dict:
    return json.loads(re.search(r'<script type="application/ld\+json">(.*?)</script>', text, re.DOTALL)[1])


def test_structured_data(client):
    data = data_of(client.get("/products/P-03").text)
    assert (data["@type"], data["sku"], data["name"]) == ("Product", "P-03", "Chair Model 3 velvet")
    assert data["offers"]["price"] == "131.50"
    assert data["offers"]["priceCurrency"] == "EUR"
    assert data["brand"]["name"] == "Nordhem"
    assert data["description"] == "A fine piece & <b>well</b> made."
    assert data["color"] == "red, white"
    assert client.get(data["image"][0]).mimetype == "image/jpeg"
    states = {sku: data_of(client.get(f"/products/{sku}").text).get("offers", {}) for sku in ("P-00", "P-03", "P-11")}
    assert states["P-00"]["availability"].endswith("OutOfStock")
    assert "availability" not in states["P-03"], "the feed does not say"
    assert states["P-11"] == {}, "it has no price"
    assert data_of(client.get("/products/P-02").text)["url"] == "https://shop.example/p"


def test_link_previews(client):
    text = client.get("/products/P-03").text
    assert '<meta property="og:title" content="Chair Model 3 velvet">' in text
    assert re.search(r'og:image" content="http://localhost/pictures/[0-9a-f]{64}-1280\.jpg"', text)


def test_a_product_leads_back_to_its_card_in_the_results(client):
    results = "http://localhost/results/abc?class=all&page=2"
    assert (
        'href="http://localhost/results/abc?class=all&amp;page=2#result-P-03"'
        in client.get("/products/P-03", headers={"Referer": results}).text
    )
    for referrer in ("https://evil.example/results/abc", "http://localhost/products/P-01", "javascript:alert(1)", ""):
        assert "Back to your results" not in client.get("/products/P-03", headers={"Referer": referrer}).text


def test_results_may_lead_to_the_shops_own_pages(settings):
    with running(settings.model_copy(update={"product_page": "shop"})) as site:
        answer = site.client.get("/products/P-02")
        assert (answer.status_code, answer.location) == (302, "https://shop.example/p")
        assert site.client.get("/products/P-03").status_code == 200, "it has no address"
        assert site.client.get("/products/unknown").status_code == 404
