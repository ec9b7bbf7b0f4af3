"""Both clients against a running server: every operation, photos, pages of lists, errors."""

import json
from contextlib import nullcontext
from dataclasses import replace
from datetime import UTC, datetime

import httpx
import pytest

from catalog import jobs
from catalog.models import utc_now
from tests.webui.admin.test_jobs_and_index import add_older_generation
from vsearch.client import (
    ApiError,
    BatchSearch,
    ClassUnknownError,
    Client,
    ConflictError,
    ConnectionFailedError,
    DoesNotExistError,
    FieldsInvalidError,
    JobOpenError,
    KeyInvalidError,
    PhotoUnreadableError,
    ScopeMissingError,
    ServerError,
    UnexpectedAnswerError,
)
from vsearch.client.conversion import to_json


def test_photos_are_paths_bytes_or_files(site, client, tmp_path):
    file = tmp_path / "photo.jpg"
    file.write_bytes(site.photo(3))
    with file.open("rb") as opened:
        answers = [client.search(photo, visual="only") for photo in (file, str(file), site.photo(3), opened)]
    assert {answer.results[0].sku for answer in answers} == {"P-03"}
    assert len({answer.results for answer in answers}) == 1
    with file.open(encoding="latin1") as text, pytest.raises(TypeError):
        client.search(text)
    with pytest.raises(FileNotFoundError):
        client.upload_photo(tmp_path / "none.jpg")


def test_searches(site, client):
    filters = {"class_name": "all", "price_max": 140, "brand": ["Nordhem"], "attributes": {"color": ["red", "blue"]}}
    answer = client.search(site.photo(3), **filters)
    assert (answer.routing, answer.results[0].sku, answer.results[0].class_name) == ("all", "P-03", "chair")
    assert answer.results[0].price.currency == "EUR"
    assert max(result.price.minor_units for result in answer.results) <= 14_000
    assert client.search_again(photo=answer.photo, **filters).results == answer.results
    assert client.search_again(text="velvet", attributes={"color": "blue"}).results == ()
    like, photo, bad = client.search_many(
        searches=[
            BatchSearch(sku="P-03", class_name="lamp", attributes={"color": ["red"]}),
            BatchSearch(image=site.photo(3)),
            BatchSearch(sku="none"),
        ]
    ).results
    assert {result.class_name for result in like.answer.results} == {"lamp"}
    assert photo.answer.results[0].sku == "P-03"
    assert (bad.status, bad.answer, bad.problem.status) == (404, None, 404)


def test_photos_and_feedback(site, client):
    stored = client.upload_photo(site.photo(3))
    assert (stored.width, stored.height) == (64, 64)
    assert client.photo(stored.photo).boxes == stored.boxes
    proof = {"photo": stored.photo, "owner": stored.owner}
    kept = client.rate(**proof, sku="P-03", verdict="right", rank=1)
    assert (kept.photo, kept.verdict) == (stored.photo, "right")
    assert client.rate(**proof, sku="P-03", verdict="none", rank=1).kept_until is None
    assert client.delete_photo(stored.photo, owner=stored.owner) is None
    with pytest.raises(DoesNotExistError):
        client.photo(stored.photo)


def test_products_and_facets(client):
    product = client.product("P-03")
    assert (product.attributes, product.dimensions["width"]) == ({"color": ("red", "white")}, "40 cm")
    page = client.products(limit=2)
    assert [each.sku for each in page.products] == ["P-00", "P-01"]
    assert page.products[0].updated_at.tzinfo is not None
    assert client.products(changed_since=datetime(2100, 1, 1, tzinfo=UTC)).products == ()
    facets = client.facets(text="velvet")
    assert (facets.total, facets.classes[0].value) == (2, "chair")


def test_lists_are_read_page_after_page(site, client):
    assert [each.sku for each in client.iterate_products(limit=5)] == [f"P-{number:02d}" for number in range(12)]
    with site.sessions.begin() as session:
        for kind in ("index", "train", "index"):
            jobs.add(session, kind, {}, utc_now())
    assert [job.id for job in client.iterate_jobs(limit=1, kind="index")] == [3, 1]
    found = list(client.iterate_results(sku="P-03", class_name="all"))
    assert len({product.sku for product in found}) == len(found) == 11


def test_jobs_index_and_models(site, client):
    older = add_older_generation(site.settings.generations)
    index = client.index()
    assert (index.earlier, index.images, {each.name for each in index.classes}) == ((older,), 24, {"chair", "lamp"})
    (active,) = (model for model in client.models().models if model.active)
    started = [
        client.start_job(kind="nightly"),
        client.roll_back_index(generation=older),
        client.promote_model(active.id, despite_loss=True, reason="it knows our new products"),
        client.roll_back_model(role="reader"),
    ]
    assert [job.kind for job in started] == ["nightly", "rollback", "promote", "rollback"]
    assert client.job(started[0].id) == started[0]
    assert client.cancel_job(started[0].id).state == "cancelled"
    assert [job.id for job in client.jobs(state="cancelled").jobs] == [started[0].id]


def test_errors_have_a_class_for_each_type(site, client, open_client):
    for error, call in (
        (FieldsInvalidError, lambda: client.search_again(text="oak", page=0)),
        (FieldsInvalidError, lambda: client.search_again(text="oak", colour="red")),
        (ClassUnknownError, lambda: client.search(site.photo(3), class_name="boats")),
        (PhotoUnreadableError, lambda: client.search(b"%PDF-1.7")),
        (DoesNotExistError, lambda: client.product("../P 0/?")),
        (JobOpenError, lambda: [client.start_job(kind="index") for _ in range(2)]),
        (ConflictError, lambda: [client.cancel_job(1) for _ in range(2)]),
        (KeyInvalidError, lambda: open_client("vsk_1_none").products()),
        (KeyInvalidError, open_client().products),
    ):
        with pytest.raises(error) as caught:
            call()
        assert type(caught.value) is error
        assert caught.value.detail
        assert str(caught.value.status) in str(caught.value)
    with pytest.raises(FieldsInvalidError) as found:
        client.rate(photo="", owner="", sku="", verdict="great", rank=0)
    assert {each.field for each in found.value.errors} == {"sku", "verdict", "rank"}


def test_a_key_without_the_scope(open_client, site):
    from catalog import api_keys

    with site.sessions.begin() as session:
        _, key = api_keys.create(session, "search", ["search"], by="test")
    with pytest.raises(ScopeMissingError, match="jobs:read"):
        open_client(key).jobs()


def test_errors_are_in_the_language_of_the_client(site, client, open_client):
    german = open_client(language="de")
    texts = []
    for each in (client, german):
        with pytest.raises(PhotoUnreadableError) as caught:
            each.search(b"%PDF-1.7")
        texts.append(caught.value.detail)
    assert texts[0] != texts[1]
    assert "lang=de" in german.search(site.photo(3)).page_url


@pytest.mark.parametrize("body", ["<html>", '{"sku": "P-03"}', "[]", "null"])
def test_answers_of_other_programs(server, client, body):
    server.faults.append(("200 OK", {}, body))
    with pytest.raises(UnexpectedAnswerError):
        client.product("P-03")


@pytest.mark.parametrize(
    "problem", ['{"id": 5}', '{"id": null}', '{"heads": "all"}', '{"active": 1}', '{"created_at": "now"}']
)
def test_fields_of_another_type(server, client, problem):
    model = client.models().models[0]
    fields = to_json(replace(model, created_at=None)) | {"created_at": model.created_at.isoformat(), "problem": None}
    for changed, ok in (({}, True), (json.loads(problem), False)):
        server.faults.append(("200 OK", {}, json.dumps({"models": [fields | changed]})))
        with nullcontext() if ok else pytest.raises(UnexpectedAnswerError):
            assert client.models().models == (model,)


def test_a_given_http_client_is_used_and_stays_open(server, key):
    with httpx.Client(headers={"X-Shop": "1"}) as http:
        for _ in range(2):
            with Client(server.address, key, http=http) as client:
                client.models()
    assert key not in repr(vars(client))


def test_other_answers_without_a_problem_document(server, client):
    server.faults += [("301 Moved", {"Location": "https://search.shop.example/"}, ""), ("500 Error", {}, "<html>")]
    with pytest.raises(ApiError, match=r"https://search\.shop\.example/"):
        client.product("P-03")
    with pytest.raises(ServerError) as caught:
        client.product("P-03")
    assert caught.value.type == ""


def test_new_fields_of_answers_are_ignored(server, client):
    server.faults.append(("200 OK", {}, '{"models": [], "more": 1}'))
    assert client.models().models == ()


def test_nobody_answers(open_client):
    with pytest.raises(ConnectionFailedError, match=r"127\.0\.0\.1:1"):
        open_client(address="http://127.0.0.1:1", retries=0).index()


@pytest.mark.parametrize("address", ["search.shop.example", "ftp://shop.example", "https://"])
def test_addresses_of_other_things(address):
    with pytest.raises(ValueError, match="address"):
        Client(address)
