"""The shop's name, logo, style sheet and templates."""

import pytest
from flask import Flask

from tests.webui.conftest import running
from vsearch.core.errors import SettingsError
from webui import theme


@pytest.fixture
def themed(settings, tmp_path):
    """A site with a theme; its folder."""
    folder = tmp_path / "theme"
    (folder / "static").mkdir(parents=True)
    (folder / "templates").mkdir()
    with running(settings.model_copy(update={"theme": folder, "shop_name": "Nord & Hem"})) as site:
        yield site, folder


def test_the_shops_name_is_in_header_and_titles(themed):
    site, _ = themed
    home, product = (site.client.get(path).text for path in ("/", "/products/P-03"))
    assert "<title>Nord &amp; Hem</title>" in home
    assert "Nord &amp; Hem</a>" in home
    assert "Chair Model 3 velvet · Nord &amp; Hem</title>" in product
    assert "icon.svg" in home
    assert "theme.css" not in home


def test_files_of_the_theme(themed):
    site, folder = themed
    (folder / "static" / "theme.css").write_text(":root { --accent: #123456; }")
    (folder / "static" / "logo.png").write_bytes(b"png")
    (folder / "secret.txt").write_text("secret")
    home = site.client.get("/").text
    assert home.index("style.css") < home.index("/theme/theme.css")
    assert "/theme/logo.png" in home
    with site.client.get("/theme/theme.css") as answer:
        assert (answer.mimetype, "#123456" in answer.text) == ("text/css", True)
    for name in ("../secret.txt", "..%2Fsecret.txt", "missing.css", ""):
        assert site.client.get(f"/theme/{name}").status_code == 404


def test_templates_of_the_theme_replace_those_of_vsearch(themed):
    site, folder = themed
    (folder / "templates" / "home.html").write_text(
        '{% extends "base.html" %}{% block main %}<h1>Welcome to {{ theme.name }}</h1>{% endblock %}'
    )
    text = site.client.get("/").text
    assert "Welcome to Nord &amp; Hem" in text
    assert "Seen something you love" not in text
    assert site.client.get("/products/P-03").status_code == 200


def test_a_theme_that_does_not_exist_is_an_error(settings, tmp_path):
    with pytest.raises(SettingsError, match="theme"):
        theme.register(Flask("test"), settings.model_copy(update={"theme": tmp_path / "missing"}))
