import errno
import re
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest

from indexer.build.reindex import reindex
from indexer.build.run_context import LOCK
from indexer.promotion import evaluation_set
from indexer.promotion.promote import (
    IN_USE,
    ModelComparison,
    check_drop,
    compare,
    promote,
    promote_detector,
    rollback,
    rollback_detector,
)
from tests.fakes import FakeDetector, FrozenClock, fake_checkpoint
from tests.indexer.shop import BAD, GOOD, Shop, candidate, encoder_by_trunk
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
from vsearch.detection.detector import no_detector
from vsearch.evaluation.bootstrap import Estimate
from vsearch.evaluation.comparison import Paired
from vsearch.imaging.codec import decode
from vsearch.imaging.geometry import Box
from vsearch.index import generation as generations
from vsearch.models import checkpoint as checkpoints
from vsearch.models import registry
from vsearch.models.trained_heads import HeadSpec, TrainedHeads
from vsearch.search.engine import ALL, Engine, Search

pytestmark = pytest.mark.slow


@pytest.fixture
def live(indexed_shop: Shop) -> Shop:
    """A shop with a model in use and an evaluation set."""
    return indexed_shop.with_evaluation_set()


def files_on_disk(shop: Shop) -> dict[str, bytes]:
    """Return every file that a promotion may change, except the catalog."""
    folder = shop.settings.data
    files = {str(path.relative_to(folder)): path for path in folder.rglob("*") if path.is_file()}
    excluded = ("catalog.sqlite", LOCK, "trained")
    return {name: path.read_bytes() for name, path in files.items() if not name.startswith(excluded)}


def test_a_model_that_finds_no_worse_is_promoted_with_its_index(live: Shop) -> None:
    """The next index run uses it and encodes nothing."""
    before, new = live.manifest(), candidate(live, GOOD)
    done = promote(live.settings, new, open_encoder=encoder_by_trunk)
    after = live.manifest()
    assert done.comparison is not None
    assert done.comparison.comparison.mrr.difference.mean == pytest.approx(0)
    assert (done.report.state, done.report.encoded) == ("published", 24)
    assert (after.blocks_id, after.previous, after.model_before) == (new.blocks_id, *[before.generation_id] * 2)
    stored = registry.find(live.settings, after.checkpoint_id)
    assert set(stored.retrieval.heads.classes) == {row.category for row in live.rows()}
    record = live.latest_run()
    assert record.state == "published"
    assert f"Model {new.checkpoint_id} promoted" in record.message
    run = reindex(live.settings, open_encoder=encoder_by_trunk)
    assert (run.state, run.checkpoint_id, run.encoded) == ("unchanged", after.checkpoint_id, 0)


def test_a_model_that_finds_worse_is_refused(live: Shop) -> None:
    """Nothing changes, except that the candidate is stored; the error suggests a sufficient --allow-drop."""
    before, new = files_on_disk(live), candidate(live, BAD)
    with pytest.raises(PromotionRefused) as caught:
        promote(live.settings, new, open_encoder=encoder_by_trunk)
    message = str(caught.value)
    assert live.manifest().checkpoint_id in message
    assert new.checkpoint_id in message
    after = files_on_disk(live)
    added = {Path(name).parts[:2] for name in after if name not in before}
    assert added == {("checkpoints", new.checkpoint_id)}
    assert {name: after[name] for name in before} == before
    assert (live.latest_run().state, live.latest_run().message) == ("failed", message)
    assert reindex(live.settings, open_encoder=encoder_by_trunk).state == "unchanged"

    found = re.search(r"--allow-drop ([\d.]+)\.$", message)
    assert found
    with pytest.raises(PromotionRefused, match=r"0\.01"):
        promote(live.settings, new, allow_drop=0.01, open_encoder=encoder_by_trunk)
    done = promote(live.settings, new, allow_drop=float(found[1]), open_encoder=encoder_by_trunk)
    assert done.report.state == "published"
    assert live.manifest().blocks_id == new.blocks_id


@pytest.mark.parametrize(
    ("high", "allow_drop", "refused"),
    [(0.01, 0.0, False), (-0.02, 0.0, True), (-0.02, 0.02, False), (-0.03, 0.02, True)],
)
def test_only_an_interval_below_the_accepted_loss_is_refused(high: float, allow_drop: float, refused: bool) -> None:
    paired = Paired(0.8, 0.7, Estimate(-0.1, -0.2, high))
    with pytest.raises(PromotionRefused, match=f"--allow-drop {-high:g}") if refused else nullcontext():
        check_drop(paired, allow_drop, "figures")


def test_models_search_as_they_would_for_shoppers(live: Shop) -> None:
    """With the product detector: products in the left half of a photo are found through their box."""
    plain = np.random.default_rng(0).integers(60, 200, (48, 48, 3)).astype(np.uint8)
    photos = [(np.concatenate([picture, plain], axis=1), skus) for picture, skus in live.photos()]
    live.create_evaluation_set(photos, replace=True)
    new = candidate(live, GOOD)
    detector = FakeDetector(Box(0, 0, 0.5, 1))
    found = compare(live.settings, new, open_encoder=encoder_by_trunk, open_detector=detector)
    assert (detector.calls, found.comparison.hit_at_1.first) == (2 * len(photos), 1)
    without = compare(live.settings, new, open_encoder=encoder_by_trunk, open_detector=no_detector)
    assert without.comparison.hit_at_1.first < 1


def test_a_detector_is_promoted_unless_searches_get_worse(live: Shop, tmp_path: Path) -> None:
    """The next index run then calibrates match labels anew."""
    plain = np.random.default_rng(0).integers(60, 200, (48, 48, 3)).astype(np.uint8)
    photos = [(np.concatenate([picture, plain], axis=1), skus) for picture, skus in live.photos()]
    live.create_evaluation_set(photos, replace=True)
    heads = TrainedHeads((HeadSpec("products", "boxes"),), "stretch", (32, 32), (32, 32))
    new = checkpoints.save(tmp_path / "detector", weights={}, about={}, trained_heads=heads)
    good, bad = FakeDetector(Box(0, 0, 0.5, 1)), FakeDetector(Box(0.5, 0, 1, 1))

    def attempt(in_use: FakeDetector, candidate: FakeDetector) -> ModelComparison:
        openers = {"open_encoder": encoder_by_trunk, "open_detector": in_use, "open_candidate": lambda _: candidate}
        return promote_detector(live.settings, new, **openers)

    with pytest.raises(PromotionRefused, match=new.checkpoint_id):
        attempt(good, bad)
    assert registry.active(live.settings, "detector") is None
    assert reindex(live.settings, open_encoder=encoder_by_trunk, open_detector=good).state == "unchanged"
    assert attempt(bad, good).comparison.hit_at_1.second == 1
    assert registry.active(live.settings, "detector") == checkpoints.load(live.settings.checkpoints / new.checkpoint_id)
    assert reindex(live.settings, open_encoder=encoder_by_trunk, open_detector=good).state == "published"
    assert rollback_detector(live.settings) is None


def test_a_rollback_restores_model_and_index(live: Shop) -> None:
    """This also works after several index runs; later runs continue with the previous model."""
    first = live.manifest()
    clock = FrozenClock()
    clock.move(seconds=60)
    promote(live.settings, candidate(live, GOOD), open_encoder=encoder_by_trunk, clock=clock)
    for number in range(4):
        clock.move(seconds=60)
        live.add([f"N{number:03d}"], "Lamps", pictures=1)
        assert reindex(live.settings, open_encoder=encoder_by_trunk, clock=clock).state == "published"
    assert first.generation_id in generations.generation_ids(live.settings.generations)
    assert (rollback(live.settings).now, live.manifest()) == (first, first)
    clock.move(seconds=60)
    report = reindex(live.settings, open_encoder=encoder_by_trunk, clock=clock)
    after = live.manifest()
    assert (report.state, report.encoded, after.blocks_id) == ("published", 4, first.blocks_id)
    assert after.model_before is None


def test_without_a_promotion_there_is_nothing_to_undo(live: Shop) -> None:
    with pytest.raises(GenerationError, match="vsearch index rollback"):
        rollback(live.settings)


@pytest.mark.parametrize(
    ("lost", "error"),
    [("generation", GenerationError), ("checkpoint", CheckpointMissing), ("file", GenerationCorrupt)],
)
def test_a_rollback_needs_an_intact_previous_model(live: Shop, lost: str, error: type[Exception]) -> None:
    first = live.manifest()
    promote(live.settings, candidate(live, GOOD), open_encoder=encoder_by_trunk)
    second = live.manifest()
    old = live.settings.generations / first.generation_id
    if lost == "file":
        (old / "images.npz").write_bytes(b"")
    else:
        shutil.rmtree(old if lost == "generation" else live.settings.checkpoints / first.checkpoint_id)
    with pytest.raises(error):
        rollback(live.settings)
    assert live.manifest() == second


def test_promoting_the_model_in_use_changes_nothing(live: Shop) -> None:
    own = registry.find(live.settings, live.manifest().checkpoint_id)
    before = files_on_disk(live)
    done = promote(live.settings, own, open_encoder=encoder_by_trunk)
    assert (done.report.state, done.comparison) == ("unchanged", None)
    assert files_on_disk(live) == before


def test_what_cannot_be_promoted_is_refused_at_once(live: Shop) -> None:
    """A different model than the one in the `checkpoint` setting, or one that cannot search."""
    classifier = checkpoints.save(live.settings.data / "trained judge", weights={}, about={"plan": "classifier"})
    before = files_on_disk(live)
    with pytest.raises(PromotionRefused, match="VSEARCH_CHECKPOINT"):
        promote(live.with_settings(checkpoint="given").settings, candidate(live, GOOD), open_encoder=encoder_by_trunk)
    with pytest.raises(CheckpointMismatch, match=classifier.checkpoint_id):
        promote(live.settings, classifier, open_encoder=encoder_by_trunk)
    assert files_on_disk(live) == before


def test_before_the_first_index_there_is_nothing_to_compare_with(tmp_path: Path) -> None:
    settings = Settings(data=tmp_path / "new")
    new = fake_checkpoint(tmp_path / "trained", trunk=GOOD)
    for act in (promote, compare):
        with pytest.raises(NoGeneration):
            act(settings, new, open_encoder=encoder_by_trunk)
    assert not settings.data.exists()


def test_only_one_run_at_a_time(live: Shop) -> None:
    with run_lock(live.settings.data / LOCK, FrozenClock().now):
        with pytest.raises(RunInProgress):
            promote(live.settings, candidate(live, GOOD), open_encoder=encoder_by_trunk)
        with pytest.raises(RunInProgress):
            rollback(live.settings)


@pytest.mark.parametrize("place", ["vsearch.models.registry.shutil.copy2", "vsearch.index.generation.np.savez"])
def test_a_full_disk_leaves_nothing_behind(live: Shop, place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once there is space again, the same command succeeds."""
    before, new = files_on_disk(live), candidate(live, GOOD)

    def full(*arguments: object, **options: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "x")

    with monkeypatch.context() as patch:
        patch.setattr(place, full)
        with pytest.raises(OSError, match="No space left"):
            promote(live.settings, new, open_encoder=encoder_by_trunk)
    after = files_on_disk(live)
    left = {name for name in after if name not in before and new.checkpoint_id not in name}
    assert (left, {name: after[name] for name in before}) == (set(), before)
    assert promote(live.settings, new, open_encoder=encoder_by_trunk).report.state == "published"


def test_a_comparison_leaves_nothing_behind(live: Shop) -> None:
    """A model is compared with the one in use, or two models with each other."""
    good, bad = candidate(live, GOOD), candidate(live, BAD)
    before = files_on_disk(live)
    with_live = compare(live.settings, bad, open_encoder=encoder_by_trunk)
    assert (with_live.first, with_live.second) == (IN_USE, bad.checkpoint_id)
    assert with_live.comparison.mrr.first == 1 > with_live.comparison.mrr.second
    assert files_on_disk(live) == before
    each_other = compare(live.settings, bad, good, open_encoder=encoder_by_trunk)
    assert (each_other.comparison.hit_at_1.first, each_other.pictures, each_other.skipped) == (1, 24, 0)
    assert files_on_disk(live) == before


def test_both_models_search_the_pictures_that_both_have(live: Shop) -> None:
    live.withdraw("S000", "S001")
    live.add(["N001"], "Lamps")
    comparison = compare(live.settings, candidate(live, GOOD), open_encoder=encoder_by_trunk)
    assert (comparison.comparison.queries, comparison.skipped, comparison.pictures) == (10, 2, 20)


def test_the_first_comparison_creates_the_evaluation_set(indexed_shop: Shop) -> None:
    """It stays the same when the catalog changes."""
    shop = indexed_shop.with_settings(checkpoint="")
    new = candidate(shop, GOOD)
    first = compare(shop.settings, new, open_encoder=encoder_by_trunk)
    created = evaluation_set.load(shop.settings)
    assert created is not None
    assert (created.kind, len(created.answers), first.evaluation) == ("synthetic", 12, str(created))
    shop.add(["N001"], "Lamps")
    reindex(shop.settings, open_encoder=encoder_by_trunk)
    assert compare(shop.settings, new, open_encoder=encoder_by_trunk).evaluation == str(created)


def test_a_damaged_evaluation_set_is_not_recreated(live: Shop) -> None:
    created = evaluation_set.load(live.settings)
    assert created is not None
    (created.folder / "0000.jpg").write_bytes(b"")
    with pytest.raises(DatasetError, match=r"0000\.jpg"):
        promote(live.settings, candidate(live, GOOD), open_encoder=encoder_by_trunk)
    live.create_evaluation_set(live.photos(), replace=True)
    other = fake_checkpoint(live.settings.data / "trained other", trunk=GOOD)
    assert promote(live.settings, other, open_encoder=encoder_by_trunk).report.state == "published"


def test_searches_continue_through_promotions_and_rollbacks(live: Shop) -> None:
    """Every response comes from one model and its own index."""
    engine = Engine(live.settings, encoder_by_trunk)
    assert engine.refresh()
    rows = live.rows()
    pictures = [decode(live.store.read(row.sha256)) for row in rows]
    stop = threading.Event()
    answers: list[tuple[str, bool, float]] = []
    latest = dict.fromkeys(range(4), "")

    def search(seed: int) -> None:
        rng = np.random.default_rng(seed)
        while not stop.is_set():
            number = int(rng.integers(len(pictures)))
            serving = engine.serving
            assert serving.encoder.blocks_id == serving.checkpoint.blocks_id == serving.generation.blocks_id
            result = engine.search(pictures[number], Search(k=1, classes=ALL))
            right = result.hits[0].product_id == rows[number].product_id
            answers.append((result.generation_id, right, result.hits[0].score))
            latest[seed] = result.generation_id

    def refresh() -> None:
        while not stop.is_set():
            engine.refresh()
            stop.wait(0.01)

    def wait_until_served() -> None:
        """Wait until every thread has a response from the current generation, or one has failed."""
        current = live.manifest().generation_id
        while set(latest.values()) != {current} and not any(each.done() for each in (refresher, *searches)):
            stop.wait(0.01)

    first, new = live.manifest(), candidate(live, GOOD)
    published = {first.generation_id}
    with ThreadPoolExecutor(5) as threads:
        refresher = threads.submit(refresh)
        searches = [threads.submit(search, seed) for seed in range(4)]
        try:
            wait_until_served()
            for _ in range(2):
                promote(live.settings, new, open_encoder=encoder_by_trunk)
                assert live.manifest().blocks_id == new.blocks_id
                published.add(live.manifest().generation_id)
                wait_until_served()
                assert rollback(live.settings).now == first
                wait_until_served()
        finally:
            stop.set()
        for each in (refresher, *searches):
            each.result()
    assert engine.problem is None
    assert {generation_id for generation_id, _, _ in answers} == published
    assert all(right for _, right, _ in answers)
    assert min(score for _, _, score in answers) > 0.99
    assert engine.serving.generation.generation_id == first.generation_id


def test_blocks_of_another_model_do_not_find_a_picture(live: Shop) -> None:
    """This shows that the test above can fail."""
    engine = Engine(live.settings, encoder_by_trunk)
    engine.refresh()
    generation = engine.serving.generation
    picture = decode(live.store.read(live.rows()[0].sha256))
    other = encoder_by_trunk(candidate(live, GOOD)).blocks([picture])
    assert generation.gallery.search(generation.whitening.project(other)[0], k=1)[0].value < 0.99
