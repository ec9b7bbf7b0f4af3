import logging
import re

import pytest

from tests.pictures import encoded, jpeg, noise, png_header, scene
from tests.webui.conftest import running
from vsearch.core.errors import SettingsError
from vsearch.imaging.codec import Limits, decode
from webui import examples
from webui.server import serve

NAMES = ("armchair-by-the-window.jpg", "green_lamp.png", "Wide room.jpg")


@pytest.fixture
def folder(tmp_path, untouched):
    """Three photos (the last shows product 3), and much that is none."""
    place = tmp_path / "examples"
    (place / "more").mkdir(parents=True)
    for name, data in zip(NAMES, (jpeg(600, 800), encoded(scene(), "PNG"), untouched.photo(3)), strict=True):
        (place / name).write_bytes(data)
    (place / "more" / "deeper.jpg").write_bytes(jpeg())
    (place / ".hidden.jpg").write_bytes(noise(40, 40))
    (place / "notes.txt").write_text("Photos by the shop.")
    (place / "bomb.png").write_bytes(png_header(60_000, 60_000))
    return place


@pytest.fixture
def inviting(settings, folder):
    """The application with these examples."""
    with running(settings.model_copy(update={"examples": folder})) as site:
        yield site


def shown(site) -> list[tuple[str, str]]:
    """Return id and words of the examples on the start page."""
    found = r'<button class="example" name="example" value="([^"]*)"><img src="/examples/([^"]*)\.jpg" alt="([^"]*)"'
    matches = re.findall(found, site.client.get("/").text)
    assert all(value == source for value, source, _ in matches)
    return [(value, words) for value, _, words in matches]


def test_a_shop_without_examples_shows_none(client):
    """The start page is as it was."""
    assert "Try one of these" not in client.get("/").text


def test_examples_are_offered_in_the_order_of_their_names(inviting):
    """Each is a button called by what its file's name says; what is no picture is left out."""
    assert [words for _, words in shown(inviting)] == [
        "Search with this photo: Wide room",
        "Search with this photo: armchair by the window",
        "Search with this photo: green lamp",
    ]


def test_what_is_left_out_is_logged(folder, caplog):
    """Each file that is no picture, and that there are too many."""
    with caplog.at_level(logging.WARNING):
        found = examples.read(folder, Limits())
    assert len(found) == 3
    assert sorted(re.findall(r"(\S+) is no example photo", caplog.text)) == [
        str(folder / "bomb.png"),
        str(folder / "notes.txt"),
    ]
    for number in range(examples.MOST):
        (folder / f"a{number}.jpg").write_bytes(jpeg(64 + number, 64))
    assert len(examples.read(folder, Limits())) == examples.MOST
    assert f"only the first {examples.MOST}" in caplog.text


def test_one_click_leads_to_the_product(inviting):
    """An example is searched as if the shopper had sent it."""
    chosen = shown(inviting)[0][0]

    response = inviting.client.post("/search", data={"example": chosen})

    assert response.status_code == 303
    assert inviting.titles(response.location)[0] == "Chair Model 3 velvet"
    assert inviting.client.post("/search", data={"example": chosen}).location == response.location


def test_examples_are_small_and_kept_long(inviting):
    """No larger than the page needs, and known by their content."""
    chosen = shown(inviting)[1][0]

    response = inviting.client.get(f"/examples/{chosen}.jpg")

    assert decode(response.data).shape == (480, 360, 3)
    assert response.mimetype == "image/jpeg"
    assert {"public", "max-age=31536000", "immutable"} <= set(response.headers["Cache-Control"].split(", "))
    again = inviting.client.get(f"/examples/{chosen}.jpg", headers={"If-None-Match": response.headers["ETag"]})
    assert again.status_code == 304


@pytest.mark.parametrize("name", ["0" * 64, "green_lamp", "..%2fcatalogue", "../examples/green_lamp", "notes.txt"])
def test_nothing_else_is_served(inviting, name):
    """Neither by a file's name nor by a path; nor is it searched with."""
    assert inviting.client.get(f"/examples/{name}.jpg").status_code == 404
    assert inviting.client.post("/search", data={"example": name}).status_code == 404
    assert inviting.stored() == []


def test_the_list_is_made_at_the_start(inviting, folder):
    """What comes into the folder later is not served, what goes stays."""
    before = shown(inviting)
    (folder / NAMES[0]).unlink()
    (folder / "later.jpg").write_bytes(jpeg(90, 90))

    assert shown(inviting) == before
    assert all(inviting.client.get(f"/examples/{name}.jpg").status_code == 200 for name, _ in before)


@pytest.mark.parametrize("name", ["nowhere", "file"])
def test_a_folder_that_is_none_stops_the_server(settings, tmp_path, name):
    """Before it starts, in one sentence with the remedy."""
    (tmp_path / "file").write_text("")
    wrong = settings.model_copy(update={"examples": tmp_path / name, "port": 0})

    with pytest.raises(
        SettingsError, match=rf"lie in a folder, but \S+{name} cannot .* correct the setting examples\."
    ):
        serve(wrong, lambda address, problem: None)
