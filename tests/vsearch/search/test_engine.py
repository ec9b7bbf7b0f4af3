import gc
import shutil
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest

from tests.fakes import MATCH_CALIBRATION, FakeDetector, FakeEncoder, fake_checkpoint
from tests.vsearch.conftest import Shop
from vsearch.core.errors import (
    CheckpointMismatch,
    CheckpointMissing,
    GenerationCorrupt,
    GenerationError,
    InvalidRequest,
    NoGeneration,
    UnknownClass,
)
from vsearch.core.settings import Settings
from vsearch.evaluation.metrics import l2_normalize
from vsearch.imaging.codec import Picture
from vsearch.imaging.geometry import Box
from vsearch.index import generation, retention
from vsearch.models.checkpoint import Checkpoint
from vsearch.search.engine import ALL, MAX_RETRY_SECONDS, Engine, Search


@dataclass
class Opened:
    """Opens fake encoders and remembers them."""

    encoders: list[FakeEncoder] = field(default_factory=list)

    def __call__(self, checkpoint: Checkpoint) -> FakeEncoder:
        """Open one more."""
        self.encoders.append(FakeEncoder(checkpoint))
        return self.encoders[-1]


@pytest.fixture
def opened() -> Opened:
    """Return what the engine opens its encoders with."""
    return Opened()


@pytest.fixture
def engine(shop: Shop, opened: Opened) -> Engine:
    """Return an engine that serves a first generation."""
    shop.publish()
    engine = Engine(shop.settings, opened)
    assert engine.refresh()
    return engine


def test_a_catalogue_picture_finds_its_product(shop: Shop, engine: Engine) -> None:
    """First, as exact, with a score of 1, and with the models' predictions and the time it took."""
    result = engine.search(shop.pictures[5], Search(k=3))
    first = result.hits[0]
    assert (first.product_id, first.image_id, first.class_name, first.label) == (3, 105, "chair", "exact")
    assert first.value == pytest.approx(1, abs=1e-4)
    assert first.score == first.value
    assert result.generation_id == engine.serving.generation.generation_id
    assert result.predictions is not None
    assert set(result.predictions.votes) == {"left", "right"}
    assert result.timings.keys() == {"encode", "search"}


def test_hits_are_one_per_product_and_labelled_by_score(shop: Shop, engine: Engine) -> None:
    """Every product is found when all classes are searched, best first."""
    hits = engine.search(shop.pictures[0], Search(k=99, classes=ALL)).hits
    assert sorted(hit.product_id for hit in hits) == list(range(1, 13))
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
    assert [hit.label for hit in hits] == [MATCH_CALIBRATION.match_label(hit.class_name, hit.score) for hit in hits]


def test_a_photo_that_is_like_strangers_is_like_no_product(shop: Shop, engine: Engine) -> None:
    """Its score stays, its margin and the words are held against them."""
    photo = shop.pictures[0]
    before = engine.search(photo, Search(k=1)).hits[0]
    serving = engine.serving
    blocks = serving.encoder.blocks([photo])
    itself = l2_normalize(serving.generation.whitening.project(blocks))
    wary = Engine(
        shop.settings, serving=replace(serving, generation=replace(serving.generation, background_cohort=itself))
    )
    after = wary.search(photo, Search(k=1)).hits[0]
    assert (before.product_id, before.label, before.margin) == (1, "exact", before.score)
    assert (after.product_id, after.label, after.score) == (1, "nothing close", before.score)
    assert after.margin == pytest.approx(0, abs=1e-3)


def test_labels_of_a_euclidean_search_come_from_the_cosine_score(shop: Shop, engine: Engine) -> None:
    """The value is a distance, the score and its words are those of a cosine search."""
    cosine = engine.search(shop.pictures[0], Search(k=99, classes=ALL))
    euclidean = engine.search(shop.pictures[0], Search(k=99, classes=ALL, metric="euclidean"))
    assert euclidean.hits[0].value == pytest.approx(0, abs=1e-2)
    assert [hit.value for hit in euclidean.hits] == sorted(hit.value for hit in euclidean.hits)
    by_picture = {hit.image_id: (hit.score, hit.label) for hit in cosine.hits}
    same = [hit for hit in euclidean.hits if hit.image_id in by_picture]
    assert len(same) > 6
    for hit in same:
        assert hit.score == pytest.approx(by_picture[hit.image_id][0], abs=1e-6)


def test_the_photo_decides_where_to_search(shop: Shop, engine: Engine) -> None:
    """A sure classifier narrows the search to what it is sure of."""
    result = engine.search(shop.pictures[23], Search(k=99))
    sure = {hit.class_name for hit in result.hits}
    assert result.routing in ("routed", "all")
    assert sure == set(result.classes)


def routed_by(shop: Shop, opened: Opened, mass: float, floor: float) -> set[str]:
    """Return how the photos of a shop are routed."""
    engine = Engine(Settings(data=shop.folder, route_mass=mass, route_floor=floor), opened)
    engine.refresh()
    return {engine.search(picture).routing for picture in shop.pictures}


def test_mass_and_floor_say_how_far_to_search(shop: Shop, opened: Opened) -> None:
    """Any mass at all is covered by one class; a floor of 1 is never reached by an unsure classifier."""
    shop.publish()
    assert routed_by(shop, opened, mass=0.01, floor=0) == {"routed"}
    assert routed_by(shop, opened, mass=1, floor=1) >= {"all"}


def test_named_classes_are_searched_as_named(shop: Shop, engine: Engine) -> None:
    """Whatever the classifier thinks; a name the index lacks is refused."""
    result = engine.search(shop.pictures[0], Search(classes=("lamp",)))
    assert (result.classes, result.routing) == (("lamp",), "chosen")
    assert {hit.class_name for hit in result.hits} == {"lamp"}
    with pytest.raises(UnknownClass, match="'rug' is not; it has chair, lamp"):
        engine.search(shop.pictures[0], Search(classes=("rug",)))


def test_all_classes_are_searched_when_the_heads_do_not_know_them_all(shop: Shop, opened: Opened) -> None:
    """A checkpoint with other classes narrows nothing."""
    other = fake_checkpoint(shop.folder / "other", ("chair", "sofa"))
    other.folder.rename(shop.folder / "checkpoints" / other.checkpoint_id)
    generation.publish(shop.generations, Shop(shop.folder, other, shop.pictures, shop.blocks).write())
    engine = Engine(Settings(data=shop.folder, route_mass=0.01, route_floor=0), opened)
    engine.refresh()
    assert engine.search(shop.pictures[0]).classes == ("chair", "lamp")


def test_a_filter_narrows_the_search(shop: Shop, engine: Engine) -> None:
    """Only allowed pictures are found."""
    result = engine.search(shop.pictures[0], Search(classes=ALL, allowed=np.array([120, 103])))
    assert {hit.image_id for hit in result.hits} == {120, 103}


def test_a_box_cuts_the_photo(shop: Shop, engine: Engine) -> None:
    """What is outside does not count."""
    beside = np.concatenate([shop.pictures[4], np.zeros_like(shop.pictures[4])], axis=1)
    result = engine.search(beside, Search(box=Box(0, 0, 0.5, 1), classes=ALL))
    assert (result.hits[0].image_id, result.hits[0].label) == (104, "exact")


def test_no_products_are_refused(shop: Shop, engine: Engine) -> None:
    """A k below 1 makes no sense."""
    with pytest.raises(InvalidRequest):
        engine.search(shop.pictures[0], Search(k=0))


def test_the_same_picture_is_encoded_once(shop: Shop, engine: Engine, opened: Opened) -> None:
    """As it is and mirrored. Another class, metric or the same box asks for no new encoding; another box does."""
    encoder = opened.encoders[0]
    before = encoder.pictures
    for search in (Search(), Search(classes=("lamp",)), Search(metric="euclidean")):
        engine.search(shop.pictures[0].copy(), search)
    assert encoder.pictures == before + 2
    engine.search(shop.pictures[0], Search(box=Box(0, 0, 0.5, 0.5)))
    engine.search(shop.pictures[0], Search(box=Box(0, 0, 0.5, 0.5)))
    assert encoder.pictures == before + 4


def test_a_photo_from_the_other_side_finds_the_product(shop: Shop, engine: Engine) -> None:
    """Mirrored it is the catalogue picture to the pixel."""
    result = engine.search(np.ascontiguousarray(shop.pictures[5][:, ::-1]), Search(k=3, classes=ALL))
    assert (result.hits[0].product_id, result.hits[0].label) == (3, "exact")
    assert result.hits[0].score == pytest.approx(1, abs=1e-4)
    assert len({hit.product_id for hit in result.hits}) == 3


def test_more_like_a_product_leaves_out_the_product(shop: Shop, engine: Engine, opened: Opened) -> None:
    """By stored vectors: nothing is encoded."""
    before = opened.encoders[0].pictures
    result = engine.search_like(3, Search(k=5))
    assert len(result.hits) == 5
    assert 3 not in {hit.product_id for hit in result.hits}
    by_photo = engine.search(shop.pictures[4], Search(k=6, classes=ALL))
    assert [hit.product_id for hit in result.hits] == [hit.product_id for hit in by_photo.hits[1:]]
    assert result.predictions is None
    assert opened.encoders[0].pictures == before + 2  # of the search by photo


def test_more_like_a_product_the_index_lacks_finds_nothing(engine: Engine) -> None:
    """A product of today is in tomorrow's index."""
    result = engine.search_like(999)
    assert (result.hits, result.routing) == ((), "all")


def test_without_a_generation_the_remedy_is_named(shop: Shop) -> None:
    """And remembered, for whoever asks whether the engine is ready."""
    engine = Engine(shop.settings, FakeEncoder)
    with pytest.raises(NoGeneration, match="No index is loaded"):
        engine.search(shop.pictures[0])
    assert not engine.refresh()
    assert isinstance(engine.problem, NoGeneration)
    with pytest.raises(NoGeneration, match="vsearch index run"):
        engine.search(shop.pictures[0])


def test_a_new_generation_is_swapped_in_and_the_encoder_kept(shop: Shop, engine: Engine, opened: Opened) -> None:
    """The same blocks need no second encoder; nothing new changes nothing."""
    assert not engine.refresh()
    shop.publish(first_product=501)
    assert engine.refresh()
    assert engine.search(shop.pictures[0]).hits[0].product_id == 501
    assert len(opened.encoders) == 1


def test_a_generation_with_other_blocks_gets_another_encoder(shop: Shop, engine: Engine, opened: Opened) -> None:
    """The old one's blocks would mean nothing to it."""
    other = fake_checkpoint(shop.folder / "other", trunk=2)
    other.folder.rename(shop.folder / "checkpoints" / other.checkpoint_id)
    generation.publish(shop.generations, Shop(shop.folder, other, shop.pictures, shop.blocks).write())
    assert engine.refresh()
    assert [encoder.blocks_id for encoder in opened.encoders] == [shop.checkpoint.blocks_id, other.blocks_id]


def test_a_damaged_generation_leaves_the_old_one_serving(shop: Shop, engine: Engine) -> None:
    """The problem is remembered until a good one comes."""
    served = engine.serving
    bad = shop.publish(first_product=501)
    (shop.generations / bad / "images.npz").unlink()
    assert not engine.refresh()
    assert isinstance(engine.problem, GenerationCorrupt)
    assert engine.serving is served
    assert engine.search(shop.pictures[0]).hits[0].product_id == 1
    shop.publish(first_product=901)
    assert engine.refresh()
    assert engine.problem is None


def test_a_generation_without_its_checkpoint_is_not_served(shop: Shop) -> None:
    """The sentence says which checkpoint and where it should be."""
    shop.publish()
    shutil.rmtree(shop.folder / "checkpoints")
    engine = Engine(shop.settings, FakeEncoder)
    assert not engine.refresh()
    with pytest.raises(CheckpointMissing, match=shop.checkpoint.checkpoint_id):
        assert engine.serving


@dataclass
class Clock:
    """Seconds that pass when a test says so."""

    now: float = 0.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the generations that are loaded, one entry for each time."""
    found: list[str] = []
    load = generation.load

    def counted(path: Path) -> generation.Generation:
        found.append(path.name)
        return load(path)

    monkeypatch.setattr(generation, "load", counted)
    return found


def refreshed_for(engine: Engine, clock: Clock, seconds: int) -> None:
    """Refresh as a page does, every five seconds."""
    for _ in range(seconds // 5):
        engine.refresh()
        clock.now += 5


def test_what_cannot_be_served_is_loaded_ever_less_often(shop: Shop, loads: list[str]) -> None:
    """In an hour of refreshes a few times; the problem is known all the while."""
    shop.publish()
    shutil.rmtree(shop.folder / "checkpoints")
    clock = Clock()
    engine = Engine(shop.settings, FakeEncoder, clock=clock)
    refreshed_for(engine, clock, 60)
    assert len(loads) == 3  # at 0, 10 and 30 s
    refreshed_for(engine, clock, 3540)
    assert len(loads) <= 18
    assert isinstance(engine.problem, CheckpointMissing)
    refreshed_for(engine, clock, int(MAX_RETRY_SECONDS))
    assert len(loads) <= 19


def test_a_missing_checkpoint_that_appears_is_served_at_once(shop: Shop, loads: list[str]) -> None:
    """Whoever copies it there does not wait."""
    shop.publish()
    (shop.folder / "checkpoints").rename(shop.folder / "aside")
    engine = Engine(shop.settings, FakeEncoder, clock=Clock())
    assert not any(engine.refresh() for _ in range(9))
    (shop.folder / "aside").rename(shop.folder / "checkpoints")
    assert engine.refresh()
    assert engine.problem is None
    assert len(loads) == 2


def test_a_damaged_checkpoint_that_is_replaced_is_served_at_once(shop: Shop, loads: list[str]) -> None:
    """In its place, the folder the same."""
    shop.publish()
    file = shop.checkpoint.folder / "heads.npz"
    whole = file.read_bytes()
    file.write_bytes(whole[:-9])
    engine = Engine(shop.settings, FakeEncoder, clock=Clock())
    assert not any(engine.refresh() for _ in range(9))
    assert isinstance(engine.problem, CheckpointMismatch)
    file.write_bytes(whole)
    assert engine.refresh()
    assert len(loads) == 2


def test_a_damaged_generation_that_is_replaced_is_served_at_once(shop: Shop, engine: Engine, loads: list[str]) -> None:
    """It is the file that counts, not the name."""
    bad = shop.publish(first_product=501)
    file = shop.generations / bad / "images.npz"
    whole = file.read_bytes()
    file.unlink()
    assert not any(engine.refresh() for _ in range(9))
    file.write_bytes(whole)
    assert engine.refresh()
    assert engine.search(shop.pictures[0]).hits[0].product_id == 501
    assert loads == [bad, bad]


def test_another_generation_is_tried_at_once(shop: Shop, engine: Engine, loads: list[str]) -> None:
    """Also the one that is served, by a rollback: then there is no problem any more, and nothing to load."""
    served = engine.serving.generation.generation_id
    bad = shop.publish(first_product=501)
    (shop.generations / bad / "images.npz").unlink()
    assert not any(engine.refresh() for _ in range(9))
    generation.make_current(shop.generations, served)
    assert not engine.refresh()
    assert engine.problem is None
    good = shop.publish(first_product=901)
    assert engine.refresh()
    assert loads == [bad, good]


def test_a_problem_holds_on_to_nothing(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not to the generation that was loaded in vain, nor to the requests that it failed."""
    shop.publish()
    shutil.rmtree(shop.folder / "checkpoints")
    loaded: list[weakref.ref[generation.Generation]] = []
    load = generation.load

    def watched(path: Path) -> generation.Generation:
        found = load(path)
        loaded.append(weakref.ref(found))
        return found

    monkeypatch.setattr(generation, "load", watched)
    engine = Engine(shop.settings, FakeEncoder)
    engine.refresh()
    for _ in range(3):
        with pytest.raises(CheckpointMissing):
            engine.search(shop.pictures[0])
    gc.collect()
    assert [each() for each in loaded] == [None]
    assert engine.problem is not None
    assert engine.problem.__traceback__ is None


def test_an_error_that_nobody_expected_is_a_problem_too(
    shop: Shop, loads: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    """With its traceback in the log, and tried again after a while: it may have been for want of memory."""
    shop.publish()
    failures: list[Exception] = [MemoryError("no room"), RuntimeError("no room")]

    def open_encoder(checkpoint: Checkpoint) -> FakeEncoder:
        if failures:
            raise failures.pop()
        return FakeEncoder(checkpoint)

    clock = Clock()
    engine = Engine(shop.settings, open_encoder, clock=clock)
    refreshed_for(engine, clock, 30)
    assert isinstance(engine.problem, GenerationError)
    assert len(loads) == 2
    assert caplog.text.count("Traceback") == 2
    assert engine.refresh()
    assert engine.problem is None


def test_without_room_on_the_gpu_the_cpu_serves(shop: Shop, opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    """A GPU that TensorFlow has filled stops no refresh."""

    def out_of_memory(*arguments: object) -> None:
        raise RuntimeError("cudaMalloc error out of memory")

    monkeypatch.setattr("faiss.get_num_gpus", lambda: 1, raising=False)
    monkeypatch.setattr("faiss.index_cpu_to_gpu", out_of_memory, raising=False)
    monkeypatch.setattr("vsearch.index.class_index._gpu_resources", lambda: None)
    monkeypatch.setattr("vsearch.index.class_index._Gpu.warned", False)
    shop.publish()
    engine = Engine(shop.settings, opened)
    assert engine.refresh()
    assert engine.search(shop.pictures[0]).hits[0].product_id == 1


def test_what_is_excluded_is_not_found(shop: Shop, engine: Engine) -> None:
    """By no picture, mirrored or not, and its place is not left empty; also by likeness to a product."""
    everything = engine.search(shop.pictures[5], Search(k=12, classes=ALL)).hits
    first = everything[0].product_id
    excluded = engine.serving.generation.gallery.pictures_of(first)
    for metric in ("cosine", "euclidean"):
        wanted = Search(k=5, classes=ALL, metric=metric, excluded=excluded)
        found = [hit.product_id for hit in engine.search(shop.pictures[5], wanted).hits]
        assert first not in found
        assert len(found) == 5
    like = engine.search_like(everything[1].product_id, Search(k=11, excluded=excluded)).hits
    assert len(like) == 10
    assert first not in {hit.product_id for hit in like}


def test_searches_that_must_agree_are_given_what_answers(shop: Shop, engine: Engine) -> None:
    """A generation that is published between the two does not part them."""
    serving = engine.serving
    first = engine.search(shop.pictures[0], serving=serving)
    shop.publish(first_product=501)
    assert engine.refresh()
    second = engine.search(shop.pictures[0], Search(classes=ALL), serving=serving)
    assert second.generation_id == first.generation_id != engine.serving.generation.generation_id
    assert second.hits[0].product_id == 1
    assert engine.search_like(1, serving=serving).hits
    assert engine.search_like(1).hits == ()


def test_rollback_is_swapped_in_like_any_generation(shop: Shop, engine: Engine) -> None:
    """What was served before is served again."""
    first = engine.serving.generation.generation_id
    shop.publish(first_product=501)
    engine.refresh()
    retention.rollback(shop.generations)
    assert engine.refresh()
    assert engine.serving.generation.generation_id == first


@pytest.mark.slow
def test_every_result_belongs_wholly_to_one_generation(shop: Shop, engine: Engine) -> None:
    """While generations are published and swapped in, eight threads search; none sees a mixture."""
    shifts = {engine.serving.generation.generation_id: 1}
    stop = threading.Event()

    def search_on(seed: int) -> list[tuple[str, set[int]]]:
        rng = np.random.default_rng(seed)
        seen = []
        while not stop.is_set():
            result = engine.search(shop.pictures[rng.integers(24)], Search(k=99, classes=ALL))
            seen.append((result.generation_id, {hit.product_id for hit in result.hits}))
        return seen

    with ThreadPoolExecutor(8) as threads:
        searches = [threads.submit(search_on, seed) for seed in range(8)]
        try:
            for round_number in range(1, 6):
                first = 1 + 1000 * round_number
                shifts[shop.publish(first)] = first
                assert engine.refresh()
        finally:
            stop.set()
        seen = [pair for search in searches for pair in search.result()]
    assert {generation_id for generation_id, _ in seen} <= shifts.keys()
    for generation_id, product_ids in seen:
        assert product_ids == set(range(shifts[generation_id], shifts[generation_id] + 12))


ROOM_LEFT, ROOM_RIGHT = Box(0.125, 0.25, 0.375, 0.75), Box(0.625, 0.25, 0.875, 0.75)


def room(shop: Shop) -> Picture:
    """Return a photo twice as wide as high, with product 3 on its left and product 11 on its right."""
    photo = np.random.default_rng(1).integers(90, 130, (64, 128, 3)).astype(np.uint8)
    photo[16:48, 16:48], photo[16:48, 80:112] = shop.pictures[5], shop.pictures[20]
    return photo


def test_products_are_found_in_parts_of_a_photo(shop: Shop, opened: Opened) -> None:
    """Each by its part, in one batch with the whole photo; the answer says which part, and what that part shows."""
    shop.publish()
    detector = FakeDetector(ROOM_RIGHT, ROOM_LEFT)
    engine = Engine(shop.settings, opened, open_detector=detector)
    engine.refresh()
    before = opened.encoders[0].calls

    result = engine.search(room(shop), Search(k=99, classes=ALL))

    assert {hit.product_id: hit.box for hit in result.hits[:2]} == {3: ROOM_LEFT, 11: ROOM_RIGHT}
    assert [hit.label for hit in result.hits[:2]] == ["exact", "exact"]
    assert sorted(hit.product_id for hit in result.hits) == list(range(1, 13))
    assert [detection.box for detection in result.detections] == [ROOM_RIGHT, ROOM_LEFT]
    assert result.predictions is not None
    assert len(result.predictions.probabilities) == 1
    assert result.timings.keys() == {"find", "encode", "search"}
    assert opened.encoders[0].calls == before + 1

    engine.search(room(shop), Search(metric="euclidean"))
    assert (opened.encoders[0].calls, detector.calls) == (before + 1, 1)


def test_a_box_is_searched_alone(shop: Shop, opened: Opened, engine: Engine) -> None:
    """Whoever marks a part means that part: others are proposed, but not searched."""
    detector = FakeDetector(ROOM_LEFT)
    finding = Engine(shop.settings, opened, open_detector=detector)
    finding.refresh()

    asked = Search(k=5, box=ROOM_RIGHT)
    found, expected = finding.search(room(shop), asked), engine.search(room(shop), asked)

    assert found.hits == expected.hits
    assert ([part.box for part in found.detections], found.box) == ([ROOM_LEFT], ROOM_RIGHT)
    assert found.known_classes == ("chair", "lamp")
    finding.search(room(shop))
    assert detector.calls == 1


def test_the_whole_photo_always_counts(shop: Shop, opened: Opened, engine: Engine) -> None:
    """A picture of one product finds it as without a detector, whatever the detector saw in it."""
    finding = Engine(shop.settings, opened, open_detector=FakeDetector(Box(0, 0, 0.3, 0.2)))
    finding.refresh()

    for number in (0, 5, 17):
        found, expected = (one.search(shop.pictures[number], Search(classes=ALL)) for one in (finding, engine))
        assert found.hits[0].product_id == expected.hits[0].product_id
        assert found.hits[0].value >= expected.hits[0].value


def test_without_a_finder_nothing_is_proposed(shop: Shop, engine: Engine) -> None:
    """The photo is searched whole."""
    result = engine.search(room(shop))

    assert (result.detections, result.box) == ((), None)
    assert result.timings.keys() == {"encode", "search"}
