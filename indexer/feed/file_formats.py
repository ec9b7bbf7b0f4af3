"""Opens a feed file; its format, compression and encoding are detected from the content, never the name."""

import codecs
import csv
import gzip
import io
import json
import re
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from html.entities import html5
from itertools import chain
from pathlib import Path
from typing import IO, Any, Literal, cast

from indexer.feed.parquet import read_parquet
from indexer.feed.rows import RawRow, Table, merge_cells, without_blanks
from vsearch.core.errors import FeedRejected
from vsearch.imaging.filetypes import TEXT, UNKNOWN, identify

MAX_GZIP_LAYERS = 2
"""A feed can be compressed twice, by the shop and by its server."""

NULLS = frozenset({"", "NULL", r"\N"})
"""CSV cells that count as empty; the last two are written by databases."""

_HEAD_BYTES = 4096
_WEB_PAGE = re.compile(
    r"(?:\s|<\?.*?\?>|<!--.*?-->)*<(?:!doctype\s+)?(?:html|head|body|title|meta|script|style|div|form|center|h1|p)\b",
    re.IGNORECASE | re.DOTALL,
)
_SEPARATOR_LINE = re.compile(r'"?sep=(.)"?[\s,;|]*', re.IGNORECASE)  # how spreadsheets name the delimiter
_TEMPLATE_LINE = re.compile(r'"?# ?(required|optional)\b', re.IGNORECASE)  # Facebook's template explains its columns
_HTML_ENTITY = re.compile(rb"&(?!(?:amp|lt|gt|quot|apos);)([A-Za-z][A-Za-z0-9]{1,31});")
_MAX_ENTITY_LENGTH = 34
_CONTROLS_TO_DEL = bytes(0x7F if byte < 32 and byte not in b"\t\n\r\x1b" else byte for byte in range(256))


@contextmanager
def open_feed(path: Path, encoding: str = "") -> Iterator[Table]:
    """Yield a feed's rows under its own column names; if no encoding is given, UTF-16 is detected, otherwise UTF-8.

    Raises:
        FeedRejected: the file cannot be used; this can also be raised while rows are read.
    """
    try:
        with path.open("rb") as file, _decompressed(file) as stream:
            head = stream.read(_HEAD_BYTES)
            stream.seek(0)
            encoding = encoding or _detect_encoding(head)
            yield _read(path, stream, head, encoding, compressed=stream is not file)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise FeedRejected(f"Feed {path.name} is compressed and ends too early. Copy it again.") from error
    except OSError as error:
        raise FeedRejected(f"Feed {path} cannot be opened: {error.strerror or error}. Check its name.") from error


def _decompressed(file: IO[bytes]) -> IO[bytes]:
    for _ in range(MAX_GZIP_LAYERS):
        compressed = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        if not compressed:
            break
        file = cast(IO[bytes], gzip.GzipFile(fileobj=file, mode="rb"))
    return file


def _detect_encoding(head: bytes) -> str:
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    pairs = len(head) // 2
    if pairs and head[1::2].count(0) > pairs // 2:
        return "utf-16-le"
    return "utf-16-be" if pairs and head[::2].count(0) > pairs // 2 else "utf-8"


def _read(path: Path, stream: IO[bytes], head: bytes, encoding: str, *, compressed: bool) -> Table:
    name = path.name
    match _format(name, head, encoding):
        case "Parquet" if compressed:
            raise FeedRejected(f"Feed {name} is a gzipped Parquet file. Decompress it.")
        case "Parquet":
            return read_parquet(name, path)
        case "XML":
            return Table(None, _xml_rows(name, stream))
        case "JSON Lines":
            lines = _text_lines(name, stream, encoding)
            return Table(None, (_json_row(line, text) for line, text in lines if text.strip()))
        case "CSV":
            return _read_csv(name, stream, encoding)


def _format(name: str, head: bytes, encoding: str) -> Literal["CSV", "JSON Lines", "Parquet", "XML"]:
    if not head.strip(b"\xef\xbb\xbf \t\r\n"):
        raise FeedRejected(f"Feed {name} is empty. Export it again.")
    if head.startswith(b"PAR1"):
        return "Parquet"
    if head.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0")):
        raise FeedRejected(f"Feed {name} is a spreadsheet or an archive. Export it as CSV.")
    text = head.decode(encoding, errors="ignore").removeprefix("\ufeff").lstrip()
    found = identify(head)
    if "\0" in text and (found not in (TEXT, UNKNOWN) or "\0" in text.partition("\n")[0]):  # else one bad cell
        raise FeedRejected(f"Feed {name} is {found.name}, not CSV, JSON Lines, XML or Parquet. Export it as CSV.")
    if text.startswith("<"):
        if _WEB_PAGE.match(text):
            raise FeedRejected(f"Feed {name} is a web page, perhaps a login form. Check its location.")
        return "XML"
    if text.startswith("["):
        raise FeedRejected(f"Feed {name} is a JSON array. Write it as JSON Lines, with one object per line.")
    return "JSON Lines" if text.startswith("{") else "CSV"


def _text_lines(name: str, stream: IO[bytes], encoding: str) -> Iterator[tuple[int, str]]:
    """Yield numbered lines without a byte order mark; line endings can be those of Windows, Unix or classic Mac OS."""
    errors = "strict" if "16" in encoding else "surrogateescape"  # reveals which line has the invalid byte
    line = 0
    text = io.TextIOWrapper(stream, encoding, errors, newline="")
    try:
        for line, written in enumerate(text, start=1):
            if not written.isascii() and re.search("[\udc80-\udcff]", written):
                line -= 1
                raise UnicodeError
            yield line, written.removeprefix("\ufeff") if line == 1 else written
    except UnicodeError as error:
        remedy = 'Save the feed as UTF-8, or set its encoding in the mapping, for example encoding = "cp1252".'
        raise FeedRejected(f"Line {line + 1} of feed {name} is not {encoding.upper()}. {remedy}") from error
    finally:
        if not stream.closed:  # the caller closes it
            text.detach()


def _read_csv(name: str, stream: IO[bytes], encoding: str) -> Table:
    """Read CSV; the delimiter is named in a line above the header, or else the most frequent one in the header."""
    lines = _text_lines(name, stream, encoding)
    filled = ((line, text) for line, text in lines if text.strip() and not _TEMPLATE_LINE.match(text))
    line, first = next(filled, (1, ""))
    separator = _SEPARATOR_LINE.fullmatch(first)
    if separator:
        line, first = next(filled, (line + 1, ""))
    unquoted = re.sub('"[^"]*"', "", first)
    delimiter = separator[1] if separator else max(",;\t|", key=unquoted.count)
    reader = csv.reader(chain([first], (text for _, text in lines)), delimiter=delimiter, strict=True)
    records = _csv_records(name, reader, line)
    columns = _csv_columns(name, next(records, (line, []))[1])
    return Table(tuple(dict.fromkeys(columns)), (_csv_row(line, columns, cells) for line, cells in records))


def _csv_records(name: str, reader: Any, first_line: int) -> Iterator[tuple[int, list[str]]]:
    """Yield the header and the non-empty records, each with the line on which it begins."""
    while True:
        line = first_line + reader.line_num
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            remedy = "Double quotes inside quoted cells, or export the feed again if it was cut off."
            raise FeedRejected(f"Line {line} of feed {name} has unbalanced quotes ({error}). {remedy}") from error
        if line == first_line or any(cell.strip() for cell in cells):
            yield line, cells


def _csv_columns(name: str, header: Sequence[str]) -> list[str]:
    """Return the column names; names that differ only in case are merged, and unnamed trailing columns are dropped."""
    columns = [cell.strip() for cell in header]
    while columns and not columns[-1]:
        columns.pop()
    if "" in columns:
        raise FeedRejected(f"Column {columns.index('') + 1} of feed {name} has no name. Name it or remove it.")
    first: dict[str, str] = {}
    return [first.setdefault(column.lower(), column) for column in columns]


def _csv_row(line: int, columns: Sequence[str], cells: Sequence[str]) -> RawRow:
    named = zip(columns, map(_csv_cell, cells), strict=False)
    found = merge_cells((column, cell) for column, cell in named if cell)
    if len(cells) < len(columns) or any(map(str.strip, cells[len(columns) :])):
        problem = f"the row has {len(cells)} cells, but the header has {len(columns)}; quote cells with a delimiter."
        return RawRow(line, found, problem)
    return RawRow(line, found)


def _csv_cell(text: str) -> str:
    stripped = text.strip()
    if stripped in NULLS:
        return ""
    # spreadsheets preserve leading zeros by writing ="00123"
    return stripped[2:-1].strip() if stripped.startswith('="') and stripped.endswith('"') else text


def _json_row(line: int, text: str) -> RawRow:
    try:
        value = json.loads(text, parse_float=Decimal, parse_constant=_json_constant, object_pairs_hook=merge_cells)
    except (ValueError, ArithmeticError, RecursionError) as error:
        reason = error.msg if isinstance(error, json.JSONDecodeError) else error
        return RawRow(line, problem=f"the line is not a JSON object ({reason}); write one object per line.")
    if not isinstance(value, dict):
        kind = type(value).__name__
        return RawRow(line, problem=f'the line is not a JSON object but a {kind}; write it like {{"sku": ...}}.')
    return RawRow(line, without_blanks({key.strip(): cell for key, cell in value.items()}))


def _json_constant(name: str) -> None:
    if name != "NaN":  # Python writes NaN for a missing value
        raise ValueError(f"{name} is not JSON")


class _LenientXml:
    """An XML stream with HTML entities replaced by character references, and control characters by DEL.

    The parser would reject the whole feed for one `&nbsp;` or vertical tab; DEL, which XML allows, spoils only one row.
    """

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._rest = b""
        self._utf16: bool | None = None

    def read(self, size: int = -1) -> bytes:
        """Return about as many bytes as requested."""
        piece = self._stream.read(size)
        if self._utf16 is None:
            self._utf16 = b"\0" in piece[:4]
        if self._utf16:
            return piece
        text = self._rest + piece.translate(_CONTROLS_TO_DEL)
        cut = text.rfind(b"&", -_MAX_ENTITY_LENGTH) if piece else -1
        text, self._rest = (text[:cut], text[cut:]) if cut >= 0 else (text, b"")
        return _HTML_ENTITY.sub(_numbered, text) or (self.read(size) if piece else b"")


def _numbered(entity: re.Match[bytes]) -> bytes:
    letters = html5.get(f"{entity[1].decode()};", "")
    return "".join(f"&#{ord(letter)};" for letter in letters).encode() or entity[0]


def _xml_rows(name: str, stream: IO[bytes]) -> Iterator[RawRow]:
    """Yield each `item` or `entry` as a row; entities, DTDs and external resources are not loaded."""
    from lxml import etree

    found = False
    blank = re.match(rb"[\s\xef\xbb\xbf]*", stream.read(1000))  # XML forbids leading blank lines; scripts write them
    stream.seek(blank.end() if blank else 0)
    tags = ("{*}item", "{*}entry")
    options = {"resolve_entities": False, "no_network": True, "load_dtd": False, "remove_comments": True}
    parser = etree.iterparse(_LenientXml(stream), tag=tags, remove_pis=True, **options)
    try:
        for _, element in parser:
            if next(element.iterancestors(*tags), None) is not None:
                continue  # nested inside a product
            found = True
            yield RawRow(int(element.sourceline or 0), _xml_cells(element))
            element.clear()
            while element.getprevious() is not None:  # free memory
                del element.getparent()[0]
    except etree.XMLSyntaxError as error:
        entries = [entry for entry in parser.error_log if entry.domain_name != "NAMESPACE"]
        if entries or not parser.error_log:  # an undeclared prefix is harmless
            reason = entries[0].message if entries else error.msg
            raise FeedRejected(f"Feed {name} is not well-formed XML ({reason}). Export it again.") from error
    if not found:
        raise FeedRejected(f"Feed {name} has no <item> or <entry> elements. Export it as a merchant feed.")


def _xml_cells(element: Any) -> dict[str, Any]:
    """Return the values of an element's children by name.

    Google's attributes override RSS and Atom elements with the same name; other namespaces keep their prefixes.
    """
    own, google = [], []
    for child in element.iterchildren(tag="*"):
        namespace, _, local = child.tag.rpartition("}")
        value = _xml_value(child)
        if not value:
            continue
        if "base.google.com/ns" in namespace or child.prefix == "g" or local.startswith("g:"):  # undeclared prefix
            google.append((local.removeprefix("g:"), value))
        else:
            same = namespace in ("", element.tag.rpartition("}")[0])
            own.append((local if same else f"{child.prefix}:{local}", value))
    return merge_cells(own) | merge_cells(google)


def _xml_value(element: Any) -> str:
    """Return the content of an element with its markup, or the target of a link to the product."""
    from lxml import etree

    if element.get("href"):
        return str(element.get("href")).strip() if element.get("rel", "alternate") == "alternate" else ""
    inside = (etree.tostring(child, encoding="unicode") for child in element)
    return "".join([element.text or "", *inside]).strip()
