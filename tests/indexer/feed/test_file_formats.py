"""Formats, encodings and compression of feed files."""

import gzip
import re

import pytest

from catalog.changes import ProductItem
from indexer.feed.column_mapping import ColumnMapping
from indexer.feed.reader import read_feed
from tests.indexer.feed.feeds import GOOD, json_lines, read, read_items
from vsearch.core.errors import FeedRejected

CSV = "sku,title,image\nA,S\u00f6fa,a.jpg\nB,Lamp,b.jpg\n"
JSON = '{"sku": "A", "title": "S\u00f6fa", "image": "a.jpg"}\n{"sku": "B", "title": "Lamp", "image": "b.jpg"}\n'
XML = (
    "<feed><entry><id>A</id><title>S\u00f6fa</title><image_link>a.jpg</image_link></entry>"
    "<entry><id>B</id><title>Lamp</title><image_link>b.jpg</image_link></entry></feed>"
)


@pytest.mark.parametrize("content", [CSV, JSON, XML])
@pytest.mark.parametrize("name", ["feed.csv", "feed.jsonl", "feed.xml", "feed.csv.gz", "export.php"])
def test_the_format_is_recognized_by_content(tmp_path, name, content):
    assert [item.title for item in read(tmp_path, content, name).items] == ["S\u00f6fa", "Lamp"]


@pytest.mark.parametrize("content", [CSV, JSON])
@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_encodings_and_line_ends_of_spreadsheets(tmp_path, content, encoding, ending):
    reading = read(tmp_path, content.replace("\n", ending).encode(encoding))
    assert [item.title for item in reading.items] == ["S\u00f6fa", "Lamp"]
    assert [row.line for row in reading.rows] == ([2, 3] if content == CSV else [1, 2])


def test_the_encoding_of_a_mapping(tmp_path):
    feed = CSV.encode("cp1252")
    assert read_items(tmp_path, feed, mapping=ColumnMapping(encoding="cp1252"))["A"].title == "S\u00f6fa"
    with pytest.raises(FeedRejected, match=r"Line 2 of feed feed\.csv is not UTF-8"):
        read(tmp_path, feed)


@pytest.mark.parametrize("content", [CSV, JSON, XML])
def test_a_compressed_feed(tmp_path, content):
    for _ in range(2):
        content = gzip.compress(content.encode() if isinstance(content, str) else content)
        assert len(read_items(tmp_path, content)) == 2


@pytest.mark.parametrize(
    ("head", "row"),
    [("sku,title,image\n", "A{n},Sofa,a.jpg\n"), ("", '{{"sku": "A{n}"}}\n'), ("<rss>", "<item><id>{n}</id></item>")],
)
def test_a_compressed_feed_that_ends_too_early_is_refused(tmp_path, head, row):
    content = head + "".join(row.format(n=n) for n in range(5000))
    with pytest.raises(FeedRejected, match=r"ends too early|not well-formed"):
        read(tmp_path, gzip.compress(content.encode())[:-2000])


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("", "feed is empty"),
        ("\ufeff \n\n", "feed is empty"),
        ("sku,title,image\n", "feed has no rows"),
        ("A-1;Kivik;a.jpg\nB-2;Lamp;b.jpg\n", "no known column"),
        ("sku,brand\nA,a\n", "lacks title, image"),
        ("sku,title,,image\nA,a,,a.jpg\n", "Column 3 of feed feed"),
        ('sku,title,image\nA,"a,a.jpg\nB,b,b.jpg\n', "Line 2 of"),
        ('sku,title,image\nA,a,a.jpg\nB,"b"b,b.jpg\n', "Line 3 of"),
        (f"sku,title,image\nA,{'a' * 200_000},a.jpg\n", "field larger than field limit"),
        (b"sku,title,image\nA,Gr\xf6\xdfe,a.jpg\n", "Line 2 of feed feed is not UTF-8.*encoding = "),
        ("sku,title,image\nA,b,c\n".encode("utf-16")[:-1], "feed is not UTF-16"),
        (b"PK\x03\x04", "feed is a spreadsheet or an archive"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0", "feed is a PNG"),
        ("[]", "feed is a JSON array"),
        ("<!-- v2 --><html><body>Log in</body></html>", "is a web page"),
        ('<?xml version="1.0"?>\n<!DOCTYPE html PUBLIC "x">\n<html xmlns="y"><p/></html>', "is a web page"),
        ("\ufeff\n<form action='/login'></form>", "is a web page"),
        (b"PAR1 and no more", "damaged Parquet"),
        (gzip.compress(b"PAR1", mtime=0), "gzipped"),
        ("<rss><channel/></rss>", "no <item> or <entry>"),
    ],
)
def test_an_unusable_feed_is_refused(tmp_path, content, problem):
    with pytest.raises(FeedRejected, match=problem) as caught:
        read(tmp_path, content, "feed")
    assert "\n" not in str(caught.value)


def test_a_missing_feed_is_refused(tmp_path):
    for path, problem in ((tmp_path, "directory"), (tmp_path / "feed.csv", "No such file")):
        with pytest.raises(FeedRejected, match=problem):
            read_feed(path)


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_recognized(tmp_path, delimiter):
    lines = [["sku", "title", "price", "image"], ["A", "Gr\u00f6\u00dfe", '"499,00"', "a.jpg"]]
    item = read_items(tmp_path, "\ufeff" + "\n".join(map(delimiter.join, lines)))["A"]
    assert (item.title, item.price_minor) == ("Gr\u00f6\u00dfe", 49_900)


@pytest.mark.parametrize("top", ["sep=;", "\ufeffsep=;", '"sep=;"', "SEP=;;;", "\n\nsep=;", "\n"])
def test_a_line_that_names_the_delimiter(tmp_path, top):
    header = '"sku";"title";"image";"a,b,c,d,e"' if top == "\n" else "sku;title;image;a,b,c,d,e"
    reading = read(tmp_path, f"{top}\r\n{header}\r\nA;Sofa;a.jpg;\r\nB;;b.jpg;\r\n")
    assert [item.sku for item in reading.items] == ["A"]
    assert [error.line for error in reading.errors] == [reading.rows[0].line + 1]
    assert reading.rows[0].line == 3 + top.count("\n")


def test_rows_must_have_as_many_cells_as_the_header(tmp_path):
    """Unnamed trailing columns must be empty."""
    errors = read(tmp_path, "sku,title,image\nA,Sofa,a.jpg\nB,Lamp\nC,Lamp,c.jpg,extra\n").errors
    assert [(error.line, error.sku) for error in errors] == [(3, "B"), (4, "C")]
    assert [f"has {count} cells" in error.reason for count, error in zip((2, 4), errors, strict=True)] == [True, True]
    reading = read(tmp_path, "sku,title,image,,\nA,Sofa,a.jpg,,\nB,Lamp,b.jpg\nC,Desk,c.jpg,,,\nD,Bed,d.jpg,x,\n")
    assert ([item.sku for item in reading.items], [error.line for error in reading.errors]) == (["A", "B", "C"], [5])


def test_line_numbers_count_line_breaks_in_cells_and_blank_lines(tmp_path):
    reading = read(tmp_path, 'sku,title,description,image\r\nA,a,"one\r\ntwo",a.jpg\r\n\r\n,,,\r\nB,b,,\r\n')
    assert [row.line for row in reading.rows] == [2, 6]
    assert [(error.line, error.kind) for error in reading.errors] == [(6, "no picture")]


def test_nulls_of_databases(tmp_path):
    text = "sku,title,brand,category,price,image\nA,Sofa,NULL,\\N,NULL,a.jpg\nB,Null,null,,,b.jpg\n"
    first, second = read(tmp_path, text).items
    assert first == ProductItem("A", "Sofa", images=("a.jpg",))
    assert (second.title, second.brand) == ("Null", "null")


@pytest.mark.parametrize("cell", ['="00123"', '"=""00123"""'])
def test_leading_zeros_that_a_spreadsheet_keeps(tmp_path, cell):
    assert list(read_items(tmp_path, f"sku,title,image\n{cell},Sofa,a.jpg\n")) == ["00123"]


def test_a_repeated_column(tmp_path):
    header = "sku,title,Image,image,attr:colour,attr:colour,Title,brand,brand\n"
    rows = "A,Sofa,a.jpg,b.jpg|a.jpg,red,white,Sofa,,Nord\nB,Lamp,a.jpg,,red,,Lampe,,\n"
    reading = read(tmp_path, header + rows)
    (item,) = reading.items
    assert (item.title, item.brand) == ("Sofa", "Nord")
    assert (item.images, item.attributes) == (("a.jpg", "b.jpg"), {"colour": ("red", "white")})
    (error,) = reading.errors
    assert (error.line, error.reason.startswith("title ['Lamp', 'Lampe'] has several values")) == (3, True)


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ("{", "not a JSON object"),
        ('{"sku": Infinity}', "Infinity"),
        ("[" * 100_000, "not a JSON object"),
        ("[1]", "list"),
        ('"text"', "str"),
        ('{"sku": "A", "sku": "B", "title": "Sofa", "image": "a.jpg"}', "several values"),
    ],
)
def test_a_bad_json_line_is_reported(tmp_path, row, problem):
    reading = read(tmp_path, json_lines({**GOOD, "sku": "first"}, "", row))
    assert [item.sku for item in reading.items] == ["first"]
    assert [(error.line, problem in error.reason) for error in reading.errors] == [(3, True)]


def test_nan_in_json_is_a_missing_value(tmp_path):
    feed = '{"sku": "A", "title": "B", "image": "c.jpg", "price": NaN, "stock": NaN}'
    assert read_items(tmp_path, feed) == {"A": ProductItem("A", "B", images=("c.jpg",))}


PRODUCT = """{item}<id>https://shop.example/1</id><g:id>00123</g:id><g:title>Table &amp;amp; Chair</g:title>
<title>Other</title><description>&lt;p&gt;Soft&lt;/p&gt;</description><link rel="self" href="https://shop.example/feed"/>
<link href="https://shop.example/p/1"/><g:image_link>a.jpg</g:image_link><g:price>15 EUR</g:price>
<m:title>Media</m:title><m:price>1 EUR</m:price>
<g:shipping><g:price>9 EUR</g:price><g:item><g:id>no</g:id></g:item></g:shipping>{end}"""
GOOGLE = 'xmlns:g="http://base.google.com/ns/1.0"'
MEDIA = 'xmlns:m="http://search.yahoo.com/mrss/"'
NAMESPACES = {
    "Atom": f'<feed xmlns="http://www.w3.org/2005/Atom" {GOOGLE} {MEDIA}>'
    + PRODUCT.format(item="<entry>", end="</entry></feed>"),
    "RSS": f"<rss {GOOGLE} {MEDIA}>" + PRODUCT.format(item="<item>", end="</item></rss>"),
    "RSS 1.0, a default namespace and another prefix": (
        '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns="http://purl.org/rss/1.0/" '
        f'xmlns:x="https://base.google.com/ns/1.0/" {MEDIA}>'
        + PRODUCT.replace("g:", "x:").format(item="<item>", end="</item></rdf:RDF>")
    ),
    "Google's attributes in the default namespace": (
        f'<rss xmlns="http://base.google.com/ns/1.0" xmlns:a="http://www.w3.org/2005/Atom" {MEDIA}>'
        + PRODUCT.replace("<id>https://shop.example/1</id>", "<a:id>x</a:id>")
        .replace("<title>Other</title>", "<a:title>Other</a:title>")
        .replace("g:", "")
        .format(item="<item>", end="</item></rss>")
    ),
    "an undeclared prefix": f"<rss {MEDIA}>" + PRODUCT.format(item="<item>", end="</item></rss>"),
    "no namespaces": "<rss>"
    + re.sub("<id>.*?</id>|<title>.*?</title>|<m:.*?</m:price>", "", PRODUCT)
    .replace("g:", "")
    .format(item="<item>", end="</item></rss>"),
}


@pytest.mark.parametrize("text", NAMESPACES.values(), ids=NAMESPACES.keys())
def test_namespaces_of_a_merchant_feed(tmp_path, text):
    (item,) = read_items(tmp_path, text).values()
    assert (item.sku, item.title, item.description, item.images) == ("00123", "Table & Chair", "Soft", ("a.jpg",))
    assert (item.price_minor, item.currency, item.url) == (1_500, "EUR", "https://shop.example/p/1")


@pytest.mark.parametrize("encoding", ["ISO-8859-1", "UTF-16", "UTF-8"])
def test_xml_declares_its_encoding(tmp_path, encoding):
    text = f'<?xml version="1.0" encoding="{encoding}"?><rss {GOOGLE}><item><g:id>\u00c41</g:id>'
    text += "<g:title>S\u00f6fa</g:title><g:image_link>http://a.example/\u00f6.jpg</g:image_link></item></rss>"
    item = read_items(tmp_path, text.encode(encoding))["\u00c41"]
    assert (item.title, item.images) == ("S\u00f6fa", ("http://a.example/%C3%B6.jpg",))


@pytest.mark.parametrize("end", ["</item>", "</item></rs", "&shop;</item></rss>", "R&D</item></rss>"])
def test_xml_that_is_not_well_formed_is_refused(tmp_path, end):
    """A harmless undeclared prefix does not hide another error."""
    with pytest.raises(FeedRejected, match=r"not well-formed XML \((?!Namespace)"):
        read(tmp_path, f"<rss><item><g:id>1</g:id><title>T</title>{end}")


@pytest.mark.parametrize("padding", [0, 1, 32_700, 32_760, 65_520])
def test_named_entities_of_html_in_xml(tmp_path, padding):
    """This includes entities split between two chunks."""
    text = f"<rss><!-- {'x' * padding} --><item><id>1</id><image_link>a.jpg</image_link>"
    text += "<title>S&ouml;fa&nbsp;&lt;L&gt; &amp;amp;&euro;&NotEqualTilde;</title></item></rss>"
    assert read_items(tmp_path, text)["1"].title == "S\u00f6fa <L> &\u20ac\u2242\u0338"


def test_blank_lines_above_xml(tmp_path):
    assert list(read_items(tmp_path, f"\ufeff\r\n\n{XML}")) == ["A", "B"]


def test_a_control_character_in_xml_makes_one_row_bad(tmp_path):
    reading = read(tmp_path, XML.replace("S\u00f6fa", "Oak\x0b"))
    assert [item.sku for item in reading.items] == ["B"]
    assert [(error.sku, "control characters" in error.reason) for error in reading.errors] == [("A", True)]


def test_unescaped_markup_in_xml(tmp_path):
    text = (
        "<rss><item><id>A<!-- 1 --></id><title>Sofa <b>red</b> &amp; warm</title>"
        "<description><div><p>One</p><p>Two</p></div><![CDATA[<p>Three</p>]]></description>"
        "<image_link>a.jpg</image_link></item></rss>"
    )
    item = read_items(tmp_path, text)["A"]
    assert (item.title, item.description) == ("Sofa red & warm", "One\nTwo\nThree")


def test_external_entities_are_not_read(tmp_path):
    (tmp_path / "secret").write_text("secret")
    doctype = f'<!DOCTYPE rss [<!ENTITY x SYSTEM "file://{tmp_path}/secret">]>'
    assert "secret" not in str(read(tmp_path, doctype + XML.replace("Lamp", "T &x;")))
