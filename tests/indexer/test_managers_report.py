"""The manager's report: what it finds, and the page it makes."""

import json
import re
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from catalog import changes, imports
from catalog.changes import Changes, ProductItem
from catalog.imports import PictureState
from catalog.models import utc_now
from catalog.review import Shown
from indexer import managers_page, managers_report, review, run
from indexer.review import Note
from tests.fakes import Opened, coloured
from tests.indexer.shop import Shop
from vsearch import generation
from vsearch.cli import cli
from vsearch.images import encode_jpeg
from vsearch.model.heads import Predictions

LOST = "picture 'x.jpg' must be in the folder, but it is not"
SHOWN = Shown(1, "A", "Sofa", "Acme", "Sofas", None, "a" * 64, 300, 150)


def test_small_pictures_are_told_by_their_longer_side() -> None:
    """Those of unknown size are not."""
    shown = [SHOWN, one(width=199, height=90), one(width=None, height=None)]
    (note,) = review.small(shown)
    assert note.said == "is 199 x 90 pixels; 200 is the least that shows a product"


def one(**changed: object) -> Shown:
    """Return a picture that differs in this."""
    return Shown(**{**SHOWN.__dict__, **changed})  # type: ignore[arg-type]


def test_the_same_picture_of_strangers() -> None:
    """Variants of one design may share it; other products may not."""
    variants = [one(sku="A", variant_group="g"), one(sku="B", variant_group="g")]
    assert list(review.same(variants)) == []
    (note,) = review.same([*variants, one(sku="C"), one(sku="D", sha256="d" * 64)])
    assert (note.skus, note.pictures) == (("A", "B", "C"), ("a" * 64,))


def test_another_category_is_told_where_the_classifier_is_sure() -> None:
    """Not where it merely leans, and not of classes that it does not know."""
    probabilities = np.array([[0.01, 0.99], [0.2, 0.8], [0.99, 0.01], [0.005, 0.995]], np.float32)
    said = Predictions(("Lamps", "Sofas"), {}, probabilities, probabilities.argmax(1))
    shown = [one(sku=sku) for sku in "ABCD"]
    notes = list(review.other_category(shown, ["Lamps", "Lamps", "Lamps", "Beds"], said))
    assert [(note.skus, note.said) for note in notes] == [(("A",), "is in 'Lamps', but looks like 'Sofas' (99% sure)")]


@pytest.fixture
def troubled(indexed_shop: Shop) -> Shop:
    """A shop with one of each trouble."""
    first = indexed_shop.rows()[0]
    lone = indexed_shop.store.put(encode_jpeg(coloured([9, 200, 9], seed=1, side=90)))
    with indexed_shop.sessions.begin() as session:
        items = (
            ProductItem("NOPIC", "Bed <b>without</b> picture"),
            ProductItem("TWIN", "Twin", category="Sofas > Armchairs", images=(first.sha256, lone)),
        )
        changes.apply(session, Changes(added=items), {lone: (90, 90)})
        imports.write_picture_states(session, {"x": PictureState(problem=LOST, failures=3)})
        moment = utc_now()
        found = {"line": 7, "sku": "LOST", "kind": "picture", "reason": LOST}
        bad = {"line": 9, "sku": "BAD", "kind": "row", "reason": "stock must be a number"}
        told = {"started_at": moment, "finished_at": moment, "message": "", "findings": [found, bad]}
        imports.record(session, feed="feed.csv", state="imported", **told)
    return indexed_shop


def test_the_report_has_all_that_a_manager_should_see(troubled: Shop) -> None:
    """Each in one clause, with the products it is about."""
    report = managers_report.make(troubled.settings)
    assert [note.skus for note in report.of("no picture")] == [("NOPIC",)]
    assert report.of("bad row") == [Note("bad row", ("BAD",), (), "line 9: stock must be a number")]
    assert report.of("failing picture") == [Note("failing picture", ("LOST",), (), f"{LOST} (3 times running)")]
    assert [note.skus for note in report.of("small picture")] == [("TWIN",)]
    assert [note.skus for note in report.of("same picture")] == [(troubled.rows()[0].sku, "TWIN")]
    assert report.counts == {"products": 14, "withdrawn": 0, "pictures": 26, "unreadable": 0}
    assert report.runs[0]["state"] == "published"
    assert report.titles["NOPIC"] == "Bed <b>without</b> picture"
    assert report.names(report.of("same picture")[0], 6)[1] == "TWIN Twin"
    assert report.names(report.of("failing picture")[0], 6) == ["LOST"]
    assert report.as_json()["titles"]["TWIN"] == "Twin"


def test_the_page_needs_nothing_else(troubled: Shop) -> None:
    """Its pictures are in it, what feeds say is text in it, and no address is."""
    page = managers_page.keep(troubled.settings, managers_report.make(troubled.settings))
    text = page.read_text()
    assert "NOPIC Bed &lt;b&gt;without&lt;/b&gt; picture</strong> has no picture" in text
    assert text.count("data:image/jpeg;base64,") >= 2
    assert not re.search(r'(src|href)="(?!data:)', text)
    said = json.loads(page.with_name("report.json").read_text())
    assert {note["kind"] for note in said["notes"]} >= {
        "bad row",
        "no picture",
        "failing picture",
        "small picture",
        "same picture",
    }


def test_the_command_prints_and_writes_it(troubled: Shop, tmp_path: Path) -> None:
    """For people, for machines, as a page."""
    start = ["--data", str(troubled.settings.data), "index", "report"]
    shown = CliRunner().invoke(cli, start)
    assert shown.exit_code == 0
    assert "Products that no photo finds" in shown.stdout
    assert "NOPIC" in shown.stdout
    assert json.loads(CliRunner().invoke(cli, [*start, "--json"]).stdout)["catalogue"]["products"] == 14
    assert CliRunner().invoke(cli, [*start, "--html", str(tmp_path / "r.html")]).exit_code == 0
    assert (tmp_path / "r.html").read_text().startswith("<!DOCTYPE html>")


def published_anew(shop: Shop, opened: Opened, sku: str, hours: int) -> str:
    """Publish the shop with one more product, some hours from now, and return the id."""
    shop.add([sku], "Sofas > Armchairs")
    later = utc_now() + timedelta(hours=hours)
    report = run.run(shop.settings, open_encoder=opened, clock=lambda: later, accept=("drift",))
    return report.generation_id


def test_the_report_says_what_was_rolled_back(indexed_shop: Shop, opened: Opened) -> None:
    """Which index is live and which was taken back, then and after the run that follows."""
    settings, folder = indexed_shop.settings, indexed_shop.settings.generations
    start = ["--data", str(settings.data), "index"]
    first = generation.current(folder).name
    before = managers_report.make(settings)
    assert before.live is not None
    assert (before.live.generation_id, before.live.taken_back) == (first, ())
    assert "rollback" not in [night.what for night in before.nights()]

    second = published_anew(indexed_shop, opened, "NEW1", hours=1)
    assert CliRunner().invoke(cli, [*start, "rollback"]).exit_code == 0
    after = managers_report.make(settings)

    assert after.live is not None
    assert (after.live.generation_id, after.live.taken_back, after.live.is_rolled_back) == (first, (second,), True)
    assert after.nights()[0].what == "rollback"
    assert second in after.nights()[0].said
    assert f"rolled back to from {second}" in managers_page.as_page(after, settings)
    assert "is live again" in " ".join(CliRunner().invoke(cli, [*start, "report"]).stdout.split())
    assert after.as_json()["live"]["taken_back"] == (second,)

    third = published_anew(indexed_shop, opened, "NEW2", hours=2)
    anew = managers_report.make(settings)
    assert anew.live is not None
    assert (anew.live.generation_id, anew.live.taken_back, anew.live.is_rolled_back) == (third, (second,), False)


def test_a_shop_without_an_index_has_a_report_too(empty_shop: Shop) -> None:
    """It says that nothing is there."""
    report = managers_report.make(empty_shop.settings)
    assert (report.notes, report.runs, report.feeds, report.live) == ((), [], [], None)
    assert "Nothing to look at" in managers_page.as_page(report, empty_shop.settings)
