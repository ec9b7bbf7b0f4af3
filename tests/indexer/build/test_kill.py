import shutil
import signal

import pytest

from indexer.build.nightly import reindex
from tests.fakes import FakeEncoder, fake_checkpoint
from tests.indexer.killed_run import Moment, encoded, events, promoting_child, run_until, spread, stored
from tests.indexer.shop import Shop
from vsearch.imaging.codec import decode
from vsearch.search.engine import ALL, Engine, Search

pytestmark = pytest.mark.slow

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


def test_a_run_may_be_killed_at_any_moment(indexed_shop: Shop) -> None:
    """A whole generation is served after each kill, no stored picture is encoded again, and the next run finishes.

    Killed at every event of the publication, where shoppers could see half of something, and at some of all others;
    nights, which are runs with an import before them, are killed at many more, see `test_chaos`.
    """
    shop, folder = indexed_shop, indexed_shop.settings.data
    engine = Engine(shop.settings, FakeEncoder)
    picture = decode(shop.store.read(shop.rows()[0].sha256))
    shop.add(["K999"], "Lamps", pictures=5)
    assert run_until(folder, None) == 0
    counts = events(folder)
    assert tuple(counts) == ("", *STAGES)
    moments = [*(Moment(stage) for stage in STAGES), *spread(counts, 10)]
    moments += [Moment("publish", event) for event in range(2, counts["publish"] + 1)]
    for number, moment in enumerate(moments):
        shop.add([f"K{number:03d}"], "Lamps", pictures=5)
        known, before = stored(shop), len(encoded(shop))
        assert run_until(folder, moment) == -signal.SIGKILL, moment
        assert not known & set(encoded(shop)[before:])
        engine.refresh()
        assert engine.problem is None
        hits = engine.search(picture, Search(k=3, classes=ALL)).hits  # one of the many added lamps may look like it
        assert shop.rows()[0].product_id in {hit.product_id for hit in hits}
    shop.add(["K888"], "Lamps")
    assert run_until(folder, None) == 0
    engine.refresh()
    served = engine.serving.generation.gallery.image_ids.tolist()
    assert served == [row.image_id for row in shop.rows()]
    assert shop.latest_run().state == "published"
    assert list(shop.settings.generations.glob(".*")) == []


PROMOTION_STAGES = (*STAGES[:6], "evaluate the model in use", "evaluate the candidate", *STAGES[6:])


def test_a_promotion_may_be_killed_at_any_moment(indexed_shop: Shop) -> None:
    """The model in use answers with its own index until the other one does, and the next run clears the rest away."""
    settings = indexed_shop.settings.model_copy(update={"checkpoint": ""})
    engine = Engine(settings, FakeEncoder)
    row = indexed_shop.rows()[0]
    picture = decode(indexed_shop.store.read(row.sha256))
    for trunk in (2, 3):  # the first one has to make the photos that models are compared by
        new = fake_checkpoint(settings.data / "candidate", trunk=trunk)
        assert run_until(settings.data, None, promoting_child) == 0
        shutil.rmtree(new.folder)
    counts = events(settings.data)
    assert counts.keys() - {""} == set(PROMOTION_STAGES)
    for number, moment in enumerate([*(Moment(stage) for stage in PROMOTION_STAGES), *spread(counts, 10)]):
        new = fake_checkpoint(settings.data / "candidate", trunk=4 + number)
        assert run_until(settings.data, moment, promoting_child) == -signal.SIGKILL, moment
        shutil.rmtree(new.folder)
        engine.refresh()
        assert engine.problem is None
        serving = engine.serving
        assert serving.encoder.blocks_id == serving.checkpoint.blocks_id == serving.generation.blocks_id
        if moment.stage != "publish":
            assert (serving.generation.blocks_id == new.blocks_id) == (moment.stage == "prune")
        assert engine.search(picture, Search(k=1, classes=ALL)).hits[0].product_id == row.product_id
    assert reindex(settings, open_encoder=FakeEncoder).state == "unchanged"
    assert engine.refresh() is False
    assert [path for folder in (settings.generations, settings.checkpoints) for path in folder.glob(".*")] == []


def test_runs_that_nobody_kills_encode_every_picture_once(shop: Shop) -> None:
    """The log of the tests above is to be believed."""
    assert run_until(shop.settings.data, None) == 0
    assert len(encoded(shop)) == 36
    assert set(encoded(shop)) == stored(shop)
    assert run_until(shop.settings.data, None) == 0
    assert len(encoded(shop)) == 36
