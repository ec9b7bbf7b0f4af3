"""`vsearch jobs`: background jobs, and the worker that runs them."""

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any

import click

from catalog import jobs as job_table
from catalog import webhook_queue
from catalog.api_tables import WebhookDelivery
from catalog.database import open_catalog
from catalog.models import Job, utc_now
from indexer.jobs import execution, kinds, webhooks
from indexer.jobs.execution import run_alarm
from indexer.jobs.worker import Worker
from vsearch.cli import json_option, pass_settings
from vsearch.cli.console import table
from vsearch.core import logs, tracing
from vsearch.core.errors import CatalogError, SettingsError
from vsearch.core.redaction import redact, redact_url
from vsearch.core.settings import Settings


@click.group()
def jobs() -> None:
    """Run nightly jobs, imports and training runs in the background."""


@jobs.command("run", epilog="Example: vsearch jobs run nightly")
@click.argument("kind", type=click.Choice(execution.KINDS))
@click.argument("arguments", nargs=-1)
@click.option("--accept", type=click.Choice(kinds.CHECKS), multiple=True, help="Override a safety check (repeatable).")
@click.option("--at", "start_at", type=click.DateTime(), help="Start at this local time, not as soon as possible.")
@pass_settings
def run(
    settings: Settings, *, kind: str, arguments: tuple[str, ...], accept: tuple[str, ...], start_at: datetime | None
) -> None:
    """Queue a job for a worker (`vsearch jobs worker`).

    \b
    nightly                    import the configured feed, and index the catalog
    index                      index the catalog
    import feed=F images=I     import a feed; with dry_run=yes, store a preview of what it changes
    upsert batch=N             add, change and withdraw products that were sent to the API
    train plan=P photos=D      train with a plan, in the data folder's runs/PLAN or run=NAME; reviewed=no leaves out
                               the photos reviewed on the admin pages
    compare model=M            evaluate a model against the one in use, or against=N
    promote model=M            replace the model in use unless the new one is worse; allow_drop=SHARE reason=TEXT;
                               without model, fit the one in use to the photos reviewed since
    rollback what=W            return to the previous index, search model, reader or detector; to=GENERATION
    """
    parsed = kinds.parse_arguments(settings, kind, arguments, accept)
    with open_catalog(settings.catalog_url, write=True) as sessions:
        job_id = execution.add(sessions, kind, parsed, utc_now(), start_at=start_at and start_at.astimezone(UTC))
    click.echo(f"Job {job_id} is waiting for a worker. `vsearch jobs list` shows its progress.")


@jobs.command("list")
@json_option
@pass_settings
def list_(settings: Settings, *, as_json: bool) -> None:
    """Show the latest jobs."""
    with open_catalog(settings.catalog_url) as sessions, sessions() as session:
        found = job_table.latest(session)
    if as_json:
        click.echo(json.dumps([_as_json(job) for job in found], indent=2))
    elif found:
        lines = [
            [str(job.job_id), job.kind, _state(job), f"{job.created_at:%Y-%m-%d %H:%M:%S}", _progress(job)]
            for job in found
        ]
        table("Jobs", ("job", "kind", "state", "created (UTC)", "progress"), lines, right=("job",))
    else:
        click.echo("There are no jobs. Queue one with `vsearch jobs run nightly`.")


@jobs.command("retry")
@click.argument("job_id", type=int)
@pass_settings
def retry(settings: Settings, job_id: int) -> None:
    """Queue a job that has ended once more."""
    with open_catalog(settings.catalog_url, write=True) as sessions, sessions.begin() as session:
        again = job_table.retry(session, job_id, utc_now())
    click.echo(f"Job {again} repeats job {job_id}.")


@jobs.command("cancel")
@click.argument("job_id", type=int)
@pass_settings
def cancel(settings: Settings, job_id: int) -> None:
    """Stop a job; the steps it has finished are kept."""
    with open_catalog(settings.catalog_url) as sessions, sessions.begin() as session:
        state = job_table.cancel(session, job_id, utc_now())
    click.echo(f"Job {job_id} is {'cancelled' if state == 'cancelled' else 'stopping'}.")


@jobs.command("log")
@click.argument("job_id", type=int)
@pass_settings
def show_log(settings: Settings, job_id: int) -> None:
    """Print the log of a job."""
    file = settings.jobs / f"{job_id}.log"
    with open_catalog(settings.catalog_url) as sessions, sessions() as session:
        exists = job_table.one(session, job_id) is not None
    if not exists or not file.is_file():
        problem = "has no log: it has not started" if exists else "does not exist"
        raise CatalogError(f"Job {job_id} {problem}. See `vsearch jobs list`.")
    sys.stdout.write(redact(file.read_text(encoding="utf8", errors="replace")))


@jobs.command("worker")
@pass_settings
def worker(settings: Settings) -> None:
    """Run waiting jobs, and the nightly job when it is due (see the `schedule` setting)."""
    logging.getLogger().setLevel(logging.INFO)
    Worker(settings).run()


@jobs.command("alarm")
@pass_settings
def alarm(settings: Settings) -> None:
    """Test the alarm command (the `alarm` setting), which receives the message of a failed job.

    It runs without a shell; for pipes, redirections and variables, use sh -c 'COMMAND LINE'.
    """
    if not settings.alarm.strip():
        example = "curl -fsS --data-binary @- https://alerts.example/shop"
        raise SettingsError(
            f"No alarm command is set. Set VSEARCH_ALARM to one that reads standard input, such as '{example}'."
        )
    run_alarm(settings.alarm, "vsearch: this is a test of the alarm; nothing failed.")
    click.echo("The alarm command succeeded. Check that the message arrived.")


@jobs.command("execute", hidden=True)
@click.argument("job_id", type=int)
@click.argument("worker")
@pass_settings
def execute(settings: Settings, job_id: int, worker: str) -> None:
    """Run a job that a worker has claimed; the worker starts this command in a separate process for each job."""
    logging.getLogger().setLevel(logging.INFO)
    with logs.process_fields(job=job_id):
        tracing.configure(settings, "vsearch-jobs")
        if not execution.execute(settings, job_id, worker, kinds.FUNCTIONS):
            click.echo(f"Job {job_id} no longer belongs to worker {worker}.")


def _as_json(job: Job) -> dict[str, Any]:
    fields = {each.name: getattr(job, each.name) for each in Job.__table__.columns} | {"message": redact(job.message)}
    fields["arguments"] = {
        name: redact_url(value) if isinstance(value, str) else value for name, value in job.arguments.items()
    }
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in fields.items()}


def _state(job: Job) -> str:
    return "stopping" if job.state == "running" and job.cancel_requested else job.state


def _progress(job: Job) -> str:
    if job.state != "running" or not job.progress:
        return redact(job.message)
    done, total = job.progress.get("done", 0), job.progress.get("total", 0)
    return f"{job.progress['stage']}: {done} of {total}" if total else str(job.progress["stage"])


@jobs.command("webhooks", epilog="Example: vsearch jobs webhooks --test")
@click.option("--test", is_flag=True, help="Send a test message to each address now.")
@click.option("--new-secret", is_flag=True, help="Print a random value for the setting `webhook_secret` and exit.")
@pass_settings
def webhooks_(settings: Settings, *, test: bool, new_secret: bool) -> None:
    """Show the latest messages to webhooks about jobs that have ended, or send a test message.

    A worker (`vsearch jobs worker`) sends them, and repeats failed attempts for two days.
    """
    if new_secret:
        click.echo(webhooks.new_secret())
    elif test:
        _test_webhooks(settings)
    else:
        with open_catalog(settings.catalog_url) as sessions, sessions() as session:
            lines = [
                (str(each.job_id), redact_url(each.url), str(each.attempts), _webhook_state(each))
                for each in webhook_queue.latest(session)
            ]
        table("Messages to webhooks", ("job", "address", "attempts", "state"), lines, right=("attempts",))


def _test_webhooks(settings: Settings) -> None:
    key, now = webhooks.read_secret(settings), utc_now()
    payload = json.dumps({"type": "test", "timestamp": now.isoformat(), "data": {}})
    failed = False
    for url in webhooks.addresses(settings):
        problem = webhooks.post(url, payload, webhooks.headers(key, "msg_test", payload, now))
        click.echo(f"{redact_url(url)}: {problem or 'accepted.'}", err=bool(problem))
        failed |= bool(problem)
    if failed:
        sys.exit(1)


def _webhook_state(delivery: WebhookDelivery) -> str:
    if delivery.next_at is None:
        return f"given up: {delivery.problem}" if delivery.problem else "delivered"
    when = f"{delivery.next_at:%Y-%m-%d %H:%M} UTC"
    return f"{delivery.problem} Next attempt at {when}." if delivery.problem else f"waiting since {when}"
