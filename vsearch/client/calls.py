"""Calls of the API as HTTP requests, when to repeat them, and what their responses mean. Sends nothing itself."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final, TypeVar
from urllib.parse import urlsplit
from uuid import uuid4

import httpx

from vsearch.client.conversion import Photo, from_json, read_photo, to_json, to_query
from vsearch.client.problems import ConnectionFailedError, UnexpectedAnswerError, problem_in

IDEMPOTENCY_KEY: Final = "Idempotency-Key"
FIRST_WAIT: Final = 0.5
"""Seconds before the second attempt, unless the server says how long; they double with each further one."""

TURNED_AWAY: Final = (429, 503)
"""Statuses of requests that were not carried out."""

LOST: Final = (502, 504)
"""Statuses of proxies that got no answer: the request may have been carried out."""

BEING_CARRIED_OUT: Final = "Conflict"
"""Type of the problem if the first request with an idempotency key has not been answered yet."""

T = TypeVar("T")


@dataclass(frozen=True)
class Call:
    """A call of an operation."""

    method: str
    path: str
    query: Mapping[str, object] = field(default_factory=dict)
    body: Mapping[str, object] | None = None
    photo: Photo | None = None
    takes_idempotency_key: bool = False
    idempotency_key: str | None = None


@dataclass(frozen=True)
class Endpoint:
    """Where and how calls are sent.

    Raises:
        ValueError: the address is not one of a web server.
    """

    address: str
    key: str | None = field(repr=False)
    language: str | None

    def __post_init__(self) -> None:
        parts = urlsplit(self.address)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"{self.address!r} is not the address of a server, such as https://search.shop.example.")

    def request(self, call: Call) -> httpx.Request:
        """Return the request of a call, which can be sent repeatedly.

        Raises:
            OSError: the photo cannot be read.
            ValueError: an idempotency key was given without an API key, without which servers ignore it.
        """
        if call.idempotency_key and not self.key:
            raise ValueError("An idempotency key has no effect without an API key.")
        headers = {"Accept": "application/json", "User-Agent": "vsearch (client)"}
        if self.key:
            headers["Authorization"] = f"Bearer {self.key}"
        if self.key and call.takes_idempotency_key:
            headers[IDEMPOTENCY_KEY] = call.idempotency_key or str(uuid4())
        query = tuple(to_query({**call.query, "lang": self.language}))
        url, content = self.address.rstrip("/") + call.path, None
        if call.photo is not None:
            content = read_photo(call.photo)
            headers["Content-Type"] = "application/octet-stream"
        json = None if call.body is None else to_json(call.body)
        return httpx.Request(call.method, url, params=query, headers=headers, content=content, json=json)


class Attempts:
    """Decides whether a request is sent again, and when.

    A request that was turned away was not carried out, so any is repeated. One whose answer was lost may have been, so
    it is repeated only if that changes nothing: reading, deleting, and requests with an idempotency key.
    """

    def __init__(self, request: httpx.Request, retries: int, max_wait: float) -> None:
        self._request = request
        self._retries = retries
        self._seconds_left = max_wait
        self._next_wait = FIRST_WAIT
        self._is_repeatable = request.method in ("GET", "DELETE") or IDEMPOTENCY_KEY in request.headers
        self.was_lost = False

    def wait_after(self, outcome: httpx.Response | httpx.RequestError) -> float | None:
        """Return the seconds before the next attempt; None if the response is the final one.

        Raises:
            ConnectionFailedError: there is no response, and no further attempt.
        """
        again = self._again(outcome) if isinstance(outcome, httpx.Response) else self._again_after_error(outcome)
        wait = self._wait(outcome) if again else None
        if wait is None or self._retries <= 0 or wait > self._seconds_left:
            if isinstance(outcome, httpx.RequestError):
                address = f"{self._request.url.scheme}://{self._request.url.netloc.decode()}"
                raise ConnectionFailedError(
                    f"{address} did not answer: {outcome or type(outcome).__name__}"
                ) from outcome
            return None
        self._retries -= 1
        self._seconds_left -= wait
        self._next_wait *= 2
        return wait

    def _again(self, response: httpx.Response) -> bool:
        if response.status_code in LOST and self._is_repeatable:
            self.was_lost = True
            return True
        if response.status_code == 409 and self.was_lost:
            return problem_in(response).type == BEING_CARRIED_OUT
        return response.status_code in TURNED_AWAY

    def _again_after_error(self, error: httpx.RequestError) -> bool:
        if isinstance(error, (httpx.ConnectError, httpx.ConnectTimeout)):
            return True
        is_lost = isinstance(error, (httpx.TimeoutException, httpx.NetworkError, httpx.RemoteProtocolError))
        self.was_lost = self.was_lost or is_lost
        return is_lost and self._is_repeatable

    def _wait(self, outcome: httpx.Response | httpx.RequestError) -> float:
        if isinstance(outcome, httpx.Response) and (asked := retry_after(outcome)) is not None:
            return asked
        return secrets.SystemRandom().uniform(self._next_wait / 2, self._next_wait)


def retry_after(response: httpx.Response) -> float | None:
    """Return the seconds of the header Retry-After, which may also be a date; None without a valid one."""
    header = response.headers.get("Retry-After", "").strip()
    if header.isascii() and header.isdigit():
        return float(header)
    try:
        moment = parsedate_to_datetime(header)
    except ValueError:
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())


def answer_in(kind: type[T], response: httpx.Response, attempts: Attempts) -> T:
    """Return the answer in a response.

    Raises:
        ApiError: the response is a problem.
        UnexpectedAnswerError: it is not an answer of the API.
    """
    deleted = response.request.method == "DELETE" and response.status_code == 404 and attempts.was_lost
    if not response.is_success and not deleted:
        raise problem_in(response)
    try:
        return from_json(kind, None if kind is type(None) else response.json())
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        url = response.request.url.copy_with(query=None)
        raise UnexpectedAnswerError(f"{url} did not answer as version 1 of the API does: {error!r}") from error
