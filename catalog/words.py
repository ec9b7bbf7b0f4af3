"""The words of a search: wanted and excluded ones, their stems, the shop's own synonyms, and shades of colors."""

import tomllib
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from catalog import colors
from catalog.stems import plain, split, stems_of
from vsearch.core.errors import SettingsError

MAX_WORDS = 32
MIN_PREFIX = 3
"""Letters from which on a word that no product has matches words that begin with it."""

MAX_REMEMBERED = 200

STOP_WORDS = frozenset(
    word
    for words in (
        "a an and for from in it made of on or same the this to with",
        "aus das dem den der die ein eine einem einen einer für im ist mit oder und von wie zu",
        "au aux avec ce cette d de des du en et l la le les ou pour un une",
    )
    for word in words.split()
)
"""Words that say nothing about a product."""

NEGATIONS = frozenset(
    word
    for words in ("no not without", "kein keine keinem keinen keiner keines nicht ohne", "pas sans")
    for word in words.split()
)
"""The word after them is excluded."""


@dataclass(frozen=True)
class Wish:
    """The words of a search, in lowercase."""

    wanted: tuple[str, ...]
    excluded: tuple[str, ...]


@dataclass(frozen=True)
class Term:
    """The alternatives of one word: phrases of one or more words, or beginnings of words; and colors."""

    word: str
    phrases: tuple[tuple[str, ...], ...]
    is_prefix: bool = False
    colors: tuple[str, ...] = ()
    """The values of color attributes that a color stands for, alphabetically."""
    is_color: bool = False
    """Whether `colors` name products, in other words than the texts have."""
    is_material: bool = False
    """Whether a color is a material as well, such as oak."""


def parse(text: str) -> Wish:
    """Return the words of a query; any input is safe.

    A word is excluded if a hyphen is before it, or a word such as "not", "ohne" or "pas de".
    """
    wanted: list[str] = []
    excluded: list[str] = []
    negated = False
    for part in text.lower().split():
        words = [word for word in split(part) if word not in STOP_WORDS]
        hyphen = part[0] in "-‐‑–−"
        while words and words[0] in NEGATIONS and not hyphen:
            negated = True
            del words[0]
        (excluded if hyphen or negated else wanted).extend(words)
        negated = negated and not words
    limited = dict.fromkeys(wanted[:MAX_WORDS])
    return Wish(tuple(limited), tuple(word for word in dict.fromkeys(excluded[:MAX_WORDS]) if word not in limited))


def read_synonyms(file: Path | None) -> dict[str, tuple[str, ...]]:
    """Return what each word stands for as well, from a TOML file such as `green = ["moss", "sky blue"]`.

    Raises:
        SettingsError: the file cannot be read, or is something else.
    """
    if file is None:
        return {}
    try:
        content = tomllib.loads(file.read_text(encoding="utf8"))
    except (OSError, ValueError) as error:
        raise SettingsError(f"The file of the setting synonyms, {file}, cannot be read: {error}.") from None
    for word, others in content.items():
        strings = isinstance(others, list) and all(isinstance(other, str) and split(other) for other in others)
        if not strings or len(split(word)) != 1:
            example = 'green = ["moss", "sky blue"]'
            raise SettingsError(f"{file}: {word!r} must be one word with a list of words, such as {example}.")
    return {split(word)[0]: tuple(others) for word, others in content.items()}


@dataclass(frozen=True, eq=False)
class SearchWords:
    """The words of the catalog's texts, to find those with the same stem; immutable but for what it remembers."""

    words: Sequence[str]  # ascending, in lowercase; without diacritics if the database removes them
    live: NDArray[np.int64]  # ids of products that are sold, ascending
    languages: tuple[str, ...]
    synonyms: Mapping[str, tuple[str, ...]]
    by_stem: Mapping[tuple[str, str], tuple[str, ...]]
    by_synonym: Mapping[tuple[str, str], tuple[str, ...]]
    predicted: Mapping[tuple[str, ...], NDArray[np.int64]]
    """The ids of the products that a value, given as its words, is predicted for."""
    colors: Mapping[str, NDArray[np.int64]] = field(default_factory=dict)
    """The ids of the products that have a value of a color attribute, ascending."""
    pairs: frozenset[tuple[str, ...]] = frozenset()
    """Values of two words, such as "black steel"; in them, a color is no color of the product."""
    found: dict[Term, tuple[NDArray[np.int64], NDArray[np.int64]]] = field(default_factory=dict)
    """The products of terms searched for before."""

    @classmethod
    def of(
        cls,
        words: Iterable[str],
        live: NDArray[np.int64],
        languages: tuple[str, ...] = ("en",),
        synonyms: Mapping[str, tuple[str, ...]] = {},
        predicted: Iterable[tuple[int, str]] = (),
        colored: Mapping[str, NDArray[np.int64]] = {},
        values: Iterable[str] = (),
    ) -> "SearchWords":
        """Group the words of the catalog by their stems."""
        ids: dict[tuple[str, ...], list[int]] = {}
        for product_id, value in predicted:
            ids.setdefault(tuple(split(value)), []).append(product_id)
        known = sorted({word for word in words if split(word) == [word]}.union(*ids))
        return cls(
            known,
            live,
            languages,
            synonyms,
            {stem: tuple(same) for stem, same in _grouped(known, languages).items()},
            {stem: tuple(same) for stem, same in _grouped(synonyms, languages).items()},
            {value: np.unique(np.array(found, dtype=np.int64)) for value, found in ids.items()},
            colored,
            frozenset(pair for value in values if len(pair := tuple(split(value))) == 2),
        )

    def term(self, word: str) -> Term | None:
        """Return the alternatives of a word: words with its stem, then what it stands for; None if there are none.

        A color stands for its shades, and for both in other languages, unless the shop has synonyms for the word.
        """
        stems = stems_of(word, self.languages)
        same: list[tuple[str, ...]] = [(found,) for stem in stems for found in self.by_stem.get(stem, ())]
        keys = dict.fromkeys(key for stem in stems for key in self.by_synonym.get(stem, ()))
        others = [phrase for key in keys for other in self.synonyms[key] for phrase in self._phrases(other)]
        meant: tuple[str, ...] = ()
        reading = colors.ColorReading() if keys else colors.read(word)
        if keys:
            meant = self._values(lambda value: has(value, Term(word, tuple(others))))
        elif self.colors:
            meant = self._values(lambda value: _is_meant(reading, colors.read(value)))
            if not (meant or same):  # the shade is not sold: others of its families
                near = {key for key in reading.families if not colors.families()[key].is_material}
                meant = self._values(lambda value: not near.isdisjoint(colors.read(value).families))
        elif reading.families:
            others = [phrase for spelling in colors.spellings_of(reading) for phrase in self._phrases(spelling)]
        if same or others or meant:
            is_material = not reading.named and any(colors.families()[key].is_material for key in reading.families)
            phrases = tuple(dict.fromkeys(same + others))
            return Term(word, phrases, colors=meant, is_color=bool(meant) and not keys, is_material=is_material)
        for begin in dict.fromkeys((word, plain(word))):
            at = bisect_left(self.words, begin)
            if len(begin) >= MIN_PREFIX and at < len(self.words) and self.words[at].startswith(begin):
                return Term(word, ((begin,),), is_prefix=True)
        return None

    def _phrases(self, text: str) -> list[tuple[str, ...]]:
        """Return the phrases that a synonym stands for; one word only in the forms that the catalog has."""
        parts = split(text)
        if len(parts) > 1:
            return [tuple(parts)] if {plain(part) for part in parts} <= self._plain else []
        return [(found,) for stem in stems_of(parts[0], self.languages) for found in self.by_stem.get(stem, ())]

    @cached_property
    def _plain(self) -> frozenset[str]:
        return frozenset(map(plain, self.words))

    def _values(self, is_meant: Callable[[str], bool]) -> tuple[str, ...]:
        return tuple(sorted(filter(is_meant, self.colors)))

    def predicted_for(self, term: Term) -> NDArray[np.int64]:
        """Return the ids of the products that a value with the term is predicted for, ascending."""
        found = [ids for value, ids in self.predicted.items() if has(value, term)]
        return np.unique(np.concatenate([np.empty(0, dtype=np.int64), *found]))

    def with_colors(self, values: Iterable[str]) -> NDArray[np.int64]:
        """Return the ids of the products that have any of the values of color attributes, ascending."""
        return np.unique(np.concatenate([np.empty(0, dtype=np.int64), *(self.colors[value] for value in values)]))

    def remember(self, term: Term, products: tuple[NDArray[np.int64], NDArray[np.int64]]) -> None:
        """Keep the products of a term until the next import."""
        if len(self.found) >= MAX_REMEMBERED:
            self.found.clear()
        self.found[term] = products


def _grouped(words: Iterable[str], languages: tuple[str, ...]) -> dict[tuple[str, str], list[str]]:
    grouped: dict[tuple[str, str], list[str]] = {}
    for word in words:
        for stem in sorted(stems_of(word, languages)):
            grouped.setdefault(stem, []).append(word)
    return grouped


def _is_meant(asked: colors.ColorReading, value: colors.ColorReading) -> bool:
    """Return whether a value is of a family that is named, or one of the shades asked for."""
    if asked.named:
        return bool(set(asked.named) & set(value.families))
    return bool(asked.shades & value.shades)


def has(value: str | Sequence[str], term: Term) -> bool:
    """Return whether a value, as a text or as words, contains any of the term's phrases."""
    text = f" {' '.join(map(plain, split(value) if isinstance(value, str) else value))} "
    end = "" if term.is_prefix else " "
    return any(f" {' '.join(map(plain, phrase))}{end}" in text for phrase in term.phrases)
