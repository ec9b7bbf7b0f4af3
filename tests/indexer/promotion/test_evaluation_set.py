from pathlib import Path

import pytest

from indexer.promotion import evaluation_set, promote
from tests.fakes import FrozenClock
from tests.indexer.models import photos
from tests.indexer.shop import Shop
from vsearch.core.errors import CatalogError, DatasetError

pytestmark = pytest.mark.slow


def names(folder: Path) -> set[str]:
    """Return the names in a folder."""
    return {path.name for path in folder.iterdir()}


def test_made_photos_are_the_same_every_time(shop: Shop) -> None:
    """The set's name is its content; another seed makes others."""
    clock = FrozenClock()
    first = promote.freeze(shop.settings, clock=clock)
    again = promote.freeze(shop.settings, replace=True, clock=clock)
    assert first == again
    assert names(first.folder) == {f"{number:04d}.jpg" for number in range(12)} | {"answers.csv", "manifest.json"}
    assert {len(skus) for skus in first.answers.values()} == {1}
    assert str(first) == f"{first.set_id}: 12 made photos of 2026-11-21"
    seeds = (evaluation_set.SEED, evaluation_set.SEED, 1)
    made = [
        [p.tobytes() for p, _ in evaluation_set.made_shots(shop.rows(), shop.store, seed=seed, most=3)]
        for seed in seeds
    ]
    assert made[0] == made[1] != made[2]


def test_so_many_photos_are_made_at_most(shop: Shop) -> None:
    """One of a product; a product whose picture cannot be read is passed over."""
    rows = shop.rows()
    for row in rows[:2]:
        shop.store.path(row.sha256).unlink()
    assert len(list(evaluation_set.made_shots(rows, shop.store, most=3))) == 3
    skus = [sku for _, right in evaluation_set.made_shots(rows, shop.store) for sku in right]
    assert len(skus) == len(set(skus)) == len({row.sku for row in rows}) - 1


def test_a_catalogue_without_pictures_makes_no_set(empty_shop: Shop) -> None:
    """And leaves nothing behind."""
    with pytest.raises(CatalogError, match="the catalogue has none"):
        promote.freeze(empty_shop.settings)
    assert names(empty_shop.settings.data / "evaluation") == set()


def test_own_photos_may_have_several_right_products(shop: Shop) -> None:
    """They are kept as they are asked for."""
    picture, _ = photos(shop)[0]
    made = promote.freeze(shop.settings, [(picture, {"S001", "S000"})])
    assert (made.kind, made.answers) == ("own", {"0000.jpg": frozenset({"S000", "S001"})})
    asked = made.queries({"S000": 7, "S002": 9})
    assert [query.relevant for query in asked] == [frozenset({7})]


def test_a_set_is_replaced_only_knowingly(shop: Shop) -> None:
    """The old one is gone then."""
    first = promote.freeze(shop.settings, photos(shop)[:3])
    with pytest.raises(DatasetError, match=r"there is one already \(.*: 3 own photos of .*\); give --replace"):
        promote.freeze(shop.settings, photos(shop)[:2])
    second = promote.freeze(shop.settings, photos(shop)[:2], replace=True)
    assert evaluation_set.load(shop.settings) == second != first
    assert names(shop.settings.data / "evaluation") == {"CURRENT", second.set_id}


def test_a_set_is_written_whole_or_not_at_all(shop: Shop) -> None:
    """Whatever is wrong with the last photo; the set in use stays."""
    first = promote.freeze(shop.settings, photos(shop)[:2])
    picture, _ = photos(shop)[0]
    for shots, sentence in (
        ([*photos(shop), (picture, {"nowhere"})], "sku 'nowhere' is none; correct or leave out that row"),
        ([], "needs at least one photo with its sku"),
    ):
        with pytest.raises(DatasetError, match=sentence):
            promote.freeze(shop.settings, shots, replace=True)
    assert evaluation_set.load(shop.settings) == first
    assert names(shop.settings.data / "evaluation") == {"CURRENT", first.set_id}


@pytest.mark.parametrize("file", ["manifest.json", "answers.csv", "0001.jpg"])
def test_a_set_that_was_changed_is_not_used(shop: Shop, file: str) -> None:
    """The file and the remedy are named."""
    made = promote.freeze(shop.settings, photos(shop)[:2])
    (made.folder / file).unlink()
    with pytest.raises(DatasetError, match=f"{file}.* freeze --replace"):
        evaluation_set.load(shop.settings)


def test_a_set_of_which_nothing_can_be_found_measures_nothing(shop: Shop) -> None:
    """All its products are withdrawn."""
    made = promote.freeze(shop.settings, photos(shop)[:2])
    with pytest.raises(DatasetError, match=r"all 2 of .* are withdrawn; make another"):
        made.queries({"S009": 9})
