import numpy as np
import pytest

from tests.fakes import FakeEncoder
from tests.vsearch.conftest import Shop
from vsearch.evaluation import comparison
from vsearch.evaluation.query_sets import Query
from vsearch.search.engine import Engine


def test_the_difference_is_the_second_minus_the_first() -> None:
    relevant = [{1}, {2}, {3}, {4}]
    first = np.array([[1, 9, 8], [9, 2, 8], [9, 8, 3], [9, 8, 7]])
    second = np.array([[1, 9, 8], [2, 9, 8], [9, 3, 8], [4, 9, 8]])
    found = comparison.compare_rankings(first, second, relevant)
    assert found.queries == 4
    assert (found.hit_at_1.first, found.hit_at_1.second, found.hit_at_1.difference.mean) == (0.25, 0.75, 0.5)
    assert found.hit_at_5.difference.mean == 0.25
    assert found.mrr.first == pytest.approx((1 + 1 / 2 + 1 / 3) / 4)
    assert found.mrr.difference.low < found.mrr.difference.mean < found.mrr.difference.high


def test_a_paired_difference_has_a_narrow_interval() -> None:
    hard = np.random.default_rng(0).uniform(size=200)
    paired = comparison.compare_scores(hard, hard + 0.05)
    assert paired.difference.mean == pytest.approx(0.05)
    assert paired.difference.high - paired.difference.low < 1e-6


def test_the_sentence_states_the_scores() -> None:
    ranked = np.array([[1, 9], [9, 2]])
    sentence = comparison.compare_rankings(ranked, ranked, [{1}, {2}]).sentence("A", "B")
    assert sentence.startswith("on 2 photos, A and B have hit@1 50.0 and 50.0 % (")
    assert sentence.count("(difference +0.0, 95 % interval +0.0 to +0.0)") == 2


def test_an_engine_ranks_only_the_allowed_images(shop: Shop) -> None:
    shop.publish()
    engine = Engine(shop.settings, FakeEncoder)
    engine.refresh()
    queries = [Query(shop.pictures[number], frozenset({number // 2 + 1})) for number in (0, 22)]
    steps: list[tuple[int, int]] = []
    ranked = comparison.rank(engine, queries, advance=lambda done, total: steps.append((done, total)))
    found = ranked.product_ids
    assert (found.shape, found[:, 0].tolist(), steps) == ((2, comparison.COMPARISON_DEPTH), [1, 12], [(1, 2), (2, 2)])
    assert (len(ranked.classes), ranked.seconds.min() > 0) == (2, True)
    few = comparison.rank(engine, queries, allowed=np.array([100, 102], np.int64))
    assert set(few.product_ids[1].tolist()) <= {1, 2, -1}
