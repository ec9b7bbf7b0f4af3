import shutil

import numpy as np
import pytest
from sqlalchemy import select

from catalog.embeddings import Key
from catalog.models import StoredBlocks
from indexer.encode import view_of
from indexer.run import run
from tests.fakes import FakeEncoder, fake_checkpoint
from tests.indexer.killed_run import LOG, Moment, digest, promoting_child, run_until
from tests.indexer.shop import Shop
from vsearch.engine import ALL, Engine, Search
from vsearch.images import decode

STAGES = (
    "encode pictures",
    "encode views",
    "fit the heads",
    "fit the embedding",
    "build the indexes",
    "verify",
    "publish",
    "prune",
)

MOMENTS = [
    *(Moment(stage) for stage in STAGES),
    *(Moment("encode pictures", step=step) for step in (1, 2)),
    *(Moment("publish", write=write) for write in (1, 8, 13, 14, 15)),
    *(Moment(seconds=float(seconds)) for seconds in np.random.default_rng(0).uniform(0.1, 1, 5)),
]


def stored(shop: Shop) -> set[Key]:
    """Return the keys of all stored blocks."""
    with shop.sessions() as session:
        return {(sha256, view) for sha256, view in session.execute(select(StoredBlocks.sha256, StoredBlocks.view))}


def encoded(shop: Shop) -> list[str]:
    """Return the digests of the pictures that were encoded, in all runs together."""
    log = shop.settings.data / LOG
    return log.read_text().splitlines() if log.exists() else []


def digests(shop: Shop, keys: set[Key]) -> set[str]:
    """Return what the views of these keys are called in the log."""
    return {digest(view_of(decode(shop.store.read(sha256)), sha256, view)) for sha256, view in keys}


@pytest.mark.slow
def test_a_run_may_be_killed_at_any_moment(indexed_shop: Shop) -> None:
    """A whole generation is served after each kill, no stored picture is encoded again, and the next run finishes."""
    shop = indexed_shop
    engine = Engine(shop.settings, FakeEncoder)
    picture = decode(shop.store.read(shop.rows()[0].sha256))
    exit_codes = []
    for number, moment in enumerate(MOMENTS):
        shop.add([f"K{number:03d}"], "Lamps", pictures=5)
        before, log_before = stored(shop), len(encoded(shop))
        exit_codes.append(run_until(shop.settings.data, moment))
        assert not digests(shop, before) & set(encoded(shop)[log_before:])
        engine.refresh()
        assert engine.problem is None
        assert engine.search(picture, Search(k=1, classes=ALL)).hits[0].product_id == shop.rows()[0].product_id
    assert exit_codes[: -len([moment for moment in MOMENTS if moment.seconds])] == [-9] * 15
    shop.add(["K999"], "Lamps")  # the last moment may lie after its publication: the run that nobody kills has work too
    assert run_until(shop.settings.data, Moment()) == 0
    engine.refresh()
    served = engine.serving.generation.gallery.image_ids.tolist()
    assert served == [row.image_id for row in shop.rows()]
    assert shop.latest_run().state == "published"
    left = [path.name for path in shop.settings.generations.iterdir() if path.name.startswith(".")]
    assert left == []


PROMOTION_STAGES = (*STAGES[:6], "evaluate the model in use", "evaluate the candidate", *STAGES[6:])
PROMOTION_MOMENTS = [
    *(Moment(stage) for stage in PROMOTION_STAGES),
    *(Moment("publish", write=write) for write in (1, 13, 14)),
]


@pytest.mark.slow
def test_a_promotion_may_be_killed_at_any_moment(indexed_shop: Shop) -> None:
    """The model in use answers with its own index until the other one does, and the next run clears the rest away."""
    settings = indexed_shop.settings.model_copy(update={"checkpoint": ""})
    engine = Engine(settings, FakeEncoder)
    picture = decode(indexed_shop.store.read(indexed_shop.rows()[0].sha256))
    for number, moment in enumerate(PROMOTION_MOMENTS):
        new = fake_checkpoint(settings.data / "candidate", trunk=2 + number)
        assert run_until(settings.data, moment, promoting_child) == -9
        shutil.rmtree(new.folder)
        engine.refresh()
        assert engine.problem is None
        serving = engine.serving
        assert serving.encoder.blocks_id == serving.checkpoint.blocks_id == serving.generation.blocks_id
        assert (serving.generation.blocks_id == new.blocks_id) == (moment.stage == "prune")
        found = engine.search(picture, Search(k=1, classes=ALL)).hits[0]
        assert found.product_id == indexed_shop.rows()[0].product_id
    serving = engine.serving
    assert run(settings, open_encoder=FakeEncoder).state == "unchanged"
    assert engine.refresh() is False
    left = [path.name for folder in (settings.generations, settings.checkpoints) for path in folder.glob(".*")]
    assert left == []


@pytest.mark.slow
def test_runs_that_nobody_kills_encode_every_picture_once(shop: Shop) -> None:
    """The log of the test above is to be believed."""
    assert run_until(shop.settings.data, Moment()) == 0
    assert len(encoded(shop)) == 36
    assert set(encoded(shop)) == digests(shop, stored(shop))
    assert run_until(shop.settings.data, Moment()) == 0
    assert len(encoded(shop)) == 36
