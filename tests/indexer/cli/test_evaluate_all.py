import csv
import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from catalog import demo
from indexer.build.reindex import reindex
from indexer.cli import evaluate_all
from indexer.cli.benchmark_sets import SETS
from indexer.cli.evaluate import evaluate
from tests.fakes import EncoderFactory, FakeDetector, fake_checkpoint
from tests.indexer.shop import settings_of
from tests.research_data import make_research_data
from vsearch.core.errors import DatasetError
from vsearch.core.settings import Settings
from vsearch.imaging.geometry import Box
from vsearch.search.engine import Engine

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_research_data(tmp_path_factory.mktemp("research") / "data")


@pytest.fixture
def encoders(monkeypatch: pytest.MonkeyPatch) -> EncoderFactory:
    """Replace the encoder, and the detector with one that finds the right half of a photo; return opened encoders."""
    opened = EncoderFactory()

    def load_engine(settings: Settings) -> Engine:
        engine = Engine(settings, opened, open_detector=FakeDetector(Box(0.5, 0, 1, 1)))
        engine.refresh()
        return engine

    monkeypatch.setattr(evaluate_all, "load_engine", load_engine)
    monkeypatch.setattr(evaluate_all, "reindex", partial(reindex, open_encoder=opened))
    monkeypatch.setattr(evaluate_all, "Encoder", opened)
    return opened


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    fake_checkpoint(tmp_path / "given")
    return settings_of(tmp_path, whitening_views=2, database_url="sqlite:////nowhere/catalog.sqlite")


def invoke(settings: Settings, photos: Path, *options: object) -> Result:
    arguments = ["all", photos, "--work", settings.data / "work", *options]
    return CliRunner().invoke(evaluate, list(map(str, arguments)), obj=settings)


def json_of(settings: Settings, photos: Path, *options: object) -> Any:
    result = invoke(settings, photos, *options, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def only(*names: str) -> list[str]:
    return [word for name in names for word in ("--only", name)]


@pytest.mark.usefixtures("encoders")
def test_every_set_is_scored(settings: Settings, photos: Path) -> None:
    names = [name for name, each in SETS.items() if each.shop != "demo"]
    found = json_of(settings, photos, *only(*names, "furniture_classes"))

    assert found["sets"].keys() == set(names)
    for each in found["sets"].values():
        assert each["scores"].keys() == each["hub_skewness"].keys() == {"vsearch", "Lab histogram"}
        for scores in each["scores"].values():
            for estimate in scores.values():
                assert 0 <= estimate["low"] <= estimate["mean"] <= estimate["high"] <= 1
    assert found["sets"]["dvd_covers"]["queries"] == found["sets"]["dvd_covers"]["products"] == 6
    assert found["sets"]["dvd_covers"]["scores"]["Lab histogram"]["hit@5"]["mean"] == 1
    assert found["sets"]["dvd_covers"]["class"]["mean"] == 1
    assert found["sets"]["wayfair_views"]["labels"].keys() == set(evaluate_all.LABEL_FIGURES)
    assert found["sets"]["wayfair_views"]["auroc"].keys() == {"vsearch", "Lab histogram"}
    assert "labels" not in found["sets"]["ikea_rooms"]
    assert found["furniture_classes"]["accuracy"].keys() == {"vote", "left", "right", "Lab histogram"}
    assert found["furniture_classes"]["queries"] == 4


def test_an_index_that_is_up_to_date_is_used_again(settings: Settings, photos: Path, encoders: EncoderFactory) -> None:
    first = json_of(settings, photos, *only("groceries"), "--sample", 1)
    encoded = encoders.pictures
    assert json_of(settings, photos, *only("groceries"), "--sample", 1) == first
    assert first["sets"]["groceries"]["queries"] == 1
    assert encoders.pictures - encoded < 12  # the query, and warming up, but not the 9 products with 2 views each
    generations = settings.data / "work" / "groceries" / "data" / "generations"
    assert len([folder for folder in generations.iterdir() if folder.is_dir()]) == 1


def test_a_shop_with_the_pictures_of_another_does_not_encode_them_again(settings, photos, encoders):
    json_of(settings, photos, *only("ikea_family"))
    encoded = encoders.pictures
    found = json_of(settings, photos, *only("ikea_rooms"), "--sample", 1)["sets"]["ikea_rooms"]
    assert (found["products"], found["queries"]) == (9, 1)
    assert encoders.pictures - encoded < 8  # the new product with its views, the query, and warming up


@pytest.mark.usefixtures("encoders")
def test_tables_show_where_examples_of_the_demo_were_found(
    settings: Settings, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = {example.sku for example in demo.example_photos()}
    with demo.FEED.open(encoding="utf8", newline="") as lines:
        header, *rows = csv.reader(lines)
    with (tmp_path / "feed.csv").open("w", encoding="utf8", newline="") as lines:
        csv.writer(lines).writerows([header, *(row for row in rows if row[0] in wanted)])
    monkeypatch.setattr(demo, "FEED", tmp_path / "feed.csv")

    found = json_of(settings, photos, *only("demo_examples"))["sets"]["demo_examples"]
    assert found["queries"] == found["products"] == 8
    assert found["box"]["mean"] < 1
    printed = invoke(settings, photos, *only("demo_examples", "furniture_classes", "wayfair_views")).stdout
    for words in ("example photos of the demo", "furniture_classes: 8 train, 4 val", "exact, product not sold", "hubs"):
        assert words in printed


@pytest.mark.usefixtures("encoders")
def test_missing_data_sets_and_pictures_are_errors(settings: Settings, photos: Path, tmp_path: Path) -> None:
    result = invoke(settings, tmp_path, *only("groceries"))
    assert isinstance(result.exception, DatasetError)
    folder = tmp_path / "dvd_phone_photos"
    folder.mkdir()
    labels = (photos / "dvd_phone_photos" / "labels.csv").read_text()
    (folder / "labels.csv").write_text(labels.replace("d0_packshot.jpg", "missing.jpg"))
    (folder / "images.tar").write_bytes((photos / "dvd_phone_photos" / "images.tar").read_bytes())
    result = invoke(settings, tmp_path, *only("dvd_covers"))
    assert isinstance(result.exception, DatasetError)
    assert "missing.jpg" in result.output
