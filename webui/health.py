"""For those who operate the page: is the process alive, and can it answer a search?

`blueprint` is public and says nothing else; `details` says what is served and what is wrong, on the operators' address.
"""

from typing import Any

from flask import Blueprint

from catalog.database import check_schema
from vsearch.core.errors import UploadsUnavailable, VSearchError
from webui.services import Services, services

blueprint = Blueprint("health", __name__)
details = Blueprint("health_details", __name__)


@blueprint.get("/healthz")
@details.get("/healthz")
def alive() -> dict[str, str]:
    """Say that the process answers."""
    return {"status": "alive"}


@blueprint.get("/readyz")
def ready() -> tuple[dict[str, str], int]:
    """Say whether photos are taken and searched, with status 503 while they are not."""
    answer, status = readiness(services())
    return {"status": answer["status"]}, status


@details.get("/readyz")
def ready_in_detail() -> tuple[dict[str, Any], int]:
    """Say also what is served; `problem` tells why nothing is, or why a newer index is not."""
    return readiness(services())


def readiness(served: Services) -> tuple[dict[str, Any], int]:
    """Return what is served and what is wrong, and the HTTP status."""
    engine = served.engine
    problems = [engine.problem] if engine.problem else []
    found: dict[str, Any] = {"generation": None, "checkpoint": None, "pictures": None}
    ready = True
    try:
        generation = engine.serving.generation
        found = {
            "generation": generation.generation_id,
            "checkpoint": generation.checkpoint_id,
            "pictures": len(generation.gallery),
        }
        with served.sessions() as session:
            check_schema(session.connection())  # another version may have changed it beside this page
    except VSearchError as error:
        ready, problems = False, [error]
    try:
        served.uploads.check()
    except UploadsUnavailable as error:
        ready, problems = False, [*problems, error]
    problem = " ".join(str(one) for one in problems) or None
    return {"status": "ready" if ready else "not ready", **found, "problem": problem}, 200 if ready else 503
