"""Measures the shoppers' pages in Chromium: bytes by type, first and largest paint, layout shift.

    python docs/examples/page_weight.py URL PHOTO [QUERY]

URL is that of a running server, PHOTO a file to search with, QUERY the filters of the filtered results, such as
"text=green&price_max=500". Each page is opened with an empty cache, at 360 and 1280 px. Needs playwright and Chromium.
"""

import shutil
import sys
from typing import Any
from urllib.parse import urljoin

from playwright.sync_api import Browser, Page, sync_playwright

WIDTHS = {360: 3, 1280: 1}
"""Width of the window and pixels per CSS pixel: a phone and a desktop."""

HEAD = (
    "| page, width | HTML + CSS + JS, KB | uncompressed, KB | pictures, KB | first paint, ms | largest, ms | shift |",
    "|---|---|---|---|---|---|---|",
)

MEASURE = """() => new Promise((resolve) => {
  const paint = {}, text = { html: 0, css: 0, js: 0 }, plain = { html: 0, css: 0, js: 0 };
  let shift = 0, pictures = 0;
  const watch = (type, use) =>
    new PerformanceObserver((list) => list.getEntries().forEach(use)).observe({ type, buffered: true });
  watch("paint", (entry) => (paint[entry.name] = entry.startTime));
  watch("largest-contentful-paint", (entry) => (paint.largest = entry.startTime));
  watch("layout-shift", (entry) => (shift += entry.value));
  const entries = [...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")];
  for (const entry of entries) {
    const kind = entry.entryType === "navigation" ? "html" : new URL(entry.name).pathname.match(/[.](css|js)$/)?.[1];
    if (kind) {
      text[kind] += entry.encodedBodySize;
      plain[kind] += entry.decodedBodySize;
    } else pictures += entry.encodedBodySize;
  }
  const first = () => paint["first-contentful-paint"];
  setTimeout(() => resolve({ text, plain, pictures, shift, first: first(), largest: paint.largest }), 500);
})"""


def measure(browser: Browser, address: str, width: int) -> dict[str, Any]:
    """Open a page with an empty cache and return what it took."""
    phone = width < 600
    size = {"width": width, "height": 740 if phone else 800}
    context = browser.new_context(viewport=size, device_scale_factor=WIDTHS[width], is_mobile=phone, has_touch=phone)
    page = context.new_page()
    page.goto(address, wait_until="networkidle")
    found: dict[str, Any] = page.evaluate(MEASURE)
    context.close()
    return found


def results_address(page: Page, server: str, photo: str) -> str:
    """Search with a photo and return the address of its results."""
    page.goto(server)
    page.set_input_files("#photo", photo)
    page.wait_for_url("**/results/*")
    return page.url


def row(browser: Browser, name: str, address: str, width: int) -> str:
    """Return a line of the table."""
    measure(browser, address, width)  # makes thumbnails
    found = measure(browser, address, width)
    parts = " + ".join(f"{size / 1000:.1f}" for size in found["text"].values())
    sent, plain = (sum(found[kind].values()) / 1000 for kind in ("text", "plain"))
    paints = f"{found['first']:.0f} | {found['largest']:.0f} | {found['shift']:.3f}"
    return f"| {name}, {width} | {parts} = {sent:.1f} | {plain:.0f} | {found['pictures'] / 1000:.0f} | {paints} |"


def main(server: str, photo: str, query: str = "text=green&stock=in") -> None:
    """Print one line for each page and width, as a Markdown table."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page()
        results = results_address(page, server, photo)
        product = urljoin(server, page.locator(".card a").first.get_attribute("href") or "")
        filtered = f"{results}{'&' if '?' in results else '?'}{query}"
        similar = f"{product}/similar"
        pages = {"start": server, "results": results, "filtered": filtered, "product": product, "similar": similar}
        lines = [row(browser, name, address, width) for name, address in pages.items() for width in WIDTHS]
        browser.close()
    sys.stdout.write("\n".join([*HEAD, *lines, ""]))


if __name__ == "__main__":
    main(*sys.argv[1:])
