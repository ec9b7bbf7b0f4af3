"""Checks of an installation."""

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from click.testing import CliRunner

from catalog import jobs
from catalog.models import utc_now
from indexer import diagnosis
from indexer.build.delta_update import update_delta
from indexer.cli.doctor import doctor
from indexer.diagnosis import State, diagnose
from tests.fakes import FakeEncoder
from tests.indexer.shop import CATEGORIES, Shop
from vsearch.core.settings import Settings
from vsearch.index import delta as deltas


def states(settings: Settings) -> dict[str, State]:
    """Return the worst state of each subject."""
    order: tuple[State, ...] = ("ok", "warning", "problem")
    found: dict[str, State] = {}
    for each in diagnose(settings, open_encoder=FakeEncoder):
        found[each.subject] = max(found.get(each.subject, "ok"), each.state, key=order.index)
        assert each.text.endswith(".")
    return found


@pytest.fixture
def healthy(indexed_shop: Shop) -> Shop:
    """The shop with a feed and a worker."""
    feed = indexed_shop.settings.data / "feed.csv"
    feed.write_text("sku,title\n")
    with indexed_shop.sessions.begin() as session:
        jobs.record_worker(session, "here:1", utc_now())
    return indexed_shop.with_settings(feed=str(feed))


def test_nothing_is_wrong_with_a_healthy_shop(healthy: Shop) -> None:
    subjects = ("disk", "settings", "database", "images", "jobs", "model", "index")
    assert states(healthy.settings) == dict.fromkeys(subjects, "ok")


def lose_image(shop: Shop) -> None:
    shop.store.path(shop.rows()[0].sha256).unlink()


def damage_image(shop: Shop) -> None:
    shop.store.path(shop.rows()[0].sha256).write_bytes(b"damaged")


def damage_index(shop: Shop) -> None:
    next(shop.settings.generations.glob("*/whitening.npz")).write_bytes(b"damaged")


def damage_delta(shop: Shop) -> None:
    shop.withdraw("S003")
    update_delta(shop.settings, open_encoder=FakeEncoder)
    deltas.path_of(shop.settings.generations, shop.manifest().generation_id).write_bytes(b"damaged")


def grow(shop: Shop) -> None:
    shop.add(["NEW1", "NEW2", "NEW3"], CATEGORIES[2])
    update_delta(shop.settings, open_encoder=FakeEncoder)


def mark_unreadable(shop: Shop) -> None:
    with shop.sessions.begin() as session:
        session.execute(sa.text("UPDATE image SET problem = 'damaged' WHERE image_id = 1"))


def age_schema(shop: Shop) -> None:
    with shop.sessions.begin() as session:
        session.execute(sa.text("UPDATE alembic_version SET version_num = '0005'"))


def lose_worker(shop: Shop) -> None:
    with shop.sessions.begin() as session:
        jobs.forget_worker(session, "here:1")


def fail_night(shop: Shop) -> None:
    with shop.sessions.begin() as session:
        jobs.finish(session, jobs.add(session, "nightly", {}, utc_now()), "failed", "The feed is empty.", utc_now())


def miss_nights(shop: Shop) -> None:
    past = utc_now() - timedelta(days=3)
    with shop.sessions.begin() as session:
        jobs.finish(session, jobs.add(session, "nightly", {}, past), "done", "", past)


def lose_feed(shop: Shop) -> None:
    Path(shop.settings.feed).unlink()


@pytest.mark.parametrize(
    ("harm", "subject", "state"),
    [
        (lose_image, "images", "problem"),
        (damage_image, "images", "problem"),
        (damage_index, "index", "problem"),
        (damage_delta, "index", "problem"),
        (grow, "index", "warning"),
        (mark_unreadable, "database", "warning"),
        (age_schema, "database", "problem"),
        (lose_worker, "jobs", "warning"),
        (fail_night, "jobs", "problem"),
        (miss_nights, "jobs", "warning"),
        (lose_feed, "settings", "problem"),
    ],
)
def test_harm_is_found(healthy: Shop, harm: Callable[[Shop], None], subject: str, state: State) -> None:
    harm(healthy)
    found = states(healthy.settings)
    assert found[subject] == state
    assert {name for name, each in found.items() if each != "ok"} == {subject}


@pytest.mark.parametrize("address", ["0.0.0.0", "[::]"])
def test_a_full_disk_and_exposed_admin_pages_are_warnings(
    healthy: Shop, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    monkeypatch.setattr(diagnosis, "MIN_FREE_BYTES", 1 << 60)
    found = states(healthy.with_settings(admin_bind=f"{address}:9000").settings)
    assert (found["disk"], found["settings"]) == ("warning", "warning")


def test_webhooks_without_a_key_are_a_problem(healthy: Shop) -> None:
    assert states(healthy.with_settings(webhook_urls="https://shop.example/hook").settings)["settings"] == "problem"


def test_a_data_folder_that_others_can_open_is_a_warning(healthy: Shop) -> None:
    healthy.settings.data.chmod(0o755)
    assert states(healthy.settings)["data folder"] == "warning"


def test_a_folder_without_anything_in_it(tmp_path: Path) -> None:
    """The command exits with status 1."""
    settings = Settings(data=tmp_path / "none")
    result = CliRunner().invoke(doctor, ["--json"], obj=settings)
    assert result.exit_code == 1
    problems = {finding["subject"] for finding in json.loads(result.output) if finding["state"] == "problem"}
    assert problems == {"data folder", "database", "index"}
    assert "problem" in CliRunner().invoke(doctor, [], obj=settings).output
    assert not settings.data.exists()
