"""The OpenAPI document is valid and complete, and answers have the form that it says."""

import re

import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

from tests.pictures import jpeg
from webui.api.operations import OPERATIONS


@pytest.fixture
def document(client):
    return client.get("/api/v1/openapi.json").get_json()


def test_the_document_is_valid(document):
    OpenAPIV31SpecValidator(document).validate()
    assert document["openapi"].startswith("3.1")
    assert document["servers"] == [{"url": "http://localhost"}]


def test_every_route_is_an_operation(shared_site, document):
    """Except the document itself and its page."""
    routes = {
        (re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule), method.lower())
        for rule in shared_site.app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
        if rule.rule.startswith("/api/v1/")
    }
    described = {(path, method) for path, methods in document["paths"].items() for method in methods}
    assert routes - described == {("/api/v1/openapi.json", "get"), ("/api/v1/docs", "get")}
    assert described <= routes
    assert len(described) == len(OPERATIONS)


def test_answers_have_the_form_that_the_document_says(site, document):
    sent = site.client.post("/api/v1/search", data=site.photo(3)).get_json()
    feedback = {"photo": sent["photo"], "owner": sent["owner"], "sku": "P-03", "verdict": "right", "rank": 1}
    for method, path, options, operation in (
        ("get", "products/P-04", {}, ("/api/v1/products/{sku}", "get")),
        ("get", "products/none", {}, ("/api/v1/products/{sku}", "get")),
        ("post", "search?metric=euclidean", {"data": site.photo(3)}, ("/api/v1/search", "post")),
        ("post", "search?page=0", {"data": jpeg()}, ("/api/v1/search", "post")),
        ("post", "feedback", {"json": feedback}, ("/api/v1/feedback", "post")),
        ("post", "feedback", {"json": feedback | {"rank": "1"}}, ("/api/v1/feedback", "post")),
    ):
        answer = getattr(site.client, method)(f"/api/v1/{path}", **options)
        described = document["paths"][operation[0]][operation[1]]["responses"][str(answer.status_code)]
        ((media, content),) = described["content"].items()
        assert answer.mimetype == media
        schema = {"components": document["components"], **content["schema"]}
        Draft202012Validator(schema).validate(answer.get_json())


def test_invalid_fields_are_named(site):
    for body, fields in (
        ({}, {"photo", "owner", "sku", "verdict", "rank"}),
        ({"photo": 1, "owner": "", "sku": "P-01", "verdict": "great", "rank": 1}, {"photo", "verdict"}),
        ({"photo": "", "owner": "", "sku": "P-01", "verdict": "right", "rank": 1, "note": ""}, {"note"}),
    ):
        answer = site.client.post("/api/v1/feedback", json=body)
        assert answer.status_code == 400
        assert {error["field"] for error in answer.get_json()["errors"]} == fields


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"photo": "\\ud800"}', b"[" * 100_000, b"\xff", b'"{}"'])
def test_bodies_that_are_not_the_expected_json(client, body):
    answer = client.post("/api/v1/feedback", data=body, content_type="application/json")
    assert (answer.status_code, answer.mimetype) == (400, "application/problem+json")


def test_the_page_shows_every_operation_and_schema(client, document):
    page = client.get("/api/v1/docs")
    assert page.status_code == 200
    targets = set(re.findall(r'id="([^"]+)"', page.text))
    assert {found.name for found in OPERATIONS} | set(document["components"]["schemas"]) <= targets
    assert set(re.findall(r'href="#([^"]+)"', page.text)) <= targets
    assert not re.search(r"<script(?![^>]*src=)|<style|\sstyle=|\son\w+=", page.text)
