"""Schemathesis sends requests to every operation, on both databases: no 500, and answers as the document says.

The number of calls is small by default. A long run, which takes about ten minutes:

    API_CALLS=10000 python -m pytest tests/webui/api/test_fuzzing.py
"""

import os
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from sqlalchemy.orm import sessionmaker

from catalog import changes
from catalog.changes import Changes
from catalog.database import connect, upgrade
from catalog.image_store import ImageStore
from tests.pictures import jpeg
from tests.webui.api.conftest import Headers, key_for
from tests.webui.conftest import PRODUCTS, Site, _settings, catalog_pictures, item, running
from vsearch.imaging.codec import encode_jpeg
from webui.api.operations import OPERATIONS
from webui.services import services_of

CALLS = int(os.environ.get("API_CALLS", "400"))
PER_TEST = max(2, CALLS // (len(OPERATIONS) * 4))
"""Calls of an operation on a database in a mode."""

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    response_headers_conformance,
]
KNOWN: dict[str, list[Any]] = {
    "sku": ["P-03", "P-11", "P-00"],
    "job_id": [1, 2],
    "text": ["velvet", "chair -velvet", "lamp"],
    "class": ["chair", "lamp", "all"],
    "category": ["Lamps", "Seating"],
}
"""Values that exist, by the name of a parameter or of a field."""

Operations = dict[str, Any]

PHOTOS = st.sampled_from([jpeg(), encode_jpeg(catalog_pictures()[6]), b"", b"text", jpeg()[:200]])

schemathesis.openapi.media_type("image/jpeg", PHOTOS)


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def opened(request, shop_folder, tmp_path_factory) -> Iterator[tuple[Site, Headers, Operations]]:
    """The small shop on a database, headers with a key that may do everything, and the operations by their id."""
    folder = tmp_path_factory.mktemp("fuzzed") / "data"
    own = _settings(shop_folder, folder).model_copy(update={"key_rate_limit": ""})
    if request.param == "postgresql":
        own = own.model_copy(update={"database_url": request.getfixturevalue("new_pg")("fuzzed")})
        fill(own)
    with running(own) as site:
        schema = schemathesis.openapi.from_wsgi("/api/v1/openapi.json", site.app)
        operations = [found.ok() for found in schema.get_all_operations()]
        yield site, key_for(site), {each.definition.raw["operationId"]: each for each in operations}


@pytest.fixture
def api(opened):
    """The same; connections that threads have opened are closed after each test."""
    yield opened
    services_of(opened[0].app).close()


def fill(own) -> None:
    """Add the products of the small shop, in the same order, so that they have the same ids."""
    store = ImageStore(own.pictures)
    names = [store.put(encode_jpeg(picture, quality=95)) for picture in catalog_pictures()]
    engine = connect(own.catalog_url)
    upgrade(engine)
    with sessionmaker(engine).begin() as session:
        items = tuple(item(number, (names[2 * number], names[2 * number + 1])) for number in range(PRODUCTS))
        changes.apply(session, Changes(added=items))
    engine.dispose()


@pytest.mark.slow
@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.value)
@pytest.mark.parametrize("name", [found.name for found in OPERATIONS])
def test_every_operation(api, name, mode):
    site, headers, operations = api
    photo = site.upload(3).rpartition("/")[2]
    (model,) = (folder.name for folder in site.settings.checkpoints.iterdir())
    known = KNOWN | {"photo": [photo], "photo_id": [photo], "model_id": [model]}

    @given(case=operations[name].as_strategy(generation_mode=mode), data=st.data())
    @settings(
        max_examples=PER_TEST,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def call(case: Case, data) -> None:
        negative = mode is GenerationMode.NEGATIVE
        if not negative:
            insert_known(case, known, data)
        response = case.call(headers={**headers, "Accept-Encoding": "identity"})
        case.validate_response(response, checks=[*CHECKS, *([negative_data_rejection] if negative else [])])

    call()


def insert_known(case: Case, known, data) -> None:
    """Make a request succeed more often: with fewer parameters, and with values that exist."""
    if data.draw(st.booleans()):
        case.headers.pop("Idempotency-Key", None)
    body = case.body if isinstance(case.body, dict) else {}
    searches = [each for each in body.get("searches", ()) if isinstance(each, dict)]
    for values in (case.query, *searches):
        names = sorted(values)
        kept = data.draw(st.sets(st.sampled_from(names), max_size=3)) if names else set()
        for name in set(names) - kept:
            del values[name]
    for search in searches if searches else [case.query] if case.operation.label == "GET /api/v1/search" else []:
        subject = data.draw(st.sampled_from(("photo", "sku", "text")))
        for name in ("photo", "sku", "image", "text"):
            search.pop(name, None)
        search[subject] = data.draw(st.sampled_from(known[subject]))
    if {"products", "withdraw"} & body.keys() and not body.get("withdraw"):
        body["withdraw"] = data.draw(st.sampled_from((["P-03"], ["none", "P-01"])))
    for values in (case.path_parameters, case.query, body, *searches):
        for name in known.keys() & values.keys():
            if data.draw(st.booleans()):
                values[name] = data.draw(st.sampled_from(known[name]))
