"""How many true boxes a boxes head finds among its surest proposals. numpy alone."""

from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from vsearch.detection.boxes import IOU_THRESHOLD, Boxes, box_areas, iou, non_max_suppression
from vsearch.models.trained_heads import HeadPredictions
from vsearch.training.results.scoring import Flags, share

AMONG: Final = (1, 3, 5)
"""Proposals looked at; the one in the middle is the headline, and what a search takes."""

HEADLINE: Final = AMONG[1]


@dataclass(frozen=True)
class Found:
    """One picture with known boxes.

    Attributes:
        place: among the pictures judged.
        true: its boxes [m, 4].
        proposals: the surest first, confidence and sides [AMONG[-1] at most, 5].
        ranks: int [m], how many proposals it takes to find each true box; 0 where all of them do not.
    """

    place: int
    true: Boxes
    proposals: NDArray[np.float32]
    ranks: NDArray[np.int64]

    def within(self, count: int) -> Flags:
        """Return which true boxes are found among the first proposals, bool [m]."""
        return (self.ranks > 0) & (self.ranks <= count)


def found(cells: NDArray[np.float32], targets: NDArray[Any]) -> list[Found]:
    """Compare what a head says of n pictures with the truth; those without known boxes are left out.

    Args:
        cells: as `vsearch.detection.boxes.decode_grid` gives them, [n, rows, columns, 5].
        targets: [n, k, 4], empty boxes are none and -1 is not known.
    """
    known = np.flatnonzero((targets >= 0).all(axis=(1, 2)))
    pictures = []
    for place in known.tolist():
        true = targets[place][box_areas(targets[place]) > 0]
        proposals = non_max_suppression(cells[place], AMONG[-1])
        hits = iou(true, proposals[:, 1:]) >= IOU_THRESHOLD
        ranks = np.where(hits.any(axis=1), hits.argmax(axis=1) + 1, 0) if hits.size else np.zeros(len(true), np.int64)
        pictures.append(Found(place, true, proposals, ranks))
    return pictures


def figures(judgement: HeadPredictions, head: str, targets: NDArray[Any]) -> dict[str, Any]:
    """Return the figures of a boxes head, in the form that `vsearch.training.results.report.figures` gives those of
    others.

    `found` maps the number of proposals to the share of all true boxes found among them; `right` is the headline.
    """
    judges = {judge: _judge(judgement.probabilities_of(judge, head), targets) for judge in judgement.predictors}
    return {"kind": "boxes", "judges": judges, "versus_vote": {}}


def _judge(cells: NDArray[np.float32], targets: NDArray[Any]) -> dict[str, Any]:
    pictures = found(cells, targets)
    shares = {count: asdict(share(_flags(pictures, count))) for count in AMONG}
    return {"right": shares[HEADLINE], "found": {str(count): said for count, said in shares.items()}}


def _flags(pictures: list[Found], count: int) -> Flags:
    return np.concatenate([np.empty(0, np.bool_), *(picture.within(count) for picture in pictures)])
