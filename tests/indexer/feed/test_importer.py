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
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine
from sqlalchemy.orm import Session, sessionmaker

from catalog import imports, queries
from catalog.changes import ProductItem, apply, diff
from catalog.image_store import ImageStore
from indexer.feed.gates import FeedGateError, GateLimits
from indexer.feed.importer import ImportReport, Options, import_feed
from tests import pictures as drawn
from vsearch.core.errors import FeedRejected
from vsearch.imaging.codec import Limits


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

    def sha256(self, name: str) -> str:
        """Return the content of a picture of the folder."""
        return hashlib.sha256((self.folder / "images" / name).read_bytes()).hexdigest()

    def feed(self, *rows: str) -> Path:
        """Write a feed of sku, title, stock and image."""
        file = self.folder / "feed.csv"
        file.write_text("\n".join(["sku,title,stock,image,category", *rows]) + "\n")
        return file

    def take(self, *rows: str, **options: Any) -> ImportReport:
        """Import a feed of these rows."""
        feed, images = self.feed(*rows), self.folder / "images"
        return import_feed(str(feed), str(images), sessions=self.sessions, store=self.store, options=Options(**options))

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
    return Shop(tmp_path, sessionmaker(sqlite_engine))


ROWS = ("A,Sofa,1,0.jpg|1.jpg,Sofas", "B,Lamp,2,2.jpg,Lamps", "C,Rug,3,3.jpg,Rugs")


def test_a_first_import_takes_everything(shop: Shop) -> None:
    report = shop.take(*ROWS)
    assert [item.sku for item in report.changes.added] == ["A", "B", "C"]
    assert (report.new_pictures, shop.stored) == (4, 4)
    (first, second) = shop.snapshot()["A"].images
    with shop.sessions() as session:
        assert queries.picture_sizes(session)[second] == (41, 30)
    assert shop.store.read(first) == (shop.folder / "images" / "0.jpg").read_bytes()


def test_the_same_feed_again_changes_nothing(shop: Shop) -> None:
    shop.take(*ROWS)
    before = shop.snapshot()
    report = shop.take(*ROWS)
    assert not report.changes
    assert (report.changes.unchanged, report.new_pictures) == (3, 0)
    assert shop.snapshot() == before


def test_changed_withdrawn_and_restored(shop: Shop) -> None:
    shop.take(*ROWS)
    report = shop.take(ROWS[0], "B,Lamp,7,4.jpg,Lamps")
    assert [item.sku for item in report.changes.changed] == ["B"]
    assert report.changes.withdrawn == ("C",)
    assert shop.snapshot()["C"].withdrawn
    assert [item.sku for item in shop.take(*ROWS).changes.restored] == ["C"]
    assert not shop.snapshot()["C"].withdrawn


def test_a_known_picture_is_not_decoded_again(shop: Shop) -> None:
    shop.take(*ROWS)
    report = shop.take(*ROWS, limits=Limits(max_pixels=1))
    assert report.changes.unchanged == 3
    (finding,) = shop.take(*ROWS, "D,Bed,1,4.jpg,Beds", limits=Limits(max_pixels=1)).findings
    assert (finding.line, finding.sku, finding.kind) == (5, "D", "picture")


def test_a_file_that_is_what_it_was_is_not_read_again(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.take(*ROWS)
    read: list[str] = []
    whole = Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes", lambda path: read.append(path.name) or whole(path))
    assert shop.take(*ROWS).changes.unchanged == 3
    assert read == []
    os.utime(shop.folder / "images" / "2.jpg", (1, 1))
    assert shop.take(*ROWS).changes.unchanged == 3
    assert read == ["2.jpg"]


def test_a_picture_that_cannot_be_had_tonight_stays_what_it_was(shop: Shop) -> None:
    shop.take(*ROWS)
    before = shop.snapshot()
    lost = shop.folder / "images" / "2.jpg"
    lost.rename(shop.folder / "away.jpg")
    report = shop.take(*ROWS)
    assert [(found.sku, found.kind) for found in report.findings] == [("B", "picture")]
    assert shop.snapshot() == before
    (shop.folder / "away.jpg").rename(lost)
    assert shop.take(*ROWS).findings == ()


def test_pictures_that_lie_elsewhere_tonight_are_the_same(shop: Shop) -> None:
    shop.take(*ROWS)
    before = shop.snapshot()
    (shop.folder / "images").rename(shop.folder / "moved")
    (shop.folder / "moved" / "2.jpg").unlink()
    with tarfile.open(shop.folder / "images", "w") as archive:
        archive.add(shop.folder / "moved", ".")
    report = shop.take(*ROWS)
    assert ([found.sku for found in report.findings], report.new_pictures) == (["B"], 0)
    assert shop.snapshot() == before


def test_a_picture_that_no_feed_names_any_more_is_no_failure(shop: Shop) -> None:
    shop.take(*ROWS, "D,Bed,1,none.jpg,Beds")
    with shop.sessions() as session:
        assert imports.count_failing_pictures(session) == 1
    shop.take(*ROWS)
    with shop.sessions() as session:
        assert imports.count_failing_pictures(session) == 0


def test_a_product_without_a_picture_is_in_the_catalogue_and_listed(shop: Shop) -> None:
    report = shop.take(*ROWS, "D,Bed,1,bad.jpg,Beds", "E,Desk,1,4.jpg|none.jpg,Desks")
    snapshot = shop.snapshot()
    assert [(found.line, found.sku) for found in report.findings] == [(5, "D"), (6, "E")]
    assert "picture 'bad.jpg' cannot be used: " in report.findings[0].reason
    assert "picture 'none.jpg' is not in" in report.findings[1].reason
    assert snapshot["D"].images == ()
    assert len(snapshot["E"].images) == 1


def test_a_mistyped_name_costs_no_picture(shop: Shop) -> None:
    shop.take(*ROWS)
    before = shop.snapshot()
    report = shop.take("A,Sofa,1,typo.jpg|1.jpg,Sofas", "B,Lamp,7,2typo.jpg,Lamps", ROWS[2])
    assert [(found.sku, found.kind) for found in report.findings] == [("A", "picture"), ("B", "picture")]
    assert [item.sku for item in report.changes.changed] == ["B"]
    assert {sku: item.images for sku, item in shop.snapshot().items()} == {
        sku: item.images for sku, item in before.items()
    }
    shop.take("A,Sofa,1,4.jpg|typo.jpg,Sofas", *ROWS[1:])
    assert shop.snapshot()["A"].images == (shop.sha256("4.jpg"), before["A"].images[0])


def test_a_picture_that_was_replaced_stays_away(shop: Shop) -> None:
    shop.take(*ROWS)
    shop.take("A,Sofa,1,4.jpg,Sofas", *ROWS[1:])
    assert shop.snapshot()["A"].images == (shop.sha256("4.jpg"),)


def test_a_product_that_names_no_picture_is_listed(shop: Shop) -> None:
    shop.take(*ROWS)
    report = shop.take(ROWS[0], "B,Lamp,7,,Lamps", ROWS[2], "D,Gift card,9,,Cards")
    assert [(found.sku, found.kind) for found in report.findings] == [("B", "no picture"), ("D", "no picture")]
    assert (report.counts()["changed"], report.counts()["products without a picture"]) == (1, 2)
    assert (report.counts()["added"], report.counts()["bad rows skipped"]) == (0, 0)
    lamp = shop.snapshot()["B"]
    assert (lamp.stock, lamp.images, "D" in shop.snapshot()) == (7, (shop.sha256("2.jpg"),), False)
    assert shop.take(*ROWS, "D,Gift card,9,4.jpg,Cards").counts()["added"] == 1


def test_too_many_products_that_name_no_picture_refuse_the_feed(shop: Shop) -> None:
    rows = [f"S{n},Sofa,1,0.jpg,Sofas" for n in range(40)]
    bare = [row.replace("0.jpg", "") for row in rows]
    with pytest.raises(FeedGateError, match=r"30 of 40 products have no picture.*--accept pictures"):
        shop.take(*bare[:30], *rows[30:])
    shop.take(*rows)
    with pytest.raises(FeedGateError, match="4 of 40 products have no picture"):
        shop.take(*bare[:4], *rows[4:])
    assert shop.take(*bare[:4], *rows[4:], accept={"pictures"}).changes.unchanged == 40
    with pytest.raises(FeedGateError, match="no row is good"):
        shop.take(*bare, accept={"pictures"})
    assert shop.take(*bare[:3], *rows[3:]).changes.unchanged == 40


def test_too_many_lost_pictures_refuse_the_feed(shop: Shop) -> None:
    rows = [f"X{n},Sofa,1,none{n}.jpg,Sofas" for n in range(4)]
    with pytest.raises(FeedGateError, match=r"4 of 8 new pictures are unavailable.*--accept pictures"):
        shop.take(*ROWS, *rows)
    assert shop.snapshot() == {}
    with pytest.raises(FeedGateError, match="4 of 8 new pictures"):
        shop.take(*ROWS, *rows)
    assert len(shop.take(*ROWS, *rows, accept={"pictures"}).findings) == 4
    assert shop.take(*ROWS, *rows).changes.unchanged == 7


def test_two_names_of_one_content_are_one_picture(shop: Shop) -> None:
    shop.take("A,Sofa,1,0.jpg|copy.jpg|1.jpg,Sofas", "B,Lamp,1,copy.jpg,Lamps")
    snapshot = shop.snapshot()
    assert len(snapshot["A"].images) == 2
    assert snapshot["B"].images == snapshot["A"].images[:1]
    assert shop.stored == 2


def test_a_lost_picture_file_is_stored_again(shop: Shop) -> None:
    shop.take(*ROWS)
    shop.store.path(shop.snapshot()["B"].images[0]).unlink()
    assert shop.take(*ROWS).new_pictures == 1
    assert shop.stored == 4


def test_bad_rows_refuse_the_whole_feed(shop: Shop) -> None:
    with pytest.raises(
        FeedGateError, match=r"feed\.csv was not imported: 2 of 4 rows are bad.*--accept rows"
    ) as caught:
        shop.take("A,Sofa,many,0.jpg,Sofas", "B,,x,2.jpg,Lamps", *ROWS[1:])
    assert [(error.line, error.sku) for error in caught.value.findings[:3]] == [(2, "A"), (3, "B"), (3, "B")]
    assert shop.snapshot() == {}
    assert shop.stored == 0


def test_all_that_is_wrong_is_said_at_once(shop: Shop) -> None:
    shop.take(*ROWS)
    feed = shop.folder / "feed.csv"
    feed.write_text("sku,title,image\nA,Sofa,0.jpg\nA,Sofa,0.jpg\nD,,0.jpg\n")
    with pytest.raises(FeedGateError) as caught:
        import_feed(str(feed), str(shop.folder / "images"), sessions=shop.sessions, store=shop.store)
    message = str(caught.value)
    for reason in (
        "1 of 3 rows are bad",
        "1 row repeats a sku",
        "category is filled for 0%",
        "2 of the catalog's 3 products",
    ):
        assert reason in message
    assert message.endswith("--accept rows --accept repeats --accept columns --accept shrink.")


FEED = "sku,title,image,category,price,currency,stock,attr:colour\n"


def test_columns_that_are_there_and_empty_are_missing(shop: Shop) -> None:
    feed = shop.folder / "feed.csv"

    def take(*rows: str, head: str = FEED, **options: Any) -> ImportReport:
        feed.write_text(head + "\n".join(rows) + "\n")
        images = str(shop.folder / "images")
        return import_feed(str(feed), images, sessions=shop.sessions, store=shop.store, options=Options(**options))

    take(*(f"S{n},Sofa,0.jpg,Sofas,{n + 1},EUR,3,red" for n in range(12)))
    sentence = "price is filled for 0% of the products, and was for 100%, stock is filled for 0% .*--accept columns"
    with pytest.raises(FeedGateError, match=sentence):
        take(*(f"S{n},Sofa,0.jpg,Sofas,,,,red" for n in range(12)))
    with pytest.raises(FeedGateError, match="price is filled for 0%"):
        take(*(f"S{n},Sofa,0.jpg,Sofas,0,EUR,3,red" for n in range(12)))
    with pytest.raises(FeedGateError, match="attr:colour of the last feed is missing"):
        take(*(f"S{n},Sofa,0.jpg,Sofas,{n + 1},EUR,3,oak" for n in range(12)), head=FEED.replace("colour", "wood"))
    with pytest.raises(FeedGateError, match=r"the median of 12 prices is 100 times.*--accept prices"):
        take(*(f"S{n},Sofa,0.jpg,Sofas,{100 * n + 100},EUR,3,red" for n in range(12)))
    with pytest.raises(FeedGateError, match="12 of 12 prices changed their currency"):
        take(*(f"S{n},Sofa,0.jpg,Sofas,{n + 1},SEK,3,red" for n in range(12)))
    otherwise = "sku,title,image,category,price,stock,attributes\n"
    cell = '"{""colour"": ""red""}"'
    assert not take(*(f"S{n},Sofa,0.jpg,Sofas,{n + 1} EUR,3,{cell}" for n in range(12)), head=otherwise).changes
    assert not take(*(f"S{n},Sofa,0.jpg,Sofas,{n + 1},EUR,3,red" for n in range(12))).changes
    take(*(f"S{n},Sofa,0.jpg,Sofas,,,,red" for n in range(12)), accept=frozenset({"columns"}))
    assert shop.snapshot()["S3"].price_minor is None


PRICED = "sku,title,category,price,image"


def take_prices(shop: Shop, *prices: str, **options: Any) -> ImportReport:
    """Import products S0, S1, ... with these prices."""
    feed = shop.folder / "priced.csv"
    rows = [f'S{n},Chair {n},Chairs,"{price}",0.jpg' for n, price in enumerate(prices)]
    feed.write_text("\n".join([PRICED, *rows]) + "\n")
    images = str(shop.folder / "images")
    return import_feed(str(feed), images, sessions=shop.sessions, store=shop.store, options=Options(**options))


def test_a_price_is_never_divided_by_a_thousand_in_silence(shop: Shop) -> None:
    take_prices(shop, "1290", *["899"] * 199)
    report = take_prices(shop, "1,290", *["899"] * 199)
    assert [(found.sku, "ambiguous" in found.reason) for found in report.findings] == [("S0", True)]
    assert shop.snapshot()["S0"].price_minor == 129_000


def test_a_feed_of_ambiguous_prices_is_refused(shop: Shop) -> None:
    with pytest.raises(FeedGateError, match="10 of 10 rows are bad"):
        take_prices(shop, *(f"{n},{n}00" for n in range(1, 10)), "1,000")
    assert shop.snapshot() == {}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (["1290"] * 3 + ["899"] * 17, ["1.29"] * 3 + ["899"] * 17),
        (["1.29"] * 3 + ["899"] * 17, ["1290"] * 3 + ["899"] * 17),
        (["1290"] * 11 + ["899"] * 189, ["129.00"] * 11 + ["899"] * 189),
        (["1290", "899"], ["1.29", "8.99"]),
        (["1290"], ["129"]),
        (["1290"] * 3 + ["899"] * 17, ["0"] * 3 + ["899"] * 17),
        (["1290"] * 4 + ["899"] * 6, ["64.50"] * 4 + ["899"] * 6),
    ],
)
def test_many_prices_that_jump_refuse_a_feed(shop: Shop, before: list[str], after: list[str]) -> None:
    take_prices(shop, *before)
    with pytest.raises(FeedGateError, match=r"prices changed by a factor of 10.*--accept prices"):
        take_prices(shop, *after)
    assert len(take_prices(shop, *after, accept=frozenset({"prices"})).changes.changed) == sum(
        one != other for one, other in zip(before, after, strict=True)
    )


def test_a_few_prices_may_jump_and_are_named(shop: Shop) -> None:
    take_prices(shop, *["1290"] * 20)
    report = take_prices(shop, "1.29", "12900", *["999"] * 18)
    assert len(report.changes.changed) == 20
    assert [warning for warning in report.warnings if "price of S0, S1 changed" in warning]


def test_prices_of_a_small_shop_in_another_currency(shop: Shop) -> None:
    take_prices(shop, "10 EUR", "20 EUR", "30 EUR")
    take_prices(shop, "10 SEK", "20 EUR", "30 EUR")
    with pytest.raises(FeedGateError, match="3 of 3 prices changed their currency"):
        take_prices(shop, "10 USD", "20 USD", "30 USD")


def test_a_sale_refuses_no_feed(shop: Shop) -> None:
    take_prices(shop, *["1290"] * 10)
    report = take_prices(shop, *["64.50"] * 3, *["1290"] * 7)
    assert len(report.changes.changed) == 3
    assert [warning for warning in report.warnings if "price of S0, S1, S2 changed" in warning]


def test_an_attribute_of_one_product_may_go_with_it(shop: Shop) -> None:
    feed, images = shop.folder / "feed.jsonl", str(shop.folder / "images")
    rows = [{"sku": f"S{n}", "title": "Sofa", "image": "0.jpg", "attr:colour": "red"} for n in range(12)]
    for lines in ([*rows, {**rows[0], "sku": "LAMP", "attr:bulb": "E27"}], rows):
        feed.write_text("\n".join(json.dumps(row) for row in lines))
        import_feed(str(feed), images, sessions=shop.sessions, store=shop.store)
    assert shop.snapshot()["LAMP"].withdrawn


def test_what_was_looked_at_before_a_kill_counts_as_new(shop: Shop) -> None:
    for number in range(90):
        (shop.folder / "images" / f"n{number}.jpg").write_bytes(drawn.noise(40, 30, seed=number))
    rows = [f"N{n},Sofa,1,n{n}.jpg,Sofas" for n in range(94)]

    @contextmanager
    def die(label: str) -> Iterator[Callable[[int, int], None]]:
        yield lambda done, total: None
        raise KeyboardInterrupt

    feed, images = str(shop.feed(*rows)), str(shop.folder / "images")
    with pytest.raises(KeyboardInterrupt):
        import_feed(feed, images, sessions=shop.sessions, store=shop.store, progress=die)
    assert shop.stored == 90
    report = shop.take(*rows)
    assert (len(report.changes.added), report.new_pictures, len(report.findings)) == (94, 90, 4)


def test_a_bad_row_costs_no_picture(shop: Shop) -> None:
    shop.take(*ROWS)
    before = shop.snapshot()["B"].images
    (shop.folder / "images" / "2.jpg").unlink()
    shop.take(*ROWS)
    shop.take(ROWS[0], ROWS[1].replace(",2,", ",x,", 1), *ROWS[2:], accept={"rows"})
    shop.take(*ROWS)
    assert shop.snapshot()["B"].images == before


def test_pictures_that_are_gone_are_warned_of(shop: Shop) -> None:
    shop.take(*ROWS)
    for file in (shop.folder / "images").iterdir():
        file.unlink()
    report = shop.take(*ROWS)
    assert report.warnings == ("4 of 4 pictures are unavailable and keep their previous content; check their location",)
    with shop.sessions() as session:
        assert imports.latest(session)[0].message == report.warnings[0]


def test_bad_rows_can_be_accepted_knowingly(shop: Shop) -> None:
    shop.take(*ROWS)
    report = shop.take("A,Sofa,x,0.jpg,Sofas", "B,Lamp,9,2.jpg,Lamps", "D,,1,4.jpg,Beds", accept={"rows"})
    snapshot = shop.snapshot()
    assert [error.sku for error in report.findings] == ["A", "D"]
    assert report.changes.withdrawn == ("C",)
    assert (snapshot["A"].stock, snapshot["A"].withdrawn) == (1, False)
    assert snapshot["B"].stock == 9
    assert "D" not in snapshot


def test_of_two_rows_of_a_sku_the_first_can_be_accepted(shop: Shop) -> None:
    with pytest.raises(FeedGateError, match="1 row repeats a sku"):
        shop.take(*ROWS, "A,Other,9,4.jpg,Sofas")
    shop.take(*ROWS, "A,Other,9,4.jpg,Sofas", accept={"repeats"})
    assert shop.snapshot()["A"].title == "Sofa"


@pytest.mark.parametrize(
    ("bad", "sound", "taken"), [(1, 4, True), (2, 8, True), (3, 12, True), (1, 3, False), (4, 20, False)]
)
def test_few_bad_rows_do_not_refuse_a_small_feed(shop: Shop, bad: int, sound: int, taken: bool) -> None:
    rows = [f"B{number},Sofa,many,0.jpg,Sofas" for number in range(bad)]
    rows += [f"S{number},Sofa,1,0.jpg,Sofas" for number in range(sound)]
    if not taken:
        with pytest.raises(FeedGateError, match=f"{bad} of {bad + sound} rows are bad"):
            shop.take(*rows)
        return
    report = shop.take(*rows)
    assert (len(report.changes.added), len(report.findings)) == (sound, bad)


def test_no_bad_row_is_taken_where_the_setting_says_so(shop: Shop) -> None:
    rows = ["B,Sofa,many,0.jpg,Sofas", *(f"S{number},Sofa,1,0.jpg,Sofas" for number in range(9))]
    with pytest.raises(FeedGateError, match="1 of 10 rows are bad"):
        shop.take(*rows, gate_limits=GateLimits(bad_rows=0))


def test_a_few_bad_rows_of_many_are_left_out(shop: Shop) -> None:
    rows = [f"S{n},Sofa,1,0.jpg,Sofas" for n in range(120)]
    report = shop.take(*rows, "T,Sofa,x,0.jpg,Sofas")
    assert (len(report.changes.added), [found.sku for found in report.findings]) == (120, ["T"])


def test_a_feed_without_any_good_row_is_refused_even_so(shop: Shop) -> None:
    with pytest.raises(FeedGateError, match="no row is good"):
        shop.take("A,,1,0.jpg,Sofas", accept={"rows"})


def test_every_import_is_on_record(shop: Shop) -> None:
    shop.take(*ROWS)
    shop.take(*ROWS)
    with pytest.raises(FeedGateError):
        shop.take("A,Sofa,x,0.jpg,Sofas")
    with shop.sessions() as session:
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


def test_a_shrunken_feed_is_refused(shop: Shop) -> None:
    shop.take(*ROWS)
    with pytest.raises(FeedRejected, match=r"2 of the catalog's 3 products are missing.*--accept shrink"):
        shop.take("D,Bed,1,4.jpg,Beds", ROWS[0])
    assert not any(item.withdrawn for item in shop.snapshot().values())
    assert shop.take(ROWS[0], accept={"shrink"}).changes.withdrawn == ("B", "C")


def test_half_of_a_small_catalogue_may_go(shop: Shop) -> None:
    shop.take(*ROWS, "D,Bed,1,4.jpg,Beds")
    assert shop.take(*ROWS[:2]).changes.withdrawn == ("C", "D")


def test_of_a_large_catalogue_a_fifth_may_go(shop: Shop) -> None:
    rows = [f"S{n},Sofa,1,0.jpg,Sofas" for n in range(100)]
    shop.take(*rows)
    with pytest.raises(FeedGateError, match="21 of the catalog's 100 products"):
        shop.take(*rows[:79])
    assert len(shop.take(*rows[:80]).changes.withdrawn) == 20


def test_progress_counts_pictures(shop: Shop) -> None:
    seen: list[tuple[str, int, int]] = []

    @contextmanager
    def watch(label: str) -> Iterator[Callable[[int, int], None]]:
        yield lambda done, total: seen.append((label, done, total))

    images = str(shop.folder / "images")
    import_feed(str(shop.feed(*ROWS)), images, sessions=shop.sessions, store=shop.store, progress=watch)
    assert seen == [("fetch pictures", 4, 4)]


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


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(feed=st.lists(ITEMS, unique_by=lambda item: item.sku), last=st.lists(ITEMS, unique_by=lambda item: item.sku))
def test_sql_holds_what_the_difference_says(
    sqlite_engine: Engine, feed: list[ProductItem], last: list[ProductItem]
) -> None:
    with sessionmaker(sqlite_engine)() as session:
        for night in (last, feed):
            apply(session, diff(night, queries.snapshot(session)))
            session.commit()
            session.expire_all()
            snapshot = queries.snapshot(session)
            assert not diff(night, snapshot)
            assert [item for item in snapshot.values() if not item.withdrawn] == sorted(
                night, key=lambda item: item.sku
            )
