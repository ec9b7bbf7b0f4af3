"""Errors, with a class for each type of problem of the API that programs may want to tell apart (docs/api.md)."""

from collections.abc import Sequence

import httpx

from vsearch.client.answer_types import FieldProblem, JobAnswer, Problem
from vsearch.client.conversion import from_json

PREFIX = "urn:vsearch:problem:"


class VSearchClientError(Exception):
    """Base class of all errors of the client."""


class ConnectionFailedError(VSearchClientError):
    """The server did not answer."""


class UnexpectedAnswerError(VSearchClientError):
    """The answer is not one of the API."""


class ApiError(VSearchClientError):
    """The API answered with a problem.

    Attributes:
        status: HTTP status.
        type: of the problem, such as NotAnImage; empty if the answer is not a problem document, as those of proxies.
        detail: what is wrong and what to do, for people.
        errors: what is wrong with each invalid field, if the request has some.
    """

    def __init__(self, status: int, type: str, detail: str, errors: Sequence[FieldProblem] = ()) -> None:
        super().__init__(f"{detail} ({status}{f' {type}' if type else ''})")
        self.status = status
        self.type = type
        self.detail = detail
        self.errors = tuple(errors)


class RequestInvalidError(ApiError):
    """400: a parameter or field is not valid, or there is no photo."""


class FieldsInvalidError(RequestInvalidError):
    """`errors` names the fields that are not valid."""


class ClassUnknownError(RequestInvalidError):
    """The index has no such class."""


class KeyInvalidError(ApiError):
    """401: the key is missing, unknown, expired or revoked."""


class NotAllowedError(ApiError):
    """403."""


class ScopeMissingError(NotAllowedError):
    """The key does not have the scope of the operation."""


class DoesNotExistError(ApiError):
    """404: no such product, photo, job, model or index."""


class ConflictError(ApiError):
    """409: the job has ended, or the idempotency key was used for another request."""


class JobOpenError(ConflictError):
    """The same job is waiting or running."""


class PhotoRejectedError(ApiError):
    """413 or 415: the photo is not acceptable."""


class PhotoTooLargeError(PhotoRejectedError):
    """413: too many bytes or pixels; also of a body that is not a photo."""


class PhotoUnreadableError(PhotoRejectedError):
    """It is not an image, damaged, too small, or too long and thin."""


class RateLimitError(ApiError):
    """429: too many requests with this key or from this address."""


class ServerError(ApiError):
    """500 and more: the server has a problem."""


class UnavailableError(ServerError):
    """503: the server is busy or not ready."""


class IndexMissingError(UnavailableError):
    """No index has been published yet."""


class JobFailedError(VSearchClientError):
    """A job failed or was cancelled; `job` says more."""

    def __init__(self, job: JobAnswer) -> None:
        super().__init__(f"Job {job.id} ({job.kind}) {job.state}: {job.message}")
        self.job = job


class JobTimeoutError(VSearchClientError, TimeoutError):
    """A job has not ended in time; `job` is its latest state. It goes on."""

    def __init__(self, job: JobAnswer, seconds: float) -> None:
        super().__init__(f"Job {job.id} ({job.kind}) is still {job.state} after {seconds:g} seconds.")
        self.job = job


class WebhookInvalidError(VSearchClientError):
    """The message was not sent by the server, or too long ago."""


TYPES: dict[str, type[ApiError]] = {
    "InvalidFields": FieldsInvalidError,
    "UnknownClass": ClassUnknownError,
    "MissingScope": ScopeMissingError,
    "JobIsOpen": JobOpenError,
    "NotAnImage": PhotoUnreadableError,
    "NoGeneration": IndexMissingError,
}
STATUSES: dict[int, type[ApiError]] = {
    400: RequestInvalidError,
    401: KeyInvalidError,
    403: NotAllowedError,
    404: DoesNotExistError,
    409: ConflictError,
    413: PhotoTooLargeError,
    429: RateLimitError,
    503: UnavailableError,
}


def problem_in(response: httpx.Response) -> ApiError:
    """Return the problem in a response."""
    status = response.status_code
    try:
        found = from_json(Problem, response.json())
        name, detail, errors = str(found.type).removeprefix(PREFIX), str(found.detail), found.errors or ()
    except (KeyError, TypeError, ValueError, AttributeError):
        name, detail, errors = "", f"The server answered with status {status}, without a problem document.", ()
        if response.is_redirect:
            detail = f"The server is at another address: {response.headers['Location']}"
    default = ServerError if status >= 500 else ApiError
    return TYPES.get(name, STATUSES.get(status, default))(status, name, detail, errors)
