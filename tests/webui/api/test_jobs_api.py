"""Jobs, product changes, index and models."""

import json

import pytest

from catalog import audit, product_batches
from catalog import jobs as job_table
from catalog.models import Job, utc_now
from tests.webui.admin.test_jobs_and_index import add_older_generation
from vsearch.index import generation as generations


@pytest.fixture
def call(site, headers):
    """A function that sends a request with a key and returns the status and the JSON."""

    def call(method, path, **options):
        answer = site.client.open(f"/api/v1/{path}", method=method, headers=headers, **options)
        return answer.status_code, answer.get_json()

    return call


def test_products_are_changed_by_a_job(site, call):
    products = [{"sku": "N-1", "title": "New", "price": 19.99, "images": ["https://shop.example/a.jpg"]}]
    status, job = call("POST", "products/batch", json={"products": products, "withdraw": ["P-03"]})
    assert (status, job["kind"], job["state"], job["errors"]) == (202, "upsert", "queued", None)
    assert job["requested_by"] == "API key 1 (test)"
    assert call("GET", f"jobs/{job['id']}") == (200, job)
    with site.sessions() as session:
        stored = session.get(Job, job["id"])
        assert product_batches.read(session, stored.arguments["batch"]) == (products, ["P-03"])
        entry = audit.latest(session, 1)[0]
    assert (entry.account, entry.action, entry.details) == (
        "API key 1 (test)",
        "change products",
        {"products": 1, "withdraw": 1},
    )


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, ""),
        ({"products": []}, ""),
        ({"withdraw": [f"P-{number}" for number in range(1001)]}, "withdraw"),
        ({"products": [{"sku": "A", "title": "A"}], "withdraw": [f"P-{number}" for number in range(1000)]}, ""),
        ({"products": [{"sku": "A", "title": "A"}], "withdraw": ["A"]}, ""),
        ({"products": [{"sku": "A", "title": "A"}] * 2}, ""),
        ({"products": [{"sku": "A", "title": "A"}, {"title": "B"}]}, "products.1.sku"),
        ({"products": [{"sku": 7, "title": "A"}]}, "products.0.sku"),
        ({"products": [{"sku": "A", "title": "A", "price": {}}]}, "products.0.price"),
        ({"products": [{"sku": "A", "title": "A", "colour": "red"}]}, "products.0.colour"),
        ({"products": [{"sku": "", "title": "A"}]}, "products.0.sku"),
    ],
)
def test_requests_that_are_no_changes_are_refused(site, call, body, field):
    status, problem = call("POST", "products/batch", json=body)
    assert status == 400
    assert problem["errors"][0]["field"] == field
    with site.sessions() as session:
        assert job_table.latest(session) == []


def test_the_outcome_of_a_job(site, call):
    _, job = call("POST", "products/batch", json={"withdraw": ["none"]})
    error = {"list": "withdraw", "index": 0, "sku": "none", "detail": "no product has this SKU."}
    result = {"counts": {"withdrawn": 0}, "errors": [error]}
    with site.sessions.begin() as session:
        job_table.finish(session, job["id"], "done", "No changes.", utc_now(), result=result)
    _, job = call("GET", f"jobs/{job['id']}")
    assert (job["state"], job["counts"], job["errors"]) == ("done", {"withdrawn": 0}, [error])


def test_lists_of_jobs(site, call):
    with site.sessions.begin() as session:
        for kind in ("index", "nightly", "index", "train"):
            job_table.add(session, kind, {"password": "secret"}, utc_now())
    _, page = call("GET", "jobs?limit=3")
    assert [job["id"] for job in page["jobs"]] == [4, 3, 2]
    _, last = call("GET", f"jobs?limit=3&cursor={page['next']}")
    assert ([job["id"] for job in last["jobs"]], last["next"]) == ([1], None)
    assert [job["id"] for job in call("GET", "jobs?kind=index")[1]["jobs"]] == [3, 1]
    assert call("GET", "jobs?state=done")[1]["jobs"] == []
    assert call("GET", "jobs?state=lost")[0] == 400
    assert call("GET", f"jobs?kind=index&cursor={page['next']}")[0] == 400
    assert "secret" not in json.dumps(page)
    assert call("GET", "jobs/99")[0] == 404
    assert call("GET", f"jobs/{10**30}")[0] == 404


def test_starting_and_cancelling_jobs(site, call):
    status, job = call("POST", "jobs", json={"kind": "nightly"})
    assert (status, job["state"]) == (202, "queued")
    assert call("POST", "jobs", json={"kind": "nightly"})[0] == 409
    assert call("POST", "jobs", json={"kind": "train"})[0] == 400
    status, ended = call("POST", f"jobs/{job['id']}/cancel")
    assert (status, ended["state"]) == (200, "cancelled")
    assert call("POST", f"jobs/{job['id']}/cancel")[0] == 409
    assert call("POST", "jobs/99/cancel")[0] == 404
    with site.sessions() as session:
        actions = [entry.action for entry in audit.latest(session, 2)]
    assert actions == ["cancel job", "start nightly"]


def test_index_and_its_rollback(site, call):
    older = add_older_generation(site.settings.generations)
    status, index = call("GET", "index")
    assert (status, index["generation"]) == (200, generations.current_id(site.settings.generations))
    assert {each["name"]: each["images"] for each in index["classes"]} == {"chair": 12, "lamp": 12}
    assert (index["images"], index["problem"], index["earlier"]) == (24, None, [older])
    status, job = call("POST", "index/rollback", json={"generation": older})
    assert (status, job["kind"]) == (202, "rollback")
    assert call("POST", "index/rollback", json={"generation": older})[0] == 409
    assert call("POST", "index/rollback", json={"generation": "20200101T000000Z-0001"})[0] == 404
    with site.sessions() as session:
        assert session.get(Job, job["id"]).arguments == {"what": "index", "to": older}


def test_models(site, call):
    _, listed = call("GET", "models")
    (active,) = (model for model in listed["models"] if model["active"])
    assert (active["where"], active["role"]) == ("shop", "search")
    path = f"models/{active['id']}/promote"
    assert call("POST", path, json={"despite_loss": True})[0] == 400
    reason = "it knows our new products"
    status, job = call("POST", path, json={"despite_loss": True, "reason": reason})
    assert (status, job["kind"]) == (202, "promote")
    assert call("POST", path, json={})[0] == 202, "through the gate"
    assert call("POST", "models/none/promote", json={})[0] == 404
    assert call("POST", "models/rollback", json={"role": "reader"})[0] == 202
    assert call("POST", "models/rollback", json={"role": "classifier"})[0] == 400
    with site.sessions() as session:
        arguments = session.get(Job, job["id"]).arguments
    assert arguments == {"model": active["id"], "allow_drop": "1", "reason": reason}
