"""Classes too large for exact search: parted among cells, and as good as exact."""

from pathlib import Path

import numpy as np
import pytest

from vsearch.core.settings import Metric
from vsearch.evaluation.metrics import index_recall_at_k
from vsearch.index import index_policy
from vsearch.index.class_index import ClassIndex


@pytest.fixture
def clustered(monkeypatch: pytest.MonkeyPatch) -> np.ndarray:
    """Vectors of 3,000 pictures in 60 clusters, where 1,000 are many."""
    monkeypatch.setattr(index_policy, "EXACT_UP_TO", 1000)
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(60, 16)) * 3
    return (centres[rng.integers(60, size=3000)] + rng.normal(size=(3000, 16))).astype(np.float32)


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_a_large_class_finds_what_exact_search_finds(
    clustered: np.ndarray, metric: Metric, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Looking through some of its cells, before and after it was on disk."""
    ids = np.arange(3000) * 7
    large = ClassIndex.build(clustered, ids, metric)
    assert index_policy.index_key(3000) == "IVF108,Flat"
    assert 1 <= large._rows.nprobe < 108
    large.save(tmp_path / "large.faiss")
    loaded = ClassIndex.load(tmp_path / "large.faiss", metric)
    monkeypatch.setattr(index_policy, "EXACT_UP_TO", 5000)
    exact = ClassIndex.build(clustered, ids, metric)
    queries = clustered[:200] + np.float32(0.01)
    expected = exact.search(queries, 10)
    for index in (large, loaded):
        values, found = index.search(queries, 10)
        assert index_recall_at_k(found, expected[1]).mean() > 0.98
        np.testing.assert_allclose(values[:, 0], expected[0][:, 0], atol=2e-3)
    np.testing.assert_allclose(loaded.vectors(ids[:50]), exact.vectors(ids[:50]), rtol=1e-6)


def test_a_filter_is_exact_whatever_the_cells(clustered: np.ndarray) -> None:
    """The few allowed pictures may lie far from the query, in cells that are not looked through otherwise."""
    large = ClassIndex.build(clustered, np.arange(3000), "cosine")
    allowed = np.array([5, 700, 1500, 2999])
    found = large.search(clustered[:20], 10, allowed=allowed)[1]
    assert all(set(row[:4]) == set(allowed.tolist()) for row in found)
    assert (found[:, 4:] == -1).all()


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
@pytest.mark.parametrize("gone", [slice(1), slice(500), slice(2900), slice(0, 1000, 2), slice(3000)])
def test_what_is_excluded_makes_room_for_what_is_next(clustered: np.ndarray, gone: slice, metric: Metric) -> None:
    """As exact search would find it, also where most of what is in the nearest cells is excluded."""
    large = ClassIndex.build(clustered, np.arange(3000) * 7, metric)
    recalls = []
    for query in clustered[:40, None] + np.float32(0.01):
        nearest = large.search(query, 3000)[1][0]
        excluded = np.sort(nearest[gone])
        found = large.search(query, 10, excluded=excluded)[1]
        assert not np.isin(found, excluded).any()
        expected = np.full((1, 10), -1)
        left = nearest[~np.isin(nearest, excluded)][:10]
        expected[0, : len(left)] = left
        recalls.append(index_recall_at_k(found, expected).mean() if len(left) else (found == -1).all())
    assert np.mean(recalls) > 0.98


def test_a_long_list_is_as_long_as_was_asked_for(clustered: np.ndarray) -> None:
    """Whatever the cells hold that are looked through: a deep page of results is not the last one for that."""
    large = ClassIndex.build(clustered, np.arange(3000), "cosine")
    for wanted in (500, 2999, 3000):
        found = large.search(clustered[:1], wanted)[1][0]
        assert len(set(found.tolist()) - {-1}) == wanted
    excluded = np.arange(100)
    found = large.search(clustered[:1], 3000, excluded=excluded)[1][0]
    assert sorted(found[:2900].tolist()) == list(range(100, 3000))
    assert (found[2900:] == -1).all()
