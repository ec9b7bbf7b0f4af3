import pytest

from vsearch.core.errors import InvalidRequest
from vsearch.imaging.geometry import Box
from webui.criteria import Criteria, from_form, from_query


def test_query_is_parsed_back():
    box = Box(0.1, 0.2, 0.3, 0.4)
    criteria = Criteria(box, "Seating > Sofas", "euclidean", "oak", 100_00, 99_99_99, True, 3, True, "12345678")
    assert from_query(criteria.query(), "EUR") == criteria


def test_defaults_have_no_parameters():
    assert from_query({}, "EUR") == Criteria()
    assert from_query({"utm_source": "mail", "page": ""}, "EUR") == Criteria()
    assert Criteria().query() == {}
    assert Criteria().facets == {}
    assert Criteria(in_stock=True).facets == {"in_stock": True}


def test_swapped_price_bounds():
    criteria = from_query({"price_min": "20", "price_max": "10"}, "EUR")
    assert (criteria.price_min, criteria.price_max) == (10_00, 20_00)


def test_changes_go_back_to_the_first_page():
    criteria = Criteria(text="oak", page=3)
    assert criteria.with_changes(metric="euclidean") == Criteria(text="oak", metric="euclidean")
    assert criteria.with_changes(page=4) == Criteria(text="oak", page=4)


INVALID = (
    *("box=1,2,3", "box=0,0,2,2", "metric=manhattan", "price_min=cheap", "price_max=-5", "stock=maybe", "visual=twice"),
    *("page=0", "page=x", "page=1000", "page=" + "1" * 5000, "article_number=12a", "article_number=" + "1" * 17),
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
    assert "cheap" in problems["price_min"]
