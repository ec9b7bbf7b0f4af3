"""Labeling in Debian's Chromium, driven by Playwright."""

import re

import pytest

from catalog import review_queue, reviews
from catalog.models import utc_now
from catalog.review_queue import Filter
from tests.webui.admin.conftest import NAMES, PASSWORD
from tests.webui.admin.test_review import add, give
from tests.webui.conftest import drag, fits, room
from webui.services import services_of

pytestmark = pytest.mark.browser

phone_and_desktop = pytest.mark.parametrize("width", [390, 1280])


@pytest.fixture
def editor_page(open_page, staff, admin_app):
    """A function that opens the review page as an editor."""

    def open_editor_page(width=1280, *, role="editor", **options):
        page = open_page(staff, width, app=admin_app, path="/admin/login?next=/admin/review/", **options)
        page.get_by_label("Name").fill(NAMES[role])
        page.get_by_label("Password").fill(PASSWORD)
        page.keyboard.press("Enter")
        page.wait_for_url(re.compile(r":\d+/admin/review/$"))
        return page

    return open_editor_page


def effective(site):
    with site.sessions() as session:
        return reviews.effective_labels(session)


def press(page, *keys):
    for key in keys:
        page.keyboard.press(key)


def wait_for_photo(page, number):
    """Wait until a photo is shown and the script listens to keys."""
    page.locator(f'html.js section[aria-label="Photo {number}"]').wait_for()
    page.wait_for_load_state()  # scripts, which read the keys, have run


@phone_and_desktop
def test_ten_photos_are_labeled_by_keyboard(editor_page, staff, width):
    """Nothing but keys: products by digit, a category, an attribute, not ours, skip, undo, a search and the area."""
    ids = [add(staff, number) for number in range(10)]
    page = editor_page(width)
    assert fits(page, width)
    for item_id in ids[:4]:
        wait_for_photo(page, item_id)
        press(page, "1", "Enter")
    wait_for_photo(page, ids[4])
    press(page, "c")
    page.keyboard.type("Seating > Chairs")
    press(page, "Enter")
    wait_for_photo(page, ids[5])
    press(page, "1", "a")
    page.keyboard.type("white")
    press(page, "Enter")
    wait_for_photo(page, ids[6])
    press(page, "n")
    wait_for_photo(page, ids[7])
    press(page, "n")
    wait_for_photo(page, ids[8])
    press(page, "u")
    wait_for_photo(page, ids[7])
    press(page, "/")
    page.keyboard.type("P-07")
    press(page, "Enter")
    page.wait_for_url(re.compile(r"q=P-07"))
    press(page, "1", "Enter")
    wait_for_photo(page, ids[8])
    press(page, "b", "ArrowRight", "Shift+ArrowDown", "Enter")
    page.wait_for_url(re.compile(r"box=0\.27"))
    press(page, "1", "Enter")
    wait_for_photo(page, ids[9])
    press(page, "s")
    page.get_by_text("skipped").wait_for()
    labels = effective(staff)
    verdicts = ["product"] * 4 + ["category", "product", "not ours", "product", "product"]
    assert [label.verdict for label in labels] == verdicts
    with staff.sessions() as session:
        found = review_queue.find(session, Filter(state="labeled"), limit=20)
    skus = {each.item_id: each.label.sku for each in found}
    assert [skus[ids[number]] for number in (0, 1, 2, 3, 7)] == ["P-00", "P-01", "P-02", "P-03", "P-07"]
    assert labels[4].category == "Seating > Chairs"
    assert dict(labels[5].attributes) == {"color": ("white",)}
    assert labels[8].box == "0.27,0.25,0.77,0.77"
    assert page.get_by_text("9 labeled, 1 open").is_visible()


@phone_and_desktop
def test_the_area_is_drawn_by_dragging_or_two_taps(editor_page, staff, width):
    photo = services_of(staff.app).review_photos.upload(room(), "ann", utc_now())
    page = editor_page(width, has_touch=width < 400)
    frame = page.locator("[data-frame]")
    frame.scroll_into_view_if_needed()
    if width >= 400:
        drag(page, frame.bounding_box(), (0.6, 0.2), (0.9, 0.8))
    else:
        page.get_by_role("button", name="Area").tap()
        area = frame.bounding_box()
        for x, y in ((0.6, 0.2), (0.9, 0.8)):
            page.touchscreen.tap(area["x"] + x * area["width"], area["y"] + y * area["height"])
    page.wait_for_url(re.compile(r"box=0\.(59|6)"))
    assert page.locator("[data-overlay]").is_visible()
    page.get_by_role("radio").first.check()
    page.get_by_role("button", name="Save").click()
    page.get_by_text(f"Photo {photo}: P-").wait_for()
    (label,) = effective(staff)
    assert label.box.startswith(("0.6,", "0.59", "0.60"))


def test_choosing_a_product_selects_the_area_where_it_was_found(editor_page, staff):
    item_id = add(staff)
    page = editor_page()
    page.evaluate(
        """() => {
          document.querySelector('[data-candidates] input[type=radio]').dataset.area = "0.1,0.1,0.5,0.5";
        }"""
    )
    press(page, "1")
    assert page.locator("[data-overlay]").is_visible()
    press(page, "Enter")
    page.get_by_text(f"Photo {item_id}: P-00.").wait_for()
    assert effective(staff)[0].box == "0.1,0.1,0.5,0.5"


def test_keys_can_be_turned_off(editor_page, staff):
    item_id = add(staff)
    page = editor_page()
    page.get_by_text("More", exact=True).click()
    page.get_by_label("Keyboard shortcuts").uncheck()
    press(page, "n", "s", "1")
    page.reload()
    press(page, "n", "s", "1")
    assert not page.get_by_role("radio").first.is_checked()
    wait_for_photo(page, item_id)
    assert effective(staff) == []


@phone_and_desktop
def test_without_javascript(editor_page, staff, width):
    add(staff, 3)
    page = editor_page(width, javascript=False)
    page.get_by_text("More", exact=True).click()
    page.get_by_label("Area as left").fill("0.1,0.1,0.9,0.9")
    page.get_by_role("button", name="Use this area").click()
    page.wait_for_url(re.compile("box=0.1"))
    page.get_by_role("radio").first.check()
    page.get_by_role("button", name="Save").click()
    page.get_by_text("Photo 1: P-03.").wait_for()
    assert [label.box for label in effective(staff)] == ["0.1,0.1,0.9,0.9"]
    page.get_by_role("button", name="Undo my last label").click()
    page.get_by_text("was taken back").wait_for()
    assert effective(staff) == []


@phone_and_desktop
def test_the_list_of_labels(editor_page, staff, width):
    for number in range(3):
        give(staff, add(staff, number), "ada", sku=f"P-0{number}")
    page = editor_page(width)
    page.get_by_role("link", name="All labels").click()
    assert fits(page, width)
    page.get_by_role("button", name="Take back").first.click()
    page.get_by_text("in the queue again").wait_for()
    assert len(effective(staff)) == 2
    page.get_by_role("link", name="Correct photo 1").click()
    wait_for_photo(page, 1)
    press(page, "3", "Enter")
    page.get_by_text(re.compile(r"Photo \d+: P-")).wait_for()
    assert len(effective(staff)) == 2
