"""Reads article numbers from shoppers' photos, if the shop has a reader and products with numbers."""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy.orm import Session, sessionmaker

from catalog import queries
from catalog.queries import ProductCard
from vsearch.core.errors import CheckpointError
from vsearch.core.settings import Settings
from vsearch.imaging.codec import Picture
from vsearch.imaging.geometry import Box
from vsearch.models import registry
from vsearch.models.checkpoint import Checkpoint
from vsearch.ocr import TagReader, open_reader

log = logging.getLogger(__name__)

OpenReader = Callable[[Checkpoint], TagReader]


@dataclass(frozen=True)
class RecognizedNumber:
    """An article number (digits) read from a photo, its probability, and the product if exactly one has the number."""

    number: str
    confidence: float
    product: ProductCard | None


class ArticleNumberReader:
    """Opens the promoted reader on first use, and a newly promoted one on `refresh`; thread-safe."""

    def __init__(
        self, settings: Settings, sessions: sessionmaker[Session], open_reader: OpenReader = open_reader
    ) -> None:
        self._settings, self._sessions, self._open_reader = settings, sessions, open_reader
        self._reader: TagReader | None = None
        self._reader_id: str | None = None
        self._refreshed = False
        self._refreshing = threading.Lock()
        self._problem = ""

    @property
    def reader(self) -> TagReader | None:
        """The current reader, opened if necessary; None if the shop has none."""
        if not self._refreshed:
            self.refresh()
        return self._reader

    @property
    def is_open(self) -> bool:
        """Whether a reader is open now."""
        return self._reader is not None

    def refresh(self) -> None:
        """Switch to the promoted reader. If it cannot be opened, log the problem once and keep the previous one."""
        with self._refreshing:
            try:
                with self._sessions() as session:
                    wanted = queries.has_article_numbers(session)
                checkpoint = registry.reader_checkpoint(self._settings) if wanted else None
                checkpoint_id = checkpoint.checkpoint_id if checkpoint else None
                if checkpoint_id != self._reader_id:
                    self._reader = self._open_reader(checkpoint) if checkpoint else None
                    self._reader_id = checkpoint_id
                self._problem = ""
            except CheckpointError as error:
                if str(error) != self._problem:
                    log.warning("article numbers cannot be read: %s", error)
                self._problem = str(error)
            self._refreshed = True

    def read(self, picture: Picture, box: Box | None = None) -> RecognizedNumber | None:
        """Read the article number in a photo or in a box within it; None if there is none."""
        reader = self.reader
        reading = reader.read(picture, box) if reader else None
        if reading is None:
            return None
        with self._sessions() as session:
            product = queries.product_by_article_number(session, reading.number)
        return RecognizedNumber(reading.number, reading.confidence, product)
