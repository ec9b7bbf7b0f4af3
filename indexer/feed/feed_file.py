"""A feed file opened: what it is by its content, and its rows in our words.

Neither the ending of a name nor what a server says of a file decides: a shop's export.php gives CSV as a web page.
"""

import gzip
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Literal, cast

from indexer.feed import column_mapping, tables
from indexer.feed.column_mapping import ColumnMapping
from indexer.feed.parquet import read_parquet
from indexer.feed.tables import Table
from vsearch.core.errors import FeedRejected
from vsearch.imaging.filetypes import TEXT, UNKNOWN, identify

Kind = Literal["CSV", "JSON Lines", "Parquet", "XML"]

GZIP = b"\x1f\x8b"
MAX_UNPACKED = 2
"""Times that a feed may be compressed: by the shop, and once more by its server."""

WEB_PAGE = frozenset({"html", "head", "body", "title", "meta", "script", "style", "div", "form", "center", "h1", "p"})
"""Elements that a web page begins with, and no feed."""

_PROLOGUE = re.compile(r"(?:\s|<\?.*?\?>|<!--.*?-->|<!doctype(?:[^<>\[]|\[.*?\]\s*)*>)*", re.IGNORECASE | re.DOTALL)
_SEEN = 4096  # bytes that tell what a file is


@contextmanager
def open_feed(path: Path, mapping: ColumnMapping | None = None) -> Iterator[Table]:
    """Yield the rows of a feed in our words, and the columns of ours that its head has.

    Args:
        path: CSV, JSON Lines, Parquet, or the XML of a merchant feed; compressed by gzip, too, any but Parquet.
        mapping: other names for our columns, and the encoding where it cannot be told.

    Raises:
        FeedRejected: here or while rows are read: the file as a whole cannot be used.
    """
    try:
        with path.open("rb") as file, _unpacked(file) as stream:
            head = _head(path, stream)
            encoding = (mapping and mapping.encoding) or tables.encoding_of(head)
            kind = _kind(path.name, head, encoding)
            if kind == "Parquet" and stream is not file:
                raise FeedRejected(f"A Parquet feed is compressed already, but {path.name} is so twice; unpack it.")
            table = _read(path, kind, stream, encoding)
            yield column_mapping.apply_mapping(path.name, table, mapping)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise tables.cut_off(path.name) from error
    except OSError as error:
        reason = error.strerror or error
        raise FeedRejected(f"A feed must be a file, but {path}: {reason}; check its name.") from error


def _unpacked(file: IO[bytes]) -> IO[bytes]:
    for _ in range(MAX_UNPACKED):
        packed = file.read(len(GZIP)) == GZIP
        file.seek(0)
        if not packed:
            break
        file = cast(IO[bytes], gzip.GzipFile(fileobj=file, mode="rb"))
    return file


def _head(path: Path, stream: IO[bytes]) -> bytes:
    head = stream.read(_SEEN)
    stream.seek(0)
    if not head.strip(b"\xef\xbb\xbf \t\r\n"):
        raise FeedRejected(f"A feed must hold products, but {path.name} is empty; export it again.")
    return head


def _kind(name: str, head: bytes, encoding: str) -> Kind:
    """Return what the content is.

    Raises:
        FeedRejected: it is no feed.
    """
    if head.startswith(b"PAR1"):
        return "Parquet"
    if head.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0")):
        raise FeedRejected(f"A feed must be CSV or alike, but {name} is a workbook or archive; save it as CSV.")
    text = head.decode(encoding, errors="ignore").removeprefix("\ufeff").lstrip()
    found = identify(head)
    if "\0" in text and (found not in (TEXT, UNKNOWN) or "\0" in text.partition("\n")[0]):  # else it is one bad cell
        raise FeedRejected(f"A feed must be CSV, JSON Lines, XML or Parquet, but {name} is {found.name}; export CSV.")
    if text.startswith("<"):
        _refuse_web_page(name, text)
        return "XML"
    if text.startswith("["):
        raise FeedRejected(
            f"A feed in JSON must have one object on each line, but {name} begins with a list; write it as JSON Lines."
        )
    return "JSON Lines" if text.startswith("{") else "CSV"


def _refuse_web_page(name: str, text: str) -> None:
    prologue = _PROLOGUE.match(text)
    root = re.match(r"<([a-z0-9]+)", text[prologue.end() if prologue else 0 :], re.IGNORECASE)
    is_page = root is not None and root[1].lower() in WEB_PAGE
    if is_page or text[:200].lower().startswith("<!doctype html"):
        raise FeedRejected(
            f"A feed must hold products, but {name} is a web page, perhaps that of a login; check where it comes from."
        )


def _read(path: Path, kind: Kind, stream: IO[bytes], encoding: str) -> Table:
    if kind == "CSV":
        return tables.read_csv(path.name, stream, encoding)
    if kind == "JSON Lines":
        return tables.read_json_lines(path.name, stream, encoding)
    if kind == "XML":
        return tables.read_xml(path.name, stream)
    return read_parquet(path.name, path)
