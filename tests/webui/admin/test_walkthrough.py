"""Follows docs/admin.md with the real commands, worker, networks and browser: from an account to a promoted model."""

import csv
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from catalog import demo as demo_shop
from catalog import jobs, product_edits, reviews
from catalog.database import open_catalog
from tests import ports
from vsearch.core.settings import Settings
from vsearch.index import generation as generations

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.keras]

COMMAND = [sys.executable, "-c", "from vsearch.cli import main; main()"]
PASSWORD = "correct horse battery"
PRODUCTS_PER_CLASS = 10
PLAN = """
name = "{name}"
backbones = ["efficientnet_lite0"]
start = "bundled"
start_terms = "the bundled ensemble"
seed = 7
cache_size = 96

[[source]]
kind = "catalog"
terms = "the shop's own images"

[[head]]
name = "category"
kind = "softmax"

[[phase]]
name = "heads"
unfreeze = "{unfreeze}"
size = 96
epochs = {epochs}
batch = 8
learning_rate = 1e-4

[assemble]
"""


class Installation:
    """A data folder with a small real shop, and what runs on it."""

    def __init__(self, folder: Path) -> None:
        self.data = folder / "data"
        self.settings = Settings(data=self.data)
        self.port, self.admin_port = ports.free_port(), ports.free_port()
        self.environment = {
            **os.environ,
            "VSEARCH_ADMIN_BIND": f"127.0.0.1:{self.admin_port}",
            "VSEARCH_SCHEDULE": "",
            "TF_CPP_MIN_LOG_LEVEL": "3",
        }
        self.shop = f"http://127.0.0.1:{self.port}/"
        self.admin = f"http://127.0.0.1:{self.admin_port}/admin/"

    def run(self, *arguments: str, text: str = "") -> str:
        command = [*COMMAND, "--data", str(self.data), *arguments]
        done = subprocess.run(command, input=text, text=True, capture_output=True, check=False, env=self.environment)
        assert done.returncode == 0, done.stderr
        return done.stdout

    @contextmanager
    def running(self, *arguments: str, ready: str) -> Iterator[None]:
        """Run a command during the block, from the moment it prints `ready`."""
        command = [*COMMAND, "--data", str(self.data), *arguments]
        log = self.data / f"{arguments[0]}.log"
        with log.open("w") as output:
            process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, env=self.environment)
        try:
            while ready not in log.read_text():
                assert process.poll() is None, log.read_text()
                time.sleep(0.1)
            yield
        finally:
            process.terminate()
            process.wait()

    def live(self) -> generations.Manifest:
        return generations.read_manifest(generations.current(self.settings.generations))


@pytest.fixture
def installation(tmp_path: Path) -> Installation:
    """A shop with ten products of each of three classes; the feed calls the stools chairs."""
    made = Installation(tmp_path)
    with demo_shop.FEED.open(newline="", encoding="utf8") as lines:
        rows = list(csv.DictReader(lines))
    chosen = [
        row for name in ("Chairs", "Stools", "Floor lamps")
        for row in [row for row in rows if row["category"] == name][:PRODUCTS_PER_CLASS]
    ]  # fmt: skip
    feed = tmp_path / "feed.csv"
    with feed.open("w", newline="", encoding="utf8") as lines:
        writer = csv.DictWriter(lines, rows[0])
        writer.writeheader()
        writer.writerows(row | {"category": row["category"].replace("Stools", "Chairs")} for row in chosen)
    made.run("catalog", "import", str(feed), "--images", str(demo_shop.PICTURES))
    made.run("index", "run")
    (made.data / "plans").mkdir()
    (made.data / "plans" / "short.toml").write_text(PLAN.format(name="short", unfreeze="none", epochs=2))
    (made.data / "plans" / "endless.toml").write_text(PLAN.format(name="endless", unfreeze="stage4", epochs=10**6))
    return made


def shopper_photos(skus: set[str], count: int) -> list[Path]:
    """Return photos of rooms with one of the products, each of a different product."""
    with (demo_shop.FEED.parent / "photos.csv").open(newline="", encoding="utf8") as lines:
        rows = [row for row in csv.DictReader(lines) if row["sku"] in skus and row["role"] == "main"]
    first = {row["sku"]: demo_shop.FEED.parent / "photos" / row["photo"] for row in reversed(rows)}
    return list(first.values())[:count]


def wait_for_job(page) -> None:
    """Wait on the page of a job until it has ended well."""
    page.locator(".state--done, .state--failed").first.wait_for()
    assert page.locator(".state--failed").count() == 0, page.locator(".log").text_content()


def start_training(page, settings: Settings, plan: str) -> str:
    """Start a run on its page, stay on the page of its job, and return its name."""
    page.get_by_role("link", name="Training", exact=True).click()
    page.get_by_label("Plan").select_option(plan)
    page.get_by_role("button", name="Start").click()
    page.wait_for_url(re.compile(r"/jobs/\d+$"))
    with open_catalog(settings.catalog_url) as sessions, sessions() as session:
        run = jobs.newest(session, "train").arguments["run"]
    while not count_epochs(settings, run):
        time.sleep(0.1)
    return run


def count_epochs(settings: Settings, run: str) -> int:
    (history,) = [*(settings.data / "runs" / run).glob("*/history.jsonl"), None][:1]
    return len(history.read_text().splitlines()) if history else 0


def test_from_an_account_to_a_promoted_model(installation, chromium):
    shop, settings = installation, installation.settings
    shop.run("users", "add", "ada", "--role", "admin", "--password-stdin", text=PASSWORD + "\n")
    serving = shop.running("serve", "--port", str(shop.port), ready="The search page is at")
    with serving, shop.running("jobs", "worker", ready="waiting for jobs"):
        context = chromium.new_context(viewport={"width": 1280, "height": 900})
        context.set_default_timeout(300_000)
        page = context.new_page()

        page.goto(shop.admin)
        page.get_by_label("Name").fill("ada")
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        page.get_by_role("heading", name="Overview").wait_for()
        first = shop.live()

        page.get_by_role("link", name="Products").click()
        page.get_by_label("Words or SKU").fill("stool")
        page.get_by_role("button", name="Search").click()
        page.get_by_label("Select all on this page").check()
        page.get_by_label("Category", exact=True).last.fill("Stools")
        page.get_by_role("button", name="Set category").click()
        page.get_by_text("products were changed").wait_for()
        with open_catalog(settings.catalog_url) as sessions, sessions() as session:
            edited = product_edits.by_sku(session)
        assert len(edited) >= 8

        shopper = context.new_page()
        photos = shopper_photos(set(edited), 4)
        shopper.goto(shop.shop)
        shopper.set_input_files("#photo", photos[0])
        shopper.wait_for_url(re.compile("/results/"))
        shopper.locator(".card__menu summary").first.click()
        shopper.get_by_role("button", name=re.compile("^Wrong")).first.click()
        with open_catalog(settings.catalog_url) as sessions:
            while True:
                with sessions() as session:
                    if reviews.is_known(session, _sha256_in_queue(session)):
                        break
                time.sleep(0.1)

        page.get_by_role("link", name="Review").click()
        page.set_input_files("#photos", photos[1:])
        page.get_by_role("button", name="Add", exact=True).click()
        for _ in photos:
            page.get_by_role("region", name=re.compile("^Photo ")).wait_for()
            page.wait_for_load_state()  # scripts, which read the keys, have run
            before = page.get_by_role("region", name=re.compile("^Photo ")).get_attribute("aria-label")
            page.keyboard.press("1")
            page.keyboard.press("Enter")
            page.wait_for_function("name => !document.querySelector(`[aria-label='${name}']`)", arg=before)
        with open_catalog(settings.catalog_url) as sessions, sessions() as session:
            assert len(reviews.effective_labels(session)) == len(photos)

        page.get_by_role("link", name="Models").click()
        page.get_by_role("button", name="Compare first").click()
        wait_for_job(page)
        page.get_by_role("link", name="Models").click()
        page.get_by_role("link", name=re.compile("^Compare, job")).first.click()
        page.get_by_role("heading", name=re.compile("^Comparison")).wait_for()
        page.get_by_role("button", name="Promote").click()
        wait_for_job(page)
        second = shop.live()
        assert second.generation_id != first.generation_id
        assert second.labels > 0
        assert {each.name for each in second.classes} == {"Chairs", "Stools", "Floor lamps"}

        run = start_training(page, settings, "endless")
        page.goto(f"{shop.admin}training/runs/{run}")
        page.locator(".curve").first.wait_for()
        page.get_by_role("button", name="Stop").click()
        page.locator(".state--cancelled").first.wait_for()
        epochs = count_epochs(settings, run)
        page.goto(f"{shop.admin}training/runs/{run}")
        page.get_by_role("button", name="Resume").click()
        while count_epochs(settings, run) <= epochs:
            time.sleep(0.1)
        page.goto(f"{shop.admin}training/runs/{run}")
        page.get_by_role("button", name="Stop").click()
        page.locator(".state--cancelled").first.wait_for()

        run = start_training(page, settings, "short")
        wait_for_job(page)
        page.goto(f"{shop.admin}training/runs/{run}")
        page.get_by_role("button", name="Compare with the model in use").click()
        wait_for_job(page)

        page.get_by_role("link", name="Index", exact=True).click()
        page.get_by_role("link", name="Return to the previous model").click()
        page.get_by_role("button", name="Roll back").click()
        wait_for_job(page)
        assert shop.live().generation_id == first.generation_id
        context.close()


def _sha256_in_queue(session) -> str:
    from sqlalchemy import select

    from catalog.models import ReviewItem

    return session.scalar(select(ReviewItem.sha256).limit(1)) or ""
