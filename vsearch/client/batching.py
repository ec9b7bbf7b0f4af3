"""Product changes in batches of the size that the API accepts, with the errors of all items by their original place."""

import re
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Final, Literal

from vsearch.client.answer_types import FullProduct, ItemError, JobAnswer
from vsearch.client.problems import ApiError, FieldsInvalidError, VSearchClientError
from vsearch.client.request_types import MAX_PRODUCTS, ProductInput

ITEM: Final = re.compile(r"(products|withdraw)\.(\d+)(?:\.(.+))?")
"""Path of a field in a body."""


def input_of(product: FullProduct) -> ProductInput:
    """Return a product in the catalog as one to send, to change something with `dataclasses.replace`.

    It has no images, so the product keeps those it has.
    """
    stock = {True: "in stock", False: "out of stock", None: None}[product.in_stock]
    return ProductInput(
        sku=product.sku,
        title=product.title,
        brand=product.brand,
        description=product.description,
        category=product.category,
        price=f"{product.price.amount} {product.price.currency}" if product.price else None,
        url=product.shop_url,
        stock=stock if product.stock is None else product.stock,
        variant_group=product.variant_group,
        article_number=product.article_number,
        dimensions=product.dimensions,
        attributes=product.attributes,
    )


@dataclass(frozen=True)
class UpsertOutcome:
    """What has changed.

    Attributes:
        jobs: one for each batch.
        counts: numbers of changes by kind.
        errors: items that were skipped, or whose images are missing; `index` is the place in the list that was given.
    """

    jobs: tuple[JobAnswer, ...]
    counts: Mapping[str, int]
    errors: tuple[ItemError, ...]


@dataclass(frozen=True, eq=False)  # products cannot be hashed
class ItemChange:
    """One product to add or replace, or one SKU to withdraw."""

    list: Literal["products", "withdraw"]
    index: int
    item: ProductInput | str

    @property
    def sku(self) -> str:
        """The SKU."""
        return self.item if isinstance(self.item, str) else self.item.sku

    def error(self, detail: str) -> ItemError:
        """Return an error of this item."""
        return ItemError(list=self.list, index=self.index, sku=self.sku, detail=detail)


@dataclass(frozen=True)
class Batch:
    """Changes that are sent together."""

    changes: tuple[ItemChange, ...]

    @property
    def products(self) -> list[ProductInput]:
        """The products to add or replace."""
        return [change.item for change in self.changes if isinstance(change.item, ProductInput)]

    @property
    def withdraw(self) -> list[str]:
        """The SKUs of products to withdraw."""
        return [change.item for change in self.changes if isinstance(change.item, str)]

    def change(self, name: str, index: int) -> ItemChange:
        """Return the change that the API calls by its list and its place in it."""
        return [change for change in self.changes if change.list == name][index]


class Upsert:
    """Iterates over the batches to send; those that are refused are sent again, smaller.

    Raises:
        ValueError: an SKU occurs more than once.
    """

    def __init__(self, products: Sequence[ProductInput], withdraw: Sequence[str]) -> None:
        changes = [
            *(ItemChange("products", index, product) for index, product in enumerate(products)),
            *(ItemChange("withdraw", index, sku) for index, sku in enumerate(withdraw)),
        ]
        (sku, times), *_ = Counter(change.sku for change in changes).most_common(1) or [("", 0)]
        if times > 1:
            raise ValueError(f"The SKU {sku!r} occurs more than once.")
        starts = range(0, len(changes), MAX_PRODUCTS)
        self._waiting = deque(Batch(tuple(changes[start : start + MAX_PRODUCTS])) for start in starts)
        self._sent: list[tuple[Batch, JobAnswer]] = []
        self._ended: list[JobAnswer] = []
        self._errors: list[ItemError] = []

    def __iter__(self) -> Iterator[Batch]:
        while self._waiting:
            yield self._waiting.popleft()

    @property
    def job_ids(self) -> list[int]:
        """The jobs of the batches that were accepted."""
        return [job.id for _, job in self._sent]

    def accepted(self, batch: Batch, job: JobAnswer) -> None:
        """Note that a batch was accepted."""
        self._sent.append((batch, job))

    def refused(self, batch: Batch, problem: ApiError) -> None:
        """Leave out the items that are invalid, or halve a batch that is too large.

        Raises:
            FieldsInvalidError: it does not name items.
        """
        if isinstance(problem, FieldsInvalidError):
            self._leave_out(batch, problem)
        elif len(batch.changes) == 1:
            self._errors.append(batch.changes[0].error(problem.detail))
        else:
            middle = len(batch.changes) // 2
            self._waiting.extendleft([Batch(batch.changes[middle:]), Batch(batch.changes[:middle])])

    def ended(self, job: JobAnswer) -> None:
        """Note the outcome of a job."""
        batch = next(batch for batch, sent in self._sent if sent.id == job.id)
        self._ended.append(job)
        for error in job.errors or ():
            self._errors.append(replace(error, index=batch.change(error.list, error.index).index))

    def is_indexed_by(self, update: JobAnswer) -> bool:
        """Return whether the newest update of the index indexes these changes; an earlier one does not."""
        is_open = update.state in ("queued", "running")
        return bool(self._sent) and (is_open or update.id > self.job_ids[0])

    def outcome(self) -> UpsertOutcome:
        """Return what all jobs have changed."""
        counts: Counter[str] = Counter()
        for job in self._ended:
            counts.update(job.counts or {})
        errors = sorted(self._errors, key=lambda error: (error.list, error.index))
        return UpsertOutcome(tuple(self._ended), dict(counts), tuple(errors))

    @contextmanager
    def explained(self) -> Iterator[None]:
        """Add the jobs of the batches that were accepted to an error of a later one."""
        try:
            yield
        except VSearchClientError as error:
            if self._sent:
                error.add_note(f"Batches that were accepted before, as jobs: {', '.join(map(str, self.job_ids))}")
            raise

    def _leave_out(self, batch: Batch, problem: FieldsInvalidError) -> None:
        bad: dict[ItemChange, str] = {}
        for found in problem.errors:
            place = ITEM.fullmatch(found.field)
            if place is None:
                raise problem
            detail = f"{place[3]}: {found.detail}" if place[3] else found.detail
            bad.setdefault(batch.change(place[1], int(place[2])), detail)
        if not bad:
            raise problem
        self._errors += [change.error(detail) for change, detail in bad.items()]
        if left := tuple(change for change in batch.changes if change not in bad):
            self._waiting.appendleft(Batch(left))
