import io
import re

import pytest
from sqlalchemy import text

from catalog.models import IndexRun, Job, utc_now
from tests.fakes import FakeEncoder
from tests.webui.conftest import withdraw
from vsearch.core.errors import GenerationCorrupt
from vsearch.core.settings import Settings
from vsearch.search.engine import Engine
from webui import create_admin_app, create_app


def test_alive_and_ready(site):
    """Only operators see what is served."""
    for client in (site.client, site.operator):
        assert client.get("/healthz").get_json() == {"status": "alive"}
    generation = site.engine.serving.generation
    report = {
        "status": "ready",
        "generation": generation.generation_id,
        "checkpoint": generation.checkpoint_id,
        "pictures": 24,
        "problem": None,
    }
    assert site.operator.get("/readyz").get_json() == report
    site.engine.problem = GenerationCorrupt("A file is missing.")  # an older generation is served
    response = site.operator.get("/readyz")
    assert (response.status_code, response.get_json()) == (200, report | {"problem": "A file is missing."})
    assert site.client.get("/readyz").get_json() == {"status": "ready"}


def assert_not_ready(client, operator) -> dict:
    """Check both addresses; return the operators' report."""
    response = client.get("/readyz")
    assert (response.status_code, response.get_json()) == (503, {"status": "not ready"})
    response = operator.get("/readyz")
    assert (response.status_code, response.get_json()["status"]) == (503, "not ready")
    return response.get_json()


def test_not_ready_after_another_version_migrated_the_catalog(site):
    with site.sessions.begin() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    assert "9999" in assert_not_ready(site.client, site.operator)["problem"]


def test_not_ready_without_an_index(tmp_path):
    settings = Settings(data=tmp_path / "data")
    app = create_app(settings, engine=Engine(settings, open_encoder=FakeEncoder), sessions=None)
    report = assert_not_ready(app.test_client(), create_admin_app(app).test_client())
    assert report["generation"] is None
    assert "index" in report["problem"]


def test_not_ready_without_an_upload_folder(site):
    site.settings.uploads.write_bytes(b"a file where the folder should be")
    report = assert_not_ready(site.client, site.operator)
    assert report["generation"] == site.engine.serving.generation.generation_id
    assert str(site.settings.uploads) in report["problem"]


def read_metrics(site):
    response = site.operator.get("/metrics")
    assert response.status_code == 200
    assert response.content_type.startswith("text/plain")
    return {name: float(value) for name, value in re.findall(r"^(vsearch\S+) (\S+)$", response.text, re.MULTILINE)}


def test_requests(site):
    site.client.get(site.upload())
    site.client.get("/products/none")
    site.client.post("/search", data={"photo": (io.BytesIO(b"no photo"), "photo.jpg")})
    for name in (
        'vsearch_requests_total{endpoint="shop.show_results",status="200"}',
        'vsearch_requests_total{endpoint="shop.product",status="404"}',
        'vsearch_requests_total{endpoint="shop.search",status="415"}',
        'vsearch_request_seconds_count{endpoint="shop.show_results"}',
        'vsearch_step_seconds_count{step="encode"}',
    ):
        assert read_metrics(site)[name] == 1, name


def test_index_and_catalog(site):
    withdraw(site, "P-11")
    with site.sessions.begin() as session:
        session.add(IndexRun(state="failed", finished_at=utc_now()))
        empty = {"arguments": {}, "attempts": 0, "worker": "", "progress": {}, "cancel_requested": False, "message": ""}
        session.add(Job(kind="train", state="queued", created_at=utc_now(), **empty))
    metrics = read_metrics(site)
    expected = {
        "vsearch_ready": 1,
        "vsearch_index_pictures": 24,
        "vsearch_problem": 0,
        'vsearch_products{state="live"}': 11,
        'vsearch_products{state="withdrawn"}': 1,
        'vsearch_jobs{kind="train",state="queued"}': 1,
    }
    assert expected.items() <= metrics.items()
    assert metrics['vsearch_last_run_timestamp_seconds{state="failed"}'] > 0
    assert metrics['vsearch_last_import_timestamp_seconds{state="imported"}'] > 0
    site.engine.problem = GenerationCorrupt("A file is missing.")
    assert read_metrics(site)["vsearch_problem"] == 1


def test_catalog_problem_is_shown_to_operators(site):
    with site.sessions.begin() as session:
        session.execute(text("ALTER TABLE product RENAME TO elsewhere"))
    response = site.operator.get("/metrics")
    assert response.status_code == 503
    assert "sqlite" in response.get_json()["problem"]


@pytest.mark.parametrize("path", ["/metrics", "/admin/", "/"])
def test_shoppers_get_no_metrics_and_operators_no_pages(shared_site, path):
    client = shared_site.client if path == "/metrics" else shared_site.operator
    assert client.get(path).status_code == 404
