"""Reviewed photos on each database: areas, verdicts, labels, the queue, and deletion."""

import hashlib
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from sqlalchemy import select
from sqlalchemy.orm import sessionmaker

from catalog import changes, queries, review_queue, review_retention, reviews, stored_blocks
from catalog.changes import Changes, ProductItem
from catalog.image_store import ImageStore
from catalog.models import AuditEntry, Product, ReviewItem, StoredBlocks
from catalog.review_queue import Filter
from catalog.reviews import Area, ClassGuess, NewLabel, StaleLabel, UnknownItem
from vsearch.core.errors import InvalidRequest

NOW = datetime(2026, 11, 28, 9, tzinfo=UTC)
DAYS = 180
SOFAS, LAMPS = "Sofas > Corner sofas", "Lamps"


class Reviews:
    """A catalog with four products, and shortcuts that use one transaction each."""

    def __init__(self, engine, folder):
        self.sessions = sessionmaker(engine)
        self.store = ImageStore(folder)
        products = [ProductItem(f"S{n}", f"Sofa {n}", category=SOFAS) for n in range(3)]
        with self.sessions.begin() as session:
            added = (*products, ProductItem("L", "Lamp", category=LAMPS, images=(self.store.put(b"lamp"),)))
            changes.apply(session, Changes(added=added))
            self.ids = dict(session.execute(select(Product.sku, Product.product_id)).all())

    def add(self, photo=b"photo", **values):
        area = Area(photo, values.pop("source", "upload"), **values)
        return self.write(reviews.add, self.store, area, keep_days=DAYS, now=NOW)

    def judge(self, item_id, sku, verdict, rank=1):
        self.write(reviews.add_feedback, item_id, self.ids[sku], verdict, rank, NOW)

    def label(self, item_id, account="anna", *, based_on=None, verdict="product", **values):
        values |= {"sku": "S0"} if verdict == "product" and "sku" not in values else {}
        return self.write(reviews.label, item_id, account, NewLabel(verdict, **values), based_on=based_on, now=NOW)

    def write(self, function, *arguments, **options):
        with self.sessions.begin() as session:
            reviews.begin(session)
            return function(session, *arguments, **options)

    def read(self, function, *arguments, **options):
        with self.sessions() as session:
            return function(session, *arguments, **options)

    def item(self, item_id):
        return self.read(review_queue.one, item_id)

    def next(self, account="anna", count=1, now=NOW):
        return [item.item_id for item in self.write(review_queue.next_items, account, count, now)]

    def labels(self, up_to=None):
        return self.read(reviews.effective_labels, up_to)


@pytest.fixture
def shop(engine, tmp_path):
    return Reviews(engine, tmp_path / "pictures")


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def test_an_area_is_added_once(shop):
    """Feedback extends the time for which the photo is kept; nothing else changes an item that exists."""
    first = shop.add(box="0,0,0.5,0.5")
    assert shop.add(box="0,0,0.5,0.5", source="uncertain") == first
    assert shop.add() != first
    assert shop.store.exists(sha(b"photo"))
    item = shop.item(first)
    assert (item.source, item.state, item.expires_at) == ("upload", "open", NOW + timedelta(days=DAYS))
    later = Area(b"photo", "feedback", "0,0,0.5,0.5", photo_id="ab" * 32)
    shop.write(reviews.add, shop.store, later, keep_days=DAYS, now=NOW + timedelta(days=1))
    item = shop.item(first)
    assert (item.source, item.expires_at) == ("feedback", NOW + timedelta(days=DAYS + 1))
    assert shop.read(reviews.is_known, sha(b"photo"))
    assert not shop.read(reviews.is_known, sha(b"other"))


def test_a_photo_has_a_limited_number_of_areas(shop):
    for number in range(reviews.MAX_AREAS):
        shop.add(box=f"0,0,0.5,{0.1 + number / 100:.4g}")
    with pytest.raises(InvalidRequest, match="areas"):
        shop.add(box="0,0,1,0.9")
    assert shop.add(b"other")


def test_all_areas_of_a_photo_are_in_one_split(shop):
    items = [shop.item(shop.add(photo, box=box)) for photo in (b"1", b"2", b"3") for box in ("", "0,0,0.5,0.5")]
    for whole, part in zip(items[::2], items[1::2], strict=True):
        assert whole.split == part.split == reviews.split_of(whole.sha256)
    photos = [sha(bytes([a, b])) for a in range(64) for b in range(64)]
    shares = {reviews.split_of(photo) == "evaluation" for photo in photos}
    assert shares == {True, False}
    evaluation = [photo for photo in photos if reviews.split_of(photo) == "evaluation"]
    sampled = [photo for photo in photos if reviews.is_sampled(photo, 0.5)]
    assert 0.27 < len(evaluation) / len(photos) < 0.33
    assert 0.45 < len(sampled) / len(photos) < 0.55
    assert 0.25 < len(set(sampled) & set(evaluation)) / len(sampled) < 0.35, "the splits of a sample are the same"
    assert not any(reviews.is_sampled(photo, 0) for photo in photos)
    assert all(reviews.is_sampled(photo, 1) for photo in photos)


def test_the_last_verdict_on_a_product_counts(shop):
    item = shop.add(photo_id="ab" * 32)
    shop.judge(item, "S0", "wrong", rank=2)
    shop.judge(item, "S1", "similar")
    shop.judge(item, "S0", "right", rank=2)
    assert [(each.sku, each.verdict) for each in shop.item(item).judged] == [("S1", "similar"), ("S0", "right")]
    found = {("", shop.ids["S0"]): "right", ("", shop.ids["S1"]): "similar"}
    assert shop.read(reviews.verdicts_on, "ab" * 32) == found
    assert shop.read(reviews.verdicts_on, "") == {}
    with pytest.raises(UnknownItem):
        shop.judge(item + 1, "S0", "wrong")


def test_the_most_informative_items_are_first(shop):
    guesses = {
        "sure": ClassGuess(SOFAS, 0.1, 0),
        "unsure": ClassGuess(SOFAS, 0.7, 0),
        "disputed": ClassGuess(SOFAS, 0.7, 0.66),
        "small class": ClassGuess(LAMPS, 0.7, 0),
        "unknown class": ClassGuess("%", 0.7, 0),
    }
    ids = {name: shop.add(name.encode(), guess=guess) for name, guess in guesses.items()}
    names = {number: name for name, number in ids.items()}
    for number in ids.values():  # the later ones were added when fewer had been asked about
        shop.write(reviews.set_guess, number, guesses[names[number]], "g")
    order = [names[number] for number in shop.next(count=9)]
    assert order == ["disputed", "unsure", "small class", "unknown class", "sure"]
    shop.judge(ids["sure"], "S0", "wrong")
    assert names[shop.next(count=2)[1]] == "sure"


def test_an_item_is_handed_to_one_account_at_a_time(shop):
    items = [shop.add(bytes([n]), guess=ClassGuess(uncertainty=1 - n / 10)) for n in range(4)]
    assert shop.next("anna", 2) == items[:2]
    assert shop.next("ben", 2) == items[2:]
    assert shop.next("carl", 2) == []
    assert shop.next("anna", 2) == items[:2]
    late = NOW + timedelta(minutes=review_queue.CLAIM_MINUTES, seconds=1)
    assert shop.next("carl", 1, late) == items[:1]
    shop.write(review_queue.release, "ben")
    assert shop.next("carl", 3, late) == [items[0], items[1], items[2]]
    shop.write(review_queue.claim, items[0], "ben", late)
    assert shop.next("ben", 1, late) == items[:1]
    assert shop.next("ben", 9, NOW + timedelta(days=DAYS)) == [], "they have expired"


def test_labels_apply_until_a_later_one(shop):
    item, other = shop.add(box="0,0,0.5,0.5"), shop.add(b"other")
    assert shop.read(reviews.latest_label_id) is None
    first = shop.label(item, sku="S1", attributes={"color": ("red",)}, box="0,0,0.4,0.4", crop_sha256=sha(b"crop"))
    (found,) = shop.labels()
    assert (found.label_id, found.item_id, found.sha256, found.crop_sha256) == (
        first,
        item,
        sha(b"photo"),
        sha(b"crop"),
    )
    assert (found.product_id, found.category, found.box) == (shop.ids["S1"], SOFAS, "0,0,0.4,0.4")
    assert (found.verdict, dict(found.attributes)) == ("product", {"color": ("red",)})
    assert found.split == reviews.split_of(sha(b"photo"))
    second = shop.label(item, verdict="category", category="Sofas", based_on=first)
    third = shop.label(other, verdict="not ours")
    assert [(each.verdict, each.product_id, each.category) for each in shop.labels()] == [
        ("category", None, "Sofas"),
        ("not ours", None, ""),
    ]
    assert [each.label_id for each in shop.labels(up_to=second)] == [second]
    assert [each.label_id for each in shop.labels(up_to=first)] == [first]
    assert shop.read(reviews.latest_label_id) == third
    assert [item.label.verdict for item in shop.read(review_queue.find, Filter(state="labeled"), limit=9)] == [
        "not ours",
        "category",
    ]
    assert shop.next() == []


def test_a_withdrawn_product_leaves_its_category(shop):
    shop.label(shop.add())
    with shop.sessions.begin() as session:
        changes.apply(session, Changes(withdrawn=("S0",)))
    (found,) = shop.labels()
    assert (found.product_id, found.category) == (None, SOFAS)
    with pytest.raises(InvalidRequest, match="S0"):
        shop.label(shop.add(b"other"))


def test_a_label_based_on_an_older_one_is_refused(shop):
    item = shop.add()
    first = shop.label(item, "anna")
    with pytest.raises(StaleLabel, match="anna"):
        shop.label(item, "ben", verdict="not ours")
    assert shop.label(item, "ben", verdict="not ours", based_on=first) > first
    with pytest.raises(StaleLabel, match="ben"):
        shop.label(item, "anna", based_on=first)


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"sku": "none"}, "none"),
        ({"verdict": "category", "category": ""}, "category"),
        ({"verdict": "category", "category": "Sofa"}, "Sofa"),
    ],
)
def test_a_label_names_something_in_the_catalog(shop, values, problem):
    item = shop.add()
    with pytest.raises(InvalidRequest, match=problem):
        shop.label(item, **values)
    assert shop.item(item).latest_label_id is None


def test_a_skipped_item_is_last(shop):
    first, second = shop.add(), shop.add(b"other")
    skipped = shop.label(first, verdict="skipped")
    assert shop.next(count=2) == [second, first]
    assert shop.labels() == []
    labeled = shop.label(first, based_on=skipped)
    with pytest.raises(InvalidRequest, match="label"):
        shop.label(first, verdict="skipped", based_on=labeled)


def test_undone_and_dismissed_items(shop):
    first, second = shop.add(), shop.add(b"other")
    shop.label(first)
    shop.label(second)
    shop.label(shop.add(b"third"), "ben")
    assert shop.read(reviews.last_labeled, "anna") == second
    shop.write(reviews.undo, second, "anna", NOW)
    assert shop.item(second).label is None
    assert shop.next() == [second]
    assert shop.read(reviews.last_labeled, "anna") == first
    with pytest.raises(InvalidRequest, match="no label"):
        shop.write(reviews.undo, second, "anna", NOW)
    with pytest.raises(InvalidRequest, match="Take it back"):
        shop.write(reviews.dismiss, first, "anna")
    shop.write(reviews.dismiss, second, "anna")
    assert shop.next() == []
    assert {each.item_id for each in shop.labels()} == {first, second + 1}
    with shop.sessions() as session:
        entries = [(entry.account, entry.action, entry.target) for entry in session.scalars(select(AuditEntry))]
    assert entries == [
        ("anna", "label photo", f"photo {first}"),
        ("anna", "label photo", f"photo {second}"),
        ("ben", "label photo", f"photo {second + 1}"),
        ("anna", "take back label", f"photo {second}"),
        ("anna", "dismiss photo", f"photo {second}"),
    ]


def test_counts_and_filters(shop):
    for number in range(8):
        item = shop.add(bytes([number]))
        if number < 5:
            shop.label(item, sku="L" if number == 4 else "S0")
    shop.label(shop.add(b"not ours"), "ben", verdict="not ours")
    counts = shop.read(review_queue.counts)
    assert counts.states == {"open": 3, "labeled": 6}
    assert sum(counts.splits.values()) == 6
    assert {name: sum(splits.values()) for name, splits in counts.classes.items()} == {SOFAS: 4, LAMPS: 1}
    for wanted, expected in (
        (Filter(), 9),
        (Filter(state="open"), 3),
        (Filter(category=LAMPS), 1),
        (Filter(account="ben"), 1),
        (Filter(verdict="product", split="train"), None),
    ):
        total = shop.read(review_queue.count, wanted)
        assert total == len(shop.read(review_queue.find, wanted, limit=20))
        assert expected in (None, total)
    assert len(shop.read(review_queue.find, Filter(), limit=4, offset=6)) == 3


def test_a_deleted_photo_leaves_nothing(shop):
    """Only what nothing else uses is deleted: the second photo is also a product's picture."""
    photo_id = "ab" * 32
    first = shop.add(photo_id=photo_id, source="feedback")
    shop.add(box="0,0,0.5,0.5")
    kept = shop.add(b"lamp", photo_id="cd" * 32, source="feedback")
    shop.judge(first, "S0", "wrong")
    crop = shop.store.put(b"crop")
    shop.label(first, box="0,0,0.3,0.3", crop_sha256=crop)
    with shop.sessions.begin() as session:
        keys = [(sha(b"photo"), 0), (crop, 0), (sha(b"lamp"), 0)]
        stored_blocks.put(session, "blocks", keys, np.zeros((3, 2), np.float16))
    assert shop.read(review_retention.pictures_in_use) == {sha(b"photo"), crop, sha(b"lamp")}

    ((sha256, items),) = shop.read(review_retention.items_of_photo, photo_id).items()
    assert sha256 == sha(b"photo")
    assert len(items) == 2
    assert shop.write(review_retention.delete_items, shop.store, items) == {sha(b"photo"), crop}
    assert not shop.store.exists(sha(b"photo"))
    assert not shop.store.exists(crop)
    assert shop.labels() == []
    assert shop.read(reviews.verdicts_on, photo_id) == {}
    assert shop.write(review_retention.delete_items, shop.store, [kept], "anna") == set()
    assert shop.store.exists(sha(b"lamp"))
    with shop.sessions() as session:
        assert list(session.scalars(select(StoredBlocks.sha256))) == [sha(b"lamp")]
        assert list(session.scalars(select(ReviewItem.item_id))) == []
        assert [entry.action for entry in session.scalars(select(AuditEntry))] == ["label photo", "delete photo"]
        assert queries.is_picture_public(session, sha(b"lamp"))


def test_expired_items(shop):
    items = [shop.add(), shop.add(box="0,0,0.5,0.5")]
    end = NOW + timedelta(days=DAYS)
    assert shop.read(review_retention.expired, end - timedelta(seconds=1)) == {}
    assert shop.read(review_retention.expired, end) == {sha(b"photo"): items}
