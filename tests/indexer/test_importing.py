from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine
from sqlalchemy.orm import Session, sessionmaker

from catalog import queries
from catalog.changes import apply
from catalog.database import sessions
from catalog.imagestore import ImageStore
from catalog.items import ProductItem
from indexer.diff import diff
from indexer.importing import BadRows, ImportReport, Options, import_feed
from tests import pictures as drawn
from vsearch.errors import FeedRejected
from vsearch.images import Limits


@dataclass
class Shop:
    """An empty catalogue, a feed to be written, and a folder of five pictures."""

    folder: Path
    sessions: sessionmaker[Session]

    @property
    def store(self) -> ImageStore:
        """Where pictures go."""
        return ImageStore(self.folder / "store")

    @property
    def stored(self) -> int:
        """How many files lie there."""
        return sum(path.is_file() for path in self.store.folder.rglob("*"))

    def feed(self, *rows: str) -> Path:
        """Write a feed of sku, title, stock and image."""
        file = self.folder / "feed.csv"
        file.write_text("\n".join(["sku,title,stock,image,category", *rows]) + "\n")
        return file

    def take(self, *rows: str, **options: Any) -> ImportReport:
        """Import a feed of these rows."""
        feed, images = self.feed(*rows), self.folder / "images"
        return import_feed(feed, images, sessions=self.sessions, store=self.store, options=Options(**options))

    def snapshot(self) -> dict[str, ProductItem]:
        """Return what SQL holds."""
        with self.sessions() as session:
            return queries.snapshot(session)


@pytest.fixture
def shop(sqlite_engine: Engine, tmp_path: Path) -> Shop:
    """Return a shop with pictures 0.jpg to 4.jpg, and bad.jpg that is none."""
    (tmp_path / "images").mkdir()
    for number in range(5):
        (tmp_path / "images" / f"{number}.jpg").write_bytes(drawn.jpeg(40 + number, 30))
    (tmp_path / "images" / "copy.jpg").write_bytes(drawn.jpeg(40, 30))
    (tmp_path / "images" / "bad.jpg").write_bytes(b"<html>not found</html>")
    return Shop(tmp_path, sessions(sqlite_engine))


ROWS = ("A,Sofa,1,0.jpg|1.jpg,Sofas", "B,Lamp,2,2.jpg,Lamps", "C,Rug,3,3.jpg,Rugs")


def test_a_first_import_takes_everything(shop: Shop) -> None:
    """Products and pictures are there, with the pictures' sizes."""
    report = shop.take(*ROWS)
    assert [item.sku for item in report.changes.added] == ["A", "B", "C"]
    assert (report.new_pictures, shop.stored) == (4, 4)
    (first, second) = shop.snapshot()["A"].images
    with shop.sessions() as session:
        assert queries.picture_sizes(session)[second] == (41, 30)
    assert shop.store.read(first) == (shop.folder / "images" / "0.jpg").read_bytes()


def test_the_same_feed_again_changes_nothing(shop: Shop) -> None:
    """A night without news writes nothing."""
    shop.take(*ROWS)
    before = shop.snapshot()
    report = shop.take(*ROWS)
    assert not report.changes
    assert (report.changes.unchanged, report.new_pictures) == (3, 0)
    assert shop.snapshot() == before


def test_changed_withdrawn_and_restored(shop: Shop) -> None:
    """The catalogue follows the feed from night to night."""
    shop.take(*ROWS)
    report = shop.take(ROWS[0], "B,Lamp,7,4.jpg,Lamps")
    assert [item.sku for item in report.changes.changed] == ["B"]
    assert report.changes.withdrawn == ("C",)
    assert shop.snapshot()["C"].withdrawn
    assert [item.sku for item in shop.take(*ROWS).changes.restored] == ["C"]
    assert not shop.snapshot()["C"].withdrawn


def test_a_known_picture_is_not_decoded_again(shop: Shop) -> None:
    """What was looked at once is told by its content: a stricter limit does not matter any more."""
    shop.take(*ROWS)
    report = shop.take(*ROWS, limits=Limits(max_pixels=1))
    assert report.changes.unchanged == 3
    with pytest.raises(BadRows):
        shop.take(*ROWS, "D,Bed,1,4.jpg,Beds", limits=Limits(max_pixels=1))


def test_two_names_of_one_content_are_one_picture(shop: Shop) -> None:
    """In one product and across products, the bytes are kept once."""
    shop.take("A,Sofa,1,0.jpg|copy.jpg|1.jpg,Sofas", "B,Lamp,1,copy.jpg,Lamps")
    snapshot = shop.snapshot()
    assert len(snapshot["A"].images) == 2
    assert snapshot["B"].images == snapshot["A"].images[:1]
    assert shop.stored == 2


def test_a_lost_picture_file_is_stored_again(shop: Shop) -> None:
    """Importing the same feed mends a store that lost files."""
    shop.take(*ROWS)
    shop.store.path(shop.snapshot()["B"].images[0]).unlink()
    assert shop.take(*ROWS).new_pictures == 1
    assert shop.stored == 4


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        ("D,Bed,many,4.jpg,Beds", "stock must be a whole number"),
        ("D,Bed,1,bad.jpg,Beds", "picture 'bad.jpg' cannot be used: a photo must be"),
        ("D,Bed,1,4.jpg|none.jpg,Beds", "picture 'none.jpg' must be in"),
    ],
)
def test_one_bad_row_refuses_the_whole_feed(shop: Shop, row: str, sentence: str) -> None:
    """Nothing is half-applied: no product, no picture."""
    with pytest.raises(BadRows, match=r"but 1 of feed\.csv are not.*--skip-bad-rows") as caught:
        shop.take(*ROWS, row)
    (error,) = caught.value.errors
    assert (error.line, error.sku) == (5, "D")
    assert sentence in error.reason
    assert shop.snapshot() == {}
    assert shop.stored == 0


def test_all_bad_rows_are_listed_by_line(shop: Shop) -> None:
    """Bad cells and bad pictures in one list."""
    with pytest.raises(BadRows) as caught:
        shop.take("A,Sofa,1,bad.jpg,Sofas", "B,,x,2.jpg,Lamps", "C,Rug,3,3.jpg,Rugs")
    assert [error.line for error in caught.value.errors] == [2, 3, 3]


def test_bad_rows_can_be_skipped_knowingly(shop: Shop) -> None:
    """The good rows are taken; a known product whose row is bad stays as it is."""
    shop.take(*ROWS)
    report = shop.take("A,Sofa,x,0.jpg,Sofas", "B,Lamp,9,2.jpg,Lamps", "D,Bed,1,bad.jpg,Beds", skip_bad_rows=True)
    snapshot = shop.snapshot()
    assert [error.sku for error in report.errors] == ["A", "D"]
    assert report.changes.withdrawn == ("C",)
    assert (snapshot["A"].stock, snapshot["A"].withdrawn) == (1, False)
    assert snapshot["B"].stock == 9
    assert "D" not in snapshot


def test_a_feed_without_any_good_row_is_refused_even_so(shop: Shop) -> None:
    """Skipping everything would withdraw everything."""
    with pytest.raises(BadRows, match="mend them"):
        shop.take("A,,1,0.jpg,Sofas", skip_bad_rows=True)


def test_a_dry_run_writes_nothing(shop: Shop) -> None:
    """It says what would change."""
    report = shop.take(*ROWS, dry_run=True)
    assert report.dry_run
    assert (len(report.changes.added), report.new_pictures) == (3, 4)
    assert shop.snapshot() == {}
    assert shop.stored == 0


def test_a_shrunken_feed_is_refused(shop: Shop) -> None:
    """More than half missing is a broken export, unless somebody says it is not."""
    shop.take(*ROWS)
    with pytest.raises(FeedRejected, match=r"lacks 2 of 3 products.*--accept-shrink"):
        shop.take("D,Bed,1,4.jpg,Beds", ROWS[0])
    assert shop.stored == 4
    assert not any(item.withdrawn for item in shop.snapshot().values())
    assert shop.take(ROWS[0], accept_shrink=True).changes.withdrawn == ("B", "C")


def test_half_of_the_catalogue_may_go(shop: Shop) -> None:
    """The rule is more than half."""
    shop.take(*ROWS, "D,Bed,1,4.jpg,Beds")
    assert shop.take(*ROWS[:2]).changes.withdrawn == ("C", "D")


def test_a_picture_that_changes_meanwhile_stops_the_import(shop: Shop) -> None:
    """What was checked is what is stored."""

    @contextmanager
    def meddling(label: str) -> Iterator[Callable[[int, int], None]]:
        if label == "Storing pictures":
            (shop.folder / "images" / "2.jpg").write_bytes(b"other")
        yield lambda done, total: None

    with pytest.raises(FeedRejected, match=r"'2\.jpg' changed"):
        import_feed(
            shop.feed(*ROWS),
            shop.folder / "images",
            sessions=shop.sessions,
            store=shop.store,
            progress=meddling,
        )
    assert shop.snapshot() == {}


def test_progress_counts_pictures(shop: Shop) -> None:
    """Checking and storing each go from one to all."""
    seen: list[tuple[str, int, int]] = []

    @contextmanager
    def watch(label: str) -> Iterator[Callable[[int, int], None]]:
        yield lambda done, total: seen.append((label, done, total))

    import_feed(shop.feed(*ROWS[1:]), shop.folder / "images", sessions=shop.sessions, store=shop.store, progress=watch)
    expected = [("Checking pictures", 1, 2), ("Checking pictures", 2, 2)]
    assert seen == [*expected, *[("Storing pictures", done, total) for _, done, total in expected]]


ITEMS = st.builds(
    ProductItem,
    sku=st.sampled_from(["A", "B", "C"]),
    title=st.sampled_from(["Sofa", "Lämp 'n' \"rug\""]),
    price_minor=st.sampled_from([None, 0, 10**14]),
    stock=st.sampled_from([None, 0, 2**31 - 1]),
    attributes=st.sampled_from([{}, {"colour": ("red", "blue")}]),
    dimensions=st.sampled_from([{}, {"width": "1 cm"}]),
    variant_group=st.sampled_from([None, "g"]),
    images=st.lists(st.sampled_from(["1" * 64, "2" * 64, "3" * 64]), unique=True).map(tuple),
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(feed=st.lists(ITEMS, unique_by=lambda item: item.sku), last=st.lists(ITEMS, unique_by=lambda item: item.sku))
def test_sql_holds_what_the_difference_says(
    sqlite_engine: Engine, feed: list[ProductItem], last: list[ProductItem]
) -> None:
    """Whatever was there, after applying the difference to SQL there is none."""
    with sessions(sqlite_engine)() as session:
        for night in (last, feed):
            apply(session, diff(night, queries.snapshot(session)))
            session.commit()
            session.expire_all()
            snapshot = queries.snapshot(session)
            assert not diff(night, snapshot)
            assert [item for item in snapshot.values() if not item.withdrawn] == sorted(
                night, key=lambda item: item.sku
            )
