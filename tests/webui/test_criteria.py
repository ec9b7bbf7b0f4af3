import pytest
from werkzeug.datastructures import MultiDict

from vsearch.core.errors import InvalidRequest
from vsearch.imaging.geometry import Box
from webui.criteria import Criteria, from_form, from_query


def test_query_is_parsed_back():
    box = Box(0.1, 0.2, 0.3, 0.4)
    chosen = (("attr.color", ("moss, dark", "sage")), ("brand", ("Nordhem",)))
    first = (box, "Seating > Sofas", "euclidean", "oak -steel", 100_00, 99_99_99, True, 3, True, "12345678")
    criteria = Criteria(*first, "SEK", currency_chosen=True, width_max=80.5, chosen=chosen, sort="price")
    assert from_query(criteria.query(), ["EUR", "SEK"]) == criteria
    assert from_query(MultiDict(criteria.query()), ["EUR", "SEK"]) == criteria


def test_currency_is_the_first_one_unless_another_is_chosen():
    found = from_query({"price_max": "20", "currency": "JPY"}, ["EUR", "JPY"])
    assert (found.price_max, found.currency, found.query()["currency"]) == (20, "JPY", "JPY")
    assert from_query({"currency": "EUR"}, ["EUR", "JPY"]) == Criteria()


@pytest.mark.parametrize(("text", "width"), [("80", 80), ("80,5 cm", 80.5), ("120.5cm", 120.5)])
def test_widths(text, width):
    assert from_query({"width_max": text}, "EUR").width_max == width


@pytest.mark.parametrize("name", ["price", "stock", "width", "words", "brand", "attr.color"])
def test_one_filter_is_removed(name):
    chosen = (("attr.color", ("moss",)), ("brand", ("Nordhem",)))
    criteria = Criteria(text="oak", price_max=10, in_stock=True, width_max=80, chosen=chosen, class_name="sofa", page=2)
    left = criteria.without(name)
    assert left.page == 1
    assert left.is_narrowed
    assert len(left.query()) == len(criteria.query()) - 2, "the page and one filter"
    assert not criteria.with_changes(**criteria.cleared).is_narrowed


def test_defaults_have_no_parameters():
    assert from_query({}, "EUR") == Criteria()
    assert from_query({"utm_source": "mail", "page": ""}, "EUR") == Criteria()
    assert Criteria().query() == {}
    assert not Criteria().filters
    assert Criteria(in_stock=True).filters


def test_swapped_price_bounds():
    criteria = from_query({"price_min": "20", "price_max": "10"}, "EUR")
    assert (criteria.price_min, criteria.price_max) == (10_00, 20_00)


def test_changes_go_back_to_the_first_page():
    criteria = Criteria(text="oak", page=3)
    assert criteria.with_changes(metric="euclidean") == Criteria(text="oak", metric="euclidean")
    assert criteria.with_changes(page=4) == Criteria(text="oak", page=4)


INVALID = (
    *("box=1,2,3", "box=0,0,2,2", "metric=manhattan", "price_min=cheap", "price_max=-5", "stock=maybe", "visual=twice"),
    *(
        "width_max=0",
        "width_max=wide",
        "sort=beauty",
        "currency=USD",
        "page=0",
        "page=x",
        "page=1000",
        "page=" + "1" * 5000,
        "article_number=12a",
        "article_number=" + "1" * 17,
    ),
)


@pytest.mark.parametrize("parameter", INVALID)
def test_invalid_parameters(parameter):
    name, _, value = parameter.partition("=")
    with pytest.raises(InvalidRequest):
        from_query({name: value}, "EUR")


def test_form_keeps_other_criteria_if_prices_are_invalid():
    criteria, problems = from_form({"price_min": "cheap", "price_max": "10", "text": "oak"}, "EUR")
    assert criteria == Criteria(price_max=10_00, text="oak")
    assert list(problems) == ["price_min"]
    assert "cheap" in str(problems["price_min"])
