import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine
from sqlalchemy.orm import Session, sessionmaker

from catalog.changes import Changes, ProductItem, apply
from catalog.full_text import search

ITEMS = (
    ProductItem("1", "Leather sofa", description="Seats three."),
    ProductItem("2", "Sofas' cover", brand="Klippan"),
    ProductItem("3", "Floor lamp", description="Stands well beside any sofa, and beside a chair too."),
    ProductItem("4", "Fauteuil crème", brand="Maison"),
    ProductItem("5", "Sofa table"),
)
"""Written in this order to an empty catalogue: product ids 1 to 5."""


@pytest.fixture
def filled(session: Session) -> Session:
    """A session on a catalogue of five products, the last one withdrawn."""
    apply(session, Changes(added=ITEMS))
    apply(session, Changes(withdrawn=("5",)))
    session.commit()
    return session


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("lamp", [3]),
        ("LAMP", [3]),
        ("klippan", [2]),
        ("crème", [4]),
        ("leath", [1]),
        ("table", []),
        ("", []),
        (" \t", []),
        ("*", []),
        ("--", []),
        ('"', []),
        ("nowhere", []),
    ],
)
def test_words_find_products(filled: Session, text: str, ids: list[int]) -> None:
    """Case does not matter, a beginning is enough, withdrawn products are not found."""
    assert search(filled, text, 10) == ids


def test_the_title_weighs_most(filled: Session) -> None:
    """A sofa comes before a lamp that stands beside one; a product with both words comes first."""
    assert search(filled, "sofa", 10)[-1] == 3
    assert search(filled, "leather sofa", 10)[0] == 1
    assert len(search(filled, "sofa", 2)) == 2


@pytest.mark.parametrize(
    "text",
    [
        'sofa" OR "lamp',
        "sofa'; DROP TABLE product; --",
        "sofa AND NOT (",
        "title:sofa",
        "sofa & ! | <->",
        "NEAR(sofa lamp)",
        "sofa*:^",
        "\\sofa",
    ],
)
def test_operators_are_plain_text(filled: Session, text: str) -> None:
    """Nothing a shopper types is taken for the language of the search."""
    assert 1 in search(filled, text, 10)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(text=st.text(max_size=40))
def test_any_text_is_safe(engine: Engine, text: str) -> None:
    """Whatever is typed, there is an answer."""
    with sessionmaker(engine)() as session:
        assert isinstance(search(session, text, 5), list)


def test_many_words_are_cut(filled: Session) -> None:
    """A pasted novel does not become a query of a thousand terms."""
    assert search(filled, "x " * 5000 + "lamp", 10) == []


def test_changed_text_is_found_and_old_text_is_not(filled: Session) -> None:
    """The words follow the product in the same transaction."""
    apply(filled, Changes(changed=(ProductItem("1", "Velvet armchair"),)))
    filled.commit()
    assert search(filled, "velvet", 10) == [1]
    assert search(filled, "leather", 10) == []
