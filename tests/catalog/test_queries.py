import hashlib
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import delete, event
from sqlalchemy.orm import sessionmaker

from catalog import imports, queries
from catalog.changes import Changes, ProductItem, apply, mark_unreadable
from catalog.models import FeedImport, IndexRun, Job, utc_now
from catalog.queries import GalleryRow


def sha(name: str) -> str:
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
"""Written in this order to an empty catalog, which gives product ids 1 to 5 and image ids 1 to 10."""


@pytest.fixture
def filled(session):
    """A session on a catalog of five products; E is withdrawn, and the front picture of D is unreadable."""
    apply(session, Changes(added=ITEMS), sizes={sha("A-front"): (40, 30)})
    apply(session, Changes(withdrawn=("E",)))
    mark_unreadable(session, {sha("D-front"): "cut short"})
    session.commit()
    return session


def test_products_by_ids_keeps_the_order(filled):
    """This includes more ids than fit in one statement."""
    assert [card.sku for card in queries.products_by_ids(filled, [4, 5, 1, 99, 3])] == ["D", "A", "C"]
    assert queries.products_by_ids(filled, []) == []
    found = queries.products_by_ids(filled, [*range(100, 2000), 3, 1])
    assert [card.product_id for card in found] == [3, 1]


def test_product_by_sku(filled):
    """Variants are the other products in the group; withdrawn and unknown products are not found."""
    detail = queries.product_by_sku(filled, "A")
    assert detail.card == queries.products_by_ids(filled, [1])[0]
    assert (detail.item, detail.pictures) == (ITEMS[0], ITEMS[0].images)
    assert [card.sku for card in detail.variants] == ["B", "C"]
    alone = queries.product_by_sku(filled, "D")
    assert (alone.variants, alone.pictures) == ((), (sha("D-side"),))
    assert queries.product_by_sku(filled, "E") is None
    assert queries.product_by_sku(filled, "nobody") is None


def test_readable_pictures_of_live_products_are_indexed_public_and_shown(filled):
    rows = queries.gallery_rows(filled)
    assert rows[0] == GalleryRow(1, 1, "A", sha("A-front"), "Sofas", "duo", "", 40, 30)
    assert [row.image_id for row in rows] == [1, 2, 3, 4, 5, 6, 8]
    assert queries.is_picture_public(filled, sha("A-side"))
    assert not queries.is_picture_public(filled, sha("E-side")), "withdrawn"
    assert not queries.is_picture_public(filled, sha("nothing"))
    first, second = queries.products_by_ids(filled, [1, 4])
    assert (first.image, second.image) == (sha("A-front"), sha("D-side"))
    assert (first.title, first.price_minor, first.currency, first.stock) == ("Title A", 100, "EUR", 1)


def test_currencies_by_number_of_live_products(session):
    """Ties are broken alphabetically."""
    currencies = {"A": "USD", "B": "CAD", "C": "CAD", "D": "SEK", "E": "SEK"}
    apply(session, Changes(added=tuple(replace(each, currency=currencies[each.sku]) for each in ITEMS)))
    assert queries.currencies(session) == ["CAD", "SEK", "USD"]
    apply(session, Changes(withdrawn=("E",)))
    assert queries.currencies(session) == ["CAD", "USD"]


def test_counts_and_withdrawn_products(filled):
    assert queries.counts(filled) == {"products": 4, "withdrawn": 1, "pictures": 7, "unreadable": 1}
    assert queries.withdrawn_product_ids(filled).tolist() == [5]
    apply(filled, Changes(restored=(ITEMS[4],)))
    assert queries.withdrawn_product_ids(filled).tolist() == []


def test_empty_catalog(session):
    assert (queries.gallery_rows(session), queries.snapshot(session)) == ([], {})
    assert queries.counts(session) == dict.fromkeys(("products", "withdrawn", "pictures", "unreadable"), 0)


def test_the_latest_runs_come_first(session):
    session.add_all([IndexRun(state="failed"), IndexRun(state="published", counts={"encoded": 7})])
    session.commit()
    (run,) = queries.latest_runs(session, limit=1)
    assert (run.state, run.counts, run.message) == ("published", {"encoded": 7}, "")


def test_every_import_changes_the_count_of_changes(session):
    """This includes an import that got its id before another one but finished after it."""
    moments = {"started_at": utc_now(), "finished_at": utc_now()}

    def add(**values: int) -> int:
        session.add(FeedImport(feed="feed", state="imported", message="", **moments, **values))
        session.flush()
        return imports.change_count(session)

    seen = [imports.change_count(session), add(), add(), add(import_id=-1)]
    session.execute(delete(FeedImport).where(FeedImport.import_id == -1))  # by a prune
    assert len({*seen, add(import_id=-2)}) == 5


def test_product_by_article_number(session):
    """The article number must belong to exactly one live product."""
    assert not queries.has_article_numbers(session)
    numbers = {"a": "12345678", "b": "00000001", "c": "00000001", "d": None}
    apply(session, Changes(added=tuple(ProductItem(sku, sku, article_number=each) for sku, each in numbers.items())))
    assert queries.has_article_numbers(session)

    def find(number: str) -> str | None:
        card = queries.product_by_article_number(session, number)
        return card.sku if card else None

    assert [find(number) for number in ("12345678", "00000001", "87654321")] == ["a", None, None]
    apply(session, Changes(withdrawn=("a", "b")))
    assert [find(number) for number in ("12345678", "00000001")] == [None, "c"]


def test_job_counts(session):
    moment = {"arguments": {}, "attempts": 0, "worker": "", "progress": {}, "cancel_requested": False, "message": ""}
    states = (("train", "done"), ("train", "done"), ("index", "queued"))
    session.add_all(Job(kind=kind, state=state, created_at=utc_now(), **moment) for kind, state in states)
    session.flush()
    assert sorted(queries.job_counts(session)) == [("index", "queued", 1), ("train", "done", 2)]


@pytest.mark.parametrize(
    "read",
    [
        lambda session: queries.product_by_sku(session, "D"),
        lambda session: queries.products_by_ids(session, [1, 4]),
        lambda session: queries.product_by_article_number(session, "1234"),
        queries.has_article_numbers,
        lambda session: queries.is_picture_public(session, sha("A-front")),
    ],
    ids=["sku", "ids", "article number", "any article number", "picture"],
)
def test_looking_up_a_product_scans_no_table(read, sqlite_engine):
    """However large the catalog is; product D has neither variants nor an article number."""
    with sessionmaker(sqlite_engine)() as session:
        apply(session, Changes(added=ITEMS))
        session.commit()
        statements: list[tuple[str, Any]] = []
        event.listen(sqlite_engine, "before_cursor_execute", lambda *args: statements.append((args[2], args[3])))
        read(session)
        connection = session.connection().connection.driver_connection
        assert connection is not None
        assert statements
        for statement, parameters in statements:
            plan = connection.execute(f"EXPLAIN QUERY PLAN {statement}", parameters).fetchall()
            assert not [step for *_, step in plan if step.startswith("SCAN") and "CONSTANT ROW" not in step]
