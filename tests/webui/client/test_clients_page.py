"""The examples of docs/clients.md run against a server."""

import base64
import hmac
import json
import re
import shutil
import subprocess
import threading
import tomllib
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from catalog import jobs
from indexer.feed.column_mapping import read_mapping
from indexer.feed.reader import read_feed
from indexer.jobs import webhooks
from tests.webui.client.conftest import serving
from vsearch.client import Client
from vsearch.core.settings import Settings
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
    monkeypatch.setenv("SHOP_SEARCH_KEY", key)
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
        with ThreadPoolExecutor(1) as thread:  # other tests may leave an event loop running in this one
            thread.submit(exec, compile(here(block), str(PAGE), "exec"), names).result()
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


WOOCOMMERCE = """ID,Type,SKU,Name,Published,Visibility in catalog,Description,In stock?,Stock,Regular price,Categories,\
Images,Parent,Attribute 1 value(s)
3,simple,W3,Desk,1,visible,Solid,1,4,9,"Furniture, Furniture > Desks","https://a.example/1.jpg, https://a.example/2.jpg",,Red
4,simple,,Stool,1,visible,,1,,5,Furniture,https://a.example/4.jpg,,
5,simple,W5,Hidden,0,visible,,1,,5,Furniture,https://a.example/5.jpg,,
"""


def test_the_mapping_for_woocommerce(tmp_path):
    (mapping,) = blocks("toml", "[columns]")
    (tmp_path / "woocommerce.toml").write_text(mapping)
    (tmp_path / "export.csv").write_text(WOOCOMMERCE)
    reading = read_feed(tmp_path / "export.csv", "EUR", read_mapping(tmp_path / "woocommerce.toml"))
    desk, stool = reading.items
    assert reading.errors == ()
    assert (desk.sku, desk.category, desk.price_minor, desk.stock) == ("W3", "Furniture > Desks", 900, 4)
    assert (len(desk.images), desk.attributes) == (2, {"color": ("Red",)})
    assert stool.sku == "id:4"


def test_the_settings_of_a_shop_exist():
    (block,) = blocks("toml", "widget_origins")
    Settings(**tomllib.loads(block))


def signed(secret: str, message: object) -> tuple[str, bytes]:
    body = json.dumps(message).encode()
    return base64.b64encode(hmac.digest(secret.encode(), body, "sha256")).decode(), body


def receiver(here, monkeypatch, name: str):
    """Return a function of the page that receives messages."""
    names = {}
    (block,) = blocks("python", f"def {name}")
    exec(compile(here(block), str(PAGE), "exec"), names)
    monkeypatch.setenv(f"{name.rpartition('_')[2].upper()}_WEBHOOK_SECRET", "secret")
    return names[name]


def test_changes_in_shopify(here, monkeypatch, client, work):
    receive = receiver(here, monkeypatch, "receive_from_shopify")
    variants = [
        {"sku": "P-02", "price": "7.50", "inventory_quantity": -1, "inventory_policy": "deny"},
        {"sku": "P-03", "price": "8.00", "inventory_quantity": 0, "inventory_policy": "continue"},
        {"sku": "new", "price": "9.00", "inventory_quantity": 1, "inventory_policy": "deny"},
    ]
    signature, body = signed("secret", {"status": "active", "variants": variants})
    assert receive({"X-Shopify-Hmac-Sha256": signature}, body + b" ") == 401
    assert receive({"X-Shopify-Hmac-Sha256": signature}, body) == 200
    work()
    first, second = client.product("P-02"), client.product("P-03")
    assert (first.price.amount, first.stock, second.price.amount, second.in_stock) == ("7.50", 0, "8", True)
    signature, body = signed("secret", {"status": "archived", "variants": variants[:1]})
    assert receive({"X-Shopify-Hmac-Sha256": signature}, body) == 200
    work()
    assert [each.sku for each in client.products(state="withdrawn").products] == ["P-02"]


def test_changes_in_woocommerce(here, monkeypatch, client, work):
    receive = receiver(here, monkeypatch, "receive_from_woocommerce")
    assert receive({}, b"webhook_id=3") == 200
    product = {"id": 2, "sku": "P-02", "status": "publish", "price": "7.50", "stock_quantity": 6}
    product["stock_status"] = "instock"
    for changed in (
        product,
        product | {"sku": "P-03", "stock_quantity": None, "stock_status": "onbackorder"},
        product | {"sku": "P-04", "status": "draft"},
        product | {"sku": ""},
    ):
        signature, body = signed("secret", changed)
        assert receive({"X-WC-Webhook-Signature": signature}, body + b" ") == 401
        assert receive({"X-WC-Webhook-Signature": signature}, body) == 200
    work()
    first, second = client.product("P-02"), client.product("P-03")
    assert (first.price.amount, first.stock, second.in_stock) == ("7.50", 6, True)
    assert [each.sku for each in client.products(state="withdrawn").products] == ["P-04"]
