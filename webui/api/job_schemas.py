"""The JSON of product changes, jobs, index and models."""

from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from catalog.jobs import State
from vsearch.models.registry import Role
from webui.api.schemas import Answer, Request

MAX_PRODUCTS = 1000
"""Products that one request may change."""

Name = Annotated[str, Field(min_length=1, max_length=64)]


class ProductInput(Request):
    """A product to add or replace, with the columns of a feed (docs/feed.md); what is left out is empty."""

    sku: Name
    title: str
    brand: str | None = None
    description: str | None = None
    category: str | None = None
    """A path such as Sofas > Corner sofas."""
    price: str | float | None = None
    """A number, or a text such as 499.00 EUR."""
    currency: str | None = None
    """ISO 4217 code; by default that of the settings."""
    url: str | None = None
    stock: int | str | None = None
    """A number, or a text such as in stock."""
    variant_group: str | None = None
    article_number: str | None = None
    dimensions: dict[str, str] | None = None
    """Name to number and unit, such as 180 cm."""
    images: list[str] | None = None
    """Addresses, or paths in `feed_images`; without any, a product keeps the images it has."""
    attributes: dict[str, str | list[str]] | None = None


class ProductChanges(Request):
    """Products to add or replace, and SKUs of products to withdraw."""

    products: list[ProductInput] = Field(default=[], max_length=MAX_PRODUCTS)
    withdraw: list[Name] = Field(default=[], max_length=MAX_PRODUCTS)

    @model_validator(mode="after")
    def _is_a_batch(self) -> Self:
        skus = [*(product.sku for product in self.products), *self.withdraw]
        if not 1 <= len(skus) <= MAX_PRODUCTS:
            raise ValueError(f"give 1 to {MAX_PRODUCTS} products and SKUs, not {len(skus)}")
        if repeated := next((sku for sku in skus if skus.count(sku) > 1), None) if len(set(skus)) < len(skus) else None:
            raise ValueError(f"the SKU {repeated[:64]!r} occurs more than once")
        return self


class ItemError(Answer):
    """What is wrong with an item of a batch."""

    list: Literal["products", "withdraw"]
    index: int
    """Place in the list, from 0."""
    sku: str
    detail: str


class JobProgress(Answer):
    """How far a running job is."""

    stage: str
    done: int
    total: int


class JobAnswer(Answer):
    """A background job."""

    id: int
    url: str
    kind: str
    state: State
    message: str
    """How it ended, for people."""
    requested_by: str
    """Account or API key; empty for commands and the schedule."""
    created_at: datetime
    start_at: datetime | None
    """It does not start before."""
    started_at: datetime | None
    finished_at: datetime | None
    progress: JobProgress | None
    counts: dict[str, int] | None
    """Numbers of changes by kind, after an import or a batch of products."""
    errors: list[ItemError] | None
    """Items of a batch that were skipped, or whose images are missing."""


class JobQuery(Request):
    """Which jobs to list."""

    cursor: str | None = None
    """`next` of the previous page; all other parameters must be the same."""
    limit: int = Field(50, ge=1, le=500)
    kind: str | None = None
    state: State | None = None


class JobPage(Answer):
    """Some jobs, newest first."""

    jobs: list[JobAnswer]
    next: str | None
    """The cursor of the next page; null on the last one."""


class JobRequest(Request):
    """A job to start."""

    kind: Literal["nightly", "index", "update"]
    """The nightly job, an index run, or an update that makes recent changes searchable."""


class IndexClass(Answer):
    """A class of the index."""

    name: str
    images: int


class IndexAnswer(Answer):
    """The published index."""

    generation: str
    created_at: datetime
    model: str
    images: int
    """In the index that this server uses, with what was added since."""
    classes: list[IndexClass]
    problem: str | None
    """Why a newer index cannot be used; null if there is no problem."""
    earlier: list[str]
    """Generations that can be published again, latest first."""


class ModelAnswer(Answer):
    """A model on the server."""

    id: str
    role: Role
    plan: str
    where: Literal["bundled", "shop"]
    heads: list[str]
    created_at: datetime
    active: bool
    problem: str | None
    """Why it cannot be used."""


class ModelList(Answer):
    """The bundled models, then the shop's own, oldest first."""

    models: list[ModelAnswer]


class PromotionRequest(Request):
    """How to promote a model."""

    despite_loss: bool = False
    """Promote it even if it finds less; needs a reason."""
    reason: str | None = Field(None, max_length=1000)

    @model_validator(mode="after")
    def _says_why(self) -> Self:
        if self.despite_loss and len((self.reason or "").strip()) < 10:
            raise ValueError("write a sentence as the reason why this model should be used although it finds less")
        return self


class RoleRollback(Request):
    """What to return to its previous state."""

    role: Literal["search", "reader", "detector"]


class GenerationRollback(Request):
    """Which index to publish again."""

    generation: str | None = None
    """One of `earlier`; by default the previous one."""
