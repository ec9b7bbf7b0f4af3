"""Feeds with other column names: Google Merchant, Shopify, WooCommerce, Magento, and mapping files."""

from typing import Any

import pytest

from catalog.changes import UNCOUNTED_STOCK, ProductItem
from indexer.feed.column_mapping import ColumnMapping, read_mapping
from indexer.feed.fields import split_addresses
from tests.indexer.feed.feeds import read, read_items
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


def fields(items: dict[str, ProductItem], *names: str) -> dict[str, Any]:
    return {sku: tuple(getattr(item, name) for name in names) for sku, item in items.items()}


def test_a_merchant_feed_in_xml(tmp_path):
    found = read_items(tmp_path, MERCHANT)
    table = found["S-1"]
    assert (table.title, table.description, table.category) == ("Oak table", "Solid.", "Tables > Dining tables")
    assert (table.price_minor, table.currency, table.stock) == (39_900, "EUR", UNCOUNTED_STOCK)
    assert (table.url, table.variant_group) == ("https://shop.example/s-1", "oak")
    assert (table.attributes, table.dimensions) == ({"colour": ("oak",)}, {"width": "180 cm"})
    assert table.images == tuple(f"https://cdn.example/s-1{end}.jpg" for end in ("", "b", "c"))
    assert (found["S-2"].stock, found["S-2"].price_minor) == (0, 3_900)
    found = read_items(tmp_path, MERCHANT, mapping=ColumnMapping(constants={"brand": "Nord"}))
    assert {item.brand for item in found.values()} == {"Nord"}


@pytest.mark.parametrize(
    ("header", "first", "second"),
    [
        ("id\ttitle\timage_link\tprice\tprice", "1 EUR", "2 EUR"),
        ("id\ttitle\timage_link\tavailability\tavailability", "in stock", "out of stock"),
        ("id\ttitle\timage_link\tlink\tlink", "https://a.example/1", "https://a.example/2"),
        ("Handle\tTitle\tImage Src\tVariant Price\tVariant Price", "1", "2"),
    ],
)
def test_contradictory_values_of_an_attribute_are_reported(tmp_path, header, first, second):
    rows = [f"1\tT\ta.jpg\t{first}\t{second}", f"2\tT\ta.jpg\t{first}\t{first}", f"3\tT\ta.jpg\t\t{second}"]
    reading = read(tmp_path, "\n".join([header, *rows]))
    assert ([item.sku for item in reading.items], [error.line for error in reading.errors]) == (["2", "3"], [2])


@pytest.mark.parametrize(
    ("available", "pieces", "stock"),
    [
        ("in stock", "7", 7),
        ("available for order", "", UNCOUNTED_STOCK),
        ("discontinued", "7", 0),
        ("sometimes", "", None),
    ],
)
def test_a_facebook_catalog(tmp_path, available, pieces, stock):
    text = (
        "# Required | A unique ID,# Required | The title,,,,\n"
        "id,title,availability,quantity_to_sell_on_facebook,image_link,additional_image_link\n"
        f'A,Sofa,{available},{pieces},"a,1.jpg","b.jpg,c.jpg"\n'
    )
    found = read_items(tmp_path, text)["A"]
    assert (found.stock, found.images) == (stock, ("a,1.jpg", "b.jpg", "c.jpg"))


def test_a_merchant_feed_in_a_table(tmp_path):
    head = "ID\ttitle\timage link\tadditional image link\tadditional_image_link\tavailability\tquantity\tproduct type"
    row = "S-1\tTable\thttps://a.example/a,1.jpg\thttps://a.example/b.jpg,https://a.example/c.jpg\t"
    found = read_items(tmp_path, f"{head}\n{row}https://a.example/d.jpg,https://a.example/b.jpg\tin stock\t7\tTables\n")
    assert found["S-1"].images == tuple(f"https://a.example/{name}.jpg" for name in ("a,1", "b", "c", "d"))
    assert (found["S-1"].stock, found["S-1"].category) == (7, "Tables")


def test_the_sale_price_counts_unless_it_is_temporary(tmp_path):
    cases = {
        ("399.00 EUR", ""): 39_900,
        ("0.00 EUR", ""): 149_900,
        ("", ""): 149_900,
        ("399 EUR", "2026-11/12"): 149_900,
    }
    header = "id\ttitle\timage_link\tprice\tsale_price\tsale_price_effective_date\n"
    rows = [f"S{n}\tSofa\ta.jpg\t1,499.00 EUR\t{sale}\t{until}\n" for n, (sale, until) in enumerate(cases)]
    found = read_items(tmp_path, header + "".join(rows))
    assert [item.price_minor for item in found.values()] == list(cases.values())


PRICED_FEEDS = {
    "merchant table": "id\ttitle\timage_link\tprice\nS\tSofa\ta.jpg\t{price}\n",
    "merchant XML": (
        "<rss><item><id>S</id><title>Sofa</title><price>{price}</price><image_link>a.jpg</image_link></item></rss>"
    ),
    "Shopify": 'Handle,Title,Image Src,Variant SKU,Variant Price\nsofa,Sofa,a.jpg,S,"{price}"\n',
    "CSV": 'sku,title,image,price\nS,Sofa,a.jpg,"{price}"\n',
    "JSON": '{{"sku": "S", "title": "Sofa", "image": "a.jpg", "price": "{price}"}}\n',
}


@pytest.mark.parametrize("feed", PRICED_FEEDS.values(), ids=PRICED_FEEDS.keys())
def test_prices_are_read_alike_in_every_format(tmp_path, feed):
    ambiguous = feed.format(price="2,300 USD")
    (error,) = read(tmp_path, ambiguous).errors
    assert "price '2,300 USD' is ambiguous; write 2300.00 or 2.30" in error.reason
    for separator, minor in (("thousands", 230_000), ("decimal", 230)):
        (tmp_path / "mapping.toml").write_text(f'[prices]\n{separator} = ","\n')
        item = read_items(tmp_path, ambiguous, mapping=read_mapping(tmp_path / "mapping.toml"))["S"]
        assert (item.price_minor, item.currency) == (minor, "USD")
    assert read_items(tmp_path, feed.format(price="2,300.00 USD"))["S"].price_minor == 230_000


def test_numbers_of_json_are_exact(tmp_path):
    prices = {"19.9": 1_990, "1.290": 129, "123456.78": 12_345_678, "1e3": 100_000}
    lines = [f'{{"sku": "{price}", "title": "Sofa", "image": "a.jpg", "price": {price}}}\n' for price in prices]
    assert {sku: item.price_minor for sku, item in read_items(tmp_path, "".join(lines)).items()} == prices


def test_a_shopify_export(tmp_path):
    found = read_items(tmp_path, SHOPIFY)
    first, black_image, third = (f"https://cdn.example/{n}.jpg" for n in (1, 2, 3))
    assert fields(found, "stock", "price_minor", "images", "variant_group", "attributes") == {
        "T-OAK": (3, 49_900, (first, black_image, third), "oak-table", {"colour": ("Oak",)}),
        "oak-table-Black": (0, 52_900, (black_image,), "oak-table", {"colour": ("Black",)}),
        "L-1": (0, 3_900, ("https://cdn.example/l.jpg",), None, {}),
    }
    oak = found["T-OAK"]
    assert (oak.title, oak.brand, oak.category) == ("Oak table Oak", "Nord", "Tables")
    assert oak.description == "Solid & heavy.\nOiled"


HANDLE = "a-very-long-handle-that-shopify-made-of-the-title-of-a-corner-sofa-with-chaise-longue"


def test_long_keys_of_shopify_are_shortened_reproducibly(tmp_path):
    head = "Handle,Title,Option1 Name,Option1 Value,Variant SKU,Variant Price,Image Src\n"
    rows = "".join(
        f"{HANDLE}-{side},Sofa,Size,S,,9,a.jpg\n{HANDLE}-{side},,Size,L\u00a0\u200bXL,,9,\n"
        for side in ("left", "right")
    )
    found = read_items(tmp_path, f"{head}{rows}lamp,Lamp,Title,Default Title,{'x' * 65},9,b.jpg\n")
    keys, groups = list(found), [item.variant_group for item in found.values()]
    assert [(len(key), key[:48]) for key in keys] == [(64, HANDLE[:47] + "-")] * 4 + [(64, "x" * 47 + "-")]
    assert [key[48:51] for key in keys[:4]] == ["e6a", "a63", "ed6", "f45"]
    assert groups[0] == groups[1] != groups[2] == groups[3]


def test_newer_column_names_of_shopify(tmp_path):
    head = "Title,URL handle,Description,Vendor,Status,SKU,Option1 name,Option1 value,Price,Inventory quantity"
    row = "Lamp,lamp,Bright.,Nord,Active,L-1,Title,Default Title,39,4,https://cdn.example/l.jpg"
    found = read_items(tmp_path, f"{head},Product image URL\n{row}\n")
    assert fields(found, "title", "stock", "price_minor", "description") == {"L-1": ("Lamp", 4, 3_900, "Bright.")}


def test_a_mapping_names_columns_and_constants(tmp_path):
    file = tmp_path / "mapping.toml"
    file.write_text(
        '[columns]\nsku = "ArtNr"\ntitle = "Name"\nimages = ["Bild1", "Bild2"]\ncategory = ["Gruppe", "Art"]\n'
        'description = ["Text1", "Text2"]\n"attr:colour" = "Farbe"\n[constants]\nbrand = "Nord"\n'
    )
    head = "ArtNr;Name;Bild1;Bild2;Gruppe;Art;Farbe;Text1;Text2"
    feed = f"{head}\nA;Tisch;a.jpg;;Möbel;Tische;rot;Eins;Zwei\n"
    found = read_items(tmp_path, feed, mapping=read_mapping(file))["A"]
    texts = {"title": "Tisch", "brand": "Nord", "description": "Eins\nZwei", "category": "Möbel > Tische"}
    assert found == ProductItem("A", **texts, attributes={"colour": ("rot",)}, images=("a.jpg",))
    mapping = ColumnMapping(columns={"sku": "ArtNr", "title": "Name", "images": "Bild1", "category": "Art"})
    assert read_items(tmp_path, f"{head}\nA;Tisch;a.jpg;;;Tische;;;\n", mapping=mapping)["A"].category == "Tische"


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
    **{"sku": "SKU", "title": "Name", "images": "Images", "price": "Regular price", "category": "Categories"},
    **{"description": "Description", "attr:colour": "Attribute 1 value(s)", "stock": "In stock?"},
}


def test_variations_inherit_from_their_parents(tmp_path):
    found = read_items(tmp_path, WOO, mapping=ColumnMapping(columns=WOO_MAPPING))
    assert list(found) == ["W3", "W9", "W8", "W10", "W11", "W12"]
    desk, red, blue = found["W3"], found["W9"], found["W8"]
    assert desk.images == ("https://a.example/1,2.jpg", "https://a.example/3.jpg")
    assert (desk.category, desk.description, desk.stock) == ("Furniture > Desks", "One\nTwo", UNCOUNTED_STOCK)
    assert desk.attributes == {"colour": ("Red", "Blue, dark")}
    assert (red.title, red.description, red.category) == ("Chair red", "Soft", "Furniture > Chairs")
    assert (red.images, red.attributes) == (
        ("https://a.example/7.jpg", "https://a.example/7b.jpg"),
        {"colour": ("Red",)},
    )
    assert (blue.title, blue.images, blue.price_minor) == ("Chair", ("https://a.example/8.jpg",), 1_800)
    assert (red.variant_group, blue.variant_group, found["W11"].variant_group) == ("W7", "W7", None)


def test_products_of_woocommerce(tmp_path):
    rows = """\
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
    columns = {**WOO_MAPPING, "stock": "Stock", "description": "Short description"}
    del columns["category"], columns["attr:colour"]
    found = read_items(tmp_path, rows, mapping=ColumnMapping(columns=columns))
    assert fields(found, "stock", "variant_group", "images") == {
        "A": (UNCOUNTED_STOCK, None, ("a.jpg",)),
        "id:8": (2, "id:7", ("f.jpg",)),
        "S-L": (0, "id:7", ("f.jpg",)),
        "id:11": (0, None, ("g.jpg",)),
    }
    assert (found["A"].title, found["A"].description) == ("-20% Lamp", "One\nTwo")


def test_variations_that_name_their_parent_by_its_id(tmp_path):
    text = "id,parent_id,no,name,cover\nx,,A,Lamp,a.jpg\ny,x,B,,\nA,,x2,Sofa,s.jpg\nz,A,C,,\n"
    mapping = ColumnMapping(parent="parent_id", columns={"sku": "no", "title": "name", "images": "cover"})
    found = read_items(tmp_path, text, mapping=mapping)
    assert {sku: item.title for sku, item in found.items()} == {"B": "Lamp", "x2": "Sofa", "C": "Lamp"}


def test_separators_and_parents_of_a_mapping(tmp_path):
    (tmp_path / "mapping.toml").write_text(
        'separator = ";"\nlevels = "/"\nparent = "Of"\n'
        '[columns]\nsku = "No"\ntitle = "Name"\nimage = "Pics"\ncategory = "Tree"\nprice = "Price"\n'
    )
    rows = 'No,Name,Pics,Tree,Price,Of\n1,Sofa,"a.jpg; b,c.jpg",Sale;Bed &amp; Bath/Sofas;Home,5,\n2,Sofa red,,,6,1\n'
    found = read_items(tmp_path, rows, mapping=read_mapping(tmp_path / "mapping.toml"))
    both = ("a.jpg", "b,c.jpg"), "Bed & Bath > Sofas"
    assert fields(found, "images", "category", "variant_group") == {"1": (*both, None), "2": (*both, "1")}


def test_columns_of_magento(tmp_path):
    head = "sku,attribute_set_code,categories,name,base_image,additional_images,qty\n"
    row = '24-0,Default,"Default/Gear,Default/Gear/Bags",Bag,/p/0/p0.jpg,"/p/0/p0.jpg,/p/0/q0.jpg",100.0000\n'
    columns = {"sku": "sku", "title": "name", "images": ["base_image", "additional_images"], "category": "categories"}
    found = read_items(tmp_path, head + row, mapping=ColumnMapping(columns=columns | {"stock": "qty"}))
    images = ("p/0/p0.jpg", "p/0/q0.jpg")
    assert fields(found, "images", "stock", "category") == {"24-0": (images, 100, "Default > Gear > Bags")}


def test_products_of_magento(tmp_path):
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
    found = read_items(tmp_path, rows, mapping=mapping)
    stock = {"A": ("Bag", 3), "C": ("Sold", 0), "D": ("Oversold", 0), "F": ("Of one view", 1)}
    assert fields(found, "title", "stock") == stock | {"E": ("Of others", UNCOUNTED_STOCK)}
    errors = read(tmp_path, rows.replace("a.jpg", "no_selection"), mapping=mapping).errors
    assert [error.kind for error in errors] == ["no picture"]


def test_variations_of_magento(tmp_path):
    rows = """\
sku,attribute_set_code,product_type,name,visibility,base_image,price,configurable_variations,store_view_code
H,,,Kapuze,,,,,de
H-S,Top,simple,Hoodie S,Not Visible Individually,no_selection,49.0000,,
H-M,Top,simple,,Not Visible Individually,m.jpg,49.0000,,
H-L,Top,simple,Hoodie L,"Catalog, Search",l.jpg,49.0000,,
H,Top,configurable,Hoodie,"Catalog, Search",h.jpg,,"sku=H-S,size=S|sku=H-M,size=M|sku=H-L,size=L",
"""
    mapping = ColumnMapping(columns={"sku": "sku", "title": "name", "images": "base_image", "price": "price"})
    found = read_items(tmp_path, rows, mapping=mapping)
    assert fields(found, "title", "images", "variant_group") == {
        "H-S": ("Hoodie S", ("h.jpg",), "H"),
        "H-M": ("Hoodie", ("m.jpg",), "H"),
        "H-L": ("Hoodie L", ("l.jpg",), None),
    }


@pytest.mark.parametrize(
    ("text", "problem"),
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
def test_an_invalid_mapping_is_refused(tmp_path, text, problem):
    (tmp_path / "mapping.toml").write_text(text)
    with pytest.raises(FeedRejected, match=problem):
        read_mapping(tmp_path / "mapping.toml")


def test_a_mapped_column_must_be_in_the_feed(tmp_path):
    mapping = ColumnMapping(columns={"sku": "ArtNr", "title": "Titel", "image": "Bild"})
    with pytest.raises(FeedRejected, match="lacks 'Titel'"):
        read(tmp_path, "ArtNr,Name,Bild\nA,Tisch,a.jpg\n", mapping=mapping)


def test_split_addresses():
    """Commas at the ends are dropped; many commas take linear time."""
    assert split_addresses(", https://a/1.jpg; ", "|") == ["https://a/1.jpg"]
    assert split_addresses("," * 400_000 + "a.jpg", "|") == ["," * 400_000 + "a.jpg"]
