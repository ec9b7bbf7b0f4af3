"""Keys of the API for the small shop."""

from collections.abc import Callable, Collection

import pytest

from catalog import api_keys
from tests.webui.conftest import Site

Headers = dict[str, str]


def key_for(site: Site, scopes: Collection[str] = api_keys.SCOPES) -> Headers:
    """Return the headers of requests with a new key."""
    with site.sessions.begin() as session:
        _, key = api_keys.create(session, "test", scopes, by="test")
    return {"Authorization": f"Bearer {key}"}


@pytest.fixture
def headers(site: Site) -> Headers:
    """The headers of requests with a key that may do everything."""
    return key_for(site)


@pytest.fixture
def with_scopes(site: Site) -> Callable[..., Headers]:
    """A function that returns the headers of requests with a new key that has these scopes."""
    return lambda *scopes: key_for(site, scopes)
