"""Several rankings made into one."""

from collections import defaultdict
from collections.abc import Sequence

SMOOTHING = 60
"""How much the first ranks stand out; 60 is the value of the method's authors."""


def reciprocal_rank_fusion(rankings: Sequence[Sequence[int]]) -> list[int]:
    """Return all ids, best first: each ranking gives an id 1 / (60 + rank). Equal sums keep the first's order.

    Scores of different kinds cannot be added up, ranks can; that is all there is to it (Cormack et al., 2009).
    """
    sums: dict[int, float] = defaultdict(float)
    for ranking in rankings:
        for rank, number in enumerate(ranking, start=1):
            sums[number] += 1 / (SMOOTHING + rank)
    return sorted(sums, key=lambda number: -sums[number])
