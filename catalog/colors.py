"""Families of colors and their shades, in English, German and French: "moss", "moosgrün" and "mousse" are green."""

import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import chain
from pathlib import Path
from typing import TypeVar

from catalog.stems import LANGUAGES, plain, split, stems_of

TABLE = Path(__file__).parent / "colors.toml"

MIN_SHARE = 0.5
"""An attribute is a color if at least this share of its values are colors."""


@dataclass(frozen=True)
class Family:
    """A family of colors, with spellings by language; the first one of a language is its name there."""

    key: str
    swatch: str  # "#rrggbb"
    names: tuple[tuple[str, ...], ...]  # one for each of `LANGUAGES`
    shades: tuple[tuple[tuple[str, ...], ...], ...]
    is_material: bool

    def name(self, language: str) -> str:
        """Return the name in a language; in English if it has none in that one."""
        return self.names[list(LANGUAGES).index(language) if language in LANGUAGES else 0][0]

    @property
    def spellings(self) -> tuple[str, ...]:
        """The names, then the shades, in all languages."""
        return tuple(chain(*self.names, *chain(*self.shades)))


@dataclass(frozen=True)
class ColorReading:
    """What a text says about colors: keys of families that it names, of those that its shades are in, and shades."""

    named: tuple[str, ...] = ()
    families: tuple[str, ...] = ()  # includes those named
    shades: frozenset[str] = frozenset()  # by their English names


@cache
def families() -> dict[str, Family]:
    """Return the families by key, in the order of the table."""
    table = tomllib.loads(TABLE.read_text(encoding="utf8"))
    return {
        key: Family(
            key,
            row["swatch"],
            _alternatives(row["names"]),
            tuple(map(_alternatives, row["shades"])),
            row.get("material", False),
        )
        for key, row in table.items()
    }


@lru_cache(maxsize=20_000)
def read(text: str) -> ColorReading:
    """Return what a word or a value such as "Moosgrün", "light grey" or "velvet, moss" says about colors.

    A shade is recognized as a whole first, then by the names of families in it, then by shades in it.
    """
    names, shades = _index()
    words = split(text)
    found = shades.get(_key(words), ())
    if found:
        named = tuple(names.get(_key(words), ()))
        keys = dict.fromkeys((*named, *(family for family, _ in found)))
        return ColorReading(named, tuple(keys), frozenset(shade for _, shade in found))
    for each in (words, [_compound(word) for word in words]):
        if named := tuple(dict.fromkeys(chain.from_iterable(_found(names, word) for word in each))):
            return ColorReading(named, named)
    pairs = list(chain.from_iterable(_found(shades, word) for word in words))
    return ColorReading((), tuple(dict.fromkeys(family for family, _ in pairs)), frozenset(shade for _, shade in pairs))


def spellings_of(reading: ColorReading) -> tuple[str, ...]:
    """Return the spellings of everything that a word may stand for: of families named in it, or else of its shades."""
    table = families()
    if reading.named:
        return tuple(chain.from_iterable(table[key].spellings for key in reading.named))
    rows = chain.from_iterable(table[key].shades for key in reading.families)
    return tuple(chain.from_iterable(chain(*row) for row in rows if row[0][0] in reading.shades))


def is_color(values: Iterable[str]) -> bool:
    """Return whether the values of an attribute are colors: most are, and not only woods and metals."""
    found = [any(not families()[key].is_material for key in read(value).families) for value in values]
    return bool(found) and sum(found) >= MIN_SHARE * len(found)


def _alternatives(texts: list[str]) -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(text.split("|")) for text in texts)


Key = tuple[str, ...]
Entry = TypeVar("Entry")


@cache
def _index() -> tuple[dict[Key, list[str]], dict[Key, list[tuple[str, str]]]]:
    """Return the families by the words of their names, and (family, shade) pairs by the words of the shades.

    The words are those of the table and, of single words, their stems in the language they are of.
    """
    names: dict[Key, list[str]] = {}
    shades: dict[Key, list[tuple[str, str]]] = {}
    for key, family in families().items():
        for keys in _keys(family.names):
            names.setdefault(keys, []).append(key)
        for shade in family.shades:
            for keys in _keys(shade):
                shades.setdefault(keys, []).append((key, shade[0][0]))
    return names, shades


def _keys(spelled: tuple[tuple[str, ...], ...]) -> list[Key]:
    """Return the distinct keys of the spellings by language."""
    found: list[Key] = []
    for language, spellings in zip(LANGUAGES, spelled, strict=True):
        for spelling in spellings:
            words = split(spelling)
            found.append(_key(words))
            if len(words) == 1:
                found += sorted(stems_of(words[0], [language]))
    return list(dict.fromkeys(found))


def _key(words: Iterable[str]) -> Key:
    return ("", *map(plain, words))


def _found(index: dict[Key, list[Entry]], word: str) -> list[Entry]:
    """Return the entries of one word, as it is or else by its stems."""
    exact = index.get(_key([word]), [])
    return exact or [entry for stem in sorted(stems_of(word, LANGUAGES)) for entry in index.get(stem, [])]


def _compound(word: str) -> str:
    """Return the color at the end of a German compound ("grün" for "hellgrün"), or the word itself if there is none."""
    german = list(LANGUAGES).index("de")
    names = (name for family in families().values() for name in family.names[german] if not family.is_material)
    return next((name for name in names if word.endswith(name) and len(word) >= len(name) + 3), word)
