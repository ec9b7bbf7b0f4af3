import logging
import re

import pytest

from tests.fakes import FakeEncoder
from tests.pictures import encoded, jpeg, noise, png_header, scene
from tests.webui.conftest import running
from vsearch.core.errors import SettingsError
from vsearch.detection.detector import no_detector
from vsearch.imaging.codec import Limits, decode
from webui.image_files import MAX_EXAMPLES, load_examples
from webui.server import serve

NAMES = ("armchair-by-the-window.jpg", "green_lamp.png", "Wide room.jpg")


@pytest.fixture
def folder(tmp_path, shared_site):
    """Three photos (the last shows product 3) among files that are not photos."""
    path = tmp_path / "examples"
    (path / "more").mkdir(parents=True)
    for name, data in zip(NAMES, (jpeg(600, 800), encoded(scene(), "PNG"), shared_site.photo(3)), strict=True):
        (path / name).write_bytes(data)
    (path / "more" / "deeper.jpg").write_bytes(jpeg())
    (path / ".hidden.jpg").write_bytes(noise(40, 40))
    (path / "notes.txt").write_text("Photos by the shop.")
    (path / "bomb.png").write_bytes(png_header(60_000, 60_000))
    return path


@pytest.fixture
def example_site(settings, folder):
    """The application with these examples."""
    with running(settings.model_copy(update={"examples": folder})) as site:
        yield site


def listed(site) -> list[tuple[str, str]]:
    """Return id and alt text of the examples on the start page."""
    pattern = r'<button class="example" name="example" value="([^"]*)"><img src="/examples/([^"]*)\.jpg" alt="([^"]*)"'
    matches = re.findall(pattern, site.client.get("/").text)
    assert all(value == source for value, source, _ in matches)
    return [(value, alt) for value, _, alt in matches]


def test_examples_in_the_order_of_their_names(example_site, client):
    names = ("Wide room", "armchair by the window", "green lamp")
    assert [alt for _, alt in listed(example_site)] == [f"Search with this photo: {name}" for name in names]
    assert "Try one of these" not in client.get("/").text, "a shop without examples"


def test_skipped_files_are_logged(folder, caplog):
    with caplog.at_level(logging.WARNING):
        assert len(load_examples(folder, Limits())) == 3
        assert sorted(re.findall(r"example photo (\S+) is skipped", caplog.text)) == [
            str(folder / "bomb.png"),
            str(folder / "notes.txt"),
        ]
        for number in range(MAX_EXAMPLES):
            (folder / f"a{number}.jpg").write_bytes(jpeg(64 + number, 64))
        assert len(load_examples(folder, Limits())) == MAX_EXAMPLES
    assert f"only the first {MAX_EXAMPLES}" in caplog.text


def test_search_with_an_example(example_site):
    """Its preview is small and cached."""
    (chosen, _), (second, _), _ = listed(example_site)
    response = example_site.client.post("/search", data={"example": chosen})
    assert response.status_code == 303
    assert example_site.titles(response.location)[0] == "Chair Model 3 velvet"
    preview = example_site.client.get(f"/examples/{second}.jpg")
    assert (decode(preview.data).shape, preview.mimetype) == ((480, 360, 3), "image/jpeg")
    assert {"public", "max-age=31536000", "immutable"} <= set(preview.headers["Cache-Control"].split(", "))
    again = example_site.client.get(f"/examples/{second}.jpg", headers={"If-None-Match": preview.headers["ETag"]})
    assert again.status_code == 304


@pytest.mark.parametrize("name", ["0" * 64, "green_lamp", "..%2fcatalog", "../examples/green_lamp", "notes.txt"])
def test_other_names_are_not_found(example_site, name):
    assert example_site.client.get(f"/examples/{name}.jpg").status_code == 404
    assert example_site.client.post("/search", data={"example": name}).status_code == 404
    assert example_site.stored() == []


def test_examples_are_loaded_at_startup(example_site, folder):
    before = listed(example_site)
    (folder / NAMES[0]).unlink()
    (folder / "later.jpg").write_bytes(jpeg(90, 90))
    assert listed(example_site) == before
    assert all(example_site.client.get(f"/examples/{name}.jpg").status_code == 200 for name, _ in before)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["nowhere", "file"])
def test_unreadable_folder_stops_the_server(settings, tmp_path, name):
    (tmp_path / "file").write_text("")
    wrong = settings.model_copy(update={"examples": tmp_path / name, "port": 0})
    with pytest.raises(SettingsError, match=rf"examples: .*{name}"):
        serve(wrong, lambda url, problem: None, FakeEncoder, no_detector)
