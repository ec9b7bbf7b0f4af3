import pytest

from vsearch.cli.inputs import read_labels, read_photo_queries, read_relevance, read_skus
from vsearch.core.errors import DatasetError
from vsearch.imaging.geometry import Box


@pytest.fixture
def file(tmp_path):
    return tmp_path / "list.csv"


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"", "query, doc, rel"),
        (b"query,doc\n1,2\n", "columns: rel"),
        (b"query,doc,rel\nA,B,0\nA\n", "no relevant pair"),
        (b"query,doc,rel\nA,B,yes\n", "line 2: 'yes'"),
        (b"\xff\xfe\x00", "UTF-8"),
    ],
)
def test_invalid_relevance_files(content, match, file):
    file.write_bytes(content)
    with pytest.raises(DatasetError, match=match):
        read_relevance(file)


def test_relevant_pairs_are_grouped_by_query(file):
    file.write_text("query,iter,doc,rel\nA,0,B,1\nA,0,C,2\nA,0,D,0\nB,0,A,1\n")
    assert read_relevance(file) == {"A": {"B": 1, "C": 2}, "B": {"A": 1}}


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("photo\na.jpg\n", "columns: sku"),
        ("photo,sku\n,\n", "no photo with a SKU"),
        ("photo,sku,grade\na.jpg,S0,good\n", "line 2: 'good'"),
        ("photo,sku,grade\na.jpg,S0,-1\n", "line 2: '-1'"),
        ("photo,sku\na/x.jpg,S0\nb/x.jpg,S1\n", "differ only in"),
        ("photo,sku,left,top,right,bottom\na.jpg,S0,10,20,90,80\n", "10, 20, 90, 80.*fractions"),
        ("photo,sku,left,top,right,bottom\na.jpg,S0,0,0,,1\n", "line 2: 0, 0, , 1"),
    ],
)
def test_invalid_lists_of_photos(text, match, file):
    file.write_text(text)
    with pytest.raises(DatasetError, match=match):
        read_photo_queries(file, whole=False)


def test_rows_of_the_same_photo_and_box_are_one_query(file):
    file.write_text(
        "photo,sku,role,left,top,right,bottom,visible,grade\n"
        "a.jpg,X,main,0,0,0.5,1,0.9,1\na.jpg,Y,main,0,0,0.5,1,0.9,2\na.jpg,X,main,0,0,0.5,1,0.9,3\na.jpg,Z,other,,,,,1,\n"
    )
    assert [(query.photo, query.box, query.grades) for query in read_photo_queries(file, whole=False)] == [
        ("a", Box(0, 0, 0.5, 1), {"X": 3, "Y": 2}),
        ("a", None, {"Z": 1}),
    ]
    assert [query.grades for query in read_photo_queries(file, whole=True)] == [{"X": 3, "Y": 2, "Z": 1}]
    assert len(read_photo_queries(file, whole=True, where={"role": "other"})) == 1


@pytest.mark.parametrize(("content", "match"), [(b"\n \n", "is empty"), (b"\xff", "UTF-8")])
def test_invalid_lists_of_products(content, match, file):
    file.write_bytes(content)
    with pytest.raises(DatasetError, match=match):
        read_skus(file)


def test_a_manifest_gives_split_and_class_by_image_name(file):
    file.write_text("image,split,kind\nx/a.jpg,train,sofa\nb.jpg,val,bed\nc.jpg,test,bed\nd.jpg,val\n")
    assert read_labels(file, "kind") == {"a": ("train", "sofa"), "b": ("val", "bed")}
    with pytest.raises(DatasetError, match="color"):
        read_labels(file, "color")
