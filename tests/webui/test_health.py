import pytest

from tests.fakes import FakeEncoder
from tests.schemas import set_schema
from vsearch.core.errors import GenerationCorrupt
from vsearch.core.settings import Settings
from vsearch.search.engine import Engine
from webui import create_admin_app, create_app


@pytest.fixture
def without_index(tmp_path):
    """An application with nothing to serve."""
    settings = Settings(data=tmp_path / "data")
    return create_app(settings, engine=Engine(settings, open_encoder=FakeEncoder), sessions=None)


def test_alive(site):
    """The process says that it is alive, on both addresses."""
    assert site.client.get("/healthz").get_json() == {"status": "alive"}
    assert site.operator.get("/healthz").get_json() == {"status": "alive"}


def test_ready(site):
    """The public learns that much; operators also what is served."""
    generation = site.engine.serving.generation
    answer = site.operator.get("/readyz")

    assert site.client.get("/readyz").get_json() == {"status": "ready"}
    assert answer.status_code == 200
    assert answer.get_json() == {
        "status": "ready",
        "generation": generation.generation_id,
        "checkpoint": generation.checkpoint_id,
        "pictures": 24,
        "problem": None,
    }


def test_ready_with_a_problem(site):
    """While an older generation is served on, operators are told why, and nobody else."""
    site.engine.problem = GenerationCorrupt("A file is missing.")

    assert site.operator.get("/readyz").status_code == 200
    assert site.operator.get("/readyz").get_json()["problem"] == "A file is missing."
    assert site.client.get("/readyz").get_json() == {"status": "ready"}


@pytest.mark.parametrize("schema", ["0001", "9999"])
def test_not_ready_once_another_version_changed_the_catalogue(site, schema):
    """A page that was started before finds out, and tells operators what to do."""
    set_schema(site.settings.catalogue_url, schema)

    assert site.client.get("/readyz").status_code == 503
    answer = site.operator.get("/readyz")
    assert answer.status_code == 503
    assert answer.get_json()["status"] == "not ready"
    assert f"is {schema}, of " in answer.get_json()["problem"]


def test_not_ready(without_index):
    """With nothing to serve the status is 503."""
    answer = without_index.test_client().get("/readyz")
    assert answer.status_code == 503
    assert answer.get_json() == {"status": "not ready"}

    answer = create_admin_app(without_index).test_client().get("/readyz")
    assert answer.status_code == 503
    assert answer.get_json()["generation"] is None
    assert "index" in answer.get_json()["problem"]


def test_not_ready_without_a_place_for_photos(site):
    """A page that can take no photo is not ready, and operators read which folder it is."""
    site.settings.uploads.write_bytes(b"a file where the folder should be")
    answer = site.operator.get("/readyz")

    assert site.client.get("/readyz").status_code == 503
    assert answer.status_code == 503
    assert answer.get_json()["generation"] == site.engine.serving.generation.generation_id
    assert str(site.settings.uploads) in answer.get_json()["problem"]
