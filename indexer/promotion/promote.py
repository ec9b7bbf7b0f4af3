"""Compares a candidate model with the one in use, and promotes it with its own index unless it is worse.

Each model searches its own index for the photos of the evaluation set through `Engine.search`, with the product
detector, as it would for shoppers. Publishing changes model and index together, since a generation names its
checkpoint; a rejected promotion changes nothing.
"""

import math
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime

from catalog import reviews
from catalog.models import utc_now
from indexer.build.reindex import build_generation, collect, publish, unchanged
from indexer.build.run_context import (
    LOCK,
    RunContext,
    RunReport,
    current_manifest,
    exclusive_run,
    recorded,
    shop_checkpoint,
)
from indexer.promotion import evaluation_set
from indexer.promotion.model_comparison import CANDIDATE, IN_USE, REFITTED, ModelComparison, compare_generations
from vsearch.core.errors import CheckpointMismatch, GenerationError, PromotionRefused
from vsearch.core.lock import run_lock
from vsearch.core.progress import Progress, no_stages
from vsearch.core.settings import Settings
from vsearch.detection.detector import OpenDetector, ProductDetector, open_active, open_checkpoint
from vsearch.evaluation.comparison import Paired
from vsearch.index import generation as generations
from vsearch.index import retention
from vsearch.index.generation import Manifest
from vsearch.models import registry
from vsearch.models.checkpoint import Checkpoint
from vsearch.models.encoder import Encoder
from vsearch.search.serving import OpenEncoder

_ROUNDING = 1e-9


@dataclass(frozen=True)
class Promotion:
    """The result of a promotion; `comparison` is None if the model was already in use."""

    report: RunReport
    comparison: ModelComparison | None


@dataclass(frozen=True)
class ModelRollback:
    """The generation that was replaced, and the manifest of the one that is published now."""

    before: str
    now: Manifest


def compare(
    settings: Settings,
    second: Checkpoint | None = None,
    first: Checkpoint | None = None,
    *,
    open_encoder: OpenEncoder = Encoder,
    open_detector: OpenDetector = open_active,
    progress: Progress = no_stages,
) -> ModelComparison:
    """Compare two models without publishing anything; both default to the model in use.

    A `second` model is fitted to all reviewed photos, the model in use to those it was published with.

    Raises:
        CheckpointMismatch: a checkpoint cannot be used for search.
        NoGeneration: `first` is not given and nothing is published.
        VSearchError: an index cannot be built.
    """
    if first is None:
        _published_manifest(settings)
    name = second.checkpoint_id if second else REFITTED
    second = second or shop_checkpoint(settings, _published_manifest(settings))
    checkpoints = [checkpoint for checkpoint in (first, second) if checkpoint]
    for checkpoint in checkpoints:
        _require_searchable(checkpoint)
    with (
        exclusive_run(settings, open_encoder, open_detector, progress=progress) as context,
        _discard_unpublished(settings),
    ):
        context = _with_shared_encoders(context)
        photos = evaluation_set.load_or_create(context)
        current = current_manifest(settings)
        labels = latest_label(context)
        hidden = [build_generation(context, collect(context, each, current, labels))[0] for each in checkpoints]
        folders = hidden if first else [generations.current(settings.generations), *hidden]
        names = (first.checkpoint_id if first else IN_USE, name)
        return compare_generations(context, photos, (folders[0], folders[1]), names)


def promote(
    settings: Settings,
    candidate: Checkpoint | None = None,
    *,
    allow_drop: float = 0.0,
    reason: str = "",
    open_encoder: OpenEncoder = Encoder,
    open_detector: OpenDetector = open_active,
    progress: Progress = no_stages,
    clock: Callable[[], datetime] = utc_now,
) -> Promotion:
    """Add a checkpoint to the store, and replace the model in use with it unless it performs worse.

    Its class heads and whitening are fitted to the catalog and to all reviewed photos.

    Args:
        settings: of the shop.
        candidate: from anywhere, see `vsearch.models.registry.open_checkpoint`; by default the model in use, which is
            fitted anew.
        allow_drop: accepted loss of hit@1 and of hit@5, 0 to 1; see `check_drop`.
        reason: why a loss is accepted; recorded with the run.
        open_encoder: opens the encoder of a checkpoint.
        open_detector: opens the product detector.
        progress: shows the stages.
        clock: returns the current time.

    Raises:
        PromotionRefused: it performs worse, or the `checkpoint` setting names a different model.
        NoGeneration: nothing is published to compare it with.
        CheckpointMismatch: the candidate cannot be used for search.
        VSearchError: the index cannot be built; the published one is kept.
    """
    if settings.checkpoint:
        raise PromotionRefused(
            f"The `checkpoint` setting names {settings.checkpoint}, which nightly jobs would return to. "
            "Remove the setting (VSEARCH_CHECKPOINT, vsearch.toml) and promote again."
        )
    candidate = candidate or shop_checkpoint(settings, _published_manifest(settings))
    _published_manifest(settings)
    _require_searchable(candidate)
    with exclusive_run(settings, open_encoder, open_detector, progress=progress, clock=clock) as context:
        stored = registry.add(settings, candidate)
        with recorded(context) as record:
            promotion = _promote(_with_shared_encoders(context), stored, allow_drop, reason)
            return replace(promotion, report=record(promotion.report))


def promote_detector(
    settings: Settings,
    candidate: Checkpoint,
    *,
    allow_drop: float = 0.0,
    open_encoder: OpenEncoder = Encoder,
    open_detector: OpenDetector = open_active,
    open_candidate: Callable[[Checkpoint], ProductDetector] = open_checkpoint,
    progress: Progress = no_stages,
    clock: Callable[[], datetime] = utc_now,
) -> ModelComparison:
    """Add a checkpoint to the store, and make it the product detector unless searches with it perform worse.

    Both detectors search the published index for the evaluation set. The next index run calibrates match labels anew.

    Raises:
        PromotionRefused: searches with it perform worse; see `check_drop`.
        NoGeneration: nothing is published.
        CheckpointMismatch: the candidate is not a detector.
    """
    _published_manifest(settings)
    detector = open_candidate(candidate)
    with exclusive_run(settings, open_encoder, open_detector, progress=progress, clock=clock) as context:
        photos = evaluation_set.load_or_create(context)
        folder = generations.current(settings.generations)
        detectors = (context.open_detector, lambda _: detector)
        result = compare_generations(context, photos, (folder, folder), (IN_USE, CANDIDATE), detectors)
        _check_drops(result, (IN_USE, f"{CANDIDATE} ({candidate.checkpoint_id})"), allow_drop)
        registry.use(settings, "detector", registry.add(settings, candidate).checkpoint_id)
    return result


def rollback(settings: Settings, clock: Callable[[], datetime] = utc_now) -> ModelRollback:
    """Undo the last promotion: publish the previous model's last index; nightly jobs continue with that model.

    Raises:
        RunInProgress: an index run holds the lock.
        NoGeneration: nothing is published.
        GenerationError: there is no promotion to undo, or the previous index is gone or damaged.
        CheckpointError: the previous model is gone or damaged.
    """
    with run_lock(settings.data / LOCK, clock()):
        current = _published_manifest(settings)
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


def rollback_detector(settings: Settings, clock: Callable[[], datetime] = utc_now) -> Checkpoint | None:
    """Return to the previous detector; see `vsearch.models.registry.rollback`."""
    with run_lock(settings.data / LOCK, clock()):
        return registry.rollback(settings, "detector")


def check_drop(paired: Paired, allow_drop: float, figures: str) -> None:
    """Raise PromotionRefused if the 95 % interval of the difference (second minus first) lies below -`allow_drop`.

    A test of the mean alone would reject one of every two equally good models.
    """
    smallest_loss = -paired.difference.high
    if smallest_loss > allow_drop + _ROUNDING:
        allowed = f" by more than the allowed {allow_drop:g}" if allow_drop else ""
        sufficient = math.ceil(smallest_loss * 1000) / 1000
        raise PromotionRefused(
            f"The candidate is clearly worse than the model in use{allowed}: {figures}. "
            f"Train it further, or accept the loss with --allow-drop {sufficient:g}."
        )


def _check_drops(result: ModelComparison, names: tuple[str, str], allow_drop: float) -> str:
    """Return the figures as a sentence; see `check_drop`."""
    figures = result.comparison.sentence(*names)
    for paired in (result.comparison.hit_at_1, result.comparison.hit_at_5):
        check_drop(paired, allow_drop, figures)
    return figures


def latest_label(context: RunContext) -> int:
    """Return the id of the latest label of reviewed photos; 0 if there is none."""
    with context.sessions() as session:
        return reviews.latest_label_id(session) or 0


def _promote(context: RunContext, candidate: Checkpoint, allow_drop: float, reason: str) -> Promotion:
    settings = context.settings
    current = _published_manifest(settings)
    with _discard_unpublished(settings):
        photos = evaluation_set.load_or_create(context)
        inputs = collect(context, candidate, current, latest_label(context))
        if inputs.origin.fingerprint == current.fingerprint:
            return Promotion(unchanged(current, inputs.catalog), None)
        origin = inputs.origin.model_copy(update={"model_before": current.generation_id})
        inputs = replace(inputs, origin=origin)
        hidden, generation = build_generation(context, inputs)
        folders = settings.generations / current.generation_id, hidden
        result = compare_generations(context, photos, folders, (IN_USE, CANDIDATE))
        names = (f"{IN_USE} ({current.checkpoint_id})", f"{CANDIDATE} ({candidate.checkpoint_id})")
        figures = _check_drops(result, names, allow_drop)
        report = publish(context, inputs, hidden, generation)
    note = f"Model {candidate.checkpoint_id} promoted: {figures}." + (
        f" A loss was accepted: {reason}" if reason else ""
    )
    return Promotion(replace(report, note=note, promoted=candidate.checkpoint_id), result)


def _with_shared_encoders(context: RunContext) -> RunContext:
    """Return a context that opens a single encoder for all checkpoints with the same blocks."""
    opened: dict[str, Encoder] = {}

    def open_once(checkpoint: Checkpoint) -> Encoder:
        if checkpoint.blocks_id not in opened:
            opened[checkpoint.blocks_id] = context.open_encoder(checkpoint)
        return opened[checkpoint.blocks_id]

    return replace(context, open_encoder=open_once)


@contextmanager
def _discard_unpublished(settings: Settings) -> Iterator[None]:
    """At the end, delete hidden generations and new checkpoints that the published index does not use."""
    before = registry.shop_folders(settings)
    try:
        yield
    finally:
        retention.remove_leftovers(settings.generations)
        in_use = current_manifest(settings)
        for folder in set(registry.shop_folders(settings)) - set(before):
            if in_use is None or folder.name != in_use.checkpoint_id:
                shutil.rmtree(folder)


def _published_manifest(settings: Settings) -> Manifest:
    return generations.read_manifest(generations.current(settings.generations))


def _require_searchable(checkpoint: Checkpoint) -> None:
    if not checkpoint.searchable:
        raise CheckpointMismatch(
            f"Checkpoint {checkpoint.checkpoint_id} cannot be used for search: it has no retrieval parts. "
            "Add an [assemble] table to its plan and train again."
        )
