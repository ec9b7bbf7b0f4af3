"""The words of a search: wanted and excluded ones, their stems and the shop's own synonyms."""

import re
import threading
import tomllib
import unicodedata
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np
import snowballstemmer
from numpy.typing import NDArray

from vsearch.core.errors import SettingsError

LANGUAGES = {"en": "english", "de": "german", "fr": "french"}
"""Languages whose words can be reduced to stems."""

MAX_WORDS = 32
MIN_PREFIX = 3
"""Letters from which on a word that no product has matches words that begin with it."""

MAX_REMEMBERED = 200

_stemming = threading.Lock()  # a stemmer keeps the word that it works on

STOP_WORDS = frozenset(
    word
    for words in (
        "a an and for from in it made of on or same the this to with",
        "aus das dem den der die ein eine einem einen einer für im ist mit oder und von wie zu",
        "au aux avec ce cette de des du en et la le les ou pour un une",
    )
    for word in words.split()
)
"""Words that say nothing about a product."""


@dataclass(frozen=True)
class Wish:
    """The words of a search, in lowercase."""

    wanted: tuple[str, ...]
    excluded: tuple[str, ...]


@dataclass(frozen=True)
class Term:
    """The alternatives of one word: phrases of one or more words, or beginnings of words."""

    word: str
    phrases: tuple[tuple[str, ...], ...]
    is_prefix: bool = False


def parse(text: str) -> Wish:
    """Return the words of a query; those with a hyphen before them are excluded, and any input is safe."""
    wanted: list[str] = []
    excluded: list[str] = []
    for part in text.lower().split():
        words = [word for word in _split(part) if word not in STOP_WORDS]
        (excluded if part[0] in "-‐‑–−" else wanted).extend(words)
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
        strings = isinstance(others, list) and all(isinstance(other, str) and _split(other) for other in others)
        if not strings or len(_split(word)) != 1:
            example = 'green = ["moss", "sky blue"]'
            raise SettingsError(f"{file}: {word!r} must be one word with a list of words, such as {example}.")
    return {_split(word)[0]: tuple(others) for word, others in content.items()}


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
    ) -> "SearchWords":
        """Group the words of the catalog by their stems."""
        ids: dict[tuple[str, ...], list[int]] = {}
        for product_id, value in predicted:
            ids.setdefault(tuple(_split(value)), []).append(product_id)
        known = sorted({word for word in words if _split(word) == [word]}.union(*ids))
        return cls(
            known,
            live,
            languages,
            synonyms,
            {stem: tuple(same) for stem, same in _grouped(known, languages).items()},
            {stem: tuple(same) for stem, same in _grouped(synonyms, languages).items()},
            {value: np.unique(np.array(found, dtype=np.int64)) for value, found in ids.items()},
        )

    def term(self, word: str) -> Term | None:
        """Return the alternatives of a word: words with its stem, then its synonyms; None if the catalog has none."""
        stems = stems_of(word, self.languages)
        same: list[tuple[str, ...]] = [(found,) for stem in stems for found in self.by_stem.get(stem, ())]
        for key in dict.fromkeys(key for stem in stems for key in self.by_synonym.get(stem, ())):
            for other in self.synonyms[key]:
                parts = _split(other.lower())
                if len(parts) > 1:
                    same.append(tuple(parts))
                else:
                    same += [(f,) for stem in stems_of(parts[0], self.languages) for f in self.by_stem.get(stem, ())]
        if same:
            return Term(word, tuple(dict.fromkeys(same)))
        for begin in dict.fromkeys((word, plain(word))):
            at = bisect_left(self.words, begin)
            if len(begin) >= MIN_PREFIX and at < len(self.words) and self.words[at].startswith(begin):
                return Term(word, ((begin,),), is_prefix=True)
        return None

    def predicted_for(self, term: Term) -> NDArray[np.int64]:
        """Return the ids of the products that a value with the term is predicted for, ascending."""
        found = [ids for value, ids in self.predicted.items() if _has(value, term)]
        return np.unique(np.concatenate([np.empty(0, dtype=np.int64), *found]))

    def remember(self, term: Term, products: tuple[NDArray[np.int64], NDArray[np.int64]]) -> None:
        """Keep the products of a term until the next import."""
        if len(self.found) >= MAX_REMEMBERED:
            self.found.clear()
        self.found[term] = products


def stems_of(word: str, languages: Iterable[str]) -> set[tuple[str, str]]:
    """Return the (language, stem) pairs of a word, without diacritics: a catalog may be searched without them."""
    forms = {word, plain(word)}
    with _stemming:
        return {(name, plain(_stemmer(name).stemWord(form))) for name in languages for form in forms}


def plain(word: str) -> str:
    """Remove diacritics."""
    return "".join(letter for letter in unicodedata.normalize("NFD", word) if not unicodedata.combining(letter))


def _grouped(words: Iterable[str], languages: tuple[str, ...]) -> dict[tuple[str, str], list[str]]:
    grouped: dict[tuple[str, str], list[str]] = {}
    for word in words:
        for stem in sorted(stems_of(word, languages)):
            grouped.setdefault(stem, []).append(word)
    return grouped


def _has(value: Sequence[str], term: Term) -> bool:
    """Return whether words contain any of the term's phrases."""
    text = f" {' '.join(map(plain, value))} "
    end = "" if term.is_prefix else " "
    return any(f" {' '.join(map(plain, phrase))}{end}" in text for phrase in term.phrases)


def _split(text: str) -> list[str]:
    return re.findall(r"[^\W_]+", text.lower())


@cache
def _stemmer(language: str) -> "snowballstemmer.stemmer":
    return snowballstemmer.stemmer(LANGUAGES[language])
