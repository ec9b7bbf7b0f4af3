import errno
import re
import shutil
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from indexer.build.nightly import reindex
from indexer.build.run import LOCK
from indexer.promotion import evaluation_set, promote
from indexer.promotion.promote import LIVE
from tests.fakes import FrozenClock, fake_checkpoint
from tests.indexer.models import BAD, GOOD, by_trunk, candidate, in_use, photos
from tests.indexer.shop import Shop
from vsearch.core.errors import (
    CheckpointMismatch,
    CheckpointMissing,
    DatasetError,
    GenerationCorrupt,
    GenerationError,
    NoGeneration,
    PromotionRefused,
    RunInProgress,
)
from vsearch.core.lock import run_lock
from vsearch.core.settings import Settings
from vsearch.imaging.codec import decode
from vsearch.index import generation as generations
from vsearch.index.manifest import Manifest
from vsearch.models import checkpoint as checkpoints
from vsearch.models import registry
from vsearch.search.engine import ALL, Engine, Search

pytestmark = pytest.mark.slow


@pytest.fixture
def live(indexed_shop: Shop) -> Iterator[Shop]:
    """A shop with a model in use and a frozen evaluation set."""
    return in_use(indexed_shop)


def current(shop: Shop) -> Manifest:
    """Return what the current generation says of itself."""
    return generations.read_manifest(generations.current(shop.settings.generations))


def on_disk(shop: Shop) -> dict[str, bytes]:
    """Return every file that a promotion may touch, but the catalogue with its stored blocks and its records."""
    folder = shop.settings.data
    left_out = ("catalogue.sqlite", LOCK, "trained")
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in files
        if not str(path.relative_to(folder)).startswith(left_out)
    }


def test_a_model_that_finds_no_worse_takes_the_place_with_an_index_of_its_own(live: Shop) -> None:
    """The generation names the checkpoint; nights go on with it, encoding nothing again."""
    before, new = current(live), candidate(live, GOOD)
    done = promote.promote(live.settings, new, open_encoder=by_trunk)
    after = current(live)
    assert done.trial is not None
    assert done.trial.comparison.mrr.difference.mean == pytest.approx(0)
    assert (done.report.state, done.report.encoded, done.report.views) == ("published", 24, 12)
    assert (after.blocks_id, after.previous, after.model_before) == (new.blocks_id, *[before.generation_id] * 2)
    assert registry.find(live.settings, after.checkpoint_id).classes == tuple(
        sorted({row.category for row in live.rows()})
    )
    night = reindex(live.settings, open_encoder=by_trunk)
    assert (night.state, night.checkpoint_id, night.encoded) == ("unchanged", after.checkpoint_id, 0)


def test_the_figures_are_on_record(live: Shop) -> None:
    """With the run that published the index."""
    new = candidate(live, GOOD)
    promote.promote(live.settings, new, open_encoder=by_trunk)
    row = live.latest_run()
    assert row.state == "published"
    assert f"Model {new.checkpoint_id} promoted: on 12 photos the model in use (" in row.message
    assert "mean reciprocal rank 1.000, a difference of +0.000 (+0.000 to +0.000)." in row.message


def test_a_model_that_finds_worse_is_refused_with_the_figures(live: Shop) -> None:
    """Nothing is changed but that the candidate is among the shop's own."""
    before, new = on_disk(live), candidate(live, BAD)
    with pytest.raises(PromotionRefused) as caught:
        promote.promote(live.settings, new, open_encoder=by_trunk)
    said = str(caught.value)
    assert said.startswith("A model is promoted only if it finds products no worse than the one in use, but on 12 ")
    assert f"the model in use ({current(live).checkpoint_id}) has hit@1 100.0 %, hit@5 100.0 %" in said
    assert re.search(rf"the candidate \({new.checkpoint_id}\) hit@1 \d+\.\d %, hit@5 \d+\.\d % and mean rec", said)
    assert re.search(r"a difference of -0\.\d{3} \(-0\.\d{3} to -0\.\d{3}\)", said)
    after = on_disk(live)
    added = {name for name in after if name not in before}
    assert {Path(name).parts[:2] for name in added} == {("checkpoints", new.checkpoint_id)}
    assert {name: after[name] for name in before} == before
    assert (live.latest_run().state, live.latest_run().message) == ("failed", said)
    assert reindex(live.settings, open_encoder=by_trunk).state == "unchanged"


def test_a_loss_may_be_accepted_knowingly(live: Shop) -> None:
    """The sentence of the refusal says how much is enough; less is not."""
    new = candidate(live, BAD)
    with pytest.raises(PromotionRefused, match="no worse than") as caught:
        promote.promote(live.settings, new, open_encoder=by_trunk)
    found = re.search(r"--allow-drop (0\.\d+)\.$", str(caught.value))
    assert found
    enough = float(found[1])
    with pytest.raises(PromotionRefused, match=r"products at most 0\.01 worse than"):
        promote.promote(live.settings, new, allow_drop=0.01, open_encoder=by_trunk)
    assert promote.promote(live.settings, new, allow_drop=enough, open_encoder=by_trunk).report.state == "published"
    assert current(live).blocks_id == new.blocks_id


def test_a_promotion_is_taken_back_whole(live: Shop) -> None:
    """Model and index, though nights went by since; the nights after go on with the model before."""
    first = current(live)
    clock = FrozenClock()
    clock.move(seconds=60)
    promote.promote(live.settings, candidate(live, GOOD), open_encoder=by_trunk, clock=clock)
    for night in range(4):
        clock.move(seconds=60)
        live.add([f"N{night:03d}"], "Lamps", pictures=1)
        assert reindex(live.settings, open_encoder=by_trunk, clock=clock).state == "published"
    assert first.generation_id in generations.generation_ids(live.settings.generations)
    back = promote.rollback(live.settings)
    assert (back.now, current(live)) == (first, first)
    clock.move(seconds=60)
    night_after = reindex(live.settings, open_encoder=by_trunk, clock=clock)
    after = current(live)
    assert (night_after.state, night_after.encoded, after.blocks_id) == ("published", 4, first.blocks_id)
    assert after.model_before is None


def test_without_a_promotion_there_is_nothing_to_take_back(live: Shop) -> None:
    """The index alone can be."""
    with pytest.raises(GenerationError, match="is the first; `vsearch index rollback`"):
        promote.rollback(live.settings)


@pytest.mark.parametrize("lost", ["generation", "checkpoint", "file"])
def test_what_cannot_serve_is_not_rolled_back_to(live: Shop, lost: str) -> None:
    """The model in use stays."""
    first = current(live)
    promote.promote(live.settings, candidate(live, GOOD), open_encoder=by_trunk)
    second = current(live)
    old = live.settings.generations / first.generation_id
    if lost == "file":
        (old / "images.npz").write_bytes(b"")
    else:
        shutil.rmtree(old if lost == "generation" else live.settings.checkpoints / first.checkpoint_id)
    kind = {"generation": GenerationError, "checkpoint": CheckpointMissing, "file": GenerationCorrupt}[lost]
    with pytest.raises(kind):
        promote.rollback(live.settings)
    assert current(live) == second


def test_the_model_in_use_is_promoted_already(live: Shop) -> None:
    """Nothing is measured or published; after a change of the catalogue it would be a night's work."""
    own = registry.find(live.settings, current(live).checkpoint_id)
    before = on_disk(live)
    done = promote.promote(live.settings, own, open_encoder=by_trunk)
    assert (done.report.state, done.trial) == ("unchanged", None)
    assert on_disk(live) == before


def test_the_setting_checkpoint_would_override_it(live: Shop) -> None:
    """That is said before anything is done."""
    set_ = live.settings.model_copy(update={"checkpoint": "given"})
    before = on_disk(live)
    with pytest.raises(PromotionRefused, match="the setting checkpoint names given for them; remove it"):
        promote.promote(set_, candidate(live, GOOD), open_encoder=by_trunk)
    assert on_disk(live) == before


def test_before_the_first_index_there_is_nothing_to_compare_with(tmp_path: Path) -> None:
    """Not even a catalogue is made."""
    settings = Settings(data=tmp_path / "new")
    new = fake_checkpoint(tmp_path / "trained", trunk=GOOD)
    for act in (promote.promote, promote.compare):
        with pytest.raises(NoGeneration, match="holds no published index; run `vsearch index run` first"):
            act(settings, new, open_encoder=by_trunk)
    assert not settings.data.exists()


def test_a_model_must_be_one_that_searches(live: Shop) -> None:
    """One that only judges pictures is told what it lacks, and is not taken into the store."""
    judge = checkpoints.save(live.settings.data / "trained judge", weights={}, about={"plan": "judge"})
    before = on_disk(live)
    with pytest.raises(CheckpointMismatch, match=r"has none; give its plan the table \[assemble\]"):
        promote.promote(live.settings, judge, open_encoder=by_trunk)
    assert on_disk(live) == before


def test_a_promotion_waits_for_no_night(live: Shop) -> None:
    """Nor does a rollback: one at a time."""
    with run_lock(live.settings.data / LOCK, FrozenClock().now):
        with pytest.raises(RunInProgress):
            promote.promote(live.settings, candidate(live, GOOD), open_encoder=by_trunk)
        with pytest.raises(RunInProgress):
            promote.rollback(live.settings)


@pytest.mark.parametrize("place", ["vsearch.models.registry.shutil.copy2", "vsearch.index.generation.np.savez"])
def test_a_disk_that_fills_up_leaves_nothing_behind(live: Shop, place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither half a checkpoint nor half an index; with room again the same command goes through."""
    before, new = on_disk(live), candidate(live, GOOD)

    def full(*arguments: object, **options: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "x")

    with monkeypatch.context() as patch:
        patch.setattr(place, full)
        with pytest.raises(OSError, match="No space left"):
            promote.promote(live.settings, new, open_encoder=by_trunk)
    after = on_disk(live)
    left = {name for name in after if name not in before and new.checkpoint_id not in name}
    assert (left, {name: after[name] for name in before}) == (set(), before)
    assert promote.promote(live.settings, new, open_encoder=by_trunk).report.state == "published"


def test_two_models_are_compared_and_nothing_is_left(live: Shop) -> None:
    """With the one in use, or with each other; a generation on disk that is made of the same serves."""
    good, bad = candidate(live, GOOD), candidate(live, BAD)
    before = on_disk(live)
    with_live = promote.compare(live.settings, bad, open_encoder=by_trunk)
    assert (with_live.first, with_live.second) == (LIVE, bad.checkpoint_id)
    assert with_live.comparison.mrr.first == 1 > with_live.comparison.mrr.second
    assert on_disk(live) == before
    each_other = promote.compare(live.settings, bad, good, open_encoder=by_trunk)
    assert (each_other.comparison.hit_at_1.first, each_other.pictures, each_other.left_out) == (1, 24, 0)
    assert on_disk(live) == before


def test_withdrawn_products_are_left_out_and_counted(live: Shop) -> None:
    """And new ones are not searched for: both models answer from the same pictures."""
    live.withdraw("S000", "S001")
    live.add(["N001"], "Lamps")
    trial = promote.compare(live.settings, candidate(live, GOOD), open_encoder=by_trunk)
    assert (trial.comparison.queries, trial.left_out, trial.pictures) == (10, 2, 20)


def test_the_first_comparison_freezes_made_photos(indexed_shop: Shop) -> None:
    """The same ones are used ever after, whatever the catalogue becomes."""
    settings = indexed_shop.settings.model_copy(update={"checkpoint": ""})
    new = candidate(indexed_shop, GOOD)
    first = promote.compare(settings, new, open_encoder=by_trunk)
    made = evaluation_set.load(settings)
    assert made is not None
    assert (made.kind, len(made.answers), first.evaluation) == ("made", 12, str(made))
    indexed_shop.add(["N001"], "Lamps")
    reindex(settings, open_encoder=by_trunk)
    assert promote.compare(settings, new, open_encoder=by_trunk).evaluation == str(made)


def test_a_damaged_evaluation_set_measures_nothing(live: Shop) -> None:
    """The file and the remedy are named; it is not made again by itself."""
    made = evaluation_set.load(live.settings)
    assert made is not None
    (made.folder / "0000.jpg").write_bytes(b"")
    with pytest.raises(DatasetError, match=r"0000.jpg was changed; bring it back .* freeze --replace"):
        promote.promote(live.settings, candidate(live, GOOD), open_encoder=by_trunk)
    promote.freeze(live.settings, photos(live), replace=True)
    other = fake_checkpoint(live.settings.data / "trained other", trunk=GOOD)
    assert promote.promote(live.settings, other, open_encoder=by_trunk).report.state == "published"


def test_shoppers_search_on_through_promotions_and_rollbacks(live: Shop) -> None:
    """Threads search without a pause: no error, and every answer is of one model and its own index."""
    engine = Engine(live.settings, by_trunk)
    assert engine.refresh()
    rows = live.rows()
    pictures = [decode(live.store.read(row.sha256)) for row in rows]
    stop = threading.Event()
    blocks_of = {current(live).generation_id: current(live).blocks_id}

    seen: list[tuple[str, bool, float]] = []
    latest = dict.fromkeys(range(4), "")

    def search_on(seed: int) -> None:
        rng = np.random.default_rng(seed)
        while not stop.is_set():
            number = int(rng.integers(len(pictures)))
            serving = engine.serving
            assert serving.encoder.blocks_id == serving.checkpoint.blocks_id == serving.generation.blocks_id
            result = engine.search(pictures[number], Search(k=1, classes=ALL))
            right = result.hits[0].product_id == rows[number].product_id
            seen.append((result.generation_id, right, result.hits[0].score))
            latest[seed] = result.generation_id

    def refresh_on() -> None:
        while not stop.is_set():
            engine.refresh()
            stop.wait(0.01)

    def served(generation_id: str) -> None:
        """Wait until every thread has an answer from it, or has failed."""
        while set(latest.values()) != {generation_id} and not any(each.done() for each in (refresher, *searches)):
            stop.wait(0.01)

    first, new = current(live), candidate(live, GOOD)
    with ThreadPoolExecutor(5) as threads:
        refresher = threads.submit(refresh_on)
        searches = [threads.submit(search_on, seed) for seed in range(4)]
        try:
            served(current(live).generation_id)
            for step in (new, None, new, None):
                if step is None:
                    assert promote.rollback(live.settings).now == first
                else:
                    promote.promote(live.settings, step, open_encoder=by_trunk)
                blocks_of[current(live).generation_id] = current(live).blocks_id
                served(current(live).generation_id)
        finally:
            stop.set()
        for each in (refresher, *searches):
            each.result()
    assert engine.problem is None
    assert {generation_id for generation_id, _, _ in seen} == blocks_of.keys()
    assert set(blocks_of.values()) == {first.blocks_id, new.blocks_id}
    assert all(right for _, right, _ in seen)
    assert min(score for _, _, score in seen) > 0.999
    assert engine.serving.generation.generation_id == first.generation_id


def test_a_mixture_would_have_been_seen(live: Shop) -> None:
    """The test above is to be believed: the other model's blocks do not find a picture in this index."""
    engine = Engine(live.settings, by_trunk)
    engine.refresh()
    serving = engine.serving
    picture = decode(live.store.read(live.rows()[0].sha256))
    other = by_trunk(candidate(live, GOOD)).blocks([picture])
    mixed = serving.generation.gallery.search(serving.generation.whitening.project(other)[0], k=1)
    assert mixed[0].value < 0.99
