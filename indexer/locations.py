"""A feed's place: a path, a web address, or object storage such as s3://; whichever it is, a local file comes out."""

import codecs
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from indexer.cells import quoted
from indexer.web import Web
from vsearch.errors import AddressRefused, FeedRejected
from vsearch.redaction import redact

ADDRESS = re.compile("[A-Za-z][A-Za-z0-9+.-]+://")
MAX_FEED_BYTES = 500_000_000

_NO_PLAIN_TEXT = (b"\x1f\x8b", b"PAR1", b"PK", codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def is_web(place: str) -> bool:
    """Whether it is an address by http or https."""
    return bool(re.match("https?://", place, re.IGNORECASE))


def is_address(place: str) -> bool:
    """Whether it is an address of any kind, and no path."""
    return ADDRESS.match(place) is not None


@contextmanager
def local_file(place: str, *, private: bool = False) -> Iterator[Path]:
    """Yield a feed as a local file, which bears the name that its place has; a copy lasts as long as the block.

    The host that the operator names may be in a private network; others that it leads on to may not.

    Args:
        place: a path or an address.
        private: let it lead on to any.

    Raises:
        FeedRejected: it cannot be had.
    """
    if not is_address(place):
        yield Path(place)
        return
    name = PurePosixPath(urlsplit(place).path).name or "feed"
    with tempfile.TemporaryDirectory(prefix="vsearch-feed-") as folder:
        copy = Path(folder) / name
        copy.write_bytes(_fetched(place, private) if is_web(place) else _stored(place))
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
    except Exception as error:  # some connect here, and each has errors of its own
        raise FeedRejected(
            f"A place must be a path or an address that answers, but {place}: {redact(first_line(error), place)}; "
            "correct it, or try again later."
        ) from error
    return found[0], str(found[1])


def _fetched(place: str, private: bool) -> bytes:
    address = quoted(place)
    web = Web(private=private, trusted_host=_host(address), deadline=3600)
    try:
        found = web.fetch(address, MAX_FEED_BYTES)
        return _as_utf8(found.data or b"", found.charset)
    except AddressRefused as error:
        raise FeedRejected(f"A feed must be readable: {error}") from error
    finally:
        web.close()


def _host(place: str) -> str:
    try:
        return urlsplit(place).hostname or ""
    except ValueError as error:
        raise FeedRejected(f"A place must be a path or an address, but {place}: {error}; correct it.") from error


def _as_utf8(data: bytes, charset: str) -> bytes:
    """Return a text in the encoding that feeds have; a server's word for it counts where the text is in no other.

    XML says it itself.
    """
    if charset in ("", "utf-8") or data.startswith(_NO_PLAIN_TEXT):
        return data
    try:
        data.decode()
    except UnicodeDecodeError:
        with suppress(UnicodeDecodeError, LookupError):
            return data if data.lstrip().startswith(b"<") else data.decode(charset).encode()
    return data


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
