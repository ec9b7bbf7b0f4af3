from dataclasses import replace

from catalog import changes, queries
from catalog.articles import any_article_number, product_by_article_number
from catalog.changes import Changes, ProductItem


def item(sku: str, number: str | None) -> ProductItem:
    """A product with nothing but a number."""
    return ProductItem(sku, sku.title(), article_number=number)


def test_number_leads_to_one_live_product(session):
    """Unknown numbers, those of several and those of withdrawn products lead nowhere."""
    assert not any_article_number(session)
    items = (item("a", "12345678"), item("b", "00000001"), item("c", "00000001"), item("d", None))
    changes.apply(session, Changes(added=items))

    assert any_article_number(session)
    assert product_by_article_number(session, "12345678").sku == "a"
    assert product_by_article_number(session, "00000001") is None
    assert product_by_article_number(session, "87654321") is None

    changes.apply(session, Changes(withdrawn=("a", "b")))
    assert product_by_article_number(session, "12345678") is None
    assert product_by_article_number(session, "00000001").sku == "c"


def test_number_is_kept_and_changed(session):
    """It is part of what a feed says."""
    changes.apply(session, Changes(added=(item("a", "12345678"),)))
    assert queries.snapshot(session)["a"].article_number == "12345678"
    changes.apply(session, Changes(changed=(replace(item("a", None)),)))
    assert queries.product_by_sku(session, "a").item.article_number is None
