import json
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from catalog.database import opened
from tests import ports
from tests.schemas import set_schema
from vsearch.errors import SchemaMismatch, SettingsError
from vsearch.settings import Settings
from webui import server
from webui.services import services_of

ROOT = Path(__file__).parents[2]
PROGRAM = """
import sys
from pathlib import Path
from tests.fakes import FakeEncoder
from vsearch.settings import Settings
from vsearch.finder import no_finder
from webui.server import serve

settings = Settings(data=Path(sys.argv[1]), port=int(sys.argv[2]), threads=2)
serve(settings, lambda address, problem: print(address, problem, flush=True), FakeEncoder, no_finder)
"""


@pytest.fixture
def free_port() -> int:
    """A port that nobody listens on."""
    return ports.free_port()


@pytest.mark.slow
def test_serves_until_stopped(settings, free_port, site):
    """The server says when it is ready and where, answers searches, and stops cleanly when told to."""
    command = [sys.executable, "-W", "error", "-c", PROGRAM, str(settings.data), str(free_port)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        address = f"http://127.0.0.1:{free_port}/"
        assert process.stdout.readline() == f"{address} None\n"
        with urllib.request.urlopen(f"{address}readyz") as answer:
            assert json.load(answer)["status"] == "ready"
        request = urllib.request.Request(f"{address}api/v1/search", site.photo(3), {"Content-Type": "image/jpeg"})
        with urllib.request.urlopen(request) as answer:
            assert json.load(answer)["results"][0]["sku"] == "P-03"
    finally:
        process.send_signal(signal.SIGTERM)
        rest = process.communicate(timeout=30)[0]
    assert process.returncode == 0
    assert not re.search("Traceback|Warning", rest)


def test_port_in_use(tmp_path, free_port):
    """A port that somebody else has is one sentence with the remedy, at once."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", free_port))
        other.listen()
        with pytest.raises(SettingsError, match=rf"port {free_port}, but .*; choose another with --host or --port"):
            server.serve(Settings(data=tmp_path, port=free_port), lambda address, problem: None)


@pytest.mark.parametrize(("schema", "remedy"), [("0001", "vsearch catalog upgrade"), ("9999", "install the newer")])
def test_a_catalogue_of_another_version(tmp_path, free_port, schema, remedy):
    """The page does not start: each search would fail."""
    settings = Settings(data=tmp_path, port=free_port)
    with opened(settings.catalogue_url, write=True):
        pass
    set_schema(settings.catalogue_url, schema)
    with pytest.raises(SchemaMismatch, match=remedy):
        server.serve(settings, lambda address, problem: None)


def test_build_without_a_generation(tmp_path):
    """Before the first index run the application is there and says what is missing."""
    app, engine = server.build(Settings(data=tmp_path))

    assert engine.problem is not None
    assert app.test_client().get("/").status_code == 503
    services_of(app).sessions.kw["bind"].dispose()
    assert not list(tmp_path.iterdir())
