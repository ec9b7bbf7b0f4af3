"""Load on a running page: many clients that search, or many uploads that never end.

    python tools/load_test.py search http://127.0.0.1:8000 catalog/demo/shop/photos --clients 64 --seconds 120
    python tools/load_test.py slow-uploads http://127.0.0.1:8000 catalog/demo/shop/photos --count 500

For a page of your own only. `search` needs a page that was started with VSEARCH_RATE_LIMIT= (all clients have one
address); `--pid` prints the memory of its process. Exits with 1 when an answer is neither 200 nor 503 with Retry-After,
or when a page with slow uploads open answers later than the limits below.
"""

import argparse
import json
import random
import socket
import sys
import threading
import time
from collections import Counter
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

HEALTH_SECONDS = 1.0
SEARCH_SECONDS = 5.0
PAUSE_SECONDS = 0.2
"""After a 503; a browser would wait for Retry-After."""


def ask(connection: HTTPConnection, method: str, path: str, photo: bytes | None = None) -> tuple[str, bytes, float]:
    """Return status, body and seconds of one request."""
    began = time.monotonic()
    connection.request(method, path, photo, {"Content-Type": "image/jpeg"} if photo else {})
    answer = connection.getresponse()
    body = answer.read()
    status = f"{answer.status} with Retry-After" if answer.getheader("Retry-After") else str(answer.status)
    return status, body, time.monotonic() - began


class Clients:
    """Search until the end, each as fast as it is answered: with new photos, and with parts of those it has sent."""

    def __init__(self, address: str, photos: list[bytes], seconds: float) -> None:
        self.address, self.photos, self.ends = address, photos, time.monotonic() + seconds
        self.counts: Counter[str] = Counter()
        self.times: list[float] = []
        self.lock = threading.Lock()

    def run(self, seed: int) -> None:
        """Be one client."""
        chance, sent, connection = random.Random(seed), [], HTTPConnection(self.address, timeout=60)
        while time.monotonic() < self.ends:
            try:
                status, took = self.search(chance, connection, sent)
            except (OSError, HTTPException) as error:
                status, took = type(error).__name__, 0.0
                connection.close()
            with self.lock:
                self.counts[status] += 1
                if status == "200":
                    self.times.append(took)
            if status != "200":
                time.sleep(PAUSE_SECONDS)

    def search(self, chance: random.Random, connection: HTTPConnection, sent: list[str]) -> tuple[str, float]:
        """Search once; `sent` are the photos that the page knows."""
        if sent and chance.random() < 0.4:
            left, top = round(chance.uniform(0, 0.4), 3), round(chance.uniform(0, 0.4), 3)
            path = f"/results/{chance.choice(sent[-5:])}?box={left},{top},{left + 0.5:.3f},{top + 0.5:.3f}"
            status, _, took = ask(connection, "GET", path)
            return status, took
        status, body, took = ask(connection, "POST", "/api/v1/search", chance.choice(self.photos))
        if status == "200":
            sent.append(json.loads(body)["photo"])
        return status, took


def search(address: str, photos: list[bytes], count: int, seconds: float, pid: int | None) -> int:
    """Let clients search; return the exit code."""
    clients = Clients(address, photos, seconds)
    threads = [threading.Thread(target=clients.run, args=(seed,)) for seed in range(count)]
    for thread in threads:
        thread.start()
    while time.monotonic() < clients.ends:
        time.sleep(min(10, max(0, clients.ends - time.monotonic())))
        _, _, health = ask(HTTPConnection(address, timeout=60), "GET", "/healthz")
        print(f"{dict(clients.counts)}; /healthz {health:.2f} s{memory(pid)}", flush=True)
    for thread in threads:
        thread.join()
    times = sorted(clients.times)
    if times:
        median, most, longest = times[len(times) // 2], times[len(times) * 95 // 100], times[-1]
        print(f"answered 200: median {median:.2f} s, 95 % within {most:.2f} s, longest {longest:.2f} s")
    return int(not clients.counts.keys() <= {"200", "503 with Retry-After"})


def slow_uploads(address: str, photos: list[bytes], count: int) -> int:
    """Open uploads that never end, and time what others are answered meanwhile."""
    head = (
        b"POST /search HTTP/1.1\r\nHost: slow\r\nContent-Type: multipart/form-data; boundary=B\r\n"
        b"Content-Length: 3000000\r\n\r\n--B\r\nContent-Disposition: form-data; name=photo; filename=a.jpg\r\n\r\n"
    )
    host, _, port = address.rpartition(":")
    uploads = [socket.create_connection((host, int(port))) for _ in range(count)]
    for upload in uploads:
        upload.sendall(head + bytes(1000))
    time.sleep(1)
    late = 0
    for method, path, photo, limit in (
        ("GET", "/healthz", None, HEALTH_SECONDS),
        ("POST", f"/api/v1/search?box=0,0,{random.uniform(0.6, 1):.6f},1", photos[0], SEARCH_SECONDS),
    ):
        status, _, took = ask(HTTPConnection(address, timeout=60), method, path, photo)
        late += status != "200" or took > limit
        print(f"{count} slow uploads: {path.partition('?')[0]} {status} after {took:.2f} s")
    for upload in uploads:
        upload.close()
    return int(late > 0)


def memory(pid: int | None) -> str:
    """Return the resident memory of a process in words."""
    if pid is None:
        return ""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(f"; {int(line.split()[1]) // 1024} MB" for line in lines if line.startswith("VmRSS"))


def main() -> int:
    """Run the load that the command line names."""
    parser: Any = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("load", choices=["search", "slow-uploads"])
    parser.add_argument("url", help="of the page")
    parser.add_argument("photos", type=Path, help="folder of JPEG files")
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--count", type=int, default=500, help="slow uploads")
    parser.add_argument("--pid", type=int, help="process of the page")
    given = parser.parse_args()
    address = urlsplit(given.url).netloc
    photos = [file.read_bytes() for file in sorted(given.photos.glob("*.jpg"))[:40]]
    if not photos:
        parser.error(f"there is no .jpg file in {given.photos}")
    if given.load == "search":
        return search(address, photos, given.clients, given.seconds, given.pid)
    return slow_uploads(address, photos, given.count)


if __name__ == "__main__":
    sys.exit(main())
