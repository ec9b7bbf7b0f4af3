import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vsearch.search.routing import choose_classes

CLASSES = ("sofa", "chair", "lamp", "rug")


@pytest.mark.parametrize(
    ("probabilities", "expected"),
    [
        ([0.95, 0.03, 0.01, 0.01], ("sofa",)),
        ([0.50, 0.41, 0.05, 0.04], ("sofa", "chair")),
        ([0.05, 0.40, 0.50, 0.05], ("lamp", "chair")),
        ([0.90, 0.10, 0.00, 0.00], ("sofa",)),
        ([0.40, 0.20, 0.20, 0.20], ("sofa", "chair", "lamp", "rug")),
    ],
)
def test_fewest_classes_that_cover_the_mass(probabilities: list[float], expected: tuple[str, ...]) -> None:
    """The likeliest come first, and no more than needed."""
    assert choose_classes(probabilities, CLASSES, mass=0.9, floor=0.35) == expected


def test_an_unsure_classifier_means_all_classes() -> None:
    """Below the floor no class is left out, even when few would cover the mass."""
    assert set(choose_classes([0.3, 0.3, 0.3, 0.1], CLASSES, mass=0.5, floor=0.35)) == set(CLASSES)


def test_probabilities_that_are_not_numbers_mean_all_classes() -> None:
    """A broken head widens the search; it does not narrow it to chance."""
    assert set(choose_classes([np.nan] * 4, CLASSES, mass=0.9, floor=0.35)) == set(CLASSES)


def test_full_mass_takes_every_class_with_a_share() -> None:
    """Rounding in half precision does not ask for classes beyond the last."""
    thirds = np.full(3, 1 / 3, dtype=np.float32)
    assert choose_classes(thirds, CLASSES[:3], mass=1.0, floor=0.1) == CLASSES[:3]


def test_lengths_must_agree() -> None:
    """A head and a vocabulary that do not belong together are a bug."""
    with pytest.raises(ValueError, match="one probability"):
        choose_classes([1.0], CLASSES, mass=0.9, floor=0.3)


@given(st.lists(st.floats(0.001, 1), min_size=1, max_size=12), st.floats(0.05, 1), st.floats(0, 1))
def test_the_choice_covers_the_mass_and_one_fewer_would_not(weights: list[float], mass: float, floor: float) -> None:
    """True for any distribution above the floor; below it all are chosen."""
    chances = np.array(weights) / sum(weights)
    names = [f"class {i}" for i in range(len(weights))]
    chosen = [names.index(name) for name in choose_classes(chances, names, mass=mass, floor=floor)]
    if chances.max() < floor:
        assert len(chosen) == len(names)
        return
    assert chances[chosen].sum() >= mass - 1e-6 or len(chosen) == len(names)
    assert chances[chosen[:-1]].sum() < mass
