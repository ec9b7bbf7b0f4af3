"""The objects that views depend on, created once per application and returned by `services()`."""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from flask import Flask, current_app
from sqlalchemy.orm import Session, sessionmaker

from catalog import facets, full_text, imports, product_edits, queries, review_queue, words
from catalog.api_keys import KeyUse
from catalog.facets import ProductFacets
from catalog.queries import ProductCard
from catalog.query_log import QueryLog
from catalog.review_queue import Vocabulary
from vsearch.core.errors import CheckpointError, VSearchError
from vsearch.core.settings import Settings
from vsearch.imaging.codec import Picture
from vsearch.imaging.geometry import Box
from vsearch.index.class_index import ImageSet
from vsearch.index.generation import Generation
from vsearch.models import registry
from vsearch.models.checkpoint import Checkpoint
from vsearch.ocr import TagReader, open_reader
from vsearch.search.engine import Engine
from vsearch.search.heat_map import Explainer
from webui.image_files import ExamplePhoto, Thumbnails, UploadStore
from webui.remote_images import RemoteImages
from webui.review_photos import ReviewPhotos, ReviewSampler

EXTENSION = "vsearch"
UPDATED = ("facets", "search words")
"""What `CatalogCache.update` reads."""

CACHED = ("currencies", "facets", "search words", "vocabulary", "withdrawn")

MAX_WAIT_SECONDS = 0.25
"""A request waits for changes of the catalog that take at most this long to read."""

log = logging.getLogger(__name__)

OpenReader = Callable[[Checkpoint], TagReader]


@dataclass(frozen=True)
class RecognizedNumber:
    """An article number (digits) read from a photo, its probability, and the product if exactly one has the number."""

    number: str
    confidence: float
    product: ProductCard | None


class ArticleNumberReader:
    """Reads article numbers from photos, if the shop has a promoted reader and products with numbers; thread-safe.

    The reader is opened on first use, and a newly promoted one on `refresh`.
    """

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
                checkpoint = registry.active(self._settings, "reader") if wanted else None
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


@dataclass(frozen=True)
class _Cached:
    version: str
    changes: object  # of the catalog, counted before reading
    value: Any
    seconds: float  # that reading took


class CatalogCache:
    """Caches data that only imports and edits of products change; each access checks for new ones.

    Once a thread calls `update` regularly, others use the previous data until it has read what takes long to read.

    Raises:
        SettingsError: the file of the setting `synonyms` is not valid.
    """

    def __init__(self, sessions: sessionmaker[Session], settings: Settings) -> None:
        self._sessions = sessions
        self._default_currency = settings.currency
        self._languages = settings.search_languages
        self._synonyms = words.read_synonyms(settings.synonyms)
        self._cached: dict[str, _Cached] = {}
        self._locks = {name: threading.Lock() for name in CACHED}
        self._updating: threading.Thread | None = None

    def update(self, generation: Generation) -> None:
        """Read what has changed, so that searches need not wait for it."""
        self._updating = threading.current_thread()
        self.search_words(generation)  # reads facets as well

    def currencies(self) -> tuple[str, ...]:
        """Return the currencies of the prices, most common first; price filters use the first one."""
        default = (self._default_currency,)
        found: tuple[str, ...] = self._read("currencies", lambda session: tuple(queries.currencies(session)) or default)
        return found

    def facets(self, generation: Generation) -> ProductFacets:
        """Return what products can be filtered by; classes and predicted attributes are those of the generation."""

        def read(session: Session) -> ProductFacets:
            first = next(iter(generation.gallery.indexes.values()))
            found = facets.product_facets(session).with_predictions(generation.predicted_attributes)
            return found.with_color_families().of_classes(
                generation.gallery.classes, (first[name].image_ids for name in first)
            )

        found: ProductFacets = self._read("facets", read, generation.version)
        return found

    def search_words(self, generation: Generation | None) -> words.SearchWords:
        """Return the words of the products' texts and, given a generation, of their predicted attributes."""
        arrays = self.facets(generation) if generation else None

        def read(session: Session) -> words.SearchWords:
            if arrays is None:
                return full_text.read_vocabulary(session, self._languages, self._synonyms)
            values = (value for found in arrays.values.values() for value in found.names)
            return full_text.read_vocabulary(
                session, self._languages, self._synonyms, arrays.predicted, arrays.colored(), values
            )

        version = generation.generation_id if generation else ""
        found: words.SearchWords = self._read("search words", read, version)
        return found

    def vocabulary(self) -> Vocabulary:
        """Return what photos can be labeled with."""
        found: Vocabulary = self._read("vocabulary", review_queue.vocabulary)
        return found

    def withdrawn_image_ids(self, generation: Generation) -> ImageSet:
        """Return the image ids of the generation whose products have been withdrawn."""

        def read(session: Session) -> ImageSet:
            return ImageSet(generation.gallery.image_ids_of(queries.withdrawn_product_ids(session)))

        found: ImageSet = self._read("withdrawn", read, generation.version)
        return found

    def _read(self, name: str, read: Callable[[Session], object], version: str = "") -> Any:
        with self._sessions() as session:
            # Counted before reading: changes in between are then read twice, never missed.
            changes = imports.change_count(session), product_edits.change_count(session)
            cached = self._cached.get(name)
            if cached and cached.version == version and (cached.changes == changes or self._is_updated(name, cached)):
                return cached.value
            with self._locks[name]:
                cached = self._cached.get(name)
                if cached is None or (cached.version, cached.changes) != (version, changes):
                    started = time.monotonic()
                    value = read(session)
                    cached = _Cached(version, changes, value, time.monotonic() - started)
                    self._cached[name] = cached
                return cached.value

    def _is_updated(self, name: str, cached: _Cached) -> bool:
        """Return whether another thread is about to read data that takes too long to wait for."""
        updating = self._updating
        is_other = updating is not None and updating.is_alive() and updating is not threading.current_thread()
        return is_other and name in UPDATED and cached.seconds > MAX_WAIT_SECONDS


@dataclass(frozen=True)
class Services:
    """The objects that views depend on."""

    settings: Settings
    engine: Engine
    sessions: sessionmaker[Session]
    uploads: UploadStore
    thumbnails: Thumbnails
    article_numbers: ArticleNumberReader
    examples: Mapping[str, ExamplePhoto]
    catalog: CatalogCache
    explainer: Explainer
    remote_images: RemoteImages
    review_photos: ReviewPhotos
    sampler: ReviewSampler
    key_use: KeyUse
    query_log: QueryLog
    stopping: threading.Event = field(default_factory=threading.Event)
    """Set when the server is about to stop, and load balancers should send no more requests."""

    def close(self) -> None:
        """Finish keeping photos, write the query log, and close the database connections."""
        self.sampler.join()
        try:
            self.query_log.write()
        except VSearchError as error:
            log.warning("the last searches are missing in the query log: %s", error)
        self.sessions.kw["bind"].dispose()


def services() -> Services:
    """Return the services of the application that handles the current request."""
    return services_of(current_app)


def services_of(app: Flask) -> Services:
    """Return the services of an application."""
    found = app.extensions[EXTENSION]
    assert isinstance(found, Services)
    return found
