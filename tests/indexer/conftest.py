"""Shops to index."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.fakes import FakeEncoder
from tests.indexer.shop import Shop, open_shop
from vsearch.model.checkpoint import Checkpoint


@dataclass
class Opened:
    """Opens fake encoders and remembers them."""

    encoders: list[FakeEncoder] = field(default_factory=list)
    fail_after: int | None = None

    def __call__(self, checkpoint: Checkpoint) -> FakeEncoder:
        """Open one more."""
        self.encoders.append(FakeEncoder(checkpoint, self.fail_after))
        return self.encoders[-1]

    @property
    def pictures(self) -> int:
        """Pictures encoded by all of them."""
        return sum(encoder.pictures for encoder in self.encoders)


@pytest.fixture
def opened() -> Opened:
    """What an index run opens its encoder with."""
    return Opened()


@pytest.fixture
def empty_shop(tmp_path: Path) -> Iterator[Shop]:
    """A shop without products."""
    shop = open_shop(tmp_path)
    yield shop
    shop.close()


@pytest.fixture
def shop(filled: Path, tmp_path: Path) -> Iterator[Shop]:
    """A shop of 12 products with 24 pictures in four categories."""
    shop = open_shop(shutil.copytree(filled, tmp_path / "data"))
    yield shop
    shop.close()


@pytest.fixture
def indexed_shop(indexed: Path, tmp_path: Path) -> Iterator[Shop]:
    """The same after its first run."""
    shop = open_shop(shutil.copytree(indexed, tmp_path / "data"))
    yield shop
    shop.close()
