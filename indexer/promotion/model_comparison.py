"""Two models on the evaluation set, each searching an index of its own, published or not."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import numpy as np

from catalog import queries
from catalog.models import utc_now
from indexer.build.inputs import collect
from indexer.build.nightly import build_generation
from indexer.build.run import RunContext, current_manifest, exclusive_run
from indexer.promotion import evaluation_set
from indexer.promotion.evaluation_set import EvaluationSet
from vsearch.core.errors import CheckpointMismatch, NoGeneration
from vsearch.core.progress import Progress, no_stages
from vsearch.core.settings import Settings
from vsearch.evaluation import comparison
from vsearch.evaluation.comparison import RankingComparison
from vsearch.index import generation as generations
from vsearch.index import retention
from vsearch.index.generation import Manifest
from vsearch.models import registry
from vsearch.models.checkpoint import Checkpoint
from vsearch.models.encoder import Encoder, open_encoder
from vsearch.search.engine import Engine
from vsearch.search.serving import OpenEncoder, Serving, prepare

IN_USE = "the model in use"


@dataclass(frozen=True)
class ModelComparison:
    """Two models on the evaluation set, each with an index of the same pictures.

    Attributes:
        first, second: names of the models.
        comparison: the figures.
        skipped: photos whose product was withdrawn or is not in both indexes.
        pictures: catalog pictures that both searched.
        evaluation: description of the set.
    """

    first: str
    second: str
    comparison: RankingComparison
    skipped: int
    pictures: int
    evaluation: str


def compare(
    settings: Settings,
    second: Checkpoint,
    first: Checkpoint | None = None,
    *,
    open_encoder: OpenEncoder = open_encoder,
    progress: Progress = no_stages,
    clock: Callable[[], datetime] = utc_now,
) -> ModelComparison:
    """Measure two models and publish nothing; `first` defaults to the model in use.

    Raises:
        CheckpointMismatch: a checkpoint cannot search.
        NoGeneration: `first` is not given and nothing is published.
        VSearchError: an index cannot be built.
    """
    if first is None:
        published_manifest(settings)
    checkpoints = [checkpoint for checkpoint in (first, second) if checkpoint]
    for checkpoint in checkpoints:
        require_searchable(checkpoint)
    with (
        exclusive_run(settings, open_encoder, progress=progress, clock=clock) as context,
        discard_unpublished(settings),
    ):
        context = with_shared_encoders(context)
        photos = evaluation_set.load_or_create(context)
        current = current_manifest(settings)
        hidden = [build_generation(context, collect(context, checkpoint, current)) for checkpoint in checkpoints]
        servings = [load(context, folder) for folder in hidden]
        if first is None:
            servings = [load(context, generations.current(settings.generations)), *servings]
        names = (first.checkpoint_id if first else IN_USE, second.checkpoint_id)
        return compare_servings(context, photos, (servings[0], servings[1]), names)


def compare_servings(
    context: RunContext, photos: EvaluationSet, servings: tuple[Serving, Serving], names: tuple[str, str]
) -> ModelComparison:
    """Search both for the evaluation set, among the pictures that both have: one index may be out of date."""
    first, second = (serving.generation.gallery.image_ids for serving in servings)
    common = np.intersect1d(first, second)
    searched = set(common.tolist())
    with context.sessions() as session:
        product_ids = {row.sku: row.product_id for row in queries.gallery_rows(session) if row.image_id in searched}
    asked = photos.queries(product_ids)
    ranked = []
    for serving, name in zip(servings, names, strict=True):
        engine = Engine(context.settings, context.open_encoder, serving=serving)
        allowed = None if len(serving.generation.gallery) == len(common) else common
        with context.stages(f"evaluate {name}") as advance:
            ranked.append(comparison.rank(engine, asked, allowed=allowed, advance=advance))
    figures = comparison.compare_rankings(ranked[0], ranked[1], [query.relevant for query in asked])
    return ModelComparison(*names, figures, len(photos.answers) - len(asked), len(common), str(photos))


def load(context: RunContext, folder: Path) -> Serving:
    """Load a generation, hidden or published, with what searching it needs."""
    return prepare(generations.load(folder), context.settings, open_encoder=context.open_encoder)


def with_shared_encoders(context: RunContext) -> RunContext:
    """Return a context that opens one encoder for all checkpoints with the same blocks."""
    opened: dict[str, Encoder] = {}

    def open_once(checkpoint: Checkpoint) -> Encoder:
        if checkpoint.blocks_id not in opened:
            opened[checkpoint.blocks_id] = context.open_encoder(checkpoint)
        return opened[checkpoint.blocks_id]

    return replace(context, open_encoder=open_once)


@contextmanager
def discard_unpublished(settings: Settings) -> Iterator[None]:
    """Delete at the end the hidden generations, and those new checkpoints that the published index does not use."""
    before = registry.shop_folders(settings)
    try:
        yield
    finally:
        retention.remove_leftovers(settings.generations)
        in_use = published_manifest(settings).checkpoint_id
        for folder in set(registry.shop_folders(settings)) - set(before):
            if folder.name != in_use:
                shutil.rmtree(folder)


def published_manifest(settings: Settings) -> Manifest:
    """Return the manifest of the published generation.

    Raises:
        NoGeneration: nothing is published.
    """
    try:
        return generations.read_manifest(generations.current(settings.generations))
    except NoGeneration:
        raise NoGeneration(
            f"No index is published in {settings.generations} to compare the model with. Run `vsearch index run` first."
        ) from None


def require_searchable(checkpoint: Checkpoint) -> None:
    """Raise CheckpointMismatch if a checkpoint has no retrieval parts."""
    if not checkpoint.searchable:
        raise CheckpointMismatch(
            f"Checkpoint {checkpoint.checkpoint_id} cannot search: it has no retrieval parts. "
            "Add the table [assemble] to its plan and train again."
        )
