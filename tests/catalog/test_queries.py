import hashlib
from dataclasses import replace

import numpy as np
import pytest
from sqlalchemy import delete
from sqlalchemy.orm import Session

from catalog import imports, queries
from catalog.changes import Changes, ProductItem, apply, mark_unreadable
from catalog.models import FeedImport, IndexRun, utc_now
from catalog.queries import CatalogueCounts, Facets, GalleryRow


def sha(name: str) -> str:
    """Return the sha256 that stands for a picture."""
    return hashlib.sha256(name.encode()).hexdigest()


def item(sku: str, category: str, price: int | None, stock: int | None, **more: object) -> ProductItem:
    """Return a product with two pictures."""
    plain = ProductItem(sku, f"Title {sku}", category=category, price_minor=price, currency="EUR", stock=stock)
    return replace(plain, images=(sha(f"{sku}-front"), sha(f"{sku}-side")), **more)


ITEMS = (
    item("A", "Sofas", 100, 1, variant_group="duo"),
    item("B", "Sofas > Corner sofas", 200, 0, variant_group="duo"),
    item("C", "Sofas_and_more", 300, None, variant_group="duo"),
    item("D", "Lamps", None, 5),
    item("E", "Lamps", 500, 5),
)
"""Written in this order to an empty catalogue: product ids 1 to 5, and image ids 1 to 10."""


@pytest.fixture
def filled(session: Session) -> Session:
    """A session on a catalogue of five products, E withdrawn, the front of D unreadable."""
    apply(session, Changes(added=ITEMS), sizes={sha("A-front"): (40, 30)})
    apply(session, Changes(withdrawn=("E",)))
    mark_unreadable(session, {sha("D-front"): "cut short"})
    session.commit()
    return session


def test_cards_come_in_the_order_asked(filled: Session) -> None:
    """Rank order survives SQL; unknown and withdrawn products are left out."""
    cards = queries.products_by_ids(filled, [4, 5, 1, 99, 3])
    assert [card.sku for card in cards] == ["D", "A", "C"]
    assert queries.products_by_ids(filled, []) == []


def test_a_card_shows_the_first_readable_picture(filled: Session) -> None:
    """A picture that cannot be used is not shown either."""
    cards = queries.products_by_ids(filled, [1, 4])
    assert [card.image for card in cards] == [sha("A-front"), sha("D-side")]
    assert (cards[0].title, cards[0].price_minor, cards[0].currency, cards[0].stock) == (
        "Title A",
        100,
        "EUR",
        1,
    )


def test_more_ids_than_one_statement_takes(filled: Session) -> None:
    """A long ranking is read in several statements and stays in order."""
    asked = [*range(100, 2000), 3, 1]
    assert [card.product_id for card in queries.products_by_ids(filled, asked)] == [3, 1]


def test_a_product_is_found_by_sku_with_pictures_and_variants(filled: Session) -> None:
    """The product page needs one call."""
    detail = queries.product_by_sku(filled, "A")
    assert detail is not None
    assert detail.card == queries.products_by_ids(filled, [1])[0]
    assert detail.item == ITEMS[0]
    assert [picture.sha256 for picture in detail.pictures] == list(ITEMS[0].images)
    assert (detail.pictures[0].width, detail.pictures[0].height) == (40, 30)
    assert [card.sku for card in detail.variants] == ["B", "C"]


def test_a_product_without_group_has_no_variants(filled: Session) -> None:
    """Having no group is nothing that products share."""
    detail = queries.product_by_sku(filled, "D")
    assert detail is not None
    assert detail.variants == ()
    assert [picture.sha256 for picture in detail.pictures] == [sha("D-side")]


@pytest.mark.parametrize("sku", ["E", "nobody"])
def test_withdrawn_and_unknown_products_have_no_page(filled: Session, sku: str) -> None:
    """A withdrawn product disappears at once."""
    assert queries.product_by_sku(filled, sku) is None


def test_the_gallery_is_every_readable_picture_of_live_products(filled: Session) -> None:
    """In the order of image ids, each with its product and category."""
    rows = queries.gallery_rows(filled)
    assert rows[0] == GalleryRow(1, 1, "A", sha("A-front"), "Sofas")
    assert [row.image_id for row in rows] == [1, 2, 3, 4, 5, 6, 8]


@pytest.mark.parametrize(
    ("facets", "skus"),
    [
        (Facets(), "ABCD"),
        (Facets(price_min=200), "BC"),
        (Facets(price_max=200), "AB"),
        (Facets(price_min=200, price_max=200), "B"),
        (Facets(price_max=200, currency="EUR"), "AB"),
        (Facets(price_max=200, currency="USD"), ""),
        (Facets(in_stock=True), "AD"),
        (Facets(category="Sofas"), "AB"),
        (Facets(category="Sofas > Corner sofas"), "B"),
        (Facets(category="sofas%"), ""),
        (Facets(category="Sofas", in_stock=True), "A"),
        (Facets(price_min=0), "ABC"),
    ],
)
def test_facets_choose_pictures(filled: Session, facets: Facets, skus: str) -> None:
    """Bounds are included, a category includes those below it, and unknown values meet no filter."""
    expected = [row.image_id for row in queries.gallery_rows(filled) if row.sku in skus]
    ids = queries.image_ids_where(filled, facets)
    np.testing.assert_array_equal(ids, expected)
    assert ids.dtype == np.int64


def test_currencies_by_how_many_products_have_them(session: Session) -> None:
    """Withdrawn products do not count, nor those without a price; equally many are in the order of the alphabet."""
    currencies = {"A": "USD", "B": "CAD", "C": "CAD", "D": "SEK", "E": "SEK"}
    apply(session, Changes(added=tuple(replace(each, currency=currencies[each.sku]) for each in ITEMS)))
    assert queries.currencies(session) == ["CAD", "SEK", "USD"]
    apply(session, Changes(withdrawn=("E",)))
    assert queries.currencies(session) == ["CAD", "USD"]


def test_counts(filled: Session) -> None:
    """As a report has them."""
    assert queries.counts(filled) == CatalogueCounts(products=4, withdrawn=1, pictures=7, unreadable=1)


def test_an_empty_catalogue_answers_everything(session: Session) -> None:
    """Nothing imported yet is no error."""
    assert queries.gallery_rows(session) == []
    assert queries.snapshot(session) == {}
    assert queries.image_ids_where(session, Facets()).shape == (0,)
    assert queries.counts(session) == CatalogueCounts(0, 0, 0, 0)


def test_the_latest_runs_come_first(session: Session) -> None:
    """The manager's page shows last night on top."""
    session.add_all([IndexRun(state="failed"), IndexRun(state="published", counts={"encoded": 7})])
    session.commit()
    runs = queries.latest_runs(session, limit=1)
    assert [(run.state, run.counts, run.message) for run in runs] == [("published", {"encoded": 7}, "")]


def test_withdrawn_products_are_known_by_id(filled: Session) -> None:
    """Until they are back."""
    assert queries.withdrawn_product_ids(filled).tolist() == [5]
    apply(filled, Changes(restored=(ITEMS[4],)))
    assert queries.withdrawn_product_ids(filled).tolist() == []


def test_every_import_changes_the_count_of_changes(session: Session) -> None:
    """Also one that got its id before another, but ends after it."""
    seen = [imports.change_count(session)]
    for _ in range(2):
        imports.record(session, feed="feed", started_at=utc_now(), finished_at=utc_now(), state="imported", message="")
        session.flush()
        seen.append(imports.change_count(session))
    late = {"started_at": utc_now(), "finished_at": utc_now(), "columns": [], "counts": {}, "findings": []}
    session.add(FeedImport(import_id=-1, feed="feed", state="imported", message="", **late))
    session.flush()
    seen.append(imports.change_count(session))
    session.execute(delete(FeedImport).where(FeedImport.import_id == -1))  # by a prune
    session.add(FeedImport(import_id=-2, feed="feed", state="imported", message="", **late))
    session.flush()
    seen.append(imports.change_count(session))
    assert len(set(seen)) == 5
