"""The shoppers' pages in German and French, in Chromium."""

import re
from functools import cache

import pytest
from flask import Flask

from tests.webui.admin.test_browser import violations
from tests.webui.conftest import fits, room, running
from tests.webui.test_translations import catalog_of, messages_of

pytestmark = pytest.mark.browser

phone_and_desktop = pytest.mark.parametrize("width", [360, 1280])

TEXTS = """() => {
  const texts = [];
  const walker = document.createTreeWalker(document.documentElement, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    if (!walker.currentNode.parentElement.closest("script, style")) texts.push(walker.currentNode.data);
  }
  const shown = /^(alt|aria-label|content|placeholder|title|data-.*)$/;
  for (const each of document.querySelectorAll("*")) {
    for (const { name, value } of each.attributes) if (shown.test(name)) texts.push(value);
  }
  return texts;
}"""
"""Script that returns the texts of a page, and of the attributes that are read aloud or shown by scripts."""


@cache
def english(language: str) -> list[re.Pattern[str]]:
    """Return patterns of the English texts that are different in a language, and say more than a placeholder."""
    patterns = []
    for message in messages_of(catalog_of(language)):
        originals = message.id if isinstance(message.id, tuple) else (message.id,)
        translations = message.string if isinstance(message.string, tuple) else (message.string,)
        for original in set(originals) - set(translations):
            parts = re.split(r"%\(\w+\)\w|<[^>]+>", original)
            if len("".join(parts)) > 8 or len(parts) == 1:
                patterns.append(re.compile(".+".join(re.escape(part) for part in parts)))
    return patterns


@pytest.fixture
def check(open_page):
    """A function that checks that a page is in one language, accessible, and fits its width."""

    def check(page, language: str, width: int) -> None:
        texts = {" ".join(text.split()) for text in page.evaluate(TEXTS)}
        found = {text for text in texts for pattern in english(language) if pattern.fullmatch(text)}
        assert found == set()
        assert page.locator("html").get_attribute("lang") == language
        assert fits(page, width)
        assert violations(page) == []

    return check


@pytest.fixture
def files(tmp_path):
    """Files of a photo of a room, and of a document."""
    (tmp_path / "room.jpg").write_bytes(room())
    (tmp_path / "document.jpg").write_bytes(b"%PDF-1.7")
    return tmp_path


def open_filters(page, width: int) -> None:
    """Unfold the filters, which phones fold after each use."""
    if width < 400:
        page.locator("[data-refine]:not([open]) > summary").click()


def test_english_texts_are_noticed():
    found = {text for text in ("Closest matches", "Matches: chair", "Beste Treffer", "Passt zu: Stuhl")
             for pattern in english("de") if pattern.fullmatch(text)}  # fmt: skip
    assert found == {"Closest matches", "Matches: chair"}


@phone_and_desktop
def test_a_german_shopper(open_page, detector_site, files, check, width):
    page = open_page(detector_site, width, locale="de-DE", has_touch=width < 400)
    page.get_by_text("Mit einem Bild aus dem Web suchen").click()
    check(page, "de", width)

    page.set_input_files("#photo", files / "document.jpg")
    page.get_by_role("alert").filter(has_text="Die Datei ist ein PDF-Dokument").wait_for()
    check(page, "de", width)

    page.set_input_files("#photo", files / "room.jpg")
    page.wait_for_url(re.compile("/results/"))
    results = page.url
    check(page, "de", width)
    page.get_by_role("button", name="Bereich wählen").click()
    page.get_by_role("button", name="Ecke unten rechts").wait_for()
    check(page, "de", width)
    page.get_by_role("button", name="Abbrechen").click()

    page.get_by_role("navigation", name="Wonach gesucht wird").get_by_role("link", name="2 Chair").click()
    page.wait_for_url(re.compile(r"box="))
    card = page.locator(".card", has=page.get_by_role("link", name="Chair Model 3 velvet"))
    card.locator(".card__menu summary").click()
    first = page.get_by_role("group", name="Deine Bewertung von Chair Model 3 velvet")
    first.get_by_role("button", name="Treffer").click()
    card.get_by_role("status").filter(has_text="Danke.").wait_for()

    open_filters(page, width)
    page.get_by_label("Bis", exact=True).fill("1.190,50")
    page.get_by_label("Passt in eine Breite von").fill("80,5")
    page.get_by_role("button", name="Anwenden").click()
    page.wait_for_url(re.compile(r"price_max=1190\.50&width_max=80\.5"))
    assert page.get_by_label("Bis", exact=True).input_value() == "1190,50"
    assert page.get_by_label("Passt in eine Breite von").input_value() == "80,5"
    assert "131,50 €" in page.locator(".card").first.inner_text().replace("\N{NO-BREAK SPACE}", " ")
    check(page, "de", width)
    open_filters(page, width)
    page.get_by_label("Bis", exact=True).fill("1,190")
    page.get_by_role("button", name="Anwenden").click()
    page.get_by_role("alert").filter(has_text="mehrdeutig").wait_for()
    check(page, "de", width)

    page.goto(results + "?price_max=1&text=zebra&class=all")
    page.get_by_text("Kein Produkt passt zu diesen Filtern.").wait_for()
    check(page, "de", width)

    page.goto(results)
    page.goto(page.locator(".why-link").first.evaluate("it => it.href"))
    check(page, "de", width)
    page.get_by_role("link", name="Zurück zu den Ergebnissen").click()
    page.locator(".card a").first.click()
    page.wait_for_url(re.compile("/products/"))
    check(page, "de", width)
    page.get_by_role("link", name="Alle ähnlichen Produkte zeigen").click()
    page.get_by_role("heading", name="Ähnliche Produkte", level=1).wait_for()
    check(page, "de", width)

    page.goto(results)
    page.wait_for_function("localStorage.getItem('vsearch-photos')")
    page.locator(".wordmark").click()
    page.get_by_role("heading", name="Deine letzten Fotos").wait_for()
    check(page, "de", width)
    page.goto(results)
    page.get_by_role("link", name="Mein Foto löschen").click()
    page.get_by_role("heading", name="Dein Foto löschen?").wait_for()
    check(page, "de", width)
    page.get_by_role("button", name="Mein Foto löschen").click()
    page.get_by_role("status").filter(has_text="Dein Foto wurde gelöscht.").wait_for()
    check(page, "de", width)
    assert page.goto(results).status == 404
    check(page, "de", width)


@phone_and_desktop
def test_a_french_shopper(open_page, detector_site, files, check, width):
    page = open_page(detector_site, width, locale="fr-FR")
    check(page, "fr", width)
    page.set_input_files("#photo", files / "room.jpg")
    page.wait_for_url(re.compile("/results/"))
    check(page, "fr", width)
    open_filters(page, width)
    page.get_by_label("À", exact=True).fill("1 190,50 €")
    page.get_by_role("button", name="Appliquer").click()
    page.wait_for_url(re.compile(r"price_max=1190\.50"))
    check(page, "fr", width)
    page.locator(".card a").first.click()
    page.wait_for_url(re.compile("/products/"))
    check(page, "fr", width)


@pytest.mark.parametrize("javascript", [True, False], ids=["javascript", "no javascript"])
def test_another_language_is_chosen_and_kept(open_page, detector_site, javascript):
    """The link leads to the same results, also after these were replaced in place."""
    results = detector_site.upload(3)
    page = open_page(detector_site, javascript=javascript, path=results)
    page.get_by_role("link", name="All categories", exact=True).click()
    page.wait_for_url(re.compile(r"class=all$"))
    page.get_by_role("navigation", name="Language").get_by_role("link", name="Deutsch").click()
    page.wait_for_url(re.compile(r"class=all&lang=de$"))
    page.get_by_role("heading", name="Beste Treffer").wait_for()
    page.locator("label", has_text="Nur auf Lager").click()
    if not javascript:
        page.get_by_role("button", name="Anwenden").click()
    page.wait_for_url(re.compile(r"lang=de.*stock=in"))
    page.locator(".card a").first.click()
    page.wait_for_url(re.compile(r"/products/.*lang=de"))
    page.get_by_role("heading", name="Ähnliche Produkte").wait_for()
    page.locator(".wordmark").click()
    page.get_by_role("heading", name="Etwas Schönes gesehen?").wait_for()


def test_the_widget_speaks_the_language_of_its_page(open_page, settings, files):
    """On the shop's page in German, the button and the results are German, whatever the browser prefers."""
    shop = Flask("shop")
    with running(settings) as site:
        search = open_page(site).url.rstrip("/")
        script = f'<script src="{search}/static/widget.js" defer></script>'
        shop.add_url_rule("/", view_func=lambda: f'<html lang="de-AT"><title>Shop</title><h1>Shop</h1>{script}</html>')
        own = open_page(site, app=shop)
        own.get_by_role("button", name="Fotosuche").wait_for()
        assert own.locator(".vsearch-form").get_attribute("action") == f"{search}/search?lang=de"
