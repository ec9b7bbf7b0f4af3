"""Feeds with other column names: Google Merchant, Shopify, WooCommerce, Magento, and mapping files."""

from pathlib import Path

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


def test_a_merchant_feed_in_xml(tmp_path: Path) -> None:
    found = read_items(tmp_path, MERCHANT)
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


@pytest.mark.parametrize(
    ("twice", "first", "second"),
    [
        ("price", "1 EUR", "2 EUR"),
        ("availability", "in stock", "out of stock"),
        ("brand", "A", "B"),
        ("link", "https://a.example/1", "https://a.example/2"),
    ],
)
def test_contradictory_values_of_an_attribute_are_reported(tmp_path: Path, twice: str, first: str, second: str) -> None:
    rows = [f"1\tT\ta.jpg\t{first}\t{second}", f"2\tT\ta.jpg\t{first}\t{first}", f"3\tT\ta.jpg\t\t{second}"]
    reading = read(tmp_path, "\n".join([f"id\ttitle\timage_link\t{twice}\t{twice}", *rows]))
    assert ([item.sku for item in reading.items], [error.line for error in reading.errors]) == (["2", "3"], [2])


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
def test_a_facebook_catalog(tmp_path: Path, available: str, pieces: str, stock: int | None) -> None:
    text = (
        "# Required | A unique ID,# Required | The title,,,,\n"
        "id,title,availability,quantity_to_sell_on_facebook,image_link,additional_image_link\n"
        f'A,Sofa,{available},{pieces},"a,1.jpg","b.jpg,c.jpg"\n'
    )
    found = read_items(tmp_path, text)["A"]
    assert (found.stock, found.images) == (stock, ("a,1.jpg", "b.jpg", "c.jpg"))


def test_a_merchant_feed_in_a_table(tmp_path: Path) -> None:
    head = "ID\ttitle\timage link\tadditional image link\tadditional_image_link\tavailability\tquantity\tproduct type"
    row = "S-1\tTable\thttps://a.example/a,1.jpg\thttps://a.example/b.jpg,https://a.example/c.jpg\t"
    found = read_items(tmp_path, f"{head}\n{row}https://a.example/d.jpg,https://a.example/b.jpg\tin stock\t7\tTables\n")
    assert found["S-1"].images == tuple(f"https://a.example/{name}.jpg" for name in ("a,1", "b", "c", "d"))
    assert (found["S-1"].stock, found["S-1"].category) == (7, "Tables")


@pytest.mark.parametrize(
    ("sale", "until", "minor"),
    [
        ("399.00 EUR", "", 39_900),
        ("1.299,00 EUR", "", 129_900),
        ("0.00 EUR", "", 149_900),
        ("", "", 149_900),
        ("399.00 EUR", "2026-11/12", 149_900),
    ],
)
def test_the_sale_price_counts_unless_it_is_temporary(tmp_path: Path, sale: str, until: str, minor: int) -> None:
    header = "id\ttitle\timage_link\tprice\tsale_price\tsale_price_effective_date\n"
    assert read_items(tmp_path, f"{header}S\tSofa\ta.jpg\t1,499.00 EUR\t{sale}\t{until}\n")["S"].price_minor == minor


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
def test_prices_are_read_alike_in_every_format(tmp_path: Path, feed: str) -> None:
    ambiguous = feed.format(price="2,300 USD")
    (error,) = read(tmp_path, ambiguous).errors
    assert "price '2,300 USD' is ambiguous; write 2300.00 or 2.30, or state" in error.reason
    for separator, minor in (("thousands", 230_000), ("decimal", 230)):
        (tmp_path / "mapping.toml").write_text(f'[prices]\n{separator} = ","\n')
        item = read_items(tmp_path, ambiguous, mapping=read_mapping(tmp_path / "mapping.toml"))["S"]
        assert (item.price_minor, item.currency) == (minor, "USD")
    assert read_items(tmp_path, feed.format(price="2,300.00 USD"))["S"].price_minor == 230_000


@pytest.mark.parametrize(
    ("written", "minor"), [("19.9", 1_990), ("1.290", 129), ("123456.78", 12_345_678), ("1e3", 100_000)]
)
def test_numbers_of_json_are_exact(tmp_path: Path, written: str, minor: int) -> None:
    line = f'{{"sku": "S", "title": "Sofa", "image": "a.jpg", "price": {written}}}\n'
    assert read_items(tmp_path, line)["S"].price_minor == minor


def test_a_shopify_export(tmp_path: Path) -> None:
    found = read_items(tmp_path, SHOPIFY)
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
def test_a_long_key_of_shopify_is_shortened_the_same_way_every_time(tmp_path: Path, side: str) -> None:
    head = "Handle,Title,Option1 Name,Option1 Value,Variant SKU,Variant Price,Image Src\n"
    rows = f"{HANDLE}-{side},Sofa,Size,S,,9,a.jpg\n{HANDLE}-{side},,Size,L\u00a0\u200bXL,,9,\n"
    rows += f"lamp,Lamp,Title,Default Title,{'x' * 65},9,b.jpg\n"
    found = read_items(tmp_path, head + rows)
    digests = {"left": ["e6a", "a63"], "right": ["ed6", "f45"]}[side]
    keys = list(found)
    assert [len(key) for key in keys] == [64, 64, 64]
    assert [key[:48] for key in keys] == [HANDLE[:47] + "-"] * 2 + ["x" * 47 + "-"]
    assert len({*keys}) == 3
    assert [key[48:51] for key in keys[:2]] == digests
    assert found[keys[0]].variant_group == found[keys[1]].variant_group
    assert side not in (found[keys[0]].variant_group or "")


def test_a_repeated_column_of_shopify(tmp_path: Path) -> None:
    head = "Handle,Title,Variant Price,Variant Price,Image Src\n"
    reading = read(tmp_path, f"{head}a,A,1,1,a.jpg\nb,B,1,2,b.jpg\n")
    assert ([item.sku for item in reading.items], [error.line for error in reading.errors]) == (["a"], [3])


def test_newer_column_names_of_shopify(tmp_path: Path) -> None:
    head = "Title,URL handle,Description,Vendor,Status,SKU,Option1 name,Option1 value,Price,Inventory quantity"
    head += ",Product image URL"
    row = "Lamp,lamp,Bright.,Nord,Active,L-1,Title,Default Title,39,4,https://cdn.example/l.jpg"
    found = read_items(tmp_path, f"{head}\n{row}\n")["L-1"]
    assert (found.title, found.stock, found.price_minor, found.description) == ("Lamp", 4, 3_900, "Bright.")


def test_a_mapping_names_columns_and_constants(tmp_path: Path) -> None:
    file = tmp_path / "mapping.toml"
    file.write_text(
        '[columns]\nsku = "ArtNr"\ntitle = "Name"\nimages = ["Bild1", "Bild2"]\ncategory = ["Gruppe", "Art"]\n'
        'description = ["Text1", "Text2"]\n"attr:colour" = "Farbe"\n[constants]\nbrand = "Nord"\n'
    )
    head = "ArtNr;Name;Bild1;Bild2;Gruppe;Art;Farbe;Text1;Text2"
    feed = f"{head}\nA;Tisch;a.jpg;;Möbel;Tische;rot;Eins;Zwei\n"
    found = read_items(tmp_path, feed, mapping=read_mapping(file))["A"]
    assert found == ProductItem(
        "A",
        "Tisch",
        brand="Nord",
        description="Eins\nZwei",
        category="Möbel > Tische",
        attributes={"colour": ("rot",)},
        images=("a.jpg",),
    )
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
    "sku": "SKU",
    "title": "Name",
    "images": "Images",
    "price": "Regular price",
    "category": "Categories",
    "description": "Description",
    "attr:colour": "Attribute 1 value(s)",
    "stock": "In stock?",
}


def test_variations_inherit_from_their_parents(tmp_path: Path) -> None:
    found = read_items(tmp_path, WOO, mapping=ColumnMapping(columns=WOO_MAPPING))
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


def test_products_of_woocommerce(tmp_path: Path) -> None:
    columns: dict[str, str | list[str]] = {
        "sku": "SKU",
        "title": "Name",
        "images": "Images",
        "price": "Regular price",
        "stock": "Stock",
        "description": "Short description",
    }
    found = read_items(tmp_path, WOO_ROWS, mapping=ColumnMapping(columns=columns))
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
    found = read_items(tmp_path, text, mapping=mapping)
    assert {sku: item.title for sku, item in found.items()} == {"B": "Lamp", "x2": "Sofa", "C": "Lamp"}


def test_separators_and_parents_of_a_mapping(tmp_path: Path) -> None:
    file = tmp_path / "mapping.toml"
    file.write_text(
        'separator = ";"\nlevels = "/"\nparent = "Of"\n'
        '[columns]\nsku = "No"\ntitle = "Name"\nimage = "Pics"\ncategory = "Tree"\nprice = "Price"\n'
    )
    head = "No,Name,Pics,Tree,Price,Of\n"
    rows = '1,Sofa,"a.jpg; b,c.jpg",Sale;Bed &amp; Bath/Sofas;Home,5,\n2,Sofa red,,,6,1\n'
    found = read_items(tmp_path, head + rows, mapping=read_mapping(file))
    assert list(found) == ["1", "2"]
    for item in found.values():
        assert (item.images, item.category) == (("a.jpg", "b,c.jpg"), "Bed & Bath > Sofas")
    assert found["2"].variant_group == "1"


def test_columns_of_magento(tmp_path: Path) -> None:
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
    found = read_items(tmp_path, head + row, mapping=mapping)["24-0"]
    del columns["stock"]
    mapping = ColumnMapping(columns=columns, constants={"stock": "1"})
    assert read_items(tmp_path, head + row, mapping=mapping)["24-0"].stock == 1
    assert (found.images, found.stock) == (("p/0/p0.jpg", "p/0/q0.jpg"), 100)
    assert found.category == "Default > Gear > Bags"


def test_products_of_magento(tmp_path: Path) -> None:
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
    assert {sku: (item.title, item.stock) for sku, item in found.items()} == {
        "A": ("Bag", 3),
        "C": ("Sold", 0),
        "D": ("Oversold", 0),
        "E": ("Of others", UNCOUNTED_STOCK),
        "F": ("Of one view", 1),
    }
    errors = read(tmp_path, rows.replace("a.jpg", "no_selection"), mapping=mapping).errors
    assert [error.kind for error in errors] == ["no picture"]


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
    found = read_items(tmp_path, rows, mapping=mapping)
    assert {sku: (item.title, item.images, item.variant_group) for sku, item in found.items()} == {
        "H-S": ("Hoodie S", ("h.jpg",), "H"),
        "H-M": ("Hoodie", ("m.jpg",), "H"),
        "H-L": ("Hoodie L", ("l.jpg",), None),
    }


def test_constants_without_columns(tmp_path: Path) -> None:
    found = read_items(tmp_path, MERCHANT, mapping=ColumnMapping(constants={"brand": "Nord"}))
    assert {item.brand for item in found.values()} == {"Nord"}


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
def test_an_invalid_mapping_is_refused(tmp_path: Path, text: str, problem: str) -> None:
    (tmp_path / "mapping.toml").write_text(text)
    with pytest.raises(FeedRejected, match=problem):
        read_mapping(tmp_path / "mapping.toml")


def test_a_mapped_column_must_be_in_the_feed(tmp_path: Path) -> None:
    mapping = ColumnMapping(columns={"sku": "ArtNr", "title": "Titel", "image": "Bild"})
    with pytest.raises(FeedRejected, match="lacks 'Titel'"):
        read(tmp_path, "ArtNr,Name,Bild\nA,Tisch,a.jpg\n", mapping=mapping)


@pytest.mark.parametrize(
    ("cell", "separator", "names"),
    [
        ("https://a/1.jpg, https://a/2.jpg", "\\", ["https://a/1.jpg", "https://a/2.jpg"]),
        ("/a/1.jpg,/a/2.jpg", "\\", ["/a/1.jpg", "/a/2.jpg"]),
        (", https://a/1.jpg; ", "|", ["https://a/1.jpg"]),
        ("," * 400_000 + "a.jpg", "|", ["," * 400_000 + "a.jpg"]),
    ],
)
def test_split_addresses(cell: str, separator: str, names: list[str]) -> None:
    assert split_addresses(cell, separator) == names
