"""Two models on the frozen evaluation set: each with a whole index of its own, published or not."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from catalog import queries
from catalog.image_store import ImageStore
from indexer.build.inputs import collect
from indexer.build.nightly import build_generation
from indexer.build.run import RunContext
from indexer.promotion import evaluation_set as frozen
from indexer.promotion.evaluation_set import FrozenSet
from vsearch.core.errors import GenerationCorrupt
from vsearch.core.settings import Settings
from vsearch.evaluation import comparison
from vsearch.evaluation.comparison import RankingComparison
from vsearch.index import generation as generations
from vsearch.index import retention
from vsearch.index.manifest import Manifest
from vsearch.models import registry
from vsearch.models.checkpoint import Checkpoint
from vsearch.models.encoder import Encoder
from vsearch.search.engine import Engine
from vsearch.search.serving import Serving, prepare


@dataclass(frozen=True)
class Trial:
    """Two models on the frozen evaluation set, each with an index of the same pictures.

    Attributes:
        first, second: what they are called.
        comparison: the figures.
        left_out: photos of the set whose product is withdrawn, or not in both indexes.
        pictures: catalogue pictures that both searched.
        evaluation: the set, in words.
    """

    first: str
    second: str
    comparison: RankingComparison
    left_out: int
    pictures: int
    evaluation: str


def standing(tools: RunContext, checkpoint: Checkpoint, current: Manifest | None) -> Serving:
    """Return what a checkpoint would answer with: a generation on disk made of the same things, or a hidden one."""
    material = collect(tools, checkpoint, current)
    folder = tools.settings.generations
    for generation_id in reversed(generations.generation_ids(folder)):
        try:
            if generations.read_manifest(folder / generation_id).fingerprint == material.origin.fingerprint:
                return load(tools, folder / generation_id)
        except GenerationCorrupt:
            continue
    return load(tools, build_generation(tools, material))


def run_trial(
    tools: RunContext, evaluation: FrozenSet, servings: tuple[Serving, Serving], names: tuple[str, str]
) -> Trial:
    """Let both answer the frozen set, among the pictures that both hold: one index may be older than the catalogue."""
    first, second = (serving.generation.gallery.image_ids for serving in servings)
    common = np.intersect1d(first, second)
    searched = set(common.tolist())
    with tools.sessions() as session:
        product_ids = {row.sku: row.product_id for row in queries.gallery_rows(session) if row.image_id in searched}
    asked = evaluation.queries(product_ids)
    ranked = []
    for serving, name in zip(servings, names, strict=True):
        engine = Engine(tools.settings, tools.open_encoder, serving=serving)
        allowed = None if len(serving.generation.gallery) == len(common) else common
        with tools.stages(f"evaluate {name}") as advance:
            ranked.append(comparison.rank(engine, asked, allowed=allowed, advance=advance))
    figures = comparison.compare_rankings(ranked[0], ranked[1], [query.relevant for query in asked])
    return Trial(*names, figures, len(evaluation.answers) - len(asked), len(common), str(evaluation))


def load(tools: RunContext, folder: Path) -> Serving:
    """Load a generation, hidden or published, with all that it answers with."""
    return prepare(generations.load(folder), tools.settings, open_encoder=tools.open_encoder)


def evaluation_set(tools: RunContext) -> FrozenSet:
    """Return the frozen set; where there is none yet, one is made from the catalogue, once and for all."""
    return frozen.load(tools.settings) or freeze_set(tools, None, replace=False)


def freeze_set(tools: RunContext, shots: frozen.Shots | None, *, replace: bool) -> FrozenSet:
    """Freeze these photos, or photos made from the catalogue; see `indexer.promotion.evaluation_set.freeze`."""
    with tools.sessions() as session:
        rows = queries.gallery_rows(session)
    about: dict[str, object] = {"kind": "own"}
    if shots is None:
        about = {"kind": "made", "seed": frozen.SEED}
        shots = frozen.made_shots(rows, ImageStore(tools.settings.pictures))
    with tools.stages("make the evaluation set"):
        return frozen.freeze(
            tools.settings,
            frozen.known(shots, {row.sku for row in rows}),
            about=about,
            now=tools.clock(),
            replace=replace,
        )


def sharing(tools: RunContext) -> RunContext:
    """Return the same tools, whose encoders are opened once for all generations with the same blocks."""
    opened: dict[str, Encoder] = {}

    def open_once(checkpoint: Checkpoint) -> Encoder:
        if checkpoint.blocks_id not in opened:
            opened[checkpoint.blocks_id] = tools.open_encoder(checkpoint)
        return opened[checkpoint.blocks_id]

    return replace(tools, open_encoder=open_once)


@contextmanager
def nothing_left(settings: Settings) -> Iterator[Callable[[], None]]:
    """Delete at the end what hidden generations and checkpoints there are that were not before.

    What is yielded is called when they shall stay.
    """
    before = registry.shop_folders(settings)
    kept = False

    def keep() -> None:
        nonlocal kept
        kept = True

    try:
        yield keep
    finally:
        if not kept:
            retention.remove_leftovers(settings.generations)
            for folder in set(registry.shop_folders(settings)) - set(before):
                shutil.rmtree(folder)
