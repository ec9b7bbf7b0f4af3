from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from indexer.build.class_indexes import build_gallery
from indexer.build.generation_checks import Expected, check, problems
from tests.fakes import fake_checkpoint, origin
from vsearch.core.errors import VerificationFailed
from vsearch.index import generation
from vsearch.index.class_index import ClassIndex
from vsearch.index.gallery import Gallery
from vsearch.index.generation import MatchCalibration

COUNT = 300


def expected(**changed: object) -> Expected:
    """Return 300 pictures of 100 products in three classes; two products share a picture forty times."""
    vectors = np.random.default_rng(0).normal(size=(COUNT, 8)).astype(np.float32)
    vectors[100:140] = vectors[100]
    numbers = np.arange(COUNT)
    found = Expected(1000 + numbers, numbers // 3, tuple(f"class {number // 100}" for number in numbers), vectors)
    return replace(found, **changed)  # type: ignore[arg-type]


EXPECTED = expected()
SHORTER = Expected(EXPECTED.image_ids[:-1], EXPECTED.product_ids[:-1], EXPECTED.classes[:-1], EXPECTED.embeddings[:-1])


def built(of: Expected) -> Gallery:
    """Return the gallery built from the expected content."""
    return build_gallery(of.embeddings, of.image_ids, product_ids=of.product_ids, classes=of.classes)


def test_a_correct_gallery_has_no_problems() -> None:
    """Copies of a picture can stand in for each other, even re-encoded ones that differ in a few bits."""
    assert list(problems(built(EXPECTED), EXPECTED)) == []
    noisy = expected()
    half = noisy.embeddings[100:140].astype(np.float16)
    noisy.embeddings[100:140] = np.where(np.arange(40)[:, None] % 2, half, np.nextafter(half, np.float16(9)))
    assert list(problems(built(noisy), noisy)) == []


def test_a_written_generation_is_checked(tmp_path: Path) -> None:
    checkpoint = fake_checkpoint(tmp_path / "given")
    hidden = generation.write(
        tmp_path,
        origin(checkpoint),
        gallery=built(EXPECTED),
        whitening=checkpoint.retrieval.whitening,
        match_calibration=MatchCalibration(),
        background_cohort=np.empty((0, 16), np.float32),
    )
    check(generation.load(hidden), EXPECTED)
    with pytest.raises(VerificationFailed, match="300 pictures are not the 299"):
        check(generation.load(hidden), SHORTER)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        (SHORTER, "299 pictures are not the 300"),
        (expected(image_ids=np.append(EXPECTED.image_ids[:-1], 99999)), "300 pictures are not the 300"),
        (expected(product_ids=EXPECTED.product_ids[::-1]), "different products"),
        (expected(classes=("class 1", *EXPECTED.classes[1:])), "cosine index of class 'class 0'"),
        (expected(classes=tuple(name.replace("2", "1") for name in EXPECTED.classes)), "class 'class 2' is missing"),
    ],
    ids=["missing", "unknown", "other product", "other class", "missing class"],
)
def test_wrong_content_is_found(changed: Expected, words: str) -> None:
    assert any(words in problem for problem in problems(built(changed), EXPECTED))


@pytest.mark.parametrize("value", [0.0, np.nan, np.inf])
def test_zero_and_infinite_embeddings_are_found(value: float) -> None:
    bad = expected()
    bad.embeddings[17] = value
    (problem,) = problems(built(EXPECTED), bad)
    assert "1017" in problem


def test_vectors_of_other_pictures_are_found() -> None:
    """An index with shuffled rows still contains the right ids."""
    mixed = expected()
    mixed.embeddings[:100] = mixed.embeddings[:100][::-1].copy()
    found = " ".join(problems(built(mixed), EXPECTED))
    assert "100 of 100 sampled pictures do not find themselves in the cosine index of class 'class 0'" in found
    assert "Recall against exact search" in found
    assert "class 1" not in found


def test_collapsed_embeddings_are_found() -> None:
    """Each picture still finds itself and everything that exact search finds."""
    collapsed = expected()
    collapsed.embeddings[:] = 1 + collapsed.embeddings / 10_000
    assert any("indistinguishable" in problem for problem in problems(built(collapsed), collapsed))


def test_low_recall_is_found() -> None:
    class Lossy(ClassIndex):
        def search(self, queries, k, allowed=None):  # type: ignore[no-untyped-def]
            values, ids = super().search(queries, k, allowed)
            ids[:, 5:] = -1
            return values, ids

    gallery = built(EXPECTED)
    gallery.indexes["cosine"]["class 2"].__class__ = Lossy
    (problem,) = problems(gallery, EXPECTED)
    assert "50.0%" in problem


@pytest.mark.parametrize(("missed", "exact", "found"), [(1, False, False), (3, False, True), (1, True, True)])
def test_a_graph_may_miss_single_pictures(missed: int, exact: bool, found: bool) -> None:
    class Graph(ClassIndex):
        is_exact = exact

        def _search_graph(self, vectors, width):  # type: ignore[no-untyped-def]
            return self._scan(vectors, width, None)

        def search(self, queries, k, allowed=None):  # type: ignore[no-untyped-def]
            values, ids = super().search(queries, k + 1, allowed)
            kept = ~np.isin(ids, self.image_ids[:missed])[0]
            return values[:, kept][:, :k], ids[:, kept][:, :k]

    gallery = built(EXPECTED)
    gallery.indexes["cosine"]["class 2"].__class__ = Graph
    assert any("do not find themselves" in problem for problem in problems(gallery, EXPECTED)) == found
