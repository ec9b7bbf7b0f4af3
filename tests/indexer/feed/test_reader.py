import csv
import json
import re
from pathlib import Path
from typing import Any

import pytest

from catalog.changes import UNCOUNTED_STOCK, ProductItem
from indexer.feed.column_mapping import COLUMNS, ColumnMapping, read_mapping
from indexer.feed.reader import FeedReading, read_feed
from vsearch.core.errors import FeedRejected, SettingsError

DOCUMENT = Path(__file__).parents[3] / "docs" / "feed.md"

GOOD = {"sku": "A-1", "title": "Kivik", "image": "a.jpg"}


def csv_feed(folder: Path, *rows: dict[str, str]) -> Path:
    """Write the rows as CSV with every column that one of them has."""
    file = folder / "feed.csv"
    columns = dict.fromkeys(name for row in rows for name in row)
    with file.open("w", encoding="utf8", newline="") as stream:
        writer = csv.DictWriter(stream, columns, restval="")
        writer.writeheader()
        writer.writerows(rows)
    return file


def json_feed(folder: Path, *rows: Any) -> Path:
    """Write the rows as JSON Lines; a text is written as it is."""
    file = folder / "feed.jsonl"
    file.write_text("".join(f"{row if isinstance(row, str) else json.dumps(row)}\n" for row in rows))
    return file


def text_feed(folder: Path, content: str | bytes, name: str = "feed.csv") -> Path:
    """Write the content as a feed."""
    file = folder / name
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return file


def read_one(folder: Path, **cells: str) -> FeedReading:
    """Read a CSV feed of one row that is good but for these cells."""
    return read_feed(csv_feed(folder, {**GOOD, **cells}))


WHOLE = ProductItem(
    sku="A-1",
    title="Kivik sofa",
    brand="Kivik",
    description="Three seats.\nGrey, washable.",
    category="Sofas > Corner sofas",
    price_minor=49_900,
    currency="EUR",
    url="https://shop.example/a-1?x=1",
    stock=3,
    attributes={"colour": ("red", "white"), "Material": ("oak",)},
    dimensions={"width": "180 cm", "depth": "90.5 cm"},
    variant_group="kivik",
    images=("a.jpg", "sofas/b.jpg"),
    article_number="01234567",
)


def test_a_full_csv_row_is_read_whole(tmp_path: Path) -> None:
    feed = csv_feed(
        tmp_path,
        {
            " SKU ": " A-1 ",
            "Title": "Kivik \t sofa",
            "brand": "Kivik",
            "description": "Three seats.\nGrey, washable.",
            "category": "Sofas>Corner  sofas",
            "price": "499,00 eur",
            "currency": "EUR",
            "url": "https://shop.example/a-1?x=1",
            "stock": "3",
            "images": "a.jpg| sofas/b.jpg |a.jpg",
            "variant_group": "kivik",
            "article_number": " 012.345.67 ",
            "dimensions": "width=180cm; depth=90,5 cm",
            "attr:colour": "red|white",
            "ATTR:Material": "oak",
        },
    )
    assert read_feed(feed) == FeedReading(read_feed(feed).rows, (), ())
    assert read_feed(feed).items == [WHOLE]


def test_a_full_json_row_is_read_whole(tmp_path: Path) -> None:
    feed = json_feed(
        tmp_path,
        {
            "sku": "A-1",
            "title": "Kivik sofa",
            "brand": "Kivik",
            "description": "Three seats.\nGrey, washable.",
            "category": "Sofas > Corner sofas",
            "price": 499.00,
            "currency": "EUR",
            "url": "https://shop.example/a-1?x=1",
            "stock": 3,
            "images": ["a.jpg", "sofas/b.jpg"],
            "variant_group": "kivik",
            "article_number": "01234567",
            "dimensions": {"width": "180cm", "depth": "90.5 cm"},
            "attributes": {"colour": ["red", "white"], "Material": "oak"},
        },
    )
    assert read_feed(feed).items == [WHOLE]


def test_a_bare_row_is_enough(tmp_path: Path) -> None:
    assert read_one(tmp_path).items == [ProductItem("A-1", "Kivik", images=("a.jpg",))]


def test_empty_cells_are_as_good_as_absent_ones(tmp_path: Path) -> None:
    blank = read_one(tmp_path, price=" ", stock="", url="", variant_group=" ", **{"attr:colour": ""})
    nothing = {"price": None, "stock": "", "url": " ", "attributes": {}, "images": [], "brand": None}
    empty = read_feed(json_feed(tmp_path, {**GOOD, **nothing}))
    assert blank.items == empty.items == [ProductItem("A-1", "Kivik", images=("a.jpg",))]
    assert blank.errors == empty.errors == ()


@pytest.mark.parametrize(
    ("cells", "minor", "currency"),
    [
        ({"price": "499"}, 49_900, "EUR"),
        ({"price": "499.9"}, 49_990, "EUR"),
        ({"price": "0.07 USD"}, 7, "USD"),
        ({"price": "1.10usd"}, 110, "USD"),
        ({"price": "4999.000"}, 499_900, "EUR"),
        ({"price": "0"}, 0, "EUR"),
        ({"price": "1500", "currency": "JPY"}, 1500, "JPY"),
        ({"price": "1500.00 JPY"}, 1500, "JPY"),
        ({"price": "1.299", "currency": "kwd"}, 1299, "KWD"),
        ({"price": "999999999999.99"}, 99_999_999_999_999, "EUR"),
        ({"currency": "USD"}, None, ""),
    ],
)
def test_prices_are_exact_minor_units(tmp_path: Path, cells: dict[str, str], minor: int | None, currency: str) -> None:
    (item,) = read_one(tmp_path, **cells).items
    assert (item.price_minor, item.currency) == (minor, currency)


def test_a_measure_is_never_divided_by_a_thousand(tmp_path: Path) -> None:
    (item,) = read_one(tmp_path, dimensions="width=1,290mm; depth=0,125 m; height=2,1250m; weight=9,5kg").items
    assert item.dimensions == {"width": "1,290 mm", "depth": "0.125 m", "height": "2.1250 m", "weight": "9.5 kg"}


BAD_CELLS = {
    "sku": {
        "": "missing",
        "A\x001": "control",
        "A\n1": "line breaks",
        "x" * 65: "65 characters",
        "4,00639E+12": "as text",
    },
    "title": {"  ": "missing", "x" * 501: "501 characters", "a\x07b": "control", "#NAME?": "spreadsheet error"},
    "description": {"x" * 20_001: "20001 characters"},
    "price": {
        "cheap": "not a number",
        "1e999": "not a number",
        "1,299": "ambiguous; write 1299.00, or state",
        "1499.995": "decimals than EUR",
        "-1": "negative",
        "1 XXY": "ISO 4217",
    },
    "currency": {"EURO": "ISO 4217"},
    "stock": {
        "some": "not a whole number",
        "2.5": "not a whole number",
        "1e3": "not a whole number",
        "-1": "between 0",
        "99999999999": "between 0 and 2147483646",
        "5.000": "write 5 or 5000",
        "100,000": "write 100 or 100000",
    },
    "url": dict.fromkeys(
        ("shop.example/a", "javascript:alert(1)", "http://[::1", "https://shop example/"), "web address"
    ),
    "article_number": dict.fromkeys(("123.456.7x", "123", "1" * 17, "123..456.78"), "4 to 16 digits"),
    "category": {"Sofas > > Corner": "without a name", "> Sofas": "without a name", "#NV": "spreadsheet error"},
    "image": {
        **dict.fromkeys(
            ("../../etc/passwd", "/../etc/passwd", "..\\secret.jpg", "C:\\a.jpg"), "outside the image folder"
        ),
        **dict.fromkeys(("\\\\server\\share\\a.jpg", "//cdn.example/a.jpg", "a.jpg|sub/../../b.jpg"), "outside"),
        "http://exa mple/a.jpg": "web address",
        "s3://bucket/a.jpg": "neither a file name nor",
    },
    "images": {"|".join(f"{n}.jpg" for n in range(51)): "names 51 pictures"},
    "dimensions": {
        **dict.fromkeys(("180 x 90", "width=180", "width=180cm; width=90cm", '{"width": 180}'), "a number and a unit"),
        "{width": "JSON object",
    },
    "attributes": {"color=red": "JSON object", '["red"]': "JSON object"},
    "attr:color": {"x" * 201: "201 characters"},
}


@pytest.mark.parametrize(
    ("column", "cell", "problem"),
    [(column, cell, problem) for column, cells in BAD_CELLS.items() for cell, problem in cells.items()],
)
def test_a_bad_cell_is_reported_with_its_column_and_line(tmp_path: Path, column: str, cell: str, problem: str) -> None:
    reading = read_one(tmp_path, **{column: cell})
    assert reading.rows == ()
    (error,) = reading.errors
    assert error.line == 2
    assert error.reason.startswith(f"{column} ")
    assert problem in error.reason
    assert error.reason.endswith(".")
    assert "\n" not in error.reason
    assert len(error.reason) < 300


def test_a_price_must_be_in_the_currency_of_its_row(tmp_path: Path) -> None:
    assert "not in EUR" in read_one(tmp_path, price="1 USD", currency="EUR").errors[0].reason
    assert "decimals than JPY" in read_one(tmp_path, price="0.5", currency="JPY").errors[0].reason
    assert [error.reason.split()[0] for error in read_one(tmp_path, price="1", currency="?").errors] == ["currency"]


def test_control_characters_in_the_name_of_an_attribute(tmp_path: Path) -> None:
    assert "'attr:\\x01'" in read_one(tmp_path, **{"attr:\x01": "red"}).errors[0].reason


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ("{", "not a JSON object"),
        ('{"sku": Infinity}', "Infinity"),
        ("[" * 100_000, "not a JSON object"),
        ("[1]", "list"),
        ('"text"', "str"),
        ({**GOOD, "title": ["a"]}, "title ['a'] has several values"),
        ({**GOOD, "title": True}, "title True is not text"),
        ({**GOOD, "brand": "\ud800"}, "brand '\\ud800' has control characters"),
        ({**GOOD, "stock": 2.5}, "stock 2.5 is not a whole number"),
        ('{"sku": "A", "title": "B", "image": "c.jpg", "stock": 1e999999999}', "not a whole number"),
        ({**GOOD, "price": [1]}, "price [1] is not a number"),
        ('{"sku": "A", "title": "B", "image": "c.jpg", "price": 1e999999999}', "not a number"),
        ({**GOOD, "image": {"name": "a.jpg"}}, "image {'name': 'a.jpg'} is not text"),
        ({**GOOD, "images": [7.5, None, {}]}, "images {} is not text"),
        ({**GOOD, "attributes": [1]}, "attributes [1] is not a JSON object"),
        ({**GOOD, "attributes": {"new": True}}, "attribute new True is not text"),
        ({**GOOD, "attributes": {"color": {"a": 1}}}, "attribute color {'a': 1} is not text"),
        ({**GOOD, "attributes": {f"a{n}": "x" for n in range(101)}}, "101 attributes"),
        ({**GOOD, "dimensions": ["180cm"]}, "dimensions ['180cm'] is not a JSON object"),
    ],
)
def test_a_bad_json_row_is_reported(tmp_path: Path, row: object, problem: str) -> None:
    reading = read_feed(json_feed(tmp_path, {**GOOD, "sku": "first"}, "", row))
    assert [item.sku for item in reading.items] == ["first"]
    (error,) = reading.errors
    assert error.line == 3
    assert problem in error.reason
    assert "\n" not in error.reason


@pytest.mark.parametrize(
    ("stock", "pieces"),
    [("3.0", 3), ("100.0000", 100), ("3,0", 3), ("0.000", 0), ("-0.0", 0), ("1234.000", 1234), ("1", 1)]
    + [(word, UNCOUNTED_STOCK) for word in ("yes", "In stock", "TRUE")]
    + [("backorder", 0), ("1 000", 1000), ("1\u202f000", 1000), ("1'000", 1000), ("\uff13", 3)],
)
def test_whole_numbers_may_have_decimals_of_zeros(tmp_path: Path, stock: str, pieces: int) -> None:
    assert [item.stock for item in read_one(tmp_path, stock=stock).items] == [pieces]


@pytest.mark.parametrize(
    ("stock", "pieces"), [("3.0", 3), ("5.000", 5), ("1e1", 10), ("true", UNCOUNTED_STOCK), ("false", 0)]
)
def test_a_number_of_json_is_the_number_that_it_is(tmp_path: Path, stock: str, pieces: int) -> None:
    feed = json_feed(tmp_path, f'{{"sku": "A", "title": "B", "image": "c.jpg", "stock": {stock}}}')
    assert [item.stock for item in read_feed(feed).items] == [pieces]


@pytest.mark.parametrize(
    ("cell", "names"),
    [
        ("/p/0/p0.jpg", ["p/0/p0.jpg"]),
        ("/p/0/p0.jpg,/p/0/q0.jpg", ["p/0/p0.jpg", "p/0/q0.jpg"]),
        ("a,b.jpg", ["a,b.jpg"]),
        ("sofas\\kivik.jpg|./a//b.jpg", ["sofas/kivik.jpg", "a/b.jpg"]),
        ("Mo\u0308bel.jpg", ["M\u00f6bel.jpg"]),
        ("https://a.example/a b.jpg", ["https://a.example/a%20b.jpg"]),
        ("https://a.example/a%20b 100%.jpg", ["https://a.example/a%20b%20100%25.jpg"]),
        ("https://m\u00f6bel.example/\u00f6.jpg?x=\u00e4", ["https://xn--mbel-5qa.example/%C3%B6.jpg?x=%C3%A4"]),
        ("https://a.example/a,1.jpg", ["https://a.example/a,1.jpg"]),
        ("https://a.example/1, https://a.example/2", ["https://a.example/1", "https://a.example/2"]),
        ("https://a.example/1|https://a.example/2|", ["https://a.example/1", "https://a.example/2"]),
        ("https://a.example/left|right", ["https://a.example/left%7Cright"]),
        ("https://a.example/a.jpg|b.jpg", ["https://a.example/a.jpg", "b.jpg"]),
    ],
)
def test_names_of_pictures(tmp_path: Path, cell: str, names: list[str]) -> None:
    assert [item.images for item in read_one(tmp_path, image=cell).items] == [tuple(names)]


@pytest.mark.parametrize("image", ["", "|", " "])
def test_a_row_without_a_picture_is_listed(tmp_path: Path, image: str) -> None:
    reading = read_one(tmp_path, image=image)
    assert [(row.item.sku, row.item.images) for row in reading.rows] == [("A-1", ())]
    assert [(error.line, error.sku, error.kind) for error in reading.errors] == [(2, "A-1", "no picture")]
    assert [error.kind for error in read_one(tmp_path, image=image, stock="x").errors] == ["row"]


def test_what_people_read_has_no_markup(tmp_path: Path) -> None:
    item = read_one(
        tmp_path,
        sku="A&amp;<b>1</b>",
        title="Table &amp; <i>Chair</i>",
        brand="Johnson &amp;amp; Son",
        description="<p>Soft &amp; <b>warm</b></p><ul><li>oak</li></ul>",
        category="Bed &amp; Bath &gt; &#66;eds",
        url="https://a.example/?a=1&amp;b=2",
        variant_group="G&amp;1",
        **{"attr:size": "Size &lt;L&gt;|5 < 6"},
    ).items[0]
    assert (item.sku, item.title, item.brand) == ("A&amp;<b>1</b>", "Table & Chair", "Johnson & Son")
    assert (item.description, item.category) == ("Soft & warm\noak", "Bed & Bath > Beds")
    assert (item.url, item.variant_group) == ("https://a.example/?a=1&amp;b=2", "G&amp;1")
    assert item.attributes == {"size": ("Size <L>", "5 < 6")}


def test_a_text_is_as_long_as_people_read_it(tmp_path: Path) -> None:
    assert read_one(tmp_path, title="<b>" * 300 + "x" * 400 + "</b>" * 300).items[0].title == "x" * 400


def test_a_level_less_at_the_end_of_a_category(tmp_path: Path) -> None:
    assert read_one(tmp_path, category="Home > Chairs > ").items[0].category == "Home > Chairs"


def test_all_that_is_wrong_with_a_row_is_said_at_once(tmp_path: Path) -> None:
    reading = read_one(tmp_path, title="", price="x", stock="-3", image="../a.jpg")
    assert [error.reason.split()[0] for error in reading.errors] == ["title", "price", "stock", "image"]
    assert {error.sku for error in reading.errors} == {"A-1"}


def test_a_bad_row_does_not_stop_the_reading(tmp_path: Path) -> None:
    rows = [{**GOOD, "sku": sku, "stock": stock} for sku, stock in (("A", "1"), ("B", "x"), ("C", "3"))]
    reading = read_feed(csv_feed(tmp_path, *rows))
    assert [item.sku for item in reading.items] == ["A", "C"]
    assert [(error.line, error.sku) for error in reading.errors] == [(3, "B")]


def test_a_second_row_of_the_same_number_is_bad(tmp_path: Path) -> None:
    reading = read_feed(csv_feed(tmp_path, GOOD, {**GOOD, "sku": "B"}, {**GOOD, "title": "Again"}))
    assert [item.title for item in reading.items] == ["Kivik", "Kivik"]
    (error,) = reading.errors
    assert (error.line, error.sku, error.kind, "line 2" in error.reason) == (4, "A-1", "repeat", True)


@pytest.mark.parametrize(("row", "count"), [("B,Lamp", 2), ("B,Lamp,b.jpg,extra", 4)])
def test_a_row_must_have_as_many_cells_as_the_header(tmp_path: Path, row: str, count: int) -> None:
    reading = read_feed(text_feed(tmp_path, f"sku,title,image\nA,Sofa,a.jpg\n{row}\n"))
    (error,) = reading.errors
    assert (error.line, error.sku) == (3, "B")
    assert f"has {count} cells, and the header has 3" in error.reason


def test_lines_are_counted_as_an_editor_counts_them(tmp_path: Path) -> None:
    content = 'sku,title,description,image\r\nA,a,"one\r\ntwo",a.jpg\r\n\r\n,,,\r\nB,b,,\r\n'
    reading = read_feed(text_feed(tmp_path, content))
    assert [row.line for row in reading.rows] == [2, 6]
    assert [(error.line, error.kind) for error in reading.errors] == [(6, "no picture")]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_found(tmp_path: Path, delimiter: str) -> None:
    lines = [["sku", "title", "price", "image"], ["A", "Größe", '"499,00"', "a.jpg"]]
    content = "\ufeff" + "\n".join(delimiter.join(line) for line in lines)
    (item,) = read_feed(text_feed(tmp_path, content)).items
    assert (item.title, item.price_minor) == ("Größe", 49_900)


def test_unknown_columns_are_named_once_with_a_guess(tmp_path: Path) -> None:
    row = {**GOOD, "category": "Sofas", "desciption": "x", "colour": "red"}
    reading = read_feed(csv_feed(tmp_path, row, {**row, "sku": "B"}))
    assert len(reading.rows) == 2
    (warning,) = reading.warnings
    assert "'desciption' (meant 'description'?), 'colour'" in warning
    assert "attr:NAME" in warning


def test_a_feed_without_categories_is_warned_about(tmp_path: Path) -> None:
    assert "category" in read_one(tmp_path).warnings[0]
    assert read_one(tmp_path, category="Sofas").warnings == ()


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("feed.csv", "", "feed.csv is empty"),
        ("feed.csv", "\ufeff \n\n", "feed.csv is empty"),
        ("feed.csv", "sku,title,image\n", "feed.csv has no rows"),
        ("feed.csv", "A-1;Kivik;a.jpg\nB-2;Lamp;b.jpg\n", "no known column"),
        ("feed.csv", "sku,image\nA,a.jpg\n", "lacks title"),
        ("feed.csv", "sku,brand\nA,a\n", "lacks title, image"),
        ("feed.csv", "sku,title,,image\nA,a,,a.jpg\n", "Column 3 of feed feed.csv"),
        ("feed.csv", 'sku,title,image\nA,"a,a.jpg\nB,b,b.jpg\n', "row at line 2 of"),
        ("feed.csv", 'sku,title,image\nA,a,a.jpg\nB,"b"b,b.jpg\n', "row at line 3 of"),
        ("feed.csv", f"sku,title,image\nA,{'a' * 200_000},a.jpg\n", "field larger than field limit"),
        ("feed.csv", b"sku,title,image\nA,Gr\xf6\xdfe,a.jpg\n", "Line 2 of feed feed.csv is not UTF-8.*encoding = "),
        ("feed.csv", "sku,title,image\nA,b,c\n".encode("utf-16")[:-1], "feed.csv is not UTF-16"),
        ("feed.xlsx", b"PK\x03\x04", r"feed\.xlsx is a spreadsheet or an archive"),
        ("feed.json", "[]", "feed.json is a JSON list"),
        ("feed.csv", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0", "feed.csv is a PNG"),
        ("feed.csv", b"\xff\xd8\xff\xe0\0\x10JFIF\0", "feed.csv is a JPEG"),
        ("feed.jsonl", "Please log in\n", "no known column"),
        ("feed.csv", "<!DOCTYPE html><html><body>Log in</body></html>", "is a web page"),
        ("feed.xml", "<!-- v2 --><html><body>Log in</body></html>", "is a web page"),
        ("feed.xml", '<?xml version="1.0"?>\n<!DOCTYPE html PUBLIC "x">\n<html xmlns="y"><p/></html>', "is a web page"),
        ("feed.csv", "\ufeff\n<form action='/login'></form>", "is a web page"),
        ("feed.parquet", b"PAR1 and no more", "damaged Parquet"),
        ("feed.xml", "<rss><channel><item><id>1</id>", "feed.xml is not well-formed"),
        ("feed.xml", "<rss><channel/></rss>", "no <item> or <entry>"),
        ("feed.jsonl", "\n\n", "feed.jsonl is empty"),
    ],
)
def test_a_hopeless_feed_is_refused_whole(tmp_path: Path, name: str, content: str | bytes, sentence: str) -> None:
    with pytest.raises(FeedRejected, match=sentence) as caught:
        read_feed(text_feed(tmp_path, content, name))
    assert "\n" not in str(caught.value)


CSV = "sku,title,image\nA,S\u00f6fa,a.jpg\nB,Lamp,b.jpg\n"
JSON = '{"sku": "A", "title": "S\u00f6fa", "image": "a.jpg"}\n{"sku": "B", "title": "Lamp", "image": "b.jpg"}\n'
XML = (
    "<feed><entry><id>A</id><title>S\u00f6fa</title><image_link>a.jpg</image_link></entry>"
    "<entry><id>B</id><title>Lamp</title><image_link>b.jpg</image_link></entry></feed>"
)


@pytest.mark.parametrize("content", [CSV, JSON, XML])
@pytest.mark.parametrize("name", ["feed.csv", "feed.jsonl", "feed.xml", "feed.csv.gz", "export.php", "feed"])
def test_the_content_tells_what_a_feed_is(tmp_path: Path, name: str, content: str) -> None:
    assert [item.title for item in read_feed(text_feed(tmp_path, content, name)).items] == ["S\u00f6fa", "Lamp"]


@pytest.mark.parametrize("content", [CSV, JSON])
@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_texts_as_spreadsheets_save_them(tmp_path: Path, content: str, encoding: str, ending: str) -> None:
    reading = read_feed(text_feed(tmp_path, content.replace("\n", ending).encode(encoding)))
    assert [item.title for item in reading.items] == ["S\u00f6fa", "Lamp"]
    assert [row.line for row in reading.rows] == ([2, 3] if content == CSV else [1, 2])


def test_an_encoding_that_a_mapping_names(tmp_path: Path) -> None:
    feed = text_feed(tmp_path, CSV.encode("cp1252"))
    assert read_feed(feed, mapping=ColumnMapping(encoding="cp1252")).items[0].title == "S\u00f6fa"
    with pytest.raises(FeedRejected, match=r"Line 2 of feed feed\.csv is not UTF-8"):
        read_feed(feed)


@pytest.mark.parametrize("top", ["sep=;", "\ufeffsep=;", '"sep=;"', "SEP=;;;", "\n\nsep=;", "\n"])
def test_a_line_that_names_the_delimiter(tmp_path: Path, top: str) -> None:
    feed = text_feed(tmp_path, f"{top}\r\nsku;title;image;a,b,c,d,e\r\nA;Sofa;a.jpg;\r\nB;;b.jpg;\r\n")
    if top == "\n":
        feed = text_feed(tmp_path, f'{top}"sku";"title";"image";"a,b,c,d,e"\r\nA;Sofa;a.jpg;\r\nB;;b.jpg;\r\n')
    reading = read_feed(feed)
    assert [item.sku for item in reading.items] == ["A"]
    assert [error.line for error in reading.errors] == [reading.rows[0].line + 1]
    assert reading.rows[0].line == 3 + top.count("\n") - (top == "\n")


def test_a_column_that_is_there_twice(tmp_path: Path) -> None:
    head = "sku,title,Image,image,attr:colour,attr:colour,Title,brand,brand\n"
    rows = "A,Sofa,a.jpg,b.jpg|a.jpg,red,white,Sofa,,Nord\nB,Lamp,a.jpg,,red,,Lampe,,\n"
    reading = read_feed(text_feed(tmp_path, head + rows))
    (item,) = reading.items
    assert (item.title, item.brand) == ("Sofa", "Nord")
    assert (item.images, item.attributes) == (("a.jpg", "b.jpg"), {"colour": ("red", "white")})
    (error,) = reading.errors
    assert (error.line, error.reason.startswith("title ['Lamp', 'Lampe'] has several values")) == (3, True)


def test_what_databases_and_spreadsheets_write_for_nothing(tmp_path: Path) -> None:
    text = "sku,title,brand,category,price,image\nA,Sofa,NULL,\\N,NULL,a.jpg\nB,Null,null,,,b.jpg\n"
    first, second = read_feed(text_feed(tmp_path, text)).items
    assert first == ProductItem("A", "Sofa", images=("a.jpg",))
    assert (second.title, second.brand) == ("Null", "null")


def test_a_price_that_is_not_a_number_in_json_is_none(tmp_path: Path) -> None:
    feed = json_feed(tmp_path, '{"sku": "A", "title": "B", "image": "c.jpg", "price": NaN, "stock": NaN}')
    assert read_feed(feed).rows[0].item == ProductItem("A", "B", images=("c.jpg",))


@pytest.mark.parametrize("cell", ['="00123"', '"=""00123"""'])
def test_zeros_that_a_spreadsheet_keeps(tmp_path: Path, cell: str) -> None:
    text = f"sku,title,image\n{cell},Sofa,a.jpg\n"
    assert [item.sku for item in read_feed(text_feed(tmp_path, text)).items] == ["00123"]


def test_empty_columns_at_the_right(tmp_path: Path) -> None:
    text = "sku,title,image,,\nA,Sofa,a.jpg,,\nB,Lamp,b.jpg\nC,Desk,c.jpg,,,\nD,Bed,d.jpg,x,\n"
    reading = read_feed(text_feed(tmp_path, text))
    assert [item.sku for item in reading.items] == ["A", "B", "C"]
    assert [(error.line, "header has 3" in error.reason) for error in reading.errors] == [(5, True)]


@pytest.mark.parametrize("title", ["St\ufffdhl", "St\u00c3\u00bchl", "Oma\u00e2\u20ac\u2122s"])
def test_letters_that_were_lost_are_warned_of(tmp_path: Path, title: str) -> None:
    text = f"sku,title,image,category\nA,S\u00f6fa MA\u00c7\u00c3S \u20ac \u00e2,a.jpg,C\nB,{title},b.jpg,C\n"
    reading = read_feed(text_feed(tmp_path, text))
    assert [item.title for item in reading.items][1] == title
    assert ["1 row, first on line 3" in warning for warning in reading.warnings] == [True]


def test_a_key_that_json_has_twice(tmp_path: Path) -> None:
    row = '{"sku": "A", "sku": "B", "title": "Sofa", "image": "a.jpg"}'
    assert "several values" in read_feed(json_feed(tmp_path, row)).errors[0].reason


def test_a_feed_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FeedRejected, match="No such file"):
        read_feed(tmp_path / "feed.csv")
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(FeedRejected, match="directory"):
        read_feed(tmp_path / "folder.csv")


def test_an_unknown_default_currency_is_a_bad_setting(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="'XYZ'"):
        read_feed(csv_feed(tmp_path, GOOD), currency="XYZ")


@pytest.mark.parametrize(("language", "ending"), [("csv", ".csv"), ("json", ".jsonl")])
def test_the_examples_of_the_documentation_are_good_feeds(tmp_path: Path, language: str, ending: str) -> None:
    example = re.search(rf"```{language}\n(.*?)```", DOCUMENT.read_text(encoding="utf8"), re.DOTALL)
    assert example is not None
    reading = read_feed(text_feed(tmp_path, example[1], f"feed{ending}"))
    assert (reading.errors, reading.warnings) == ((), ())
    first = reading.items[0]
    assert (first.sku, first.price_minor, first.dimensions["width"]) == ("S-100", 49_900, "180 cm")


def test_the_example_of_a_mapping_is_one(tmp_path: Path) -> None:
    example = re.search(r"```toml\n(.*?)```", DOCUMENT.read_text(encoding="utf8"), re.DOTALL)
    assert example is not None
    (tmp_path / "mapping.toml").write_text(example[1])
    assert read_mapping(tmp_path / "mapping.toml").columns["sku"] == "ArticleNo"
    text = DOCUMENT.read_text(encoding="utf8")
    assert [key for key in ColumnMapping.model_fields if not re.search(rf"[`\[]{key}[`\]]", text)] == []


@pytest.mark.parametrize("column", COLUMNS)
def test_every_column_is_documented(column: str) -> None:
    assert f"`{column}`" in DOCUMENT.read_text(encoding="utf8")
