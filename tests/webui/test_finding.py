"""Photos of whole rooms: the parts in which products are seen, on the page and in the API."""

import io
import re

from tests.webui.conftest import ROOM, room

LAMP, CHAIR = (str(box) for box in ROOM)


def results(site) -> str:
    """Send the photo of a room and return the address of its results."""
    return site.client.post("/search", data={"photo": (io.BytesIO(room()), "room.jpg")}).location


def parts(page: str) -> list[tuple[str, str, bool]]:
    """Return the parts to choose from: what they are called, the box they lead to, whether one is the current."""
    links = re.findall(r'<a href="([^"]*)" aria-label="(Search this part: [^"]*)" (aria-current="true")?', page)
    return [(name, re.search(r"box=([^&]*)", address)[1], bool(now)) for address, name, now in links]


def test_products_of_a_room_are_found_and_shown(finding_site):
    """Both come first; the part that found the best is marked, and each is a link that searches it alone."""
    address = results(finding_site)

    assert set(finding_site.titles(f"{address}?class=all")[:2]) == {"Chair Model 3 velvet", "Lamp Model 9"}
    shown = parts(finding_site.client.get(f"{address}?class=all").text)
    assert [(name, box) for name, box, _ in shown] == [
        ("Search this part: 1 of 3", LAMP),
        ("Search this part: 2 of 3", CHAIR),
        ("Search this part: 3 of 3", "0.4,0.05,0.55,0.2"),
    ]
    assert sum(now for _, _, now in shown) == 1
    assert shown[2][2] is False


def test_a_chosen_part_is_searched_alone(finding_site):
    """The others stay to choose from; so do all parts together, and the whole photo."""
    address = results(finding_site)

    page = finding_site.client.get(f"{address}?box={CHAIR}").text

    assert finding_site.titles(f"{address}?box={CHAIR}")[0] == "Chair Model 3 velvet"
    assert [now for _, _, now in parts(page)] == [False, True, False]
    assert f'<a href="{address}">All parts</a>' in page
    assert re.search(r'box=0,0,1,1">Whole photo</a>', page)


def test_the_whole_photo_alone(finding_site):
    """No part is the current one, and nothing leads where one is."""
    address = results(finding_site)

    page = finding_site.client.get(f"{address}?box=0,0,1,1").text

    assert not any(now for _, _, now in parts(page))
    assert ">Whole photo" not in page
    assert ">All parts</a>" in page


def test_without_a_finder_the_page_is_as_it_was(site):
    """No parts, and a marked part leads back to the whole photo."""
    address = results(site)

    assert "photo__parts" not in site.client.get(address).text
    assert f'<a href="{address}">Whole photo</a>' in site.client.get(f"{address}?box={CHAIR}").text


def test_api_names_the_parts(finding_site):
    """Surest first; each result says which part found it, and a part can be given back."""
    body = finding_site.client.post("/api/v1/search?class=all", data=room()).get_json()

    assert [item["box"] for item in body["boxes"]] == [LAMP, CHAIR, "0.4,0.05,0.55,0.2"]
    assert [item["confidence"] for item in body["boxes"]] == [0.99, 0.98, 0.97]
    assert {(item["sku"], item["box"]) for item in body["results"][:2]} == {("P-03", CHAIR), ("P-09", LAMP)}
    alone = finding_site.client.post(f"/api/v1/search?box={CHAIR}", data=room()).get_json()
    assert (alone["results"][0]["sku"], alone["results"][0]["box"]) == ("P-03", CHAIR)
    assert alone["boxes"] == body["boxes"]
