"""Full-text search over live products: which of them have which words. FTS5 on SQLite, tsvector on PostgreSQL.

Migrations create the index; no model describes it, because the databases differ.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from catalog import words
from catalog.models import Product
from catalog.queries import LIVE
from catalog.words import SearchWords, Term

FULL_TEXT = "product_text"
"""Name prefix of the tables, columns and indexes of full-text search."""

ProductIds = NDArray[np.int64]  # [n], ascending

_SQLITE_VOCABULARY = "CREATE VIRTUAL TABLE IF NOT EXISTS temp.product_words USING fts5vocab(main, product_text, row)"
_WORDS = {
    "sqlite": "SELECT term FROM temp.product_words",
    "postgresql": "SELECT word FROM ts_stat('SELECT product_text FROM product WHERE withdrawn_at IS NULL')",
}
_SEARCH = {
    "sqlite": "SELECT group_concat(rowid) FROM product_text WHERE product_text MATCH :words",
    "postgresql": (
        "SELECT string_agg(CAST(product_id AS text), ',') FROM product "
        "WHERE product_text @@ to_tsquery('simple', :words)"
    ),
}
"""One text with the ids, also of withdrawn products: ten times as fast as one row for each of the live ones."""


@dataclass(frozen=True, eq=False)
class WordMatch:
    """The products that have one wanted word: in title, brand, category or attributes; in any text or prediction."""

    word: str
    named: ProductIds
    mentioned: ProductIds  # includes `named`
    colors: tuple[str, ...] = ()  # the values of color attributes that the word stands for


@dataclass(frozen=True, eq=False)
class TextMatch:
    """The products that a query is about."""

    wanted: tuple[WordMatch, ...]
    excluded: ProductIds  # products that mention an excluded word
    unknown: tuple[str, ...]  # wanted words that no product has
    excluded_words: tuple[str, ...] = ()  # of those that products have


def read_vocabulary(
    session: Session,
    languages: tuple[str, ...] = ("en",),
    synonyms: Mapping[str, tuple[str, ...]] = {},
    predicted: Iterable[tuple[int, str]] = (),
    colored: Mapping[str, ProductIds] = {},
    values: Iterable[str] = (),
) -> SearchWords:
    """Return all words of the catalog's texts, and those of `predicted` (product id, value) pairs of attributes.

    `colored` are the products by each value of attributes that are colors, and `values` are those of all attributes.
    Reads the whole full-text index.
    """
    dialect = session.get_bind().dialect.name
    if dialect == "sqlite":
        session.execute(text(_SQLITE_VOCABULARY))
    known = session.scalars(text(_WORDS[dialect]))
    live = np.fromiter(session.scalars(select(Product.product_id).where(LIVE)), dtype=np.int64)
    return SearchWords.of(known, np.unique(live), languages, synonyms, predicted, colored, values)


def match(session: Session, query: str, vocabulary: SearchWords) -> TextMatch:
    """Return the live products that have each word of a query, or a synonym of it."""
    wish = words.parse(query)
    terms = {word: vocabulary.term(word) for word in (*wish.wanted, *wish.excluded)}
    for word in {word for pair in pairwise(wish.wanted) if pair in vocabulary.pairs for word in pair}:
        terms[word] = (term := terms[word]) and replace(term, is_color=False)
    found = {word: _products(session, term, vocabulary) for word, term in terms.items() if term is not None}
    excluded = [found[word][1] for word in wish.excluded if word in found]
    return TextMatch(
        tuple(WordMatch(word, *found[word], _colors(terms[word])) for word in wish.wanted if word in found),
        np.unique(np.concatenate([np.empty(0, dtype=np.int64), *excluded])),
        tuple(word for word in wish.wanted if word not in found),
        tuple(word for word in wish.excluded if word in found),
    )


def best(session: Session, query: str, vocabulary: SearchWords, limit: int) -> list[int]:
    """Return the ids of live products that have any wanted word and no excluded one, those with most words first.

    A word counts twice in the title, brand, category or attributes.
    """
    found = match(session, query, vocabulary)
    scores = Counter[int]()
    for word in found.wanted:
        scores.update(word.mentioned.tolist())
        scores.update(word.named.tolist())
    excluded = set(found.excluded.tolist())
    ranked = sorted(scores.keys() - excluded, key=lambda product_id: (-scores[product_id], product_id))
    return ranked[:limit]


def _colors(term: Term | None) -> tuple[str, ...]:
    return term.colors if term else ()


def _products(session: Session, term: Term, vocabulary: SearchWords) -> tuple[ProductIds, ProductIds]:
    """Return the products that name a term, and all that mention it."""
    remembered = vocabulary.found.get(term)
    if remembered is None:
        named, mentioned = (
            np.intersect1d(_with_text(session, term, each), vocabulary.live, assume_unique=True)
            for each in (True, False)
        )
        mentioned = np.union1d(mentioned, vocabulary.predicted_for(term))
        remembered = _with_colors(term, vocabulary, named, mentioned) if term.is_color else (named, mentioned)
        vocabulary.remember(term, remembered)
    return remembered


def _with_colors(
    term: Term, vocabulary: SearchWords, named: ProductIds, mentioned: ProductIds
) -> tuple[ProductIds, ProductIds]:
    """Add products that have a color in other words; products of exactly this color, if there are any, come first.

    Unless the color is a material as well, it names only products of this color: no red sofa on black legs.
    """
    exact = [value for value in term.colors if words.has(value, term)]
    meant = vocabulary.with_colors(term.colors)
    of_color = vocabulary.with_colors(exact or term.colors)
    if not term.is_material:
        named = np.setdiff1d(named, vocabulary.with_colors(vocabulary.colors))
    return np.union1d(named, of_color), np.union1d(mentioned, meant)


def _with_text(session: Session, term: Term, named: bool) -> ProductIds:
    if not term.phrases:
        return np.empty(0, dtype=np.int64)
    dialect = session.get_bind().dialect.name
    expression = _sqlite_expression if dialect == "sqlite" else _postgresql_expression
    joined = session.scalar(text(_SEARCH[dialect]), {"words": expression(term, named)})
    return np.fromstring(joined or "", dtype=np.int64, sep=",")


def _sqlite_expression(term: Term, named: bool) -> str:
    phrases = " OR ".join(f'"{" ".join(phrase)}"{"*" if term.is_prefix else ""}' for phrase in term.phrases)
    return f"{{title brand category attributes}} : ({phrases})" if named else phrases


def _postgresql_expression(term: Term, named: bool) -> str:
    weights = "ABC" if named else "ABCD"
    mark = f":{'*' if term.is_prefix else ''}{weights}"
    return " | ".join("(" + " <-> ".join(f"'{word}'{mark}" for word in phrase) + ")" for phrase in term.phrases)
