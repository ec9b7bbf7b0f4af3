"""A small shop (real SQLite and FAISS, a fake encoder) and the application that serves it."""

import io
import re
import shutil
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import cache, cached_property
from pathlib import Path

import numpy as np
import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session, sessionmaker
from werkzeug.serving import make_server

from catalog import changes, queries
from catalog.changes import Changes, ProductItem
from catalog.database import connect
from catalog.image_store import ImageStore
from catalog.models import FeedImport, utc_now
from tests import fakes
from vsearch.core.settings import Settings
from vsearch.detection.detector import OpenDetector, no_detector
from vsearch.imaging.codec import Picture, encode_jpeg
from vsearch.imaging.geometry import Box
from vsearch.index import generation
from vsearch.index.generation import MatchCalibration
from vsearch.models import checkpoint as checkpoints
from vsearch.search.engine import Engine
from webui import create_admin_app, create_app
from webui.services import services_of

PRODUCTS = 12
PAGE_SIZE = 5
ARTICLE_NUMBERS = {3: "12345678", 4: "00000004", 6: "66666666", 7: "66666666"}


@dataclass(frozen=True)
class Site:
    """A running application and its parts."""

    app: Flask
    engine: Engine
    settings: Settings
    sessions: sessionmaker[Session]
    pictures: list[Picture]
    closing: ExitStack
    """What to stop before the site is closed. A connection in use survives the disposal of its pool."""

    @cached_property
    def client(self) -> FlaskClient:
        """A client that keeps its cookies, such as those of the photos that it sent."""
        return self.app.test_client()

    @property
    def operator(self) -> FlaskClient:
        """An operator's client."""
        return create_admin_app(self.app).test_client()

    def photo(self, product: int) -> bytes:
        """Return a photo of a product: its first picture, recompressed."""
        return encode_jpeg(self.pictures[2 * product], quality=80)

    def upload(self, product: int = 0) -> str:
        response = self.client.post("/search", data={"photo": (io.BytesIO(self.photo(product)), "photo.jpg")})
        assert response.status_code == 303
        return response.location

    def titles(self, address: str) -> list[str]:
        """Return the titles of the products on a page, in order."""
        return re.findall(r'<span class="card__title">([^<]*)', self.client.get(address, follow_redirects=True).text)

    def stored(self) -> list[Path]:
        return sorted(path for path in self.settings.uploads.rglob("*") if path.is_file())


def import_products(site: Site, **changed: tuple[ProductItem, ...]) -> None:
    """Apply changes to the catalog as an import does, and record the import."""
    with site.sessions.begin() as session:
        changes.apply(session, Changes(**changed))
        now = utc_now()
        session.add(FeedImport(feed="feed", started_at=now, finished_at=now, state="imported", message=""))


def withdraw(site: Site, *skus: str) -> None:
    """Withdraw these products as an import does, and restore all others."""
    with site.sessions() as session:
        products = queries.snapshot(session).values()
    restored = tuple(replace(item, withdrawn=False) for item in products if item.withdrawn and item.sku not in skus)
    import_products(site, withdrawn=skus, restored=restored)


def item(number: int, images: tuple[str, ...]) -> ProductItem:
    """Return product `number` of the shop: chairs first, then lamps."""
    chair = number < PRODUCTS // 2
    return ProductItem(
        sku=f"P-{number:02d}",
        title=f"{'Chair' if chair else 'Lamp'} Model {number}" + (" velvet" if number in (3, 4) else ""),
        brand="Nordhem",
        description="A fine piece & <b>well</b> made.",
        category="Seating > Chairs" if chair else "Lamps",
        price_minor=None if number == 11 else 10_000 + 1_050 * number,
        currency="" if number == 11 else "EUR",
        url="https://shop.example/p" if number % 2 == 0 else "",
        stock=(0, 3, 50, None)[number % 4],
        attributes={"color": ("red", "white")},
        dimensions={"width": "40 cm"},
        article_number=ARTICLE_NUMBERS.get(number),
        images=images,
    )


@pytest.fixture(scope="session")
def shop_folder(tmp_path_factory, migrated_sqlite):
    """A data folder with a catalog, pictures, a checkpoint and a published generation, to be copied."""
    folder = tmp_path_factory.mktemp("shop") / "data"
    folder.mkdir()
    shutil.copy(migrated_sqlite, folder / "catalog.sqlite")
    settings = Settings(data=folder)
    store = ImageStore(settings.pictures)
    names = [store.put(encode_jpeg(picture, quality=95)) for picture in catalog_pictures()]
    engine = connect(settings.catalog_url)
    with sessionmaker(engine).begin() as session:
        items = tuple(item(n, (names[2 * n], names[2 * n + 1])) for n in range(PRODUCTS))
        changes.apply(session, Changes(added=items))
        rows = queries.gallery_rows(session)
    engine.dispose()
    _publish(settings, rows, names)
    return folder


@pytest.fixture
def settings(shop_folder, tmp_path):
    return _settings(shop_folder, tmp_path / "data")


@pytest.fixture
def site(settings):
    """The application, for tests that change something."""
    with running(settings) as site:
        yield site


@pytest.fixture(scope="session")
def shared_site(shop_folder, tmp_path_factory):
    """One application for all tests that change nothing."""
    with running(_settings(shop_folder, tmp_path_factory.mktemp("shared") / "data")) as site:
        yield site


@pytest.fixture
def article_number_site(settings):
    """The application with a reader that reads `FakeReader.number` from anything yellow."""
    (checkpoint,) = (folder.name for folder in settings.checkpoints.iterdir())
    (settings.data / "reader").mkdir()
    (settings.data / "reader" / "CURRENT").write_text(f"{checkpoint}\n")
    with running(settings) as site:
        yield site


@pytest.fixture
def detector_site(settings):
    """The application with a detector that finds the two products of `room`, and one false positive."""
    with running(settings, fakes.FakeDetector(*ROOM, Box(0.4, 0.05, 0.55, 0.2))) as site:
        yield site


FLAGS = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"]


@pytest.fixture(scope="session")
def chromium():
    """A headless browser; the test is skipped if there is none."""
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("no Chromium on this machine (Debian: apt-get install chromium)")
    api = pytest.importorskip("playwright.sync_api", reason="needs the Python package playwright")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=FLAGS, timeout=0)
        yield browser
        browser.close()


@pytest.fixture
def open_page(chromium):
    """A function that serves a site, or another of its applications, and opens a page of it in a new window.

    Errors in the console fail the test.
    """
    errors, addresses = [], {}

    def open_page(site: Site, width: int = 1280, *, javascript: bool = True, app=None, path: str = "", **options):
        served = app or site.app
        if served not in addresses:
            server = make_server("127.0.0.1", 0, served, threaded=True)
            server.daemon_threads = False  # server_close waits for requests in progress
            thread = threading.Thread(target=server.serve_forever)
            thread.start()
            site.closing.callback(server.server_close)
            site.closing.callback(thread.join)
            site.closing.callback(server.shutdown)
            addresses[served] = f"http://127.0.0.1:{server.port}"
        viewport = {"width": width, "height": 800}
        context = chromium.new_context(viewport=viewport, java_script_enabled=javascript, **options)
        site.closing.callback(context.close)
        context.set_default_timeout(0)
        page = context.new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        page.goto(addresses[served] + path)
        return page

    yield open_page
    assert [error for error in errors if not re.search(r"status of (400|401|403|404|409|415|429)", error)] == []


ROOM = (Box(0.625, 0.25, 0.875, 0.75), Box(0.0625, 0.25, 0.3125, 0.75))
"""Boxes of a lamp, product 9, and a chair, product 3, in the photo of a room."""


def room() -> bytes:
    """Return a photo of a gray room with both."""
    photo = np.random.default_rng(1).integers(120, 150, (256, 512, 3)).astype(np.uint8)
    for box, number in zip(ROOM, (18, 6), strict=True):
        left, top = round(box.x0 * 512), round(box.y0 * 256)
        photo[top : top + 128, left : left + 128] = catalog_pictures()[number].repeat(2, axis=0).repeat(2, axis=1)
    return encode_jpeg(photo, quality=95)


@pytest.fixture
def client(shared_site):
    return shared_site.client


def _settings(shop_folder: Path, folder: Path) -> Settings:
    shutil.copytree(shop_folder, folder, ignore=shutil.ignore_patterns("pictures"))
    (folder / "pictures").symlink_to(shop_folder / "pictures")
    return Settings(data=folder, results_per_page=PAGE_SIZE, max_upload_mb=1, max_pixels_mp=2, rate_limit="")


@contextmanager
def running(settings: Settings, open_detector: OpenDetector = no_detector) -> Iterator[Site]:
    engine = Engine(settings, open_encoder=fakes.FakeEncoder, open_detector=open_detector)
    engine.refresh()
    catalog = connect(settings.catalog_url)
    sessions = sessionmaker(catalog)
    app = create_app(settings, engine=engine, sessions=sessions, open_reader=fakes.FakeReader)
    with ExitStack() as closing:
        closing.callback(services_of(app).sampler.join)
        yield Site(app, engine, settings, sessions, catalog_pictures(), closing)
    catalog.dispose()


def label_matches(monkeypatch: pytest.MonkeyPatch, minimum: float) -> None:
    """Label hits with at least this margin "similar", others "nothing close"."""
    label = lambda thresholds, margin, score: "similar" if margin >= minimum else "nothing close"  # noqa: E731
    monkeypatch.setattr(MatchCalibration, "match_label", label)


@cache
def catalog_pictures() -> list[Picture]:
    """Return the catalog pictures, two of each product."""
    colors = np.random.default_rng(5).integers(30, 255, size=(PRODUCTS, 3))
    return [fakes.colored(colors[number // 2], seed=number, side=64) for number in range(2 * PRODUCTS)]


def _publish(settings: Settings, rows: list[queries.GalleryRow], names: list[str]) -> None:
    written = fakes.fake_checkpoint(settings.data / "written", ("chair", "lamp"))
    settings.checkpoints.mkdir()
    written.folder.rename(settings.checkpoints / written.checkpoint_id)
    checkpoint = checkpoints.load(settings.checkpoints / written.checkpoint_id)
    blocks = fakes.FakeEncoder(checkpoint).blocks(catalog_pictures())
    embeddings = checkpoint.retrieval.whitening.project(blocks)[[names.index(row.sha256) for row in rows]]
    image_ids = np.array([row.image_id for row in rows], dtype=np.int64)
    classes = ["chair" if "Chair" in row.category else "lamp" for row in rows]
    gallery = fakes.gallery_of(embeddings, image_ids, [row.product_id for row in rows], classes)
    hidden = fakes.write_generation(settings.generations, checkpoint, gallery)
    generation.publish(settings.generations, hidden)


def fits(page, width: int) -> bool:
    """Return whether the page does not scroll sideways."""
    return page.evaluate("document.documentElement.scrollWidth") == width


def tab_to(page, locator) -> None:
    """Press Tab until an element has the focus."""
    while not locator.evaluate("it => it === document.activeElement"):
        page.keyboard.press("Tab")


def drag(page, area, start, end):
    """Drag over an area, from and to a point given in fractions of its sides."""
    for action, (x, y) in ((page.mouse.down, start), (page.mouse.up, end)):
        page.mouse.move(area["x"] + x * area["width"], area["y"] + y * area["height"], steps=4)
        action()
