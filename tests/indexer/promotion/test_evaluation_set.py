from pathlib import Path

import pytest

from indexer.promotion import evaluation_set
from tests.indexer.shop import Shop
from vsearch.core.errors import CatalogError, DatasetError

pytestmark = pytest.mark.slow


def names(folder: Path) -> set[str]:
    """Return the names of the files in a folder."""
    return {path.name for path in folder.iterdir()}


def test_synthetic_photos_are_reproducible(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """The set is named after its content; a different seed gives different photos."""
    first = shop.create_evaluation_set()
    assert shop.create_evaluation_set(replace=True) == first
    assert names(first.folder) == {f"{number:04d}.jpg" for number in range(12)} | {"manifest.json"}
    assert {len(skus) for skus in first.answers.values()} == {1}
    assert str(first) == f"{first.set_id}: 12 synthetic photos from 2026-11-21"
    monkeypatch.setattr(evaluation_set, "SEED", 1)
    assert shop.create_evaluation_set(replace=True).set_id != first.set_id


def test_each_synthetic_photo_shows_another_product(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Products whose picture cannot be read are skipped."""
    rows = shop.rows()
    for row in rows[:2]:
        shop.store.path(row.sha256).unlink()
    skus = [sku for _, right in evaluation_set.synthetic_photos(rows, shop.store) for sku in right]
    assert len(skus) == len(set(skus)) == len({row.sku for row in rows}) - 1
    monkeypatch.setattr(evaluation_set, "MAX_SYNTHETIC", 3)
    assert len(list(evaluation_set.synthetic_photos(rows, shop.store))) == 3


def test_a_catalog_without_pictures_leaves_nothing_behind(empty_shop: Shop) -> None:
    with pytest.raises(CatalogError):
        empty_shop.create_evaluation_set()
    assert names(empty_shop.settings.data / "evaluation") == set()


def test_own_photos_may_have_several_right_products(shop: Shop) -> None:
    picture, _ = shop.photos()[0]
    created = shop.create_evaluation_set([(picture, {"S001", "S000"})])
    assert (created.kind, created.answers) == ("own", {"0000.jpg": frozenset({"S000", "S001"})})
    _, queries = created.queries({"S000": 7, "S002": 9})
    assert [query.relevant for query in queries] == [frozenset({7})]


def test_a_set_is_replaced_only_on_request(shop: Shop) -> None:
    first = shop.create_evaluation_set(shop.photos()[:3])
    with pytest.raises(DatasetError, match=r"3 own photos.*--replace"):
        shop.create_evaluation_set(shop.photos()[:2])
    second = shop.create_evaluation_set(shop.photos()[:2], replace=True)
    assert evaluation_set.load(shop.settings) == second != first
    assert names(shop.settings.data / "evaluation") == {"CURRENT", second.set_id}


def test_a_set_is_written_completely_or_not_at_all(shop: Shop) -> None:
    """The set in use is unchanged."""
    first = shop.create_evaluation_set(shop.photos()[:2])
    picture, _ = shop.photos()[0]
    for photos, words in (([*shop.photos(), (picture, {"nowhere"})], "'nowhere'"), ([], "no photos")):
        with pytest.raises(DatasetError, match=words):
            shop.create_evaluation_set(photos, replace=True)
    assert evaluation_set.load(shop.settings) == first
    assert names(shop.settings.data / "evaluation") == {"CURRENT", first.set_id}


@pytest.mark.parametrize("file", ["manifest.json", "0001.jpg"])
def test_a_damaged_set_is_not_used(shop: Shop, file: str) -> None:
    created = shop.create_evaluation_set(shop.photos()[:2])
    (created.folder / file).unlink()
    with pytest.raises(DatasetError, match=f"{file}.*evaluation-set --replace"):
        evaluation_set.load(shop.settings)


def test_a_set_of_withdrawn_products_measures_nothing(shop: Shop) -> None:
    created = shop.create_evaluation_set(shop.photos()[:2])
    with pytest.raises(DatasetError, match="withdrawn"):
        created.queries({"S009": 9})
