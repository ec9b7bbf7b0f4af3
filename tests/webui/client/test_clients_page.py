"""The examples of docs/clients.md run against a server."""

import re
import shutil
import subprocess
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from catalog import jobs
from indexer.jobs import webhooks
from tests.webui.client.conftest import serving
from vsearch.client import Client
from webui import create_app

PAGE = Path(__file__).parents[3] / "docs" / "clients.md"
ADDRESS = "https://search.shop.example"


def blocks(language: str, containing: str = "") -> list[str]:
    """Return the code blocks of a language."""
    found = re.findall(rf"^```{language}\n(.*?)^```", PAGE.read_text(encoding="utf8"), flags=re.MULTILINE | re.DOTALL)
    return [block for block in found if containing in block]


@pytest.fixture
def here(site, server, key, tmp_path, monkeypatch):
    """A function that replaces addresses in an example, in a folder with its photo and an environment with a key."""
    folder = tmp_path / "examples"
    folder.mkdir()
    (folder / "sofa.jpg").write_bytes(site.photo(2))
    monkeypatch.chdir(folder)
    monkeypatch.setenv("VSEARCH_KEY", key)
    return lambda code: code.replace(ADDRESS, server.address).replace("https://shop.example/new-1.jpg", "new.jpg")


@pytest.fixture
def working(work):
    """Do the waiting jobs in the background."""
    stop = threading.Event()

    def run() -> None:
        while not stop.wait(0.05):
            work()

    thread = threading.Thread(target=run)
    thread.start()
    yield
    stop.set()
    thread.join()


@pytest.mark.usefixtures("working")
def test_python(here, capsys, monkeypatch):
    monkeypatch.setenv("VSEARCH_WEBHOOK_SECRET", webhooks.new_secret())
    names = {}
    for block in blocks("python", "\nwith ") + blocks("python", "asyncio.run") + blocks("python", "def receive"):
        exec(compile(here(block), str(PAGE), "exec"), names)
    output = capsys.readouterr().out
    assert "P-02 Chair Model 2" in output
    assert "withdraw 0 OLD-7" in output
    with Client(here(ADDRESS)) as client:
        product = client.product("NEW-1")
    assert (product.price.amount, product.stock, len(product.images)) == ("39", 4, 1)
    assert names["receive"]({}, b"") == 400


def test_curl(site, here):
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    photo, changes = (
        subprocess.run(["bash", "-ec", here(block)], capture_output=True, text=True, check=True).stdout
        for block in blocks("sh")
    )
    assert '"P-02"' in photo
    assert '"upsert"' in changes
    with site.sessions() as session:
        assert [job.kind for job in jobs.latest(session)] == ["upsert"]


def test_node(site, here, server):
    if shutil.which("node") is None:
        pytest.skip("Node.js is not installed")
    (block,) = blocks("js", "// in Node.js")
    done = subprocess.run(
        ["node", "--input-type=module"], input=here(block), capture_output=True, text=True, check=True
    )
    assert done.stdout == "1 queued\n"


@pytest.mark.browser
def test_a_page_of_the_shop(site, settings, chromium, tmp_path):
    """A page of another origin searches with the function of the example; one that is not in `api_origins` cannot."""
    (block,) = blocks("js", "// in the browser")
    (tmp_path / "pages").mkdir()
    (tmp_path / "pages" / "index.html").write_text("<!doctype html><title>Shop</title>")
    (tmp_path / "photo.jpg").write_bytes(site.photo(2))
    pages = ThreadingHTTPServer(("127.0.0.1", 0), partial(SimpleHTTPRequestHandler, directory=str(tmp_path / "pages")))
    thread = threading.Thread(target=pages.serve_forever)
    thread.start()
    try:
        origin = f"http://127.0.0.1:{pages.server_port}"
        allowed = settings.model_copy(update={"api_origins": origin})
        with serving(create_app(allowed, engine=site.engine, sessions=site.sessions)) as server:
            script = block.replace(ADDRESS, server.address)
            found = {}
            for host in (origin, origin.replace("127.0.0.1", "localhost")):
                page = chromium.new_page()
                page.set_default_timeout(0)
                page.goto(host)
                page.set_content('<input type="file">')
                page.set_input_files("input", tmp_path / "photo.jpg")
                page.add_script_tag(content=script)
                call = "search(document.querySelector('input').files[0]).then(found => found[0].sku, String)"
                found[host] = page.evaluate(call)
                page.close()
    finally:
        pages.shutdown()
        thread.join()
        pages.server_close()
    assert found[origin] == "P-02"
    assert "Failed to fetch" in found[origin.replace("127.0.0.1", "localhost")]


def test_the_page_names_every_error():
    from vsearch import client

    text = PAGE.read_text(encoding="utf8")
    assert [name for name in re.findall(r"`(\w+Error)`", text) if not hasattr(client, name)] == []
    errors = {name for name in vars(client.problems) if name.endswith("Error")}
    assert errors - set(re.findall(r"\w+Error", text)) == set()
