"""The gate before publication: what was written is read back and must be the catalogue, and must find itself."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vsearch.core.errors import VerificationFailed
from vsearch.core.settings import Metric
from vsearch.evaluation.metrics import l2_normalize
from vsearch.index.class_index import ClassIndex
from vsearch.index.gallery import Gallery
from vsearch.index.generation import Generation

SAMPLE = 200
"""Pictures of each class, at most, that are searched for."""

LEAST_RECALL = 0.99
"""Agreement with exact search among the first `DEPTH` that every class must reach."""

DEPTH = 10

AT_ONCE = 20
"""Pictures whose distances to all of their class are in memory at a time."""

AS_NEAR = 1e-4
"""Difference of squared distances, as a share of the vector's square, that is none; half precision loses less."""

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
            "it was not published. Run `vsearch index run` again, and report this if it comes back."
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
    squares = np.einsum("nd,nd->n", expected.embeddings, expected.embeddings)  # without a second array of their size
    bad = np.flatnonzero(~(np.isfinite(squares) & (squares > 0)))
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
            lost, recall, blurred = _agreement(indexes[name], embeddings, image_ids, sample=sample, metric=metric)
            if len(lost):
                some = f"{len(lost)} of {len(sample)} pictures of class {name!r}"
                yield f"{some} do not find themselves under {metric}, such as picture {image_ids[lost[0]]}"
            if blurred > len(sample) / 2:
                yield f"{blurred} of {len(sample)} pictures of class {name!r} cannot be told from others under {metric}"
            if recall < LEAST_RECALL:
                yield f"class {name!r} finds {recall:.1%} of what exact search finds under {metric}"


def _agreement(
    index: ClassIndex, embeddings: Vectors, image_ids: Ids, *, sample: Ids, metric: Metric
) -> tuple[Ids, float, int]:
    """Search for pictures, and hold what is found against plain arithmetic, the referee.

    A picture that is as near as the one expected is as right: a copy saved anew differs in a few bits.

    Args:
        index: of a class.
        embeddings: of its n pictures, float32 [n, d].
        image_ids: int64 [n], ascending.
        sample: rows of the pictures searched for, int64 [q].
        metric: of the index.

    Returns:
        The rows of those that do not find themselves, the mean share of the nearest `DEPTH` that is found, and how many
        are as near to more than `DEPTH` others that are no copies.
    """
    vectors = l2_normalize(embeddings) if metric == "cosine" else embeddings
    squares = (vectors**2).sum(axis=1)
    depth = min(DEPTH, len(image_ids))
    lost, shares, blurred = [], [], 0
    for start in range(0, len(sample), AT_ONCE):
        rows = sample[start : start + AT_ONCE]
        for row, nearness in zip(rows.tolist(), 2 * vectors[rows] @ vectors.T - squares, strict=True):
            # One by one, as shoppers search: FAISS calculates many at once in another way.
            found = index.search(embeddings[row][None], DEPTH)[1][0]
            places = np.searchsorted(image_ids, found[found >= 0])
            slack = AS_NEAR * squares[row]
            last = np.partition(nearness, -depth)[-depth]
            if not len(places) or nearness[places[0]] < nearness[row] - slack:
                lost.append(row)
            shares.append((nearness[places] >= last - slack).sum() / depth)
            alike = embeddings[nearness >= nearness[row] - slack]
            blurred += int((alike != embeddings[row]).any(axis=1).sum() > DEPTH)
    return np.array(lost, dtype=np.int64), float(np.mean(shares)), blurred
