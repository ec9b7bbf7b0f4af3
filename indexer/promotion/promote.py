"""Promotion: a candidate model replaces the one in use, together with an index built for it, if it finds no worse.

The candidate's generation is built hidden. Then the published and the hidden generation answer the evaluation set as
they would answer shoppers. Publishing changes model and index together, since a generation names its checkpoint; a
refusal changes nothing.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from catalog.models import utc_now
from indexer.build.inputs import collect
from indexer.build.nightly import build_generation, publish, unchanged
from indexer.build.run import LOCK, RunContext, RunReport, exclusive_run, recorded
from indexer.promotion import evaluation_set
from indexer.promotion.model_comparison import (
    IN_USE,
    ModelComparison,
    compare_servings,
    discard_unpublished,
    load,
    published_manifest,
    require_searchable,
    with_shared_encoders,
)
from vsearch.core.errors import GenerationError, PromotionRefused
from vsearch.core.lock import run_lock
from vsearch.core.progress import Progress, no_stages
from vsearch.core.settings import Settings
from vsearch.evaluation.comparison import Paired
from vsearch.index import generation as generations
from vsearch.index.generation import Manifest
from vsearch.models import registry
from vsearch.models.checkpoint import Checkpoint
from vsearch.models.encoder import open_encoder
from vsearch.search.serving import OpenEncoder

CANDIDATE = "the candidate"

_ROUNDING = 1e-9


@dataclass(frozen=True)
class Promotion:
    """What a promotion did; `comparison` is None if the model was in use already."""

    report: RunReport
    comparison: ModelComparison | None


@dataclass(frozen=True)
class ModelRollback:
    """The generation that was replaced, and the manifest of the one that is published again."""

    before: str
    now: Manifest


def promote(
    settings: Settings,
    candidate: Checkpoint,
    *,
    allow_drop: float = 0.0,
    open_encoder: OpenEncoder = open_encoder,
    progress: Progress = no_stages,
    clock: Callable[[], datetime] = utc_now,
) -> Promotion:
    """Add a checkpoint to the store, and let it search in place of the model in use if it finds no worse.

    Args:
        candidate: from anywhere, see `vsearch.models.registry.open_checkpoint`.
        allow_drop: accepted loss of mean reciprocal rank, 0 to 1.

    Raises:
        PromotionRefused: it finds worse, or a setting names another model.
        NoGeneration: nothing is published to compare with.
        CheckpointMismatch: the candidate cannot search.
        VSearchError: the index cannot be built; the published one stays.
    """
    if settings.checkpoint:
        raise PromotionRefused(
            f"The setting checkpoint names {settings.checkpoint}, which nightly jobs would return to. "
            "Remove it (VSEARCH_CHECKPOINT, vsearch.toml) and promote again."
        )
    published_manifest(settings)
    require_searchable(candidate)
    with exclusive_run(settings, open_encoder, progress=progress, clock=clock) as context:
        stored = registry.add(settings, candidate)
        with recorded(context.sessions) as record:
            promotion = _promote(with_shared_encoders(context), stored, allow_drop)
            promotion = replace(promotion, report=context.stages.stamp(promotion.report))
            record(promotion.report)
            return promotion


def rollback(settings: Settings, clock: Callable[[], datetime] = utc_now) -> ModelRollback:
    """Undo the last promotion: publish the previous model's last index; nightly jobs continue with that model.

    Raises:
        RunInProgress: an index run holds the lock.
        NoGeneration: nothing is published.
        GenerationError: there is no promotion to undo, or the previous index is gone or damaged.
        CheckpointError: the previous model is gone or damaged.
    """
    with run_lock(settings.data / LOCK, clock()):
        current = published_manifest(settings)
        before = current.model_before
        if before is None:
            raise GenerationError(
                f"There is no promotion to undo: {current.checkpoint_id} is the first model. "
                "Use `vsearch index rollback` to undo the last index only."
            )
        if before not in generations.generation_ids(settings.generations):
            raise GenerationError(
                f"The previous model's generation {before} is no longer on disk. "
                "Promote that model again with --allow-drop; `vsearch models list` shows its id."
            )
        old = generations.load(settings.generations / before)
        registry.find(settings, old.checkpoint_id)
        generations.make_current(settings.generations, before)
        return ModelRollback(current.generation_id, old.manifest)


def check_drop(paired: Paired, allow_drop: float, figures: str) -> None:
    """Raise PromotionRefused if the second of two models scores worse than the first by more than `allow_drop`."""
    change = paired.difference.mean
    if change < -(allow_drop + _ROUNDING):
        allowed = f" by more than the allowed {allow_drop:g}" if allow_drop else ""
        sufficient = math.ceil(-change * 1000) / 1000
        raise PromotionRefused(
            f"The candidate is worse than the model in use{allowed}: {figures}. "
            f"Train it further, or accept the loss with --allow-drop {sufficient:g}."
        )


def _promote(context: RunContext, candidate: Checkpoint, allow_drop: float) -> Promotion:
    settings = context.settings
    current = published_manifest(settings)
    with discard_unpublished(settings):
        in_use = load(context, settings.generations / current.generation_id)
        photos = evaluation_set.load_or_create(context)
        inputs = collect(context, candidate, current)
        if inputs.origin.fingerprint == current.fingerprint:
            return Promotion(unchanged(current, inputs.catalog), None)
        origin = inputs.origin.model_copy(update={"model_before": current.generation_id})
        inputs = replace(inputs, origin=origin)
        hidden = build_generation(context, inputs)
        result = compare_servings(context, photos, (in_use, load(context, hidden)), (IN_USE, CANDIDATE))
        names = (f"{IN_USE} ({current.checkpoint_id})", f"{CANDIDATE} ({candidate.checkpoint_id})")
        figures = result.comparison.sentence(*names)
        check_drop(result.comparison.mrr, allow_drop, figures)
        report = publish(context, inputs, hidden)
    note = f"Model {candidate.checkpoint_id} promoted: {figures}."
    return Promotion(replace(report, note=note, promoted=candidate.checkpoint_id), result)
