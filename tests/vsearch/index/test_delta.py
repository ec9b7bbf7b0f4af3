"""Deltas: a generation with a delta is searched like one that was built with the same images."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes import gallery_of
from vsearch.core.errors import GenerationCorrupt
from vsearch.core.settings import Metric
from vsearch.index import delta as deltas
from vsearch.index.delta import Delta
from vsearch.index.gallery import Gallery

GENERATION, OTHER = "20261121T013000Z-3f9c", "20261122T013000Z-3f9c"
NOW = datetime(2026, 11, 21, 9, tzinfo=UTC)
NAMES = ("chair", "lamp", "sofa")
COUNT = 60
RNG = np.random.default_rng(0)
VECTORS = RNG.normal(size=(COUNT, 8)).astype(np.float32)
IMAGE_IDS = np.arange(100, 100 + COUNT)
PRODUCT_IDS = RNG.integers(20, size=COUNT)
CLASSES = np.array(NAMES)[RNG.integers(3, size=COUNT)]


def gallery_with(rows: np.ndarray) -> Gallery:
    return gallery_of(VECTORS[rows], IMAGE_IDS[rows], PRODUCT_IDS[rows], CLASSES[rows].tolist())


def delta_of(added: np.ndarray, removed: np.ndarray) -> Delta:
    added_ids, products, names = IMAGE_IDS[added], PRODUCT_IDS[added], tuple(CLASSES[added].tolist())
    return Delta(GENERATION, NOW, added_ids, products, names, VECTORS[added], IMAGE_IDS[removed])


@given(
    state=st.lists(st.sampled_from(["kept", "kept", "added", "removed", "absent"]), min_size=COUNT, max_size=COUNT),
    metric=st.sampled_from(["cosine", "euclidean"]),
    k=st.integers(1, 25),
    limited=st.booleans(),
    seed=st.integers(0, 9),
)
def test_a_delta_gives_the_same_hits_as_a_new_index(
    state: list[str], metric: Metric, k: int, limited: bool, seed: int
) -> None:
    states = np.array(state)
    kept, added, removed = (states == name for name in ("kept", "added", "removed"))
    if not (kept | removed).any() or not (kept | added).any():
        return
    merged = deltas.merge(gallery_with(kept | removed), delta_of(added, removed))
    built = gallery_with(kept | added)
    assert merged.image_ids.tolist() == built.image_ids.tolist()
    assert merged.product_ids.tolist() == built.product_ids.tolist()
    assert sorted(merged.classes) == sorted(built.classes)
    rng = np.random.default_rng(seed)
    query = rng.normal(size=8)
    limits = {"allowed": IMAGE_IDS[rng.random(COUNT) < 0.5], "excluded": IMAGE_IDS[rng.random(COUNT) < 0.3]}
    limits = limits if limited else {}
    found = merged.search(query, k=k, metric=metric, **limits)
    assert found == built.search(query, k=k, metric=metric, **limits)
    np.testing.assert_array_equal(merged.cosines(query, found), built.cosines(query, found))
    for image_id in built.image_ids.tolist():
        np.testing.assert_array_equal(merged.embedding(image_id), built.embedding(image_id))
    for image_id in IMAGE_IDS[removed].tolist():
        with pytest.raises(KeyError):
            merged.embedding(image_id)


def test_a_delta_is_written_and_read(tmp_path: Path) -> None:
    """An empty one is no file."""
    assert deltas.read(tmp_path, GENERATION) is None
    assert deltas.version(tmp_path, GENERATION) is None
    added, removed = np.arange(COUNT) < 5, np.arange(COUNT) >= 50
    deltas.write(tmp_path, delta_of(added, removed))
    found, first = deltas.read(tmp_path, GENERATION), deltas.version(tmp_path, GENERATION)
    assert found
    assert (found.generation_id, found.created_at, found.classes) == (GENERATION, NOW, tuple(CLASSES[:5].tolist()))
    np.testing.assert_array_equal(found.embeddings, VECTORS[:5])
    np.testing.assert_array_equal(found.removed, IMAGE_IDS[50:])
    deltas.write(tmp_path, delta_of(added, removed))
    assert deltas.version(tmp_path, GENERATION) != first
    assert deltas.orphans(tmp_path, [GENERATION]) == []
    assert deltas.orphans(tmp_path, [OTHER]) == [deltas.path_of(tmp_path, GENERATION)]
    deltas.write(tmp_path, delta_of(added & ~added, removed & ~removed))
    assert list(tmp_path.glob("deltas/*")) == []


def test_a_damaged_delta_is_an_error(tmp_path: Path) -> None:
    added = np.arange(COUNT) < 5
    deltas.write(tmp_path, delta_of(added, ~added))
    path = deltas.path_of(tmp_path, GENERATION)
    content = path.read_bytes()
    for damaged in (content[:100], b"", content[:-30], content.replace(b"about", b"other"), _flipped(content)):
        path.write_bytes(damaged)
        with pytest.raises(GenerationCorrupt):
            deltas.read(tmp_path, GENERATION)
    deltas.path_of(tmp_path, OTHER).write_bytes(content)
    with pytest.raises(GenerationCorrupt):
        deltas.read(tmp_path, OTHER)


def _flipped(content: bytes) -> bytes:
    """Return the content with one bit of an embedding changed."""
    position = content.index(VECTORS[0].tobytes())
    return content[:position] + bytes([content[position] ^ 1]) + content[position + 1 :]
