import hashlib
from dataclasses import replace

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, sessionmaker

from catalog import queries
from catalog.changes import Changes, ProductItem, apply, diff, mark_unreadable
from catalog.models import Image, Product

RED, BLUE, GREEN = (hashlib.sha256(name.encode()).hexdigest() for name in ("red", "blue", "green"))
SOFA = ProductItem(
    sku="S-1",
    title="Kivik sofa",
    brand="Kivik",
    description="Three seats.\nRemovable cover.",
    category="Sofas > Corner sofas",
    price_minor=49_900,
    currency="EUR",
    url="https://shop.example/s-1",
    stock=3,
    attributes={"colour": ("red", "white")},
    dimensions={"width": "180 cm"},
    variant_group="kivik",
    images=(RED, BLUE),
)
LAMP = ProductItem(sku="L-1", title="Lamp", images=(GREEN,))


def commit(session: Session, **changes: tuple[ProductItem, ...] | tuple[str, ...]) -> None:
    apply(session, Changes(**changes), sizes={RED: (640, 480)})  # type: ignore[arg-type]
    session.commit()


def image_ids(session: Session, sku: str) -> dict[str, int]:
    """Return the ids of a product's images by sha256."""
    rows = session.execute(sa.select(Image.sha256, Image.image_id).join(Product).where(Product.sku == sku))
    return {row.sha256: row.image_id for row in rows}


def test_an_added_product_is_read_back_complete(session):
    commit(session, added=(SOFA, LAMP))
    assert queries.snapshot(session) == {"S-1": SOFA, "L-1": LAMP}
    assert queries.picture_sizes(session) == {RED: (640, 480)}


def test_a_changed_product_keeps_its_id_and_the_ids_of_images_it_keeps(session):
    """The id of a removed image is never reused, since a published index may still contain it."""
    commit(session, added=(SOFA,))
    product_id, before = session.scalars(sa.select(Product.product_id)).one(), image_ids(session, "S-1")
    commit(session, changed=(replace(SOFA, images=(RED,)),))
    changed = replace(SOFA, title="Kivik", images=(GREEN, RED), attributes={}, stock=None)
    commit(session, changed=(changed,))
    after = image_ids(session, "S-1")
    assert queries.snapshot(session) == {"S-1": changed}
    assert session.scalars(sa.select(Product.product_id)).one() == product_id
    assert (after.keys(), after[RED]) == ({RED, GREEN}, before[RED])
    assert after[GREEN] > max(before.values())


def test_a_withdrawn_product_stays_in_sql_and_can_be_restored(session):
    commit(session, added=(SOFA,))
    before = image_ids(session, "S-1")
    commit(session, withdrawn=("S-1",))
    assert queries.snapshot(session) == {"S-1": replace(SOFA, withdrawn=True)}
    commit(session, restored=(SOFA,))
    assert queries.snapshot(session) == {"S-1": SOFA}
    assert image_ids(session, "S-1") == before


def test_only_changed_products_get_a_new_time(session):
    def updated_at():
        return [*session.execute(sa.select(Product.updated_at).order_by(Product.sku)).scalars()]

    commit(session, added=(SOFA, LAMP))
    lamp, sofa = updated_at()
    commit(session, changed=(replace(LAMP, stock=1),))
    assert updated_at()[0] > lamp
    assert updated_at()[1] == sofa


def test_nothing_is_kept_if_one_product_cannot_be_written(session):
    with pytest.raises(IntegrityError):
        apply(session, Changes(added=(SOFA, LAMP, replace(LAMP, title="Same sku"))))
    session.rollback()
    assert queries.snapshot(session) == {}


def test_an_unreadable_image_leaves_the_gallery(session):
    apply(session, Changes(added=(SOFA, replace(LAMP, images=(RED,)))))
    mark_unreadable(session, {RED: "cut short"})
    session.commit()
    assert [(row.sku, row.sha256) for row in queries.gallery_rows(session)] == [("S-1", BLUE)]
    assert queries.counts(session)["unreadable"] == 2


SKUS = st.sampled_from(["A", "B", "C", "D", "E"])
ITEMS = st.builds(
    ProductItem,
    sku=SKUS,
    title=st.sampled_from(["Sofa", "Lämp 'n' \"rug\""]),
    price_minor=st.sampled_from([None, 0, 10**14]),
    stock=st.sampled_from([None, 0, 2**31 - 1]),
    attributes=st.sampled_from([{}, {"colour": ("red", "blue")}]),
    dimensions=st.sampled_from([{}, {"width": "1 cm"}]),
    variant_group=st.sampled_from([None, "g"]),
    images=st.lists(st.sampled_from([RED, BLUE, GREEN]), unique=True).map(tuple),
)
FEEDS = st.lists(ITEMS, unique_by=lambda item: item.sku)


def test_each_kind_of_change():
    sofa, lamp, rug, bed = (ProductItem(sku, sku.title()) for sku in ("sofa", "lamp", "rug", "bed"))
    snapshot = {
        "sofa": sofa,
        "lamp": lamp,
        "rug": replace(rug, withdrawn=True),
        **{sku: ProductItem(sku, "") for sku in ("desk", "kept")},
        "gone": ProductItem("gone", "Gone", withdrawn=True),
    }
    feed = [sofa, replace(lamp, stock=0), rug, bed]
    changes = diff(feed, snapshot, keep={"kept"})
    assert changes == Changes((bed,), (replace(lamp, stock=0),), (rug,), withdrawn=("desk",), unchanged=1)
    assert not Changes(unchanged=3)
    reordered = ProductItem("A", "Sofa", images=("2", "1"))
    assert diff([reordered], {"A": replace(reordered, images=("1", "2"))}).changed == (reordered,)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(feeds=st.lists(FEEDS, min_size=2, max_size=3))
def test_the_catalog_equals_the_last_feed(sqlite_engine, feeds):
    with sessionmaker(sqlite_engine)() as session:
        for items in feeds:
            changes = diff(items, queries.snapshot(session))
            written = len(changes.added) + len(changes.changed) + len(changes.restored)
            assert written + changes.unchanged == len(items)
            apply(session, changes)
            session.commit()
            session.expire_all()
            snapshot = queries.snapshot(session)
            assert not diff(items, snapshot)
            live = [item for item in snapshot.values() if not item.withdrawn]
            assert live == sorted(items, key=lambda item: item.sku)
