"""Feeds in other words than ours: Google Merchant, Shopify, Parquet, gzip, and a mapping file."""

import gzip
from pathlib import Path
from typing import Any

import pytest

from catalog.changes import UNCOUNTED_STOCK, ProductItem
from indexer.feed.column_mapping import ColumnMapping, read_mapping
from indexer.feed.field_parsers import split_addresses
from indexer.feed.reader import read_feed
from vsearch.core.errors import FeedRejected

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
    found = items(tmp_path, "feed.xml", MERCHANT)
    assert found["S-1"] == ProductItem(
        sku="S-1",
        title="Oak table",
        description="Solid.",
        category="Tables > Dining tables",
        price_minor=39_900,
        currency="EUR",
        url="https://shop.example/s-1",
        stock=UNCOUNTED_STOCK,
        attributes={"colour": ("oak",)},
        dimensions={"width": "180 cm"},
        variant_group="oak",
        images=tuple(f"https://cdn.example/s-1{end}.jpg" for end in ("", "b", "c")),
    )
    assert (found["S-2"].stock, found["S-2"].price_minor) == (0, 3_900)


PRODUCT = """{item}<id>https://shop.example/1</id><g:id>00123</g:id><g:title>Table &amp;amp; Chair</g:title>
<title>Other</title><description>&lt;p&gt;Soft&lt;/p&gt;</description><link rel="self" href="https://shop.example/feed"/>
<link href="https://shop.example/p/1"/><g:image_link>a.jpg</g:image_link><g:price>15 EUR</g:price>
<m:title>Media</m:title><m:price>1 EUR</m:price>
<g:shipping><g:price>9 EUR</g:price><g:item><g:id>no</g:id></g:item></g:shipping>{end}"""
SPACES = 'xmlns:m="http://search.yahoo.com/mrss/"'


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(
            f'<feed xmlns="http://www.w3.org/2005/Atom" xmlns:g="http://base.google.com/ns/1.0" {SPACES}>'
            + PRODUCT.format(item="<entry>", end="</entry></feed>"),
            id="Atom",
        ),
        pytest.param(
            f'<rss xmlns:g="http://base.google.com/ns/1.0" {SPACES}>'
            + PRODUCT.format(item="<item>", end="</item></rss>"),
            id="RSS",
        ),
        pytest.param(
            f'<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns="http://purl.org/rss/1.0/" '
            f'xmlns:x="https://base.google.com/ns/1.0/" {SPACES}>'
            + PRODUCT.replace("g:", "x:").format(item="<item>", end="</item></rdf:RDF>"),
            id="RSS 1.0, a default namespace and another prefix",
        ),
        pytest.param(
            f'<rss xmlns="http://base.google.com/ns/1.0" xmlns:a="http://www.w3.org/2005/Atom" {SPACES}>'
            + PRODUCT.replace("<id>https://shop.example/1</id>", "<a:id>x</a:id>")
            .replace("<title>Other</title>", "<a:title>Other</a:title>")
            .replace("g:", "")
            .format(item="<item>", end="</item></rss>"),
            id="merchant attributes in the default namespace",
        ),
        pytest.param(
            f"<rss {SPACES}>" + PRODUCT.format(item="<item>", end="</item></rss>"), id="a prefix that nobody declared"
        ),
        pytest.param(
            "<rss>"
            + PRODUCT.replace("<id>https://shop.example/1</id>", "")
            .replace("<title>Other</title>", "")
            .replace("<m:title>Media</m:title><m:price>1 EUR</m:price>", "")
            .replace("g:", "")
            .format(item="<item>", end="</item></rss>"),
            id="no namespaces",
        ),
    ],
)
def test_namespaces_of_a_merchant_feed_count(tmp_path: Path, text: str) -> None:
    assert items(tmp_path, "feed.xml", text) == {
        "00123": ProductItem(
            "00123",
            "Table & Chair",
            description="Soft",
            price_minor=1_500,
            currency="EUR",
            url="https://shop.example/p/1",
            images=("a.jpg",),
        )
    }


@pytest.mark.parametrize("encoding", ["ISO-8859-1", "UTF-16", "UTF-8"])
def test_xml_says_its_encoding_itself(tmp_path: Path, encoding: str) -> None:
    text = (
        f'<?xml version="1.0" encoding="{encoding}"?><rss xmlns:g="http://base.google.com/ns/1.0"><item><g:id>\u00c41'
    )
    text += "</g:id><g:title>S\u00f6fa</g:title><g:image_link>http://a.example/\u00f6.jpg</g:image_link></item></rss>"
    item = items(tmp_path, "feed.xml", text.encode(encoding))["\u00c41"]
    assert (item.title, item.images) == ("S\u00f6fa", ("http://a.example/%C3%B6.jpg",))


@pytest.mark.parametrize("end", ["</item>", "</item></rs", "&shop;</item></rss>", "R&D</item></rss>"])
def test_xml_that_is_not_well_formed_is_refused(tmp_path: Path, end: str) -> None:
    (tmp_path / "feed.xml").write_text(f"<rss><item><g:id>1</g:id><title>T</title>{end}")
    with pytest.raises(FeedRejected, match=r"feed\.xml is not well-formed XML \((?!Namespace)"):
        read_feed(tmp_path / "feed.xml")


@pytest.mark.parametrize("padding", [0, 1, 32_700, 32_760, 65_520])
def test_names_of_html_in_xml(tmp_path: Path, padding: int) -> None:
    text = f"<rss><!-- {'x' * padding} --><item><id>1</id><image_link>a.jpg</image_link>"
    text += "<title>S&ouml;fa&nbsp;&lt;L&gt; &amp;amp;&euro;&NotEqualTilde;</title></item></rss>"
    assert items(tmp_path, "feed.xml", text)["1"].title == "S\u00f6fa <L> &\u20ac\u2242\u0338"


def test_blank_lines_above_xml(tmp_path: Path) -> None:
    text = "\ufeff\r\n\n" + MERCHANT
    assert list(items(tmp_path, "feed.xml", text)) == ["S-1", "S-2"]


def test_a_control_character_in_xml_makes_one_row_bad(tmp_path: Path) -> None:
    (tmp_path / "feed.xml").write_text(MERCHANT.replace("Oak", "Oak\x0b"))
    reading = read_feed(tmp_path / "feed.xml")
    assert [item.sku for item in reading.items] == ["S-2"]
    assert [(error.sku, "control characters" in error.reason) for error in reading.errors] == [("S-1", True)]


def test_markup_that_is_not_escaped_in_xml(tmp_path: Path) -> None:
    text = (
        "<rss><item><id>A<!-- 1 --></id><title>Sofa <b>red</b> &amp; warm</title>"
        "<description><div><p>One</p><p>Two</p></div><![CDATA[<p>Three</p>]]></description>"
        "<image_link>a.jpg</image_link></item></rss>"
    )
    item = items(tmp_path, "feed.xml", text)["A"]
    assert (item.title, item.description) == ("Sofa red & warm", "One\nTwo\nThree")


@pytest.mark.parametrize(
    ("twice", "first", "second"),
    [
        ("price", "1 EUR", "2 EUR"),
        ("availability", "in stock", "out of stock"),
        ("brand", "A", "B"),
        ("link", "https://a.example/1", "https://a.example/2"),
    ],
)
def test_an_attribute_that_is_there_twice_and_not_the_same(tmp_path: Path, twice: str, first: str, second: str) -> None:
    rows = [f"1\tT\ta.jpg\t{first}\t{second}", f"2\tT\ta.jpg\t{first}\t{first}", f"3\tT\ta.jpg\t\t{second}"]
    (tmp_path / "feed.tsv").write_text("\n".join([f"id\ttitle\timage_link\t{twice}\t{twice}", *rows]))
    reading = read_feed(tmp_path / "feed.tsv")
    assert ([item.sku for item in reading.items], [error.line for error in reading.errors]) == (["2", "3"], [2])


def test_a_merchant_feed_with_more_columns_of_pictures(tmp_path: Path) -> None:
    head = "id\ttitle\timage_link\tadditional_image_link\tadditional image link\tadditional_image_link\n"
    row = "1\tA\thttps://a.example/a.jpg\thttps://a.example/b.jpg\t\thttps://a.example/c.jpg,https://a.example/b.jpg\n"
    found = items(tmp_path, "feed.tsv", head + row)["1"].images
    assert found == tuple(f"https://a.example/{name}.jpg" for name in "abc")


@pytest.mark.parametrize(
    ("available", "pieces", "stock"),
    [
        ("in stock", "7", 7),
        ("available for order", "", UNCOUNTED_STOCK),
        ("https://schema.org/InStock", "", UNCOUNTED_STOCK),
        ("discontinued", "7", 0),
        ("out_of_stock", "7", 0),
        ("sometimes", "", None),
    ],
)
def test_a_catalogue_of_facebook(tmp_path: Path, available: str, pieces: str, stock: int | None) -> None:
    text = (
        "# Required | A unique ID,# Required | The title,,,,\n"
        "id,title,availability,quantity_to_sell_on_facebook,image_link,additional_image_link\n"
        f'A,Sofa,{available},{pieces},"a,1.jpg","b.jpg,c.jpg"\n'
    )
    found = items(tmp_path, "feed.csv", text)["A"]
    assert (found.stock, found.images) == (stock, ("a,1.jpg", "b.jpg", "c.jpg"))


def test_a_merchant_feed_in_a_table(tmp_path: Path) -> None:
    head = "ID\ttitle\timage link\tadditional image link\tavailability\tquantity\tproduct type"
    more = "https://cdn.example/b.jpg,https://cdn.example/c.jpg"
    row = f"S-1\tTable\thttps://cdn.example/a,1.jpg\t{more}\tin stock\t7\tTables"
    found = items(tmp_path, "feed.tsv", f"{head}\n{row}\n")["S-1"]
    assert found.images == ("https://cdn.example/a,1.jpg", "https://cdn.example/b.jpg", "https://cdn.example/c.jpg")
    assert (found.stock, found.category) == (7, "Tables")


@pytest.mark.parametrize(
    ("sale", "minor"), [("399.00 EUR", 39_900), ("1.299,00 EUR", 129_900), ("0.00 EUR", 149_900), ("", 149_900)]
)
def test_an_offer_is_the_price(tmp_path: Path, sale: str, minor: int) -> None:
    text = f"id\ttitle\timage_link\tprice\tsale_price\nS\tSofa\thttps://a.example/a.jpg\t1,499.00 EUR\t{sale}\n"
    assert items(tmp_path, "feed.tsv", text)["S"].price_minor == minor


SHOPIFY_PRICE = "Handle,Title,Image Src,Variant SKU,Variant Price\nsofa,Sofa,https://a.example/a.jpg,S,{price}\n"
TABLES = [
    ("feed.tsv", "id\ttitle\timage_link\tprice\nS\tSofa\thttps://a.example/a.jpg\t{price}\n"),
    (
        "feed.xml",
        "<rss><item><id>S</id><title>Sofa</title><price>{price}</price><image_link>https://a.example/a.jpg</image_link>"
        "</item></rss>",
    ),
    ("shopify.csv", SHOPIFY_PRICE.replace("{price}", '"{price}"')),
    ("feed.csv", 'sku,title,image,price\nS,Sofa,a.jpg,"{price}"\n'),
    ("feed.jsonl", '{{"sku": "S", "title": "Sofa", "image": "a.jpg", "price": "{price}"}}\n'),
]


@pytest.mark.parametrize(("name", "content"), TABLES)
def test_every_feed_reads_prices_alike(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).write_text(content.format(price="2,300 USD"))
    (error,) = read_feed(tmp_path / name).errors
    assert "price '2,300 USD' is ambiguous; write 2300.00 or 2.30, or state" in error.reason
    for stated, minor in (("thousands", 230_000), ("decimal", 230)):
        (tmp_path / "mapping.toml").write_text(f'[prices]\n{stated} = ","\n')
        (item,) = read_feed(tmp_path / name, mapping=read_mapping(tmp_path / "mapping.toml")).items
        assert (item.price_minor, item.currency) == (minor, "USD")
    found = items(tmp_path, name, content.format(price="2,300.00 USD"))["S"]
    assert (found.price_minor, found.currency) == (230_000, "USD")


@pytest.mark.parametrize(
    ("written", "minor"), [("19.9", 1_990), ("1.290", 129), ("123456.78", 12_345_678), ("1e3", 100_000)]
)
def test_numbers_of_json_are_exact(tmp_path: Path, written: str, minor: int) -> None:
    line = f'{{"sku": "S", "title": "Sofa", "image": "a.jpg", "price": {written}}}\n'
    assert items(tmp_path, "feed.jsonl", line)["S"].price_minor == minor


def test_an_offer_for_a_while_is_not_the_price(tmp_path: Path) -> None:
    head = "id,title,image_link,price,sale_price,sale_price_effective_date"
    row = "S,T,https://a.example/a.jpg,9 EUR,5 EUR,2026-11/12"
    assert items(tmp_path, "feed.csv", f"{head}\n{row}\n")["S"].price_minor == 900


def test_a_shopify_export(tmp_path: Path) -> None:
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


HANDLE = "a-very-long-handle-that-shopify-made-of-the-title-of-a-corner-sofa-with-chaise-longue"


@pytest.mark.parametrize("side", ["left", "right"])
def test_a_long_key_of_shopify_is_shortened_for_good(tmp_path: Path, side: str) -> None:
    head = "Handle,Title,Option1 Name,Option1 Value,Variant SKU,Variant Price,Image Src\n"
    rows = f"{HANDLE}-{side},Sofa,Size,S,,9,a.jpg\n{HANDLE}-{side},,Size,L\u00a0\u200bXL,,9,\n"
    rows += f"lamp,Lamp,Title,Default Title,{'x' * 65},9,b.jpg\n"
    found = items(tmp_path, "feed.csv", head + rows)
    digests = {"left": ["e6a", "a63"], "right": ["ed6", "f45"]}[side]
    keys = list(found)
    assert [len(key) for key in keys] == [64, 64, 64]
    assert [key[:48] for key in keys] == [HANDLE[:47] + "-"] * 2 + ["x" * 47 + "-"]
    assert len({*keys}) == 3
    assert [key[48:51] for key in keys[:2]] == digests
    assert found[keys[0]].variant_group == found[keys[1]].variant_group
    assert side not in (found[keys[0]].variant_group or "")


def test_a_column_of_shopify_that_is_there_twice(tmp_path: Path) -> None:
    head = "Handle,Title,Variant Price,Variant Price,Image Src\n"
    (tmp_path / "feed.csv").write_text(f"{head}a,A,1,1,a.jpg\nb,B,1,2,b.jpg\n")
    reading = read_feed(tmp_path / "feed.csv")
    assert ([item.sku for item in reading.items], [error.line for error in reading.errors]) == (["a"], [3])


def test_newer_names_of_shopify(tmp_path: Path) -> None:
    head = "Title,URL handle,Description,Vendor,Status,SKU,Option1 name,Option1 value,Price,Inventory quantity"
    head += ",Product image URL"
    row = "Lamp,lamp,Bright.,Nord,Active,L-1,Title,Default Title,39,4,https://cdn.example/l.jpg"
    found = items(tmp_path, "feed.csv", f"{head}\n{row}\n")["L-1"]
    assert (found.title, found.stock, found.price_minor, found.description) == ("Lamp", 4, 3_900, "Bright.")


@pytest.mark.parametrize(("name", "content"), [("feed.csv", "sku,title,image\nA,Sofa,a.jpg\n"), ("feed.xml", MERCHANT)])
def test_a_compressed_feed_is_read_like_any_other(tmp_path: Path, name: str, content: str) -> None:
    plain = items(tmp_path, name, content)
    packed = gzip.compress(content.encode())
    assert plain == items(tmp_path, f"{name}.gz", packed)
    assert plain == items(tmp_path, name, gzip.compress(packed))


@pytest.mark.parametrize("name", ["feed.csv.gz", "feed.jsonl.gz", "feed.xml.gz"])
def test_a_compressed_feed_that_ends_too_early_is_refused(tmp_path: Path, name: str) -> None:
    row = {"csv": "A{n},Sofa,a.jpg\n", "jsonl": '{{"sku": "A{n}"}}\n', "xml": "<item><id>{n}</id></item>"}
    kind = name.split(".")[1]
    body = "".join(row[kind].format(n=n) for n in range(5000))
    head = {"csv": "sku,title,image\n", "jsonl": "", "xml": "<rss>"}[kind]
    (tmp_path / name).write_bytes(gzip.compress((head + body).encode())[:-2000])
    with pytest.raises(FeedRejected, match=r"ends too early|not well-formed"):
        read_feed(tmp_path / name)


def test_no_xml_of_others_is_read(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    head = f'<!DOCTYPE rss [<!ENTITY x SYSTEM "file://{tmp_path}/secret">]>'
    text = (
        f"{head}<rss><item><id>A</id><title>T &x;</title><image_link>https://a.example/a.jpg</image_link></item></rss>"
    )
    (tmp_path / "feed.xml").write_text(text)
    assert "secret" not in str(read_feed(tmp_path / "feed.xml"))


def test_a_mapping_names_columns_and_constants(tmp_path: Path) -> None:
    file = tmp_path / "mapping.toml"
    file.write_text(
        '[columns]\nsku = "ArtNr"\ntitle = "Name"\nimages = ["Bild1", "Bild2"]\ncategory = ["Gruppe", "Art"]\n'
        '"attr:colour" = "Farbe"\n[constants]\nbrand = "Nord"\n'
    )
    head = "ArtNr;Name;Bild1;Bild2;Gruppe;Art;Farbe;Lager"
    found = items(tmp_path, "feed.csv", f"{head}\nA;Tisch;a.jpg;;Möbel;Tische;rot;5\n", mapping=read_mapping(file))["A"]
    assert found == ProductItem(
        "A", "Tisch", brand="Nord", category="Möbel > Tische", attributes={"colour": ("rot",)}, images=("a.jpg",)
    )


WOO = """ID,Type,SKU,Name,In stock?,Description,Regular price,Categories,Images,Parent,Attribute 1 value(s)
3,simple,W3,Desk,1,<p>One</p>\\nTwo,9,"Furniture, Furniture > Desks","https://a.example/1,2.jpg, https://a.example/3.jpg",,\
"Red, Blue\\, dark"
9,variation,W9,Chair red,1,,19,,,W7,Red
7,variable,W7,Chair,1,Soft,,Furniture > Chairs,"https://a.example/7.jpg, https://a.example/7b.jpg",,"Red, Blue"
8,variation,W8,,1,,18,,https://a.example/8.jpg,id:7,Blue
10,variable,W10,Stool,1,,,Furniture,https://a.example/10.jpg,,
11,variation,W11,Alone,1,,5,,https://a.example/11.jpg,W99,
12,grouped,W12,Set,1,,,Furniture,https://a.example/12.jpg,,
"""
WOO_MAPPING = {
    "sku": "SKU",
    "title": "Name",
    "images": "Images",
    "price": "Regular price",
    "category": "Categories",
    "description": "Description",
    "attr:colour": "Attribute 1 value(s)",
    "stock": "In stock?",
}


def test_variations_take_from_their_parents_what_they_leave_empty(tmp_path: Path) -> None:
    found = items(tmp_path, "feed.csv", WOO, mapping=ColumnMapping(columns=WOO_MAPPING))
    assert list(found) == ["W3", "W9", "W8", "W10", "W11", "W12"]
    desk, red, blue = found["W3"], found["W9"], found["W8"]
    assert desk.images == ("https://a.example/1,2.jpg", "https://a.example/3.jpg")
    assert (desk.category, desk.description, desk.stock) == ("Furniture > Desks", "One\nTwo", UNCOUNTED_STOCK)
    assert desk.attributes == {"colour": ("Red", "Blue, dark")}
    assert (red.title, red.description, red.category) == ("Chair red", "Soft", "Furniture > Chairs")
    assert red.images == ("https://a.example/7.jpg", "https://a.example/7b.jpg")
    assert (blue.title, blue.images, blue.price_minor) == ("Chair", ("https://a.example/8.jpg",), 1_800)
    assert red.variant_group == blue.variant_group == "W7"
    assert (red.attributes, found["W11"].variant_group) == ({"colour": ("Red",)}, None)


WOO_ROWS = """\
ID,Type,SKU,Name,Published,Visibility in catalog,Short description,In stock?,Stock,Regular price,Images,Parent
1,simple,A,'-20% Lamp,1,visible,One\\nTwo,1,,5,a.jpg,
2,simple,B,Draft,'-1,visible,,1,,5,b.jpg,
3,simple,C,Private,0,visible,,1,,5,c.jpg,
4,simple,D,Hidden,1,hidden,,1,,5,d.jpg,
5,variable,E,Draft,-1,visible,,1,,,e.jpg,
6,variation,E1,Of a draft,1,visible,,1,,5,,E
7,variable,,Shirt,1,visible,,1,,,f.jpg,
8,variation,,Shirt M,1,visible,,1,2,5,,id:7
9,variation,S-L,Shirt L,1,visible,,0,,5,,id:7
10,variation,S-X,Shirt X,0,visible,,1,,5,,id:7
11,simple,,No key,1,search,,backorder,'-3,5,g.jpg,
"""


def test_what_woocommerce_says_of_its_products(tmp_path: Path) -> None:
    columns: dict[str, str | list[str]] = {
        "sku": "SKU",
        "title": "Name",
        "images": "Images",
        "price": "Regular price",
        "stock": "Stock",
        "description": "Short description",
    }
    found = items(tmp_path, "feed.csv", WOO_ROWS, mapping=ColumnMapping(columns=columns))
    assert {sku: item.stock for sku, item in found.items()} == {
        "A": UNCOUNTED_STOCK,
        "id:8": 2,
        "S-L": 0,
        "id:11": 0,
    }
    assert (found["A"].title, found["A"].description) == ("-20% Lamp", "One\nTwo")
    assert found["id:8"].variant_group == found["S-L"].variant_group == "id:7"
    assert found["id:8"].images == found["S-L"].images == ("f.jpg",)


def test_variations_that_name_their_parent_by_its_id(tmp_path: Path) -> None:
    text = "id,parent_id,no,name,cover\nx,,A,Lamp,a.jpg\ny,x,B,,\nA,,x2,Sofa,s.jpg\nz,A,C,,\n"
    mapping = ColumnMapping(parent="parent_id", columns={"sku": "no", "title": "name", "images": "cover"})
    found = items(tmp_path, "feed.csv", text, mapping=mapping)
    assert {sku: item.title for sku, item in found.items()} == {"B": "Lamp", "x2": "Sofa", "C": "Lamp"}


def test_what_a_mapping_says_of_cells(tmp_path: Path) -> None:
    file = tmp_path / "mapping.toml"
    file.write_text(
        'separator = ";"\nlevels = "/"\nparent = "Of"\n'
        '[columns]\nsku = "No"\ntitle = "Name"\nimage = "Pics"\ncategory = "Tree"\nprice = "Price"\n'
    )
    head = "No,Name,Pics,Tree,Price,Of\n"
    rows = '1,Sofa,"a.jpg; b,c.jpg",Sale;Bed &amp; Bath/Sofas;Home,5,\n2,Sofa red,,,6,1\n'
    found = items(tmp_path, "feed.csv", head + rows, mapping=read_mapping(file))
    assert list(found) == ["1", "2"]
    for item in found.values():
        assert (item.images, item.category) == (("a.jpg", "b,c.jpg"), "Bed & Bath > Sofas")
    assert found["2"].variant_group == "1"


def test_the_columns_of_magento(tmp_path: Path) -> None:
    head = "sku,attribute_set_code,categories,name,base_image,additional_images,qty\n"
    row = '24-0,Default,"Default/Gear,Default/Gear/Bags",Bag,/p/0/p0.jpg,"/p/0/p0.jpg,/p/0/q0.jpg",100.0000\n'
    columns: dict[str, str | list[str]] = {
        "sku": "sku",
        "title": "name",
        "images": ["base_image", "additional_images"],
        "category": "categories",
        "stock": "qty",
    }
    mapping = ColumnMapping(columns=columns, constants={"brand": "Nord"})
    found = items(tmp_path, "feed.csv", head + row, mapping=mapping)["24-0"]
    del columns["stock"]
    mapping = ColumnMapping(columns=columns, constants={"stock": "1"})
    assert items(tmp_path, "feed.csv", head + row, mapping=mapping)["24-0"].stock == 1
    assert (found.images, found.stock) == (("p/0/p0.jpg", "p/0/q0.jpg"), 100)
    assert found.category == "Default > Gear > Bags"


def test_what_magento_says_of_its_products(tmp_path: Path) -> None:
    rows = """\
sku,store_view_code,attribute_set_code,product_type,name,product_online,base_image,qty,is_in_stock
A,,Bag,simple,Bag,1,a.jpg,3.0000,1
A,de,Bag,simple,Tasche,,,,
B,,Bag,simple,Disabled,2,b.jpg,3.0000,1
C,,Bag,simple,Sold,1,c.jpg,3.0000,0
D,,Bag,simple,Oversold,1,d.jpg,-2.0000,1
E,,Bag,configurable,Of others,1,e.jpg,0.0000,1
F,default,Bag,simple,Of one view,1,f.jpg,1.0000,1
"""
    mapping = ColumnMapping(columns={"sku": "sku", "title": "name", "images": "base_image", "stock": "qty"})
    found = items(tmp_path, "feed.csv", rows, mapping=mapping)
    assert {sku: (item.title, item.stock) for sku, item in found.items()} == {
        "A": ("Bag", 3),
        "C": ("Sold", 0),
        "D": ("Oversold", 0),
        "E": ("Of others", UNCOUNTED_STOCK),
        "F": ("Of one view", 1),
    }
    (tmp_path / "feed.csv").write_text(rows.replace("a.jpg", "no_selection"))
    assert [error.kind for error in read_feed(tmp_path / "feed.csv", mapping=mapping).errors] == ["no picture"]


def test_variations_of_magento(tmp_path: Path) -> None:
    rows = """\
sku,attribute_set_code,product_type,name,visibility,base_image,price,configurable_variations,store_view_code
H,,,Kapuze,,,,,de
H-S,Top,simple,Hoodie S,Not Visible Individually,no_selection,49.0000,,
H-M,Top,simple,,Not Visible Individually,m.jpg,49.0000,,
H-L,Top,simple,Hoodie L,"Catalog, Search",l.jpg,49.0000,,
H,Top,configurable,Hoodie,"Catalog, Search",h.jpg,,"sku=H-S,size=S|sku=H-M,size=M|sku=H-L,size=L",
"""
    mapping = ColumnMapping(columns={"sku": "sku", "title": "name", "images": "base_image", "price": "price"})
    found = items(tmp_path, "feed.csv", rows, mapping=mapping)
    assert {sku: (item.title, item.images, item.variant_group) for sku, item in found.items()} == {
        "H-S": ("Hoodie S", ("h.jpg",), "H"),
        "H-M": ("Hoodie", ("m.jpg",), "H"),
        "H-L": ("Hoodie L", ("l.jpg",), None),
    }


def test_constants_for_a_feed_that_needs_no_mapping(tmp_path: Path) -> None:
    found = items(tmp_path, "feed.xml", MERCHANT, mapping=ColumnMapping(constants={"brand": "Nord"}))
    assert {item.brand for item in found.values()} == {"Nord"}


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[columns", "cannot be read"),
        ('[colums]\nsku = "a"', "mapping.toml, colums: unknown key"),
        ('[prices]\ndecimal = "x"', "mapping.toml, prices.decimal: Input should be '.' or ','"),
        ('[prices]\nseparator = ","', "mapping.toml, prices.separator: unknown key"),
        ('[prices]\ndecimal = ","\nthousands = ","', "decimal and thousands are both"),
        ('[columns]\nid = "a"', "unknown column 'id'"),
        ('encoding = "latin-99"', "unknown encoding"),
        ('[columns]\nsku = ["a", "b"]', "sku cannot be joined"),
    ],
)
def test_a_mapping_that_is_none_is_refused(tmp_path: Path, text: str, sentence: str) -> None:
    (tmp_path / "mapping.toml").write_text(text)
    with pytest.raises(FeedRejected, match=sentence):
        read_mapping(tmp_path / "mapping.toml")


def test_a_mapping_must_fit_the_feed(tmp_path: Path) -> None:
    (tmp_path / "feed.csv").write_text("ArtNr,Name,Bild\nA,Tisch,a.jpg\n")
    mapping = ColumnMapping(columns={"sku": "ArtNr", "title": "Titel", "image": "Bild"})
    with pytest.raises(FeedRejected, match="lacks 'Titel'"):
        read_feed(tmp_path / "feed.csv", mapping=mapping)


@pytest.mark.parametrize(
    ("cell", "separator", "names"),
    [
        ("https://a/1.jpg, https://a/2.jpg", "\\", ["https://a/1.jpg", "https://a/2.jpg"]),
        ("/a/1.jpg,/a/2.jpg", "\\", ["/a/1.jpg", "/a/2.jpg"]),
        (", https://a/1.jpg; ", "|", ["https://a/1.jpg"]),
        ("," * 400_000 + "a.jpg", "|", ["," * 400_000 + "a.jpg"]),
    ],
)
def test_pictures_in_a_cell(cell: str, separator: str, names: list[str]) -> None:
    assert split_addresses(cell, separator) == names
