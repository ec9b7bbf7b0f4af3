"""Take the pictures of the shoppers' pages in docs/shop.md: on a phone and a desktop, in light and in dark colors.

    vsearch demo &
    python docs/examples/shop_screenshots.py http://127.0.0.1:8000 docs/images

Needs Chromium.
"""

import io
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

PHOTO = Path(__file__).parents[2] / "catalog" / "demo" / "shop" / "photos"
SIZES = {"phone": (360, 740), "desktop": (1180, 740)}
GAP = 16


def main(address: str, folder: Path) -> None:
    """Write one picture for each page, of both sizes in both color schemes."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for name, visit in PAGES.items():
            sheet(browser, address, visit).save(folder / f"shop-{name}.webp", quality=72, method=6)
        browser.close()


def sheet(browser: Browser, address: str, visit: Callable[[Page], None]) -> Image.Image:
    """Return a picture of a page: phone and desktop side by side, light above dark."""
    width = sum(each[0] for each in SIZES.values()) + GAP
    height = 2 * SIZES["phone"][1] + GAP
    canvas = Image.new("RGB", (width, height), "white")
    for row, scheme in enumerate(("light", "dark")):
        left = 0
        for size in SIZES.values():
            context = browser.new_context(
                viewport={"width": size[0], "height": size[1]},
                color_scheme=scheme,  # type: ignore[arg-type]  # a literal
                locale="en",
            )
            page = context.new_page()
            page.goto(address)
            visit(page)
            page.wait_for_load_state("networkidle")
            with Image.open(io.BytesIO(page.screenshot())) as shot:
                canvas.paste(shot, (left, row * (SIZES["phone"][1] + GAP)))
            left += size[0] + GAP
            context.close()
    return canvas


def start(page: Page) -> None:
    """Stay on the start page."""


def results(page: Page) -> None:
    """Search with a photo of a room."""
    page.set_input_files("input[type=file]", sorted(PHOTO.glob("*.jpg"))[3])
    page.wait_for_url("**/results/**")


def product(page: Page) -> None:
    """Open the first result."""
    results(page)
    page.locator("main a[href*='/products/']").first.click()
    page.wait_for_url("**/products/**")


def similar(page: Page) -> None:
    """Open "More like this" of the first result."""
    results(page)
    page.locator("a[href*='/similar']").first.click()
    page.wait_for_url("**/similar**")


def nothing(page: Page) -> None:
    """Search with a picture of nothing."""
    Image.effect_noise((640, 480), 90).convert("RGB").save(buffer := io.BytesIO(), "JPEG")
    file = {"name": "photo.jpg", "mimeType": "image/jpeg", "buffer": buffer.getvalue()}
    page.set_input_files("input[type=file]", file)  # type: ignore[arg-type]
    page.wait_for_url("**/results/**")


PAGES = {"start": start, "results": results, "product": product, "similar": similar, "nothing": nothing}

if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
