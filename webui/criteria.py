"""The search criteria of a results page: its query string, parsed."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

from werkzeug.datastructures import MultiDict

from catalog.facets import ATTRIBUTE, BRAND, MAX_VALUES, Filters
from catalog.prices import DECIMALS, AmbiguousPrice, PriceError, Separators, read_price
from vsearch.core.errors import InvalidRequest
from vsearch.core.settings import Metric
from vsearch.imaging.geometry import Box
from vsearch.search.engine import ALL
from webui import formatting

MAX_PAGE = 50
MAX_TEXT_LENGTH = 200
MAX_ARTICLE_NUMBER_LENGTH = 16
MAX_FACETS = 40
PRICE_FIELDS = ("price_min", "price_max")
FORM_FIELDS = (*PRICE_FIELDS, "width_max")
THOUSANDTHS = 3  # decimals

Sort = Literal["likeness", "price", "price_desc"]


@dataclass(frozen=True)
class Criteria:
    """Filters and ordering of the results for one photo."""

    box: Box | None = None
    class_name: str = ""  # a class, `ALL`, or empty to search the classes that the photo suggests
    metric: Metric = "cosine"
    text: str = ""
    price_min: int | None = None  # in minor units of `currency`, like `price_max`
    price_max: int | None = None
    in_stock: bool = False
    page: int = 1
    visual_only: bool = False  # do not read an article number from the photo
    article_number: str = ""  # read from the photo, unless it identifies exactly one product
    currency: str = "EUR"
    currency_chosen: bool = False  # by the shopper; otherwise it is that of most prices
    width_max: float | None = None  # in centimeters
    chosen: tuple[tuple[str, tuple[str, ...]], ...] = ()  # (facet, values of which a product must have one)
    sort: Sort = "likeness"

    @property
    def classes(self) -> tuple[str, ...] | Literal["all"] | None:
        """The `classes` argument of an engine search."""
        if self.class_name == ALL:
            return ALL
        return (self.class_name,) if self.class_name else None

    @property
    def filters(self) -> Filters:
        """The filters by what is known about products; false if there are none."""
        return Filters(self.price_min, self.price_max, self.currency, self.in_stock, self.width_max, self.chosen)

    @property
    def is_narrowed(self) -> bool:
        """Whether words or filters leave products out."""
        return bool(self.text or self.filters)

    @property
    def cleared(self) -> dict[str, Any]:
        """The changes that remove words and filters."""
        prices = {"price_min": None, "price_max": None}
        return {"text": "", **prices, "in_stock": False, "width_max": None, "chosen": ()}

    @property
    def unfiltered(self) -> "Criteria":
        """A copy without box, class, words and filters."""
        class_name = ALL if self.class_name == ALL else ""
        return replace(self, box=None, class_name=class_name, **self.cleared)

    def with_changes(self, **changes: Any) -> "Criteria":
        """Return a copy with some fields changed, back on the first page."""
        return replace(self, **{"page": 1, **changes})

    def values_of(self, facet: str) -> tuple[str, ...]:
        """Return the chosen values of a facet."""
        return dict(self.chosen).get(facet, ())

    @property
    def in_use(self) -> tuple[tuple[str, str], ...]:
        """The filters in use, (name, value) as for `without`; the value is empty if the name says enough."""
        price = self.price_min is not None or self.price_max is not None
        used = {"words": self.text, "price": price, "stock": self.in_stock, "width": self.width_max}
        facets = ((name, value) for name, values in self.chosen for value in values)
        return (*((name, "") for name, value in used.items() if value not in ("", False, None)), *facets)

    def without(self, name: str, value: str = "") -> "Criteria":
        """Return a copy without one filter: "price", "stock", "width", "words", a facet, or one value of a facet."""
        removed: dict[str, dict[str, Any]] = {
            "price": {"price_min": None, "price_max": None},
            "stock": {"in_stock": False},
            "width": {"width_max": None},
            "words": {"text": ""},
        }
        others = tuple(other for other in self.values_of(name) if value and other != value)
        chosen = ((key, others if key == name else values) for key, values in self.chosen)
        kept = tuple((key, values) for key, values in chosen if values)
        return self.with_changes(**removed.get(name, {"chosen": kept}))

    def query(self) -> dict[str, Any]:
        """Return the query parameters that `from_query` parses into these criteria, omitting defaults."""
        parameters = {
            "box": str(self.box) if self.box else "",
            "class": self.class_name,
            "metric": "" if self.metric == "cosine" else self.metric,
            "text": self.text,
            "price_min": self.price_number(self.price_min),
            "price_max": self.price_number(self.price_max),
            "currency": self.currency if self.currency_chosen else "",
            "stock": "in" if self.in_stock else "",
            "width_max": "" if self.width_max is None else f"{self.width_max:g}",
            **{name: list(values) for name, values in self.chosen},
            "sort": "" if self.sort == "likeness" else self.sort,
            "page": str(self.page) if self.page > 1 else "",
            "visual": "only" if self.visual_only else "",
            "article_number": self.article_number,
        }
        return {name: value for name, value in parameters.items() if value}

    @property
    def typed(self) -> dict[str, str]:
        """The values of the input fields for numbers, as they are written in the language of the request."""
        query = self.query()
        return {name: formatting.typed_number(query.get(name, "")) for name in FORM_FIELDS}

    def price_number(self, minor: int | None) -> str:
        """Format a price bound for a URL."""
        return "" if minor is None else formatting.price_number(minor, self.currency)


def from_query(query: Mapping[str, Any], currencies: str | Sequence[str]) -> Criteria:
    """Parse query parameters; empty and unknown ones are ignored, an invalid value raises `InvalidRequest`.

    Prices are in the first of the currencies, those of the catalog, unless another one is chosen.
    """
    currencies = (currencies,) if isinstance(currencies, str) else tuple(currencies)
    given = {name: text for name in query if (text := str(_values(query, name)[0]).strip())}
    currency = _choice(given, "currency", currencies) or currencies[0]
    low, high = (parse_price(given[name], currency) if name in given else None for name in PRICE_FIELDS)
    if low is not None and high is not None and low > high:
        low, high = high, low
    number = given.get("article_number", "")
    if not _is_digits(number or "0", MAX_ARTICLE_NUMBER_LENGTH):
        raise InvalidRequest(
            "%(number)r is not an article number. Use up to %(limit)s digits.",
            number=number[:20],
            limit=MAX_ARTICLE_NUMBER_LENGTH,
        )
    page = given.get("page", "1")
    if not (_is_digits(page, 8) and 1 <= int(page) <= MAX_PAGE):
        raise InvalidRequest("%(page)r is not a valid page. Use 1 to %(limit)s.", page=page[:20], limit=MAX_PAGE)
    return Criteria(
        box=Box.parse(given["box"]) if "box" in given else None,
        class_name=given.get("class", ""),
        metric=_choice(given, "metric", get_args(Metric)) or "cosine",  # type: ignore[arg-type]
        text=given.get("text", "")[:MAX_TEXT_LENGTH],
        price_min=low,
        price_max=high,
        in_stock=bool(_choice(given, "stock", ("in",))),
        page=int(page),
        visual_only=bool(_choice(given, "visual", ("only",))),
        article_number=number,
        currency=currency,
        currency_chosen="currency" in given and currency != currencies[0],
        width_max=_parse_width(given["width_max"]) if "width_max" in given else None,
        chosen=_chosen(query),
        sort=_choice(given, "sort", get_args(Sort)) or "likeness",  # type: ignore[arg-type]
    )


def from_form(query: Mapping[str, Any], currencies: str | Sequence[str]) -> tuple[Criteria, dict[str, InvalidRequest]]:
    """Parse query parameters like `from_query`, but return the errors of invalid numbers, by field name."""
    problems: dict[str, InvalidRequest] = {}
    context = {"currency": query["currency"]} if "currency" in query else {}
    for name in FORM_FIELDS:
        try:
            from_query({name: query.get(name, ""), **context}, currencies)
        except InvalidRequest as error:
            problems[name] = error
    kept = {name: _values(query, name) for name in query if name not in problems}
    return from_query(kept, currencies), problems


def _values(query: Mapping[str, Any], name: str) -> list[str]:
    """Return all values of a parameter, of a dictionary or of what Flask parses."""
    if isinstance(query, MultiDict):
        return query.getlist(name)
    value = query[name]
    return list(value) if isinstance(value, list | tuple) else [value]


def _chosen(query: Mapping[str, Any]) -> tuple[tuple[str, tuple[str, ...]], ...]:
    names = sorted(name for name in query if name == BRAND or name.startswith(ATTRIBUTE))[:MAX_FACETS]
    values = {name: dict.fromkeys(text for value in _values(query, name) if (text := value.strip())) for name in names}
    return tuple((name, tuple(found)[:MAX_VALUES]) for name, found in values.items() if found)


def _parse_width(text: str) -> float:
    """Parse a width in centimeters, such as "80", "80.5 cm" or "80,5"."""
    found = re.fullmatch(r"(\d{1,4}([.,]\d)?)\s*(cm)?", text)
    if not found or float(found[1].replace(",", ".")) == 0:
        raise InvalidRequest("%(width)r is not a width in centimeters. Enter 80, for example.", width=text[:40])
    return float(found[1].replace(",", "."))


def _choice(given: Mapping[str, str], name: str, allowed: tuple[str, ...]) -> str:
    value = given.get(name, "")
    if value and value not in allowed:
        raise InvalidRequest(
            "%(value)r is not a valid value of %(name)s. Use one of %(allowed)s, or omit it.",
            value=value[:40],
            name=name,
            allowed=", ".join(allowed),
        )
    return value


def _is_digits(text: str, max_length: int) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= max_length


def has_other_numbers(query: Mapping[str, Any], criteria: Criteria) -> bool:
    """Return whether a number in a query could mean something else, or nothing, in another language."""
    plain = criteria.query()
    texts = {name: str(_values(query, name)[0]).strip() for name in FORM_FIELDS if name in query}
    return any(
        text and text != plain.get(name) and not re.fullmatch(r"\d+([.]\d{1,2})?", text) for name, text in texts.items()
    )


def parse_price(text: str, currency: str) -> int:
    """Parse a typed price such as "1199", "1,199", "€100" or "1.198,90" into minor units.

    One mark before three digits separates thousands if the language of the request writes thousands so, and decimals if
    the currency has three decimals and either the language writes decimals so or the number is as in a URL.
    """
    value = text.strip()
    try:
        return read_price(value, currency, currency)[0]
    except AmbiguousPrice as error:
        if error.mark == formatting.group_mark():
            return parse_price(error.grouped, currency)
        if error.mark == formatting.decimal_mark() and DECIMALS[currency] == THOUSANDTHS:
            return read_price(value, currency, currency, Separators(decimal=","))[0]
        raise InvalidRequest(
            "%(price)r is ambiguous. Enter %(whole)s, or use two decimals.", price=text[:40], whole=error.grouped
        ) from None
    except PriceError:
        raise InvalidRequest(
            "%(price)r is not a price in %(currency)s. Enter a number such as 250.", price=text[:40], currency=currency
        ) from None
