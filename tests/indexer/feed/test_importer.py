import hashlib
import os
import tarfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from sqlalchemy.orm import Session, sessionmaker

from catalog import imports, product_edits, queries
from catalog.changes import ProductItem
from catalog.image_store import ImageStore
from catalog.models import FeedImport
from indexer.feed import importer
from indexer.feed.gates import FeedGateError
from indexer.feed.importer import ImportReport, import_feed
from indexer.feed.reader import FeedReading, read_feed
from tests import pictures as drawn
from vsearch.core.errors import FeedRejected
from vsearch.core.progress import Progress, no_stages
from vsearch.core.settings import Settings
from vsearch.imaging.codec import Limits

ROWS = ("A,Sofa,1,0.jpg|1.jpg,Sofas", "B,Lamp,2,2.jpg,Lamps", "C,Rug,3,3.jpg,Rugs")


@dataclass
class Shop:
    folder: Path
    sessions: sessionmaker[Session]

    @property
    def store(self) -> ImageStore:
        return ImageStore(Settings(data=self.folder).pictures)

    @property
    def stored(self) -> int:
        return sum(path.is_file() for path in self.store.folder.rglob("*"))

    def picture(self, name: str) -> Path:
        return self.folder / "images" / name

    def import_table(self, *lines: str, progress: Progress = no_stages, **options: Any) -> ImportReport:
        """Import a feed with these lines; options are settings and arguments."""
        file = self.folder / "feed.csv"
        file.write_text("\n".join(lines) + "\n")
        arguments = {name: options.pop(name) for name in ("accept", "dry_run") if name in options}
        settings, images = Settings(data=self.folder, **options), str(self.folder / "images")
        return import_feed(settings, str(file), images, sessions=self.sessions, progress=progress, **arguments)

    def run(self, *rows: str, **options: Any) -> ImportReport:
        """Import rows of sku, title, stock, image and category."""
        return self.import_table("sku,title,stock,image,category", *rows, **options)

    def snapshot(self) -> dict[str, ProductItem]:
        with self.sessions() as session:
            return queries.snapshot(session)

    def imports(self) -> list[FeedImport]:
        """Return the import records, latest first."""
        with self.sessions() as session:
            return list(imports.latest(session))


@pytest.fixture
def shop(sqlite_engine, tmp_path):
    """A shop with pictures 0.jpg to 4.jpg, a copy of 0.jpg, and bad.jpg, which is not a picture."""
    (tmp_path / "images").mkdir()
    for number in range(5):
        (tmp_path / "images" / f"{number}.jpg").write_bytes(drawn.jpeg(40 + number, 30))
    (tmp_path / "images" / "copy.jpg").write_bytes(drawn.jpeg(40, 30))
    (tmp_path / "images" / "bad.jpg").write_bytes(b"<html>not found</html>")
    return Shop(tmp_path, sessionmaker(sqlite_engine))


@pytest.fixture
def full_shop(shop):
    """The shop after an import of `ROWS`."""
    shop.run(*ROWS)
    return shop


def test_first_import_and_the_same_again(shop):
    progress = []

    @contextmanager
    def watch(label):
        yield lambda done, total: progress.append((label, done, total))

    report = shop.run(*ROWS, progress=watch)
    assert progress == [("fetch pictures", 4, 4)]
    assert [item.sku for item in report.changes.added] == ["A", "B", "C"]
    assert (report.new_pictures, shop.stored) == (4, 4)
    before = shop.snapshot()
    first, second = before["A"].images
    with shop.sessions() as session:
        assert queries.picture_sizes(session)[second] == (41, 30)
    assert shop.store.read(first) == shop.picture("0.jpg").read_bytes()
    report = shop.run(*ROWS)
    assert not report.changes
    assert (report.changes.unchanged, report.new_pictures) == (3, 0)
    assert shop.snapshot() == before


def test_changed_withdrawn_and_restored(full_shop):
    report = full_shop.run(ROWS[0], "B,Lamp,7,4.jpg,Lamps")
    assert ([item.sku for item in report.changes.changed], report.changes.withdrawn) == (["B"], ("C",))
    assert full_shop.snapshot()["C"].withdrawn
    assert [item.sku for item in full_shop.run(*ROWS).changes.restored] == ["C"]
    assert not full_shop.snapshot()["C"].withdrawn


def test_known_pictures_are_not_decoded_and_unchanged_files_not_read(full_shop, monkeypatch):
    monkeypatch.setattr(Limits, "from_settings", lambda settings: Limits(max_pixels=1))
    read, read_bytes = [], Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes", lambda path: read.append(path.name) or read_bytes(path))
    assert (full_shop.run(*ROWS).changes.unchanged, read) == (3, [])
    os.utime(full_shop.picture("2.jpg"), (1, 1))
    assert (full_shop.run(*ROWS).changes.unchanged, read) == (3, ["2.jpg"])
    (finding,) = full_shop.run(*ROWS, "D,Bed,1,4.jpg,Beds").findings
    assert (finding.line, finding.sku, finding.kind) == (5, "D", "picture")


def test_pictures_may_move_to_another_location(full_shop):
    """A picture that is not at the new location keeps its content."""
    before = full_shop.snapshot()
    (full_shop.folder / "images").rename(full_shop.folder / "moved")
    (full_shop.folder / "moved" / "2.jpg").unlink()
    with tarfile.open(full_shop.folder / "images", "w") as archive:
        archive.add(full_shop.folder / "moved", ".")
    report = full_shop.run(*ROWS)
    assert ([(found.sku, found.kind) for found in report.findings], report.new_pictures) == ([("B", "picture")], 0)
    assert full_shop.snapshot() == before


def test_unavailable_pictures_are_counted_until_the_feed_drops_them(shop):
    def failing():
        with shop.sessions() as session:
            return imports.count_failing_pictures(session)

    report = shop.run(*ROWS, "D,Bed,1,bad.jpg,Beds", "E,Desk,1,4.jpg|none.jpg,Desks")
    assert [(found.line, found.sku) for found in report.findings] == [(5, "D"), (6, "E")]
    assert "bad.jpg" in report.findings[0].reason
    assert "none.jpg" in report.findings[1].reason
    assert [len(shop.snapshot()[sku].images) for sku in "DE"] == [0, 1]
    assert failing() == 2
    shop.run(*ROWS)
    assert failing() == 0


def test_a_mistyped_picture_name_keeps_the_previous_picture(full_shop):
    def images():
        return {sku: item.images for sku, item in full_shop.snapshot().items()}

    before = images()
    fourth = hashlib.sha256(full_shop.picture("4.jpg").read_bytes()).hexdigest()
    report = full_shop.run("A,Sofa,1,typo.jpg|1.jpg,Sofas", "B,Lamp,7,2typo.jpg,Lamps", ROWS[2])
    assert [(found.sku, found.kind) for found in report.findings] == [("A", "picture"), ("B", "picture")]
    assert [item.sku for item in report.changes.changed] == ["B"]
    assert images() == before
    full_shop.run("A,Sofa,1,4.jpg|typo.jpg,Sofas", *ROWS[1:])
    assert images()["A"] == (fourth, before["A"][0])
    full_shop.run("A,Sofa,1,4.jpg,Sofas", *ROWS[1:])
    assert images()["A"] == (fourth,)


def test_products_that_name_no_picture(full_shop):
    """A known product keeps its picture; a new one is not imported."""
    before = full_shop.snapshot()["B"]
    report = full_shop.run(ROWS[0], "B,Lamp,7,,Lamps", ROWS[2], "D,Gift card,9,,Cards")
    assert [(found.sku, found.kind) for found in report.findings] == [("B", "no picture"), ("D", "no picture")]
    counts = [report.counts()[name] for name in ("changed", "added", "products without an image", "bad rows skipped")]
    assert counts == [1, 0, 2, 0]
    snapshot = full_shop.snapshot()
    assert (snapshot["B"].stock, snapshot["B"].images, "D" in snapshot) == (7, before.images, False)
    assert full_shop.run(*ROWS, "D,Gift card,9,4.jpg,Cards").counts()["added"] == 1


def test_too_many_unavailable_pictures_stop_the_import(shop):
    """This includes the second import, since failures in a refused import do not count as earlier ones."""
    rows = [f"X{n},Sofa,1,none{n}.jpg,Sofas" for n in range(4)]
    for _ in range(2):
        with pytest.raises(FeedGateError, match=r"4 of 8 new images .*--accept pictures"):
            shop.run(*ROWS, *rows)
        assert shop.snapshot() == {}
    assert len(shop.run(*ROWS, *rows, accept={"pictures"}).findings) == 4
    assert shop.run(*ROWS, *rows).changes.unchanged == 7


def test_equal_pictures_are_stored_once(shop):
    """A missing file is stored again."""
    rows = ("A,Sofa,1,0.jpg|copy.jpg|1.jpg,Sofas", "B,Lamp,1,copy.jpg,Lamps")
    shop.run(*rows)
    first, second = shop.snapshot()["A"].images
    assert (shop.snapshot()["B"].images, shop.stored) == ((first,), 2)
    shop.store.path(second).unlink()
    assert (shop.run(*rows).new_pictures, shop.stored) == (1, 2)


def test_all_violations_are_reported_at_once_and_nothing_is_written(full_shop):
    before = full_shop.snapshot()
    with pytest.raises(FeedGateError) as caught:
        full_shop.run("A,Sofa,many,4.jpg,", "A,Sofa,1,0.jpg,", "D,,x,0.jpg,")
    assert [(error.line, error.sku) for error in caught.value.findings] == [(2, "A"), (3, "A"), (4, "D"), (4, "D")]
    assert str(caught.value).endswith("--accept rows --accept repeats --accept columns --accept shrink.")
    assert (full_shop.snapshot(), full_shop.stored) == (before, 4)


def test_columns_and_prices_are_compared_with_the_catalog(shop):
    colored, wooden = (f"sku,title,image,category,price,stock,attr:{name}" for name in ("colour", "wood"))
    rows = [f"S{n},Sofa,0.jpg,Sofas,{n + 1},0,red" for n in range(12)]
    shop.import_table(colored, *rows)
    with pytest.raises(FeedGateError, match=r"price .*stock .*colour"):
        shop.import_table(wooden, *(f"S{n},Sofa,0.jpg,Sofas,,,red" for n in range(12)))
    with pytest.raises(FeedGateError, match="factor of 100"):
        shop.import_table(colored, *(row.replace(",0,red", "00,0,red") for row in rows))
    assert shop.import_table(colored, *rows).changes.unchanged == 12


def test_pictures_fetched_before_a_kill_count_as_new(shop):
    for number in range(90):
        shop.picture(f"n{number}.jpg").write_bytes(drawn.noise(40, 30, seed=number))
    rows = [f"N{n},Sofa,1,n{n}.jpg,Sofas" for n in range(94)]

    @contextmanager
    def die(label):
        yield lambda done, total: None
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        shop.run(*rows, progress=die)
    assert shop.stored == 90
    report = shop.run(*rows)
    assert (len(report.changes.added), report.new_pictures, len(report.findings)) == (94, 90, 4)


def test_a_warning_about_stale_pictures_is_recorded(full_shop):
    for file in (full_shop.folder / "images").iterdir():
        file.unlink()
    (warning,) = full_shop.run(*ROWS).warnings
    assert "4 of 4 images" in warning
    assert full_shop.imports()[0].message == warning


def test_accepted_bad_rows_leave_their_products_unchanged(full_shop):
    """They keep their pictures even if these are unavailable."""
    images = full_shop.snapshot()["A"].images
    full_shop.picture("0.jpg").unlink()
    full_shop.run(*ROWS)
    report = full_shop.run("A,Sofa,x,0.jpg,Sofas", "B,Lamp,9,2.jpg,Lamps", "D,,1,4.jpg,Beds", accept={"rows"})
    assert [found.sku for found in report.findings if found.kind == "row"] == ["A", "D"]
    assert report.changes.withdrawn == ("C",)
    live = {sku: item.stock for sku, item in full_shop.snapshot().items() if not item.withdrawn}
    assert live == {"A": 1, "B": 9}
    full_shop.run(*ROWS)
    assert full_shop.snapshot()["A"].images == images


def test_the_first_row_of_an_accepted_repeat_counts(shop):
    rows = (*ROWS, "A,Other,9,4.jpg,Sofas")
    with pytest.raises(FeedGateError, match="--accept repeats"):
        shop.run(*rows)
    shop.run(*rows, accept={"repeats"})
    assert shop.snapshot()["A"].title == "Sofa"


def test_every_import_is_recorded(full_shop):
    full_shop.run(*ROWS)
    with pytest.raises(FeedGateError):
        full_shop.run("A,Sofa,x,0.jpg,Sofas")
    refused, unchanged, first = full_shop.imports()
    assert [refused.state, unchanged.state, first.state] == ["refused", "unchanged", "imported"]
    assert (first.counts["added"], first.columns) == (3, ["sku", "title", "stock", "image", "category"])
    assert (refused.findings[0]["line"], "--accept rows" in refused.message) == (2, True)


def test_a_dry_run_writes_nothing(shop):
    report = shop.run(*ROWS, dry_run=True)
    assert (report.dry_run, len(report.changes.added), report.new_pictures) == (True, 3, 4)
    assert (shop.snapshot(), shop.stored) == ({}, 0)


def test_edits_of_an_admin_survive_imports(full_shop):
    """A new feed changes what the edits hide, and an image that an admin added stands in for none of the feed's."""
    added = full_shop.store.put(drawn.jpeg(50, 40))
    before = full_shop.snapshot()["A"]
    with full_shop.sessions.begin() as session:
        product_edits.save(session, "ann", "A", "category", "Beds")
        product_edits.save(session, "ann", "A", "images", (added,))
    assert full_shop.run(*ROWS).changes.unchanged == 3
    report = full_shop.run("A,Bed,1,4.jpg|typo.jpg,Couches", *ROWS[1:])
    assert [item.title for item in report.changes.changed] == ["Bed"]
    fourth = hashlib.sha256(full_shop.picture("4.jpg").read_bytes()).hexdigest()
    item = full_shop.snapshot()["A"]
    assert (item.category, item.images) == ("Beds", (fourth, before.images[0], added))
    assert full_shop.run(*ROWS[1:]).changes.withdrawn == ("A",)
    with full_shop.sessions.begin() as session:
        for field in ("category", "images"):
            product_edits.undo(session, "ann", "A", field)
    item = full_shop.snapshot()["A"]
    assert (item.category, item.images) == ("Couches", (fourth, before.images[0]))


def test_gates_ignore_edits(shop):
    """A feed without categories is not refused because an admin filled them in."""
    rows = [f"S{n},Sofa,1,0.jpg," for n in range(12)]
    shop.run(*rows)
    with shop.sessions.begin() as session:
        for number in range(12):
            product_edits.save(session, "ann", f"S{number}", "category", "Sofas")
    assert shop.run(*rows).changes.unchanged == 12


@pytest.fixture
def readings(monkeypatch):
    """The feeds that were read, in order."""
    read = []

    def reader(path: Path, *args: Any) -> FeedReading:
        read.append(path.name)
        return read_feed(path, *args)

    monkeypatch.setattr(importer, "read_feed", reader)
    return read


def test_a_feed_that_is_unchanged_is_not_read_again(shop, readings):
    rows = (*ROWS, "D,Vase,1,missing.jpg,Vases", "E,,1,0.jpg,Sofas")
    first = shop.run(*rows, accept=["rows"])
    before = shop.snapshot()
    for attempt in (2, 3):
        report = shop.run(*rows)
        assert (len(readings), report.changes.unchanged, report.new_pictures) == (1, 4, 0)
        assert report.findings == first.findings
        assert shop.snapshot() == before
        with shop.sessions() as session:
            assert imports.read_picture_states(session, ["missing.jpg"])["missing.jpg"].failures == attempt
    last, earlier = shop.imports()[:2]
    assert (last.state, last.counts, last.findings) == ("unchanged", earlier.counts, earlier.findings)
    assert shop.run(*rows, dry_run=True).counts() == report.counts()
    assert len(readings) == 1


@pytest.mark.parametrize(
    "change",
    [
        lambda shop: shop.picture("2.jpg").write_bytes(drawn.jpeg(50, 30)),
        lambda shop: shop.picture("2.jpg").unlink(),
        lambda shop: shop.picture("missing.jpg").write_bytes(drawn.jpeg(51, 30)),
        lambda shop: shop.store.path(shop.snapshot()["B"].images[0]).unlink(),
    ],
)
def test_a_feed_is_read_again_if_an_image_has_changed(shop, readings, change):
    """The result is that of an import that reads everything."""
    rows = (*ROWS, "D,Vase,1,1.jpg|missing.jpg,Vases")
    shop.run(*rows)
    change(shop)
    report = shop.run(*rows)
    assert len(readings) == 2
    assert not shop.run(*rows, "F,Bowl,1,0.jpg,Bowls").changes.changed
    counts = report.counts()
    assert counts["changed"] + counts["new images"] + counts["unavailable images"] > 1


def test_a_feed_is_read_again_if_settings_or_the_mapping_have_changed(shop, readings):
    shop.run(*ROWS)
    shop.run(*ROWS, currency="USD")
    assert len(readings) == 2
    mapping = shop.folder / "mapping.toml"
    mapping.write_text('[columns]\ntitle = "name"\n')
    with pytest.raises(FeedRejected):
        shop.run(*ROWS, currency="USD", feed_mapping=mapping)  # which has no column "name"
    assert len(readings) == 3


def test_a_feed_is_read_again_after_another_one_and_after_a_refusal(shop, readings):
    shop.run(*ROWS)
    shop.run(ROWS[0], ROWS[1])
    assert shop.run(*ROWS).changes.restored
    with pytest.raises(FeedGateError):
        shop.run("A,,1,0.jpg,Sofas")
    assert len(readings) == 4
    assert not shop.run(*ROWS).changes
    assert len(readings) == 4


def test_images_fetched_by_a_killed_import_are_imported_though_the_feed_is_unchanged(shop, readings, monkeypatch):
    """The new image of B is already in the catalog, as the image of A."""
    shop.run(*ROWS)
    shop.picture("2.jpg").write_bytes(shop.picture("1.jpg").read_bytes())
    with monkeypatch.context() as patch:
        patch.setattr(importer, "_write", Mock(side_effect=KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            shop.run(*ROWS)
    assert [item.sku for item in shop.run(*ROWS).changes.changed] == ["B"]
