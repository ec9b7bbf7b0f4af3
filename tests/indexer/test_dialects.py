"""Feeds in other words than ours: Google Merchant, Shopify, Parquet, gzip, and a mapping file."""

import gzip
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from catalog.items import PLENTY, ProductItem
from indexer.dialects import Mapping, read_mapping
from indexer.feed import read_feed
from vsearch.errors import FeedRejected

MERCHANT = """<?xml version="1.0"?>
<rss xmlns:g="http://base.google.com/ns/1.0" version="2.0"><channel><title>Shop</title>
<item>
  <g:id>S-1</g:id><title>Oak table</title><description>Solid.</description><link>https://shop.example/s-1</link>
  <g:image_link>https://cdn.example/s-1.jpg</g:image_link>
  <g:additional_image_link>https://cdn.example/s-1b.jpg</g:additional_image_link>
  <g:additional_image_link>https://cdn.example/s-1c.jpg</g:additional_image_link>
  <g:price>499.00 EUR</g:price><g:sale_price>399.00 EUR</g:sale_price><g:availability>in_stock</g:availability>
  <g:product_type>Tables &gt; Dining tables</g:product_type><g:color>oak</g:color><g:item_group_id>oak</g:item_group_id>
  <g:product_width>180 cm</g:product_width>
  <g:shipping><g:country>DE</g:country><g:price>9 EUR</g:price></g:shipping>
</item>
<item><g:id>S-2</g:id><title>Lamp</title><g:image_link>https://cdn.example/s-2.jpg</g:image_link>
  <g:price>39 EUR</g:price><g:availability>out of stock</g:availability></item>
</channel></rss>
"""

SHOPIFY = """Handle,Title,Body (HTML),Vendor,Type,Published,Option1 Name,Option1 Value,Variant SKU,\
Variant Inventory Qty,Variant Price,Image Src,Image Position,Variant Image,Status
oak-table,Oak table,"<p>Solid &amp; <b>heavy</b>.</p><ul><li>Oiled</li></ul>",Nord,Tables,true,Colour,Oak,T-OAK,3,\
499.00,https://cdn.example/1.jpg,1,,active
oak-table,,,,,,,Black,,0,529.00,https://cdn.example/2.jpg,2,https://cdn.example/2.jpg,
oak-table,,,,,,,,,,,https://cdn.example/3.jpg,3,,
lamp,Lamp,,Nord,Lamps,true,Title,Default Title,L-1,-2,39,https://cdn.example/l.jpg,1,,active
old,Old chair,,Nord,Chairs,true,Title,Default Title,O-1,1,9,https://cdn.example/o.jpg,1,,archived
"""


def items(folder: Path, name: str, content: str | bytes, **options: Any) -> dict[str, ProductItem]:
    """Return the products of a feed with that content, of which every row must be good."""
    file = folder / name
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    reading = read_feed(file, **options)
    assert reading.errors == ()
    return {item.sku: item for item in reading.items}


def test_a_merchant_feed_in_xml(tmp_path: Path) -> None:
    """Every attribute that we have a place for; the price is the one to be paid, and shipping's is not it."""
    found = items(tmp_path, "feed.xml", MERCHANT)
    assert found["S-1"] == ProductItem(
        sku="S-1",
        title="Oak table",
        description="Solid.",
        category="Tables > Dining tables",
        price_minor=39_900,
        currency="EUR",
        url="https://shop.example/s-1",
        stock=PLENTY,
        attributes={"colour": ("oak",)},
        dimensions={"width": "180 cm"},
        variant_group="oak",
        images=tuple(f"https://cdn.example/s-1{end}.jpg" for end in ("", "b", "c")),
    )
    assert (found["S-2"].stock, found["S-2"].price_minor) == (0, 3_900)


def test_a_merchant_feed_in_a_table(tmp_path: Path) -> None:
    """Names may have blanks and capitals there; more pictures stand in one cell with commas between."""
    head = "ID\ttitle\timage link\tadditional image link\tavailability\tquantity\tproduct type"
    more = "https://cdn.example/b.jpg,https://cdn.example/c.jpg"
    row = f"S-1\tTable\thttps://cdn.example/a,1.jpg\t{more}\tin stock\t7\tTables"
    found = items(tmp_path, "feed.tsv", f"{head}\n{row}\n")["S-1"]
    assert found.images == ("https://cdn.example/a,1.jpg", "https://cdn.example/b.jpg", "https://cdn.example/c.jpg")
    assert (found.stock, found.category) == (7, "Tables")


def test_an_offer_for_a_while_is_not_the_price(tmp_path: Path) -> None:
    """When it ends no feed may come."""
    head = "id,title,image_link,price,sale_price,sale_price_effective_date"
    row = "S,T,https://a.example/a.jpg,9 EUR,5 EUR,2026-11/12"
    assert items(tmp_path, "feed.csv", f"{head}\n{row}\n")["S"].price_minor == 900


def test_a_shopify_export(tmp_path: Path) -> None:
    """Each variant is a product; one with a picture of its own shows that, the others all; what is archived is left."""
    found = items(tmp_path, "feed.csv", SHOPIFY)
    assert set(found) == {"T-OAK", "oak-table-Black", "L-1"}
    oak, black, lamp = found["T-OAK"], found["oak-table-Black"], found["L-1"]
    assert oak.images == tuple(f"https://cdn.example/{n}.jpg" for n in (1, 2, 3))
    assert black.images == ("https://cdn.example/2.jpg",)
    assert (oak.title, oak.brand, oak.category) == ("Oak table Oak", "Nord", "Tables")
    assert oak.description == "Solid & heavy.\nOiled"
    assert (oak.price_minor, black.price_minor) == (49_900, 52_900)
    assert (oak.stock, black.stock, lamp.stock) == (3, 0, 0)
    assert oak.variant_group == black.variant_group == "oak-table"
    assert (lamp.variant_group, lamp.attributes, oak.attributes) == (None, {}, {"colour": ("Oak",)})


def test_newer_names_of_shopify(tmp_path: Path) -> None:
    """The export has had two sets of column names."""
    head = "Title,URL handle,Description,Vendor,Status,SKU,Option1 name,Option1 value,Price,Inventory quantity"
    head += ",Product image URL"
    row = "Lamp,lamp,Bright.,Nord,Active,L-1,Title,Default Title,39,4,https://cdn.example/l.jpg"
    found = items(tmp_path, "feed.csv", f"{head}\n{row}\n")["L-1"]
    assert (found.title, found.stock, found.price_minor, found.description) == ("Lamp", 4, 3_900, "Bright.")


def test_a_parquet_feed(tmp_path: Path) -> None:
    """Floats that pandas made of whole numbers are whole again, and those of 32 bits have no noise."""
    arrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    table = arrow.table(
        {
            "sku": ["A", "B"],
            "title": ["Sofa", "Lamp"],
            "image": [["a.jpg", "b.jpg"], ["c.jpg"]],
            "price": arrow.array([19.99, 5.0], arrow.float32()),
            "stock": arrow.array([3.0, float("nan")], arrow.float64()),
            "currency": ["EUR", None],
        }
    )
    parquet.write_table(table, tmp_path / "written")
    found = items(tmp_path, "feed.parquet", (tmp_path / "written").read_bytes())
    assert [(item.price_minor, item.stock, item.images) for item in found.values()] == [
        (1999, 3, ("a.jpg", "b.jpg")),
        (500, None, ("c.jpg",)),
    ]


@pytest.mark.parametrize(("name", "content"), [("feed.csv", "sku,title,image\nA,Sofa,a.jpg\n"), ("feed.xml", MERCHANT)])
def test_a_compressed_feed_is_read_like_any_other(tmp_path: Path, name: str, content: str) -> None:
    """Gzip is told by the content, so that it need not be in the name."""
    plain = items(tmp_path, name, content)
    assert plain == items(tmp_path, f"{name}.gz", gzip.compress(content.encode()))


@pytest.mark.parametrize("name", ["feed.csv.gz", "feed.jsonl.gz", "feed.xml.gz"])
def test_a_compressed_feed_that_ends_too_early_is_refused(tmp_path: Path, name: str) -> None:
    """What was read till then is not taken."""
    row = {"csv": "A{n},Sofa,a.jpg\n", "jsonl": '{{"sku": "A{n}"}}\n', "xml": "<item><id>{n}</id></item>"}
    kind = name.split(".")[1]
    body = "".join(row[kind].format(n=n) for n in range(5000))
    head = {"csv": "sku,title,image\n", "jsonl": "", "xml": "<rss>"}[kind]
    (tmp_path / name).write_bytes(gzip.compress((head + body).encode())[:-2000])
    with pytest.raises(FeedRejected, match=r"ends too early|must be well-formed"):
        read_feed(tmp_path / name)


def test_no_xml_of_others_is_read(tmp_path: Path) -> None:
    """An entity that names a file stays what it is: nothing."""
    (tmp_path / "secret").write_text("secret")
    head = f'<!DOCTYPE rss [<!ENTITY x SYSTEM "file://{tmp_path}/secret">]>'
    text = (
        f"{head}<rss><item><id>A</id><title>T &x;</title><image_link>https://a.example/a.jpg</image_link></item></rss>"
    )
    (tmp_path / "feed.xml").write_text(text)
    assert "secret" not in str(read_feed(tmp_path / "feed.xml"))


def test_a_mapping_names_columns_and_constants(tmp_path: Path) -> None:
    """Several columns of one are joined as that column wants it."""
    file = tmp_path / "mapping.toml"
    file.write_text(
        '[columns]\nsku = "ArtNr"\ntitle = "Name"\nimages = ["Bild1", "Bild2"]\ncategory = ["Gruppe", "Art"]\n'
        '"attr:colour" = "Farbe"\n[constants]\nbrand = "Nord"\n'
    )
    head = "ArtNr;Name;Bild1;Bild2;Gruppe;Art;Farbe;Lager"
    found = items(tmp_path, "feed.csv", f"{head}\nA;Tisch;a.jpg;;Möbel;Tische;rot;5\n", names=read_mapping(file))["A"]
    assert found == ProductItem(
        "A", "Tisch", brand="Nord", category="Möbel > Tische", attributes={"colour": ("rot",)}, images=("a.jpg",)
    )


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[columns", "must be a TOML file"),
        ('[colums]\nsku = "a"', "has the tables columns and constants.* but in mapping.toml, colums"),
        ('[columns]\nid = "a"', "must name our columns on the left, but mapping.toml has 'id'"),
        ('encoding = "latin-99"', "unknown encoding"),
        ('[columns]\nsku = ["a", "b"]', "mapping.toml joins 'sku'; name one"),
    ],
)
def test_a_mapping_that_is_none_is_refused(tmp_path: Path, text: str, sentence: str) -> None:
    """In one sentence."""
    (tmp_path / "mapping.toml").write_text(text)
    with pytest.raises(FeedRejected, match=sentence):
        read_mapping(tmp_path / "mapping.toml")


def test_a_mapping_must_fit_the_feed(tmp_path: Path) -> None:
    """Else a renamed column would empty every product."""
    (tmp_path / "feed.csv").write_text("ArtNr,Name,Bild\nA,Tisch,a.jpg\n")
    names = Mapping(columns={"sku": "ArtNr", "title": "Titel", "image": "Bild"})
    with pytest.raises(FeedRejected, match="lacks 'Titel'; mend the mapping"):
        read_feed(tmp_path / "feed.csv", names=names)


def test_prices_are_exact_decimals() -> None:
    """What a float of 32 bits shows is what the shop meant."""
    from indexer.parquet import _plain

    assert _plain(19.989999771118164) == Decimal("19.99")
