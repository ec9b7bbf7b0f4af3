import gc
import shutil
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from unittest.mock import Mock, call

import numpy as np
import pytest

from tests.fakes import MATCH_CALIBRATION, EncoderFactory, FakeDetector, FakeEncoder, FrozenClock, fake_checkpoint
from tests.vsearch.conftest import CLASSES, Shop
from vsearch.core.errors import (
    CheckpointMismatch,
    CheckpointMissing,
    GenerationCorrupt,
    GenerationError,
    NoGeneration,
    UnknownClass,
)
from vsearch.core.settings import Settings
from vsearch.core.vectors import l2_normalize
from vsearch.imaging.codec import Picture
from vsearch.imaging.geometry import Box
from vsearch.index import generation, retention
from vsearch.models import registry
from vsearch.models.checkpoint import Checkpoint
from vsearch.models.class_heads import CLASS
from vsearch.search.engine import ALL, RETRY_SECONDS, Engine, Search
from vsearch.search.merging import SearchResult


@pytest.fixture
def opened(shop: Shop) -> EncoderFactory:
    """Publish a first generation; return the encoders that the engine will open."""
    shop.publish()
    return EncoderFactory()


@pytest.fixture
def engine(shop: Shop, opened: EncoderFactory) -> Engine:
    """Return an engine that serves the first generation."""
    return refreshed(Engine(shop.settings, opened))


def refreshed(engine: Engine) -> Engine:
    """Return the engine after it has loaded the current generation."""
    assert engine.refresh()
    return engine


def product_ids(result: SearchResult) -> list[int]:
    """Return the ids of the products found, best first."""
    return [hit.product_id for hit in result.hits]


# ---- searching ----


def test_a_catalog_image_finds_its_product(shop: Shop, engine: Engine) -> None:
    result = engine.search(shop.pictures[5], Search(k=99, classes=ALL))
    first = result.hits[0]
    assert (first.product_id, first.class_name, first.label) == (3, "chair", "exact")
    assert first.value == first.score == pytest.approx(1, abs=1e-3)
    assert sorted(product_ids(result)) == list(range(1, 13)), "one hit per product"
    assert [hit.margin for hit in result.hits] == sorted((hit.margin for hit in result.hits), reverse=True)
    labels = [MATCH_CALIBRATION.match_label(hit.margin, hit.score) for hit in result.hits]
    assert [hit.label for hit in result.hits] == labels
    assert result.generation_id == engine.serving.generation.generation_id
    assert result.predictions is not None
    assert set(result.predictions.networks) == {"left", "right"}
    assert result.timings.keys() == {"encode", "search"}
    assert result.known_classes == ("chair", "lamp")
    assert (result.detections, result.box) == ((), None)


def test_a_photo_similar_to_the_background_cohort_is_penalized(shop: Shop, engine: Engine) -> None:
    photo, serving = shop.pictures[0], engine.serving
    before = engine.search(photo, Search(k=1, metric="euclidean")).hits[0]
    cohort = l2_normalize(serving.generation.whitening.project(serving.encoder.blocks([photo])))
    normalizing = replace(serving, generation=replace(serving.generation, background_cohort=cohort))
    after = Engine(shop.settings, serving=normalizing).search(photo, Search(k=1, metric="euclidean")).hits[0]
    assert (before.product_id, before.label, after.score) == (1, "exact", before.score)
    assert after.margin == pytest.approx(before.margin - 0.5, abs=1e-3)


def test_filters_do_not_change_labels(shop: Shop, engine: Engine) -> None:
    """Nor does the number of products wanted: the next products are counted even if they are not shown."""
    every = {hit.product_id: hit for hit in engine.search(shop.pictures[4], Search(k=99, classes=ALL)).hits}
    for allowed in (np.array([104, 105]), np.arange(116, 120)):
        found = engine.search(shop.pictures[4], Search(k=2, classes=ALL, allowed=allowed)).hits
        assert found == tuple(every[hit.product_id] for hit in found)
    assert engine.search(shop.pictures[4], Search(k=1, classes=ALL)).hits[0] == every[3]
    for hit in engine.search(shop.pictures[4], Search(k=9, classes=("lamp",))).hits:
        assert hit == every[hit.product_id]


def test_hits_of_a_euclidean_search_have_cosine_scores(shop: Shop, engine: Engine) -> None:
    cosine = engine.search(shop.pictures[0], Search(k=99, classes=ALL))
    euclidean = engine.search(shop.pictures[0], Search(k=99, classes=ALL, metric="euclidean"))
    assert euclidean.hits[0].value == pytest.approx(0, abs=1e-2)
    assert [hit.value for hit in euclidean.hits] == sorted(hit.value for hit in euclidean.hits)
    scores = {hit.image_id: hit.score for hit in cosine.hits}
    common = [hit for hit in euclidean.hits if hit.image_id in scores]
    assert len(common) > 6
    for hit in common:
        assert hit.score == pytest.approx(scores[hit.image_id], abs=1e-6)


@pytest.mark.parametrize(
    ("mass", "floor", "heads", "routing"),
    [
        (0.01, 0, CLASSES, "routed"),
        (1, 0, CLASSES, "all"),
        (0.01, 1, CLASSES, "all"),
        (0.01, 0, ("chair", "sofa"), "all"),  # a class unknown to the heads
    ],
)
def test_mass_and_floor_decide_how_many_classes_are_searched(
    mass: float, floor: float, heads: tuple[str, ...], routing: str, shop: Shop, opened: EncoderFactory
) -> None:
    publish_with(shop, fake_checkpoint(shop.folder / "other", heads))
    engine = refreshed(Engine(Settings(data=shop.folder, route_mass=mass, route_floor=floor), opened))
    noise = np.random.default_rng(0).integers(0, 255, (32, 32, 3)).astype(np.uint8)
    result = engine.search(noise, Search(k=99))
    assert result.routing == routing
    assert len(result.classes) == (1 if routing == "routed" else 2)
    assert {hit.class_name for hit in result.hits} == set(result.classes)


def test_named_classes_are_searched_regardless_of_the_photo(shop: Shop, engine: Engine) -> None:
    for result in (
        engine.search(shop.pictures[0], Search(classes=("lamp",))),
        engine.search_like(3, Search(classes=("lamp",))),
    ):
        assert (result.classes, result.routing) == (("lamp",), "chosen")
        assert {hit.class_name for hit in result.hits} == {"lamp"}
    with pytest.raises(UnknownClass, match=r"'rug'.*chair, lamp"):
        engine.search(shop.pictures[0], Search(classes=("rug",)))


def test_filters_apply_to_photos_and_to_similar_products(shop: Shop, engine: Engine) -> None:
    gallery = engine.serving.generation.gallery
    search = Search(classes=ALL, allowed=gallery.image_ids[:12], excluded=gallery.image_ids_of(1))
    assert set(product_ids(engine.search(shop.pictures[0], search))) == {2, 3, 4, 5, 6}
    assert set(product_ids(engine.search_like(3, search))) == {2, 4, 5, 6}


def test_a_photo_is_encoded_once(shop: Shop, engine: Engine, opened: EncoderFactory) -> None:
    """A different class or metric, or the same box, needs no encoding; a new box or a forgotten photo does."""
    encoder, photo = opened.encoders[0], shop.pictures[0]
    before = encoder.pictures
    for search in (Search(), Search(classes=("lamp",)), Search(metric="euclidean")):
        engine.search(photo.copy(), search)
    assert encoder.pictures == before + 1
    for _ in range(2):
        engine.search(photo, Search(box=Box(0, 0, 0.5, 0.5)))
    assert encoder.pictures == before + 2
    engine.photos.forget(photo)
    engine.search(photo)
    assert encoder.pictures == before + 3


def test_similar_products_exclude_the_product_itself(shop: Shop, engine: Engine, opened: EncoderFactory) -> None:
    before = opened.encoders[0].pictures
    result = engine.search_like(3, Search(k=5))
    assert opened.encoders[0].pictures == before
    gallery = engine.serving.generation.gallery
    nearest = gallery.search(gallery.embedding(104), k=6)
    assert product_ids(result) == [hit.product_id for hit in nearest[1:]]
    assert (result.predictions, result.routing) == (None, "all")
    assert engine.search_like(999).hits == ()


def test_searches_with_one_serving_agree_while_a_generation_is_published(shop: Shop, engine: Engine) -> None:
    serving = engine.serving
    first = engine.search(shop.pictures[0], serving=serving)
    shop.publish(first_product=501)
    assert engine.refresh()
    second = engine.search(shop.pictures[0], Search(classes=ALL), serving=serving)
    assert second.generation_id == first.generation_id != engine.serving.generation.generation_id
    assert second.hits[0].product_id == 1
    assert engine.search_like(1, serving=serving).hits
    assert engine.search_like(1).hits == ()


# ---- detections ----

ROOM_LEFT, ROOM_RIGHT = Box(0.125, 0.25, 0.375, 0.75), Box(0.625, 0.25, 0.875, 0.75)


def room(shop: Shop) -> Picture:
    """Return a photo twice as wide as it is tall, with product 3 on its left and product 11 on its right."""
    photo = np.random.default_rng(1).integers(90, 130, (64, 128, 3)).astype(np.uint8)
    photo[16:48, 16:48], photo[16:48, 80:112] = shop.pictures[5], shop.pictures[20]
    return photo


def test_every_detection_is_searched(shop: Shop, opened: EncoderFactory) -> None:
    """Detections are encoded in one batch with the whole photo; each hit names its box."""
    detector = FakeDetector(ROOM_RIGHT, ROOM_LEFT)
    engine = refreshed(Engine(shop.settings, opened, open_detector=detector))
    before = opened.encoders[0].calls
    result = engine.search(room(shop), Search(k=99, classes=ALL))
    assert {hit.product_id: hit.box for hit in result.hits[:2]} == {3: ROOM_LEFT, 11: ROOM_RIGHT}
    assert [hit.label for hit in result.hits[:2]] == ["exact", "exact"]
    assert sorted(product_ids(result)) == list(range(1, 13))
    assert [detection.box for detection in result.detections] == [ROOM_RIGHT, ROOM_LEFT]
    assert result.predictions is not None
    assert result.predictions.mean(CLASS).shape[0] == 1
    assert result.timings.keys() == {"detect", "encode", "search"}
    engine.search(room(shop), Search(metric="euclidean"))
    assert (opened.encoders[0].calls, detector.calls) == (before + 1, 1)


def test_a_given_box_is_searched_alone(shop: Shop, opened: EncoderFactory) -> None:
    engine = refreshed(Engine(shop.settings, opened, open_detector=FakeDetector(ROOM_LEFT)))
    result = engine.search(room(shop), Search(k=1, classes=ALL, box=ROOM_RIGHT))
    assert (result.hits[0].image_id, result.hits[0].label, result.hits[0].box) == (120, "exact", ROOM_RIGHT)
    assert ([detection.box for detection in result.detections], result.box) == ([ROOM_LEFT], ROOM_RIGHT)


def test_the_whole_photo_is_searched_in_addition_to_detections(shop: Shop, opened: EncoderFactory) -> None:
    engine = refreshed(Engine(shop.settings, opened, open_detector=FakeDetector(Box(0, 0, 0.3, 0.2))))
    for number in (0, 5, 17):
        hit = engine.search(shop.pictures[number], Search(classes=ALL, metric="euclidean")).hits[0]
        assert (hit.image_id, hit.box) == (100 + number, None)


# ---- refreshing ----


def publish_with(shop: Shop, checkpoint: Checkpoint) -> None:
    """Publish a generation from a different checkpoint."""
    checkpoint.folder.rename(shop.folder / "checkpoints" / checkpoint.checkpoint_id)
    generation.publish(shop.generations, Shop(shop.folder, checkpoint, shop.pictures, shop.blocks).write())


def test_without_a_generation_nothing_is_served(shop: Shop) -> None:
    engine = Engine(shop.settings, FakeEncoder)
    with pytest.raises(NoGeneration):
        engine.search(shop.pictures[0])
    assert not engine.refresh()
    assert isinstance(engine.problem, NoGeneration)
    with pytest.raises(NoGeneration, match="vsearch index run"):
        engine.search(shop.pictures[0])


def test_a_new_generation_keeps_the_encoder_if_its_blocks_are_the_same(
    shop: Shop, engine: Engine, opened: EncoderFactory
) -> None:
    """Earlier generations are freed."""
    assert not engine.refresh()
    first = weakref.ref(engine.serving.generation)
    shop.publish(first_product=501)
    assert engine.refresh()
    gc.collect()
    assert first() is None
    assert engine.search(shop.pictures[0]).hits[0].product_id == 501
    retention.rollback(shop.generations)
    assert engine.refresh()
    assert engine.search(shop.pictures[0]).hits[0].product_id == 1
    assert len(opened.encoders) == 1
    other = fake_checkpoint(shop.folder / "other", trunk=2)
    publish_with(shop, other)
    assert engine.refresh()
    assert [encoder.blocks_id for encoder in opened.encoders] == [shop.checkpoint.blocks_id, other.blocks_id]


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Mock:
    """Return a mock that wraps and records the loading of generations."""
    recorded = Mock(wraps=generation.load)
    monkeypatch.setattr(generation, "load", recorded)
    return recorded


@pytest.mark.parametrize(
    ("file", "error"),
    [
        ("generation/images.npz", GenerationCorrupt),
        ("checkpoint/heads.npz", CheckpointMismatch),
        ("checkpoint", CheckpointMissing),
    ],
)
def test_a_generation_that_cannot_be_served_is_loaded_again_when_its_files_change(
    file: str, error: type[Exception], shop: Shop, opened: EncoderFactory, load: Mock
) -> None:
    """Until then, the previous generation is served."""
    clock = FrozenClock()
    engine = refreshed(Engine(shop.settings, opened, clock=lambda: clock.now.timestamp()))
    other = fake_checkpoint(shop.folder / "other", trunk=2)
    publish_with(shop, other)
    newest = generation.current(shop.generations)
    folders = {"generation": newest, "checkpoint": shop.folder / "checkpoints" / other.checkpoint_id}
    path = folders[file.partition("/")[0]] / file.partition("/")[2]
    path.rename(shop.folder / "aside")
    if file == "checkpoint/heads.npz":
        path.write_bytes((shop.folder / "aside").read_bytes()[:-9])
    served = engine.serving
    assert not any(engine.refresh() for _ in range(9))
    assert isinstance(engine.problem, error)
    assert engine.serving is served
    (shop.folder / "aside").rename(path)
    assert engine.refresh()
    assert engine.problem is None
    assert load.call_args_list[1:] == [call(newest)] * 2


def test_another_generation_is_loaded_at_once(shop: Shop, engine: Engine, load: Mock) -> None:
    """After a rollback to the generation being served, the problem is gone and nothing needs loading."""
    served = engine.serving.generation.generation_id
    bad = shop.publish(first_product=501)
    (shop.generations / bad / "images.npz").unlink()
    assert not any(engine.refresh() for _ in range(9))
    generation.make_current(shop.generations, served)
    assert not engine.refresh()
    assert engine.problem is None
    good = shop.publish(first_product=901)
    assert engine.refresh()
    assert load.call_args_list == [call(shop.generations / name) for name in (bad, good)]


def test_a_problem_keeps_nothing_in_memory(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the generation that failed to load, nor the failed requests."""
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


def test_an_unexpected_error_is_a_problem_too(shop: Shop, caplog: pytest.LogCaptureFixture) -> None:
    """It is logged with its traceback and retried, since memory may have been short."""
    shop.publish()
    open_encoder = Mock(side_effect=[MemoryError("no room"), RuntimeError("no room"), FakeEncoder(shop.checkpoint)])
    clock = FrozenClock()
    engine = Engine(shop.settings, open_encoder, clock=lambda: clock.now.timestamp())
    for _ in range(2):
        assert not engine.refresh()
        assert isinstance(engine.problem, GenerationError)
        clock.move(RETRY_SECONDS)
    assert caplog.text.count("Traceback") == 2
    assert engine.refresh()
    assert engine.problem is None


@pytest.mark.slow
def test_every_result_belongs_to_one_generation(shop: Shop, engine: Engine) -> None:
    """Eight threads search while generations are published and swapped in."""
    first_products = {engine.serving.generation.generation_id: 1}
    stop = threading.Event()

    def search_on(seed: int) -> list[SearchResult]:
        rng = np.random.default_rng(seed)
        results = []
        while not stop.is_set():
            results.append(engine.search(shop.pictures[rng.integers(24)], Search(k=99, classes=ALL)))
        return results

    with ThreadPoolExecutor(8) as threads:
        searches = [threads.submit(search_on, seed) for seed in range(8)]
        try:
            for first in range(1001, 6001, 1000):
                first_products[shop.publish(first)] = first
                assert engine.refresh()
        finally:
            stop.set()
        for result in (result for search in searches for result in search.result()):
            first = first_products[result.generation_id]
            assert set(product_ids(result)) == set(range(first, first + 12))


def test_a_promoted_detector_is_opened_on_refresh(shop: Shop) -> None:
    shop.publish()
    opened: list[list[str]] = []

    def open_detector(settings: Settings) -> FakeDetector:
        opened.append(registry.promoted(settings, "detector"))
        return FakeDetector(ROOM_LEFT)

    engine = refreshed(Engine(shop.settings, FakeEncoder, open_detector=open_detector))
    for promoted in ([], ["0123456789abcdef"]):
        assert engine.photos.detections(shop.pictures[0])
        assert opened[-1] == promoted
        registry.use(shop.settings, "detector", "0123456789abcdef")
        assert not engine.refresh()
    assert len(opened) == 2
