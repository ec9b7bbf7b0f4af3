import hashlib
from dataclasses import replace
from datetime import datetime

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from catalog import queries
from catalog.changes import Changes, ProductItem, apply, mark_unreadable
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


def image_ids(session: Session, sku: str) -> dict[str, int]:
    """Return the ids of a product's pictures by sha256."""
    rows = session.execute(sa.select(Image.sha256, Image.image_id).join(Product).where(Product.sku == sku))
    return {row.sha256: row.image_id for row in rows}


def updated_at(session: Session) -> dict[str, datetime]:
    """Return when each product was last written, by sku."""
    return {row.sku: row.updated_at for row in session.execute(sa.select(Product.sku, Product.updated_at))}


def test_an_added_product_is_read_back_whole(session: Session) -> None:
    apply(session, Changes(added=(SOFA, LAMP)), sizes={RED: (640, 480)})
    session.commit()
    assert queries.snapshot(session) == {"S-1": SOFA, "L-1": LAMP}
    assert queries.picture_sizes(session) == {RED: (640, 480)}


def test_a_changed_product_keeps_its_id_and_the_ids_of_pictures_it_keeps(session: Session) -> None:
    apply(session, Changes(added=(SOFA,)))
    session.commit()
    product_id, before = session.scalars(sa.select(Product.product_id)).one(), image_ids(session, "S-1")
    changed = replace(SOFA, title="Kivik", images=(GREEN, RED), attributes={}, stock=None)
    apply(session, Changes(changed=(changed,)))
    session.commit()
    after = image_ids(session, "S-1")
    assert queries.snapshot(session) == {"S-1": changed}
    assert session.scalars(sa.select(Product.product_id)).one() == product_id
    assert after.keys() == {RED, GREEN}
    assert after[RED] == before[RED]
    assert after[GREEN] > max(before.values())


def test_the_id_of_a_dropped_picture_is_never_given_again(session: Session) -> None:
    apply(session, Changes(added=(replace(SOFA, images=(RED, BLUE)),)))
    session.commit()
    last = max(image_ids(session, "S-1").values())
    apply(session, Changes(changed=(replace(SOFA, images=(RED,)),)))
    session.commit()
    apply(session, Changes(changed=(replace(SOFA, images=(RED, GREEN)),)))
    session.commit()
    assert image_ids(session, "S-1")[GREEN] > last


def test_a_withdrawn_product_stays_in_sql_and_can_come_back(session: Session) -> None:
    apply(session, Changes(added=(SOFA,)))
    session.commit()
    before = image_ids(session, "S-1")
    apply(session, Changes(withdrawn=("S-1",)))
    session.commit()
    assert queries.snapshot(session) == {"S-1": replace(SOFA, withdrawn=True)}
    apply(session, Changes(restored=(SOFA,)))
    session.commit()
    assert queries.snapshot(session) == {"S-1": SOFA}
    assert image_ids(session, "S-1") == before


def test_only_what_changed_gets_a_new_moment(session: Session) -> None:
    apply(session, Changes(added=(SOFA, LAMP)))
    session.commit()
    before = updated_at(session)
    apply(session, Changes(changed=(replace(LAMP, stock=1),), unchanged=1))
    session.commit()
    after = updated_at(session)
    assert after["S-1"] == before["S-1"]
    assert after["L-1"] > before["L-1"]


def test_nothing_is_kept_when_one_product_cannot_be_written(session: Session) -> None:
    with pytest.raises(IntegrityError):
        apply(session, Changes(added=(SOFA, LAMP, replace(LAMP, title="Same number again"))))
    session.rollback()
    assert queries.snapshot(session) == {}


def test_an_unreadable_picture_leaves_the_gallery(session: Session) -> None:
    apply(session, Changes(added=(SOFA, replace(LAMP, images=(RED,)))))
    mark_unreadable(session, {RED: "cut short"})
    session.commit()
    assert [(row.sku, row.sha256) for row in queries.gallery_rows(session)] == [("S-1", BLUE)]
    assert queries.counts(session).unreadable == 2


def test_no_changes_are_falsy() -> None:
    assert not Changes(unchanged=3)
    assert Changes(withdrawn=("S-1",))
