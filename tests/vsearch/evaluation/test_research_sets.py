import runpy
from pathlib import Path

import pytest

from tests.research_data import COMPONENTS, GROCERIES, make_research_data
from vsearch.cli.inputs import read_photo_queries, read_relevance
from vsearch.core.errors import DatasetError
from vsearch.evaluation import research_sets

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_research_data(tmp_path_factory.mktemp("research") / "data")


def test_held_out_products_of_wayfair_have_one_picture(photos: Path) -> None:
    files = research_sets.wayfair(photos, every_view=True)
    counts = {row["sku"]: row["image"].count("|") + 1 for row in files["feed.csv"]}
    queried = {row["sku"] for row in files["views.csv"]}
    assert len(counts) == 3 * len(COMPONENTS)
    assert {sku for sku, count in counts.items() if count == 1} == queried
    assert 0 < len(queried) < len(counts) / 2
    assert set(counts.values()) == {1, 5}
    assert all(row["image"].split("|")[0] == f"{row['sku']}-front.jpg" for row in files["feed.csv"])
    assert {row["photo"] for row in files["views.csv"]} == {f"{sku}-side.jpg" for sku in queried}
    assert {row["photo"] for row in files["rooms.csv"]} == {f"{sku}-room.jpg" for sku in queried}


def test_the_same_photos_are_searched_in_a_catalog_with_one_picture_per_product(photos: Path) -> None:
    one = research_sets.wayfair(photos, every_view=False)
    assert one["views.csv"] == research_sets.wayfair(photos, every_view=True)["views.csv"]
    assert {row["image"].count("|") for row in one["feed.csv"]} == {0}
    assert len(one["rooms.csv"]) == len(one["feed.csv"])


def test_a_lookalike_on_another_page_is_neutral(photos: Path) -> None:
    neutral = {row["sku"]: row["neutral"] for row in research_sets.wayfair(photos, every_view=False)["rooms.csv"]}
    assert neutral["maker0-a-blue"] == "maker0-b-blue"
    assert neutral["maker0-a-red"] == ""


def test_room_photos_of_ikea_are_searched_among_its_catalog(photos: Path) -> None:
    files = research_sets.ikea_rooms(photos)
    assert len(files["feed.csv"]) == 9
    assert files["feed.csv"][-1]["category"] == "chair"
    assert files["rooms.csv"] == [{"photo": "malm1_room.jpg", "sku": "malm-1", "neutral": "sku0|sku2|sku4|sku6"}]


def test_only_groceries_that_are_not_used_for_training_are_searched(photos: Path) -> None:
    files = research_sets.groceries(photos)
    unseen = [row["sku"] for row in files["unseen.csv"]]
    assert {row["sku"] for row in files["feed.csv"]} == GROCERIES.keys()
    assert sum(GROCERIES[sku] == "Milk" for sku in unseen) in (2, 3)
    assert sum(GROCERIES[sku] == "Apple" for sku in unseen) == 2


def test_unrelated_photos_are_of_classes_in_the_second_half(photos: Path) -> None:
    assert research_sets.unrelated_photos(photos) == ["pizza.jpg", "wrench.jpg"]


def test_the_example_writes_readable_files_for_all_shops(photos: Path, tmp_path: Path) -> None:
    runpy.run_path(str(ROOT / "docs" / "examples" / "research_sets.py"))["main"](photos, tmp_path)
    assert {folder.name for folder in tmp_path.iterdir()} == research_sets.SHOPS.keys()
    lists = [file for file in tmp_path.glob("*/*.csv") if file.name not in ("feed.csv", "family.csv")]
    assert len(lists) == 7
    assert all(read_photo_queries(file, whole=True) for file in lists)
    assert read_relevance(tmp_path / "ikea" / "family.csv") == {"sku5": {"sku7": 1}}


def test_a_folder_without_the_data_sets_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"labels\.csv does not exist"):
        research_sets.dvd_covers(tmp_path)
