"""The gate before publication: what was written is read back and must be the catalogue, and must find itself."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vsearch.errors import VerificationFailed
from vsearch.gallery import Gallery
from vsearch.generation import Generation
from vsearch.index import ClassIndex
from vsearch.metrics import index_recall_at_k, l2_normalize
from vsearch.settings import Metric

SAMPLE = 200
"""Pictures of each class, at most, that are searched for."""

LEAST_RECALL = 0.99
"""Agreement with exact search among the first `DEPTH` that every class must reach."""

DEPTH = 10

Ids = NDArray[np.int64]
Vectors = NDArray[np.float32]


@dataclass(frozen=True)
class Expected:
    """What a generation must hold, as the catalogue and the stored blocks say: n pictures in ascending order of id.

    Attributes:
        image_ids, product_ids: int64 [n].
        classes: n names.
        embeddings: not normalised, float32 [n, d].
    """

    image_ids: Ids
    product_ids: Ids
    classes: tuple[str, ...]
    embeddings: Vectors


def check(generation: Generation, expected: Expected) -> None:
    """Compare a generation, loaded from its hidden folder, with what it must hold.

    Raises:
        VerificationFailed: with everything that is wrong.
    """
    found = list(problems(generation.gallery, expected))
    if found:
        raise VerificationFailed(
            f"A generation must pass its checks before shoppers see it, but {'; '.join(found)}; "
            "the published one stays. Run `vsearch index run` again, and report this if it comes back."
        )


def problems(gallery: Gallery, expected: Expected) -> Iterator[str]:
    """Yield what is wrong with a gallery, one clause each; searches are made only where the pictures are right."""
    wrong = [*_wrong_pictures(gallery, expected), *_wrong_classes(gallery, expected), *_wrong_numbers(expected)]
    yield from wrong or _wrong_answers(gallery, expected)


def _wrong_pictures(gallery: Gallery, expected: Expected) -> Iterator[str]:
    if len(gallery) != len(expected.image_ids):
        yield f"it holds {len(gallery)} pictures and the catalogue {len(expected.image_ids)}"
    elif not np.array_equal(gallery.image_ids, expected.image_ids):
        yield "it holds pictures that the catalogue does not"
    elif not np.array_equal(gallery.product_ids, expected.product_ids):
        yield "it holds pictures under another product than the catalogue"


def _wrong_classes(gallery: Gallery, expected: Expected) -> Iterator[str]:
    names = np.array(expected.classes)
    if set(gallery.classes) != set(expected.classes):
        yield f"its classes are {sorted(gallery.classes)} and the catalogue's {sorted(set(expected.classes))}"
        return
    for metric, indexes in gallery.indexes.items():
        for name, index in indexes.items():
            if not np.array_equal(index.image_ids, expected.image_ids[names == name]):
                yield f"class {name!r} does not hold exactly its own pictures under {metric}"


def _wrong_numbers(expected: Expected) -> Iterator[str]:
    lengths = np.linalg.norm(expected.embeddings, axis=1)
    bad = np.flatnonzero(~(np.isfinite(lengths) & (lengths > 0)))
    if len(bad):
        yield f"{len(bad)} embeddings are zero or not finite, such as that of picture {expected.image_ids[bad[0]]}"


def _wrong_answers(gallery: Gallery, expected: Expected) -> Iterator[str]:
    rng = np.random.default_rng(0)
    names = np.array(expected.classes)
    for name in gallery.classes:
        rows = np.flatnonzero(names == name)
        sample = rng.permutation(len(rows))[:SAMPLE]
        embeddings, image_ids = expected.embeddings[rows], expected.image_ids[rows]
        for metric, indexes in gallery.indexes.items():
            index = indexes[name]
            # One by one, as shoppers search: FAISS calculates many at once in another way.
            found = np.vstack([index.search(query[None], DEPTH)[1] for query in embeddings[sample]])
            exact = _exact(embeddings, image_ids, sample, metric)
            canonical = _canonical(index, np.hstack([image_ids[sample][:, None], found, exact]))
            itself, found, exact = canonical[:, 0], canonical[:, 1 : 1 + DEPTH], canonical[:, 1 + DEPTH :]
            lost = int((found[:, 0] != itself).sum())
            if lost:
                yield f"{lost} of {len(sample)} pictures of class {name!r} do not find themselves under {metric}"
            recall = float(index_recall_at_k(found, exact).mean())
            if recall < LEAST_RECALL:
                yield f"class {name!r} finds {recall:.1%} of what exact search finds under {metric}"


def _exact(embeddings: Vectors, image_ids: Ids, sample: Ids, metric: Metric) -> Ids:
    """Return the ids [q, DEPTH] nearest to the sampled rows by plain arithmetic: the referee."""
    if metric == "cosine":
        unit = l2_normalize(embeddings)
        distances = -unit[sample] @ unit.T
    else:
        squares = (embeddings.astype(np.float64) ** 2).sum(axis=1)
        distances = squares - 2 * embeddings[sample].astype(np.float64) @ embeddings.T
    nearest = np.argsort(distances, axis=1, kind="stable")[:, :DEPTH]
    return np.asarray(image_ids[nearest], dtype=np.int64)


def _canonical(index: ClassIndex, image_ids: Ids) -> Ids:
    """Replace each id by the least id here with the very same vector: copies of a picture are equally right."""
    known = np.unique(image_ids[image_ids >= 0])
    least: dict[bytes, int] = {}
    same = {
        int(image_id): least.setdefault(vector.tobytes(), int(image_id))
        for image_id, vector in zip(known, index.vectors(known), strict=True)
    }
    return np.array([[same.get(int(image_id), -1) for image_id in row] for row in image_ids], dtype=np.int64)
