"""The search criteria of a results page: its query string, parsed."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

from catalog.prices import AmbiguousPrice, PriceError, read_price
from vsearch.core.errors import InvalidRequest
from vsearch.core.settings import Metric
from vsearch.imaging.geometry import Box
from vsearch.search.engine import ALL
from webui import formatting

MAX_PAGE = 50
MAX_TEXT_LENGTH = 200
MAX_ARTICLE_NUMBER_LENGTH = 16
PRICE_FIELDS = ("price_min", "price_max")


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

    @property
    def classes(self) -> tuple[str, ...] | Literal["all"] | None:
        """The `classes` argument of an engine search."""
        if self.class_name == ALL:
            return ALL
        return (self.class_name,) if self.class_name else None

    @property
    def facets(self) -> dict[str, Any]:
        """The filters of `ImageFacets.image_ids_where`; empty if there are none."""
        prices = {"price_min": self.price_min, "price_max": self.price_max}
        facets: dict[str, Any] = {name: bound for name, bound in prices.items() if bound is not None}
        if facets:
            facets["currency"] = self.currency
        return facets | ({"in_stock": True} if self.in_stock else {})

    @property
    def unfiltered(self) -> "Criteria":
        """A copy without box, class and facets; text and metric are kept, because they only affect the order."""
        class_name = ALL if self.class_name == ALL else ""
        return replace(self, box=None, class_name=class_name, price_min=None, price_max=None, in_stock=False)

    def with_changes(self, **changes: Any) -> "Criteria":
        """Return a copy with some fields changed, back on the first page."""
        return replace(self, **{"page": 1, **changes})

    def query(self) -> dict[str, Any]:
        """Return the query parameters that `from_query` parses into these criteria, omitting defaults."""
        parameters = {
            "box": str(self.box) if self.box else "",
            "class": self.class_name,
            "metric": "" if self.metric == "cosine" else self.metric,
            "text": self.text,
            "price_min": self.price_number(self.price_min),
            "price_max": self.price_number(self.price_max),
            "stock": "in" if self.in_stock else "",
            "page": str(self.page) if self.page > 1 else "",
            "visual": "only" if self.visual_only else "",
            "article_number": self.article_number,
        }
        return {name: value for name, value in parameters.items() if value}

    def price_number(self, minor: int | None) -> str:
        """Format a price bound for its input field."""
        return "" if minor is None else formatting.price_number(minor, self.currency)


def from_query(query: Mapping[str, str], currency: str) -> Criteria:
    """Parse query parameters; empty and unknown ones are ignored, an invalid value raises `InvalidRequest`."""
    given = {name: value.strip() for name, value in query.items() if value.strip()}
    low, high = (parse_price(given[name], currency) if name in given else None for name in PRICE_FIELDS)
    if low is not None and high is not None and low > high:
        low, high = high, low
    number = given.get("article_number", "")
    if not _is_digits(number or "0", MAX_ARTICLE_NUMBER_LENGTH):
        raise InvalidRequest(f"{number[:20]!r} is not an article number. Use up to {MAX_ARTICLE_NUMBER_LENGTH} digits.")
    page = given.get("page", "1")
    if not (_is_digits(page, 8) and 1 <= int(page) <= MAX_PAGE):
        raise InvalidRequest(f"{page[:20]!r} is not a valid page. Use 1 to {MAX_PAGE}.")
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
    )


def from_form(query: Mapping[str, str], currency: str) -> tuple[Criteria, dict[str, str]]:
    """Parse query parameters like `from_query`, but return error messages for invalid prices, by field name."""
    problems = {}
    for name in PRICE_FIELDS:
        try:
            from_query({name: query.get(name, "")}, currency)
        except InvalidRequest as error:
            problems[name] = str(error)
    return from_query({name: value for name, value in query.items() if name not in problems}, currency), problems


def _choice(given: Mapping[str, str], name: str, allowed: tuple[str, ...]) -> str:
    value = given.get(name, "")
    if value and value not in allowed:
        raise InvalidRequest(f"{value[:40]!r} is not a valid {name}. Use {' or '.join(allowed)}, or omit it.")
    return value


def _is_digits(text: str, max_length: int) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= max_length


def parse_price(text: str, currency: str) -> int:
    """Parse a typed price such as "1199", "1,199", "€100" or "1.198,90" into minor units.

    A comma before three digits separates thousands, as on the web pages; a period is ambiguous.
    """
    try:
        return read_price(text.strip(), currency, currency)[0]
    except AmbiguousPrice as error:
        if error.mark == ",":
            return parse_price(error.grouped, currency)
        raise InvalidRequest(f"{text[:40]!r} {error}.") from None
    except PriceError:
        raise InvalidRequest(f"{text[:40]!r} is not a price in {currency}. Enter 250 or 99.90, for example.") from None
