"""Article numbers read off shoppers' photos. Off, silently, where there is no reader or no product has a number."""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy.orm import Session, sessionmaker

from catalog.articles import any_article_number, product_by_article_number
from catalog.queries import ProductCard
from vsearch.core.errors import CheckpointError
from vsearch.core.settings import Settings
from vsearch.imaging.codec import Box, Picture
from vsearch.models import registry
from vsearch.models.checkpoint import Checkpoint
from vsearch.ocr.reader import TagReader, open_reader

log = logging.getLogger(__name__)

OpenReader = Callable[[Checkpoint], TagReader]


@dataclass(frozen=True)
class ArticleRead:
    """A number read from a photo, and the one product that has it; None where none or several have.

    Attributes:
        number: its digits.
        confidence: probability, 0..1.
    """

    number: str
    confidence: float
    product: ProductCard | None


class Articles:
    """Reads article numbers for one application; safe to use from several threads.

    The reader is opened by the first photo or by `refresh`, whichever comes first, and anew when another is promoted.

    Args:
        settings: where checkpoints are.
        sessions: makes catalogue sessions.
        open_reader: makes the reader of a checkpoint; a test gives a fake.
    """

    def __init__(
        self, settings: Settings, sessions: sessionmaker[Session], open_reader: OpenReader = open_reader
    ) -> None:
        self._settings, self._sessions, self._open_reader = settings, sessions, open_reader
        self._reader: TagReader | None = None
        self._reader_id: str | None = None
        self._asked = False
        self._refreshing = threading.Lock()
        self._problem = ""

    @property
    def reader(self) -> TagReader | None:
        """What reads now; None where nothing does."""
        if not self._asked:
            self.refresh()
        return self._reader

    @property
    def ready(self) -> bool:
        """Whether something reads now; opens nothing."""
        return self._reader is not None

    def refresh(self) -> None:
        """Take up the reader that is in use; one that cannot be opened is logged, and what read before reads on."""
        with self._refreshing:
            try:
                checkpoint = self._wanted()
                wanted = checkpoint.checkpoint_id if checkpoint else None
                if wanted != self._reader_id:
                    self._reader = self._open_reader(checkpoint) if checkpoint else None
                    self._reader_id = wanted
                self._problem = ""
            except CheckpointError as error:
                if str(error) != self._problem:
                    log.warning("article numbers cannot be read: %s", error)
                self._problem = str(error)
            self._asked = True

    def read(self, picture: Picture, box: Box | None = None) -> ArticleRead | None:
        """Read the number on a tag in a photo, or in a part of it; None where there is none to be read."""
        reader = self.reader
        reading = reader.read(picture, box) if reader else None
        if reading is None:
            return None
        return ArticleRead(reading.number, reading.confidence, self.product(reading.number))

    def product(self, number: str) -> ProductCard | None:
        """Return the one live product that has this number."""
        with self._sessions() as session:
            return product_by_article_number(session, number)

    def _wanted(self) -> Checkpoint | None:
        with self._sessions() as session:
            return registry.reader_checkpoint(self._settings) if any_article_number(session) else None
