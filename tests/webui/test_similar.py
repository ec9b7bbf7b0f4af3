"""The page of products similar to a product of the catalog, price order, and feedback that is switched off."""

import re
from dataclasses import replace

import pytest

from catalog import queries
from tests.webui.conftest import import_products, label_matches, running
from webui import results
from webui.criteria import Criteria
from webui.services import services_of


def skus(html: str) -> list[str]:
    return re.findall(r'<li class="card"[^>]*>\s*<a href="/products/([^"?]*)', html)


def test_similar_products(site):
    """Other designs, without a photo, its verdicts or explanations; linked from every card."""
    with site.sessions() as session:
        items = queries.snapshot(session)
    changed = [replace(items[sku], variant_group="pair") for sku in ("P-02", "P-05")]
    import_products(site, changed=tuple(changed))
    page = site.client.get("/products/P-02/similar")
    found = skus(page.text)
    assert len(found) == 5
    assert not {"P-02", "P-05"} & set(found)
    assert 'href="/products/P-02"' in page.text
    assert not re.search(r"/photos/|/feedback|/why/|<form[^>]*delete|Best guess", page.text)
    further = site.client.get("/products/P-02/similar?page=2").text
    assert skus(further)
    assert not set(skus(further)) & set(found)
    assert '"/products/P-02/similar"' in site.client.get("/products/P-02").text
    assert '/similar"' in site.client.get(site.upload()).text


def test_the_product_page_shows_one_product_of_each_similar_design(site):
    """Its own variants are listed elsewhere on the page."""
    with site.sessions() as session:
        items = queries.snapshot(session)
    groups = {"P-02": "own", "P-05": "own", "P-06": "other", "P-07": "other", "P-08": "other"}
    import_products(site, changed=tuple(replace(items[sku], variant_group=name) for sku, name in groups.items()))
    services = services_of(site.app)
    product_id = next(card.product_id for card in results.featured_products(services, 99) if card.sku == "P-02")
    found = [match.card.sku for match in results.similar_products(services, product_id, 99)]
    assert not {"P-02", "P-05"} & set(found)
    assert len({"P-06", "P-07", "P-08"} & set(found)) == 1
    assert len(found) == 8


def test_similar_products_are_filtered(site):
    html = site.client.get("/products/P-02/similar?text=lamp&price_max=190&sort=price&attr.color=red").text
    assert skus(html) == ["P-06", "P-07", "P-08"]
    assert site.client.get("/products/P-02/similar?price_max=cheap").status_code == 400
    wrong = site.client.get("/products/P-02/similar?class=nothing")
    assert (wrong.status_code, 'href="/products/P-02/similar"' in wrong.text) == (400, True)
    assert site.client.get("/products/nothing/similar").status_code == 404


def test_similar_products_encode_nothing(site, monkeypatch):
    monkeypatch.setattr(type(site.engine), "search", lambda *args, **kwargs: pytest.fail("a photo was searched with"))
    assert len(skus(site.client.get("/products/P-02/similar?stock=in&text=lamp").text)) == 3


def test_a_product_that_is_not_in_the_index_yet(site):
    with site.sessions() as session:
        item = queries.snapshot(session)["P-02"]
    import_products(site, added=(replace(item, sku="NEW", article_number=None),))
    html = site.client.get("/products/NEW/similar").text
    assert (skus(html), "Nothing similar" in html, "match these filters" in html) == ([], True, False)


@pytest.mark.parametrize(("least", "expected"), [(-9, 12), (9, 4)])
def test_all_similar_designs_are_sorted_by_price(site, monkeypatch, least, expected):
    """If there are few of them, the closest ones; the page says which."""
    monkeypatch.setattr(results, "MIN_SORTED", 4)
    label_matches(monkeypatch, least)
    services, criteria = services_of(site.app), Criteria(class_name="all", sort="price")
    pages = [results.find_products(services, site.pictures[0], criteria.with_changes(page=n)) for n in (1, 2, 3)]
    assert [(page.sorted_count, page.sorts_all_similar) for page in pages] == [(expected, True)] * 3
    prices = [match.card.price_minor for page in pages for match in page.matches]
    assert len(prices) == expected
    assert [price for price in prices if price] == sorted(price for price in prices if price)


def test_feedback_can_be_switched_off(settings):
    with running(settings.model_copy(update={"feedback": False})) as site:
        path = site.upload(3)
        html = site.client.get(path).text
        assert skus(html)
        assert not re.search(r"/feedback|verdict|consent", html)
        given = {"sku": "P-03", "verdict": "right", "rank": "1"}
        assert site.client.post(f"{path}/feedback", data=given).status_code == 404
        photo = path.rpartition("/")[2]
        proof = {"photo": photo, "owner": services_of(site.app).uploads.owner_token(photo)}
        api = site.client.post("/api/v1/feedback", json={**proof, **given, "rank": 1})
        assert api.status_code == 404
