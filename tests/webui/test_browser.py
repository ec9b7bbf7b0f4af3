"""The pages in Debian's Chromium, driven by Playwright."""

import re
from dataclasses import replace

import pytest
from flask import Flask

from catalog import review_queue
from catalog.review_queue import Filter
from tests.pictures import jpeg
from tests.webui.admin.test_browser import violations
from tests.webui.conftest import drag, fits, room, running, tab_to
from webui.remote_images import RemoteImages
from webui.services import services_of

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
    page.locator(".query").evaluate("it => it.scrollTo(0, 0)")
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

    page.get_by_role("link", name="All categories", exact=True).focus()
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"class=all$"))

    page.get_by_role("button", name="Select an area").focus()
    for key in ("Enter", "ArrowLeft", "ArrowUp", "Shift+ArrowRight", "Enter"):
        page.keyboard.press(key)
    page.wait_for_url(re.compile(r"class=all.*box=0.23%2C0.23%2C0.75%2C0.73"))


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
    assert page.locator(".card").first.bounding_box()["y"] < (600 if javascript else 700), "in sight without scrolling"
    assert not javascript or fits(page, width)
    results = page.url
    tab_to(page, page.get_by_role("link", name="Delete my photo"))
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"/delete$"))
    tab_to(page, page.get_by_role("button", name="Delete my photo"))
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"deleted"))
    assert page.get_by_role("status").filter(has_text="photo has been deleted").is_visible()
    assert page.goto(results).status == 404
    assert page.get_by_role("alert").is_visible()


@phone_and_desktop
@with_and_without_javascript
def test_detected_products(open_page, detector_site, tmp_path, width, javascript):
    """They are chosen by name, by keyboard or on the photo; back and reload work."""
    file = tmp_path / "room.jpg"
    file.write_bytes(room())
    page = open_page(detector_site, width, javascript=javascript)
    page.set_input_files("#photo", file)
    if not javascript:
        page.get_by_role("button", name="Search").click()
    page.wait_for_url(RESULTS)
    assert not javascript or fits(page, width)
    everything = page.url + "?class=all"
    page.goto(everything)
    assert {"Chair Model 3 velvet", "Lamp Model 9"} <= set(titles(page))

    items = page.get_by_role("navigation", name="What to search for")
    lamp, chair = items.get_by_role("link").nth(1), items.get_by_role("link", name="2 Chair")
    assert min(chair.bounding_box()["width"], chair.bounding_box()["height"]) >= 24
    if javascript:
        page.evaluate("window.kept = true")
    tab_to(page, chair)
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"box=0\.0625"))
    assert titles(page)[0] == "Chair Model 3 velvet"
    assert chair.get_attribute("aria-current") == "true"
    if javascript:
        assert page.evaluate("window.kept"), "the results were replaced in place"
        assert chair.evaluate("it => it === document.activeElement")
    page.locator(".photo__parts a").first.click()
    page.wait_for_url(re.compile(r"box=0\.625"))
    assert titles(page)[0] == "Lamp Model 9"
    assert lamp.get_attribute("aria-current") == "true"

    page.go_back()
    page.locator(".card__title").first.filter(has_text="Chair Model 3").wait_for()
    page.reload()
    assert titles(page)[0] == "Chair Model 3 velvet"
    items.get_by_role("link", name="The photo as a whole").click()
    page.wait_for_url(re.compile(r"box=0,0,1,1"))
    items.get_by_role("link", name="Everything").click()
    page.wait_for_url(everything)


def test_an_area_is_drawn_and_adjusted_with_the_mouse(open_page, detector_site, tmp_path):
    """Dragging searches at once, also from a detected product; then the frame and its corners can be dragged."""
    file = tmp_path / "room.jpg"
    file.write_bytes(room())
    page = open_page(detector_site)
    upload(page, file)
    photo = page.locator("[data-frame]")
    drag(page, photo.bounding_box(), (0.05, 0.25), (0.35, 0.75))
    page.wait_for_url(re.compile(r"box=0\.0(49|5)"))
    assert titles(page)[0] == "Chair Model 3 velvet"
    drag(page, photo.bounding_box(), (0.2, 0.5), (0.75, 0.5))
    page.wait_for_url(re.compile(r"box=0\.(59|6)"))
    corner = page.get_by_role("button", name="Bottom right corner").bounding_box()
    assert min(corner["width"], corner["height"]) >= 24
    drag(page, photo.bounding_box(), (0.9, 0.75), (0.8, 0.6))
    page.wait_for_url(re.compile(r"box=[^&]*%2C0\.(79|8)\d*%2C0\.(59|6)"))


def test_an_area_is_drawn_by_two_taps_and_adjusted(open_page, detector_site, tmp_path):
    """Nothing is searched before "Search this area"; "Cancel" restores what was searched."""
    file = tmp_path / "room.jpg"
    file.write_bytes(room())
    page = open_page(detector_site, 360, has_touch=True)
    upload(page, file)
    results = page.url
    page.get_by_role("button", name="Select an area").tap()
    for x, y in ((0.6, 0.2), (0.9, 0.8)):
        area = page.locator("[data-frame]").bounding_box()
        page.touchscreen.tap(area["x"] + x * area["width"], area["y"] + y * area["height"])
    assert page.url == results
    assert fits(page, 360)
    corner = page.get_by_role("button", name="Top left corner")
    assert min(corner.bounding_box()["width"], corner.bounding_box()["height"]) >= 24
    page.get_by_role("button", name="Cancel").tap()
    assert corner.is_hidden()
    page.get_by_role("button", name="Select an area").tap()
    for x, y in ((0.6, 0.2), (0.9, 0.8)):
        area = page.locator("[data-frame]").bounding_box()
        page.touchscreen.tap(area["x"] + x * area["width"], area["y"] + y * area["height"])
    corner.focus()
    page.keyboard.press("ArrowRight")
    page.get_by_role("button", name="Search this area").tap()
    page.wait_for_url(re.compile(r"box=0\.(61|62)"))
    assert corner.is_visible(), "the frame can be adjusted again"


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
    menu = page.locator(".card__menu").first
    menu.locator("summary").click()
    assert menu.get_by_text("keep this photo for 180 days").is_visible()
    first = page.get_by_role("group", name="Your verdict on Chair Model 3 velvet")
    for target in (menu.locator("summary"), *first.get_by_role("button").all()):
        box = target.bounding_box()
        assert min(box["width"], box["height"]) >= 44
    assert not javascript or fits(page, width)
    for name in ("Wrong", "This is it"):
        tab_to(page, first.get_by_role("button", name=name))
        page.keyboard.press("Enter")
        first.locator(f'[aria-pressed="true"]:text("{name}")').wait_for()
    assert first.locator('[aria-pressed="true"]').count() == 1
    menu.get_by_role("status").get_by_text("Thank you.").wait_for()
    assert javascript or page.url.endswith("#result-P-03")
    with site.sessions() as session:
        (item,) = review_queue.find(session, Filter(), limit=9)
    assert [(judged.sku, judged.verdict) for judged in item.judged] == [("P-03", "right")]
    first.get_by_role("button", name="This is it").click()
    page.locator('[aria-pressed="true"]').first.wait_for(state="detached")
    with site.sessions() as session:
        assert review_queue.find(session, Filter(), limit=9) == [], "taken back"
    if not javascript:
        menu.locator("summary").click()
    first.get_by_role("button", name="Wrong").click()
    first.locator('[aria-pressed="true"]').wait_for()
    page.get_by_role("link", name="Delete my photo").click()
    page.get_by_role("button", name="Delete my photo").click()
    page.wait_for_url(re.compile(r"deleted"))
    with site.sessions() as session:
        assert review_queue.find(session, Filter(), limit=9) == []


PICTURE = """async ([width, height]) => {
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [width, height];
  const context = canvas.getContext("2d");
  for (let x = 0; x < width; x += 40) {
    context.fillStyle = `hsl(${x % 360} 80% 50%)`;
    context.fillRect(x, 0, 40, height);
  }
  const blob = await new Promise((done) => canvas.toBlob(done, "image/png"));
  const transfer = new DataTransfer();
  transfer.items.add(new File([blob], "large.png", { type: "image/png" }));
  const field = document.querySelector("#photo");
  field.files = transfer.files;
  field.dispatchEvent(new Event("change", { bubbles: true }));
}"""
"""Script that chooses a generated picture."""


def test_a_large_photo_is_downscaled_before_it_is_sent(open_page, settings):
    """4 megapixels, of which this server accepts 2: it arrives because the browser shrinks it first."""
    with running(settings) as site:
        page = open_page(site)
        page.evaluate(PICTURE, [2000, 1000])
        page.wait_for_url(RESULTS)
        image = page.get_by_role("img", name="Your photo")
        assert [image.get_attribute(side) for side in ("width", "height")] == ["1600", "800"]


def test_a_file_that_is_no_image(open_page, site, tmp_path):
    """The page says so, and another photo can be chosen at once."""
    file = tmp_path / "photo.jpg"
    file.write_bytes(b"no image")
    page = open_page(site)
    page.set_input_files("#photo", file)
    page.get_by_role("alert").wait_for()
    assert page.locator("[data-busy]").is_hidden()
    file.write_bytes(site.photo(3))
    upload(page, file)


@phone_and_desktop
def test_recent_photos_of_this_device(open_page, site, photo, width):
    page = open_page(site, width)
    recent = page.get_by_role("heading", name="Your recent photos")
    assert recent.is_hidden()
    upload(page, photo)
    results = page.url
    page.wait_for_function("localStorage.getItem('vsearch-photos')")
    page.locator(".wordmark").click()
    recent.wait_for()
    assert fits(page, width)
    page.get_by_role("link", name=re.compile("Results for your photo of")).click()
    page.wait_for_url(results)
    page.locator(".wordmark").click()
    page.once("dialog", lambda dialog: dialog.dismiss())
    page.get_by_role("button", name=re.compile("Delete your photo of")).click()
    page.once("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name=re.compile("Delete your photo of")).click()
    recent.wait_for(state="hidden")
    page.get_by_role("status").get_by_text("Your photo has been deleted.").wait_for()
    assert site.stored() == []
    assert page.goto(results).status == 404


@with_and_without_javascript
def test_an_address_of_an_image(open_page, site, monkeypatch, javascript):
    monkeypatch.setattr(RemoteImages, "fetch", lambda self, address: site.photo(3))
    page = open_page(site, 360, javascript=javascript)
    page.get_by_text("Search with an image from the web").click()
    page.get_by_label("Address of the image").fill("https://shop.example/chair.jpg")
    page.keyboard.press("Enter")
    page.wait_for_url(RESULTS)
    assert titles(page)[0] == "Chair Model 3 velvet"


@phone_and_desktop
def test_accessibility(open_page, detector_site, tmp_path, width):
    file = tmp_path / "room.jpg"
    file.write_bytes(room())
    page = open_page(detector_site, width)
    page.get_by_text("Search with an image from the web").click()
    assert violations(page) == []
    upload(page, file)
    assert violations(page) == []
    page.get_by_role("button", name="Select an area").click()
    assert violations(page) == []
    page.goto(page.locator(".why-link").first.evaluate("it => it.href"))
    assert violations(page) == []
    page.locator(".wordmark").click()
    page.get_by_role("heading", name="Your recent photos").wait_for()
    assert violations(page) == []


def test_widget_on_another_site(open_page, settings, photo, tmp_path):
    """The shop's page, from another origin, has a button that opens the results of a photo."""
    with running(settings) as site:
        shop = Flask("shop")
        page = open_page(site)
        address = page.url.rstrip("/")
        shop.add_url_rule(
            "/", view_func=lambda: f'<h1>Shop</h1><script src="{address}/static/widget.js" defer></script>'
        )
        own = open_page(site, app=shop)
        site.app.extensions["vsearch"] = replace(
            services_of(site.app), settings=settings.model_copy(update={"widget_origins": own.url.rstrip("/")})
        )
        assert own.get_by_role("button", name="Search by photo").is_visible()
        own.set_input_files("input[type=file]", photo)
        own.wait_for_url(RESULTS)
        assert titles(own)[0] == "Chair Model 3 velvet"


@with_and_without_javascript
def test_back_to_the_card_of_a_product(open_page, site, photo, javascript):
    """Choosing a category closes the panels above the results; a product leads back to its card."""
    page = open_page(site, 360, javascript=javascript)
    page.set_input_files("#photo", photo)
    if not javascript:
        page.get_by_role("button", name="Search").click()
    page.wait_for_url(RESULTS)
    page.get_by_text("Filters", exact=True).click()
    page.get_by_role("navigation", name="Category").get_by_role("link", name="All categories").click()
    page.wait_for_url(re.compile(r"class=all$"))
    page.locator("details.refine:not([open])").wait_for()
    fourth = page.locator(".card").nth(3)
    card = fourth.get_attribute("id")
    fourth.locator(".more__like").click()
    page.wait_for_url(re.compile(r"/similar$"))
    page.get_by_role("link", name="Back to your results").click()
    page.wait_for_url(re.compile(rf"class=all#{card}$"))
    page.wait_for_function("scrollY > 0")
    assert 0 <= page.locator(f"#{card}").bounding_box()["y"] < 400
