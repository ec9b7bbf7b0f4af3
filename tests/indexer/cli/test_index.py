import json
from unittest.mock import Mock

from click.testing import CliRunner, Result

from catalog.models import IndexRun, utc_now
from indexer.build import reindex
from indexer.cli.index import index as command
from tests.indexer.shop import Shop
from vsearch.core.errors import GenerationError, NoGeneration
from vsearch.core.lock import run_lock
from vsearch.core.settings import Settings
from vsearch.index import generation


def invoke(settings: Settings, *arguments: str) -> Result:
    return CliRunner().invoke(command, arguments, obj=settings)


def test_a_run_prints_a_table_and_a_summary(indexed_shop):
    """This run encodes nothing and publishes different classes."""
    settings = indexed_shop.settings.model_copy(update={"min_class_size": 100})
    result = invoke(settings, "run")
    assert result.exit_code == 0
    assert "0 images encoded; generation " in result.output
    assert "published with 24 images of 12 products in 1 class." in result.output
    assert "seconds to build the indexes" in result.output


def test_a_run_without_changes_names_the_current_generation(indexed_shop):
    result = invoke(indexed_shop.settings, "run")
    current = generation.current(indexed_shop.settings.generations).name
    assert result.output.endswith(f"0 images encoded; generation {current} is up to date.\n")


def feed_of(shop: Shop, skus: set[str]) -> tuple[str, str]:
    """Write a feed of these products; return its path and the folder of its pictures."""
    feed, pictures = shop.settings.data / "feed.csv", shop.settings.data / "pictures of the feed"
    pictures.mkdir()
    images: dict[tuple[str, str], list[str]] = {}
    for row in shop.rows():
        if row.sku in skus:
            (pictures / f"{row.image_id}.jpg").write_bytes(shop.store.read(row.sha256))
            images.setdefault((row.sku, row.category), []).append(f"{row.image_id}.jpg")
    lines = [f"{sku},Product,{category},{'|'.join(names)}" for (sku, category), names in images.items()]
    feed.write_text("\n".join(["sku,title,category,images", *lines]))
    return str(feed), str(pictures)


def test_a_feed_is_imported_first(indexed_shop):
    """Products missing from the feed are withdrawn before the index is built."""
    skus = {row.sku for row in indexed_shop.rows()} - {"S003", "S007"}
    feed, pictures = feed_of(indexed_shop, skus)
    result = invoke(indexed_shop.settings, "run", "--feed", feed, "--images", pictures)
    assert result.exit_code == 0, result.output
    assert "0 images encoded; " in result.output
    assert "published with 20 images of 10 products" in result.output


def test_a_refused_feed_stops_the_run(indexed_shop):
    feed, pictures = feed_of(indexed_shop, {"S003"})
    refused = invoke(indexed_shop.settings, "run", "--feed", feed, "--images", pictures)
    assert "11 of the catalog's 12 products" in str(refused.exception)
    assert len(indexed_shop.rows()) == 24


def test_an_interrupted_run_prints_one_line(indexed_shop, monkeypatch):
    monkeypatch.setattr(reindex, "reindex", Mock(side_effect=KeyboardInterrupt))
    result = invoke(indexed_shop.settings, "run")
    assert result.exit_code == 130
    assert result.output.strip().startswith("Stopped.")
    assert "Traceback" not in result.output


def test_status_shows_classes_and_runs(indexed_shop):
    result = invoke(indexed_shop.settings, "status")
    assert "Generation 20261121T013000Z-" in result.output
    assert "published 2026-11-21 01:30 UTC" in result.output
    assert "Sofas > Armchairs" in result.output
    assert "24 images encoded; generation" in " ".join(result.output.split())
    status = json.loads(invoke(indexed_shop.settings, "status", "--json").output)
    assert status["current"]["generation_id"] == status["generations"][0]
    assert [entry["count"] for entry in status["current"]["classes"]] == [6, 6, 6, 6]
    assert status["runs"][0]["counts"]["pictures"] == 24


def test_an_update_and_the_status_count_images_that_have_changed(indexed_shop):
    assert json.loads(invoke(indexed_shop.settings, "status", "--json").output)["delta"] is None
    indexed_shop.withdraw("S003")
    assert "0 images added, 2 removed" in invoke(indexed_shop.settings, "update").output
    assert json.loads(invoke(indexed_shop.settings, "status", "--json").output)["delta"] == {"added": 0, "removed": 2}
    assert "0 images added, 2 removed" in invoke(indexed_shop.settings, "status").output


def test_status_and_rollback_before_anything_is_published(empty_shop):
    result = invoke(empty_shop.settings, "status")
    assert result.exit_code == 0
    assert "vsearch index run" in result.output
    assert json.loads(invoke(empty_shop.settings, "status", "--json").output)["current"] is None
    for name in ("rollback", "verify"):
        assert isinstance(invoke(empty_shop.settings, name).exception, NoGeneration)


def test_rollback_publishes_the_previous_generation(indexed_shop):
    """It fails if there is none."""
    first = generation.current(indexed_shop.settings.generations).name
    assert isinstance(invoke(indexed_shop.settings, "rollback").exception, GenerationError)
    reindex.reindex(indexed_shop.settings.model_copy(update={"min_class_size": 100}))
    result = invoke(indexed_shop.settings, "rollback")
    assert first in result.output
    assert generation.current(indexed_shop.settings.generations).name == first


def test_status_tells_killed_from_running_runs(indexed_shop):
    with indexed_shop.sessions.begin() as session:
        session.add(IndexRun(state="running"))
    assert "killed" in invoke(indexed_shop.settings, "status").output
    with run_lock(indexed_shop.settings.data / "index.lock", utc_now()):
        assert "running" in invoke(indexed_shop.settings, "status").output
