"""The objects that views depend on, created once per application and returned by `services()`."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from flask import Flask, current_app
from sqlalchemy.orm import Session, sessionmaker

from catalog import imports, queries
from vsearch.core.settings import Settings
from vsearch.index.class_index import Ids
from vsearch.index.generation import Generation
from vsearch.search.engine import Engine
from webui.article_numbers import ArticleNumberReader
from webui.examples import ExamplePhoto
from webui.thumbnails import Thumbnails
from webui.uploads import UploadStore

EXTENSION = "vsearch"


class CatalogCache:
    """Caches data that only feed imports change; each access checks for a new import with a small query."""

    def __init__(self, sessions: sessionmaker[Session], default_currency: str) -> None:
        self._sessions = sessions
        self._default_currency = default_currency
        self._cached: dict[str, tuple[object, Any]] = {}
        self._lock = threading.Lock()

    def currencies(self) -> tuple[str, ...]:
        """Return the currencies of the prices, most common first; price filters use the first one."""
        default = (self._default_currency,)
        found: tuple[str, ...] = self._read("currencies", lambda session: tuple(queries.currencies(session)) or default)
        return found

    def withdrawn_image_ids(self, generation: Generation) -> Ids:
        """Return the image ids of the generation whose products have been withdrawn, int64, ascending."""

        def read(session: Session) -> Ids:
            return generation.gallery.image_ids_of(queries.withdrawn_product_ids(session))

        found: Ids = self._read("withdrawn", read, generation.generation_id)
        return found

    def _read(self, name: str, read: Callable[[Session], object], version: str = "") -> Any:
        with self._sessions() as session:
            # Counted before reading: changes by an import in between are then read twice, never missed.
            state = version, imports.change_count(session)
            with self._lock:
                if self._cached.get(name, (None,))[0] != state:
                    self._cached[name] = state, read(session)
                return self._cached[name][1]


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
