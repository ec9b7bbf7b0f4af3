"""Match calibration: the margins at which a match is called exact, very similar or similar, per class. All pure.

Each held-out view, an augmented photo of a known product, gives three scores: against its own product (a true match),
the best other product (the result if the product were not sold), and the best of another class (a chance match).
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vsearch.core.vectors import l2_normalize
from vsearch.index.generation import MatchCalibration, MatchThresholds, Quality

MIN_SCORES = 20
"""Held-out views needed for calibration, and scores of each kind needed for a class to have its own thresholds."""

EXACT_PRECISION = 0.95
"""Minimum share of correct products among first results at or above the "exact" threshold."""

MAX_FALSE_EXACT_RATE = 0.1
"""Maximum share of photos of products that are not sold whose best match is called "exact"."""

MISS_TO_FALSE_MATCH_RATIO = 0.5
"""If there is no cohort, the ratio of the miss rate to the false match rate at the "similar" threshold.

Below 1, since augmented views are easier than real photos: products in photos of real rooms (ikea) score 0.1 lower.
"""

COHORT_SIMILAR_RATE = 0.05
"""Share of the background cohort that is called similar to something in the catalog."""

Vectors = NDArray[np.float32]
Ids = NDArray[np.int64]


@dataclass(frozen=True)
class LabeledEmbeddings:
    """Embeddings of n pictures or views, float32 [n, d], with their product ids and class names, each [n]."""

    vectors: Vectors
    product_ids: Ids
    classes: NDArray[Any]


@dataclass(frozen=True)
class BestMatches:
    """The best cosine score of each of m views in a part of the catalog, float32 [m], and the class of that match.

    The score is -inf if that part is empty for a view.
    """

    scores: Vectors
    classes: NDArray[np.str_]

    def scores_in(self, name: str | None) -> Vectors:
        """Return the finite scores of matches in one class, or in any class if `name` is None."""
        chosen = np.isfinite(self.scores)
        return self.scores[chosen if name is None else chosen & (self.classes == name)]


@dataclass(frozen=True)
class ViewScores:
    """The best matches of m views: with their own product, any other product, and any product of another class."""

    own: BestMatches
    other_product: BestMatches
    other_class: BestMatches

    def quality(self) -> Quality:
        """Return how often a view's own product is ranked first, and the median score against it."""
        first = self.own.scores > self.other_product.scores
        return Quality(views=len(first), hit_at_1=float(first.mean()), own_score=float(np.median(self.own.scores)))

    def margins(self, penalties: Vectors) -> "ViewScores":
        """Return the scores minus each view's penalty, float32 [m]."""
        parts = (self.own, self.other_product, self.other_class)
        return ViewScores(*(replace(part, scores=part.scores - penalties) for part in parts))


def score_views(views: LabeledEmbeddings, gallery: LabeledEmbeddings, scores_at_once: int = 2**22) -> ViewScores:
    """Compare views with all pictures in the gallery, in batches of about `scores_at_once` scores."""
    queries, vectors = l2_normalize(views.vectors), l2_normalize(gallery.vectors)
    names = np.array(sorted({*views.classes, *gallery.classes}), np.str_)
    view_class, gallery_class = (np.searchsorted(names, part.classes.astype(np.str_)) for part in (views, gallery))
    rows = max(1, scores_at_once // max(1, len(vectors)))
    scores = np.empty((3, len(queries)), np.float32)
    classes = np.empty((3, len(queries)), np.int64)
    for start in range(0, len(queries), rows):
        part = slice(start, start + rows)
        cosines = queries[part] @ vectors.T
        own = views.product_ids[part, None] == gallery.product_ids[None]
        same_class = view_class[part, None] == gallery_class[None]
        for number, wanted in enumerate((own, ~own, ~own & ~same_class)):
            allowed = np.where(wanted, cosines, -np.inf)
            scores[number, part], classes[number, part] = allowed.max(axis=1), gallery_class[allowed.argmax(axis=1)]
    return ViewScores(*(BestMatches(scores[number], names[classes[number]]) for number in range(3)))


def calibrate(found: ViewScores, cohort_margins: Vectors | None = None) -> MatchCalibration:
    """Return the thresholds for all classes together and for each class with enough scores.

    Args:
        found: margins if there is a background cohort, otherwise scores.
        cohort_margins: margins of the background cohort, float32 [s].
    """
    if len(found.own.scores) < MIN_SCORES:
        return MatchCalibration()
    similar = None if cohort_margins is None else float(np.quantile(cohort_margins, 1 - COHORT_SIMILAR_RATE))
    parts = (found.own, found.other_product, found.other_class)
    classes = {
        name: _thresholds(found, name, similar)
        for name in sorted(set(found.own.classes.tolist()))
        if min(len(part.scores_in(name)) for part in parts) >= MIN_SCORES
    }
    return MatchCalibration(all=_thresholds(found, None, similar), classes=classes)


def _thresholds(found: ViewScores, name: str | None, similar: float | None) -> MatchThresholds:
    """Return the thresholds of one class, or of all.

    "exact" is the lowest score with a precision of `EXACT_PRECISION` and a false match rate of at most
    `MAX_FALSE_EXACT_RATE`; "very similar" lies halfway between "exact" and "similar".
    """
    own, other = found.own.scores_in(name), found.other_product.scores_in(name)
    if similar is None:
        chance = found.other_class.scores_in(name)
        of_one_class = float(np.median(other)) if len(other) else -1.0
        similar = _threshold_at_ratio(own, chance) if len(chance) else of_one_class
    false_exact = float(np.quantile(other, 1 - MAX_FALSE_EXACT_RATE)) if len(other) else -1.0
    exact = _precise_threshold(found, name, floor=max(similar, false_exact))
    return MatchThresholds(exact=exact, very_similar=(exact + similar) / 2, similar=similar)


def _threshold_at_ratio(true: Vectors, chance: Vectors) -> float:
    """Return the score at which the miss rate is `MISS_TO_FALSE_MATCH_RATIO` times the false match rate."""
    scores = np.unique(np.concatenate([true, chance]))
    missed = np.searchsorted(np.sort(true), scores) / len(true)
    false_matches = 1 - np.searchsorted(np.sort(chance), scores) / len(chance)
    return float(scores[np.argmin(np.abs(missed - MISS_TO_FALSE_MATCH_RATIO * false_matches))])


def _precise_threshold(found: ViewScores, name: str | None, floor: float) -> float:
    """Return the lowest score above `floor` at which first results reach `EXACT_PRECISION`, or 1 if there is none."""
    right = found.own.scores >= found.other_product.scores
    best = np.where(right, found.own.scores, found.other_product.scores)
    if name is not None:
        chosen = np.where(right, found.own.classes, found.other_product.classes) == name
        best, right = best[chosen], right[chosen]
    order = np.argsort(-best, kind="stable")
    precision = np.cumsum(right[order]) / np.arange(1, len(order) + 1)
    precise = best[order][(precision >= EXACT_PRECISION) & (best[order] > floor)]
    return float(precise[-1]) if len(precise) else max(1.0, floor)
