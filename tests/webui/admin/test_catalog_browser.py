"""Products and feed imports in Debian's Chromium."""

import re

import pytest

from catalog import product_edits, queries
from catalog.database import lock_for_writing
from catalog.models import FeedImport, utc_now
from indexer import catalog_report
from tests.webui.admin.test_browser import fits, sign_in, violations
from tests.webui.admin.test_feed_imports import feed, pictures, run_job  # noqa: F401
from webui import create_admin_app

pytestmark = pytest.mark.browser

phone_and_desktop = pytest.mark.parametrize("width", [390, 1280])


@pytest.fixture
def open_catalog(open_page, staff):
    """A function that opens an admin page in a new window, signed in."""
    app = create_admin_app(staff.app)

    def open_catalog(name: str, path: str, width: int = 1280, **options):
        page = open_page(staff, width, app=app, path=f"/admin/login?next=/admin/{path}", **options)
        sign_in(page, name)
        page.wait_for_url(re.compile(re.escape(f"/admin/{path}")))
        return page

    return open_catalog


def stored(staff):
    with staff.sessions() as session:
        return queries.snapshot(session)


@phone_and_desktop
@pytest.mark.parametrize("javascript", [True, False], ids=["javascript", "no javascript"])
def test_ten_products_are_labeled_by_keyboard(staff, open_catalog, width, javascript):
    page = open_catalog("eddie", "products?words=P-", width, javascript=javascript)
    page.get_by_label(re.compile("^Select .*P-00$")).focus()
    for _ in range(10):
        page.keyboard.press("Space")
        page.keyboard.press("Tab")  # to the link of the product
        page.keyboard.press("Tab")  # to the next checkbox
    if javascript:
        assert "(10)" in page.get_by_role("group", name=re.compile("Change the selected")).text_content()
    while page.evaluate("document.activeElement.name") != "category":
        page.keyboard.press("Tab")
    page.keyboard.type("Seating > Stools")
    page.keyboard.press("Escape")  # the list of known categories
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.get_by_text("10 of 10 products were changed").wait_for()
    assert page.url.endswith("/admin/products?words=P-")
    assert [item.category for item in stored(staff).values()].count("Seating > Stools") == 10
    assert fits(page)


def test_all_products_of_a_page_are_selected_at_once(staff, open_catalog):
    page = open_catalog("eddie", "products?category=Lamps")
    page.get_by_label("Select all on this page").check()
    page.get_by_label("Attribute", exact=True).fill("style")
    page.get_by_label("Values", exact=True).fill("modern, soft")
    page.get_by_role("button", name="Set attribute").click()
    page.get_by_text("6 of 6 products were changed").wait_for()
    assert stored(staff)["P-11"].attributes["style"] == ("modern", "soft")
    assert "style" not in stored(staff)["P-00"].attributes


@phone_and_desktop
def test_two_admins_edit_the_same_product(staff, open_catalog, width):
    eddie, ada = (open_catalog(name, "products/P-03", width) for name in ("eddie", "ada"))
    eddie.get_by_label("Category", exact=True).fill("Beds")
    eddie.get_by_role("button", name="Save").click()
    eddie.get_by_text("Saved.").wait_for()
    ada.get_by_label("Category", exact=True).fill("Sofas")
    ada.get_by_label("color", exact=True).fill("blue")
    ada.get_by_role("button", name="Save").click()
    alert = ada.get_by_role("alert")
    alert.wait_for()
    for value in ("Seating > Chairs", "Beds", "eddie", "Sofas"):
        assert value in alert.text_content()
    assert ada.get_by_label("Category", exact=True).input_value() == "Sofas"
    assert ada.get_by_label("color", exact=True).input_value() == "blue"
    assert violations(ada) == []
    assert fits(ada)
    ada.get_by_role("button", name="Save").click()
    ada.get_by_text("Saved.").wait_for()
    assert (stored(staff)["P-03"].category, stored(staff)["P-03"].attributes["color"]) == ("Sofas", ("blue",))
    ada.get_by_role("button", name="Undo the edit of category").click()
    ada.get_by_text("The feed's value applies again.").wait_for()
    assert stored(staff)["P-03"].category == "Seating > Chairs"


@phone_and_desktop
def test_a_feed_is_previewed_and_imported(staff, open_catalog, pictures, tmp_path, width):  # noqa: F811
    (tmp_path / "feed.csv").write_bytes(feed(rows=11))
    page = open_catalog("ada", "imports/", width)
    page.get_by_label(re.compile("all products of the shop")).set_input_files(tmp_path / "feed.csv")
    page.get_by_role("button", name="Preview this file").click()
    page.wait_for_url(re.compile(r"/preview/\d+$"))
    assert page.get_by_role("status").text_content().strip() == "queued"
    run_job(staff, pictures)
    page.get_by_role("button", name="Import this feed").wait_for()  # without reloading
    assert page.get_by_role("heading", name="Withdrawn: no longer in the feed (1)").is_visible()
    assert page.get_by_role("link", name="Lamp Model 11").is_visible()
    assert fits(page)
    assert violations(page) == []
    page.get_by_role("button", name="Import this feed").click()
    page.wait_for_url(re.compile(r"/jobs/\d+$"))
    run_job(staff, pictures)
    assert stored(staff)["P-11"].withdrawn


@phone_and_desktop
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_accessibility_of_the_catalog_pages(staff, open_catalog, pictures, tmp_path, width, scheme):  # noqa: F811
    now = utc_now()
    finding = {"line": 2, "sku": "P-02", "reason": "title is missing; fill it in.", "kind": "row"}
    with staff.sessions.begin() as session:
        lock_for_writing(session)
        product_edits.save(session, "ann", "P-03", "category", "Beds")
        product_edits.save(session, "ann", "P-03", "images", (queries.snapshot(session)["P-04"].images[0],))
        values = {"feed": "https://shop.example/" + "f" * 100, "message": "", "findings": [finding]}
        session.add(FeedImport(started_at=now, finished_at=now, state="imported", counts={"added": 3}, **values))
    catalog_report.save(staff.settings, catalog_report.create(staff.settings))
    (tmp_path / "feed.csv").write_bytes(feed(rows=2))
    page = open_catalog("ada", "imports/", width, color_scheme=scheme)
    page.get_by_label(re.compile("all products of the shop")).set_input_files(tmp_path / "feed.csv")
    page.get_by_role("button", name="Preview this file").click()
    page.wait_for_url(re.compile(r"/preview/\d+$"))
    run_job(staff, pictures)
    home = page.url[: page.url.index("/admin/") + 7]
    found = {}
    for path in (
        "products",
        "products?words=none",
        "products/P-03",
        "imports/",
        "imports/1",
        page.url[len(home) :],
        "report",
    ):
        page.goto(home + path)
        if problems := violations(page) + ([] if fits(page) else ["scrolls sideways"]):
            found[path] = problems
    assert found == {}
