"""Pictures in Chromium: their formats, sizes and order, and that they shift nothing."""

import pytest

from webui.image_files import WIDTHS

SHIFTS = """() => new Promise((resolve) => {
  let total = 0;
  new PerformanceObserver((list) => list.getEntries().forEach((entry) => (total += entry.value))).observe({
    type: "layout-shift", buffered: true,
  });
  requestAnimationFrame(() => requestAnimationFrame(() => resolve(total)));
})"""


@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize("path", ["/", "/products/P-02", "results"])
def test_pictures_are_small_and_shift_nothing(site, open_page, width, path):
    page = open_page(site, width, path=site.upload() if path == "results" else path)
    page.wait_for_load_state("load")
    page.evaluate("scrollTo(0, document.body.scrollHeight)")
    images = page.locator(".card__picture img, .product__pictures img")
    for image in images.all():
        image.scroll_into_view_if_needed()
        image.evaluate("it => it.complete || new Promise((done) => it.addEventListener('load', done))")
    addresses = images.evaluate_all("all => all.map((it) => it.currentSrc)")
    assert addresses
    assert all(address.endswith(".avif") for address in addresses)
    shown = images.evaluate_all(
        "all => all.map((it) => [it.clientWidth, parseInt(it.currentSrc.match(/-(\\d+)[.]/)[1])])"
    )
    assert all(pixels == min(side for side in WIDTHS if side >= used) for used, pixels in shown)
    assert page.evaluate(SHIFTS) < 0.01


def test_first_picture_has_priority(site, client):
    """Those below the fold wait; exactly one has priority."""
    for path in ("/products/P-02", site.upload()):
        html = site.client.get(path).text
        assert html.count('fetchpriority="high"') == 1
        assert 'loading="lazy"' in html
    assert "fetchpriority" not in client.get("/").text
