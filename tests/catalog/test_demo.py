import csv
from collections import Counter, defaultdict

from PIL import Image

from catalog import demo
from indexer.feed.reader import read_feed


def table(name: str) -> list[dict[str, str]]:
    with (demo.SHOP / name).open(encoding="utf8", newline="") as file:
        return list(csv.DictReader(file))


FEED = {row["sku"]: row for row in table("feed.csv")}
PACKSHOTS = {row["sku"]: row for row in table("packshots.csv")}
PHOTOS = defaultdict(list)
for row in table("photos.csv"):
    PHOTOS[row["photo"]].append(row)


def test_feed_is_imported_without_warnings():
    files = [path for path in demo.SHOP.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 30_000_000
    reading = read_feed(demo.FEED)
    assert (reading.errors, reading.warnings) == ((), ())
    assert len(reading.rows) == len(FEED) >= 360
    assert len({row["article_number"] for row in FEED.values()}) == len(FEED)
    assert len({row["title"] for row in FEED.values()}) == len(FEED)
    per_category = Counter(row["category"] for row in FEED.values())
    assert len(per_category) == 12
    assert min(per_category.values()) >= 30


def test_feed_names_every_picture_once():
    named = [name for row in FEED.values() for name in row["images"].split("|")]
    assert sorted(named) == sorted(path.name for path in demo.PICTURES.iterdir())
    assert len(set(named)) == len(named)
    for name in named:
        with Image.open(demo.PICTURES / name) as picture:
            assert picture.size == (320, 320), name
    assert {sku: row["image"] for sku, row in PACKSHOTS.items()} == {sku: row["images"] for sku, row in FEED.items()}


def test_three_photos_of_every_product():
    mains = Counter(row["sku"] for rows in PHOTOS.values() for row in rows if row["role"] == "main")
    assert PHOTOS.keys() == {path.name for path in demo.PHOTOS.iterdir()}
    assert mains == dict.fromkeys(FEED, 3)
    for name, rows in PHOTOS.items():
        assert Counter(row["role"] for row in rows)["main"] == 1, name
        for row in rows:
            left, top, right, bottom = (float(row[side]) for side in ("left", "top", "right", "bottom"))
            assert 0 <= left < right <= 1, name
            assert 0 <= top < bottom <= 1, name
            assert FEED[row["sku"]]["category"] == row["category"]


def test_families_are_either_for_training_or_unseen():
    families = defaultdict(set)
    for row in PACKSHOTS.values():
        families[row["category"], row["family"]].add(row["split"])
    assert all(len(splits) == 1 for splits in families.values())
    for category in {row["category"] for row in FEED.values()}:
        splits = Counter(split for (of, _), (split,) in families.items() if of == category)
        assert splits.keys() == {"train", "unseen"}
        assert min(splits.values()) >= 3
    for name, rows in PHOTOS.items():
        (main,) = (row for row in rows if row["role"] == "main")
        assert {row["split"] for row in rows} == {PACKSHOTS[main["sku"]]["split"]}, name
        if main["split"] == "train":
            assert {PACKSHOTS[row["sku"]]["split"] for row in rows} == {"train"}, name


def test_example_photos_show_unseen_products_of_different_categories():
    examples = demo.example_photos()
    assert 6 <= len(examples) <= 12
    assert len({FEED[example.sku]["category"] for example in examples}) == len(examples)
    assert {PACKSHOTS[example.sku]["split"] for example in examples} == {"unseen"}
    for example in examples:
        left, top, right, bottom = example.box
        assert (right - left) * (bottom - top) > 0.04, example.caption


def test_write_example_photos_replaces_the_folder(tmp_path):
    (tmp_path / "old.jpg").write_text("old")
    demo.write_example_photos(tmp_path)
    written = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert written == {f"{example.caption}.jpg": example.path.read_bytes() for example in demo.example_photos()}
