"""How near a photo is to things that no shop sells."""

import numpy as np
import pytest

from vsearch import strangers
from vsearch.metrics import l2_normalize


def drawn(count: int, seed: int = 0) -> np.ndarray:
    """Return so many random directions, float32 [count, 6]."""
    return l2_normalize(np.random.default_rng(seed).normal(size=(count, 6)).astype(np.float32))


def test_nearness_is_the_mean_of_the_greatest_cosines() -> None:
    """Of any length; and nothing is near to nobody."""
    known, photos = drawn(40), drawn(7, seed=1)
    found = strangers.nearness(3 * photos, known)
    greatest = np.sort(photos @ known.T, axis=1)[:, -strangers.NEAREST :]
    np.testing.assert_allclose(found, greatest.mean(axis=1), rtol=1e-5)
    np.testing.assert_array_equal(strangers.nearness(photos, known[:0]), np.zeros(7))


def test_what_this_shop_sells_is_not_strange_to_it() -> None:
    """The tenth most like its catalogue is left out, whatever the length of its vectors."""
    known = drawn(50)
    catalogue = 2 * np.concatenate([known[:5], drawn(9, seed=2)])
    scores, kept = strangers.unlike(known, catalogue, rows=7)
    assert np.flatnonzero(~kept).tolist() == [0, 1, 2, 3, 4]
    assert scores[0] == pytest.approx(1)
    np.testing.assert_allclose(scores, (known @ l2_normalize(catalogue).T).max(axis=1), rtol=1e-5)


def test_a_stranger_is_not_held_against_itself() -> None:
    """As a photo of the like would not be; one that is left out is held against all that are kept."""
    known = drawn(30)
    kept = np.arange(30) > 2
    found = strangers.among_themselves(known, kept)
    for row in range(30):
        others = known[[other for other in range(30) if kept[other] and other != row]]
        assert found[row] == pytest.approx(np.sort(others @ known[row])[-strangers.NEAREST :].mean(), abs=1e-5)


def test_nothing_is_taken_off_what_is_as_near_as_usual() -> None:
    """Nor is anything added to what is farther."""
    np.testing.assert_allclose(strangers.excess(np.array([0.1, 0.3, 0.5], np.float32), 0.3), [0, 0, 0.2], atol=1e-6)
