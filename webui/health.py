"""For those who operate the page: is the process alive, and can it answer a search?"""

from typing import Any

from flask import Blueprint

from catalog.database import check_schema
from vsearch.errors import VSearchError
from webui.services import services

blueprint = Blueprint("health", __name__)


@blueprint.get("/healthz")
def alive() -> dict[str, str]:
    """Say that the process answers."""
    return {"status": "alive"}


@blueprint.get("/readyz")
def ready() -> tuple[dict[str, Any], int]:
    """Say what is served, with status 503 while nothing is; `problem` tells why a newer one is not."""
    engine = services().engine
    problem = str(engine.problem) if engine.problem else None
    try:
        generation = engine.serving.generation
        with services().sessions() as session:
            check_schema(session.connection())  # another version may have changed it beside this page
    except VSearchError as error:
        return {"status": "not ready", "generation": None, "checkpoint": None, "problem": str(error)}, 503
    return {
        "status": "ready",
        "generation": generation.generation_id,
        "checkpoint": generation.checkpoint_id,
        "pictures": len(generation.gallery),
        "problem": problem,
    }, 200
