"""The published index and the models: their state, promotion and rollback."""

from contextlib import suppress

from flask import abort

from vsearch.core.errors import VSearchError
from vsearch.index import generation as generations
from vsearch.models import registry
from webui.api.job_schemas import (
    GenerationRollback,
    IndexAnswer,
    IndexClass,
    JobAnswer,
    ModelAnswer,
    ModelList,
    PromotionRequest,
    RoleRollback,
)
from webui.api.jobs import queued
from webui.api.operations import operation
from webui.services import services

CHANGES = (404, 409, 413, 415)
"""Statuses of errors of operations that change what is in use."""


@operation("GET", "/index", "models:read", answer=IndexAnswer)
def index() -> IndexAnswer:
    """Return the state of the index that this server uses."""
    engine, folder = services().engine, services().settings.generations
    generation = engine.serving.generation
    manifest = generation.manifest
    return IndexAnswer(
        generation=manifest.generation_id,
        created_at=manifest.created_at,
        model=manifest.checkpoint_id,
        images=len(generation.gallery),
        classes=[IndexClass(name=each.name, images=each.count) for each in manifest.classes],
        problem=None if engine.problem is None else "A newer index cannot be used; the server's log says why.",
        earlier=[each for each in reversed(generations.generation_ids(folder)) if each < manifest.generation_id],
    )


@operation(
    "POST", "/index/rollback", "models:promote", body=GenerationRollback, answer=JobAnswer, status=202, problems=CHANGES
)
def roll_back_index(body: GenerationRollback) -> JobAnswer:
    """Start a job that publishes an earlier index again."""
    folder = services().settings.generations
    if body.generation is not None and body.generation not in generations.generation_ids(folder):
        abort(404, "This generation is not on disk anymore, so it cannot be published again.")
    return queued("rollback", {"what": "index", "to": body.generation or ""})


@operation("GET", "/models", "models:read", answer=ModelList)
def models() -> ModelList:
    """List the models."""
    settings = services().settings
    active = {*registry.promoted(settings, "reader")[:1], *registry.promoted(settings, "detector")[:1]}
    with suppress(VSearchError):  # nothing is published yet
        active.add(services().engine.serving.generation.checkpoint_id)
    return ModelList(
        models=[
            ModelAnswer(
                id=entry.checkpoint_id,
                role=entry.role,
                plan=entry.plan,
                where=entry.where,
                heads=list(entry.heads),
                created_at=entry.made,
                active=entry.checkpoint_id in active,
                problem=entry.problem or None,
            )
            for entry in registry.list_checkpoints(settings)
        ]
    )


@operation(
    "POST", "/models/<model_id>/promote", "models:promote", body=PromotionRequest, answer=JobAnswer, status=202,
    problems=CHANGES,
)  # fmt: skip
def promote_model(model_id: str, body: PromotionRequest) -> JobAnswer:
    """Start a job that replaces the model in use, unless the new one finds less."""
    if model_id not in {entry.checkpoint_id for entry in registry.list_checkpoints(services().settings)}:
        abort(404, "There is no model with this id.")
    despite = {"allow_drop": "1", "reason": (body.reason or "").strip()} if body.despite_loss else {}
    return queued("promote", {"model": model_id, **despite})


@operation(
    "POST", "/models/rollback", "models:promote", body=RoleRollback, answer=JobAnswer, status=202, problems=CHANGES
)
def roll_back_model(body: RoleRollback) -> JobAnswer:
    """Start a job that returns to the previous model of a role; with that of the search, to its index as well."""
    return queued("rollback", {"what": body.role})
