"""The synchronous client."""

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Self, TypeVar, Unpack

import httpx

from vsearch.client.answer_types import FoundProduct, JobAnswer, ListedItem
from vsearch.client.batching import Upsert, UpsertOutcome
from vsearch.client.calls import Attempts, Call, Endpoint, answer_in
from vsearch.client.problems import FieldsInvalidError, JobFailedError, JobTimeoutError, PhotoTooLargeError
from vsearch.client.request_types import JobsQuery, ProductInput, ProductsQuery, SearchAgainQuery
from vsearch.client.sync_operations import Operations

T = TypeVar("T")


class Client(Operations):
    """A client of the API; can be used by several threads, and as a context manager, which closes its connections.

    Requests that were turned away (429, 503) are repeated when the server says. Those that got no answer are repeated
    if that changes nothing: all of a client with a key, else those that read or delete.

    Args:
        address: of the server, such as https://search.shop.example, with the prefix under which it is served.
        key: of the API; shoppers' operations may not need one.
        language: of error messages and of the pages that addresses lead to; one of the shop's.
        timeout: seconds without progress after which an attempt fails.
        retries: further attempts at most.
        max_wait: seconds to wait between attempts, all together.
        http: sends the requests, for example through a proxy; stays open. `timeout` does not apply to it.

    Raises:
        ValueError: the address is not one of a web server.
    """

    def __init__(
        self,
        address: str,
        key: str | None = None,
        *,
        language: str | None = None,
        timeout: float = 30.0,
        retries: int = 2,
        max_wait: float = 60.0,
        http: httpx.Client | None = None,
    ) -> None:
        self._endpoint = Endpoint(address, key, language)
        self._owns_http = http is None
        self._http = http or httpx.Client(timeout=timeout)
        self._retries = retries
        self._max_wait = max_wait

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        if self._owns_http:
            self._http.close()

    def _call(self, answer: type[T], call: Call) -> T:
        request = self._endpoint.request(call)
        attempts = Attempts(request, self._retries, self._max_wait)
        while True:
            outcome: httpx.Response | httpx.RequestError
            try:
                outcome = self._http.send(request)
            except httpx.RequestError as error:
                outcome = error
            wait = attempts.wait_after(outcome)
            if wait is None and isinstance(outcome, httpx.Response):
                return answer_in(answer, outcome, attempts)
            time.sleep(wait or 0)

    def iterate_products(self, **query: Unpack[ProductsQuery]) -> Iterator[ListedItem]:
        """Yield all products, page after page of `products`."""
        while True:
            page = self.products(**query)
            yield from page.products
            if page.next is None:
                return
            query["cursor"] = page.next

    def iterate_jobs(self, **query: Unpack[JobsQuery]) -> Iterator[JobAnswer]:
        """Yield all jobs, newest first, page after page of `jobs`."""
        while True:
            page = self.jobs(**query)
            yield from page.jobs
            if page.next is None:
                return
            query["cursor"] = page.next

    def iterate_results(self, **query: Unpack[SearchAgainQuery]) -> Iterator[FoundProduct]:
        """Yield the results of a search with a photo that was sent before, a product or words, page after page."""
        while True:
            answer = self.search_again(**query)
            yield from answer.results
            if answer.next_page is None:
                return
            query["page"] = answer.next_page

    def wait_for_job(
        self,
        job_id: int,
        *,
        timeout: float = 3600.0,
        interval: float = 1.0,
        on_progress: Callable[[JobAnswer], object] | None = None,
    ) -> JobAnswer:
        """Wait until a job is done.

        Args:
            job_id: its number.
            timeout: seconds to wait.
            interval: seconds between requests.
            on_progress: is called with the job's state after each request.

        Raises:
            JobFailedError: it failed or was cancelled.
            JobTimeoutError: it has not ended in time; it goes on.
        """
        end = time.monotonic() + timeout
        while True:
            job = self.job(job_id)
            if on_progress is not None:
                on_progress(job)
            if job.state == "done":
                return job
            if job.state in ("failed", "cancelled"):
                raise JobFailedError(job)
            if time.monotonic() + interval > end:
                raise JobTimeoutError(job, timeout)
            time.sleep(interval)

    def upsert(
        self,
        products: Sequence[ProductInput] = (),
        withdraw: Sequence[str] = (),
        *,
        until_indexed: bool = False,
        timeout: float = 3600.0,
        interval: float = 1.0,
        on_progress: Callable[[JobAnswer], object] | None = None,
    ) -> UpsertOutcome:
        """Add, replace and withdraw any number of products, and wait until that is done.

        They are sent in batches. Items that are not valid are left out, and reported with those that the jobs skipped.
        The key needs the scopes catalog:write and jobs:read.

        Args:
            products: to add or replace.
            withdraw: SKUs.
            until_indexed: also wait for the update of the index, which web servers load within seconds.
            timeout: seconds to wait for each job.
            interval: seconds between requests.
            on_progress: is called with the state of a job after each request.

        Raises:
            ValueError: an SKU occurs more than once; nothing was sent.
            JobFailedError, JobTimeoutError: see `wait_for_job`. Notes on an error name the jobs of all batches sent.
        """
        pending = Upsert(products, withdraw)
        with pending.explained():
            for batch in pending:
                try:
                    job = self.change_products(products=batch.products, withdraw=batch.withdraw)
                    pending.accepted(batch, job)
                except (FieldsInvalidError, PhotoTooLargeError) as problem:
                    pending.refused(batch, problem)
            for job_id in pending.job_ids:
                pending.ended(self.wait_for_job(job_id, timeout=timeout, interval=interval, on_progress=on_progress))
            for update in self.jobs(kind="update", limit=1).jobs if until_indexed else ():
                if pending.is_indexed_by(update):
                    self.wait_for_job(update.id, timeout=timeout, interval=interval, on_progress=on_progress)
        return pending.outcome()
