"""A small shop of synthetic images, for tests of generations and the engine."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.fakes import (
    MATCH_CALIBRATION,
    NO_COHORT,
    FakeEncoder,
    colored,
    fake_checkpoint,
    nearest_mean_heads,
    origin,
)
from vsearch.core.settings import Metric, Settings
from vsearch.imaging.codec import Picture
from vsearch.index import generation
from vsearch.index.class_index import ClassIndex
from vsearch.index.gallery import Gallery
from vsearch.models import checkpoint as checkpoints
from vsearch.models.checkpoint import Checkpoint

METRICS: tuple[Metric, ...] = ("cosine", "euclidean")
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
        chosen = {"chair": slice(0, count // 2), "lamp": slice(count // 2, None)}
        indexes = {
            metric: {name: ClassIndex.build(embeddings[s], image_ids[s], metric) for name, s in chosen.items()}
            for metric in METRICS
        }
        return Gallery(indexes, image_ids, first_product + np.arange(count, dtype=np.int64) // 2)

    def write(self, first_product: int = 1) -> Path:
        """Write a generation without publishing it."""
        return generation.write(
            self.generations,
            origin(self.checkpoint, previous=generation.current_id(self.generations)),
            gallery=self.gallery(first_product),
            whitening=self.checkpoint.retrieval.whitening,
            match_calibration=MATCH_CALIBRATION,
            background_cohort=NO_COHORT,
        )

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
