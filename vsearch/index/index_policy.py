"""Which kind of index a class gets, by its size: exact up to some tens of thousands, beyond that by measured recall."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vsearch.evaluation.metrics import index_recall_at_k

EXACT_UP_TO = 50_000
"""A larger class is searched in parts of it only, so many that `LEAST_RECALL` of what exact search finds is found."""

LEAST_RECALL = 0.995
DEPTH = 10
"""Answers that are compared with those of exact search."""

_SAMPLE = 256  # vectors that are searched for to choose how many cells are looked through


def index_key(count: int) -> str:
    """Return the FAISS factory string for a class of `count` vectors: the one place that decides index types.

    Flat is exact, needs no training, and answers in 14 ms at 100,000 vectors of 512 on two cores. Beyond `EXACT_UP_TO`
    the vectors are parted among cells (an inverted file), of which a search looks through the nearest; they stay whole.
    """
    return "Flat" if count <= EXACT_UP_TO else f"IVF{2 * math.isqrt(count)},Flat"


def sample(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the vectors that recall is measured with, the same ones every time."""
    return vectors[np.random.default_rng(0).permutation(len(vectors))[:_SAMPLE]]


def choose_cells(index: Any, queries: NDArray[np.float32], exact: NDArray[np.int64]) -> None:
    """Set how many cells a search looks through: the fewest, by doubling, that find what exact search finds.

    Args:
        index: FAISS's inverted file, filled; it gets a map by which vectors are read back.
        queries: float32 [q, d].
        exact: the nearest to each by exact search, int64 [q, DEPTH].
    """
    index.make_direct_map()
    index.nprobe = 1
    while index.nprobe < index.nlist:
        if index_recall_at_k(index.search(queries, DEPTH)[1], exact).mean() >= LEAST_RECALL:
            return
        index.nprobe = min(2 * index.nprobe, index.nlist)
