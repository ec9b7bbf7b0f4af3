"""A small shop of synthetic images, for tests of generations and the engine."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.fakes import FakeEncoder, colored, fake_checkpoint, gallery_of, nearest_mean_heads, write_generation
from vsearch.core.settings import Settings
from vsearch.imaging.codec import Picture
from vsearch.index import generation
from vsearch.index.gallery import Gallery
from vsearch.models import checkpoint as checkpoints
from vsearch.models.checkpoint import Checkpoint

CLASSES = ("chair", "lamp")


@dataclass(frozen=True)
class Shop:
    """A data folder with a checkpoint, and the images of its generations."""

    folder: Path
    checkpoint: Checkpoint
    pictures: list[Picture]
    blocks: NDArray[np.float16]

    @property
    def generations(self) -> Path:
        return self.folder / "generations"

    def gallery(self, first_product: int = 1) -> Gallery:
        """Return a gallery of all images: two per product, half of them chairs."""
        count = len(self.pictures)
        embeddings = self.checkpoint.retrieval.whitening.project(self.blocks)
        image_ids = np.arange(100, 100 + count, dtype=np.int64)
        product_ids = first_product + np.arange(count) // 2
        return gallery_of(embeddings, image_ids, product_ids, np.repeat(CLASSES, count // 2).tolist())

    def write(self, first_product: int = 1) -> Path:
        """Write a generation without publishing it."""
        previous = generation.current_id(self.generations)
        return write_generation(self.generations, self.checkpoint, self.gallery(first_product), previous)

    @property
    def settings(self) -> Settings:
        return Settings(data=self.folder)

    def publish(self, first_product: int = 1) -> str:
        """Write and publish a generation and return its id."""
        return generation.publish(self.generations, self.write(first_product)).name


@pytest.fixture
def shop(tmp_path):
    """Return a shop with 12 products of two images each; nothing is published yet."""
    trunk = fake_checkpoint(tmp_path / "trunk", CLASSES)
    colors = np.random.default_rng(0).integers(40, 255, size=(12, 3))
    pictures = [colored(colors[number // 2], seed=number) for number in range(24)]
    blocks = FakeEncoder(trunk).blocks(pictures)
    heads = nearest_mean_heads(blocks, ["chair"] * 12 + ["lamp"] * 12)
    checkpoint = checkpoints.save_with_heads(trunk, heads, tmp_path / "checkpoints")
    return Shop(tmp_path, checkpoint, pictures, blocks)
