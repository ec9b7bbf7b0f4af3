"""What the views work with, made once per application and passed in, so that a test can pass its own."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from flask import Flask, current_app
from sqlalchemy.orm import Session, sessionmaker

from catalog import imports, queries
from vsearch.core.settings import Settings
from vsearch.imaging.codec import Limits
from vsearch.ocr.reader import open_reader
from vsearch.search.engine import Engine
from vsearch.search.serving import Latest
from webui import examples
from webui.articles import Articles, OpenReader
from webui.examples import Example
from webui.thumbnails import Thumbnails
from webui.uploads import UploadStore
from webui.withdrawn import Withdrawn

_NAME = "vsearch"


class Currencies:
    """The currencies of the catalogue's prices, counted again after each import."""

    def __init__(self, sessions: sessionmaker[Session], default: str) -> None:
        self._sessions = sessions
        self._default = default
        self._known: Latest[tuple[str, ...]] = Latest(1)

    def all(self) -> tuple[str, ...]:
        """Return them, the most common first; the setting's where no product has a price."""
        with self._sessions() as session:
            state = imports.change_count(session)
            return self._known.get([state], lambda _: [tuple(queries.currencies(session)) or (self._default,)])[0]

    def main(self) -> str:
        """Return the currency of price filters."""
        return self.all()[0]


@dataclass(frozen=True)
class Services:
    """The collaborators of one application."""

    settings: Settings
    engine: Engine
    sessions: sessionmaker[Session]
    uploads: UploadStore
    thumbnails: Thumbnails
    articles: Articles
    examples: Mapping[str, Example]
    currencies: Currencies
    withdrawn: Withdrawn = field(default_factory=Withdrawn)

    @classmethod
    def of(
        cls,
        settings: Settings,
        engine: Engine,
        sessions: sessionmaker[Session],
        *,
        open_reader: OpenReader = open_reader,
    ) -> "Services":
        """Return the services with the stores that the settings name."""
        return cls(
            settings,
            engine,
            sessions,
            UploadStore.of(settings),
            Thumbnails.of(settings),
            Articles(settings, sessions, open_reader),
            examples.read(settings.examples, Limits.from_settings(settings)),
            Currencies(sessions, settings.currency),
        )

    def close(self) -> None:
        """Close the connections to the catalogue."""
        self.sessions.kw["bind"].dispose()


def services() -> Services:
    """Return the services of the application that answers the current request."""
    return services_of(current_app)


def services_of(app: Flask) -> Services:
    """Return the services of an application."""
    found = app.extensions[_NAME]
    assert isinstance(found, Services)
    return found


def attach(app: Flask, attached: Services) -> None:
    """Give an application its services."""
    app.extensions[_NAME] = attached
