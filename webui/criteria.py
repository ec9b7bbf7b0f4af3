"""What a result page was asked for. The address is the state, so this is the address, parsed."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from catalog.queries import Facets
from vsearch.core.errors import InvalidRequest
from vsearch.core.settings import Metric
from vsearch.imaging.codec import Box
from vsearch.search.engine import ALL
from webui import money

MAX_PAGE = 50
MAX_TEXT = 200
MAX_DIGITS = 16
PRICES = ("price_min", "price_max")
METRICS: dict[str, Metric] = {"cosine": "cosine", "euclidean": "euclidean"}


@dataclass(frozen=True)
class Criteria:
    """All that narrows or orders the results for one photo; every field left alone means "no wish".

    Prices are in minor units. `look_only`: the photo's article number is not to be read. `article_number`: one that was
    read but that no product has. `class_name` is a class, `ALL`, or empty to let the photo decide.
    """

    box: Box | None = None
    class_name: str = ""
    metric: Metric = "cosine"
    text: str = ""
    price_min: int | None = None
    price_max: int | None = None
    in_stock: bool = False
    page: int = 1
    look_only: bool = False
    article_number: str = ""
    currency: str = "EUR"

    @property
    def classes(self) -> tuple[str, ...] | Literal["all"] | None:
        """The classes to search, as the engine takes them."""
        if self.class_name == ALL:
            return ALL
        return (self.class_name,) if self.class_name else None

    @property
    def facets(self) -> Facets | None:
        """The filters that SQL answers, or None when there is none."""
        bounded = self.price_min is not None or self.price_max is not None
        currency = self.currency if bounded else None
        facets = Facets(self.price_min, self.price_max, currency, in_stock=self.in_stock)
        return None if facets == Facets() else facets

    @property
    def is_filtered(self) -> bool:
        """Whether products, or parts of the photo, are left out that would be found without these criteria."""
        return self != self.unfiltered

    @property
    def unfiltered(self) -> "Criteria":
        """These criteria without what leaves products out; a text or a metric only orders them."""
        return replace(
            self,
            box=None,
            class_name="" if self.class_name != ALL else ALL,
            price_min=None,
            price_max=None,
            in_stock=False,
        )

    def but(self, **changes: Any) -> "Criteria":
        """Return these criteria with some changed; that starts again at the first page."""
        return replace(self, **{"page": 1, **changes})

    def query(self) -> dict[str, str]:
        """Return the query parameters that `from_query` reads these criteria from; defaults are left out."""
        parameters = {
            "box": str(self.box) if self.box else "",
            "class": self.class_name,
            "metric": "" if self.metric == "cosine" else self.metric,
            "text": self.text,
            "price_min": self.price_text(self.price_min),
            "price_max": self.price_text(self.price_max),
            "stock": "in" if self.in_stock else "",
            "page": str(self.page) if self.page > 1 else "",
            "look": "only" if self.look_only else "",
            "read": self.article_number,
        }
        return {name: value for name, value in parameters.items() if value}

    def price_text(self, minor: int | None) -> str:
        """Return a price bound as it stands in its input field."""
        return "" if minor is None else money.plain(minor, self.currency)


def from_query(query: Mapping[str, str], currency: str) -> Criteria:
    """Return the criteria that query parameters ask for; empty ones and names not known here are ignored.

    Raises:
        InvalidRequest: a value makes no sense.
    """
    given = {name: value.strip() for name, value in query.items() if value.strip()}
    low, high = (money.parse(given[name], currency) if name in given else None for name in PRICES)
    if low is not None and high is not None and low > high:
        low, high = high, low
    return Criteria(
        box=Box.parse(given["box"]) if "box" in given else None,
        class_name=given.get("class", ""),
        metric=_metric(given.get("metric", "cosine")),
        text=given.get("text", "")[:MAX_TEXT],
        price_min=low,
        price_max=high,
        in_stock=_in_stock(given.get("stock", "")),
        page=_page(given.get("page", "1")),
        look_only=_look_only(given.get("look", "")),
        article_number=_article_number(given.get("read", "")),
        currency=currency,
    )


def from_form(query: Mapping[str, str], currency: str) -> tuple[Criteria, dict[str, str]]:
    """Return the criteria without the prices that cannot be read, and what is wrong with those by field.

    Raises:
        InvalidRequest: another value makes no sense.
    """
    problems = {}
    for name in PRICES:
        try:
            from_query({name: query.get(name, "")}, currency)
        except InvalidRequest as error:
            problems[name] = str(error)
    return from_query({name: value for name, value in query.items() if name not in problems}, currency), problems


def _metric(text: str) -> Metric:
    if text not in METRICS:
        raise InvalidRequest(f"A metric must be cosine or euclidean, but was {text[:40]!r}; choose one of them.")
    return METRICS[text]


def _in_stock(text: str) -> bool:
    if text in ("", "in"):
        return text == "in"
    raise InvalidRequest(f"The stock filter must be in or left out, but was {text[:40]!r}; correct it.")


def _look_only(text: str) -> bool:
    if text in ("", "only"):
        return text == "only"
    raise InvalidRequest(f"The look parameter must be only or left out, but was {text[:40]!r}; correct it.")


def _article_number(text: str) -> str:
    if not text or (text.isascii() and text.isdigit() and len(text) <= MAX_DIGITS):
        return text
    raise InvalidRequest(
        f"An article number must be at most {MAX_DIGITS} digits, but was {text[:20]!r}; send the photo again."
    )


def _page(text: str) -> int:
    if text.isascii() and text.isdigit() and len(text) < 9 and 1 <= int(text) <= MAX_PAGE:
        return int(text)
    raise InvalidRequest(
        f"A page must be a number from 1 to {MAX_PAGE}, but was {text[:20]!r}; start from the first page."
    )
