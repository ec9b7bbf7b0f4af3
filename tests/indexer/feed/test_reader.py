"""Feed rows: validation of their fields, and the problems reported."""

import json
import re
from pathlib import Path

import pytest

from catalog.changes import UNCOUNTED_STOCK, ProductItem
from indexer.feed.column_mapping import COLUMNS, ColumnMapping, read_mapping
from tests.indexer.feed.feeds import GOOD, csv_text, json_lines, read, read_items, read_row
from vsearch.core.errors import SettingsError

DOCUMENT = (Path(__file__).parents[3] / "docs" / "feed.md").read_text(encoding="utf8")

FULL_ITEM = ProductItem(
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
SAME = ("brand", "description", "currency", "url", "stock", "variant_group")


def test_a_full_row(tmp_path):
    same = {name: getattr(FULL_ITEM, name) for name in SAME}
    typed = {
        **{name: getattr(FULL_ITEM, name) for name in ("sku", "title", "category", "images", "article_number")},
        "price": 499.00,
        "dimensions": {"width": "180cm", "depth": "90.5 cm"},
        "attributes": {"colour": ["red", "white"], "Material": "oak"},
    }
    assert read(tmp_path, json_lines({**same, **typed})).items == [FULL_ITEM]
    text = {
        **{" SKU ": " A-1 ", "Title": "Kivik \t sofa", "category": "Sofas>Corner  sofas", "price": "499,00 eur"},
        **{"images": "a.jpg| sofas/b.jpg |a.jpg", "article_number": " 012.345.67 "},
        **{"dimensions": "width=180cm; depth=90,5 cm", "attr:colour": "red|white", "ATTR:Material": "oak"},
    }
    reading = read(tmp_path, csv_text({**same, **text}))
    assert (reading.items, reading.errors, reading.warnings) == ([FULL_ITEM], (), ())


def test_empty_cells_are_like_absent_ones(tmp_path):
    bare = {"A-1": ProductItem("A-1", "Kivik", images=("a.jpg",))}
    blank = {"price": " ", "stock": "", "url": "", "variant_group": " ", "attr:colour": ""}
    nothing = {"price": None, "stock": "", "url": " ", "attributes": {}, "images": [], "brand": None}
    for content in (csv_text(GOOD), csv_text({**GOOD, **blank}), json_lines({**GOOD, **nothing})):
        assert read_items(tmp_path, content) == bare


def test_the_currency_of_a_price(tmp_path):
    rows = [{"price": "1.10usd"}, {"price": "1.299", "currency": "kwd"}, {"currency": "USD"}]
    items = read_items(tmp_path, csv_text(*({**GOOD, "sku": str(n), **row} for n, row in enumerate(rows)))).values()
    assert [(item.price_minor, item.currency) for item in items] == [(110, "USD"), (1299, "KWD"), (None, "")]
    for price, currency, bad in (("1 USD", "EUR", "price"), ("1", "?", "currency")):
        assert [error.reason.split()[0] for error in read_row(tmp_path, price=price, currency=currency).errors] == [bad]


def test_a_dimension_with_thousands_or_decimals_is_shown_as_written(tmp_path):
    """1,290 mm is not 1.290 mm, but 2,125 m could be 2.125 m."""
    (item,) = read_row(tmp_path, dimensions="width=1,290mm; depth=0,125 m; height=2,1250m; weight=9,5kg").items
    assert item.dimensions == {"width": "1,290 mm", "depth": "0.125 m", "height": "2.1250 m", "weight": "9.5 kg"}


BAD_CELLS = {
    "sku": {"": "missing", "A\x001": "control", "A\n1": "line breaks", "x" * 65: "65", "4,00639E+12": "as text"},
    "title": {"  ": "missing", "x" * 501: "501 characters", "a\x07b": "control", "#NAME?": "spreadsheet error"},
    "description": {"x" * 20_001: "20001 characters"},
    "price": {"cheap": "not a number", "1,299": "ambiguous; write 1299.00"},
    "currency": {"EURO": "ISO 4217"},
    "stock": {
        **dict.fromkeys(("some", "2.5", "1e3"), "not a whole number"),
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
    "images": {"|".join(f"{n}.jpg" for n in range(51)): "names 51 images"},
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
def test_a_bad_cell_is_reported_with_its_column_and_line(tmp_path, column, cell, problem):
    reading = read_row(tmp_path, **{column: cell})
    assert reading.rows == ()
    (error,) = reading.errors
    assert (error.line, error.reason.startswith(f"{column} "), problem in error.reason) == (2, True, True)
    assert "\n" not in error.reason
    assert len(error.reason) < 300


def test_control_characters_in_the_name_of_an_attribute(tmp_path):
    assert "'attr:\\x01'" in read_row(tmp_path, **{"attr:\x01": "red"}).errors[0].reason


@pytest.mark.parametrize(
    ("column", "value", "problem"),
    [
        ("title", '["a"]', "title ['a'] has several values"),
        ("title", "true", "title True is not text"),
        ("brand", r'"\ud800"', "brand '\\ud800' has control characters"),
        ("stock", "1" + 400 * "0", "is not a whole number"),
        ("price", "1e999999999", "number"),
        ("price", "[1]", "price [1] is not a number"),
        ("image", '{"name": "a.jpg"}', "image {'name': 'a.jpg'} is not text"),
        ("images", "[7.5, null, {}]", "images {} is not text"),
        ("attributes", "[1]", "attributes [1] is not a JSON object"),
        ("attributes", '{"new": true}', "attribute new True is not text"),
        ("attributes", '{"color": {"a": 1}}', "attribute color {'a': 1} is not text"),
        ("attributes", json.dumps({f"a{n}": "x" for n in range(101)}), "101 attributes"),
        ("dimensions", '["180cm"]', "dimensions ['180cm'] is not a JSON object"),
    ],
)
def test_a_bad_value_in_json_is_reported(tmp_path, column, value, problem):
    good = {name: text for name, text in GOOD.items() if name != column}
    reading = read(tmp_path, json_lines({**GOOD, "sku": "first"}, f'{json.dumps(good)[:-1]}, "{column}": {value}}}'))
    assert [item.sku for item in reading.items] == ["first"]
    assert [(error.line, problem in error.reason) for error in reading.errors] == [(2, True)]


@pytest.mark.parametrize(
    ("stock", "texts"),
    [
        (3, "3.0|3,0|\uff13"),
        (1000, "1 000|1\u202f000|1'000"),
        (0, "0.000|-0.0|backorder"),
        (UNCOUNTED_STOCK, "yes|TRUE"),
    ],
)
def test_stock(tmp_path, stock, texts):
    for text in texts.split("|"):
        assert [item.stock for item in read_row(tmp_path, stock=text).items] == [stock], text


def test_stock_as_a_number_in_json_is_never_ambiguous(tmp_path):
    stock = {"3.0": 3, "5.000": 5, "1e1": 10, "true": UNCOUNTED_STOCK, "false": 0}
    lines = [f'{{"sku": "{text}", "title": "B", "image": "c.jpg", "stock": {text}}}' for text in stock]
    assert {sku: item.stock for sku, item in read_items(tmp_path, json_lines(*lines)).items()} == stock


@pytest.mark.parametrize(
    ("cell", "names"),
    [
        ("/p/0/p0.jpg,/p/0/q0.jpg", ["p/0/p0.jpg", "p/0/q0.jpg"]),
        ("a,b.jpg", ["a,b.jpg"]),
        ("sofas\\kivik.jpg|./a//b.jpg", ["sofas/kivik.jpg", "a/b.jpg"]),
        ("Mo\u0308bel.jpg", ["M\u00f6bel.jpg"]),
        ("https://a.example/a b.jpg", ["https://a.example/a%20b.jpg"]),
        ("https://a.example/a%20b 100%.jpg", ["https://a.example/a%20b%20100%25.jpg"]),
        ("https://m\u00f6bel.example/\u00f6.jpg?x=\u00e4", ["https://xn--mbel-5qa.example/%C3%B6.jpg?x=%C3%A4"]),
        ("https://a.example/a,1.jpg", ["https://a.example/a,1.jpg"]),
        ("https://a.example/1, https://a.example/2", ["https://a.example/1", "https://a.example/2"]),
        ("https://a.example/left|right", ["https://a.example/left%7Cright"]),
        ("https://a.example/a.jpg|b.jpg", ["https://a.example/a.jpg", "b.jpg"]),
    ],
)
def test_names_of_images(tmp_path, cell, names):
    assert [item.images for item in read_row(tmp_path, image=cell).items] == [tuple(names)]


@pytest.mark.parametrize("image", ["", "|", " "])
def test_a_row_without_a_picture_is_reported(tmp_path, image):
    reading = read_row(tmp_path, image=image)
    assert [(row.item.sku, row.item.images) for row in reading.rows] == [("A-1", ())]
    assert [(error.line, error.sku, error.kind) for error in reading.errors] == [(2, "A-1", "no picture")]
    assert [error.kind for error in read_row(tmp_path, image=image, stock="x").errors] == ["row"]


def test_markup_is_removed_from_texts_for_readers(tmp_path):
    item = read_row(
        tmp_path,
        sku="A&amp;<b>1</b>",
        title="Table &amp; <i>Chair</i>",
        brand="Johnson &amp;amp; Son",
        description="<p>Soft &amp; <b>warm</b></p><ul><li>oak</li></ul>",
        category="Bed &amp; Bath &gt; &#66;eds > ",
        url="https://a.example/?a=1&amp;b=2",
        variant_group="G&amp;1",
        **{"attr:size": "Size &lt;L&gt;|5 < 6"},
    ).items[0]
    assert (item.sku, item.title, item.brand) == ("A&amp;<b>1</b>", "Table & Chair", "Johnson & Son")
    assert (item.description, item.category) == ("Soft & warm\noak", "Bed & Bath > Beds")
    assert (item.url, item.variant_group) == ("https://a.example/?a=1&amp;b=2", "G&amp;1")
    assert item.attributes == {"size": ("Size <L>", "5 < 6")}
    long = "<b>" * 300 + "x" * 400 + "</b>" * 300
    assert read_row(tmp_path, title=long).items[0].title == "x" * 400, "markup does not count for the length"


def test_all_problems_of_a_row_are_reported_and_other_rows_read(tmp_path):
    good, bad = {**GOOD, "price": "1", "stock": "1"}, {"title": "", "price": "x", "stock": "-3", "image": "../a.jpg"}
    reading = read(tmp_path, csv_text(*({**good, "sku": sku, **(bad if sku == "B" else {})} for sku in "ABC")))
    assert [item.sku for item in reading.items] == ["A", "C"]
    assert [error.reason.split()[0] for error in reading.errors] == ["title", "price", "stock", "image"]
    assert {(error.line, error.sku) for error in reading.errors} == {(3, "B")}


def test_a_repeated_sku_is_reported(tmp_path):
    reading = read(tmp_path, csv_text(GOOD, {**GOOD, "sku": "B"}, {**GOOD, "title": "Again"}))
    assert [item.title for item in reading.items] == ["Kivik", "Kivik"]
    (error,) = reading.errors
    assert (error.line, error.sku, error.kind, "line 2" in error.reason) == (4, "A-1", "repeat", True)


def test_unknown_columns_are_reported_once_with_a_guess(tmp_path):
    row = {**GOOD, "category": "Sofas", "desciption": "x", "colour": "red"}
    (warning,) = read(tmp_path, csv_text(row, {**row, "sku": "B"})).warnings
    assert "'desciption' (meant 'description'?), 'colour'" in warning


def test_a_feed_without_categories_is_warned_about(tmp_path):
    assert "category" in read_row(tmp_path).warnings[0]
    assert read_row(tmp_path, category="Sofas").warnings == ()


@pytest.mark.parametrize("title", ["St\ufffdhl", "St\u00c3\u00bchl", "Oma\u00e2\u20ac\u2122s"])
def test_lost_letters_are_warned_about(tmp_path, title):
    feed = f"sku,title,image,category\nA,S\u00f6fa MA\u00c7\u00c3S \u20ac \u00e2,a.jpg,C\nB,{title},b.jpg,C\n"
    reading = read(tmp_path, feed)
    assert reading.items[1].title == title
    assert ["first on line 3" in warning for warning in reading.warnings] == [True]


def test_an_unknown_default_currency_is_a_bad_setting(tmp_path):
    with pytest.raises(SettingsError, match="'XYZ'"):
        read(tmp_path, csv_text(GOOD), currency="XYZ")


def documented(language: str) -> str:
    """Return the first example in the documentation that is in the given language."""
    return re.search(rf"```{language}\n(.*?)```", DOCUMENT, re.DOTALL)[1]


@pytest.mark.parametrize(("language", "ending"), [("csv", ".csv"), ("json", ".jsonl")])
def test_the_examples_of_the_documentation_are_good_feeds(tmp_path, language, ending):
    reading = read(tmp_path, documented(language), f"feed{ending}")
    assert (reading.errors, reading.warnings) == ((), ())
    first = reading.items[0]
    assert (first.sku, first.price_minor, first.dimensions["width"]) == ("S-100", 49_900, "180 cm")


def test_columns_and_mappings_are_documented(tmp_path):
    (tmp_path / "mapping.toml").write_text(documented("toml"))
    assert read_mapping(tmp_path / "mapping.toml").columns["sku"] == "ArticleNo"
    assert [key for key in ColumnMapping.model_fields if not re.search(rf"[`\[]{key}[`\]]", DOCUMENT)] == []
    assert [column for column in COLUMNS if f"`{column}`" not in DOCUMENT] == []
