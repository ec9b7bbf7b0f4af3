"""The review queue and the list of labels, for each role."""

import io
import re
from dataclasses import replace

import pytest
from sqlalchemy import select

from catalog import review_queue, reviews
from catalog.image_store import ImageStore
from catalog.models import AuditEntry, utc_now
from catalog.review_queue import Filter
from catalog.reviews import Area, NewLabel
from tests.webui.conftest import ROOM, import_products, item, room
from webui.services import services_of


def add(site, product=0, **values) -> int:
    """Add a photo of a product to the queue."""
    area = Area(site.photo(product), "upload", **values)
    return services_of(site.app).review_photos.add(area, utc_now())


def give(site, item_id, account="ann", **values) -> int:
    photos = services_of(site.app).review_photos
    new = NewLabel(**{"verdict": "product", "sku": "P-00"} | values)
    return photos.label(item_id, account, new, based_on=None, now=utc_now())


def one(site, item_id):
    with site.sessions() as session:
        return review_queue.one(session, item_id)


def effective(site):
    with site.sessions() as session:
        return reviews.effective_labels(session)


def actions(site) -> list[tuple[str, str]]:
    with site.sessions() as session:
        rows = session.scalars(select(AuditEntry).order_by(AuditEntry.entry_id))
        return [(row.account, row.action) for row in rows if "photo" in row.target]


def candidates(page: str) -> list[str]:
    """Return the SKUs that are offered."""
    return re.findall(r'type="radio" name="choice" value="([^"]+)"', page)


def field(page: str, name: str) -> str:
    return re.search(rf'name="{name}" value="([^"]*)"', page)[1]


def test_an_empty_queue_says_where_photos_come_from(visitor):
    page = visitor("viewer").get("/admin/review/").text
    assert "No photo is waiting" in page
    assert "review_sample_share" in page


def test_the_best_matches_are_offered(staff, visitor):
    item_id = add(staff, 3)
    with staff.sessions.begin() as session:
        reviews.begin(session)
        product = reviews.live_product(session, "P-01")
        reviews.add_feedback(session, item_id, product.product_id, "wrong", 2, utc_now())
    editor = visitor("editor")
    page = editor.get("/admin/review/").text
    assert candidates(page)[0] == "P-03"
    assert len(candidates(page)) == 9
    assert "Wrong</strong> Chair Model 1" in page
    assert re.search(r"left: (Chair|Lamp) ", page), "the vote of each network"
    assert "A fine piece" not in page
    assert 'value="Seating"' in page, "a parent category"
    assert '<option value="red">' in page
    for width in (160, 1280):
        picture = editor.get(f"/admin/review/pictures/{one(staff, item_id).sha256}-{width}.jpg")
        assert (picture.status_code, picture.mimetype) == (200, "image/jpeg")
        assert "private" in picture.headers["Cache-Control"]
    assert editor.get(f"/admin/review/pictures/{'ab' * 32}-160.jpg").status_code == 404


def test_a_photo_is_labeled_with_a_product_and_its_area(staff, visitor):
    photo = services_of(staff.app).review_photos.upload(room(), "ann", utc_now())
    editor = visitor("editor")
    page = editor.get(f"/admin/review/?item={photo}&box={ROOM[0]}").text
    assert candidates(page)[0] == "P-09"
    form = {"choice": "P-09", "box": field(page, "box"), "based_on": "", "attribute:color": "red,  white ,"}
    answer = editor.post(f"/admin/review/{photo}/label", form | {"verdict": "save"})
    assert (answer.status_code, answer.location) == (303, "/admin/review/")
    (label,) = effective(staff)
    assert (label.verdict, label.box, dict(label.attributes)) == ("product", str(ROOM[0]), {"color": ("red", "white")})
    assert label.crop_sha256 != label.sha256
    assert ImageStore(staff.settings.pictures).exists(label.crop_sha256)
    page = editor.get(answer.location).text
    assert f"Photo {photo}: P-09." in page
    assert editor.get(f"/admin/review/pictures/{label.crop_sha256}-160.jpg").status_code == 200


def test_the_area_of_the_chosen_product_is_used_unless_one_was_drawn(staff, visitor):
    photo, other = add(staff, 3), add(staff, 4)
    editor = visitor("editor")
    editor.get("/admin/review/")
    form = {"choice": "P-03", "area:P-03": "0.1,0.1,0.6,0.6", "based_on": "", "verdict": "save"}
    editor.post(f"/admin/review/{photo}/label", form)
    editor.post(f"/admin/review/{other}/label", form | {"box": "0,0,1,1"})
    assert [label.box for label in effective(staff)] == ["0.1,0.1,0.6,0.6", ""]


def test_other_verdicts(staff, visitor):
    editor = visitor("editor")
    ids = [add(staff, number) for number in range(4)]
    editor.get("/admin/review/")
    for item_id, form in zip(
        ids,
        (
            {"verdict": "save", "category": "Seating"},
            {"verdict": "not ours"},
            {"verdict": "skipped"},
        ),
        strict=False,
    ):
        assert editor.post(f"/admin/review/{item_id}/label", form | {"based_on": ""}).status_code == 303
    assert editor.post(f"/admin/review/{ids[3]}/dismiss").status_code == 303
    assert [(label.verdict, label.category) for label in effective(staff)] == [
        ("category", "Seating"),
        ("not ours", ""),
    ]
    assert [one(staff, item_id).state for item_id in ids] == ["labeled", "labeled", "open", "dismissed"]
    answer = editor.post("/admin/review/undo")
    assert answer.location == f"/admin/review/?item={ids[2]}"
    editor.post("/admin/review/undo")
    assert [(label.verdict, label.category) for label in effective(staff)] == [("category", "Seating")]
    assert (
        actions(staff)
        == [("eddie", "label photo")] * 3 + [("eddie", "dismiss photo")] + [("eddie", "take back label")] * 2
    )
    editor.post("/admin/review/undo")
    assert editor.post("/admin/review/undo").status_code == 400


@pytest.mark.parametrize(
    ("form", "problem"),
    [
        ({"verdict": "save"}, "Choose a product or a category first."),
        ({"verdict": "save", "choice": "P-00", "category": "Lamps"}, "not both"),
        ({"verdict": "save", "choice": "none"}, "No live product has the SKU"),
        ({"verdict": "save", "category": "Lamp"}, "No live product has the category"),
        ({"verdict": "save", "choice": "P-00", "box": "3,4"}, "not four"),
        ({"verdict": "good"}, "Choose what the photo shows."),
    ],
)
def test_a_mistake_shows_the_form_again(staff, visitor, form, problem):
    item_id = add(staff)
    editor = visitor("editor")
    editor.get("/admin/review/")
    more = {"attribute:color": "teal <b>"}
    answer = editor.post(f"/admin/review/{item_id}/label", form | more | {"based_on": ""})
    assert answer.status_code == 400
    assert problem in answer.text
    assert "teal &lt;b&gt;" in answer.text
    assert effective(staff) == []


def test_two_admins_at_once(staff, visitor):
    """They get different photos; the second label of a photo is refused until its sender has seen the first."""
    first, second, third = (add(staff, number) for number in range(3))
    ada, eddie = visitor("admin"), visitor("editor")
    assert f"Photo {first}" in ada.get("/admin/review/").text
    assert f"Photo {third}" in eddie.get("/admin/review/").text, "the second is loaded in advance for the first admin"
    ada.get("/admin/review/")
    assert eddie.post(f"/admin/review/{third}/dismiss").status_code == 303
    assert "with other people right now" in eddie.get("/admin/review/").text
    eddie.get(f"/admin/review/?item={first}")
    form = {"verdict": "save", "based_on": ""}
    ada.post(f"/admin/review/{first}/label", form | {"choice": "P-00"})
    answer = eddie.post(f"/admin/review/{first}/label", form | {"choice": "P-01", "attribute:color": "white"})
    assert answer.status_code == 409
    assert "ada has labeled this photo" in answer.text
    assert "Chair Model 0" in answer.text.partition("Their label")[2].partition("Yours")[0]
    assert re.search(r'value="P-01"[^>]*checked', answer.text)
    assert 'value="white"' in answer.text
    again = {"choice": "P-01", "based_on": field(answer.text, "based_on")}
    assert eddie.post(f"/admin/review/{first}/label", form | again).status_code == 303
    (label,) = effective(staff)
    with staff.sessions() as session:
        assert label.product_id == reviews.live_product(session, "P-01").product_id
    assert second


def test_products_are_found_by_words_and_sku(staff, visitor):
    item_id = add(staff)
    editor = visitor("editor")
    assert candidates(editor.get(f"/admin/review/?item={item_id}&q=velvet").text) == ["P-03", "P-04"]
    assert candidates(editor.get(f"/admin/review/?item={item_id}&q=P-07").text)[0] == "P-07"
    page = editor.get(f"/admin/review/?item={item_id}&q=<script>alert(1)</script>")
    assert "<script>alert" not in page.text


def test_texts_of_feeds_and_files_are_escaped(staff, visitor):
    hostile = '"><img src=x onerror=alert(1)>'
    images = (ImageStore(staff.settings.pictures).put(staff.photo(5)),)
    import_products(staff, added=(changed(item(20, images), hostile),))
    item_id = add(staff, 5)
    editor = visitor("editor")
    page = editor.get(f"/admin/review/?item={item_id}&q={'SKU'}").text
    assert "onerror=alert(1)>" not in page
    give(staff, item_id, sku=f"SKU{hostile}")
    assert "onerror=alert(1)>" not in editor.get("/admin/review/labels/").text
    files = {"photos": (io.BytesIO(b"no image"), f"{hostile[2:]}.jpg")}
    editor.post("/admin/review/upload", files)
    page = editor.get("/admin/review/").text
    assert "onerror=alert(1)>" not in page
    assert "0 photos were added" in page


def changed(product, hostile):
    return replace(
        product,
        sku=f"SKU{hostile}",
        title=f"SKU {hostile}",
        category=f"Cat {hostile}",
        attributes={f"att{hostile}": (hostile,)},
    )


def test_photos_are_uploaded(staff, visitor):
    editor = visitor("editor")
    editor.get("/admin/review/")
    files = [(io.BytesIO(staff.photo(n)), f"{n}.jpg") for n in range(3)] + [(io.BytesIO(b"text"), "notes.txt")]
    assert editor.post("/admin/review/upload", {"photos": files}).status_code == 303
    page = editor.get("/admin/review/").text
    assert "3 photos were added" in page
    assert "notes.txt" in page
    services_of(staff.app).sampler.join()
    with staff.sessions() as session:
        found = review_queue.find(session, Filter(), limit=9)
    assert [each.source for each in found] == ["upload"] * 3
    assert all(each.predicted_class for each in found)
    assert actions(staff) == [("eddie", "add photo")] * 3
    assert editor.post("/admin/review/upload").status_code == 400


def test_labels_are_listed_taken_back_and_deleted(staff, visitor):
    ids = [add(staff, number) for number in range(4)]
    give(staff, ids[0])
    give(staff, ids[1], "ben", sku="P-07")
    give(staff, ids[2], verdict="not ours")
    editor = visitor("editor")
    page = editor.get("/admin/review/labels/").text
    assert page.count('class="labels__item') == 3
    for query, expected in (("verdict=product", 2), ("account=ben", 1), ("category=Lamps", 1), ("state=open", 1)):
        assert editor.get(f"/admin/review/labels/?{query}").text.count('class="labels__item') == expected
    assert editor.get("/admin/review/labels/?page=x&state=y&split=none").text.count('class="labels__item') == 0
    assert editor.post(f"/admin/review/labels/{ids[0]}/take-back").status_code == 303
    assert one(staff, ids[0]).state == "open"
    sha256 = one(staff, ids[1]).sha256
    assert editor.post(f"/admin/review/{ids[1]}/delete", {"back": "labels"}).location == "/admin/review/labels/"
    assert one(staff, ids[1]) is None
    assert not ImageStore(staff.settings.pictures).exists(sha256)
    assert editor.get(f"/admin/review/?item={ids[1]}").status_code == 404
    assert editor.post(f"/admin/review/{ids[1]}/label", {"verdict": "not ours"}).status_code == 400


@pytest.mark.parametrize(
    "address",
    ["1/label", "undo", "1/dismiss", "1/delete", "upload", "labels/1/take-back"],
)
def test_viewers_see_but_change_nothing(staff, visitor, address):
    add(staff)
    viewer = visitor("viewer")
    page = viewer.get("/admin/review/").text
    assert "Photo 1" in page
    assert "data-label" not in page
    assert one(staff, 1).claimed_by == ""
    assert viewer.get("/admin/review/labels/").status_code == 200
    assert viewer.get("/admin/review/1/preload").status_code == 403
    assert viewer.post(f"/admin/review/{address}").status_code == 403
    editor = visitor("editor")
    editor.token = "forged"
    assert editor.post(f"/admin/review/{address}").status_code == 400
    assert visitor().get("/admin/review/").status_code == 302
    assert one(staff, 1).state == "open"
    assert actions(staff) == []


def test_the_next_photo_is_searched_in_advance(staff, visitor):
    add(staff, 3)
    second = add(staff, 4)
    editor = visitor("editor")
    page = editor.get("/admin/review/").text
    assert f'data-preload="/admin/review/{second}/preload"' in page
    pictures = editor.get(f"/admin/review/{second}/preload").json["pictures"]
    assert one(staff, second).sha256 in pictures[0]
    assert all(editor.get(address).status_code == 200 for address in pictures)


def test_without_an_index_photos_can_be_labeled_by_category(staff, visitor):
    item_id = add(staff)
    staff.engine._serving = None
    editor = visitor("editor")
    page = editor.get("/admin/review/").text
    assert "notice--problem" in page
    form = {"verdict": "save", "category": "Lamps", "based_on": ""}
    assert editor.post(f"/admin/review/{item_id}/label", form).status_code == 303
