"""Opens feeds and image folders: paths, web addresses, and object storage addresses such as s3://."""

import codecs
import re
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from indexer.feed.fields import quoted
from vsearch.core.downloader import Downloader, is_web
from vsearch.core.errors import AddressRefused, FeedRejected, first_line
from vsearch.core.redaction import redact

_ADDRESS = re.compile("[A-Za-z][A-Za-z0-9+.-]+://")
MAX_FEED_BYTES = 500_000_000

_FEED_DEADLINE = 3600.0  # seconds
_BINARY_MARKERS = (b"\x1f\x8b", b"PAR1", b"PK", codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
"""First bytes of feeds to which the server's charset does not apply."""


def is_address(location: str) -> bool:
    """Return whether a location is an address of any kind, not a path."""
    return _ADDRESS.match(location) is not None


@contextmanager
def local_file(location: str, *, private: bool = False) -> Iterator[Path]:
    """Yield a feed as a local file; a download keeps its file name and is deleted when the block ends.

    The location's host may be in a private network; the hosts it redirects to may not, unless `private` is true.

    Raises:
        FeedRejected: the feed cannot be downloaded.
    """
    if not is_address(location):
        yield Path(location)
        return
    name = PurePosixPath(urlsplit(location).path).name or "feed"
    with tempfile.TemporaryDirectory(prefix="vsearch-feed-") as folder:
        copy = Path(folder) / name
        copy.write_bytes(_download(location, private) if is_web(location) else _read_storage(location))
        yield copy


def storage(location: str) -> tuple[Any, str]:
    """Return the fsspec file system of an address and the path in it.

    Raises:
        FeedRejected: the kind of storage is unknown, its package is not installed, or it cannot be reached.
    """
    import fsspec

    if re.match("(s3a?|gs|gcs)://[^/]*@", location):  # these libraries mistake them for the bucket name and log them
        remedy = "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or the variables of your storage, instead."
        raise FeedRejected(f"The address {location} contains credentials. {remedy}")
    try:
        files, path = fsspec.core.url_to_fs(location)
    except ImportError as error:
        remedy = "Install it; for s3://, run `pip install 'vsearch[s3]'`."
        raise FeedRejected(f"{location} needs a package that is not installed ({error}). {remedy}") from error
    except Exception as error:  # some implementations connect here, each with its own errors
        detail = redact(first_line(error), location)
        raise FeedRejected(f"The address {location} cannot be opened ({detail}). Correct it.") from error
    return files, str(path)


def _download(location: str, private: bool) -> bytes:
    address = quoted(location)
    try:
        host = urlsplit(address).hostname or ""
    except ValueError as error:
        raise FeedRejected(f"The feed address {location} is not valid ({error}). Correct it.") from error
    with closing(Downloader(private=private, trusted_host=host, deadline=_FEED_DEADLINE)) as downloader:
        try:
            content = downloader.fetch(address, MAX_FEED_BYTES)
        except AddressRefused as error:
            raise FeedRejected(f"Feed {error}") from error
    return _to_utf8(content.data or b"", content.charset)


def _to_utf8(data: bytes, charset: str) -> bytes:
    """Convert text that is not UTF-8 from the server's charset; XML declares its own encoding."""
    if charset in ("", "utf-8") or data.startswith(_BINARY_MARKERS):
        return data
    try:
        data.decode()
    except UnicodeDecodeError:
        with suppress(UnicodeDecodeError, LookupError):
            return data if data.lstrip().startswith(b"<") else data.decode(charset).encode()
    return data


def _read_storage(location: str) -> bytes:
    files, path = storage(location)
    try:
        return bytes(files.cat_file(path))
    except Exception as error:  # each fsspec implementation has its own errors
        detail = redact(first_line(error), location)
        raise FeedRejected(f"The feed {location} cannot be read ({detail}). Check address and credentials.") from error
