from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from indexer.build.indexes import build_gallery
from indexer.build.verify import Expected, check, problems
from tests.fakes import MATCH_CALIBRATION, NO_COHORT, fake_checkpoint, origin
from vsearch.core.errors import VerificationFailed
from vsearch.index import generation
from vsearch.index.class_index import ClassIndex
from vsearch.index.gallery import Gallery

COUNT = 300


def expected(seed: int = 0) -> Expected:
    """Return 300 pictures of 100 products in three classes; two products have the very same picture forty times."""
    vectors = np.random.default_rng(seed).normal(size=(COUNT, 8)).astype(np.float32)
    vectors[100:140] = vectors[100]
    numbers = np.arange(COUNT)
    return Expected(1000 + numbers, numbers // 3, tuple(f"class {number // 100}" for number in numbers), vectors)


def built(of: Expected) -> Gallery:
    """Return the gallery that it should be."""
    return build_gallery(of.embeddings, of.image_ids, product_ids=of.product_ids, classes=of.classes)


def test_a_good_gallery_has_no_problems() -> None:
    """Copies of a picture may stand for each other, also those saved anew, which differ in a few bits."""
    assert list(problems(built(expected()), expected())) == []
    noisy = expected()
    half = noisy.embeddings[100:140].astype(np.float16)
    noisy.embeddings[100:140] = np.where(np.arange(40)[:, None] % 2, half, np.nextafter(half, np.float16(9)))
    assert list(problems(built(noisy), noisy)) == []


def test_a_written_generation_is_checked_as_it_will_be_loaded(tmp_path: Path) -> None:
    """From its hidden folder."""
    checkpoint = fake_checkpoint(tmp_path / "given")
    hidden = generation.write(
        tmp_path,
        origin(checkpoint),
        gallery=built(expected()),
        whitening=checkpoint.whitening,
        match_calibration=MATCH_CALIBRATION,
        background_cohort=NO_COHORT,
    )
    check(generation.load(hidden), expected())
    with pytest.raises(VerificationFailed, match="but it holds 300 pictures and the catalogue 299; "):
        check(generation.load(hidden), shortened(expected()))


def shortened(of: Expected) -> Expected:
    """Return all but the last picture."""
    return Expected(of.image_ids[:-1], of.product_ids[:-1], of.classes[:-1], of.embeddings[:-1])


def moved(of: Expected) -> Expected:
    """Return pictures with one id that is not the catalogue's."""
    return replace(of, image_ids=np.concatenate([of.image_ids[:-1], [99999]]))


def swapped_products(of: Expected) -> Expected:
    """Return pictures under other products."""
    return replace(of, product_ids=of.product_ids[::-1])


def other_class(of: Expected) -> Expected:
    """Return pictures of which one is in another class."""
    return replace(of, classes=("class 1", *of.classes[1:]))


def fewer_classes(of: Expected) -> Expected:
    """Return pictures with two classes instead of three."""
    return replace(of, classes=tuple(name.replace("2", "1") for name in of.classes))


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (shortened, "holds 299 pictures and the catalogue 300"),
        (moved, "pictures that the catalogue does not"),
        (swapped_products, "under another product"),
        (other_class, "class 'class 0' does not hold exactly its own pictures under cosine"),
        (fewer_classes, "its classes are"),
    ],
)
def test_pictures_that_are_not_the_catalogues_are_found(change: Callable[[Expected], Expected], word: str) -> None:
    """Missing, unknown, or in the wrong place."""
    assert any(word in problem for problem in problems(built(change(expected())), expected()))


@pytest.mark.parametrize("value", [0.0, np.nan, np.inf])
def test_embeddings_that_mean_nothing_are_found(value: float) -> None:
    """A zero has no direction; not-a-number is no number."""
    bad = expected()
    bad.embeddings[17] = value
    assert list(problems(built(expected()), bad)) == [
        "1 embeddings are zero or not finite, such as that of picture 1017"
    ]


def test_vectors_of_other_pictures_are_found() -> None:
    """An index whose rows were mixed up holds the right ids and finds the wrong ones."""
    mixed = expected()
    mixed.embeddings[:100] = mixed.embeddings[:100][::-1].copy()
    found = list(problems(built(mixed), expected()))
    lost = "100 of 100 pictures of class 'class 0' do not find themselves under cosine, such as picture "
    assert any(problem.startswith(lost) for problem in found)
    assert any("of what exact search finds under euclidean" in problem for problem in found)
    assert not any("class 1" in problem for problem in found)


def test_embeddings_that_collapsed_are_found() -> None:
    """Where all pictures are as near as each other, each finds itself and all that exact search finds."""
    collapsed = expected()
    collapsed.embeddings[:] = 1 + collapsed.embeddings / 10_000
    found = list(problems(built(collapsed), collapsed))
    assert "100 of 100 pictures of class 'class 2' cannot be told from others under cosine" in found


def test_an_index_that_finds_too_little_is_found() -> None:
    """Agreement with exact search is measured, not believed."""

    class Lossy(ClassIndex):
        def search(self, queries, k, allowed=None):  # type: ignore[no-untyped-def]
            values, ids = super().search(queries, k, allowed)
            ids[:, 5:] = -1
            return values, ids

    good, wanted = built(expected()), expected()
    good.indexes["cosine"]["class 2"].__class__ = Lossy
    assert list(problems(good, wanted)) == ["class 'class 2' finds 50.0% of what exact search finds under cosine"]
