"""The page that shows why a product matched."""

import io
import re

import numpy as np
import pytest

from tests.webui.conftest import PRODUCTS, ROOM, Site, fits, room, running, withdraw
from vsearch.imaging.codec import decode
from vsearch.search.heat_map import GRID, Explainer, heat_map
from webui.explanations import cells


def why(site: Site, product: int = 3, area: str = "") -> str:
    photo = site.upload(3).partition("?")[0]
    return f"{photo}/why/P-{product:02d}" + (f"?area={area}" if area else "")


def test_the_parts_that_look_like_the_product_count(site):
    """The product covers one cell of a gray picture; nothing else makes the picture similar to it."""
    side = 16 * GRID
    picture = np.full((side, side, 3), 128, np.uint8)
    picture[32:48, 64:80] = site.pictures[6][:16, :16]
    serving = site.engine.serving
    image_id = int(serving.generation.gallery.image_ids_of(4)[0])
    target = serving.generation.gallery.embedding(image_id)
    found = heat_map(serving, picture, target)
    assert found.shape == (GRID, GRID)
    assert found.min() >= 0
    assert (found.max(), np.unravel_index(found.argmax(), found.shape)) == (1, (2, 4))


def test_an_explanation_is_computed_once(site):
    serving, photo = site.engine.serving, site.pictures[6]
    explainer = Explainer(site.engine)
    arguments = serving, "photo", photo, None, int(serving.generation.gallery.image_ids[0]), site.pictures[0]
    first = explainer.explain(*arguments)
    encoded = serving.encoder.pictures
    assert explainer.explain(*arguments) is first
    assert serving.encoder.pictures == encoded


def test_the_cells_lie_in_the_region(site):
    placed = cells(np.eye(GRID, dtype=np.float32), ROOM[0])
    assert min(cell.x for cell in placed) == ROOM[0].x0
    assert max(cell.y + cell.height for cell in placed) == pytest.approx(ROOM[0].y1)
    assert placed[0].color != placed[1].color == placed[-2].color


def test_results_link_to_it_with_the_area_that_found_the_product(detector_site):
    client = detector_site.client
    results = client.post("/search", data={"photo": (io.BytesIO(room()), "room.jpg")}).location
    links = re.findall(r'href="(/results/[^"]*/why/[^"]*)"', client.get(f"{results}?class=all").text)
    assert any("area=0.0625" in link for link in links)
    page = client.get(links[0].replace("&amp;", "&"))
    assert page.status_code == 200
    assert page.text.count("<rect") == 2 * GRID**2
    assert 'href="' + results + '?class=all"' in page.text, "the way back keeps the search"


def test_what_does_not_exist(site):
    photo = why(site)
    assert site.client.get(photo).status_code == 200
    assert site.client.get(photo + "?area=0.5").status_code == 400
    assert site.client.get(photo.replace("P-03", f"P-{PRODUCTS:02d}")).status_code == 404
    assert site.client.get(photo.replace("/results/", "/results/0")).status_code == 404
    withdraw(site, "P-03")
    assert site.client.get(photo).status_code == 404


def test_it_counts_as_a_search(settings):
    with running(settings.model_copy(update={"rate_limit": "2/minute"})) as site:
        address = why(site)
        assert [site.client.get(address).status_code for _ in range(2)] == [200, 429]


@pytest.mark.browser
@pytest.mark.parametrize("width", [360, 1280])
def test_in_a_browser(open_page, site, width):
    page = open_page(site, width, path=why(site))
    figure = page.get_by_role("img", name="Chair Model 3 velvet, with the parts that count marked")
    assert figure.bounding_box()["width"] > 250
    assert decode(figure.screenshot()).std() > 5
    assert fits(page, width)
    page.get_by_role("link", name="Back to your results").click()
    page.wait_for_url(re.compile(r"/results/[0-9a-f]{64}$"))
    page.locator(".card__menu summary").first.click()
    page.get_by_role("link", name="Why did Chair Model 3 velvet match?").click()
    page.wait_for_url(re.compile(r"/why/P-03$"))
