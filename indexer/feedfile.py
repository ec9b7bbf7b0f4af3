"""A feed file opened: what it is by its content, and its rows in our words.

The ending must not contradict the content: a web page saved as products.csv is not a feed with strange columns.
"""

import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Literal, cast

from indexer import dialects, tables
from indexer.dialects import Mapping
from indexer.parquet import read_parquet
from indexer.tables import Table
from vsearch.errors import FeedRejected

Kind = Literal["CSV", "JSON Lines", "Parquet", "XML"]

ENDINGS: dict[str, Kind] = {
    ".csv": "CSV",
    ".tsv": "CSV",
    ".txt": "CSV",
    ".jsonl": "JSON Lines",
    ".ndjson": "JSON Lines",
    ".parquet": "Parquet",
    ".xml": "XML",
}
GZIP = ".gz"

_SEEN = 4096  # bytes that tell what a file is


@contextmanager
def open_feed(path: Path, mapping: Mapping | None = None) -> Iterator[Table]:
    """Yield the rows of a feed in our words, and the columns of ours that its head has.

    Args:
        path: CSV, JSON Lines, Parquet, or the XML of a merchant feed; any of them compressed by gzip, too.
        mapping: other names for our columns.

    Raises:
        FeedRejected: here or while rows are read: the file as a whole cannot be used.
    """
    try:
        with path.open("rb") as file, _unpacked(path, file) as stream:
            head = _head(path, stream)
            kind = _kind(path, head)
            table = _read(path, kind, stream)
            yield dialects.in_our_words(path.name, table, mapping)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise tables.cut_off(path.name) from error
    except OSError as error:
        reason = error.strerror or error
        raise FeedRejected(f"A feed must be a file, but {path}: {reason}; check its name.") from error


def _unpacked(path: Path, file: IO[bytes]) -> IO[bytes]:
    packed = file.read(2) == b"\x1f\x8b"
    file.seek(0)
    if packed:
        return cast(IO[bytes], gzip.GzipFile(fileobj=file))
    if path.suffix.lower() == GZIP:
        raise FeedRejected(f"{path.name} must be compressed by gzip, but it is not; rename it, or compress it.")
    return file


def _head(path: Path, stream: IO[bytes]) -> bytes:
    head = stream.read(_SEEN)
    stream.seek(0)
    if not head.strip(b"\xef\xbb\xbf \t\r\n"):
        raise FeedRejected(f"A feed must hold products, but {path.name} is empty; export it again.")
    return head


def _kind(path: Path, head: bytes) -> Kind:
    """Return what the content is.

    Raises:
        FeedRejected: it is no feed, or not what the file's name says.
    """
    found = _content(path.name, head)
    plain = path.with_suffix("") if path.suffix.lower() == GZIP else path
    said = ENDINGS.get(plain.suffix.lower())
    if said is None and plain.suffix:
        raise FeedRejected(
            f"A feed must end in {', '.join(ENDINGS)}, with or without {GZIP}, but {path.name!r} does not; "
            "rename it, or save it as CSV."
        )
    if said not in (None, found):
        raise FeedRejected(f"{path.name} must be {said}, but it holds {found}; rename it, or export it again.")
    return found


def _content(name: str, head: bytes) -> Kind:
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if head.startswith(b"PAR1"):
        return "Parquet"
    if head.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0")):
        raise FeedRejected(f"A feed must be CSV or alike, but {name} is a workbook or archive; save it as CSV.")
    if text[:200].lower().startswith((b"<!doctype html", b"<html")):
        raise FeedRejected(
            f"A feed must hold products, but {name} is a web page, perhaps that of a login; check where it comes from."
        )
    if text.startswith(b"<"):
        return "XML"
    if text.startswith(b"["):
        raise FeedRejected(
            f"A feed in JSON must have one object on each line, but {name} begins with a list; write it as JSON Lines."
        )
    return "JSON Lines" if text.startswith(b"{") else "CSV"


def _read(path: Path, kind: Kind, stream: IO[bytes]) -> Table:
    if kind == "CSV":
        return tables.read_csv(path.name, stream)
    if kind == "JSON Lines":
        return tables.read_json_lines(path.name, stream)
    if kind == "XML":
        return tables.read_xml(path.name, stream)
    if path.suffix.lower() == GZIP:
        raise FeedRejected(f"A Parquet feed is compressed already, but {path.name} is so twice; unpack it.")
    return read_parquet(path.name, path)
