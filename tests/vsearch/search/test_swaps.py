"""A page that serves one generation after another releases the memory of the earlier ones."""

import gc
import os
import weakref
from pathlib import Path

import numpy as np
import pytest

from tests.fakes import MATCH_CALIBRATION, NO_COHORT, FakeEncoder, origin
from tests.vsearch.conftest import METRICS, Shop
from vsearch.index import class_index, generation
from vsearch.index.class_index import ClassIndex
from vsearch.index.gallery import Gallery
from vsearch.search.engine import ALL, Engine, Search

pytestmark = pytest.mark.slow

PICTURES = 100_000


def large(shop: Shop, seed: int) -> str:
    """Publish a generation of `PICTURES` images and return its id."""
    vectors = np.random.default_rng(seed).normal(size=(PICTURES, shop.checkpoint.whitening.size)).astype(np.float32)
    image_ids = np.arange(PICTURES)
    indexes = {
        metric: {
            "chair": ClassIndex.build(vectors[:50_000], image_ids[:50_000], metric),
            "lamp": ClassIndex.build(vectors[50_000:], image_ids[50_000:], metric),
        }
        for metric in METRICS
    }
    hidden = generation.write(
        shop.generations,
        origin(shop.checkpoint, previous=None),
        gallery=Gallery(indexes, image_ids, image_ids),
        whitening=shop.checkpoint.whitening,
        match_calibration=MATCH_CALIBRATION,
        background_cohort=NO_COHORT,
    )
    return generation.publish(shop.generations, hidden).name


def resident() -> float:
    """Return the resident memory of this process in megabytes."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def test_memory_does_not_grow_with_the_number_of_swaps(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(class_index, "EXACT_UP_TO", PICTURES)  # clustering would take most of the time
    published = [large(shop, seed) for seed in range(2)]
    engine = Engine(shop.settings, FakeEncoder)
    served: list[weakref.ref[object]] = []
    after: list[float] = []
    for swap in range(10):
        generation.make_current(shop.generations, published[swap % 2])
        assert engine.refresh()
        assert engine.search(shop.pictures[0], Search(k=3, classes=ALL)).hits
        served.append(weakref.ref(engine.serving.generation))
        gc.collect()
        after.append(resident())
    assert [each() is not None for each in served] == [False] * 9 + [True]
    one = PICTURES * shop.checkpoint.whitening.size * 4 * len(METRICS) / 1e6
    assert after[-1] - after[1] < one, after  # a single generation that stayed would be more
