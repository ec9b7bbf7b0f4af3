import http.client
import json
import re
import signal
import socket
import subprocess
import sys
import threading
import urllib.request
from contextlib import closing, suppress
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import MagicMock

import pytest

from tests import ports
from vsearch.core.errors import SettingsError
from vsearch.core.settings import Settings, load
from webui import server
from webui.services import services_of

ROOT = Path(__file__).parents[2]
PROGRAM = """
import sys
from pathlib import Path
from tests.fakes import FakeEncoder
from vsearch.core.settings import Settings
from vsearch.detection.detector import no_detector
from vsearch.models import registry
from webui.server import serve

registry.active = lambda settings, role: None  # opening the bundled reader loads TensorFlow
admin = "127.0.0.1:" + sys.argv[3]
drain = int(sys.argv[4]) if len(sys.argv) > 4 else 0
settings = Settings(data=Path(sys.argv[1]), port=int(sys.argv[2]), admin_bind=admin, threads=2, drain_seconds=drain)
serve(settings, lambda address, problem: print(address, problem, flush=True), FakeEncoder, no_detector)
"""


@pytest.fixture
def free_port():
    return ports.free_port()


@pytest.mark.slow
@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_serves_until_stopped(settings, free_port, site, stop):
    """It answers while slow uploads arrive, and stops cleanly."""
    admin = ports.free_port()
    command = [sys.executable, "-W", "error", "-c", PROGRAM, str(settings.data), str(free_port), str(admin)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        address = f"http://127.0.0.1:{free_port}/"
        assert process.stdout.readline() == f"{address} None\n"
        with urllib.request.urlopen(f"{address}readyz") as answer:
            assert json.load(answer)["status"] == "ready"
        with urllib.request.urlopen(f"http://127.0.0.1:{admin}/readyz") as answer:
            assert json.load(answer)["pictures"] == 24
        with urllib.request.urlopen(f"http://127.0.0.1:{admin}/metrics") as answer:
            assert b"vsearch_ready 1.0" in answer.read()
        slow = [socket.create_connection(("127.0.0.1", free_port)) for _ in range(30)]
        for upload in slow:
            upload.sendall(b"POST /search HTTP/1.1\r\nHost: x\r\nContent-Length: 30000\r\n\r\nx")
        request = urllib.request.Request(f"{address}api/v1/search", site.photo(3), {"Content-Type": "image/jpeg"})
        with urllib.request.urlopen(request) as answer:
            assert json.load(answer)["results"][0]["sku"] == "P-03"
    finally:
        process.send_signal(stop)
        rest = process.communicate()[0]
    for upload in slow:
        upload.close()
    assert process.returncode == 0
    assert not re.search("Traceback|Warning", rest)


@pytest.mark.slow
def test_load_balancers_are_told_before_the_end(settings, free_port, site):
    """After SIGTERM, /readyz answers 503 while requests are answered, also one that was being sent."""
    admin = ports.free_port()
    command = [sys.executable, "-W", "error", "-c", PROGRAM, str(settings.data), str(free_port), str(admin), "600"]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        assert process.stdout.readline().endswith(" None\n")
        photo = site.photo(3)
        head = "POST /api/v1/search HTTP/1.1\r\nHost: x\r\nContent-Type: image/jpeg\r\nContent-Length: {}\r\n\r\n"
        with socket.create_connection(("127.0.0.1", free_port)) as upload:
            upload.sendall(head.format(len(photo)).encode() + photo[:100])
            process.send_signal(signal.SIGTERM)
            while status(free_port, "/readyz")[0] == 200:
                pass
            assert status(free_port, "/healthz") == (200, "close")
            assert status(admin, "/readyz")[0] == 503
            upload.sendall(photo[100:])
            answer = b"".join(iter(lambda: upload.recv(65_536), b""))
        assert answer.startswith(b"HTTP/1.1 200 OK")
        assert b"P-03" in answer
        process.send_signal(signal.SIGINT)  # ends the wait
        rest = process.communicate()[0]
    finally:
        process.kill()
    assert process.returncode == 0
    assert not re.search("Traceback|Warning", rest)


def status(port: int, path: str) -> tuple[int, str | None]:
    """Return the status, and whether the connection is closed."""
    with closing(http.client.HTTPConnection("127.0.0.1", port)) as connection:
        connection.request("GET", path)
        with connection.getresponse() as answer:
            answer.read()
            return answer.status, answer.headers.get("Connection")


SYSTEMD = """
import fcntl, os, sys

sockets = [fcntl.fcntl(int(number), fcntl.F_DUPFD, 50) for number in sys.argv[1].split(",")]
for number, each in enumerate(sockets, start=3):
    os.dup2(each, number)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(len(sockets)))
os.execv(sys.executable, [sys.executable, *sys.argv[2:]])
"""


def with_sockets(settings: Settings, *listeners: socket.socket) -> "subprocess.Popen[str]":
    """Start a server with listening sockets, as systemd does."""
    numbers = [listener.fileno() for listener in listeners]
    program = ["-W", "error", "-c", PROGRAM, str(settings.data), "1", "1"]
    command = [sys.executable, "-c", SYSTEMD, ",".join(map(str, numbers)), *program]
    return subprocess.Popen(
        command, cwd=ROOT, pass_fds=numbers, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def ask_until(done: threading.Event, port: int, answered: threading.Semaphore, failures: list[object]) -> None:
    """Send one request after another, each on a connection of its own."""
    while not done.is_set():
        try:
            found: object = status(port, "/products/P-03")[0]
        except (OSError, http.client.HTTPException) as error:
            found = error
        if found != 200:
            failures.append(found)
        answered.release()


@pytest.mark.slow
def test_no_request_fails_during_a_restart(settings, site):
    """systemd keeps the sockets; connections wait in them until the next process accepts them.

    There are as many clients as threads: of more, those that wait over a second for a thread would get a 503.
    """
    with socket.create_server(("127.0.0.1", 0), backlog=100) as public, socket.create_server(("127.0.0.1", 0)) as admin:
        port = public.getsockname()[1]
        failures, answered, done = [], threading.Semaphore(0), threading.Event()

        clients = [threading.Thread(target=ask_until, args=(done, port, answered, failures)) for _ in range(2)]
        process = with_sockets(settings, public, admin)
        try:
            for restart in range(3):
                if restart:
                    process.send_signal(signal.SIGTERM)
                    rest = process.communicate()[0]
                    assert (process.returncode, re.search("Traceback|Warning", rest)) == (0, None)
                    process = with_sockets(settings, public, admin)
                assert process.stdout.readline().startswith(f"http://127.0.0.1:{port}/ None")
                for client in () if restart else clients:
                    client.start()
                for _ in range(30):
                    answered.acquire()
            assert status(admin.getsockname()[1], "/readyz")[0] == 200
        finally:
            done.set()
            for client in clients:
                if client.ident:
                    client.join()
            process.send_signal(signal.SIGTERM)
            process.communicate()
    assert failures == []


@pytest.mark.parametrize("setting", ["port", "admin_bind"])
def test_port_in_use(tmp_path, free_port, setting):
    with socket.create_server(("127.0.0.1", 0)) as other:
        used = other.getsockname()[1]
        settings = Settings(data=tmp_path, **{"port": free_port, "admin_bind": ""})
        settings = settings.model_copy(update={setting: used if setting == "port" else f"127.0.0.1:{used}"})
        with pytest.raises(SettingsError, match=rf"{setting}.*{used}"):
            server.serve(settings, lambda url, problem: None)


def test_default_admin_port_in_use(tmp_path, caplog):
    """Another page may run on this machine, so this one starts without metrics."""
    with suppress(OSError), socket.create_server(("127.0.0.1", 8001)):  # or another program uses it already
        assert server.admin_listener(Settings(data=tmp_path)) is None
        assert "/metrics is not served" in caplog.text
    assert server.admin_listener(Settings(data=tmp_path, admin_bind="")) is None


@pytest.mark.parametrize("bind", ["8001", "localhost", "127.0.0.1:x", "127.0.0.1:", ":8001", "127.0.0.1:99999"])
def test_invalid_admin_bind(bind):
    with pytest.raises(SettingsError, match="admin_bind"):
        server.admin_listener(load({"VSEARCH_ADMIN_BIND": bind}, Path("no such file"))[0])


@pytest.mark.parametrize(("open_files", "connections"), [(1024, 384), (100, 16), (10**6, 4096)])
def test_connections_fit_the_limit_of_open_files(monkeypatch, shared_site, open_files, connections):
    """The soft limit is raised; one client gets half of the connections, unless it is a proxy."""
    monkeypatch.setattr("resource.getrlimit", lambda kind: (64, open_files))
    raised = []
    monkeypatch.setattr("resource.setrlimit", lambda kind, limits: raised.append(limits))
    for proxies, share in ((0, connections // 2), (1, None)):
        settings = shared_site.settings.model_copy(update={"trusted_proxies": proxies})
        limits = server.connection_limits(shared_site.app, settings)
        assert (limits.connections, limits.per_client) == (connections, share)
        assert limits.body_bytes == 1_100_000
    assert raised[0][0] == min(open_files, 2 * 4096 + server.RESERVED_FILES)


def test_build_without_a_generation(tmp_path):
    app, engine = server.build(Settings(data=tmp_path))
    assert engine.problem is not None
    assert app.test_client().get("/").status_code == 503
    services_of(app).close()
    assert not list(tmp_path.iterdir())


class FakeEngine:
    """Counts refreshes; with an error, each one fails; with a problem, each one reports it."""

    def __init__(self, error: Exception | None = None, problem: Exception | None = None) -> None:
        self.refreshed = 0
        self.serving = SimpleNamespace(generation=None)
        self.error, self.problem, self._next_problem = error, None, problem
        self.done = threading.Event()

    def refresh(self) -> None:
        self.refreshed += 1
        self.problem = self._next_problem
        if self.refreshed == 5:
            self.done.set()
        if self.error:
            raise self.error


def run_background_thread(engine: FakeEngine) -> list[str]:
    """Run the thread until the fifth refresh; return the other tasks that it ran."""
    tasks = []
    services = SimpleNamespace(
        engine=engine,
        article_numbers=SimpleNamespace(refresh=lambda: tasks.append("open reader")),
        catalog=SimpleNamespace(update=lambda _: tasks.append("read words")),
        uploads=SimpleNamespace(expire=lambda: tasks.append("expire")),
        review_photos=SimpleNamespace(delete_expired=lambda: tasks.append("delete expired")),
        key_use=SimpleNamespace(write=lambda: None),
        query_log=SimpleNamespace(
            write=lambda: tasks.append("write queries"), delete_expired=lambda: tasks.append("delete queries")
        ),
        sessions=MagicMock(),
    )
    background = server.BackgroundThread(services, refresh_seconds=0.002)
    background.start()
    assert engine.done.wait(60)
    background.stop()
    return tasks


@pytest.mark.parametrize("error", [None, OSError("disk on fire")])
def test_tasks_are_repeated_even_if_one_fails(error, caplog):
    """Photos expire hourly, so once here."""
    tasks = run_background_thread(FakeEngine(error))
    assert tasks.count("expire") == tasks.count("delete expired") == tasks.count("delete queries") == 1
    assert tasks.count("open reader") >= 4
    assert tasks.count("read words") >= 4
    assert tasks.count("write queries") >= 4
    assert ("disk on fire" in caplog.text) == (error is not None)


def test_a_persistent_problem_is_logged_once(caplog):
    run_background_thread(FakeEngine(problem=ValueError("nothing is published")))
    assert caplog.text.count("nothing is published") == 1
