"""The pages in Debian's Chromium, driven by Playwright."""

import re

import pytest

from catalog import review_queue
from catalog.review_queue import Filter
from tests.pictures import jpeg
from tests.webui.conftest import drag, fits, room, running, tab_to

pytestmark = pytest.mark.browser

RESULTS = re.compile(r"/results/[0-9a-f]{64}$")

phone_and_desktop = pytest.mark.parametrize("width", [360, 1280])
with_and_without_javascript = pytest.mark.parametrize("javascript", [True, False], ids=["javascript", "no javascript"])


@pytest.fixture
def photo(site, tmp_path):
    """A photo file of product 3, a chair."""
    path = tmp_path / "photo.jpg"
    path.write_bytes(site.photo(3))
    return path


def upload(page, photo) -> None:
    """Choose a photo, which submits it, and wait for its results."""
    page.set_input_files("#photo", photo)
    page.wait_for_url(RESULTS)


def titles(page) -> list[str]:
    return page.locator(".card__title").all_text_contents()


@phone_and_desktop
def test_classes_filters_and_products(open_page, site, photo, width):
    page = open_page(site, width, has_touch=width < 400)
    upload(page, photo)
    assert titles(page)[0] == "Chair Model 3 velvet"
    page.get_by_role("navigation", name="Category").get_by_role("link", name="Lamp").click()
    page.wait_for_url(re.compile(r"class=lamp$"))
    assert all(title.startswith("Lamp") for title in titles(page))
    if width < 400:
        page.get_by_text("Filters", exact=True).click()
    page.get_by_label("To", exact=True).fill("190")
    page.get_by_role("button", name="Apply").click()
    page.wait_for_url(re.compile(r"price_max=190"))
    assert "class=lamp" in page.url
    page.evaluate("scrollTo(0, document.body.scrollHeight)")
    assert width < 400 or page.get_by_role("img", name="Your photo").bounding_box()["y"] > -200, "stays in sight"
    page.locator(".card a").first.click()
    page.wait_for_url(re.compile(r"/products/"))
    assert fits(page, width)


def test_keyboard(open_page, site, photo):
    page = open_page(site)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    tab_to(page, page.locator("#photo"))
    upload(page, photo)

    page.get_by_role("link", name="All", exact=True).focus()
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"class=all$"))

    page.get_by_role("button", name="Select an area").focus()
    for key in ("Enter", "ArrowLeft", "ArrowUp", "Shift+ArrowRight", "Enter"):
        page.keyboard.press(key)
    page.wait_for_url(re.compile(r"class=all.*box=0.21%2C0.21%2C0.75%2C0.71"))


def test_dropped_photo(open_page, site, photo):
    page = open_page(site)
    page.evaluate(
        """async (bytes) => {
          const transfer = new DataTransfer();
          transfer.items.add(new File([new Uint8Array(bytes)], "photo.jpg", { type: "image/jpeg" }));
          const options = { dataTransfer: transfer, bubbles: true, cancelable: true };
          for (const type of ["dragover", "drop"]) document.body.dispatchEvent(new DragEvent(type, options));
        }""",
        list(photo.read_bytes()),
    )
    page.wait_for_url(RESULTS)
    assert titles(page)[0] == "Chair Model 3 velvet"


@phone_and_desktop
@with_and_without_javascript
def test_upload_and_delete_a_photo(open_page, site, photo, width, javascript):
    page = open_page(site, width, javascript=javascript)
    page.set_input_files("#photo", photo)
    if not javascript:
        page.get_by_role("button", name="Search").click()
    page.wait_for_url(RESULTS)
    assert titles(page)[0] == "Chair Model 3 velvet"
    assert page.locator(".card").first.bounding_box()["y"] < 600, "in sight without scrolling"
    assert not javascript or fits(page, width)
    results = page.url
    tab_to(page, page.get_by_role("button", name="Delete my photo"))
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"deleted"))
    assert page.get_by_role("status").filter(has_text="photo has been deleted").is_visible()
    assert page.goto(results).status == 404
    assert page.get_by_role("alert").is_visible()


@phone_and_desktop
def test_detected_products(open_page, detector_site, tmp_path, width):
    """They are reached by keyboard and mouse; dragging over one still selects an area."""
    file = tmp_path / "room.jpg"
    file.write_bytes(room())
    page = open_page(detector_site, width)
    upload(page, file)
    assert fits(page, width)
    page.goto(f"{page.url}?class=all")
    assert {"Chair Model 3 velvet", "Lamp Model 9"} <= set(titles(page))

    lamp, chair = (page.get_by_label(f"Search for product {number} of 3") for number in (1, 2))
    tab_to(page, chair)
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"box=0\.0625"))
    assert titles(page)[0] == "Chair Model 3 velvet"
    assert chair.get_attribute("aria-current") == "true"
    lamp.click()
    page.wait_for_url(re.compile(r"box=0\.625"))
    assert titles(page)[0] == "Lamp Model 9"
    drag(page, lamp.bounding_box(), (0.1, 0.5), (0.9, 0.9))
    page.wait_for_url(re.compile(r"box=0\.(6[3-9]|7)"))

    page.get_by_role("link", name="All products").click()
    page.wait_for_url(re.compile(r"/results/[0-9a-f]{64}\?class=all$"))
    page.get_by_role("link", name="Whole photo only").click()
    page.wait_for_url(re.compile(r"box=0,0,1,1"))


@with_and_without_javascript
@phone_and_desktop
def test_example_photos(open_page, settings, tmp_path, photo, width, javascript):
    folder = tmp_path / "examples"
    folder.mkdir()
    (folder / "a-chair.jpg").write_bytes(photo.read_bytes())
    for number in range(9):
        (folder / f"wide {number}.jpg").write_bytes(jpeg(400 + number, 300))
    with running(settings.model_copy(update={"examples": folder})) as site:
        page = open_page(site, width, javascript=javascript)
        assert page.get_by_role("button", name="Search with this photo").count() == 10
        first = page.get_by_role("button", name="Search with this photo: a chair")
        box = first.bounding_box()
        assert box["y"] + box["height"] < 800
        tab_to(page, first)
        if javascript:
            assert fits(page, width)
            assert first.evaluate("it => getComputedStyle(it).outlineStyle") == "solid"
        page.keyboard.press("Enter")
        page.wait_for_url(RESULTS)
        assert titles(page)[0] == "Chair Model 3 velvet"


@with_and_without_javascript
@phone_and_desktop
def test_a_verdict_in_one_tap(open_page, site, photo, width, javascript):
    """It is kept without leaving the page, also without JavaScript; the photo's deletion withdraws it."""
    page = open_page(site, width, javascript=javascript)
    page.set_input_files("#photo", photo)
    if not javascript:
        page.get_by_role("button", name="Search").click()
    page.wait_for_url(RESULTS)
    assert page.get_by_text("keep this photo for 180 days").is_visible()
    first = page.get_by_role("group", name="Your verdict on Chair Model 3 velvet")
    for button in first.get_by_role("button").all():
        box = button.bounding_box()
        assert min(box["width"], box["height"]) >= 24
    assert first.bounding_box()["height"] < 40, "the buttons are in one row"
    assert not javascript or fits(page, width)
    for name in ("Wrong", "This is it"):
        tab_to(page, first.get_by_role("button", name=name))
        page.keyboard.press("Enter")
        first.locator(f'[aria-pressed="true"]:text("{name}")').wait_for()
    assert first.locator('[aria-pressed="true"]').count() == 1
    if javascript:
        assert first.get_by_role("status").text_content() == "Thank you."
    else:
        assert page.url.endswith("#result-1")
    with site.sessions() as session:
        (item,) = review_queue.find(session, Filter(), limit=9)
    assert [(judged.sku, judged.verdict) for judged in item.judged] == [("P-03", "right")]
    page.get_by_role("button", name="Delete my photo").click()
    page.wait_for_url(re.compile(r"deleted"))
    with site.sessions() as session:
        assert review_queue.find(session, Filter(), limit=9) == []
