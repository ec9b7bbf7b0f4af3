import hashlib
import json
import os
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine
from sqlalchemy.orm import Session, sessionmaker

from catalog import imports, queries
from catalog.changes import ProductItem
from catalog.image_store import ImageStore
from indexer.feed.gates import FeedGateError
from indexer.feed.importer import ImportReport, import_feed
from tests import pictures as drawn
from vsearch.core.progress import Progress, no_stages
from vsearch.core.settings import Settings
from vsearch.imaging.codec import Limits


@dataclass
class Shop:
    """An empty catalog and a folder of pictures."""

    folder: Path
    sessions: sessionmaker[Session]

    @property
    def store(self) -> ImageStore:
        """Where pictures go."""
        return ImageStore(Settings(data=self.folder).pictures)

    @property
    def stored(self) -> int:
        """How many files lie there."""
        return sum(path.is_file() for path in self.store.folder.rglob("*"))

    def sha256(self, name: str) -> str:
        """Return the content of a picture of the folder."""
        return hashlib.sha256((self.folder / "images" / name).read_bytes()).hexdigest()

    def feed(self, header: str, *rows: str) -> str:
        """Write a feed and return its path."""
        file = self.folder / "feed.csv"
        file.write_text("\n".join([header, *rows]) + "\n")
        return str(file)

    def take_feed(self, header: str, *rows: str, progress: Progress = no_stages, **options: Any) -> ImportReport:
        """Import a feed with this header."""
        arguments: dict[str, Any] = {name: options.pop(name) for name in ("accept", "dry_run") if name in options}
        return import_feed(
            Settings(data=self.folder, **options),
            self.feed(header, *rows),
            str(self.folder / "images"),
            sessions=self.sessions,
            progress=progress,
            **arguments,
        )

    def take(self, *rows: str, **options: Any) -> ImportReport:
        """Import a feed of sku, title, stock, image and category."""
        return self.take_feed("sku,title,stock,image,category", *rows, **options)

    def snapshot(self) -> dict[str, ProductItem]:
        """Return what SQL holds."""
        with self.sessions() as session:
            return queries.snapshot(session)


@pytest.fixture
def full_shop(shop: "Shop") -> "Shop":
    """The shop after an import of `ROWS`."""
    shop.take(*ROWS)
    return shop


@pytest.fixture
def shop(sqlite_engine: Engine, tmp_path: Path) -> Shop:
    """A shop with pictures 0.jpg to 4.jpg, a copy of 0.jpg, and bad.jpg, which is not a picture."""
    (tmp_path / "images").mkdir()
    for number in range(5):
        (tmp_path / "images" / f"{number}.jpg").write_bytes(drawn.jpeg(40 + number, 30))
    (tmp_path / "images" / "copy.jpg").write_bytes(drawn.jpeg(40, 30))
    (tmp_path / "images" / "bad.jpg").write_bytes(b"<html>not found</html>")
    return Shop(tmp_path, sessionmaker(sqlite_engine))


PRICED = "sku,title,category,price,image"
ROWS = ("A,Sofa,1,0.jpg|1.jpg,Sofas", "B,Lamp,2,2.jpg,Lamps", "C,Rug,3,3.jpg,Rugs")


def test_a_first_import_and_the_same_again(shop: Shop) -> None:
    progress: list[tuple[str, int, int]] = []

    @contextmanager
    def watch(label: str) -> Iterator[Callable[[int, int], None]]:
        yield lambda done, total: progress.append((label, done, total))

    report = shop.take(*ROWS, progress=watch)
    assert progress == [("fetch pictures", 4, 4)]
    assert [item.sku for item in report.changes.added] == ["A", "B", "C"]
    assert (report.new_pictures, shop.stored) == (4, 4)
    before = shop.snapshot()
    first, second = before["A"].images
    with shop.sessions() as session:
        assert queries.picture_sizes(session)[second] == (41, 30)
    assert shop.store.read(first) == (shop.folder / "images" / "0.jpg").read_bytes()
    report = shop.take(*ROWS)
    assert not report.changes
    assert (report.changes.unchanged, report.new_pictures) == (3, 0)
    assert shop.snapshot() == before


def test_changed_withdrawn_and_restored(full_shop: Shop) -> None:
    report = full_shop.take(ROWS[0], "B,Lamp,7,4.jpg,Lamps")
    assert [item.sku for item in report.changes.changed] == ["B"]
    assert report.changes.withdrawn == ("C",)
    assert full_shop.snapshot()["C"].withdrawn
    assert [item.sku for item in full_shop.take(*ROWS).changes.restored] == ["C"]
    assert not full_shop.snapshot()["C"].withdrawn


def test_a_known_picture_is_not_decoded_again(full_shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Limits, "from_settings", lambda settings: Limits(max_pixels=1))
    assert full_shop.take(*ROWS).changes.unchanged == 3
    (finding,) = full_shop.take(*ROWS, "D,Bed,1,4.jpg,Beds").findings
    assert (finding.line, finding.sku, finding.kind) == (5, "D", "picture")


def test_an_unchanged_file_is_not_read_again(full_shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    read_bytes = Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes", lambda path: read.append(path.name) or read_bytes(path))
    assert full_shop.take(*ROWS).changes.unchanged == 3
    assert read == []
    os.utime(full_shop.folder / "images" / "2.jpg", (1, 1))
    assert full_shop.take(*ROWS).changes.unchanged == 3
    assert read == ["2.jpg"]


def test_an_unavailable_picture_keeps_its_content(full_shop: Shop) -> None:
    before = full_shop.snapshot()
    lost = full_shop.folder / "images" / "2.jpg"
    lost.rename(full_shop.folder / "away.jpg")
    report = full_shop.take(*ROWS)
    assert [(found.sku, found.kind) for found in report.findings] == [("B", "picture")]
    assert full_shop.snapshot() == before
    (full_shop.folder / "away.jpg").rename(lost)
    assert full_shop.take(*ROWS).findings == ()


def test_pictures_may_move_to_another_location(full_shop: Shop) -> None:
    before = full_shop.snapshot()
    (full_shop.folder / "images").rename(full_shop.folder / "moved")
    (full_shop.folder / "moved" / "2.jpg").unlink()
    with tarfile.open(full_shop.folder / "images", "w") as archive:
        archive.add(full_shop.folder / "moved", ".")
    report = full_shop.take(*ROWS)
    assert ([found.sku for found in report.findings], report.new_pictures) == (["B"], 0)
    assert full_shop.snapshot() == before


def test_an_unavailable_picture_counts_until_the_feed_drops_it(shop: Shop) -> None:
    shop.take(*ROWS, "D,Bed,1,none.jpg,Beds")
    with shop.sessions() as session:
        assert imports.count_failing_pictures(session) == 1
    shop.take(*ROWS)
    with shop.sessions() as session:
        assert imports.count_failing_pictures(session) == 0


def test_a_product_without_available_pictures_is_imported_and_reported(shop: Shop) -> None:
    report = shop.take(*ROWS, "D,Bed,1,bad.jpg,Beds", "E,Desk,1,4.jpg|none.jpg,Desks")
    snapshot = shop.snapshot()
    assert [(found.line, found.sku) for found in report.findings] == [(5, "D"), (6, "E")]
    assert "picture 'bad.jpg' cannot be used: " in report.findings[0].reason
    assert "picture 'none.jpg' is not in" in report.findings[1].reason
    assert snapshot["D"].images == ()
    assert len(snapshot["E"].images) == 1


def test_a_mistyped_picture_name_keeps_the_previous_picture(full_shop: Shop) -> None:
    before = full_shop.snapshot()
    report = full_shop.take("A,Sofa,1,typo.jpg|1.jpg,Sofas", "B,Lamp,7,2typo.jpg,Lamps", ROWS[2])
    assert [(found.sku, found.kind) for found in report.findings] == [("A", "picture"), ("B", "picture")]
    assert [item.sku for item in report.changes.changed] == ["B"]
    assert {sku: item.images for sku, item in full_shop.snapshot().items()} == {
        sku: item.images for sku, item in before.items()
    }
    full_shop.take("A,Sofa,1,4.jpg|typo.jpg,Sofas", *ROWS[1:])
    assert full_shop.snapshot()["A"].images == (full_shop.sha256("4.jpg"), before["A"].images[0])
    full_shop.take("A,Sofa,1,4.jpg,Sofas", *ROWS[1:])
    assert full_shop.snapshot()["A"].images == (full_shop.sha256("4.jpg"),)


def test_a_product_that_names_no_picture(full_shop: Shop) -> None:
    report = full_shop.take(ROWS[0], "B,Lamp,7,,Lamps", ROWS[2], "D,Gift card,9,,Cards")
    assert [(found.sku, found.kind) for found in report.findings] == [("B", "no picture"), ("D", "no picture")]
    assert (report.counts()["changed"], report.counts()["products without a picture"]) == (1, 2)
    assert (report.counts()["added"], report.counts()["bad rows skipped"]) == (0, 0)
    lamp = full_shop.snapshot()["B"]
    assert (lamp.stock, lamp.images, "D" in full_shop.snapshot()) == (7, (full_shop.sha256("2.jpg"),), False)
    assert full_shop.take(*ROWS, "D,Gift card,9,4.jpg,Cards").counts()["added"] == 1


def test_too_many_unavailable_pictures_stop_the_import(shop: Shop) -> None:
    rows = [f"X{n},Sofa,1,none{n}.jpg,Sofas" for n in range(4)]
    with pytest.raises(FeedGateError, match=r"4 of 8 new pictures are unavailable.*--accept pictures"):
        shop.take(*ROWS, *rows)
    assert shop.snapshot() == {}
    with pytest.raises(FeedGateError, match="4 of 8 new pictures"):
        shop.take(*ROWS, *rows)
    assert len(shop.take(*ROWS, *rows, accept={"pictures"}).findings) == 4
    assert shop.take(*ROWS, *rows).changes.unchanged == 7


def test_equal_pictures_are_stored_once(shop: Shop) -> None:
    shop.take("A,Sofa,1,0.jpg|copy.jpg|1.jpg,Sofas", "B,Lamp,1,copy.jpg,Lamps")
    snapshot = shop.snapshot()
    assert len(snapshot["A"].images) == 2
    assert snapshot["B"].images == snapshot["A"].images[:1]
    assert shop.stored == 2


def test_a_lost_picture_file_is_stored_again(full_shop: Shop) -> None:
    full_shop.store.path(full_shop.snapshot()["B"].images[0]).unlink()
    assert full_shop.take(*ROWS).new_pictures == 1
    assert full_shop.stored == 4


def test_all_violations_are_reported_at_once_and_nothing_is_written(full_shop: Shop) -> None:
    before = full_shop.snapshot()
    with pytest.raises(FeedGateError) as caught:
        full_shop.take("A,Sofa,many,4.jpg,", "A,Sofa,1,0.jpg,", "D,,x,0.jpg,")
    message = str(caught.value)
    assert [(error.line, error.sku) for error in caught.value.findings] == [(2, "A"), (3, "A"), (4, "D"), (4, "D")]
    assert "feed.csv was not imported" in message
    assert "2 of 3 rows are bad" in message
    assert "2 of the catalog's 3 products are missing" in message
    assert message.endswith("--accept rows --accept repeats --accept columns --accept shrink.")
    assert (full_shop.snapshot(), full_shop.stored) == (before, 4)


def test_columns_and_prices_are_compared_with_those_in_sql(shop: Shop) -> None:
    header = "sku,title,image,category,price,stock,attr:{}"
    rows = [f"S{n},Sofa,0.jpg,Sofas,{n + 1},0,red" for n in range(12)]
    shop.take_feed(header.format("colour"), *rows)
    with pytest.raises(FeedGateError, match=r"price is .* 0% .*, stock is .* 0% .*colour of the last feed"):
        shop.take_feed(header.format("wood"), *(f"S{n},Sofa,0.jpg,Sofas,,,red" for n in range(12)))
    with pytest.raises(FeedGateError, match="the median of 12 prices is 100 times what it was"):
        shop.take_feed(header.format("colour"), *(row.replace(",0,red", "00,0,red") for row in rows))
    assert shop.take_feed(header.format("colour"), *rows).changes.unchanged == 12


def test_a_product_with_an_ambiguous_price_keeps_its_price(shop: Shop) -> None:
    shop.take_feed(PRICED, "S0,Chair,Chairs,1290,0.jpg", *(f"S{n},Chair,Chairs,899,0.jpg" for n in range(1, 200)))
    report = shop.take_feed(
        PRICED, 'S0,Chair,Chairs,"1,290",0.jpg', *(f"S{n},Chair,Chairs,899,0.jpg" for n in range(1, 200))
    )
    assert [(found.sku, "ambiguous" in found.reason) for found in report.findings] == [("S0", True)]
    assert shop.snapshot()["S0"].price_minor == 129_000


def test_attribute_columns_of_json_are_not_compared(shop: Shop) -> None:
    """Its rows have no header: a product and its attribute may go together."""
    rows = [json.dumps({"sku": f"S{n}", "title": "Sofa", "image": "0.jpg", "attr:colour": "red"}) for n in range(12)]
    lamp = json.dumps({"sku": "LAMP", "title": "Lamp", "image": "0.jpg", "attr:bulb": "E27"})
    for lines in ((*rows, lamp), rows):
        shop.take_feed(*lines)
    assert shop.snapshot()["LAMP"].withdrawn


def test_pictures_fetched_before_a_kill_count_as_new(shop: Shop) -> None:
    for number in range(90):
        (shop.folder / "images" / f"n{number}.jpg").write_bytes(drawn.noise(40, 30, seed=number))
    rows = [f"N{n},Sofa,1,n{n}.jpg,Sofas" for n in range(94)]

    @contextmanager
    def die(label: str) -> Iterator[Callable[[int, int], None]]:
        yield lambda done, total: None
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        shop.take(*rows, progress=die)
    assert shop.stored == 90
    report = shop.take(*rows)
    assert (len(report.changes.added), report.new_pictures, len(report.findings)) == (94, 90, 4)


def test_a_bad_row_keeps_its_pictures(full_shop: Shop) -> None:
    before = full_shop.snapshot()["B"].images
    (full_shop.folder / "images" / "2.jpg").unlink()
    full_shop.take(*ROWS)
    full_shop.take(ROWS[0], ROWS[1].replace(",2,", ",x,", 1), *ROWS[2:], accept={"rows"})
    full_shop.take(*ROWS)
    assert full_shop.snapshot()["B"].images == before


def test_a_warning_about_stale_pictures_is_recorded(full_shop: Shop) -> None:
    for file in (full_shop.folder / "images").iterdir():
        file.unlink()
    report = full_shop.take(*ROWS)
    assert report.warnings == ("4 of 4 pictures are unavailable and keep their previous content; check their location",)
    with full_shop.sessions() as session:
        assert imports.latest(session)[0].message == report.warnings[0]


def test_accepted_bad_rows_leave_their_products_unchanged(full_shop: Shop) -> None:
    report = full_shop.take("A,Sofa,x,0.jpg,Sofas", "B,Lamp,9,2.jpg,Lamps", "D,,1,4.jpg,Beds", accept={"rows"})
    snapshot = full_shop.snapshot()
    assert [error.sku for error in report.findings] == ["A", "D"]
    assert report.changes.withdrawn == ("C",)
    assert (snapshot["A"].stock, snapshot["A"].withdrawn) == (1, False)
    assert snapshot["B"].stock == 9
    assert "D" not in snapshot


def test_the_first_row_of_an_accepted_repeat_counts(shop: Shop) -> None:
    with pytest.raises(FeedGateError, match="1 row repeats a sku"):
        shop.take(*ROWS, "A,Other,9,4.jpg,Sofas")
    shop.take(*ROWS, "A,Other,9,4.jpg,Sofas", accept={"repeats"})
    assert shop.snapshot()["A"].title == "Sofa"


def test_every_import_is_recorded(full_shop: Shop) -> None:
    full_shop.take(*ROWS)
    with pytest.raises(FeedGateError):
        full_shop.take("A,Sofa,x,0.jpg,Sofas")
    with full_shop.sessions() as session:
        refused, unchanged, first = imports.latest(session)
    assert [refused.state, unchanged.state, first.state] == ["refused", "unchanged", "imported"]
    assert (first.counts["added"], first.columns) == (3, ["sku", "title", "stock", "image", "category"])
    assert refused.findings[0]["line"] == 2
    assert "--accept rows" in refused.message


def test_a_dry_run_writes_nothing(shop: Shop) -> None:
    report = shop.take(*ROWS, dry_run=True)
    assert report.dry_run
    assert (len(report.changes.added), report.new_pictures) == (3, 4)
    assert shop.snapshot() == {}
    assert shop.stored == 0
