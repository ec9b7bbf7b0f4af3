"""Any number of products at once, and jobs to wait for."""

from dataclasses import replace

import pytest

from catalog import jobs
from catalog.models import utc_now
from vsearch.client import (
    FieldsInvalidError,
    JobFailedError,
    JobTimeoutError,
    ProductInput,
    UnavailableError,
    batching,
    input_of,
)


def product(sku, **columns):
    return ProductInput(**{"sku": sku, "title": "Oak stool", "category": "Lamps", "images": ["new.jpg"]} | columns)


def test_products_are_searchable_after_an_update(site, client, work):
    seen = []

    def on_progress(job):
        seen.append((job.kind, job.state))
        work()

    outcome = client.upsert(
        [product("NEW-1", price="49.00 EUR", attributes={"color": ["oak"]}), product("NEW-2", price="many")],
        withdraw=["P-03", "none"],
        until_indexed=True,
        on_progress=on_progress,
    )
    assert seen == [("upsert", "queued"), ("upsert", "done"), ("update", "done")]
    assert (outcome.counts["added"], outcome.counts["withdrawn"]) == (1, 1)
    assert [(error.list, error.index, error.sku) for error in outcome.errors] == [
        ("products", 1, "NEW-2"),
        ("withdraw", 1, "none"),
    ]
    assert [job.kind for job in outcome.jobs] == ["upsert"]
    assert client.product("NEW-1").price.amount == "49"
    assert client.search_again(sku="NEW-1").generation
    found = client.search((site.settings.data.parent / "images" / "new.jpg").read_bytes())
    assert found.results[0].sku == "NEW-1"


def test_earlier_updates_do_not_matter_if_nothing_changes(site, client, work):
    update = client.start_job(kind="update")
    with site.sessions.begin() as session:
        jobs.finish(session, update.id, "failed", "The disk is full.", utc_now())
    assert client.upsert(withdraw=["none"], until_indexed=True, on_progress=work).counts["withdrawn"] == 0
    assert client.upsert(until_indexed=True).jobs == ()


def test_products_are_changed_from_what_they_are(client, work):
    products = [client.product(each.sku) for each in client.iterate_products()]
    client.upsert([input_of(each) for each in products], on_progress=work)  # it removes HTML from descriptions
    same = client.upsert([input_of(client.product(each.sku)) for each in products], on_progress=work)
    assert (same.counts["unchanged"], same.errors) == (12, ())
    client.upsert([replace(input_of(products[3]), price="7.50 EUR", stock=2)], on_progress=work)
    changed = client.product("P-03")
    assert (changed.price.amount, changed.stock) == ("7.50", 2)
    assert changed.images == products[3].images
    assert (changed.attributes, changed.category) == (products[3].attributes, products[3].category)


def test_batches_have_the_size_that_the_api_accepts(site, client, work, monkeypatch):
    monkeypatch.setattr(batching, "MAX_PRODUCTS", 2)
    products = [product(f"NEW-{number}", price="9" if number % 3 else "bad") for number in range(5)]
    outcome = client.upsert(products, ["none", "P-01"], on_progress=work)
    assert len(outcome.jobs) == 4
    assert (outcome.counts["added"], outcome.counts["withdrawn"]) == (3, 1)
    assert [(error.list, error.index) for error in outcome.errors] == [
        ("products", 0),
        ("products", 3),
        ("withdraw", 0),
    ]


def test_more_products_than_a_request_may_have(site, client, work):
    outcome = client.upsert(withdraw=[f"none-{number}" for number in range(1001)], on_progress=work)
    assert (len(outcome.jobs), len(outcome.errors)) == (2, 1001)
    assert [error.index for error in outcome.errors] == list(range(1001))


def test_items_that_the_api_refuses_are_left_out(client, work):
    products = [product("NEW-1"), product(""), product("NEW-3", title=None), product("x" * 65), product("NEW-5")]
    outcome = client.upsert(products, on_progress=work)
    assert outcome.counts["added"] == 2
    assert [error.index for error in outcome.errors] == [1, 2, 3]
    assert "title" in outcome.errors[1].detail


def test_batches_that_are_too_large_are_halved(client, work):
    """The limit of the test shop is 1 MB."""
    products = [product(f"NEW-{number}", description="oak " * 4000) for number in range(100)]
    outcome = client.upsert([*products, product("NEW-L", description="x" * 2_000_000)], on_progress=work)
    assert outcome.counts["added"] == 100
    assert len(outcome.jobs) > 1
    assert [error.sku for error in outcome.errors] == ["NEW-L"]


def test_nothing_to_change_and_repeated_skus(server, client):
    assert client.upsert().jobs == ()
    with pytest.raises(ValueError, match="NEW-1"):
        client.upsert([product("NEW-1")], ["NEW-1"])
    assert server.requests == []


def test_errors_name_the_jobs_of_earlier_batches(server, open_client, key, monkeypatch):
    monkeypatch.setattr(batching, "MAX_PRODUCTS", 1)
    client = open_client(key, retries=0)
    accepted = client.change_products(withdraw=["P-03"])
    answer = client.job(accepted.id)
    server.faults += [None, ("503 Service Unavailable", {}, "")]
    with pytest.raises(UnavailableError) as caught:
        client.upsert(withdraw=["P-04", "P-05"])
    assert str(answer.id + 1) in caught.value.__notes__[0]


def test_problems_of_the_whole_batch_are_raised(server, client):
    problem = '{"type": "urn:vsearch:problem:InvalidFields", "title": "", "status": 400, "detail": "", "errors": %s}'
    for errors in ('[{"field": "", "detail": "no"}]', "null"):
        server.faults += [("400 Bad Request", {}, problem % errors)]
        with pytest.raises(FieldsInvalidError):
            client.upsert(withdraw=["P-03"])


def test_waiting_for_jobs(site, client, waits):
    job = client.start_job(kind="index")
    states = []
    with pytest.raises(JobTimeoutError) as slow:
        client.wait_for_job(job.id, timeout=10, interval=2, on_progress=lambda job: states.append(job.state))
    assert isinstance(slow.value, TimeoutError)
    assert (slow.value.job, states) == (job, ["queued"] * 6)
    assert waits == [2] * 5
    with site.sessions.begin() as session:
        jobs.finish(session, job.id, "failed", "The disk is full.", utc_now())
    with pytest.raises(JobFailedError, match="disk") as failed:
        client.wait_for_job(job.id)
    assert failed.value.job.state == "failed"
