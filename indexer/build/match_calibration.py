"""What a score means in this catalogue: calibrated on photos made of its own products, for each class. All pure.

For each held-out view, a photo made of a product, three scores are taken: of its own product (a true match); of the
best other product (what the answer would be, were the product not sold); and of the best product of any other class (a
chance likeness: to that class the photo is as unrelated as one of a cat). d numbers in an embedding.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from vsearch.evaluation.metrics import l2_normalize
from vsearch.index.manifest import MatchCalibration, MatchThresholds, Quality

ENOUGH_SCORES = 20
"""From so many held-out views on match thresholds are calibrated; below, the defaults stand. A class needs as many
scores of each sort for thresholds of its own; below, it takes those of all classes together."""

CONFIDENCE = 0.95
"""Share of answers at or above the threshold of "exact" that are the very product."""

UNSOLD = 0.1
"""Share of photos of a product that is not sold whose nearest product is called "exact", at most."""

LENIENCE = 0.5
"""The share of true matches that is turned away, to the share of chance likenesses that is let in. Below 1, since made
views are easier than real photos: on ikea, products in photos of real rooms score 0.1 lower (median)."""

LET_IN = 0.05
"""Share of strangers that are called similar to something, or more."""

Vectors = NDArray[np.float32]
Ids = NDArray[np.int64]


@dataclass(frozen=True)
class Labelled:
    """Embeddings of n pictures or views, float32 [n, d], and what they show: products int64 [n] and n class names."""

    vectors: Vectors
    product_ids: Ids
    classes: Sequence[str]


@dataclass(frozen=True)
class Best:
    """The best cosine score of each of m views in some part of the catalogue, float32 [m], and in which class, m names.

    Views for which that part is empty have the score -inf.
    """

    scores: Vectors
    classes: NDArray[np.str_]

    def within(self, name: str | None) -> Vectors:
        """Return the scores found in a class, or all; not those of an empty part."""
        chosen = np.isfinite(self.scores)
        return self.scores[chosen if name is None else chosen & (self.classes == name)]


@dataclass(frozen=True)
class BestScores:
    """The best scores of m views: of the view's own product, of any other, and of any of another class."""

    own: Best
    other: Best
    far: Best

    def quality(self) -> Quality:
        """Return how often a view's own product comes first, and how it scores."""
        first = self.own.scores > self.other.scores
        return Quality(views=len(first), hit_at_1=float(first.mean()), own_score=float(np.median(self.own.scores)))

    def less(self, taken_off: Vectors) -> "BestScores":
        """Return the margins that go with the scores: less what is taken off each view, float32 [m]."""
        parts = (self.own, self.other, self.far)
        return BestScores(*(replace(part, scores=part.scores - taken_off) for part in parts))


def best_scores(views: Labelled, pictures: Labelled, at_once: int = 2**22) -> BestScores:
    """Compare views with all pictures, some views at a time.

    Args:
        views: m of them, of products that the pictures show too.
        pictures: the catalogue.
        at_once: scores computed at a time, about.
    """
    queries, gallery = l2_normalize(views.vectors), l2_normalize(pictures.vectors)
    names = np.array(sorted({*views.classes, *pictures.classes}), np.str_)
    asked, known = (np.searchsorted(names, np.array(part.classes, np.str_)) for part in (views, pictures))
    rows = max(1, at_once // max(1, len(gallery)))
    found: list[list[tuple[Vectors, NDArray[np.str_]]]] = [[], [], []]
    for start in range(0, len(queries), rows):
        part = slice(start, start + rows)
        scores = queries[part] @ gallery.T
        same = views.product_ids[part, None] == pictures.product_ids[None]
        near = asked[part, None] == known[None]
        for kept, wanted in zip(found, (same, ~same, ~near & ~same), strict=True):
            allowed = np.where(wanted, scores, -np.inf)
            kept.append((allowed.max(axis=1), names[known[allowed.argmax(axis=1)]]))
    own, other, far = (
        Best(*(np.concatenate(parts) for parts in zip(*kept, strict=True))) if kept else _NONE for kept in found
    )
    return BestScores(own, other, far)


def calibrate(found: BestScores, unsold: Vectors | None = None) -> MatchCalibration:
    """Return what scores mean, for all classes together and for each that has scores enough.

    Args:
        found: scores, or margins where there are strangers.
        unsold: margins of strangers, float32 [s]; None where there are none.
    """
    if len(found.own.scores) < ENOUGH_SCORES:
        return MatchCalibration()
    classes = sorted(set(found.own.classes.tolist()))
    parts = (found.own, found.other, found.far)
    enough = [name for name in classes if min(len(part.within(name)) for part in parts) >= ENOUGH_SCORES]
    least = None if unsold is None else float(np.quantile(unsold, 1 - LET_IN))
    of_classes = {name: _thresholds(found, name, least) for name in enough}
    return MatchCalibration(all=_thresholds(found, None, least), classes=of_classes)


def _thresholds(found: BestScores, name: str | None, least: float | None) -> MatchThresholds:
    """Return the thresholds for products of a class, or of all.

    "exact" is so close that at least `CONFIDENCE` of the answers are the very product, and at most `UNSOLD` of the
    photos of a product that is not sold come as close to another; nothing is that close in a catalogue where the first
    never holds. "similar" begins at `least`, the margin that few strangers have, or where there are none, see `_begin`.
    "very similar" begins halfway between.
    """
    own, other, far = (part.within(name) for part in (found.own, found.other, found.far))
    similar = least if least is not None else _begin(own, other, far)
    unsold = float(np.quantile(other, 1 - UNSOLD)) if len(other) else -1.0
    exact = _least_confident(found, name, floor=max(similar, unsold))
    return MatchThresholds(exact=exact, very_similar=(exact + similar) / 2, similar=similar)


def _begin(own: Vectors, other: Vectors, far: Vectors) -> float:
    """Return where "similar" begins in a catalogue without strangers.

    It turns away `LENIENCE` times as large a share of true matches as it lets in of chance likenesses; in a catalogue
    of one class, where there are none, it begins at the median of the best other product.
    """
    return _dividing(own, far) if len(far) else float(np.median(other)) if len(other) else -1.0


def _dividing(high: Vectors, low: Vectors) -> float:
    """The score below which there is `LENIENCE` times as large a share of `high` as there is of `low` from it on."""
    scores = np.unique(np.concatenate([high, low]))
    missed = np.searchsorted(np.sort(high), scores) / len(high)
    passed = 1 - np.searchsorted(np.sort(low), scores) / len(low)
    return float(scores[np.argmin(np.abs(missed - LENIENCE * passed))])


def _least_confident(found: BestScores, name: str | None, floor: float) -> float:
    """The lowest score above `floor` from which on `CONFIDENCE` of the first answers are right; 1 if there is none."""
    right = found.own.scores >= found.other.scores
    best = np.where(right, found.own.scores, found.other.scores)
    if name is not None:
        chosen = np.where(right, found.own.classes, found.other.classes) == name
        best, right = best[chosen], right[chosen]
    order = np.argsort(-best, kind="stable")
    share = np.cumsum(right[order]) / np.arange(1, len(order) + 1)
    confident = best[order][(share >= CONFIDENCE) & (best[order] > floor)]
    return float(confident[-1]) if len(confident) else max(1.0, floor)


_NONE = Best(np.empty(0, np.float32), np.empty(0, np.str_))
