"""The translations are complete, and agree with the code; the templates contain no text that is not translated."""

import io
import re
import tomllib
from html.parser import HTMLParser
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog, Message
from babel.messages.extract import DEFAULT_KEYWORDS, extract_from_dir
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from jinja2 import Environment

ROOT = Path(__file__).parents[2]
TRANSLATIONS = ROOT / "webui" / "translations"
TEMPLATES = sorted({*(ROOT / "webui" / "templates").glob("*.html")} - {ROOT / "webui" / "templates" / "api_docs.html"})
REMEDY = "run `make translations`, and translate what is new in webui/translations/*/LC_MESSAGES/messages.po"

each_language = pytest.mark.parametrize("language", ["de", "fr"])


@pytest.fixture(scope="module")
def extracted() -> set:
    """The messages in the code as (context, id), extracted as `make translations` does."""
    config = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf8"))["tool"]["babel"]
    mappings = [(pattern, each["method"]) for each in config["mappings"] for pattern in each["pattern"]]
    options = {pattern: {"trimmed": "true"} for pattern, method in mappings if method == "jinja2"}
    names = re.search(r"^KEYWORDS := (.*)", (ROOT / "Makefile").read_text(encoding="utf8"), re.MULTILINE)[1].split()
    keywords = {**DEFAULT_KEYWORDS, **dict.fromkeys(names)}
    found = set()
    for folder in ("webui", "vsearch/imaging", "vsearch/index"):
        names = [(pattern.removeprefix(f"{folder}/"), method) for pattern, method in mappings if folder in pattern]
        chosen = {pattern.removeprefix(f"{folder}/"): value for pattern, value in options.items()}
        messages = extract_from_dir(ROOT / folder, names, chosen, keywords)
        found |= {(context, message) for _, _, message, _, context in messages}
    return found


def catalog_of(language: str) -> Catalog:
    with (TRANSLATIONS / language / "LC_MESSAGES" / "messages.po").open("rb") as file:
        return read_po(file, locale=language)


def messages_of(catalog: Catalog) -> list[Message]:
    return [message for message in catalog if message.id]


@each_language
def test_every_text_is_translated_and_no_other(language, extracted):
    catalog = catalog_of(language)
    messages = messages_of(catalog)
    assert {(message.context, message.id) for message in messages} ^ extracted == set(), REMEDY
    texts = {message.id: message.string for message in messages}
    missing = [each for each, text in texts.items() if not all(text if isinstance(text, tuple) else [text])]
    assert missing == [], REMEDY
    assert [message.id for message in messages if message.fuzzy] == []
    assert catalog.obsolete == {}


@each_language
def test_placeholders_and_markup_are_those_of_the_original(language):
    for message in messages_of(catalog_of(language)):
        originals = message.id if isinstance(message.id, tuple) else (message.id,)
        translations = message.string if isinstance(message.string, tuple) else (message.string,)
        for original, translation in zip(originals, translations, strict=True):
            for pattern in (r"%\(\w+\)\w", r"<[^>]+>"):
                assert sorted(re.findall(pattern, original)) == sorted(re.findall(pattern, translation)), original
            assert ('"' in translation) <= ('"' in original), f"{original}: a quote would end an attribute"


@each_language
def test_compiled_translations_are_current(language):
    compiled = io.BytesIO()
    write_mo(compiled, catalog_of(language))
    assert (TRANSLATIONS / language / "LC_MESSAGES" / "messages.mo").read_bytes() == compiled.getvalue(), REMEDY


@each_language
def test_the_widget_has_the_same_translation(language):
    widget = (ROOT / "webui" / "static" / "widget.js").read_text(encoding="utf8")
    assert re.search(rf'\b{language}: "(.*?)"', widget)[1] == catalog_of(language)["Search by photo"].string


SAME_IN_ALL_LANGUAGES = {"cm", "https://", "{}"}
READ_ALOUD = {"alt", "aria-label", "content", "placeholder", "title"}
NOT_TEXT = {"viewport", "theme-color", "robots", "twitter:card", "og:type"}
"""Names of `meta` elements whose content is not text."""


class Texts(HTMLParser):
    """Collects the texts of a page and of the attributes that are read aloud or shown by scripts."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_data(self, data: str) -> None:
        self.found.append(data)

    def handle_starttag(self, tag: str, attributes: list) -> None:
        given = dict(attributes)
        if given.get("name", given.get("property")) in NOT_TEXT:
            return
        self.found += [
            value
            for name, value in attributes
            if value and (name in READ_ALOUD or (name.startswith("data-") and re.search(r"\w \w|^[A-Z]", value)))
        ]


def literal_texts(source: str) -> list[str]:
    """Return the texts of a template outside expressions and `trans` blocks, and those in expressions."""
    html, strings, translated, called = "", [], False, ""
    for _, kind, value in Environment(extensions=["jinja2.ext.i18n"]).lex(source):
        if kind == "name" and value in ("trans", "endtrans"):
            translated = value == "trans"
        elif kind == "data" and not translated:
            html += value
        elif kind in ("variable_begin", "block_begin", "raw_begin"):
            html += "{}" if kind == "variable_begin" else ""
        elif kind == "string" and called not in ("_", "gettext", "ngettext", "pgettext"):
            strings.append(value[1:-1])
        if kind == "name":
            called = value
        elif (kind == "operator" and value == ")") or kind in ("variable_begin", "block_begin"):
            called = ""
    parser = Texts()
    parser.feed(html)
    prose = [each for each in strings if re.search(r"[A-Za-z]{2,},? [a-z]|^[A-Z][a-z]", each)]
    return [text.strip() for text in parser.found] + [each for each in prose if not re.search(r"[<{(]", each)]


@pytest.mark.parametrize("template", TEMPLATES, ids=[path.name for path in TEMPLATES])
def test_templates_contain_no_other_text(template):
    found = [each.replace("{}", " ").strip() for each in literal_texts(template.read_text(encoding="utf8"))]
    assert [each for each in found if re.search(r"[A-Za-z]{2,}", each) and each not in SAME_IN_ALL_LANGUAGES] == []


def test_text_outside_of_calls_is_noticed():
    assert "Hello" in literal_texts("<p>{{ _('Good day') }} Hello</p>")[-1]
    assert "A picture" in literal_texts("<img alt='A picture'>")
    assert "Choose it" in literal_texts("{{ upload('Choose it') }}")
    assert literal_texts("<p title=\"{{ _('Name') }}\">{% trans %}Hello you{% endtrans %}</p>") == ["{}"]
