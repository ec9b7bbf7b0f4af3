import pytest

from tests.schemas import set_schema
from vsearch.errors import GenerationCorrupt
from vsearch.settings import Settings


def test_alive(client):
    """The process says that it is alive."""
    assert client.get("/healthz").get_json() == {"status": "alive"}


def test_ready(site):
    """Readiness names what is served."""
    answer = site.client.get("/readyz")

    assert answer.status_code == 200
    generation = site.engine.serving.generation
    assert answer.get_json() == {
        "status": "ready",
        "generation": generation.generation_id,
        "checkpoint": generation.checkpoint_id,
        "pictures": 24,
        "problem": None,
    }


def test_ready_with_a_problem(site):
    """While an older generation is served on, the reason is told."""
    site.engine.problem = GenerationCorrupt("A file is missing.")

    answer = site.client.get("/readyz")
    assert answer.status_code == 200
    assert answer.get_json()["problem"] == "A file is missing."


@pytest.mark.parametrize("schema", ["0001", "9999"])
def test_not_ready_once_another_version_changed_the_catalogue(site, schema):
    """A page that was started before finds out, and says what to do."""
    set_schema(site.settings.catalogue_url, schema)

    answer = site.client.get("/readyz")
    assert answer.status_code == 503
    assert answer.get_json()["status"] == "not ready"
    assert f"is {schema}, of " in answer.get_json()["problem"]


def test_not_ready(tmp_path):
    """With nothing to serve the status is 503."""
    from tests.fakes import FakeEncoder
    from vsearch.engine import Engine
    from webui import create_app

    settings = Settings(data=tmp_path)
    app = create_app(settings, engine=Engine(settings, open_encoder=FakeEncoder), sessions=None)

    answer = app.test_client().get("/readyz")
    assert answer.status_code == 503
    assert answer.get_json()["generation"] is None
