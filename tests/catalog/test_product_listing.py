"""Lists of products on each database."""

import hashlib

import pytest

from catalog import product_edits, product_listing
from catalog.changes import Changes, ProductItem, apply, mark_unreadable
from catalog.models import FeedImport, Product, ReviewItem, ReviewLabel, utc_now

RED, BLUE = (hashlib.sha256(name.encode()).hexdigest() for name in ("red", "blue"))
SOFA = ProductItem("S-1", "Velvet sofa", brand="Nordhem", category="Sofas > Corner sofas", images=(RED,))
LAMP = ProductItem("L_1", "Lamp", description="Velvet shade", category="Lamps", images=(BLUE,))
ITEMS = (
    SOFA,
    LAMP,
    ProductItem("R-1", "Rug", category="Sofas"),
    ProductItem("B%1", "Bed's end", category="Sofasessel"),
)


@pytest.fixture
def shop(session):
    apply(session, Changes(added=ITEMS))
    apply(session, Changes(withdrawn=("B%1",)))
    product_edits.save(session, "ann", "R-1", "attributes.color", ("red",))
    mark_unreadable(session, {BLUE: "cut short"})
    now = utc_now()
    findings = [{"sku": "S-1", "reason": "price is missing", "line": 2, "kind": "row"}, {"sku": "", "reason": "x"}]
    session.add(FeedImport(feed="f", started_at=now, finished_at=now, state="imported", message="", findings=findings))
    session.flush()
    return session


@pytest.mark.parametrize(
    ("query", "skus"),
    [
        ({}, ["B%1", "L_1", "R-1", "S-1"]),
        ({"words": "velv"}, ["L_1", "S-1"]),
        ({"words": "velv NORDHEM"}, ["S-1"]),
        ({"words": "s-1"}, ["S-1"]),
        ({"words": "_"}, ["L_1"]),
        ({"words": "%"}, ["B%1"]),
        ({"words": "bed's"}, ["B%1"]),
        ({"words": "'; DROP TABLE product; --"}, []),
        ({"category": "Sofas"}, ["R-1", "S-1"]),
        ({"state": "live"}, ["L_1", "R-1", "S-1"]),
        ({"state": "withdrawn"}, ["B%1"]),
        ({"state": "without picture"}, ["L_1", "R-1"]),
        ({"state": "with problem"}, ["L_1", "S-1"]),
        ({"state": "edited"}, ["R-1"]),
        ({"state": "other"}, ["B%1", "L_1", "R-1", "S-1"]),
        ({"words": "velvet", "category": "Sofas", "state": "edited"}, []),
    ],
)
def test_products_are_found(shop, query, skus):
    found, total = product_listing.find(shop, **query)
    assert (sorted(each.sku for each in found), total) == (skus, len(skus))


def test_what_is_listed(shop):
    found, total = product_listing.find(shop, limit=3, offset=1)
    assert (len(found), total) == (3, 4)
    by_sku = {each.sku: each for each in product_listing.find(shop)[0]}
    assert (by_sku["S-1"].image, by_sku["S-1"].problems) == (RED, ("price is missing",))
    assert (by_sku["L_1"].image, by_sku["L_1"].images, by_sku["L_1"].problems) == (None, 1, ("cut short",))
    assert by_sku["R-1"].edited == ("attributes.color",)
    assert by_sku["B%1"].withdrawn
    assert product_listing.categories(shop) == {"Lamps": 1, "Sofas": 1, "Sofas > Corner sofas": 1}


def test_edits_of_several_products_skip_those_that_changed(shop):
    versions = {each.sku: each.updated_at.isoformat() for each in product_listing.find(shop)[0]}
    product_edits.save(shop, "ben", "L_1", "category", "Sofas")
    product_edits.save(shop, "ben", "R-1", "category", "Rugs")
    del versions["B%1"]
    changed, conflicts = product_edits.save_many(shop, "ann", versions, "category", "Sofas")
    assert changed == ["S-1"]
    assert [(each.sku, each.current, each.wanted) for each in conflicts] == [("R-1", "Rugs", "Sofas")]


def test_reviewed_photos_are_those_whose_latest_label_names_the_product(shop):
    now = utc_now()
    sofa = shop.query(Product).filter_by(sku="S-1").one().product_id
    common = {"source": "upload", "state": "labeled", "split": "train", "predicted_class": "", "uncertainty": 0.0}
    common |= {"disagreement": 0.0, "priority": 0.0, "generation_id": "", "created_at": now, "expires_at": now}
    for number, verdicts in enumerate([("product",), ("product", "not ours"), ("not ours", "product")]):
        item = ReviewItem(sha256=f"{number}" * 64, box="", **common)
        shop.add(item)
        shop.flush()
        for verdict in verdicts:
            known = sofa if verdict == "product" else None
            shop.add(
                ReviewLabel(
                    item_id=item.item_id, verdict=verdict, product_id=known, category="", box="",
                    crop_sha256=f"{number}" * 64, account="ann", created_at=now,
                )
            )  # fmt: skip
            shop.flush()
    assert product_listing.reviewed_photos(shop, sofa) == ["2" * 64, "0" * 64]


def test_values_in_a_text_are_split_and_joined():
    values = ("off, white", "red")
    assert product_edits.split_values(" off\\, white,red\n\nred, ") == values
    assert product_edits.split_values(product_edits.join_values(values)) == values
    assert product_edits.split_values(" , ") == ()
