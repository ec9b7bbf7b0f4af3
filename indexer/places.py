"""A feed's place: a path, a web address, or object storage such as s3://; whichever it is, a local file comes out."""

import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from indexer.web import Web
from vsearch.errors import AddressRefused, FeedRejected
from vsearch.redaction import redact

ADDRESS = re.compile("[A-Za-z][A-Za-z0-9+.-]+://")
MAX_FEED_BYTES = 500_000_000


def is_web(place: str) -> bool:
    """Whether it is an address by http or https."""
    return bool(re.match("https?://", place, re.IGNORECASE))


def is_address(place: str) -> bool:
    """Whether it is an address of any kind, and no path."""
    return ADDRESS.match(place) is not None


@contextmanager
def local_file(place: str) -> Iterator[Path]:
    """Yield a feed as a local file, which bears the name that its place has; a copy lasts as long as the block.

    What the operator names may lie in a private network; what a feed names may not.

    Raises:
        FeedRejected: it cannot be had.
    """
    if not is_address(place):
        yield Path(place)
        return
    name = PurePosixPath(urlsplit(place).path).name or "feed"
    with tempfile.TemporaryDirectory(prefix="vsearch-feed-") as folder:
        copy = Path(folder) / name
        copy.write_bytes(_fetched(place) if is_web(place) else _stored(place))
        yield copy


def storage(place: str) -> tuple[Any, str]:
    """Return the fsspec file system of an address, and the path in it.

    Raises:
        FeedRejected: the kind of storage is unknown, or what it needs is not installed.
    """
    import fsspec

    if re.match("(s3a?|gs|gcs)://[^/]*@", place):  # a part of the bucket's name to these libraries, which would log it
        raise FeedRejected(
            f"Keys are no part of an address, but {place} has some; give them as the storage's own client takes them "
            "(for s3://, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY)."
        )
    try:
        found = fsspec.core.url_to_fs(place)
    except ImportError as error:
        raise FeedRejected(
            f"{place.partition('://')[0]}:// needs a package that is not installed ({error}); "
            "run `pip install 'vsearch[s3]'` for s3://."
        ) from error
    except ValueError as error:
        raise FeedRejected(
            f"A place must be a path or an address, but {place}: {redact(str(error), place)}; correct it."
        ) from error
    return found[0], str(found[1])


def _fetched(place: str) -> bytes:
    web = Web(private=True, deadline=3600)
    try:
        return web.fetch(place, MAX_FEED_BYTES).data or b""
    except AddressRefused as error:
        raise FeedRejected(f"A feed must be readable: {error}") from error
    finally:
        web.close()


def _stored(place: str) -> bytes:
    files, path = storage(place)
    try:
        return bytes(files.cat_file(path))
    except Exception as error:  # each kind of storage has errors of its own
        raise FeedRejected(
            f"A feed must be readable, but {place} is not ({redact(first_line(error), place)}); check the address "
            "and the credentials."
        ) from error


def first_line(error: Exception) -> str:
    """Return what an error of a storage says, as a part of one sentence."""
    return str(error).splitlines()[0].rstrip(".") if str(error) else type(error).__name__
