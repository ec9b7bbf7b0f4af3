import io
import re

import pytest
from sqlalchemy import text

from vsearch.core.errors import GenerationCorrupt


def figures(site):
    """Return the figures by name and labels."""
    answer = site.operator.get("/metrics")
    assert answer.status_code == 200
    assert answer.content_type.startswith("text/plain")
    return {name: float(value) for name, value in re.findall(r"^(vsearch\S+) (\S+)$", answer.text, re.MULTILINE)}


def test_requests_are_counted(site):
    """By endpoint and status, with their seconds and those of the steps of a search."""
    site.client.get(site.upload())
    site.client.get("/products/none")
    said = figures(site)
    assert said['vsearch_requests_total{endpoint="shop.show_results",status="200"}'] == 1
    assert said['vsearch_requests_total{endpoint="shop.product",status="404"}'] == 1
    assert said['vsearch_request_seconds_count{endpoint="shop.show_results"}'] == 1
    assert said['vsearch_step_seconds_count{step="encode"}'] == 1


def test_what_is_served_is_told(site):
    """And whether there is trouble."""
    said = figures(site)
    assert said["vsearch_ready"] == 1
    assert said["vsearch_index_pictures"] == 24
    assert said["vsearch_problem"] == 0
    assert said['vsearch_products{state="live"}'] == 12
    site.engine.problem = GenerationCorrupt("A file is missing.")
    assert figures(site)["vsearch_problem"] == 1


def test_a_bad_upload_counts_as_what_it_was(site):
    """Errors are requests too."""
    site.client.post("/search", data={"photo": (io.BytesIO(b"no photo"), "photo.jpg")})
    assert figures(site)['vsearch_requests_total{endpoint="shop.search",status="415"}'] == 1


def test_a_catalogue_that_does_not_answer_is_named(site):
    """To the operator, who reads why."""
    with site.sessions.begin() as session:
        session.execute(text("ALTER TABLE product RENAME TO elsewhere"))
    answer = site.operator.get("/metrics")

    assert answer.status_code == 503
    assert "sqlite" in answer.get_json()["problem"]


@pytest.mark.parametrize("address", ["/metrics", "/admin", "/"])
def test_each_address_has_its_own(site, address):
    """Shoppers get no figures, and operators no pages."""
    side = site.client if address == "/metrics" else site.operator
    assert side.get(address).status_code == 404
