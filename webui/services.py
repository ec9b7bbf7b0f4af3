"""The collaborators of one application, created once and available to every view through `services()`."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass

from flask import Flask, current_app
from sqlalchemy.orm import Session, sessionmaker

from catalog import imports, queries
from vsearch.core.settings import Settings
from vsearch.imaging.codec import Limits
from vsearch.index.class_index import Ids
from vsearch.index.generation import Generation
from vsearch.ocr import open_reader
from vsearch.search.engine import Engine
from webui import examples
from webui.article_numbers import ArticleNumberReader, OpenReader
from webui.examples import ExamplePhoto
from webui.thumbnails import Thumbnails
from webui.uploads import UploadStore

EXTENSION = "vsearch"


class CatalogCache:
    """What only a feed import changes: read from SQL again after each import, by one small query in between."""

    def __init__(self, sessions: sessionmaker[Session], default_currency: str) -> None:
        self._sessions = sessions
        self._default_currency = default_currency
        self._currencies: tuple[tuple[int, int], tuple[str, ...]] | None = None
        self._withdrawn: tuple[tuple[str, tuple[int, int]], Ids] | None = None
        self._lock = threading.Lock()

    def currencies(self) -> tuple[str, ...]:
        """Return the currencies of the prices, the most common first; the first one is that of price filters."""
        with self._sessions() as session:
            state = imports.change_count(session)
            with self._lock:
                if self._currencies is None or self._currencies[0] != state:
                    self._currencies = state, tuple(queries.currencies(session)) or (self._default_currency,)
                return self._currencies[1]

    def withdrawn_image_ids(self, generation: Generation) -> Ids:
        """Return the image ids of the generation whose products have been withdrawn, int64, ascending."""
        with self._sessions() as session:
            # Counted before reading: products withdrawn in between are then read twice, never missed.
            state = (generation.generation_id, imports.change_count(session))
            with self._lock:
                if self._withdrawn is None or self._withdrawn[0] != state:
                    withdrawn = queries.withdrawn_product_ids(session)
                    self._withdrawn = state, generation.gallery.image_ids_of(withdrawn)
                return self._withdrawn[1]


@dataclass(frozen=True)
class Services:
    """The collaborators of one application."""

    settings: Settings
    engine: Engine
    sessions: sessionmaker[Session]
    uploads: UploadStore
    thumbnails: Thumbnails
    article_numbers: ArticleNumberReader
    examples: Mapping[str, ExamplePhoto]
    catalog: CatalogCache

    @classmethod
    def from_settings(
        cls,
        settings: Settings,
        engine: Engine,
        sessions: sessionmaker[Session],
        *,
        open_reader: OpenReader = open_reader,
    ) -> "Services":
        """Create the services with the folders that the settings name."""
        return cls(
            settings,
            engine,
            sessions,
            UploadStore.from_settings(settings),
            Thumbnails.from_settings(settings),
            ArticleNumberReader(settings, sessions, open_reader),
            examples.load(settings.examples, Limits.from_settings(settings)),
            CatalogCache(sessions, settings.currency),
        )

    def close(self) -> None:
        """Close the database connections."""
        self.sessions.kw["bind"].dispose()


def services() -> Services:
    """Return the services of the application that handles the current request."""
    return services_of(current_app)


def services_of(app: Flask) -> Services:
    """Return the services of an application."""
    found = app.extensions[EXTENSION]
    assert isinstance(found, Services)
    return found
