"""Words of a text, and their stems in English, German and French."""

import re
import threading
import unicodedata
from collections.abc import Iterable
from functools import cache

import snowballstemmer

LANGUAGES = {"en": "english", "de": "german", "fr": "french"}
"""Languages whose words can be reduced to stems."""

_stemming = threading.Lock()  # a stemmer keeps the word that it works on


def stems_of(word: str, languages: Iterable[str]) -> set[tuple[str, str]]:
    """Return the (language, stem) pairs of a word, without diacritics: a catalog may be searched without them."""
    forms = {word, plain(word)}
    with _stemming:
        return {(name, plain(_stemmer(name).stemWord(form))) for name in languages for form in forms}


def plain(word: str) -> str:
    """Remove diacritics."""
    return "".join(letter for letter in unicodedata.normalize("NFD", word) if not unicodedata.combining(letter))


def split(text: str) -> list[str]:
    """Return the words of a text, in lowercase."""
    return re.findall(r"[^\W_]+", text.lower())


@cache
def _stemmer(language: str) -> "snowballstemmer.stemmer":
    return snowballstemmer.stemmer(LANGUAGES[language])
