import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vsearch.search.engine import choose_classes

CLASSES = ("sofa", "chair", "lamp", "rug")


@pytest.mark.parametrize(
    ("probabilities", "expected"),
    [
        ([0.95, 0.03, 0.01, 0.01], ("sofa",)),
        ([0.50, 0.41, 0.05, 0.04], ("sofa", "chair")),
        ([0.05, 0.40, 0.50, 0.05], ("lamp", "chair")),
        ([0.90, 0.10, 0.00, 0.00], ("sofa",)),
        ([0.40, 0.20, 0.20, 0.20], CLASSES),
        ([0.30, 0.30, 0.30, 0.10], CLASSES),  # below the floor
        ([np.nan] * 4, CLASSES),
    ],
)
def test_the_fewest_classes_that_cover_the_mass_are_chosen(
    probabilities: list[float], expected: tuple[str, ...]
) -> None:
    assert choose_classes(probabilities, CLASSES, mass=0.9, floor=0.35) == expected


def test_rounding_adds_no_class_and_lengths_must_agree() -> None:
    thirds = np.full(3, 1 / 3, dtype=np.float32)
    assert choose_classes(thirds, CLASSES[:3], mass=1.0, floor=0.1) == CLASSES[:3]
    with pytest.raises(ValueError, match="one probability"):
        choose_classes(thirds, CLASSES, mass=0.9, floor=0.3)


@given(st.lists(st.floats(0.001, 1), min_size=1, max_size=12), st.floats(0.05, 1), st.floats(0, 1))
def test_one_class_fewer_would_not_cover_the_mass(weights: list[float], mass: float, floor: float) -> None:
    probabilities = np.array(weights) / sum(weights)
    names = [f"class {i}" for i in range(len(weights))]
    chosen = [names.index(name) for name in choose_classes(probabilities, names, mass=mass, floor=floor)]
    if probabilities.max() < floor:
        assert len(chosen) == len(names)
        return
    assert probabilities[chosen].sum() >= mass - 1e-6 or len(chosen) == len(names)
    assert probabilities[chosen[:-1]].sum() < mass
