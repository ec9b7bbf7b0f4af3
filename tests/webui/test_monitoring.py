import io
import re
from datetime import timedelta

import numpy as np
import pytest
from sqlalchemy import text

from catalog import jobs
from catalog.models import IndexRun, Job, utc_now
from tests.fakes import FakeEncoder
from tests.webui.conftest import label_matches, running, withdraw
from vsearch.core.errors import GenerationCorrupt
from vsearch.core.settings import Settings
from vsearch.index import delta as deltas
from vsearch.index.delta import Delta
from vsearch.search.engine import Engine
from webui import create_admin_app, create_app
from webui.connections import REJECTED, WAITED


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
    found = re.findall(r"^((?:vsearch|process).+) (\S+)$", response.text, re.MULTILINE)
    return {name: float(value) for name, value in found}


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


def test_outcomes_of_searches(site, monkeypatch):
    """Searches are counted by the label of the best hit and by routing; further pages are not counted again."""
    label_matches(monkeypatch, 0.5)
    results = site.upload()
    for query in ({"class": "all"}, {"class": "all", "page": "2"}, {"class": "chair", "price_min": "9999"}):
        site.client.get(results, query_string=query)
    for query in ({"text": "chair"}, {"text": "chair", "page": "2"}, {"text": "unheard"}, {"sku": "P-01"}):
        assert site.client.get("/api/v1/search", query_string=query).status_code == 200
    metrics = read_metrics(site)
    counts = {name: count for name, count in metrics.items() if name.startswith("vsearch_searches_total")}
    expected = {("similar", "all"): 2, ("none", "chosen"): 1, ("found", "words"): 1, ("none", "words"): 1}
    labeled = {f'vsearch_searches_total{{best="{pair[0]}",routing="{pair[1]}"}}': n for pair, n in expected.items()}
    assert counts == labeled


def turned_away(site):
    reasons = ("searches in flight", "waited", "rate limit", "incomplete")
    return [read_metrics(site)[f'vsearch_turned_away_total{{reason="{reason}"}}'] for reason in reasons]


def test_requests_turned_away(settings, monkeypatch):
    """A search during another one, a request that waited too long, one too many, and one that was too large."""
    changes = {"searches_in_flight": 1, "rate_limit": "2/hour"}
    with running(settings.model_copy(update=changes)) as site:
        statuses, running_now = [], []
        real_search = site.engine.search

        def search_meanwhile(*args, **kwargs):
            if not statuses:
                statuses.append(site.client.post("/api/v1/search", data=site.photo(3)).status_code)
                running_now.append(read_metrics(site)["vsearch_searches_in_flight"])
            return real_search(*args, **kwargs)

        monkeypatch.setattr(site.engine, "search", search_meanwhile)
        assert turned_away(site) == [0, 0, 0, 0]
        statuses += [site.client.post("/api/v1/search", data=site.photo(3)).status_code for _ in range(2)]
        assert (statuses, running_now) == ([503, 200, 429], [1])
        site.client.get("/", environ_base={WAITED: 60.0})
        site.client.get("/", environ_base={REJECTED: 413})
        assert turned_away(site) == [1, 1, 1, 1]
        assert read_metrics(site)["vsearch_searches_in_flight"] == 0


def test_delta(site):
    """The images of the delta count towards those that are searched."""
    serving = site.engine.serving.generation
    size = serving.manifest.embedding_size
    new, removed = np.array([1000], dtype=np.int64), serving.gallery.image_ids[:2]
    vectors = np.ones((1, size), dtype=np.float32)
    delta = Delta(serving.generation_id, utc_now(), new, new, ("chair",), vectors, removed)
    deltas.write(site.settings.generations, delta)
    site.engine.refresh()
    expected = {
        "vsearch_index_pictures": 23,
        "vsearch_index_products": 12,
        'vsearch_delta_pictures{change="added"}': 1,
        'vsearch_delta_pictures{change="removed"}': 2,
    }
    assert expected.items() <= read_metrics(site).items()


def test_runs_and_workers(site):
    """The last good run is known however many failed since; a worker that is not seen any more is not counted."""
    now = utc_now()
    with site.sessions.begin() as session:
        for minutes, state in ((60, "published"), *[(30, "failed")] * 30):
            began = now - timedelta(minutes=minutes)
            ended = began + timedelta(minutes=minutes / 10)
            session.add(IndexRun(state=state, started_at=began, finished_at=ended))
        session.add(IndexRun(state="running", started_at=now))
        jobs.record_worker(session, "host:1", now - timedelta(minutes=10))
    metrics = read_metrics(site)
    assert metrics['vsearch_last_run_seconds{state="published"}'] == 360
    assert metrics['vsearch_last_run_timestamp_seconds{state="published"}'] == pytest.approx(now.timestamp() - 54 * 60)
    assert metrics["vsearch_workers"] == 0
    assert metrics["vsearch_worker_seen_timestamp_seconds"] == pytest.approx(now.timestamp() - 600)
    with site.sessions.begin() as session:
        jobs.record_worker(session, "host:2", now)
    assert read_metrics(site)["vsearch_workers"] == 1


def test_disk_and_memory(site):
    site.upload()
    metrics = read_metrics(site)
    assert metrics["vsearch_uploads_bytes"] == sum(path.stat().st_size for path in site.stored())
    assert metrics["vsearch_uploads_limit_bytes"] == 2e9
    assert 0 < metrics["vsearch_disk_free_bytes"] < metrics["vsearch_disk_size_bytes"]
    assert metrics["process_resident_memory_bytes"] > 1e6


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
        "vsearch_index_products": 12,
        'vsearch_delta_pictures{change="added"}': 0,
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
