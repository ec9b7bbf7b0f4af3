"""The page in a real browser: Debian's Chromium, driven by Playwright."""

import re
import shutil
import threading
from contextlib import contextmanager

import numpy as np
import pytest
from werkzeug.serving import make_server

from tests.pictures import jpeg
from tests.webui.conftest import room, running
from vsearch.imaging.codec import encode_jpeg

pytestmark = pytest.mark.browser

FLAGS = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"]


@pytest.fixture(scope="module")
def chromium():
    """A headless browser, or a skip that says what to install."""
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("no Chromium on this machine (Debian: apt-get install chromium)")
    api = pytest.importorskip("playwright.sync_api", reason="needs the Python package playwright")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=FLAGS, timeout=0)
        yield browser
        browser.close()


@contextmanager
def served(app):
    """Serve an application; give its address."""
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def address(site):
    """The address that the application is served at."""
    with served(site.app) as place:
        yield place


@pytest.fixture
def photo(site, tmp_path):
    """A photo file of product 3, a chair."""
    path = tmp_path / "photo.jpg"
    path.write_bytes(site.photo(3))
    return path


@pytest.fixture
def page(chromium, address):
    """A desktop page on the start page; whatever the browser complains of fails the test."""
    context = chromium.new_context(viewport={"width": 1280, "height": 900})
    context.set_default_timeout(0)
    page = context.new_page()
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.goto(address)
    yield page
    context.close()
    assert complaints == []


def upload(page, photo) -> None:
    """Choose a photo, which sends it, and wait for its results."""
    page.set_input_files("#photo", photo)
    page.wait_for_url(re.compile(r"/results/[0-9a-f]{64}$"))


def titles(page) -> list[str]:
    """Return the titles of the products on the page."""
    return page.locator(".card__title").all_text_contents()


def test_photo_class_and_filters(page, photo):
    """A chosen photo is sent at once; chips and filters change the address, and the photo stays in sight."""
    upload(page, photo)
    assert titles(page)[0] == "Chair Model 3 velvet"

    page.get_by_role("navigation", name="Category").get_by_role("link", name="Lamp").click()
    page.wait_for_url(re.compile(r"class=lamp$"))
    assert all(title.startswith("Lamp") for title in titles(page))

    page.get_by_label("To", exact=True).fill("190")
    page.get_by_role("button", name="Apply").click()
    page.wait_for_url(re.compile(r"price_max=190"))
    assert "class=lamp" in page.url
    page.evaluate("scrollTo(0, document.body.scrollHeight)")
    assert page.get_by_role("img", name="Your photo").bounding_box()["y"] > -200


def test_by_keyboard_alone(page, photo):
    """Tab reaches the file field, Enter follows a chip, and arrows draw a box on the photo."""
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "photo"
    upload(page, photo)

    chip = page.get_by_role("link", name="All", exact=True)
    chip.focus()
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"class=all$"))

    page.get_by_role("button", name="Select an area").focus()
    for key in ("Enter", "ArrowLeft", "ArrowUp", "Shift+ArrowRight", "Enter"):
        page.keyboard.press(key)
    page.wait_for_url(re.compile(r"box="))
    assert "class=all" in page.url
    assert "box=0.21%2C0.21%2C0.75%2C0.71" in page.url


def test_box_by_mouse(page, photo):
    """Dragging on the photo searches that part; a link leads back to the whole photo."""
    upload(page, photo)
    area = page.locator("[data-frame]").bounding_box()
    page.mouse.move(area["x"] + 0.25 * area["width"], area["y"] + 0.25 * area["height"])
    page.mouse.down()
    page.mouse.move(area["x"] + 0.5 * area["width"], area["y"] + 0.75 * area["height"], steps=4)
    page.mouse.up()
    page.wait_for_url(re.compile(r"box=0\.2\d*%2C0\.2\d*%2C0\.5\d*%2C0\.7"))

    page.get_by_role("link", name="Whole photo").click()
    page.wait_for_url(re.compile(r"/results/[0-9a-f]{64}$"))


def test_dropped_photo(page, photo):
    """A photo dropped anywhere on the page is sent."""
    page.evaluate(
        """async (bytes) => {
          const parcel = new DataTransfer();
          parcel.items.add(new File([new Uint8Array(bytes)], "photo.jpg", { type: "image/jpeg" }));
          for (const type of ["dragover", "drop"])
            document.body.dispatchEvent(new DragEvent(type, { dataTransfer: parcel, bubbles: true, cancelable: true }));
        }""",
        list(photo.read_bytes()),
    )
    page.wait_for_url(re.compile(r"/results/"))
    assert titles(page)[0] == "Chair Model 3 velvet"


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("script", [True, False], ids=["with script", "without"])
def test_deleting_the_photo_by_keyboard(chromium, address, photo, width, script):
    """The button is reached and pressed; the start page says that it is done, and going back finds no photo."""
    context = chromium.new_context(viewport={"width": width, "height": 844}, java_script_enabled=script)
    page = context.new_page()
    page.goto(address)
    page.set_input_files("#photo", photo)
    if not script:
        page.get_by_role("button", name="Search").click()
    page.wait_for_url(re.compile(r"/results/"))
    results = page.url
    button = page.get_by_role("button", name="Delete my photo")
    while not button.evaluate("it => it === document.activeElement"):
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"deleted"))
    assert page.get_by_role("status").filter(has_text="Your photo has been deleted").is_visible()
    assert page.goto(results).status == 404
    assert "has been deleted" in page.get_by_role("alert").text_content()
    if script:
        assert page.evaluate("document.documentElement.scrollWidth") == width
    context.close()


def test_without_javascript(chromium, address, photo):
    """File field and button do without any script."""
    context = chromium.new_context(java_script_enabled=False)
    context.set_default_timeout(0)
    page = context.new_page()
    page.goto(address)
    page.set_input_files("#photo", photo)
    page.get_by_role("button", name="Search").click()
    page.wait_for_url(re.compile(r"/results/"))
    assert titles(page)[0] == "Chair Model 3 velvet"
    context.close()


def test_on_a_phone(chromium, address, photo):
    """At 360 pixels nothing sticks out, and the first products are in sight without scrolling."""
    context = chromium.new_context(viewport={"width": 360, "height": 760}, has_touch=True, is_mobile=True)
    context.set_default_timeout(0)
    page = context.new_page()
    page.goto(address)
    upload(page, photo)
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    assert page.locator(".card").first.bounding_box()["y"] < 600
    page.get_by_text("Filters", exact=True).click()
    assert page.get_by_label("Describe it").is_visible()
    page.locator(".card a").first.click()
    page.wait_for_url(re.compile(r"/products/"))
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    context.close()


@pytest.mark.parametrize("width", [360, 1280])
def test_tag_and_back(chromium, reading_site, tmp_path, width):
    """A photo of a tag opens its product; one link leads to what looks alike, and a marked number is read again."""
    tag = np.full((480, 360, 3), (60, 70, 90), np.uint8)
    tag[180:300, 60:300] = (240, 210, 40)
    file = tmp_path / "tag.jpg"
    file.write_bytes(encode_jpeg(tag))
    context = chromium.new_context(viewport={"width": width, "height": 800})
    context.set_default_timeout(0)
    page = context.new_page()
    with served(reading_site.app) as place:
        page.goto(place)
        page.set_input_files("#photo", file)
        page.wait_for_url(re.compile(r"/products/P-03\?photo="))
        assert "We read 123.456.78 in your photo" in page.locator(".notice--read").text_content()
        assert page.evaluate("document.documentElement.scrollWidth") == width
        page.get_by_role("link", name="Search by appearance instead").click()
        page.wait_for_url(re.compile(r"/results/[0-9a-f]{64}\?look=only$"))

        page.get_by_role("button", name="Select an area").click()
        area = page.locator("[data-frame]").bounding_box()
        page.mouse.move(area["x"] + 0.3 * area["width"], area["y"] + 0.45 * area["height"])
        page.mouse.down()
        page.mouse.move(area["x"] + 0.7 * area["width"], area["y"] + 0.49 * area["height"], steps=4)
        page.mouse.up()
        page.wait_for_url(re.compile(r"/products/P-03\?photo=[0-9a-f]{64}&box="))
    context.close()


@pytest.mark.parametrize("width", [390, 1280])
def test_parts_of_a_room_by_keyboard_and_pointer(chromium, finding_site, tmp_path, width):
    """Tab reaches the parts on the photo, Enter searches one, a click another; a drag over one still draws a box."""
    file = tmp_path / "room.jpg"
    file.write_bytes(room())
    context = chromium.new_context(viewport={"width": width, "height": 844})
    context.set_default_timeout(0)
    page = context.new_page()
    with served(finding_site.app) as place:
        page.goto(place)
        upload(page, file)
        assert page.evaluate("document.documentElement.scrollWidth") == width
        page.goto(f"{page.url}?class=all")
        assert set(titles(page)[:2]) == {"Chair Model 3 velvet", "Lamp Model 9"}

        page.locator("#photo").focus()
        page.keyboard.press("Tab")
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.getAttribute('aria-label')") == "Search for product 2 of 3"
        page.keyboard.press("Enter")
        page.wait_for_url(re.compile(r"box=0\.0625"))
        assert titles(page)[0] == "Chair Model 3 velvet"
        current = page.locator(".photo__parts [aria-current]")
        assert current.get_attribute("aria-label") == "Search for product 2 of 3"

        page.get_by_label("Search for product 1 of 3").click()
        page.wait_for_url(re.compile(r"box=0\.625"))
        assert titles(page)[0] == "Lamp Model 9"

        lamp = page.get_by_label("Search for product 1 of 3").bounding_box()
        page.mouse.move(lamp["x"] + 5, lamp["y"] + lamp["height"] / 2)
        page.mouse.down()
        page.mouse.move(lamp["x"] + lamp["width"] - 5, lamp["y"] + lamp["height"] - 5, steps=4)
        page.mouse.up()
        page.wait_for_url(re.compile(r"box=0\.(6[3-9]|7)"))

        page.get_by_role("link", name="All products").click()
        page.wait_for_url(re.compile(r"/results/[0-9a-f]{64}\?class=all$"))
        page.get_by_role("link", name="Whole photo only").click()
        page.wait_for_url(re.compile(r"box=0,0,1,1"))
    context.close()


@pytest.mark.parametrize("script", [True, False], ids=["with script", "without"])
@pytest.mark.parametrize("width", [360, 1280])
def test_an_example_by_keyboard(chromium, settings, tmp_path, photo, width, script):
    """Tab goes from the file field on to the examples, whose focus shows, and Enter searches; nothing sticks out."""
    folder = tmp_path / "examples"
    folder.mkdir()
    (folder / "a-chair.jpg").write_bytes(photo.read_bytes())
    for number in range(9):
        (folder / f"wide {number}.jpg").write_bytes(jpeg(400 + number, 300))
    context = chromium.new_context(viewport={"width": width, "height": 800}, java_script_enabled=script)
    context.set_default_timeout(0)
    page = context.new_page()
    with running(settings.model_copy(update={"examples": folder})) as site, served(site.app) as place:
        page.goto(place)
        assert page.get_by_role("button", name="Search with this photo").count() == 10
        first = page.get_by_role("button", name="Search with this photo: a chair")
        box = first.bounding_box()
        assert box["y"] + box["height"] < 800
        page.locator("#photo").focus()
        while not first.evaluate("it => it === document.activeElement"):
            page.keyboard.press("Tab")
        if script:
            assert page.evaluate("document.documentElement.scrollWidth") == width
            assert first.evaluate("it => getComputedStyle(it).outlineStyle") == "solid"
        page.keyboard.press("Enter")
        page.wait_for_url(re.compile(r"/results/[0-9a-f]{64}$"))
        assert titles(page)[0] == "Chair Model 3 velvet"
    context.close()
