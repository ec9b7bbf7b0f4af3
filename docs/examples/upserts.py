"""Measure how long products that are sent to the API take until shoppers find them.

    python docs/examples/upserts.py DATA [COUNT]

DATA is the data folder of an indexed shop of any size (docs/examples/growth.py makes a large one). Starts its web
server and a worker, sends COUNT products (1,000) with images of 640 pixels that differ from all others, and searches
with the image of the last one until it is found. The products are withdrawn at the end.
"""

import hashlib
import io
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import click
import numpy as np
import urllib3
from PIL import Image

PICTURES = Path(__file__).parents[2] / "catalog" / "demo" / "shop" / "pictures"
VSEARCH = [sys.executable, "-c", "from vsearch.cli import main; main()"]
PORT = 8190
BATCH = 1000


def main(data: Path, count: int = 1000) -> None:
    """Send the products and print the seconds of each step."""
    made = [[*VSEARCH, "--data", str(data), *command] for command in (["serve"], ["jobs", "worker"])]
    secret = subprocess.check_output(
        [
            *VSEARCH,
            "--data",
            str(data),
            "keys",
            "create",
            "upserts",
            "--scope",
            "catalog:write",
            "--scope",
            "jobs:read",
        ],
        text=True,
    )
    key = next(word for word in secret.split() if word.startswith("vsk_"))
    names = {
        "VSEARCH_PORT": str(PORT),
        "VSEARCH_ADMIN_BIND": "",
        "VSEARCH_RATE_LIMIT": "",
        "VSEARCH_SCHEDULE": "",
        "VSEARCH_ALLOW_PRIVATE_ADDRESSES": "true",
    }
    with pictures() as address, running(made[0], names), running(made[1], names):
        api = f"http://127.0.0.1:{PORT}/api/v1"
        retries = urllib3.Retry(100, backoff_factor=0.5, backoff_max=0.5, status_forcelist=[503])
        urllib3.request("GET", f"http://127.0.0.1:{PORT}/readyz", retries=retries)
        products = [
            {"sku": f"NEW-{number}", "title": f"New product {number}", "images": [f"{address}/{number}.jpg"]}
            for number in range(count)
        ]
        started = time.perf_counter()
        job = send(api, key, {"products": products})
        click.echo(f"accepted after {time.perf_counter() - started:.1f} s")
        while (state := call("GET", f"{api}/jobs/{job}", key))["state"] not in ("done", "failed"):
            time.sleep(0.2)
        click.echo(f"{state['state']} after {time.perf_counter() - started:.1f} s: {state['message']}")
        if state["state"] == "failed":
            sys.exit(1)
        photo = picture(count - 1)
        while not found(api, photo, f"NEW-{count - 1}"):
            time.sleep(0.2)
        click.echo(f"the last product is found after {time.perf_counter() - started:.1f} s")
        send(api, key, {"withdraw": [product["sku"] for product in products]})


def send(api: str, key: str, body: dict[str, object]) -> str:
    """Send a batch of changes, and return the id of its job."""
    return str(call("POST", f"{api}/products/batch", key, body)["id"])


def call(method: str, url: str, key: str, body: object = None) -> dict[str, object]:
    """Send a request and return the answer."""
    headers = {"Authorization": f"Bearer {key}"}
    answer = urllib3.request(method, url, headers=headers, json=body)
    if answer.status >= 300:
        sys.exit(answer.data.decode())
    result: dict[str, object] = answer.json()
    return result


def found(api: str, photo: bytes, sku: str) -> bool:
    """Return whether a search with a photo finds the product first."""
    url = f"{api}/search?class=all&box=0,0,1,1"
    answer = urllib3.request("POST", url, body=photo, headers={"Content-Type": "image/jpeg"}).json()
    return bool(answer["results"]) and answer["results"][0]["sku"] == sku


def picture(number: int) -> bytes:
    """Return a JPEG of 640 pixels: an image of the demo shop with a pattern that depends on the number."""
    paths = sorted(PICTURES.glob("*.jpg"))
    rng = np.random.default_rng(number)
    with Image.open(paths[number % len(paths)]) as image:
        pixels = np.asarray(image.convert("RGB").resize((640, 640)), dtype=np.int16)
    pattern = np.kron(rng.integers(-60, 60, size=(8, 8, 3)), np.ones((80, 80, 1)))
    Image.fromarray(np.clip(pixels + pattern, 0, 255).astype(np.uint8)).save(buffer := io.BytesIO(), "JPEG")
    return buffer.getvalue()


@contextmanager
def pictures() -> Iterator[str]:
    """Serve the pictures, and yield the address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            data = picture(int(Path(self.path).stem))
            self.send_response(200)
            self.send_header("ETag", f'"{hashlib.sha256(data).hexdigest()[:16]}"')
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


@contextmanager
def running(call: list[str], names: dict[str, str]) -> Iterator[None]:
    """Run a process during the block."""
    with subprocess.Popen(call, env=os.environ | names) as process:
        try:
            yield
        finally:
            process.terminate()


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(int, sys.argv[2:]))
