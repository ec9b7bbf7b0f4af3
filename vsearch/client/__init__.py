"""A client of the JSON API (docs/clients.md). It needs httpx, and nothing else of vsearch."""

try:
    import httpx  # noqa: F401
except ModuleNotFoundError as error:
    raise ModuleNotFoundError("vsearch.client needs httpx: pip install 'vsearch[client]'", name="httpx") from error

from vsearch.client.answer_types import FoundProduct, FullProduct, ItemError, JobAnswer, SearchAnswer
from vsearch.client.async_client import AsyncClient
from vsearch.client.batching import UpsertOutcome, input_of
from vsearch.client.problems import (
    ApiError,
    ClassUnknownError,
    ConflictError,
    ConnectionFailedError,
    DoesNotExistError,
    FieldsInvalidError,
    IndexMissingError,
    JobFailedError,
    JobOpenError,
    JobTimeoutError,
    KeyInvalidError,
    NotAllowedError,
    PhotoRejectedError,
    PhotoTooLargeError,
    PhotoUnreadableError,
    RateLimitError,
    RequestInvalidError,
    ScopeMissingError,
    ServerError,
    UnavailableError,
    UnexpectedAnswerError,
    VSearchClientError,
    WebhookInvalidError,
)
from vsearch.client.request_types import BatchSearch, ProductInput
from vsearch.client.sync_client import Client
from vsearch.client.webhook_signature import WebhookMessage, verify_webhook

__all__ = [
    "ApiError",
    "AsyncClient",
    "BatchSearch",
    "ClassUnknownError",
    "Client",
    "ConflictError",
    "ConnectionFailedError",
    "DoesNotExistError",
    "FieldsInvalidError",
    "FoundProduct",
    "FullProduct",
    "IndexMissingError",
    "ItemError",
    "JobAnswer",
    "JobFailedError",
    "JobOpenError",
    "JobTimeoutError",
    "KeyInvalidError",
    "NotAllowedError",
    "PhotoRejectedError",
    "PhotoTooLargeError",
    "PhotoUnreadableError",
    "ProductInput",
    "RateLimitError",
    "RequestInvalidError",
    "ScopeMissingError",
    "SearchAnswer",
    "ServerError",
    "UnavailableError",
    "UnexpectedAnswerError",
    "UpsertOutcome",
    "VSearchClientError",
    "WebhookInvalidError",
    "WebhookMessage",
    "input_of",
    "verify_webhook",
]
