"""The JSON of the API: pydantic models of requests and answers, from which the OpenAPI document is generated."""

from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from vsearch.core.settings import Metric
from vsearch.index.generation import MatchLabel
from vsearch.search.merging import Routing
from webui.criteria import MAX_PAGE, Sort


class Answer(BaseModel):
    """Base class of what the API returns; fields may be added within a version."""

    model_config = ConfigDict(
        frozen=True, populate_by_name=True, serialize_by_alias=True, use_attribute_docstrings=True
    )


class Request(BaseModel):
    """Base class of what the API accepts; unknown names are errors, since they are probably misspelled."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        allow_inf_nan=False,
        populate_by_name=True,
        serialize_by_alias=True,
        use_attribute_docstrings=True,
    )


class FieldProblem(Answer):
    """What is wrong with one field of a request."""

    field: str
    """Name of a query parameter, or path of a value in the body, such as products.3.sku."""
    detail: str


class Problem(Answer):
    """An error, in the form of RFC 9457 (application/problem+json)."""

    type: str
    """A URN for programs, such as urn:vsearch:problem:NotAnImage; docs/api.md lists all."""
    title: str
    """The meaning of the status."""
    status: int
    detail: str
    """What is wrong and what to do, for people."""
    errors: list[FieldProblem] | None = None
    """Each invalid field, if the request has some."""


class Amount(Answer):
    """A price."""

    amount: str
    """A decimal number."""
    minor_units: int
    """The same in the smallest unit, such as cents."""
    currency: str
    """ISO 4217 code."""


class ProductSummary(Answer):
    """A product in a list."""

    sku: str
    title: str
    brand: str
    category: str
    """A path such as Sofas > Corner sofas."""
    price: Amount | None
    """Null if the feed gives none."""
    stock: int | None
    """Number of items; null if it is unknown or not counted."""
    in_stock: bool | None
    """Null if it is unknown."""
    image_url: str | None
    url: str
    """The product's page."""


class FullProduct(ProductSummary):
    """A product with everything that is known about it."""

    description: str
    shop_url: str
    """The product's page in the shop; empty if the feed gives none."""
    attributes: dict[str, list[str]]
    dimensions: dict[str, str]
    """Name to number and unit, such as 180 cm."""
    variant_group: str | None
    article_number: str | None
    """The digits on the shelf tag."""
    images: list[str]
    """Addresses of all images."""
    variants: list[ProductSummary]
    """The other products of the variant group."""


class FoundProduct(ProductSummary):
    """A product in the results of a search."""

    match: MatchLabel | None
    """How close it is; null without a photo or SKU."""
    score: float | None
    """Cosine similarity; null without a photo or SKU."""
    class_name: str | None = Field(alias="class")
    """Class of the index in which it was found."""
    box: str | None
    """The detected product in the photo that it resembles most; null for the whole photo."""
    distance: float | None
    """Euclidean distance, if that is the metric."""


class LikelyClass(Answer):
    """A class that the photo may show."""

    name: str
    probability: float | None


class PhotoBox(Answer):
    """A product detected in the photo."""

    box: str
    """left,top,right,bottom as fractions of the photo's sides."""
    confidence: float
    class_name: str = Field(alias="class")
    """What it shows."""


class ReadNumber(Answer):
    """An article number read from the photo."""

    number: str
    confidence: float
    product: ProductSummary | None
    """The only product with this number."""


class SearchAnswer(Answer):
    """One page of results."""

    photo: str | None
    """Id of the photo, under which it is kept for a while."""
    owner: str | None
    """Token that deleting and rating this photo need; null unless this request sent the photo."""
    page_url: str | None
    """The same results as a web page."""
    article_number: ReadNumber | None
    generation: str
    """Id of the index that was searched."""
    metric: Metric
    routing: Routing
    """How the searched classes were chosen: by the photo, by the request, or all of them."""
    searched_classes: list[str]
    classes: list[LikelyClass]
    """The most likely classes of the photo."""
    boxes: list[PhotoBox]
    """Most confident first."""
    page: int
    next_page: int | None
    results: list[FoundProduct]
    """Best first, one per product."""
    timings_ms: dict[str, float]


BOX = Field(
    description="Area of the photo to search: left,top,right,bottom as fractions from 0 to 1. 0,0,1,1 searches the "
    "whole photo only; by default, the whole photo and each detected product are searched.",
    examples=["0.31,0.42,0.69,0.9"],
)
PRICE = "An inclusive bound such as 250, 99.90 or €100, in `currency`; products priced otherwise never match."
Text = Annotated[str, Field(max_length=200)]

MAX_BATCH = 32
"""Searches in one batch."""


class SearchParameters(Request):
    """What to search for besides the photo. Of the filters, products must pass all."""

    box: Annotated[str, BOX] | None = None
    class_name: str | None = Field(None, alias="class")
    """Search this class only; `all` searches every class. By default, the photo decides."""
    metric: Metric = "cosine"
    text: Text | None = None
    """Words that products must have, in any form; synonyms and shades of colors count, and words after a hyphen or
    "not" are excluded."""
    price_min: str | float | None = Field(None, description=PRICE)
    price_max: str | float | None = Field(None, description=PRICE)
    currency: str | None = None
    """Currency of the price bounds; by default that of most products."""
    stock: Literal["in"] | None = None
    """`in`: only products in stock."""
    width_max: str | float | None = None
    """Largest width in cm; products without a width never match."""
    brand: list[str] | None = None
    """Brands, of which products must have one."""
    attributes: dict[str, list[str]] | None = None
    """Values of attributes, of which products must have one each: `attr.color=red&attr.color=white`."""
    sort: Sort = "likeness"
    """By price, all similar products are sorted, up to 1,000; if there are fewer than 100 of them, the 100 closest."""
    page: int = Field(1, ge=1, le=MAX_PAGE)
    visual: Literal["only"] | None = None
    """`only`: do not read an article number from the photo."""


PHOTO_ID = "Id of a photo that was searched with or uploaded before."
SKU = "Search for products that look like this one; it must be in the index."


class SearchQuery(SearchParameters):
    """A search with a photo that was sent before, with a product, or with words alone."""

    photo: str | None = Field(None, description=PHOTO_ID)
    sku: str | None = Field(None, description=SKU)

    @model_validator(mode="after")
    def _has_a_subject(self) -> Self:
        _check_subjects(self, self.photo, self.sku)
        return self


class BatchSearch(SearchParameters):
    """One search of a batch."""

    photo: str | None = Field(None, description=PHOTO_ID)
    image: str | None = Field(None, description="A photo, in Base64.", json_schema_extra={"contentEncoding": "base64"})
    sku: str | None = Field(None, description=SKU)

    @model_validator(mode="after")
    def _has_a_subject(self) -> Self:
        _check_subjects(self, self.photo, self.sku, self.image)
        return self


class BatchRequest(Request):
    """Several searches."""

    searches: list[BatchSearch] = Field(min_length=1, max_length=MAX_BATCH)


class BatchResult(Answer):
    """The outcome of one search of a batch: its answer or its problem."""

    status: int
    answer: SearchAnswer | None
    problem: Problem | None


class BatchAnswer(Answer):
    """The outcomes in the order of the searches."""

    results: list[BatchResult]


class PhotoOwner(Request):
    """Who may change a photo."""

    owner: str
    """Token that came with the photo."""


class PhotoAnswer(Answer):
    """What is detected in a photo."""

    photo: str
    """Its id, under which it is kept for a while."""
    owner: str | None
    """Token that deleting and rating this photo need; null unless this request sent the photo."""
    width: int
    """In pixels, as it is kept, like `height`."""
    height: int
    article_number: ReadNumber | None
    boxes: list[PhotoBox]
    """Most confident first."""
    classes: list[LikelyClass]
    """The most likely classes."""
    generation: str


class FacetValue(Answer):
    """A value to filter by, and the number of products that it would leave."""

    value: str
    count: int
    chosen: bool


class FacetAnswer(Answer):
    """Something to filter by."""

    name: str
    """The query parameter: brand, attr.NAME, or attr.NAME:family for families of its colors."""
    values: list[FacetValue]
    """The most common first."""


class PriceBand(Answer):
    """A range of prices that holds about as many products as the others."""

    low: Amount | None
    """Null is open."""
    end: Amount | None
    """Prices are below it; null is open."""
    count: int


class FacetsAnswer(Answer):
    """What products can be filtered by; each number counts the products that pass all other filters."""

    total: int
    """Products that pass all filters."""
    generation: str
    classes: list[FacetValue]
    facets: list[FacetAnswer]
    prices: list[PriceBand]
    in_stock: int
    unknown_words: list[str]
    """Words that no product has; they are ignored."""


class ProductQuery(Request):
    """Which products to list."""

    cursor: str | None = None
    """`next` of the previous page; all other parameters must be the same."""
    limit: int = Field(50, ge=1, le=500)
    text: Text | None = None
    """Beginnings of words in the texts, all of which must match; or a part of the SKU."""
    category: str | None = None
    """This category and those below it."""
    brand: str | None = None
    state: Literal["live", "withdrawn", "all"] = "live"
    changed_since: AwareDatetime | None = None
    """Leave out products that have not changed since, such as 2026-11-28T09:00:00Z."""


class ListedItem(ProductSummary):
    """A product in the catalog."""

    updated_at: datetime
    withdrawn: bool


class ProductPage(Answer):
    """Some products, in the order in which they were added."""

    products: list[ListedItem]
    next: str | None
    """The cursor of the next page; null on the last one."""


class FeedbackRequest(Request):
    """What a shopper says about a result."""

    photo: str
    """Id of the photo, from a search."""
    owner: str
    """Token that came with the photo."""
    sku: str = Field(min_length=1)
    verdict: Literal["right", "similar", "wrong", "none"]
    """"none" takes the earlier verdict back."""
    rank: int = Field(ge=1, le=100_000)
    """Place of the product in the results, from 1."""
    box: Annotated[str, BOX] | None = None


class FeedbackAnswer(Answer):
    """What was kept."""

    photo: str
    sku: str
    verdict: str
    kept_until: str | None
    """When the photo and its verdicts are deleted, as YYYY-MM-DD; null if no copy is kept any more."""


def _check_subjects(search: SearchParameters, *subjects: str | None) -> None:
    """Raise ValueError unless there is one subject at most, and words if there is none."""
    given = [subject for subject in subjects if subject is not None]
    if len(given) > 1:
        raise ValueError("give one photo or one SKU, not several")
    if not given and not (search.text or "").strip():
        raise ValueError("give a photo, a SKU or a text to search for")
    if (search.box or search.visual) and (not given or getattr(search, "sku", None)):
        raise ValueError("box and visual need a photo")
