"""Filters, words, categories and cards of the results page in Chromium."""

import re
from dataclasses import replace

import pytest

from catalog import queries
from tests.webui.admin.test_browser import violations
from tests.webui.conftest import import_products
from tests.webui.test_browser import fits, phone_and_desktop, tab_to, titles, with_and_without_javascript

pytestmark = pytest.mark.browser

GROUPS = {"P-03": "duo", "P-04": "duo"}


@pytest.fixture
def results(site):
    """The path of the results of a photo of product 3; products have colors, and 3 and 4 are one design."""
    with site.sessions() as session:
        items = list(queries.snapshot(session).values())
    colors = ("moss", "white", "denim")
    changed = [
        replace(
            item,
            attributes={"color": (colors[number % 3],), "leg": (("oak", "steel")[number % 2],)},
            dimensions={"width": f"{40 + 10 * number} cm"},
            variant_group=GROUPS.get(item.sku),
            stock=0 if item.sku == "P-03" else 9,
        )
        for number, item in enumerate(items)
    ]
    import_products(site, changed=tuple(changed))
    return site.upload(3)


def open_filters(page, width: int) -> None:
    if width < 900:
        page.locator("[data-refine] > summary").click()


SHOWS = """titles => {
    const shown = [...document.querySelectorAll(".card__title")].map((it) => it.textContent);
    return JSON.stringify(shown) === JSON.stringify(titles);
}"""
"""Script that returns whether the page shows products with these titles; going back replaces them with a delay."""


@phone_and_desktop
@with_and_without_javascript
def test_choose_facets_and_go_back(open_page, site, results, width, javascript):
    """With JavaScript, a choice applies at once; counts are those of the page that it leads to."""
    page = open_page(site, width, javascript=javascript, path=f"{results}?class=all")
    before = titles(page)
    open_filters(page, width)
    page.locator(".facet summary", has_text="Color").click()
    moss = page.locator("input[value=moss]")
    if javascript:
        moss.check(no_wait_after=True)
    else:
        moss.check()
        page.get_by_role("button", name="Apply").click()
    page.wait_for_url(re.compile(r"attr.color=moss"))
    assert page.locator("input[value=moss]").is_checked()
    assert page.locator(".option", has_text="moss").locator(".count").text_content() == str(
        page.locator(".card").count()
    )
    assert page.locator(".option", has_text="denim").locator(".count").text_content() == "4", "its own choice apart"
    assert not javascript or fits(page, width)
    page.go_back()
    page.wait_for_function(SHOWS, arg=before)


@phone_and_desktop
def test_words_width_and_sort(open_page, site, results, width):
    page = open_page(site, width, path=f"{results}?class=all")
    open_filters(page, width)
    page.get_by_label("Describe it").fill("lamp -denim")
    page.get_by_label("Fits a width of").fill("120")
    page.get_by_label("Describe it").press("Enter")
    page.wait_for_url(re.compile(r"width_max=120"))
    page.wait_for_function(SHOWS, arg=["Lamp Model 6", "Lamp Model 7"])
    open_filters(page, width)
    page.get_by_label("Sort by").select_option("price_desc", no_wait_after=True)
    page.wait_for_url(re.compile(r"sort=price_desc"))
    assert titles(page) == ["Lamp Model 7", "Lamp Model 6"]
    page.get_by_label("Fits a width of").fill("wide")
    page.get_by_label("Fits a width of").press("Enter")
    page.wait_for_url(re.compile(r"width_max=wide"))
    assert page.get_by_label("Fits a width of").input_value() == "wide"
    assert page.get_by_role("alert").is_visible()
    assert fits(page, width)


@phone_and_desktop
def test_a_card_stands_for_its_variants(open_page, site, results, width):
    """The match is out of stock, so the variant in stock is offered by name."""
    page = open_page(site, width, path=results)
    first = page.locator(".card").first
    assert first.locator(".card__title").text_content() == "Chair Model 3 velvet"
    assert "Chair Model 4 velvet" not in titles(page)
    first.get_by_role("link", name="white").click()
    page.wait_for_url(re.compile("/products/P-04"))
    page.go_back()
    page.get_by_role("link", name="More like Chair Model 3 velvet").click()
    page.wait_for_url(re.compile("/products/P-03/similar"))
    assert page.get_by_role("heading", name="Chair Model 3 velvet").is_visible()
    assert not {"Chair Model 3 velvet", "Chair Model 4 velvet"} & set(titles(page)), "nor its variant"


@phone_and_desktop
@with_and_without_javascript
def test_filters_in_use_are_removed_one_by_one(open_page, site, results, width, javascript):
    """On a phone, the panel stays folded, so that results are in sight."""
    query = "?class=all&attr.color=moss&attr.color=white&stock=in&price_max=160"
    page = open_page(site, width, javascript=javascript, path=results + query)
    page.locator("[data-refine] > summary", has_text="Filters (4)").wait_for(state="attached")
    assert page.get_by_label("Describe it").is_visible() == (width > 900)
    assert page.locator(".card").first.bounding_box()["y"] < (600 if javascript else 740)
    page.get_by_role("link", name="Remove moss").click()
    page.wait_for_url(lambda url: "attr.color=white" in url and "moss" not in url)
    page.get_by_role("link", name="Remove up to €160").click()
    page.wait_for_url(lambda url: "price_max" not in url)
    page.get_by_role("link", name="Clear all").click()
    page.wait_for_url(re.compile(r"/results/[0-9a-f]+\?class=all$"))
    page.locator(".in-use").wait_for(state="detached")
    assert fits(page, width)


@phone_and_desktop
@with_and_without_javascript
def test_similar_products_are_narrowed_like_results(open_page, site, results, width, javascript):
    page = open_page(site, width, javascript=javascript, path="/products/P-03/similar")
    open_filters(page, width)
    page.get_by_label("Describe it").fill("lamp")
    page.get_by_label("Describe it").press("Enter")
    page.wait_for_url(re.compile(r"/products/P-03/similar\?text=lamp"))
    page.get_by_role("link", name="Remove “lamp”").wait_for()
    assert all("Lamp" in title for title in titles(page))
    page.get_by_role("link", name="Next").click()
    page.wait_for_url(re.compile(r"page=2"))
    page.go_back()
    page.get_by_role("heading", name="Chair Model 3 velvet").wait_for()
    page.locator(".results:not([aria-busy])", has=page.get_by_role("link", name="Next")).wait_for()
    assert fits(page, width)
    assert not javascript or violations(page) == []


SHARE = """navigator.share = async (given) => { globalThis.shared = given; }"""


@pytest.mark.parametrize("path", ["results", "/products/P-02", "/products/P-02/similar"])
def test_share_the_page(open_page, site, results, path):
    page = open_page(site, 360)
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    address = f"{page.url.rstrip('/')}{results if path == 'results' else path}"
    page.goto(address)
    page.evaluate("Object.defineProperty(navigator, 'share', {value: undefined, configurable: true})")
    share = page.get_by_role("button", name="Share")
    share.wait_for()
    share.click()
    page.get_by_role("button", name="Link copied").wait_for()
    assert page.evaluate("navigator.clipboard.readText()") == address


def test_share_with_the_system(open_page, site, results):
    page = open_page(site, 360)
    page.add_init_script(SHARE)
    page.goto(page.url.rstrip("/") + f"{results}?class=all")
    page.get_by_role("button", name="Share").click()
    page.wait_for_function("globalThis.shared")
    assert page.evaluate("shared.url") == page.url


def test_share_needs_javascript(open_page, site, results):
    page = open_page(site, javascript=False, path=results)
    assert not page.get_by_role("button", name="Share").is_visible()


def test_keyboard(open_page, site, results):
    page = open_page(site, path=f"{results}?class=all")
    tab_to(page, page.locator(".facet summary", has_text="Leg"))
    page.keyboard.press("Enter")
    tab_to(page, page.get_by_label("steel"))
    page.keyboard.press("Space")
    page.wait_for_url(re.compile(r"attr.leg=steel"))
    tab_to(page, page.locator(".facet summary", has_text="Advanced"))
    page.keyboard.press("Enter")
    tab_to(page, page.get_by_role("link", name="Euclidean"))
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"metric=euclidean"))
    assert page.get_by_role("link", name="Euclidean").is_visible(), "the panel stays open"


@phone_and_desktop
@pytest.mark.parametrize(
    ("query", "scheme"),
    [("", "dark"), ("?text=moss+zebra&attr.leg=oak&sort=price", "light"), ("?class=lamp&price_max=1", "dark")],
)
def test_accessibility(open_page, site, results, width, query, scheme):
    page = open_page(site, width, path=results + query, color_scheme=scheme)
    page.evaluate("for (const each of document.querySelectorAll('details')) each.open = true")
    assert violations(page) == []
    assert fits(page, width)
