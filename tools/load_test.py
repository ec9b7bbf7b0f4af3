"""Load-test a running web server: many clients that search, or many uploads that never end.

    python tools/load_test.py search http://127.0.0.1:8000 catalog/demo/shop/photos --clients 64 --seconds 120
    python tools/load_test.py slow-uploads http://127.0.0.1:8000 catalog/demo/shop/photos --count 500

`search` needs a server started with VSEARCH_RATE_LIMIT=, since all clients share one address, and more than 256
photos, since the server remembers the last ones; `--pid` prints the memory of its process. Exits with 1 if a response
is neither 200 nor 503 with Retry-After, or if slow uploads delay other requests beyond the limits below.
"""

import argparse
import json
import random
import socket
import statistics
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import urllib3

MAX_HEALTH_SECONDS = 1.0
MAX_SEARCH_SECONDS = 5.0
RETRY_SECONDS = 0.2
"""Far shorter than Retry-After, to keep up the load."""

Responses = list[tuple[str, float]]
"""Status and seconds of each response."""


def timed_request(
    pool: urllib3.PoolManager, method: str, url: str, photo: bytes | None = None
) -> tuple[str, float, bytes]:
    """Return the status (or the name of the error), the seconds and the body of one request."""
    started = time.monotonic()
    try:
        response = pool.request(method, url, body=photo, headers={"Content-Type": "image/jpeg"}, retries=False)
    except urllib3.exceptions.HTTPError as error:
        return type(error).__name__, time.monotonic() - started, b""
    status = f"{response.status} with Retry-After" if "Retry-After" in response.headers else str(response.status)
    return status, time.monotonic() - started, response.data


def run_client(url: str, photos: list[bytes], ends: float, responses: Responses, seed: int) -> None:
    """Search as fast as responses arrive until `ends`: with new photos, and with boxes in earlier ones."""
    rng, pool = random.Random(seed), urllib3.PoolManager(timeout=60)
    sent: list[str] = []
    while time.monotonic() < ends:
        if sent and rng.random() < 0.4:
            left, top = round(rng.uniform(0, 0.4), 3), round(rng.uniform(0, 0.4), 3)
            box = f"{left},{top},{left + 0.5:.3f},{top + 0.5:.3f}"
            status, seconds, _ = timed_request(pool, "GET", f"{url}/results/{rng.choice(sent[-5:])}?box={box}")
        else:
            status, seconds, body = timed_request(pool, "POST", f"{url}/api/v1/search", rng.choice(photos))
            if status == "200":
                sent.append(json.loads(body)["photo"])
        responses.append((status, seconds))
        if status != "200":
            time.sleep(RETRY_SECONDS)


def search(url: str, photos: list[bytes], clients: int, seconds: float, pid: int | None) -> bool:
    """Run the clients; return whether all responses were as expected."""
    responses: Responses = []
    ends, pool = time.monotonic() + seconds, urllib3.PoolManager(timeout=60)
    with ThreadPoolExecutor(clients) as executor:
        for seed in range(clients):
            executor.submit(run_client, url, photos, ends, responses, seed)
        while time.monotonic() < ends:
            time.sleep(min(10, max(0, ends - time.monotonic())))
            health = timed_request(pool, "GET", f"{url}/healthz")[1]
            counts = Counter(status for status, _ in responses)
            print(f"{dict(counts)}; /healthz {health:.2f} s{resident_memory(pid)}", flush=True)
    times = [seconds for status, seconds in responses if status == "200"]
    if len(times) > 1:
        percentiles = statistics.quantiles(times, n=100)
        shown = ", ".join(f"p{number} {percentiles[number - 1]:.2f} s" for number in (50, 95, 99))
        print(f"200: {shown}, maximum {max(times):.2f} s")
    return {status for status, _ in responses} <= {"200", "503 with Retry-After"}


def slow_uploads(url: str, photo: bytes, count: int) -> bool:
    """Open uploads that never end; return whether other requests still get responses in time."""
    head = (
        b"POST /search HTTP/1.1\r\nHost: slow\r\nContent-Type: multipart/form-data; boundary=B\r\n"
        b"Content-Length: 3000000\r\n\r\n--B\r\nContent-Disposition: form-data; name=photo; filename=a.jpg\r\n\r\n"
    )
    address = urlsplit(url)
    uploads = [socket.create_connection((address.hostname, address.port or 80)) for _ in range(count)]
    for upload in uploads:
        upload.sendall(head + bytes(1000))
    time.sleep(1)
    pool, in_time = urllib3.PoolManager(timeout=60), True
    for method, path, body, limit in (
        ("GET", "/healthz", None, MAX_HEALTH_SECONDS),
        ("POST", f"/api/v1/search?box=0,0,{random.uniform(0.6, 1):.6f},1", photo, MAX_SEARCH_SECONDS),
    ):
        status, seconds, _ = timed_request(pool, method, url + path, body)
        in_time &= status == "200" and seconds <= limit
        print(f"{count} slow uploads: {path.partition('?')[0]} {status} after {seconds:.2f} s")
    for upload in uploads:
        upload.close()
    return in_time


def resident_memory(pid: int | None) -> str:
    """Return the resident memory of a process as text to print; empty if there is no process."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines() if pid else []
    return "".join(f"; {int(line.split()[1]) // 1024} MB" for line in lines if line.startswith("VmRSS"))


def main() -> int:
    """Run the load test given on the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("load", choices=["search", "slow-uploads"])
    parser.add_argument("url", help="URL of the server")
    parser.add_argument("photos", type=Path, help="folder of JPEG files")
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--count", type=int, default=500, help="number of slow uploads")
    parser.add_argument("--pid", type=int, help="id of the server process")
    options = parser.parse_args()
    url = options.url.rstrip("/")
    photos = [file.read_bytes() for file in sorted(options.photos.glob("*.jpg"))[:400]]
    if not photos:
        parser.error(f"{options.photos} contains no .jpg files")
    if options.load == "search":
        return int(not search(url, photos, options.clients, options.seconds, options.pid))
    return int(not slow_uploads(url, photos[0], options.count))


if __name__ == "__main__":
    sys.exit(main())
