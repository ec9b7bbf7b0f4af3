"""Health checks: public ones that report only a status, and detailed ones for operators."""

from typing import Any

from flask import Blueprint

from catalog.database import check_schema
from vsearch.core.errors import UploadsUnavailable, VSearchError
from webui.services import services

blueprint = Blueprint("health", __name__)
admin_blueprint = Blueprint("admin_health", __name__)


@blueprint.get("/healthz")
@admin_blueprint.get("/healthz")
def alive() -> dict[str, str]:
    """Report that the process is running."""
    return {"status": "alive"}


@blueprint.get("/readyz")
def ready() -> tuple[dict[str, str], int]:
    """Report whether photos can be uploaded and searched; the status is 503 if not."""
    report, status = ready_details()
    return {"status": report["status"]}, status


@admin_blueprint.get("/readyz")
def ready_details() -> tuple[dict[str, Any], int]:
    """Report the same, the served generation and, in `problem`, why it or a newer one cannot be served."""
    served = services()
    engine = served.engine
    problems = [engine.problem] if engine.problem else []
    report: dict[str, Any] = {"generation": None, "checkpoint": None, "pictures": None}
    ready = True
    try:
        generation = engine.serving.generation
        report = {
            "generation": generation.generation_id,
            "checkpoint": generation.checkpoint_id,
            "pictures": len(generation.gallery),
        }
        with served.sessions() as session:
            check_schema(session.connection())  # a different version may have migrated it while this one is running
    except VSearchError as error:
        ready, problems = False, [error]
    try:
        served.uploads.check()
    except UploadsUnavailable as error:
        ready, problems = False, [*problems, error]
    problem = " ".join(map(str, problems)) or None
    return {"status": "ready" if ready else "not ready", **report, "problem": problem}, 200 if ready else 503
