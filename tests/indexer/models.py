"""Fake models of three kinds for the tests of promotions, and a shop that has frozen its evaluation set."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from indexer.promotion import promote
from tests.fakes import FakeEncoder, fake_checkpoint
from tests.indexer.shop import Shop
from vsearch.imaging.codec import Picture, decode
from vsearch.models.checkpoint import Checkpoint

GOOD, BAD = 2, 3
"""Trunks of candidates: one that sees as well as the one in use, and one that sees noise."""

SHIFT = np.float16(0.25)


class Shifted(FakeEncoder):
    """Sees as well, but what it gives means nothing to a gallery of the plain one."""

    def blocks(self, pictures: Sequence[Picture]) -> NDArray[np.float16]:
        """Return float16 [n, 16]."""
        return np.asarray(super().blocks(pictures) + SHIFT, np.float16)


class Noise(FakeEncoder):
    """Gives the same picture the same numbers, and a slightly other one quite different ones."""

    def blocks(self, pictures: Sequence[Picture]) -> NDArray[np.float16]:
        """Return float16 [n, 16]."""
        super().blocks(pictures)
        seeds = [int(hashlib.sha256(picture.tobytes()).hexdigest()[:8], 16) for picture in pictures]
        return np.array([np.random.default_rng(seed).uniform(size=16) for seed in seeds], np.float16).reshape(-1, 16)


def by_trunk(checkpoint: Checkpoint) -> FakeEncoder:
    """Open the encoder of a fake checkpoint."""
    return {1: FakeEncoder, GOOD: Shifted, BAD: Noise}[checkpoint.grid](checkpoint)


def candidate(shop: Shop, trunk: int) -> Checkpoint:
    """Return a trained checkpoint, outside the store."""
    folder = shop.settings.data / f"trained {trunk}"
    return fake_checkpoint(folder, trunk=trunk)


def in_use(shop: Shop) -> Shop:
    """Return an indexed shop that goes on with its own checkpoint and has frozen a photo of each product."""
    free = replace(shop, settings=shop.settings.model_copy(update={"checkpoint": ""}))
    promote.freeze(free.settings, photos(free))
    return free


def photos(shop: Shop) -> list[tuple[Picture, set[str]]]:
    """Return one photo of each product with its sku: its first catalogue picture."""
    first = {row.sku: row for row in reversed(shop.rows())}
    return [(decode(shop.store.read(row.sha256)), {sku}) for sku, row in sorted(first.items())]
