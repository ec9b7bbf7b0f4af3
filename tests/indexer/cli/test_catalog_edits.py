import json

import pytest
from click.testing import CliRunner

from catalog import audit, queries
from catalog.changes import ProductItem
from tests import pictures as drawn
from vsearch.cli import cli
from vsearch.imaging.codec import decode


@pytest.fixture
def run(shop):
    """Return a function that runs `vsearch catalog` in the shop and returns what it prints."""

    def call(*arguments: object) -> str:
        result = CliRunner().invoke(cli, ["--data", str(shop.settings.data), "catalog", *map(str, arguments)])
        assert result.exit_code == 0, result.output
        return result.stdout

    return call


def item(shop, sku: str = "S000") -> ProductItem:
    with shop.sessions() as session:
        return queries.snapshot(session)[sku]


def test_edits_are_listed_and_undone(run, shop, tmp_path):
    before = item(shop)
    assert "No product" in run("edits")
    (tmp_path / "photo.png").write_bytes(drawn.encoded(drawn.scene(60, 40), "PNG"))
    run(
        "edit",
        "S000",
        "--category",
        "Beds",
        "--attribute",
        r"color=red,off\, white",
        "--add-image",
        tmp_path / "photo.png",
    )
    changed = item(shop)
    assert (changed.category, changed.attributes) == ("Beds", {"color": ("red", "off, white")})
    assert changed.images[:-1] == before.images
    assert decode(shop.store.read(changed.images[-1])).shape == (40, 60, 3)
    assert shop.store.read(changed.images[-1]).startswith(b"\xff\xd8"), "encoded as JPEG"
    rows = {row["field"]: row for row in json.loads(run("edits", "--json"))}
    assert rows.keys() == {"attributes.color", "category", "images"}
    assert (rows["category"]["value"], rows["category"]["feed_value"]) == ("Beds", before.category)
    assert rows["category"]["account"] == audit.COMMAND_LINE
    assert "off, white" in run("edits")
    run("edit", "S001", "S002", "--category", "Beds", "--add-image", tmp_path / "photo.png")
    assert [item(shop, sku).images[-1] for sku in ("S001", "S002")] == 2 * [changed.images[-1]]
    run("edit", "S000", "--undo", "images", "--undo", "category", "--attribute", "color=")
    assert item(shop) == before


def test_nothing_is_changed_if_one_change_is_refused(shop, failed):
    before = item(shop)
    start = ["--data", str(shop.settings.data), "catalog", "edit"]
    assert "no edit of 'images'" in failed(*start, "S000", "--category", "Beds", "--undo", "images")
    assert "not in the catalog" in failed(*start, "S000", "S999", "--category", "Beds")
    (shop.settings.data / "page.jpg").write_bytes(b"<html>")
    assert "page.jpg" in failed(*start, "S000", "--category", "Beds", "--add-image", shop.settings.data / "page.jpg")
    assert item(shop) == before
    assert CliRunner().invoke(cli, [*start, "S000"]).exit_code == 2
