"""Messages to webhooks about jobs that have ended: one for each job and address, kept until it is delivered."""

import json
from collections.abc import Collection
from datetime import datetime, timedelta

from sqlalchemy import exists, select, update
from sqlalchemy.orm import Session

from catalog.api_tables import WebhookDelivery
from catalog.models import Job

LOOK_BACK = timedelta(days=1)
"""Jobs that ended longer ago are not announced."""

LEASE = timedelta(minutes=2)
"""How long a worker has to deliver a message before another one tries."""

RETRY_AFTER = tuple(
    timedelta(seconds=seconds) for seconds in (5, 60, 300, 1800, 2 * 3600, 5 * 3600, 10 * 3600, 14 * 3600, 20 * 3600)
)
"""Waiting times after failed attempts; then the message is given up, after more than two days."""


def announce(session: Session, urls: Collection[str], since: datetime, now: datetime) -> None:
    """Add messages about the jobs that have ended since a time, and within `LOOK_BACK`, and are not announced yet.

    An address that has had a message before also gets those about jobs that ended earlier, while no worker was running.
    """
    for url in urls:
        known = session.scalar(select(exists().where(WebhookDelivery.url == url)))
        after = now - LOOK_BACK if known else max(since, now - LOOK_BACK)
        announced = exists().where(WebhookDelivery.job_id == Job.job_id, WebhookDelivery.url == url)
        for job in session.scalars(select(Job).where(Job.finished_at > after, ~announced).order_by(Job.job_id)):
            payload = json.dumps(message(job, now), ensure_ascii=False)
            session.add(WebhookDelivery(job_id=job.job_id, url=url, payload=payload, created_at=now, next_at=now))


def message(job: Job, now: datetime) -> dict[str, object]:
    """Return what a webhook is told about a job, as plain data."""
    moments = {name: getattr(job, name) for name in ("created_at", "started_at", "finished_at")}
    return {
        "type": "job.ended",
        "timestamp": now.isoformat(),
        "data": {
            "job_id": job.job_id,
            "kind": job.kind,
            "state": job.state,
            "message": job.message,
            "result": job.result,
            "requested_by": job.requested_by,
            **{name: moment and moment.isoformat() for name, moment in moments.items()},
        },
    }


def claim_due(session: Session, now: datetime, limit: int = 20) -> list[WebhookDelivery]:
    """Return messages that are due, which no other worker gets until their lease ends."""
    due = select(WebhookDelivery).where(WebhookDelivery.next_at <= now).order_by(WebhookDelivery.next_at).limit(limit)
    claimed = []
    for delivery in session.scalars(due).all():
        mine = update(WebhookDelivery).where(
            WebhookDelivery.delivery_id == delivery.delivery_id, WebhookDelivery.next_at == delivery.next_at
        )
        taken = mine.values(next_at=now + LEASE).returning(WebhookDelivery.delivery_id)
        if session.scalar(taken.execution_options(synchronize_session=False)) is not None:
            claimed.append(delivery)
    session.expunge_all()
    return claimed


def record(session: Session, delivery: WebhookDelivery, problem: str, now: datetime) -> None:
    """Record an attempt, which failed if there is a problem; it is repeated later unless there were too many."""
    waits = RETRY_AFTER[delivery.attempts] if problem and delivery.attempts < len(RETRY_AFTER) else None
    values = {"attempts": delivery.attempts + 1, "next_at": waits and now + waits, "problem": problem[:500]}
    session.execute(update(WebhookDelivery).where(WebhookDelivery.delivery_id == delivery.delivery_id).values(**values))


def latest(session: Session, limit: int = 20) -> list[WebhookDelivery]:
    """Return the latest messages, newest first."""
    return list(session.scalars(select(WebhookDelivery).order_by(WebhookDelivery.delivery_id.desc()).limit(limit)))
