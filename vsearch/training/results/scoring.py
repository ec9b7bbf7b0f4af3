"""Figures of a judgement beside the truth: shares of right answers with their error, per class, and who beats whom.

Pure numpy. Truth is what a data set holds: head -> int32 [n, ...] as `HeadSpec.target` gives it, -1 where missing. A
picture without a head's label counts for none of that head's figures.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vsearch.evaluation.bootstrap import mean_interval
from vsearch.models.trained_heads import DIGITS, MISSING, VOTE, HeadPredictions, HeadSpec

Truth = Mapping[str, NDArray[Any]]
Flags = NDArray[np.bool_]

_NARROW = 0.05  # width of an interval that is told to the tenth of a percent


@dataclass(frozen=True)
class Share:
    """A share of n, with the 95 percent interval of a bootstrap over the n."""

    n: int
    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        places = 1 if 0 < self.high - self.low < _NARROW else 0
        return f"{100 * self.mean:.1f} ({100 * self.low:.{places}f}-{100 * self.high:.{places}f})" if self.n else "-"


@dataclass(frozen=True)
class ClassFigures:
    """How well one value is told: of `support` pictures that have it, and of those said to have it."""

    value: str
    support: int
    precision: float
    recall: float
    f1: float


@dataclass(frozen=True)
class Comparison:
    """One judge less another, in share of right answers, with the 95 percent interval of a paired bootstrap."""

    difference: float
    low: float
    high: float

    @property
    def beyond_noise(self) -> bool:
        """Whether the first is better by more than chance explains."""
        return self.low > 0


def labelled(spec: HeadSpec, targets: NDArray[Any]) -> Flags:
    """Return which of n pictures have the head's label, bool [n]."""
    flat = targets.reshape(len(targets), int(np.prod(targets.shape[1:], dtype=int)))
    return np.asarray((flat != MISSING).all(axis=1) if spec.kind != "metric" else np.zeros(len(flat)), np.bool_)


def answers(judgement: HeadPredictions, judge: str, head: str, targets: NDArray[Any]) -> tuple[Flags, Flags]:
    """Return (truth, said) as rows of 0 and 1 over the classes, of the labelled pictures.

    Of a sigmoid head with exactly one true value the likeliest counts as said; with several, all above one half.

    Returns:
        bool [m, classes] each; of a digits head a row for each position, [m * length, 10].
    """
    spec = judgement.spec(head)
    kept = labelled(spec, targets)
    numbers, truth = judgement.predicted(judge, head)[kept], targets[kept]
    if spec.kind != "sigmoid":
        classes = np.eye(spec.logits_shape[-1], dtype=np.bool_)
        return classes[truth.ravel()], classes[numbers.ravel()]
    true = truth.astype(np.bool_)
    likeliest = np.eye(len(spec.classes), dtype=np.bool_)[numbers]
    several = true.sum(axis=1, keepdims=True) != 1
    return true, np.where(several, judgement.probabilities_of(judge, head)[kept] > 0.5, likeliest)


def right(judgement: HeadPredictions, judge: str, head: str, targets: NDArray[Any]) -> Flags:
    """Return which labelled pictures a judge has wholly right, bool [m]: of digits, all of them."""
    truth, said = answers(judgement, judge, head, targets)
    spec = judgement.spec(head)
    rows = spec.length if spec.kind == "digits" else 1
    return np.asarray((truth == said).all(axis=1).reshape(-1, rows).all(axis=1), np.bool_)


def outputs_right(judgement: HeadPredictions, judge: str, head: str, targets: NDArray[Any]) -> Flags:
    """Return which outputs of a sigmoid head lie on the right side of one half, bool [m, classes]."""
    kept = labelled(judgement.spec(head), targets)
    return np.asarray((judgement.probabilities_of(judge, head)[kept] > 0.5) == targets[kept].astype(np.bool_), np.bool_)


def positions(judgement: HeadPredictions, judge: str, head: str, targets: NDArray[Any]) -> list[float]:
    """Return the share of right digits at each position of a digits head; nothing where no picture has a number."""
    kept = labelled(judgement.spec(head), targets)
    rights = judgement.predicted(judge, head)[kept] == targets[kept]
    return [float(part) for part in rights.mean(axis=0)] if len(rights) else []


def all_right(judgement: HeadPredictions, judge: str, truth: Truth, *, sets: bool = False) -> Flags:
    """Return which pictures with a label of every classifying head have all of them right, bool [m].

    Args:
        judgement, judge, truth: as above.
        sets: take a sigmoid head for right only where exactly the true values lie above one half.
    """
    heads = classifying(judgement)
    kept = np.logical_and.reduce([labelled(spec, truth[spec.name]) for spec in heads])
    some = {spec.name: truth[spec.name][kept] for spec in heads}
    part = HeadPredictions(
        tuple(heads),
        {name: {spec.name: own[spec.name][kept] for spec in heads} for name, own in judgement.probabilities.items()},
    )
    flags = [
        outputs_right(part, judge, spec.name, some[spec.name]).all(axis=1)
        if sets and spec.kind == "sigmoid"
        else right(part, judge, spec.name, some[spec.name])
        for spec in heads
    ]
    return np.asarray(np.logical_and.reduce(flags), np.bool_)


def classifying(judgement: HeadPredictions) -> list[HeadSpec]:
    """Return the heads that answer with words."""
    return [spec for spec in judgement.specs if spec.is_classification]


def share(flags: NDArray[Any]) -> Share:
    """Return the share of true flags; 0 of none."""
    count = int(flags.size)
    if not count:
        return Share(0, 0.0, 0.0, 0.0)
    found = mean_interval(flags.ravel())
    return Share(count, found.mean, found.low, found.high)


def compare(one: Flags, other: Flags) -> Comparison:
    """Compare two judges on the same pictures, bool [m] each."""
    if not len(one):
        return Comparison(0.0, 0.0, 0.0)
    found = mean_interval(one.astype(int) - other)
    return Comparison(found.mean, found.low, found.high)


def confusion(truth: Flags, said: Flags) -> NDArray[np.int64]:
    """Return how often each true class (row) was said to be each class (column), int64 [classes, classes]."""
    return np.asarray(truth.T.astype(np.int64) @ said.astype(np.int64), np.int64)


def per_class(spec: HeadSpec, truth: Flags, said: Flags) -> list[ClassFigures]:
    """Return the figures of each value, in the head's order; of a digits head those of each digit."""
    both, true, claimed = (truth & said).sum(axis=0), truth.sum(axis=0), said.sum(axis=0)
    precision, recall = both / np.maximum(claimed, 1), both / np.maximum(true, 1)
    f1 = 2 * both / np.maximum(true + claimed, 1)
    names = DIGITS if spec.kind == "digits" else spec.classes
    return [
        ClassFigures(name, int(true[i]), float(precision[i]), float(recall[i]), float(f1[i]))
        for i, name in enumerate(names)
    ]


def worst(judgement: HeadPredictions, head: str, targets: NDArray[Any], most: int) -> list[tuple[int, str, str, float]]:
    """Return the mistakes the vote is surest of: (picture, said, true, confidence), the surest first."""
    spec = judgement.spec(head)
    places = np.flatnonzero(labelled(spec, targets))
    wrong = places[~right(judgement, VOTE, head, targets)]
    sure = judgement.confidence(VOTE, head)
    order = sorted(wrong.tolist(), key=lambda place: -sure[place])[:most]
    said = judgement.vote(head)
    return [(place, said[place], label(spec, targets[place]), float(sure[place])) for place in order]


def label(spec: HeadSpec, target: NDArray[Any]) -> str:
    """Return a target in words."""
    if spec.kind == "digits":
        return "".join(DIGITS[number] for number in target)
    if spec.kind == "sigmoid":
        return spec.separator.join(name for name, true in zip(spec.classes, target, strict=True) if true)
    return spec.classes[int(target)]
