import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.orm import sessionmaker

from catalog.changes import Changes, ProductItem, apply
from catalog.queries import full_text_search as search

ITEMS = (
    ProductItem("1", "Leather sofa", description="Seats three."),
    ProductItem("2", "Sofas' cover", brand="Klippan"),
    ProductItem("3", "Floor lamp", description="Stands well beside any sofa, and beside a chair too."),
    ProductItem("4", "Fauteuil crème", brand="Maison"),
    ProductItem("5", "Sofa table"),
)
"""Product ids 1 to 5."""


@pytest.fixture
def filled(session):
    """A session on a catalog of five products, the last one withdrawn."""
    apply(session, Changes(added=ITEMS))
    apply(session, Changes(withdrawn=("5",)))
    session.commit()
    return session


FOUND = {"lamp": [3], "LAMP": [3], "klippan": [2], "crème": [4], "leath": [1], "x " * 5000 + "lamp": []}


def test_search(filled):
    """Case is ignored, prefixes match, withdrawn products are excluded, and long queries are truncated."""
    assert {text: search(filled, text, 10) for text in FOUND} == FOUND
    for text in ("table", "", " \t", "*", "--", '"', "nowhere"):
        assert search(filled, text, 10) == []


def test_title_has_the_highest_weight(filled):
    assert search(filled, "sofa", 10)[-1] == 3
    assert search(filled, "leather sofa", 10)[0] == 1
    assert len(search(filled, "sofa", 2)) == 2


OPERATORS = (
    *('sofa" OR "lamp', "sofa'; DROP TABLE product; --", "sofa AND NOT (", "title:sofa"),
    *("sofa & ! | <->", "NEAR(sofa lamp)", "sofa*:^", "\\sofa"),
)


@pytest.mark.parametrize("text", OPERATORS)
def test_operators_are_plain_text(filled, text):
    assert 1 in search(filled, text, 10)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(text=st.text(max_size=40))
def test_any_text_is_safe(engine, text):
    with sessionmaker(engine)() as session:
        assert isinstance(search(session, text, 5), list)


def test_index_follows_changes(filled):
    apply(filled, Changes(changed=(ProductItem("1", "Velvet armchair"),)))
    filled.commit()
    assert search(filled, "velvet", 10) == [1]
    assert search(filled, "leather", 10) == []
