from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from catalog.changes import Changes, ProductItem, diff

Snapshot = dict[str, ProductItem]

SKUS = st.sampled_from(["A", "B", "C", "D", "E"])
ITEMS = st.builds(
    ProductItem,
    sku=SKUS,
    title=st.sampled_from(["Sofa", "Lamp"]),
    price_minor=st.sampled_from([None, 0, 100]),
    attributes=st.sampled_from([{}, {"colour": ("red",)}]),
    images=st.sampled_from([(), ("1",), ("1", "2"), ("2", "1")]),
)
FEEDS = st.lists(ITEMS, unique_by=lambda item: item.sku)
SNAPSHOTS = st.lists(st.builds(replace, ITEMS, withdrawn=st.booleans()), unique_by=lambda item: item.sku).map(
    lambda items: {item.sku: item for item in items}
)


def applied(snapshot: Snapshot, changes: Changes) -> Snapshot:
    """Return the snapshot after the changes, as `catalog.changes.apply` makes it in SQL."""
    written = {item.sku: item for item in (*changes.added, *changes.changed, *changes.restored)}
    gone = {sku: replace(snapshot[sku], withdrawn=True) for sku in changes.withdrawn}
    return {**snapshot, **written, **gone}


@given(feed=FEEDS, snapshot=SNAPSHOTS, keep=st.sets(SKUS))
def test_applying_the_difference_leaves_none(feed: list[ProductItem], snapshot: Snapshot, keep: set[str]) -> None:
    after = applied(snapshot, diff(feed, snapshot, keep))
    again = diff(feed, after, keep)
    assert not again
    assert again.unchanged == len(feed)
    assert {item.sku: item for item in feed}.items() <= after.items()


@given(feed=FEEDS, snapshot=SNAPSHOTS, keep=st.sets(SKUS))
def test_every_product_has_one_place(feed: list[ProductItem], snapshot: Snapshot, keep: set[str]) -> None:
    changes = diff(feed, snapshot, keep)
    written = [item.sku for item in (*changes.added, *changes.changed, *changes.restored)]
    assert len(written) + changes.unchanged == len(feed)
    assert len({*written, *changes.withdrawn}) == len(written) + len(changes.withdrawn)
    assert not keep & set(changes.withdrawn)


def test_each_kind_of_change() -> None:
    sofa, lamp, rug, bed = (ProductItem(sku, sku.title()) for sku in ("sofa", "lamp", "rug", "bed"))
    snapshot = {
        "sofa": sofa,
        "lamp": lamp,
        "rug": replace(rug, withdrawn=True),
        "desk": ProductItem("desk", "Desk"),
        "gone": ProductItem("gone", "Gone", withdrawn=True),
        "kept": ProductItem("kept", "Kept"),
    }
    feed = [sofa, replace(lamp, stock=0), rug, bed]
    assert diff(feed, snapshot, keep={"kept"}) == Changes(
        added=(bed,), changed=(replace(lamp, stock=0),), restored=(rug,), withdrawn=("desk",), unchanged=1
    )


def test_the_order_of_pictures_is_a_change() -> None:
    before = ProductItem("A", "Sofa", images=("1", "2"))
    assert diff([replace(before, images=("2", "1"))], {"A": before})
