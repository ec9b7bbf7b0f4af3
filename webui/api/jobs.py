"""Background jobs, and batches of product changes, which are jobs as well."""

from collections.abc import Mapping

from flask import abort
from werkzeug.exceptions import Conflict

from catalog import audit, product_batches
from catalog import jobs as job_table
from catalog.database import lock_for_writing
from catalog.models import Job, utc_now
from vsearch.core.redaction import redact
from webui import job_queue
from webui.api.answers import absolute_url
from webui.api.job_schemas import (
    ItemError,
    JobAnswer,
    JobPage,
    JobProgress,
    JobQuery,
    JobRequest,
    ProductChanges,
)
from webui.api.operations import operation
from webui.api.pagination import after_of, cursor_of
from webui.authentication import caller
from webui.services import services

MAX_ID = 2**53


@operation(
    "POST", "/products/batch", "catalog:write", body=ProductChanges, answer=JobAnswer, status=202, problems=(413, 415)
)
def change_products(body: ProductChanges) -> JobAnswer:
    """Add, replace and withdraw up to 1,000 products.

    A job checks them as it checks the rows of a feed, fetches their images and applies all that are valid at once;
    the job's `errors` name the others. Prices and stock take effect then, new products are searchable soon after.
    """
    products = [product.model_dump(exclude_none=True) for product in body.products]
    by = account()
    with services().sessions.begin() as session:
        lock_for_writing(session)
        job_id = product_batches.add(session, products, body.withdraw, utc_now(), by=by)
        sizes = {"products": len(products), "withdraw": len(body.withdraw)}
        audit.record(session, by, "change products", f"job {job_id}", sizes)
    return job(job_id)


@operation("GET", "/jobs", "jobs:read", query=JobQuery, answer=JobPage)
def jobs(query: JobQuery) -> JobPage:
    """List jobs, newest first."""
    filters = query.model_dump(mode="json", exclude={"cursor", "limit"})
    before = after_of(["jobs", filters], query.cursor)
    with services().sessions() as session:
        found = job_table.page(session, before, query.limit + 1, kind=query.kind or "", state=query.state or "")
    listed = found[: query.limit]
    following = cursor_of(["jobs", filters], listed[-1].job_id) if len(found) > len(listed) else None
    return JobPage(jobs=[job_of(each) for each in listed], next=following)


@operation("POST", "/jobs", "jobs:write", body=JobRequest, answer=JobAnswer, status=202, problems=(409, 413, 415))
def start_job(body: JobRequest) -> JobAnswer:
    """Start a job."""
    return queued(body.kind, {})


@operation("GET", "/jobs/<int:job_id>", "jobs:read", answer=JobAnswer, problems=(404,))
def job(job_id: int) -> JobAnswer:
    """Return a job."""
    with services().sessions() as session:
        found = job_table.one(session, job_id) if job_id <= MAX_ID else None
    return job_of(found or abort(404, "This job does not exist, or its record was deleted."))


@operation("POST", "/jobs/<int:job_id>/cancel", "jobs:write", answer=JobAnswer, problems=(404, 409))
def cancel_job(job_id: int) -> JobAnswer:
    """Cancel a job, immediately if it waits and within seconds if it runs."""
    state = job(job_id).state
    if state not in job_table.OPEN:
        raise Conflict(f"Job {job_id} has ended ({state}).")
    with services().sessions.begin() as session:
        lock_for_writing(session)
        job_table.cancel(session, job_id, utc_now())
        audit.record(session, account(), "cancel job", f"job {job_id}")
    return job(job_id)


def queued(kind: str, arguments: Mapping[str, object]) -> JobAnswer:
    """Queue a job in the name of the key; 409 if the same job is waiting or running."""
    return job(job_queue.add(services().sessions, kind, arguments, by=account()))


def account() -> str:
    """Return the name of the key that sends the request."""
    holder = caller()
    assert holder is not None
    return holder.account


def job_of(job: Job) -> JobAnswer:
    """Return a job."""
    progress = None
    if job.state == "running" and job.progress:
        progress = JobProgress(**{"stage": "", "done": 0, "total": 0} | job.progress)
    result = job.result if job.kind in ("import", product_batches.KIND) else {}
    errors = result.get("errors") if job.kind == product_batches.KIND else None
    return JobAnswer(
        id=job.job_id,
        url=absolute_url("api.job", job_id=job.job_id),
        kind=job.kind,
        state=job.state,
        message=redact(job.message),
        requested_by=job.requested_by,
        created_at=job.created_at,
        start_at=job.start_at,
        started_at=job.started_at,
        finished_at=job.finished_at,
        progress=progress,
        counts=result.get("counts"),
        errors=None if errors is None else [ItemError(**error) for error in errors],
    )
