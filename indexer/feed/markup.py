"""HTML in a feed's texts made plain text: no tags, no entities, paragraphs and list items on lines of their own.

A feed does not say whether a text is HTML. Only what can be nothing else is a tag: "5 < 6", "<3" and "Size <L>" stay.
"""

import html
import re
from html.entities import html5

from lxml.html import defs

_MAX_PASSES = 3
"""Exporters escape a text once or twice too often; each pass takes one layer off."""

_CELLS = frozenset({"td", "th"})
_BLOCKS = (defs.block_tags - _CELLS - {"del", "ins"}) | {
    *("article", "aside", "br", "figcaption", "figure", "footer", "header", "main", "nav", "section")
}
_KNOWN = defs.tags | _BLOCKS
_CERTAIN = frozenset({"br", "hr", "p", "li", "ul", "ol", "div", "h1", "h2", "h3", "h4", "h5", "h6", "tr", "td", "img"})
"""Tags even where they stand alone; any other word in angle brackets needs a closing tag, attributes or other tags."""

_TAG = re.compile(
    r"""<(?P<slash>/?)(?P<name>[a-z][a-z0-9:-]*)(?P<rest>(?:\s|/)(?:[^<>"']|"[^"]*"|'[^']*')*)?>""", re.IGNORECASE
)
_MARKUP = re.compile("<[a-zA-Z/!]")
_DROPPED = re.compile(
    r"<!--.*?(?:-->|\Z)|<!doctype[^<>]*>|<(script|style)\b[^<>]*>(?:(?!<\1\b).)*</\1\s*>", re.IGNORECASE | re.DOTALL
)
_CDATA = re.compile(r"<!\[CDATA\[(.*?)(?:\]\]>|\Z)", re.DOTALL)
_CUT_OFF = re.compile(r"<[a-z]+[0-9]?\s[^<>=]*=[^<>]*\Z", re.IGNORECASE)
"""A tag that a limit on the length cut through. None of these patterns looks at a text twice: cells have any length."""

_REFERENCE = re.compile(r"&(#[0-9]{1,7};|#[xX][0-9a-fA-F]{1,6};|[a-zA-Z][a-zA-Z0-9]{1,31};)")


def plain(text: str) -> str:
    """Return a text without markup; one without any is returned as it is."""
    for _ in range(_MAX_PASSES):
        if "<" not in text and "&" not in text:
            break
        before = text
        text = _REFERENCE.sub(_decoded, _without_tags(text))
        if text == before:
            break
    return text


def _decoded(reference: re.Match[str]) -> str:
    name = reference[1]
    return html.unescape(reference[0]) if name.startswith("#") else html5.get(name, reference[0])


def _without_tags(text: str) -> str:
    if not _MARKUP.search(text):
        return text
    shown = _DROPPED.sub(" ", _CDATA.sub(r"\1", text))
    found = [(tag["slash"], tag["name"].lower()) for tag in _TAG.finditer(shown)]
    opened = {name for slash, name in found if not slash}
    closed = {name for slash, name in found if slash} & (_KNOWN | opened)
    is_html = bool(closed or opened & _CERTAIN)

    def replacement(tag: re.Match[str]) -> str:
        name = tag["name"].lower()
        is_tag = (
            name in closed
            or name in _CERTAIN
            or (name in _KNOWN and ("=" in (tag["rest"] or "") or (is_html and len(name) > 1)))
        )
        if not is_tag:
            return tag[0]
        return "\n" if name in _BLOCKS else " " if name in _CELLS else ""

    stripped = _CUT_OFF.sub("", _TAG.sub(replacement, shown))
    return stripped if stripped == text else _tidy(stripped)


def _tidy(text: str) -> str:
    """Return the lines that have words, with single blanks in them."""
    lines = (" ".join(line.split()) for line in text.splitlines())
    return "\n".join(line for line in lines if line)
