import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vsearch.search.engine import choose_classes

CLASSES = ("sofa", "chair", "lamp", "rug")


def test_low_probabilities_select_all_classes_and_rounding_adds_none() -> None:
    thirds = np.full(3, 1 / 3, dtype=np.float32)
    assert choose_classes(thirds, CLASSES[:3], mass=0.6, floor=0.1) == CLASSES[:2]
    assert choose_classes(thirds, CLASSES[:3], mass=1.0, floor=0.1) == CLASSES[:3]
    for undecided in ([0.3, 0.3, 0.3, 0.1], [np.nan] * 4):
        assert choose_classes(undecided, CLASSES, mass=0.3, floor=0.35) == CLASSES
    with pytest.raises(ValueError, match="one probability"):
        choose_classes(thirds, CLASSES, mass=0.9, floor=0.3)


@given(st.lists(st.floats(0.001, 1), min_size=1, max_size=12), st.floats(0.05, 1), st.floats(0, 1))
def test_the_fewest_classes_that_cover_the_mass_are_selected(weights: list[float], mass: float, floor: float) -> None:
    """Likeliest first."""
    probabilities = np.array(weights) / sum(weights)
    names = [f"class {i}" for i in range(len(weights))]
    chosen = [names.index(name) for name in choose_classes(probabilities, names, mass=mass, floor=floor)]
    if probabilities.max() < floor:
        assert len(chosen) == len(names)
        return
    assert probabilities[chosen].tolist() == sorted(probabilities, reverse=True)[: len(chosen)]
    assert probabilities[chosen].sum() >= mass - 1e-6 or len(chosen) == len(names)
    assert probabilities[chosen[:-1]].sum() < mass
