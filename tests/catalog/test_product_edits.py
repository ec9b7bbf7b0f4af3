"""Admins' edits of products on each database, and that imports keep them."""

import hashlib
from dataclasses import replace
from itertools import pairwise

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.orm import sessionmaker

from catalog import audit, product_edits, queries
from catalog.changes import Changes, ProductItem, apply, diff, mark_unreadable
from catalog.models import Image, Product, ProductEdit
from catalog.product_edits import EditConflict, as_in_feed, edited, keep_feed_values, save, undo
from vsearch.core.errors import CatalogError, InvalidRequest

RED, BLUE, GREEN = (hashlib.sha256(name.encode()).hexdigest() for name in ("red", "blue", "green"))
SOFA = ProductItem("S-1", "Sofa", category="Sofas", attributes={"color": ("red",), "style": ("old",)}, images=(RED,))
COLOR = "attributes.color"


@pytest.fixture
def shop(session):
    """A catalog with one sofa."""
    apply(session, Changes(added=(SOFA,)))
    session.commit()
    return session


def item(session) -> ProductItem:
    session.expire_all()
    return queries.snapshot(session)["S-1"]


def import_items(session, *items: ProductItem) -> Changes:
    """Write a feed as an import does, and return the changes."""
    snapshot, edits = queries.snapshot(session), product_edits.by_sku(session)
    changes = diff([edited(each, edits.get(each.sku, {})) for each in items], snapshot)
    apply(session, changes)
    keep_feed_values(session, [each for each in items if each.sku in edits])
    session.commit()
    session.expire_all()
    return changes


def test_edits_are_seen_by_every_query_and_undone(shop):
    product_id, before = shop.scalars(sa.select(Product.product_id)).one(), shop.scalars(sa.select(Product)).one()
    time = before.updated_at
    assert save(shop, "ann", "S-1", "category", "  Beds >Sofa  beds ")
    assert save(shop, "ann", "S-1", COLOR, ("blue", " blue ", "", "white"))
    assert save(shop, "ann", "S-1", "attributes. seats ", ("3",))
    assert save(shop, "ann", "S-1", "attributes.style", ())
    assert save(shop, "ann", "S-1", "images", (BLUE,), sizes={BLUE: (64, 48)})
    attributes = {"color": ("blue", "white"), "seats": ("3",)}
    assert item(shop) == replace(SOFA, category="Beds > Sofa beds", attributes=attributes, images=(RED, BLUE))
    assert shop.scalars(sa.select(Product.updated_at)).one() > time
    assert queries.product_attributes(shop) == {product_id: {name: list(each) for name, each in attributes.items()}}
    assert {row.category for row in queries.gallery_rows(shop)} == {"Beds > Sofa beds"}
    assert queries.picture_sizes(shop) == {BLUE: (64, 48)}
    assert as_in_feed(item(shop), product_edits.by_sku(shop)["S-1"]) == SOFA
    for field in product_edits.by_sku(shop)["S-1"]:
        undo(shop, "ben", "S-1", field)
    assert item(shop) == SOFA
    assert product_edits.by_sku(shop) == {}
    first, *_, last = reversed(audit.latest(shop, 100))
    assert (first.account, first.action, first.target) == ("ann", "edit product", "S-1")
    assert first.details == {"field": "category", "before": "Sofas", "after": "Beds > Sofa beds"}
    assert last.account == "ben"


def test_saving_the_value_that_is_there_changes_nothing(shop):
    assert not save(shop, "ann", "S-1", COLOR, ("red",), shown=("any",))
    assert product_edits.by_sku(shop) == {}
    assert audit.latest(shop, 1) == []


def test_saving_the_value_of_the_feed_undoes_an_edit(shop):
    save(shop, "ann", "S-1", "category", "Beds")
    save(shop, "ann", "S-1", "category", "Sofas")
    assert product_edits.by_sku(shop) == {}
    with pytest.raises(InvalidRequest, match="nothing to undo"):
        undo(shop, "ann", "S-1", "category")


def test_of_two_admins_the_second_does_not_overwrite_the_first(shop):
    save(shop, "ann", "S-1", "category", "Beds", shown="Sofas")
    with pytest.raises(EditConflict) as caught:
        save(shop, "ben", "S-1", "category", "Chairs", shown="Sofas")
    assert (caught.value.shown, caught.value.current, caught.value.wanted) == ("Sofas", "Beds", "Chairs")
    with pytest.raises(EditConflict):
        undo(shop, "ben", "S-1", "category", shown="Sofas")
    assert item(shop).category == "Beds"
    save(shop, "ben", "S-1", COLOR, ("blue",), shown=("red",))  # another field
    save(shop, "ben", "S-1", "images", (BLUE,), shown=())
    with pytest.raises(EditConflict):
        save(shop, "ann", "S-1", "images", (GREEN,), shown=())
    save(shop, "ann", "S-1", "images", (BLUE, GREEN), shown=(BLUE,))
    assert item(shop).images == (RED, BLUE, GREEN)


def test_the_next_feed_does_not_undo_edits(shop):
    save(shop, "ann", "S-1", "category", "Beds")
    save(shop, "ann", "S-1", COLOR, ())
    save(shop, "ann", "S-1", "images", (BLUE,))
    shop.commit()
    ids = set(shop.scalars(sa.select(Image.image_id)))
    assert import_items(shop, SOFA) == Changes(unchanged=1)
    new = replace(SOFA, category="Couches", attributes={"color": ("green",), "style": ("new",)}, images=(GREEN, RED))
    assert len(import_items(shop, new).changed) == 1
    assert item(shop) == replace(new, category="Beds", attributes={"style": ("new",)}, images=(GREEN, RED, BLUE))
    assert ids < set(shop.scalars(sa.select(Image.image_id)))
    assert import_items(shop, new) == Changes(unchanged=1)
    for field in ("category", COLOR, "images"):
        undo(shop, "ann", "S-1", field)
    assert item(shop) == new


def test_a_feed_that_catches_up_keeps_the_edit_until_it_is_undone(shop):
    save(shop, "ann", "S-1", "category", "Beds")
    assert import_items(shop, replace(SOFA, category="Beds")) == Changes(unchanged=1)
    assert import_items(shop, SOFA) == Changes(unchanged=1)
    assert item(shop).category == "Beds"
    import_items(shop, replace(SOFA, category="Beds"))
    undo(shop, "ann", "S-1", "category")
    assert product_edits.by_sku(shop) == {}


def test_an_edited_product_is_withdrawn_and_restored_with_its_edits(shop):
    save(shop, "ann", "S-1", "images", (BLUE,))
    assert import_items(shop).withdrawn == ("S-1",)
    save(shop, "ann", "S-1", "category", "Beds")
    assert len(import_items(shop, SOFA).restored) == 1
    assert item(shop) == replace(SOFA, category="Beds", images=(RED, BLUE))


def test_added_images_are_listed_and_counted(shop):
    counts = [product_edits.change_count(shop)]
    assert product_edits.added_images(shop) == set()
    for value in ((BLUE,), (BLUE, GREEN), ()):
        save(shop, "ann", "S-1", "images", value)
        counts.append(product_edits.change_count(shop))
        assert product_edits.added_images(shop) == set(value)
    assert all(before != after for before, after in pairwise(counts))


def test_an_image_of_the_feed_that_was_added_too_is_stored_once(shop):
    save(shop, "ann", "S-1", "images", (RED, BLUE))
    mark_unreadable(shop, {BLUE: "cut short"})
    assert item(shop).images == (RED, BLUE)
    undo(shop, "ann", "S-1", "images")
    assert item(shop).images == (RED,)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("title", "New"),
        ("category", ("Beds",)),
        ("category", "Beds > > Low"),
        ("category", "Bed\x00s"),
        ("category", "x" * 201),
        (COLOR, "red"),
        (COLOR, ("x" * 201,)),
        (COLOR, tuple(map(str, range(51)))),
        ("attributes. ", ("red",)),
        ("images", tuple(map(str, range(51)))),
    ],
)
def test_unacceptable_values_are_refused(shop, field, value):
    with pytest.raises(InvalidRequest):
        save(shop, "ann", "S-1", field, value)
    assert item(shop) == SOFA


def test_an_unknown_product_and_too_many_edits_are_refused(shop):
    with pytest.raises(CatalogError):
        save(shop, "ann", "S-2", "category", "Beds")
    for number in range(50):
        save(shop, "ann", "S-1", f"attributes.{number}", ("x",))
    with pytest.raises(InvalidRequest, match="edited fields"):
        save(shop, "ann", "S-1", "attributes.50", ("x",))
    save(shop, "ann", "S-1", "attributes.1", ("y",))


def test_an_undone_value_of_the_feed_may_exceed_what_admins_may_write(shop):
    long = replace(SOFA, category="x" * 300)
    save(shop, "ann", "S-1", "category", "Beds")
    import_items(shop, long)
    undo(shop, "ann", "S-1", "category")
    assert item(shop) == long


SKUS = ("A", "B")
VALUES = st.sampled_from([(), ("red",), ("red", "blue")])
PICTURES = st.sampled_from([(), (RED,), (BLUE, RED), (GREEN,)])
ATTRIBUTES = st.fixed_dictionaries({}, optional={"color": VALUES.filter(bool), "style": VALUES.filter(bool)})


def items(sku: str) -> st.SearchStrategy[ProductItem]:
    fields = {"category": st.sampled_from(["", "Sofas", "Beds"]), "attributes": ATTRIBUTES, "images": PICTURES}
    return st.builds(ProductItem, sku=st.just(sku), title=st.just("Sofa"), **fields)


FEEDS = st.tuples(*(st.none() | items(sku) for sku in SKUS)).map(lambda found: [each for each in found if each])
CHANGES = st.tuples(
    st.sampled_from(SKUS),
    st.one_of(
        st.tuples(st.just("category"), st.sampled_from(["", "Sofas", "Lamps"])),
        st.tuples(st.sampled_from([COLOR, "attributes.style"]), VALUES),
        st.tuples(st.just("images"), PICTURES),
    ),
)
STEPS = st.lists(st.one_of(FEEDS, CHANGES), max_size=8)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(steps=STEPS)
def test_a_catalog_without_edits_equals_the_last_feed(sqlite_engine, steps):
    """After any feeds and edits: each row is the feed's with the edits, and undoing them all restores the feed's."""
    feed = {sku: ProductItem(sku, "Sofa", category="Sofas") for sku in SKUS}
    with sessionmaker(sqlite_engine)() as session:
        session.execute(sa.delete(ProductEdit))
        import_items(session, *feed.values())
        for step in steps:
            if isinstance(step, list):
                import_items(session, *step)
                live = {each.sku for each in step}
                feed = {sku: replace(each, withdrawn=sku not in live) for sku, each in feed.items()}
                feed |= {each.sku: each for each in step}
            else:
                sku, (field, value) = step
                save(session, "ann", sku, field, value)
                session.commit()
            edits = product_edits.by_sku(session)
            snapshot = queries.snapshot(session)
            assert snapshot == {sku: edited(each, edits.get(sku, {})) for sku, each in feed.items()}
        for sku, fields in product_edits.by_sku(session).items():
            for field in fields:
                undo(session, "ann", sku, field)
        session.expire_all()
        assert queries.snapshot(session) == feed
        assert product_edits.by_sku(session) == {}
