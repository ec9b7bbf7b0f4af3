"""`vsearch bench http`: starts a web server on the published index, and measures it as its clients see it."""

import itertools
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import click
import numpy as np
import urllib3

from vsearch.cli import json_option, pass_settings, photos_argument
from vsearch.cli.bench_index import machine
from vsearch.cli.console import out, progress, table
from vsearch.cli.inputs import read_photos
from vsearch.core.errors import VSearchError
from vsearch.core.settings import Settings

CLIENTS = (1, 16, 64)
MAX_STARTUP_SECONDS = 120
STAGES = ("decode", "read", "detect", "encode", "search", "hydrate")
_HEADERS = {"Content-Type": "image/jpeg"}


@dataclass(frozen=True)
class Load:
    """What a number of concurrent clients saw."""

    clients: int
    searches_per_second: float
    p50_ms: float
    p95_ms: float
    max_ms: float  # of all requests, including those that were turned away
    turned_away: float  # share of requests answered with 503
    stages_ms: dict[str, float]  # medians, from Server-Timing


@dataclass(frozen=True)
class ServerFigures:
    """Figures of a server: seconds until it can search, memory then and at the end, and the loads."""

    ready_seconds: float
    ready_mb: float
    mb: float
    loads: list[Load]


@click.command("http", epilog="Example: vsearch bench http catalog/demo/shop/photos")
@photos_argument
@click.option("--seconds", default=20, show_default=True, type=click.IntRange(1), help="For each number of clients.")
@click.option("--clients", "counts", multiple=True, type=click.IntRange(1), help="Concurrent clients; repeatable.")
@json_option
@pass_settings
def bench_http(
    settings: Settings, *, paths: tuple[Path, ...], seconds: int, counts: tuple[int, ...], as_json: bool
) -> None:
    """Search whole photos through the API: start-up, memory, searches per second and response times.

    Use more than 256 photos: the server remembers the last ones. Run it on an idle machine.
    """
    photos = [photo.data for photo in read_photos(paths)]
    with _server(settings) as (process, address, ready):
        before = _resident_mb(process.pid)
        loads = [_measure(address, photos, clients, seconds) for clients in counts or CLIENTS]
        figures = ServerFigures(round(ready, 1), before, _resident_mb(process.pid), loads)
    if as_json:
        click.echo(json.dumps({"machine": machine(), "photos": len(photos), **asdict(figures)}, indent=2))
        return
    rows = [
        (
            str(each.clients),
            f"{each.searches_per_second:.1f}",
            f"{each.searches_per_second / loads[0].searches_per_second:.2f}",
            *(f"{value:.0f}" for value in (each.p50_ms, each.p95_ms, each.max_ms)),
            f"{100 * each.turned_away:.0f} %",
        )
        for each in loads
    ]
    columns = ("clients", "searches/s", "ratio", "p50 ms", "p95 ms", "longest ms", "503")
    table(f"{len(photos)} photos on {machine()}", columns, rows, right=columns)
    parts = ", ".join(f"{name} {value:.1f}" for name, value in loads[0].stages_ms.items())
    out.print(f"Stages of a search with {loads[0].clients} client(s), median ms: {parts}")
    out.print(f"Ready after {ready:.1f} s with {before:.0f} MB; {figures.mb:.0f} MB at the end.")


@contextmanager
def _server(settings: Settings) -> Iterator[tuple[subprocess.Popen[bytes], str, float]]:
    """Start a server without a rate limit; yield its process, address and the seconds until it was ready."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    options = {"VSEARCH_RATE_LIMIT": "", "VSEARCH_ADMIN_BIND": "", "VSEARCH_PORT": str(port), "VSEARCH_SCHEDULE": ""}
    data = str(settings.data.resolve())
    call = [sys.executable, "-c", "from vsearch.cli import main; main()", "--data", data, "serve"]
    started = time.perf_counter()
    with (
        tempfile.TemporaryFile() as log,
        subprocess.Popen(call, env=os.environ | options, stdout=log, stderr=log) as process,
    ):
        try:
            while not _is_ready(address):
                if process.poll() is not None or time.perf_counter() - started > MAX_STARTUP_SECONDS:
                    log.seek(0)
                    raise VSearchError(f"The server did not start: {log.read().decode(errors='replace')[-500:]}")
                time.sleep(0.05)
            yield process, address, time.perf_counter() - started
        finally:
            process.terminate()


def _is_ready(address: str) -> bool:
    try:
        return urllib3.request("GET", f"{address}/readyz", timeout=5, retries=False).status == 200
    except urllib3.exceptions.HTTPError:
        return False


def _measure(address: str, photos: Sequence[bytes], clients: int, seconds: float) -> Load:
    """Let clients search as fast as they are answered, each photo in turn."""
    following, answers = itertools.cycle(photos), []
    pool = urllib3.PoolManager(maxsize=clients)
    for photo in itertools.islice(following, 3):  # opens what is opened on first use
        _search(pool, address, photo)
    started = time.perf_counter()

    def client() -> None:
        while time.perf_counter() - started < seconds:
            status, took, stages = _search(pool, address, next(following))
            answers.append((status, took, stages))
            if status == 503:
                time.sleep(0.2)  # far less than Retry-After, to keep up the load

    with progress(f"{clients} clients") as advance:
        threads = [threading.Thread(target=client) for _ in range(clients)]
        for thread in threads:
            thread.start()
        for number, thread in enumerate(threads, start=1):
            thread.join()
            advance(number, clients)
    took = time.perf_counter() - started
    statuses = Counter(status for status, _, _ in answers)
    if others := statuses.keys() - {200, 503}:
        raise VSearchError(f"The server answered with status {min(others)}.")
    times = np.array([1000 * seconds for status, seconds, _ in answers if status == 200])
    timings = [stages for status, _, stages in answers if status == 200]
    medians = {name: round(float(np.median([each.get(name, 0.0) for each in timings])), 2) for name in STAGES}
    p50, p95 = np.percentile(times, [50, 95]).round(1).tolist()
    return Load(
        clients,
        round(len(times) / took, 2),
        p50,
        p95,
        round(1000 * max(seconds for _, seconds, _ in answers), 1),
        statuses[503] / len(answers),
        medians,
    )


def _search(pool: urllib3.PoolManager, address: str, photo: bytes) -> tuple[int, float, dict[str, float]]:
    """Return the status, the seconds and the stages in milliseconds of one search."""
    started = time.perf_counter()
    response = pool.request("POST", f"{address}/api/v1/search", body=photo, headers=_HEADERS, retries=False)
    took = time.perf_counter() - started
    parts = [part.partition(";dur=") for part in response.headers.get("Server-Timing", "").split(", ") if part]
    return response.status, took, {name: float(value) for name, _, value in parts}


def _resident_mb(pid: int) -> float:
    """Return the resident memory of a process in MB; nan where /proc does not exist."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    except OSError:
        return float("nan")
    return round(pages * os.sysconf("SC_PAGE_SIZE") / 2**20, 1)
