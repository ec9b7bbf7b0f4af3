"""Converts HTML in a feed to plain text: no tags or entities, and paragraphs and list items on their own lines.

A feed does not say which cells are HTML. Only what is unmistakably a tag is removed: "5 < 6" and "Size <L>" stay.
"""

import html
import re
from html.entities import html5

from lxml.html import defs

MAX_ESCAPINGS = 3
"""Exporters may escape text once or twice too often."""

_TABLE_CELLS = frozenset({"td", "th"})
_BLOCKS = (defs.block_tags - _TABLE_CELLS - {"del", "ins"}) | {
    *("article", "aside", "br", "figcaption", "figure", "footer", "header", "main", "nav", "section")
}
_HTML_TAGS = defs.tags | _BLOCKS
_UNMISTAKABLE = frozenset(
    {"br", "hr", "p", "li", "ul", "ol", "div", "h1", "h2", "h3", "h4", "h5", "h6", "tr", "td", "img"}
)
"""Recognized as tags on their own; other words in angle brackets need a closing tag, attributes or other tags."""

# Cells can have any length, so none of these patterns scans text twice.
_TAG = re.compile(
    r"""<(?P<slash>/?)(?P<name>[a-z][a-z0-9:-]*)(?P<rest>(?:\s|/)(?:[^<>"']|"[^"]*"|'[^']*')*)?>""", re.IGNORECASE
)
_MARKUP = re.compile("<[a-zA-Z/!]")
_INVISIBLE = re.compile(
    r"<!--.*?(?:-->|\Z)|<!doctype[^<>]*>|<(script|style)\b[^<>]*>(?:(?!<\1\b).)*</\1\s*>", re.IGNORECASE | re.DOTALL
)
_CDATA = re.compile(r"<!\[CDATA\[(.*?)(?:\]\]>|\Z)", re.DOTALL)
_CUT_OFF_TAG = re.compile(r"<[a-z]+[0-9]?\s[^<>=]*=[^<>]*\Z", re.IGNORECASE)
_ENTITY = re.compile(r"&(#[0-9]{1,7};|#[xX][0-9a-fA-F]{1,6};|[a-zA-Z][a-zA-Z0-9]{1,31};)")


def plain(text: str) -> str:
    """Return the text without markup."""
    for _ in range(MAX_ESCAPINGS):
        if "<" not in text and "&" not in text:
            break
        before = text
        text = _ENTITY.sub(_decode, _remove_tags(text))
        if text == before:
            break
    return text


def _decode(entity: re.Match[str]) -> str:
    return html.unescape(entity[0]) if entity[1].startswith("#") else html5.get(entity[1], entity[0])


def _remove_tags(text: str) -> str:
    if not _MARKUP.search(text):
        return text
    shown = _INVISIBLE.sub(" ", _CDATA.sub(r"\1", text))
    found = [(tag["slash"], tag["name"].lower()) for tag in _TAG.finditer(shown)]
    opened = {name for slash, name in found if not slash}
    closed = {name for slash, name in found if slash} & (_HTML_TAGS | opened)
    is_html = bool(closed or opened & _UNMISTAKABLE)

    def replacement(tag: re.Match[str]) -> str:
        name = tag["name"].lower()
        is_tag = (
            name in closed
            or name in _UNMISTAKABLE
            or (name in _HTML_TAGS and ("=" in (tag["rest"] or "") or (is_html and len(name) > 1)))
        )
        if not is_tag:
            return tag[0]
        return "\n" if name in _BLOCKS else " " if name in _TABLE_CELLS else ""

    stripped = _CUT_OFF_TAG.sub("", _TAG.sub(replacement, shown))
    if stripped == text:
        return text
    lines = (" ".join(line.split()) for line in stripped.splitlines())
    return "\n".join(filter(None, lines))
