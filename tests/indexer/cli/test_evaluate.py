import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from indexer.cli import evaluate
from indexer.cli.evaluate import evaluate as command
from tests.fakes import FakeEncoder
from tests.indexer.shop import Shop, open_shop
from vsearch.core.errors import DatasetError
from vsearch.core.settings import Settings
from vsearch.imaging.codec import decode, encode_jpeg
from vsearch.search.engine import Engine

pytestmark = pytest.mark.slow

BOX = "0.5,0.25,1,0.75"


@pytest.fixture(scope="module")
def indexed_shop(indexed, tmp_path_factory):
    shop = open_shop(shutil.copytree(indexed, tmp_path_factory.mktemp("shop") / "data"))
    yield shop
    shop.close()


@pytest.fixture
def shop(indexed_shop, monkeypatch):
    """The indexed shop with a fake encoder."""

    def load_engine(settings: Settings) -> Engine:
        engine = Engine(settings, FakeEncoder)
        engine.refresh()
        return engine

    monkeypatch.setattr(evaluate, "load_engine", load_engine)
    return indexed_shop


@pytest.fixture
def photos(shop, tmp_path):
    """A folder of photos, each with the first image of a product in the right half."""
    folder = tmp_path / "photos"
    folder.mkdir()
    first = {row.sku: row for row in reversed(shop.rows())}
    for sku, row in first.items():
        picture = decode(shop.store.read(row.sha256))
        frame = np.full((2 * picture.shape[0], 2 * picture.shape[1], 3), 128, np.uint8)
        frame[24:72, 48:96] = picture
        (folder / f"{sku}-photo.jpg").write_bytes(encode_jpeg(frame))
    return folder


def invoke(shop: Shop, *arguments: object) -> Result:
    return CliRunner().invoke(command, list(map(str, arguments)), obj=shop.settings)


def json_of(shop: Shop, *arguments: object) -> Any:
    result = invoke(shop, *arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def error_of(shop: Shop, *arguments: object) -> str:
    result = invoke(shop, *arguments)
    assert isinstance(result.exception, DatasetError), result.output
    return str(result.exception)


def write_list(folder: Path, text: str) -> Path:
    file = folder / "photos.csv"
    file.write_text(text)
    return file


def test_synthetic_photos_of_three_kinds_are_scored(shop, photos):
    found = json_of(shop, "shopper", "--sample", 8, "--by-category", "--unrelated", photos)

    assert list(found) == ["easy", "hard", "crop"]
    for kind in found.values():
        names = ["vsearch, all classes", "vsearch, routed", "HOG", "Lab histogram"]
        assert list(kind["scores"]) == names
        assert sum(category["queries"] for category in kind["categories"].values()) == kind["queries"] == 8
        assert list(kind["auroc"]) == names
        for shares in kind["match"].values():
            assert sum(shares.values()) == pytest.approx(1)


def test_one_kind_is_printed_as_a_table(shop, photos):
    skus = photos.parent / "skus.txt"
    skus.write_text("S000\nS001\n")
    result = invoke(
        shop, "shopper", "--kind", "crop", "--skus", skus, "--rooms", photos, "--by-category", "--unrelated", photos
    )

    assert result.exit_code == 0, result.output
    for words in ("2 queries, 24 images", "Sofas > Armchairs", "crop, product not sold", "AUROC"):
        assert words in result.stdout
    assert "easy" not in result.stdout
    assert "nDCG" not in result.stdout


def test_photos_are_searched_with_their_box(shop, photos):
    rows = [f"{sku}-photo.jpg,{sku},{BOX}" for sku in ("S000", "S001", "S002")]
    file = write_list(photos.parent, "\n".join(["photo,sku,left,top,right,bottom", *rows]))
    found = json_of(shop, "photos", file, "--pictures", photos, "--unrelated", photos)
    assert found["queries"] == 3
    assert found["scores"]["vsearch, all classes"]["hit@1"]["mean"] == 1
    assert "nDCG@10" not in found["scores"]["HOG"]
    assert set(found["match"]) == {"known", "not_sold", "unrelated"}


def test_whole_photos_and_grades(shop, photos):
    file = write_list(
        photos.parent,
        "photo,sku,left,top,right,bottom,grade,category\n"
        f"x/S000-photo.jpg,S000,{BOX},2,here\nx/S000-photo.jpg,S001,0,0,0.5,0.5,1,here\n"
        f"S002-photo.jpg,S002,{BOX},2,there\nS002-photo.jpg,S003,,,,,0,there\n",
    )
    skus = photos.parent / "skus.txt"
    skus.write_text("S001\n")

    whole = json_of(shop, "photos", file, "--pictures", photos, "--whole", "--by-category")
    assert {name: category["queries"] for name, category in whole["categories"].items()} == {"here": 1, "there": 1}
    assert 0 <= whole["scores"]["HOG"]["nDCG@10"]["mean"] <= 1
    assert json_of(shop, "photos", file, "--pictures", photos)["queries"] == 3
    assert json_of(shop, "photos", file, "--pictures", photos, "--whole", "--skus", skus)["queries"] == 1
    assert json_of(shop, "photos", file, "--pictures", photos, "--where", "category", "here")["queries"] == 2
    assert "nDCG@10" in invoke(shop, "photos", file, "--pictures", photos, "--by-category").stdout


def test_neutral_products_are_skipped(shop, photos):
    others = "|".join(sorted({row.sku for row in shop.rows()} - {"S004"}))
    for neutral, hit in (("unknown", 0), (f"{others}|S004", 1)):
        file = write_list(
            photos.parent, f"photo,sku,left,top,right,bottom,neutral\nS000-photo.jpg,S004,{BOX},{neutral}\n"
        )
        found = json_of(shop, "photos", file, "--pictures", photos)["scores"]
        assert {name: scores["hit@1"]["mean"] for name, scores in found.items()} == dict.fromkeys(found, hit)


def test_a_relevance_file_may_have_grades(shop, tmp_path):
    qrels = tmp_path / "qrels.csv"
    qrels.write_text("query,iter,doc,rel\nS000,0,S001,2\nS000,0,S002,1\nS001,0,S000,1\nS001,0,gone,1\n")
    assert "nDCG@10" in json_of(shop, "retrieval", "--qrels", qrels)["scores"]["HOG"]
    qrels.write_text("query,iter,doc,rel\nS000,0,S001,1\nS001,0,S000,1\n")
    found = json_of(shop, "retrieval", "--qrels", qrels, "--by-category")
    assert "nDCG@10" not in found["scores"]["HOG"]
    assert len(found["categories"]) == 2


@pytest.mark.parametrize(
    ("row", "options", "match"),
    [
        ("none.jpg,S000", (), "'none'.*is not in"),
        ("S000-photo.jpg,S999", (), "no product 'S999'"),
        ("bad.jpg,S000", (), "bad.jpg cannot be read"),
        ("S000-photo.jpg,S000", ("--skus", "skus.txt"), "No photo of"),
        ("S000-photo.jpg,S000", ("--where", "sku", "nothing"), "'nothing'"),
    ],
)
def test_lists_without_usable_photos_are_errors(row, options, match, shop, photos, monkeypatch):
    monkeypatch.chdir(photos.parent)
    (photos / "bad.jpg").write_text("hello")
    Path("skus.txt").write_text("S001\n")
    file = write_list(photos.parent, f"photo,sku\n{row}\n")
    assert re.search(match, error_of(shop, "photos", file, "--pictures", photos, *options))
