"""`vsearch jobs`: long work in the background, and the worker that does it."""

import json
import logging
import sys
from datetime import datetime
from typing import Any

import click

from catalog import jobs
from catalog.database import open_catalog
from catalog.jobs import JobRow
from catalog.models import utc_now
from indexer.jobs import jobs as work
from indexer.jobs.alerts import run_alarm
from indexer.jobs.jobs import KINDS
from indexer.jobs.kinds import ACCEPTABLE, WORK, checked
from indexer.jobs.worker import Worker
from vsearch.cli import pass_settings
from vsearch.cli.console import table
from vsearch.core.errors import CatalogError, SettingsError
from vsearch.core.redaction import redact, redact_url
from vsearch.core.settings import Settings


@click.group()
def command() -> None:
    """Run nightly jobs, imports and trainings in the background."""


@command.command("run", epilog="Example: vsearch jobs run nightly")
@click.argument("kind", type=click.Choice(KINDS))
@click.argument("arguments", nargs=-1)
@click.option(
    "--accept",
    type=click.Choice(ACCEPTABLE),
    multiple=True,
    help="Take what would stop this one job; see `vsearch index run`.",
)
@pass_settings
def run(settings: Settings, *, kind: str, arguments: tuple[str, ...], accept: tuple[str, ...]) -> None:
    """Ask for a job; a worker (`vsearch jobs worker`) does it.

    \b
    nightly                    import the feed of the settings, and index; now, not by the schedule
    index                      index what the catalogue holds
    import feed=F images=I     import a feed
    train plan=P photos=D      train by a plan, runs kept in the data folder
    """
    given = checked(settings, kind, arguments, accept)
    with open_catalog(settings.catalogue_url, write=True) as sessions:
        job_id = work.add(sessions, kind, given, utc_now())
    click.echo(f"Job {job_id} waits for a worker; `vsearch jobs list` shows how far it is.")


@command.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@pass_settings
def list_(settings: Settings, *, as_json: bool) -> None:
    """Show the latest jobs."""
    with open_catalog(settings.catalogue_url) as sessions, sessions() as session:
        found = jobs.latest(session)
    if as_json:
        click.echo(json.dumps([_plain(job) for job in found], indent=2))
        return
    if not found:
        click.echo("There are no jobs; `vsearch jobs run nightly` asks for one.")
        return
    lines = [[str(job.job_id), job.kind, _state(job), _moment(job.created_at), _far(job)] for job in found]
    table("Jobs", ("job", "kind", "state", "asked for", "how far"), lines, right=("job",))


@command.command("cancel")
@click.argument("job_id", type=int)
@pass_settings
def cancel(settings: Settings, job_id: int) -> None:
    """Stop a job; what it finished stays."""
    with open_catalog(settings.catalogue_url) as sessions, sessions.begin() as session:
        state = jobs.cancel(session, job_id, utc_now())
    click.echo(f"Job {job_id} is cancelled." if state == "cancelled" else f"Job {job_id} is told to stop.")


@command.command("log")
@click.argument("job_id", type=int)
@pass_settings
def show_log(settings: Settings, job_id: int) -> None:
    """Print what a job said."""
    file = settings.jobs / f"{job_id}.log"
    with open_catalog(settings.catalogue_url) as sessions, sessions() as session:
        if jobs.one(session, job_id) is None:
            raise CatalogError(f"A log is of a job on record, but there is no job {job_id}; see `vsearch jobs list`.")
    if not file.is_file():
        raise CatalogError(f"A job has a log once it began, but job {job_id} has none; see `vsearch jobs list`.")
    sys.stdout.write(redact(file.read_text(encoding="utf8", errors="replace")))


@command.command("worker")
@pass_settings
def worker(settings: Settings) -> None:
    """Run waiting jobs, and the nightly job when it is due (the setting schedule)."""
    _talk()
    Worker(settings).run()


@command.command("alarm")
@pass_settings
def alarm(settings: Settings) -> None:
    """Try the setting alarm, the command that gets the message of a failed job.

    It is a program with its arguments; no shell runs it: write sh -c 'COMMAND LINE' for pipes, redirections and
    variables.
    """
    if not settings.alarm.strip():
        raise SettingsError(
            "No alarm command is set. Set VSEARCH_ALARM, or alarm in vsearch.toml, to a command that reads the "
            "message on its standard input, such as 'curl -fsS --data-binary @- https://alerts.example/shop'."
        )
    run_alarm(settings.alarm, "vsearch: this is a test of the alarm; nothing failed.")
    click.echo("The alarm command succeeded. Check that its message arrived.")


@command.command("execute", hidden=True)
@click.argument("job_id", type=int)
@click.argument("worker")
@pass_settings
def execute(settings: Settings, job_id: int, worker: str) -> None:
    """Run a job that a worker has claimed; the worker starts this in a process for each job."""
    _talk()
    if not work.execute(settings, job_id, worker, WORK):
        click.echo(f"Job {job_id} does not belong to worker {worker} any more.")


def _talk() -> None:
    """Log what is done, but not what libraries have to say of their own doings."""
    logging.getLogger().setLevel(logging.INFO)
    for name in ("alembic", "faiss"):
        logging.getLogger(name).setLevel(logging.WARNING)


def _plain(job: JobRow) -> dict[str, Any]:
    fields = {field: getattr(job, field) for field in JobRow.__dataclass_fields__}
    fields["arguments"] = {name: _hidden(value) for name, value in job.arguments.items()}
    fields["message"] = redact(job.message)
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in fields.items()}


def _hidden(value: object) -> object:
    """Return an argument without the password of an address."""
    return redact_url(value) if isinstance(value, str) else value


def _state(job: JobRow) -> str:
    return "stopping" if job.state == "running" and job.cancel_requested else job.state


def _moment(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S}"


def _far(job: JobRow) -> str:
    if job.state == "running" and job.progress:
        done, total = job.progress.get("done", 0), job.progress.get("total", 0)
        return f"{job.progress['stage']}: {done} of {total}" if total else str(job.progress["stage"])
    return redact(job.message)
