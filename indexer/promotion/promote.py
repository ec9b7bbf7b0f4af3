"""Another model takes the place of the one in use: only with an index built for it, and only if it finds no worse.

The candidate's whole generation is built hidden, as a night does it. Then the live generation and the hidden one answer
the frozen evaluation set, each as it would answer shoppers. Publishing changes model and index together, for a
generation names its checkpoint; what is refused leaves shoppers, nights and the disk as they were.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from catalog.models import utc_now
from indexer.build import nightly
from indexer.build.inputs import collect
from indexer.build.run import LOCK, RunContext, RunReport, current_manifest, exclusive_run, recorded
from indexer.promotion import comparison as trials
from indexer.promotion import evaluation_set
from indexer.promotion.comparison import Trial
from indexer.promotion.evaluation_set import FrozenSet
from vsearch.core.errors import CheckpointMismatch, GenerationError, NoGeneration, PromotionRefused
from vsearch.core.lock import run_lock
from vsearch.core.progress import Progress, no_stages
from vsearch.core.settings import Settings
from vsearch.evaluation.comparison import RankingComparison
from vsearch.index import generation as generations
from vsearch.index.manifest import Manifest
from vsearch.models import registry
from vsearch.models.checkpoint import Checkpoint
from vsearch.models.encoder import open_encoder
from vsearch.search.serving import OpenEncoder

LIVE, CANDIDATE = "the model in use", "the candidate"

_ROUNDING = 1e-9


@dataclass(frozen=True)
class Promotion:
    """What a promotion did; no trial when the model was in use already."""

    report: RunReport
    trial: Trial | None


@dataclass(frozen=True)
class Rollback:
    """From which generation to which; each names its model."""

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
    """Take a checkpoint into the store, and let it search in place of the model in use if it finds no worse.

    Args:
        settings: where everything is.
        candidate: from anywhere, see `vsearch.models.registry.opened`.
        allow_drop: loss of mean reciprocal rank that is accepted, as a share of 1.
        open_encoder: makes the encoder of a checkpoint.
        progress: shows how each stage advances.
        clock: tells the time that ids and records get.

    Raises:
        PromotionRefused: it finds worse, with the figures; or a setting names another model.
        NoGeneration: nothing is published to compare with.
        CheckpointMismatch: the candidate has no retrieval parts.
        VSearchError: the index could not be built; what is published stays.
    """
    _refuse_while_a_setting_decides(settings)
    _published(settings)
    _must_search(candidate)
    with exclusive_run(settings, open_encoder, progress=progress, clock=clock) as tools:
        stored = registry.add(settings, candidate)
        with recorded(tools.sessions) as record:
            promotion = _promoted(trials.sharing(tools), stored, _published(settings), allow_drop)
            stamped = replace(promotion, report=tools.stages.stamp(promotion.report))
            record(stamped.report)
            return stamped


def compare(
    settings: Settings,
    second: Checkpoint,
    first: Checkpoint | None = None,
    *,
    open_encoder: OpenEncoder = open_encoder,
    progress: Progress = no_stages,
    clock: Callable[[], datetime] = utc_now,
) -> Trial:
    """Measure two models on the frozen evaluation set and publish nothing; without a first, the one in use is that.

    Raises:
        CheckpointMismatch: one has no retrieval parts.
        NoGeneration: no first is given and nothing is published.
        VSearchError: the index could not be built.
    """
    if first is None:
        _published(settings)
    chosen = [checkpoint for checkpoint in (first, second) if checkpoint]
    for checkpoint in chosen:
        _must_search(checkpoint)
    names = (first.checkpoint_id if first else LIVE, second.checkpoint_id)
    with exclusive_run(settings, open_encoder, progress=progress, clock=clock) as tools, trials.nothing_left(settings):
        shared = trials.sharing(tools)
        evaluation = trials.evaluation_set(shared)
        current = current_manifest(settings)
        found = [trials.standing(shared, checkpoint, current) for checkpoint in chosen]
        if first is None:
            found = [trials.load(shared, settings.generations / _published(settings).generation_id), *found]
        return trials.run_trial(shared, evaluation, (found[0], found[1]), names)


def rollback(settings: Settings, clock: Callable[[], datetime] = utc_now) -> Rollback:
    """Take the last promotion back: the model before and its last index, together; the nights go on with that model.

    Raises:
        RunInProgress: an index run is going.
        NoGeneration: nothing is published.
        GenerationError: no promotion can be taken back; or what it replaced is gone or damaged. Nothing changed.
        CheckpointError: the model before is gone or damaged; nothing changed.
    """
    with run_lock(settings.data / LOCK, clock()):
        current = _published(settings)
        before = current.model_before
        if before is None:
            raise GenerationError(
                f"A rollback of the model needs a model before, but {current.checkpoint_id} is the first; "
                "`vsearch index rollback` takes back the last index alone."
            )
        if before not in generations.generation_ids(settings.generations):
            raise GenerationError(
                f"A rollback of the model needs generation {before}, but it is no longer on disk; "
                "promote the old model again (`vsearch models list`) with --allow-drop."
            )
        old = generations.load(settings.generations / before)
        registry.find(settings, old.checkpoint_id)
        generations.make_current(settings.generations, before)
        return Rollback(current.generation_id, old.manifest)


def freeze(
    settings: Settings,
    shots: evaluation_set.Shots | None = None,
    *,
    replace: bool = False,
    clock: Callable[[], datetime] = utc_now,
) -> FrozenSet:
    """Freeze an evaluation set: these photos with their skus, or photos made from the catalogue.

    Raises:
        DatasetError: there is one already and `replace` is not given, or a sku is none of the catalogue's.
        CatalogError: the catalogue has no readable picture.
    """
    with exclusive_run(settings, open_encoder, progress=no_stages, clock=clock) as tools:
        return trials.freeze_set(tools, shots, replace=replace)


# ---- steps ----


def _promoted(tools: RunContext, candidate: Checkpoint, current: Manifest, allow_drop: float) -> Promotion:
    settings = tools.settings
    names = (f"{LIVE} ({current.checkpoint_id})", f"{CANDIDATE} ({candidate.checkpoint_id})")
    with trials.nothing_left(settings) as keep:
        live = trials.load(tools, settings.generations / current.generation_id)
        evaluation = trials.evaluation_set(tools)
        material = collect(tools, candidate, current)
        if material.origin.fingerprint == current.fingerprint:
            return Promotion(nightly.unchanged(current, material.catalog), None)
        origin = material.origin.model_copy(update={"model_before": current.generation_id})
        material = replace(material, origin=origin)
        hidden = nightly.build_generation(tools, material)
        trial = trials.run_trial(tools, evaluation, (live, trials.load(tools, hidden)), (LIVE, CANDIDATE))
        _gate(trial.comparison, names, allow_drop)
        keep()
    report = nightly.publish(tools, material, hidden)
    note = f"Model {candidate.checkpoint_id} promoted: {trial.comparison.sentence(*names)}."
    return Promotion(replace(report, note=note, promoted=candidate.checkpoint_id), trial)


def _gate(comparison: RankingComparison, names: tuple[str, str], allow_drop: float) -> None:
    change = comparison.mrr.difference.mean
    if change < -(allow_drop + _ROUNDING):
        enough = math.ceil(-change * 1000) / 1000
        raise PromotionRefused(
            f"A model is promoted only if it finds products {_no_worse(allow_drop)} than the one in use, but "
            f"{comparison.sentence(*names)}; train it further, or accept the loss knowingly "
            f"with --allow-drop {enough:g}."
        )


def _no_worse(allow_drop: float) -> str:
    return f"at most {allow_drop:g} worse" if allow_drop else "no worse"


def _published(settings: Settings) -> Manifest:
    try:
        return generations.read_manifest(generations.current(settings.generations))
    except NoGeneration:
        raise NoGeneration(
            f"A model is compared with the one in use, but {settings.generations} holds no published index; "
            "run `vsearch index run` first."
        ) from None


def _must_search(checkpoint: Checkpoint) -> None:
    if not checkpoint.searchable:
        raise CheckpointMismatch(
            f"A model that searches needs retrieval parts, but checkpoint {checkpoint.checkpoint_id} has none; "
            "give its plan the table [assemble] and train again."
        )


def _refuse_while_a_setting_decides(settings: Settings) -> None:
    if settings.checkpoint:
        raise PromotionRefused(
            "The nights must go on with the model that is promoted, but the setting checkpoint names "
            f"{settings.checkpoint} for them; remove it (VSEARCH_CHECKPOINT, vsearch.toml) and promote again."
        )
