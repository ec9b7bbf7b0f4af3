import sqlalchemy as sa

from tests.fakes import FakeEncoder
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
        session.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
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
