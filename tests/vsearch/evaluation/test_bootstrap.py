import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from vsearch.evaluation.bootstrap import auroc_interval, mean_interval


@settings(max_examples=25)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=20), st.integers(1, 4))
def test_an_interval_contains_its_mean_and_is_reproducible(values: list[float], photos: int) -> None:
    groups = np.arange(len(values)) % photos
    found = mean_interval(np.array(values), groups)
    assert found == mean_interval(np.array(values), groups)
    assert min(values) - 1e-9 <= found.low <= found.mean + 1e-9
    assert found.mean <= found.high + 1e-9 <= max(values) + 2e-9
    if photos == 1:
        assert found.low == pytest.approx(found.high)


@pytest.mark.slow
@pytest.mark.parametrize("photos", [None, 7])
def test_intervals_agree_with_explicit_resampling(photos: int | None) -> None:
    rng = np.random.default_rng(3)
    known, unrelated = rng.integers(2, 9, 40).astype(float), rng.integers(0, 7, 30).astype(float)
    groups = np.arange(40) % (photos or 40)
    means, areas = [], []
    for _ in range(1000):
        drawn = np.concatenate([known[groups == number] for number in rng.integers(photos or 40, size=photos or 40)])
        means.append(drawn.mean())
        areas.append(_auroc(drawn, unrelated[rng.integers(30, size=30)]))

    clusters = groups if photos else None
    for found, values in ((mean_interval(known, clusters), means), (auroc_interval(known, unrelated, clusters), areas)):
        assert (found.low, found.high) == pytest.approx(tuple(np.quantile(values, (0.025, 0.975))), rel=0.03)
    assert auroc_interval(known, unrelated).mean == pytest.approx(_auroc(known, unrelated))


def test_intervals_of_flags_agree_with_scipy() -> None:
    flags = np.arange(300) % 5 == 0
    expected = stats.bootstrap((flags,), np.mean, n_resamples=2000, method="percentile", rng=1).confidence_interval
    found = mean_interval(flags)
    assert (found.low, found.high) == pytest.approx(tuple(expected), abs=0.01)


def test_perfectly_separated_scores_have_an_area_of_one() -> None:
    rng = np.random.default_rng(0)
    known, unrelated = rng.normal(1, 1, 80), rng.normal(0, 1, 60)
    assert auroc_interval(known + 99, unrelated, np.arange(80) // 2).low == 1


def _auroc(known: np.ndarray, unrelated: np.ndarray) -> float:
    from sklearn.metrics import roc_auc_score

    truth = np.repeat([1, 0], [len(known), len(unrelated)])
    return float(roc_auc_score(truth, np.concatenate([known, unrelated])))
