"""Messages to webhooks, sent to a real server."""

import base64
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from click.testing import CliRunner
from sqlalchemy import Engine
from sqlalchemy.orm import Session, sessionmaker

from catalog import jobs, webhook_queue
from indexer.cli.jobs import webhooks_
from indexer.jobs import webhooks
from indexer.jobs.worker import Worker
from vsearch.core.errors import SettingsError
from vsearch.core.settings import Settings

NOW = datetime(2026, 11, 21, 1, 30, tzinfo=UTC)
KEY = bytes(range(32))
SECRET = "whsec_" + base64.b64encode(KEY).decode()


@dataclass
class Receiver:
    """A server that keeps what it gets, and answers with the next status, or 200."""

    url: str = ""
    statuses: list[int] = field(default_factory=list)
    requests: list[tuple[dict[str, str], str]] = field(default_factory=list)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    found = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            found.requests.append((dict(self.headers), body))
            self.send_response(found.statuses.pop(0) if found.statuses else 200)
            self.end_headers()

        def log_message(self, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found.url = f"http://127.0.0.1:{server.server_port}/hook"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield found
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def sessions(engine: Engine) -> sessionmaker[Session]:
    return sessionmaker(engine)


def settings_for(*urls: str) -> Settings:
    return Settings(webhook_urls=", ".join(urls), webhook_secret=SECRET)


def end_job(sessions: sessionmaker[Session], now: datetime = NOW, state: jobs.State = "done") -> int:
    with sessions.begin() as session:
        job_id = jobs.add(session, "nightly", {}, now)
        jobs.finish(session, job_id, state, "Grüße.", now, result={"pictures": 3})
    return job_id


def test_a_message_is_signed_and_sent_once(sessions: sessionmaker[Session], receiver: Receiver) -> None:
    settings = settings_for(receiver.url)
    job_id = end_job(sessions)
    started = NOW - timedelta(minutes=1)
    assert webhooks.deliver(sessions, settings, started, NOW) == 1
    assert webhooks.deliver(sessions, settings, started, NOW + timedelta(hours=1)) == 0
    ((headers, body),) = receiver.requests
    assert json.loads(body)["type"] == "job.ended"
    data = json.loads(body)["data"]
    assert (data["job_id"], data["kind"], data["state"]) == (job_id, "nightly", "done")
    assert (data["message"], data["result"], data["finished_at"]) == ("Grüße.", {"pictures": 3}, NOW.isoformat())
    fields = {name.lower(): value for name, value in headers.items()}
    assert fields["webhook-timestamp"] == str(int(NOW.timestamp()))
    signature = webhooks.sign(KEY, fields["webhook-id"], int(NOW.timestamp()), body)
    assert fields["webhook-signature"] == signature


def test_the_signature_is_that_of_the_specification() -> None:
    """The example of standardwebhooks.com."""
    key = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    payload = '{"test": 2432232314}'
    signature = webhooks.sign(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, payload)
    assert signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_failed_attempts_are_repeated_and_then_given_up(sessions: sessionmaker[Session], receiver: Receiver) -> None:
    """One address does not delay another."""
    settings = settings_for(receiver.url, "http://127.0.0.1:1/")
    end_job(sessions, state="failed")
    receiver.statuses += [500, 302]
    now, delivered = NOW, 0
    for wait in (timedelta(0), *webhook_queue.RETRY_AFTER):
        now += wait
        delivered += webhooks.deliver(sessions, settings, NOW - timedelta(hours=1), now)
    assert (len(receiver.requests), delivered) == (3, 1)
    assert len({headers["webhook-id"] for headers, _ in receiver.requests}) == 1
    with sessions() as session:
        found = {each.url: each for each in webhook_queue.latest(session)}
    assert (found[receiver.url].next_at, found[receiver.url].problem) == (None, "")
    other = found["http://127.0.0.1:1/"]
    assert (other.next_at, other.attempts) == (None, 1 + len(webhook_queue.RETRY_AFTER))
    assert other.problem


def test_a_message_belongs_to_one_worker_until_its_lease_ends(sessions: sessionmaker[Session]) -> None:
    end_job(sessions)
    with sessions.begin() as session:
        webhook_queue.announce(session, ["http://shop.example/"], NOW - timedelta(hours=1), NOW)
    for now, count in ((NOW, 1), (NOW, 0), (NOW + webhook_queue.LEASE, 1)):
        with sessions.begin() as session:
            assert len(webhook_queue.claim_due(session, now)) == count


def test_a_new_address_is_not_told_about_the_past(sessions: sessionmaker[Session], receiver: Receiver) -> None:
    """One that has had a message is told what ended while no worker was running."""
    settings = settings_for(receiver.url)
    end_job(sessions, NOW - timedelta(hours=2))
    assert webhooks.deliver(sessions, settings, NOW - timedelta(hours=1), NOW) == 0
    end_job(sessions)
    assert webhooks.deliver(sessions, settings, NOW - timedelta(hours=1), NOW) == 1
    missed = end_job(sessions, NOW + timedelta(hours=2))
    later = NOW + timedelta(hours=4)
    assert webhooks.deliver(sessions, settings, later, later) >= 1
    assert missed in {json.loads(body)["data"]["job_id"] for _, body in receiver.requests}


@pytest.mark.parametrize(
    ("urls", "secret"),
    [("https://shop.example", ""), ("https://shop.example", "whsec_dG9vIHNob3J0"), ("ftp://shop.example", SECRET)],
)
def test_invalid_settings_stop_the_worker_at_its_start(urls: str, secret: str) -> None:
    with pytest.raises(SettingsError):
        Worker(Settings(webhook_urls=urls, webhook_secret=secret))


def test_command(sqlite_engine: Engine, receiver: Receiver) -> None:
    settings = settings_for(receiver.url).model_copy(update={"database_url": str(sqlite_engine.url)})

    def invoke(*arguments: str, code: int = 0) -> str:
        result = CliRunner().invoke(webhooks_, arguments, obj=settings)
        assert result.exit_code == code, result.output
        return result.output

    assert "accepted" in invoke("--test")
    receiver.statuses.append(404)
    assert "404" in invoke("--test", code=1)
    assert json.loads(receiver.requests[0][1])["type"] == "test"
    assert webhooks.read_secret(Settings(webhook_secret=invoke("--new-secret").strip()))
    sessions = sessionmaker(sqlite_engine)
    end_job(sessions)
    receiver.statuses.append(503)
    webhooks.deliver(sessions, settings, NOW - timedelta(hours=1), NOW)
    assert "503" in invoke()
