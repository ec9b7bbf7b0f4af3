"""Rows as a feed file has them, under its own column names: CSV, JSON Lines, and the XML of merchant feeds.

Every reader streams: what it holds does not grow with the file.
"""

import codecs
import csv
import io
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from html.entities import html5
from itertools import chain
from typing import IO, Any

from vsearch.core.errors import FeedRejected

DELIMITERS = ",;\t|"
SEPARATOR_LINE = re.compile(r'"?sep=(.)"?[\s,;|]*', re.IGNORECASE)
"""What spreadsheets put on top of a CSV file to name its delimiter."""

TEMPLATE_LINE = re.compile(r'"?# ?(required|optional)\b', re.IGNORECASE)
"""What the templates of catalogues have on top to explain their columns."""

NOTHING = frozenset({"", "NULL", r"\N"})
"""What is in a cell of text that says nothing; the last two as databases write it."""

GOOGLE = "base.google.com/ns"
"""In the name of the namespace of merchant attributes, however its address is spelt."""

_NAMED = re.compile(rb"&(?!(?:amp|lt|gt|quot|apos);)([A-Za-z][A-Za-z0-9]{1,31});")
_LONGEST_NAME = 34
_CONTROLS = bytes(0x7F if byte < 32 and byte not in b"\t\n\r\x1b" else byte for byte in range(256))
_PADDED = 1000
_ESCAPED_BYTE = re.compile("[\udc80-\udcff]")


@dataclass(frozen=True, slots=True)
class RawRow:
    """One row as the file has it: the cells that are not empty, or the sentence that says what is wrong.

    Args:
        line: where the row begins; the first line of the file is 1. In Parquet, the row's number.
        cells: column name -> text, or JSON value.
        problem: why the row cannot be split into cells; None where it can.
    """

    line: int
    cells: Mapping[str, Any] = field(default_factory=dict)
    problem: str | None = None


@dataclass(frozen=True)
class Table:
    """The rows of a feed, and the columns that its head names; None where each row names its own."""

    columns: tuple[str, ...] | None
    rows: Iterator[RawRow]


def read_csv(name: str, stream: IO[bytes], encoding: str = "utf-8") -> Table:
    """Return the rows of a CSV file; the delimiter is named by a line above the head, or the head has most of it.

    Raises:
        FeedRejected: on the way or here: another encoding, the quotes are not sound, the head is no head.
    """
    lines = enumerate(_decoded(name, stream, encoding), start=1)
    filled = ((line, written) for line, written in lines if written.strip() and not TEMPLATE_LINE.match(written))
    line, first = next(filled, (1, ""))
    separator = SEPARATOR_LINE.fullmatch(first)
    if separator:
        line, first = next(filled, (line + 1, ""))
    unquoted = re.sub('"[^"]*"', "", first)
    delimiter = separator[1] if separator else max(DELIMITERS, key=unquoted.count)
    rest = (written for _, written in lines)
    reader = csv.reader(chain([first], rest), delimiter=delimiter, strict=True)
    rows = _Rows(name, reader, line - 1)
    columns = _header(name, rows.next_cells() or [])
    return Table(tuple(dict.fromkeys(columns)), _csv_rows(rows, columns))


def read_json_lines(name: str, stream: IO[bytes], encoding: str = "utf-8") -> Table:
    """Return the rows of a file with one JSON object on each line."""
    lines = enumerate(_decoded(name, stream, encoding), start=1)
    return Table(None, (_json_row(line, written) for line, written in lines if written.strip()))


def collected(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """Return cells by name; a name that comes again has a list of its values, unless they are equal."""
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found and found[name] != value:
            before = as_list(found[name])
            found[name] = [*before, *(each for each in as_list(value) if each not in before)]
        else:
            found[name] = value
    return found


def as_list(value: Any) -> list[Any]:
    """Return the values of a cell that may have several."""
    return value if isinstance(value, list) else [value]


def renamed(cells: Mapping[str, Any], name_of: Callable[[str], str]) -> dict[str, Any]:
    """Return cells under other names; where two names become one, as `collected` does."""
    found = {name_of(name): value for name, value in cells.items()}
    return found if len(found) == len(cells) else collected((name_of(name), value) for name, value in cells.items())


def read_xml(name: str, stream: IO[bytes]) -> Table:
    """Return the products of an RSS or Atom feed: each `item` or `entry` a row, a child that comes twice a list.

    Nothing outside the file is read: no entities, no document types, no addresses.

    Raises:
        FeedRejected: on the way: it is not well-formed, which a file that was cut is not.
    """
    return Table(None, _xml_rows(name, stream))


def blank(cell: Any) -> bool:
    """Whether a cell says nothing."""
    return cell is None or cell in ([], {}) or (isinstance(cell, str) and not cell.strip())


def encoding_of(head: bytes) -> str:
    """Return the encoding that a file's first bytes show: UTF-8, or UTF-16 as spreadsheets write it."""
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    pairs = len(head) // 2
    if pairs and head[1::2].count(0) > pairs // 2:
        return "utf-16-le"
    return "utf-16-be" if pairs and head[::2].count(0) > pairs // 2 else "utf-8"


def _decoded(name: str, stream: IO[bytes], encoding: str) -> Iterator[str]:
    """Yield the lines of a text, without a byte order mark; they end as on Windows, on Unix or on an old Mac."""
    escaping = "strict" if "16" in encoding else "surrogateescape"  # which shows on what line the wrong byte is
    line = 0
    text = io.TextIOWrapper(stream, encoding, escaping, newline="")
    try:
        for line, written in enumerate(text, start=1):
            if not written.isascii() and _ESCAPED_BYTE.search(written):
                raise _not_encoded(name, line, encoding)
            yield written.removeprefix("\ufeff") if line == 1 else written
    except UnicodeError as error:
        raise _not_encoded(name, line + 1, encoding) from error
    except EOFError as error:
        raise cut_off(name) from error
    finally:
        if not stream.closed:  # the caller closes it
            text.detach()


def _not_encoded(name: str, line: int, encoding: str) -> FeedRejected:
    return FeedRejected(
        f"A feed must be UTF-8 or say its encoding, but line {line} of {name} is not {encoding.upper()}; save it again "
        'as UTF-8, or name the encoding in a mapping, such as encoding = "cp1252".'
    )


def cut_off(name: str) -> FeedRejected:
    """Return the refusal of a compressed file that ends too early."""
    return FeedRejected(f"A compressed feed must be whole, but {name} ends too early; copy it again.")


@dataclass
class _Rows:
    """A CSV reader that knows its lines.

    Args:
        name: the file's, for sentences.
        reader: of the csv module.
        skipped: lines above the first that it reads.
    """

    name: str
    reader: Any
    skipped: int

    @property
    def line(self) -> int:
        """Where the next row begins."""
        return int(self.reader.line_num) + self.skipped + 1

    def next_cells(self) -> list[str] | None:
        line = self.line
        try:
            return next(self.reader, None)
        except csv.Error as error:
            raise FeedRejected(
                f"A feed's quotes must be in pairs, but the row at line {line} of {self.name} is not sound "
                f"({error}); double the quotes inside a quoted cell, or export it again if it was cut off."
            ) from error


def _csv_rows(rows: _Rows, columns: Sequence[str]) -> Iterator[RawRow]:
    repeated = len(set(columns)) < len(columns)
    while True:
        line = rows.line
        cells = rows.next_cells()
        if cells is None:
            return
        if any(cell.strip() for cell in cells):
            yield _csv_row(line, columns, cells, collected if repeated else dict)


def _csv_row(line: int, columns: Sequence[str], cells: Sequence[str], made: Callable[[Any], dict[str, Any]]) -> RawRow:
    filled = made([(column, cell) for column, written in zip(columns, cells, strict=False) if (cell := _cell(written))])
    if len(cells) == len(columns) or (len(cells) > len(columns) and not any(map(str.strip, cells[len(columns) :]))):
        return RawRow(line, filled)
    problem = (
        f"a row must have {len(columns)} cells as the first line has, but it has {len(cells)}; "
        "quote the cells that hold the delimiter."
    )
    return RawRow(line, filled, problem)


def _cell(written: str) -> str:
    """Return a cell, "" where it says nothing; spreadsheets keep the zeros of a number as ="00123"."""
    plain = written.strip()
    if plain in NOTHING:
        return ""
    return plain[2:-1].strip() if plain.startswith('="') and plain.endswith('"') else written


def _header(name: str, cells: Sequence[str]) -> list[str]:
    """Return the name of each column; of names that differ in capitals alone the first counts for all.

    Spreadsheets save empty columns at the right, too.
    """
    columns = [cell.strip() for cell in cells]
    while columns and not columns[-1]:
        columns.pop()
    if "" in columns:
        raise FeedRejected(
            f"Every column must have a name, but column {columns.index('') + 1} of {name} has none; "
            "name it or remove it."
        )
    first: dict[str, str] = {}
    return [first.setdefault(column.lower(), column) for column in columns]


def _json_row(line: int, written: str) -> RawRow:
    try:
        value = json.loads(written, parse_float=Decimal, parse_constant=_constant, object_pairs_hook=_json_object)
    except (ValueError, ArithmeticError, RecursionError) as error:
        why = error.msg if isinstance(error, json.JSONDecodeError) else error
        problem = f"the line is not a JSON object ({why}); write one object on each line."
        return RawRow(line, problem=problem)
    if not isinstance(value, dict):
        problem = f'the line is not a JSON object but a {type(value).__name__}; write it like {{"sku": ...}}.'
        return RawRow(line, problem=problem)
    return RawRow(line, {key.strip(): cell for key, cell in value.items() if not blank(cell)})


def _json_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    return found if len(found) == len(pairs) else collected(pairs)


def _constant(name: str) -> None:
    """Take NaN, which Python writes for what is missing, for nothing."""
    if name == "NaN":
        return
    raise ValueError(f"{name} is no JSON")


class _Lenient:
    """An XML stream in which HTML's named characters are numbered ones, and control characters all are DEL.

    One `&nbsp;` or vertical tab would have the whole feed refused; DEL, which XML allows, makes its row bad.
    """

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._rest = b""
        self._wide: bool | None = None

    def read(self, size: int = -1) -> bytes:
        """Return about as many bytes as asked for."""
        piece = self._stream.read(size)
        if self._wide is None:
            self._wide = b"\0" in piece[:4]
        if self._wide:
            return piece
        text = self._rest + piece.translate(_CONTROLS)
        cut = text.rfind(b"&", -_LONGEST_NAME) if piece else -1
        text, self._rest = (text[:cut], text[cut:]) if cut >= 0 else (text, b"")
        return _NAMED.sub(_numbered, text) or (self.read(size) if piece else b"")


def _numbered(reference: re.Match[bytes]) -> bytes:
    letters = html5.get(f"{reference[1].decode()};", "")
    return "".join(f"&#{ord(letter)};" for letter in letters).encode() or reference[0]


def _xml_rows(name: str, stream: IO[bytes]) -> Iterator[RawRow]:
    from lxml import etree

    found = False
    above = re.match(rb"[\s\xef\xbb\xbf]*", stream.read(_PADDED))
    stream.seek(above.end() if above else 0)  # XML allows no blank lines there, which scripts often leave
    tags = ("{*}item", "{*}entry")
    parsed = etree.iterparse(
        _Lenient(stream),
        tag=tags,
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        remove_comments=True,
        remove_pis=True,
    )
    try:
        for _, element in parsed:
            if next(element.iterancestors(*tags), None) is not None:
                continue  # a part of a product
            found = True
            yield RawRow(int(element.sourceline or 0), _xml_cells(element))
            element.clear()
            while element.getprevious() is not None:  # what was read would stay in memory
                del element.getparent()[0]
    except etree.XMLSyntaxError as error:
        entries = [entry for entry in parsed.error_log if entry.domain_name != "NAMESPACE"]
        if entries or not parsed.error_log:  # a prefix that nobody declared is harmless
            reason = entries[0].message if entries else error.msg
            raise FeedRejected(
                f"An XML feed must be well-formed, but {name} is not ({reason}); export it again, it may be cut off."
            ) from error
    except EOFError as error:
        raise cut_off(name) from error
    if not found:
        raise FeedRejected(
            f"An XML feed must hold <item> or <entry> elements, but {name} has none; export it as a merchant feed."
        )


def _xml_cells(element: Any) -> dict[str, Any]:
    """Return the values of an element's children by name.

    Google's attributes count before the elements of RSS and Atom that have the same names; those of other
    namespaces keep their prefix.
    """
    own, google = [], []
    for child in element.iterchildren(tag="*"):
        space, _, local = child.tag.rpartition("}")
        value = _xml_value(child)
        if not value:
            continue
        if GOOGLE in space or child.prefix == "g" or local.startswith("g:"):  # with a prefix that nobody declared
            google.append((local.removeprefix("g:"), value))
        else:
            same = space in ("", element.tag.rpartition("}")[0])
            own.append((local if same else f"{child.prefix}:{local}", value))
    return collected(own) | collected(google)


def _xml_value(element: Any) -> str:
    """Return the text of an element with the markup that stands in it, or the address of a link to the product."""
    from lxml import etree

    if element.get("href"):
        return str(element.get("href")).strip() if element.get("rel", "alternate") == "alternate" else ""
    inside = (etree.tostring(child, encoding="unicode") for child in element)
    return "".join([element.text or "", *inside]).strip()
