import numpy as np
import pytest

from vsearch.core.errors import UnknownClass
from vsearch.models.vocabulary import Vocabulary


def test_names_and_numbers_are_each_others_inverse() -> None:
    """The number of a name is its place."""
    vocabulary = Vocabulary(("sofa", "chair", "lamp"))
    assert [vocabulary.index(name) for name in vocabulary] == [0, 1, 2]
    assert len(vocabulary) == 3
    assert "lamp" in vocabulary
    assert "rug" not in vocabulary


def test_missing_and_unknown_names_are_minus_one() -> None:
    """A label that is absent or unknown is -1, so that a loss can leave it out."""
    numbers = Vocabulary(("a", "b")).encode(["b", None, "x", "", "a"])
    np.testing.assert_array_equal(numbers, [1, -1, -1, -1, 0])
    assert numbers.dtype == np.int64


def test_no_names_encode_to_an_empty_integer_array() -> None:
    """Nothing in, an int64 array of length 0 out."""
    assert Vocabulary(("a",)).encode([]).dtype == np.int64


def test_unknown_name_is_refused_with_the_known_ones() -> None:
    """The sentence names what was asked and what there is."""
    with pytest.raises(UnknownClass, match=r"'rug' is not; it has sofa, chair\.") as caught:
        Vocabulary(("sofa", "chair")).index("rug")
    assert "\n" not in str(caught.value)


def test_long_vocabularies_are_not_listed_whole() -> None:
    """The sentence stays one a person can read."""
    with pytest.raises(UnknownClass, match="and 88 more"):
        Vocabulary(tuple(f"class {i}" for i in range(100))).index("rug")


@pytest.mark.parametrize("names", [("a", "a"), ("a", "")])
def test_names_must_be_distinct_and_not_empty(names: tuple[str, ...]) -> None:
    """Two heads' outputs cannot share a name."""
    with pytest.raises(ValueError, match="distinct"):
        Vocabulary(names)


def test_fingerprint_depends_on_names_and_order() -> None:
    """Equal fingerprints mean that heads number classes alike."""
    assert Vocabulary(("a", "b")).fingerprint == Vocabulary(("a", "b")).fingerprint
    assert Vocabulary(("a", "b")).fingerprint != Vocabulary(("b", "a")).fingerprint
    assert Vocabulary(("a,b",)).fingerprint != Vocabulary(("a", "b")).fingerprint


def test_of_labels_is_sorted_and_without_gaps() -> None:
    """A vocabulary made from labels does not depend on their order."""
    assert Vocabulary.of(["b", None, "a", "", "b"]) == Vocabulary(("a", "b"))
