"""The language of a page, and numbers, dates and errors in it."""

import io
import re
from datetime import date

import pytest
from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from werkzeug.datastructures import MultiDict

from tests.pictures import jpeg
from tests.webui.conftest import running
from tests.webui.test_shop import post
from vsearch.core.errors import InvalidRequest, UploadsUnavailable
from webui import formatting
from webui.criteria import from_query, has_other_numbers, parse_price
from webui.services import services_of

GERMAN = {"Accept-Language": "de-AT, en;q=0.5"}


def in_language(site, language):
    return site.app.test_request_context(f"/?lang={language}")


@pytest.mark.parametrize(
    ("address", "accepted", "language"),
    [
        *(("/", "", "en"), ("/", "de-AT, en;q=0.5", "de"), ("/", "it, fr;q=0.5", "fr"), ("/", "it", "en")),
        *(
            ("/?lang=fr", "de", "fr"),
            ("/?lang=it", "de", "de"),
            ("/nowhere", "de", "de"),
            ("/nowhere?lang=fr", "", "fr"),
        ),
    ],
)
def test_the_address_decides_then_the_browser_then_the_shop(client, address, accepted, language):
    response = client.get(address, headers={"Accept-Language": accepted})
    assert f'<html lang="{language}">' in response.text
    assert response.headers["Content-Language"] == language
    assert "Accept-Language" in response.vary
    assert response.headers["Cache-Control"] in ("private, no-cache", "no-store")


def test_a_shop_in_one_language(settings):
    with running(settings.model_copy(update={"languages": "de"})) as site:
        page = site.client.get("/?lang=en", headers={"Accept-Language": "en"})
        assert '<html lang="de">' in page.text
        assert not {"hreflang", "data-languages"} & set(re.findall(r"[\w-]+", page.text))
        assert "Accept-Language" not in page.vary


def test_the_first_language_is_the_default(settings):
    with running(settings.model_copy(update={"languages": "fr,en"})) as site:
        assert '<html lang="fr">' in site.client.get("/").text
        assert '<html lang="en">' in site.client.get("/", headers={"Accept-Language": "de, en"}).text


def test_pages_link_to_other_languages_and_keep_a_chosen_one(site):
    results = site.upload(2)
    page = site.client.get(f"{results}?class=chair&attr.color=red&attr.color=white&lang=de").text
    for language in ("en", "de", "fr"):
        (head, foot) = re.findall(rf'hreflang="{language}" href="([^"]*)"', page)
        assert head == foot
        assert foot.startswith(results + "?")
        parts = {"class=chair", "attr.color=red", "attr.color=white", f"lang={language}"}
        assert set(foot.partition("?")[2].split("&amp;")) == parts
    elsewhere = re.findall(
        r'(?:href|action)="(/(?:results|products|search)?[^"]*)"', page.partition("<body")[2].partition("<footer")[0]
    )
    assert [link for link in elsewhere if "lang=de" not in link and not link.startswith("/static")] == []
    assert '<input type="hidden" name="lang" value="de">' in page
    assert not re.search(r'src="[^"]*lang=', page), "pictures are the same in all languages"
    assert "lang=" not in site.client.get(results, headers=GERMAN).text.partition("<body")[2].partition("<footer")[0]


def test_addresses_for_search_engines_are_complete_if_the_host_is_known(settings):
    with running(settings.model_copy(update={"trusted_hosts": "localhost"})) as site:
        page = site.client.get("/?lang=de").text
    assert '<link rel="alternate" hreflang="de" href="http://localhost/?lang=de">' in page
    assert '<link rel="alternate" hreflang="x-default" href="http://localhost/">' in page


def test_redirects_keep_the_language(site):
    response = site.client.post("/search?lang=de", data={"photo": (io.BytesIO(site.photo(1)), "a.jpg")})
    assert response.location.endswith("?lang=de")
    deleted = site.client.post(response.location.replace("?", "/delete?"))
    assert "lang=de" in deleted.location
    page = site.client.get(deleted.location).text
    assert "Dein Foto wurde gelöscht." in page
    assert "deleted" not in "".join(re.findall(r'hreflang="\w+" href="([^"]*)"', page))
    assert "Disallow: /results/" in site.client.get("/robots.txt?lang=de").text


@pytest.mark.parametrize(
    ("data", "status", "words"),
    [
        (b"", 400, "Die Datei ist leer"),
        (b"%PDF-1.7", 415, "Die Datei ist ein PDF-Dokument"),
        (jpeg()[:300], 415, "unvollständig oder beschädigt"),
        (jpeg() + bytes(1_050_000), 413, "erlaubt sind 1 MB"),
        (jpeg() + bytes(3_000_000), 413, "höchstens 1 MB"),
        (jpeg(2000, 1500), 413, "Millionen Pixel"),
    ],
)
def test_errors_are_in_the_language_of_the_page(client, data, status, words):
    response = post(client, data, headers=GERMAN)
    message = re.search(r'role="alert">([^<]*)', response.text)[1]
    assert (response.status_code, words in message) == (status, True), message


def test_numbers_in_messages_are_localized(client):
    response = post(client, jpeg() + bytes(1_050_000), headers=GERMAN)
    assert "1,1 MB" in response.text


@pytest.mark.parametrize(
    ("query", "words"),
    [("box=1,2", "Der Bereich"), ("class=nothing", "Die Kategorie"), ("page=0", "keine gültige Seite")],
)
def test_invalid_addresses(site, query, words):
    response = site.client.get(f"{site.upload(2)}?{query}", headers=GERMAN)
    assert (response.status_code, words in response.text) in ((400, True), (404, True))


def test_too_many_searches(settings):
    with running(settings.model_copy(update={"rate_limit": "1/minute"})) as site:
        post(site.client, b"", headers=GERMAN)
        response = post(site.client, b"", headers=GERMAN)
    assert (response.status_code, "sehr oft gesucht" in response.text) == (429, True)


def test_problems_of_the_operator_are_not_shown(site, monkeypatch):
    def fail(*arguments, **options):
        raise UploadsUnavailable("The folder /srv/uploads cannot be used.")

    monkeypatch.setattr(services_of(site.app).uploads, "put", fail)
    response = post(site.client, b"x", headers=GERMAN)
    assert (response.status_code, "keine Fotos speichern" in response.text) == (503, True)


def test_a_photo_that_is_only_kept_for_review(site):
    results = site.upload(2)
    verdict = {"sku": "P-02", "verdict": "right", "box": "", "rank": "1"}
    assert site.client.post(f"{results}/feedback", data=verdict).status_code == 303
    services_of(site.app).uploads.delete(results.rpartition("/")[2])
    page = site.client.get(results, headers=GERMAN)
    assert page.status_code == 404
    assert re.search(r"längstens bis \d+\. [A-Z][a-zä]+ 20\d\d,", page.text)


def test_an_error_without_translation_is_a_general_one(site, monkeypatch):
    def fail(*arguments, **options):
        raise InvalidRequest("This text is nowhere.")

    monkeypatch.setattr(services_of(site.app).uploads, "put", fail)
    for headers, words in ((GERMAN, "nicht verstehen"), ({}, "This text is nowhere.")):
        response = post(site.client, b"x", headers=headers)
        assert (response.status_code, words in response.text) == (400, True)


def test_the_api_is_english_unless_asked(client):
    def message(query):
        return client.get(f"/api/v1/products/none{query}", headers=GERMAN).get_json()["detail"]

    assert message("").startswith("No product")
    assert message("?lang=de").startswith("Kein Produkt")
    assert client.get("/api/v1/products/none?lang=it").status_code == 400
    assert client.get("/api/nowhere?lang=fr").get_json()["detail"].startswith("Vérifiez")


def test_the_admin_pages_are_english(settings):
    with running(settings.model_copy(update={"admin_bind": ""})) as site:
        response = site.client.get("/admin/login", headers=GERMAN)
        assert 'lang="en"' in response.text
        assert "Content-Language" not in response.headers
        assert "Accept-Language" not in response.vary


PRICES = {
    (129000, "EUR"): {"en": "€1,290", "de": "1.290,00 €", "fr": "1 290,00 €"},
    (119890, "SEK"): {"en": "SEK 1,198.90", "de": "1.198,90 SEK", "fr": "1 198,90 SEK"},
    (1500, "JPY"): {"en": "¥1,500", "de": "1.500 ¥", "fr": "1 500 JPY"},
    (12345, "KWD"): {"en": "KWD 12.345", "de": "12,345 KWD", "fr": "12,345 KWD"},
}


@pytest.mark.parametrize("language", ["en", "de", "fr"])
def test_prices(site, language):
    with in_language(site, language):
        for price, expected in PRICES.items():
            shown = formatting.format_price(*price, whole=language == "en")
            assert re.sub(r"\s", " ", shown) == expected[language]


def test_whole_bounds_have_no_decimals(site):
    with in_language(site, "de"):
        assert formatting.format_price(30000, "EUR").replace("\N{NO-BREAK SPACE}", " ") == "300 €"


@pytest.mark.parametrize(
    ("language", "text", "currency", "minor"),
    [
        *(("de", "1.290", "EUR", 129000), ("de", "1.290,50 €", "EUR", 129050), ("de", "1198.90", "EUR", 119890)),
        *(("de", "1,199", "KWD", 1199), ("de", "1.199", "KWD", 1199), ("en", "1,290", "EUR", 129000)),
        *(("fr", "1 290,50 €", "EUR", 129050), ("fr", "1\u202f290", "EUR", 129000)),
    ],
)
def test_typed_prices(site, language, text, currency, minor):
    with in_language(site, language):
        assert parse_price(text, currency) == minor


@pytest.mark.parametrize(("language", "text"), [("de", "1,290"), ("fr", "1,290"), ("fr", "1.290"), ("en", "1.290")])
def test_ambiguous_prices(site, language, text):
    with in_language(site, language), pytest.raises(InvalidRequest, match="ambiguous"):
        parse_price(text, "EUR")


def test_addresses_mean_the_same_in_all_languages(site):
    """A price that only German reads so leads to an address that all languages read so."""
    results = site.upload(2)
    response = site.client.get(f"{results}?price_max=1.200&width_max=80,5+cm&lang=de")
    assert response.status_code == 303
    assert re.search(r"price_max=1200&width_max=80.5", response.location)
    page = site.client.get(response.location)
    assert (page.status_code, 'value="80,5"' in page.text) == (200, True)
    english = site.client.get(f"{results}?price_max=1.200")
    assert (english.status_code, "ambiguous" in english.text) == (400, True)


@pytest.mark.parametrize("text", ["1200", "1198.90", "1.199"])
def test_plain_numbers_are_kept(text):
    query = MultiDict({"price_max": text})
    assert not has_other_numbers(query, from_query(query, "KWD"))


def test_dates_numbers_and_dimensions(site):
    with in_language(site, "de"):
        assert formatting.day(date(2026, 5, 3)) == "3. Mai 2026"
        assert formatting.number(12345) == "12.345"
        assert formatting.dimension("80.5 cm") == "80,5 cm"
        assert formatting.dimension("1.200 mm, 1.2.3") == "1.200 mm, 1.2.3"
        assert formatting.class_title("width") == "Breite"
        assert formatting.class_title("> Other products") == "Weitere Produkte"
    with in_language(site, "en"):
        assert (formatting.day(date(2026, 5, 3)), formatting.number(12345)) == ("3 May 2026", "12,345")


def test_a_theme_brings_its_own_translations(settings, tmp_path):
    """They replace texts of vsearch, in English too, and translate those of the theme's templates."""
    (tmp_path / "templates").mkdir()
    home = (
        '{% extends "base.html" %}{% block main %}<h1>{{ _("Our sofas") }}</h1>{{ _("Delete my photo") }}{% endblock %}'
    )
    (tmp_path / "templates" / "home.html").write_text(home)
    for language, texts in {
        "de": {"Our sofas": "Unsere Sofas"},
        "en": {"Delete my photo": "Remove my picture"},
    }.items():
        catalog = Catalog(locale=language)
        for original, text in texts.items():
            catalog.add(original, text)
        folder = tmp_path / "translations" / language / "LC_MESSAGES"
        folder.mkdir(parents=True)
        with (folder / "messages.mo").open("wb") as file:
            write_mo(file, catalog)
    with running(settings.model_copy(update={"theme": tmp_path})) as site:
        german, english = (site.client.get(f"/?lang={language}").text for language in ("de", "en"))
    assert "Unsere Sofas" in german
    assert "Mein Foto löschen" in german
    assert "Our sofas" in english
    assert "Remove my picture" in english
