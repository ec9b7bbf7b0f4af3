import json
import re
from dataclasses import asdict, replace
from datetime import timedelta

import numpy as np
import pytest
from click.testing import CliRunner

from catalog import changes, imports
from catalog.changes import Changes, ProductItem
from catalog.imports import PictureState
from catalog.models import FeedImport, utc_now
from catalog.queries import GalleryRow
from indexer import catalog_report
from indexer.build import reindex
from indexer.catalog_report import findings
from indexer.catalog_report.findings import Finding
from tests.fakes import EncoderFactory, colored
from tests.indexer.shop import Shop
from vsearch.cli import cli
from vsearch.imaging.codec import encode_jpeg
from vsearch.index import generation
from vsearch.models.class_heads import CLASS
from vsearch.models.trained_heads import HeadPredictions, HeadSpec

UNAVAILABLE = "image 'x.jpg' is not in the folder"
PICTURE = GalleryRow(1, 1, "A", "a" * 64, "Sofas", None, "Acme", 300, 150)


def test_small_pictures_are_reported_by_their_longer_side():
    """Pictures of unknown size are not reported."""
    pictures = [PICTURE, replace(PICTURE, width=199, height=90), replace(PICTURE, width=None, height=None)]
    (finding,) = findings.small_pictures(pictures)
    assert "199 x 90" in finding.text


def test_only_variants_may_share_a_picture():
    variants = [replace(PICTURE, sku=sku, variant_group="g") for sku in "AB"]
    assert list(findings.shared_pictures(variants)) == []
    others = [replace(PICTURE, sku="C"), replace(PICTURE, sku="D", sha256="d" * 64)]
    (finding,) = findings.shared_pictures([*variants, *others])
    assert (finding.skus, finding.pictures) == (("A", "B", "C"), ("a" * 64,))


def test_a_category_is_suspect_only_if_the_classifier_is_confident():
    """The classifier must also know both classes."""
    probabilities = np.array([[0.01, 0.99], [0.2, 0.8], [0.99, 0.01], [0.005, 0.995]], np.float32)
    spec = HeadSpec(CLASS, "softmax", ("Lamps", "Sofas"))
    predictions = HeadPredictions((spec,), {"network": {CLASS: probabilities}})
    pictures = [replace(PICTURE, sku=sku) for sku in "ABCD"]
    (finding,) = findings.suspect_categories(pictures, ["Lamps", "Lamps", "Lamps", "Beds"], predictions)
    assert finding.skus == ("A",)
    assert all(word in finding.text for word in ("'Lamps'", "'Sofas'", "99%"))


@pytest.fixture
def faulty(indexed_shop):
    """A shop with one finding of almost every kind."""
    first = indexed_shop.rows()[0]
    small = indexed_shop.store.put(encode_jpeg(colored([9, 200, 9], seed=1, side=90)))
    with indexed_shop.sessions.begin() as session:
        items = (
            ProductItem("NOPIC", "Bed <b>without</b> picture"),
            ProductItem("TWIN", "Twin", category="Sofas > Armchairs", images=(first.sha256, small)),
        )
        changes.apply(session, Changes(added=items), {small: (90, 90)})
        imports.write_picture_states(session, {"x": PictureState(problem=UNAVAILABLE, failures=3)})
        now = utc_now()
        rows = [
            {"line": 7, "sku": "LOST", "kind": "picture", "reason": UNAVAILABLE},
            {"line": 9, "sku": "BAD", "kind": "row", "reason": "stock must be a number"},
        ]
        details = {"started_at": now, "finished_at": now, "message": "", "findings": rows}
        session.add(FeedImport(feed="feed.csv", state="imported", **details))
    return indexed_shop


def test_the_report_lists_findings_with_their_products(faulty):
    report = catalog_report.create(faulty.settings)
    assert {finding.kind: finding.skus for finding in report.findings if finding.kind != "near duplicate"} == {
        "bad row": ("BAD",),
        "no picture": ("NOPIC",),
        "unavailable picture": ("LOST",),
        "small picture": ("TWIN",),
        "shared picture": (faulty.rows()[0].sku, "TWIN"),
    }
    assert report.of_kind("bad row") == [Finding("bad row", ("BAD",), (), "Line 9: stock must be a number")]
    assert report.of_kind("unavailable picture")[0].text == f"{UNAVAILABLE} (3 times in a row)"
    assert report.counts == {"products": 14, "withdrawn": 0, "pictures": 26, "unreadable": 0}
    assert report.runs[0]["state"] == "published"
    assert report.names(report.of_kind("shared picture")[0], 6)[1] == "TWIN Twin"
    assert report.names(report.of_kind("unavailable picture")[0], 6) == ["LOST"]


def test_the_page_is_self_contained_and_escaped(faulty):
    page = catalog_report.save(faulty.settings, catalog_report.create(faulty.settings))
    text = page.read_text()
    assert "NOPIC Bed &lt;b&gt;without&lt;/b&gt; picture</strong>" in text
    assert text.count("data:image/jpeg;base64,") >= 2
    assert not re.search(r'(src|href)="(?!data:)', text)
    saved = json.loads(page.with_name("report.json").read_text())
    assert {"bad row", "no picture", "shared picture"} <= {each["kind"] for each in saved["findings"]}
    assert saved["titles"]["TWIN"] == "Twin"


def test_the_command_prints_text_json_or_a_page(faulty, tmp_path):
    command = ["--data", str(faulty.settings.data), "index", "report"]
    text = CliRunner().invoke(cli, command).stdout
    assert findings.TITLES["no picture"] in text
    assert "NOPIC" in text
    assert json.loads(CliRunner().invoke(cli, [*command, "--json"]).stdout)["counts"]["products"] == 14
    assert CliRunner().invoke(cli, [*command, "--html", str(tmp_path / "r.html")]).exit_code == 0
    assert (tmp_path / "r.html").read_text().startswith("<!DOCTYPE html>")


def publish_with(shop: Shop, opened: EncoderFactory, sku: str, hours: int) -> str:
    """Publish the shop with one more product, dated some hours from now, and return the generation id."""
    shop.add([sku], "Sofas > Armchairs")
    later = utc_now() + timedelta(hours=hours)
    return reindex.reindex(shop.settings, open_encoder=opened, clock=lambda: later, accept=("drift",)).generation_id


def test_the_report_shows_a_rollback(indexed_shop, opened):
    """It is shown until the next run, whose record mentions it."""
    settings, folder = indexed_shop.settings, indexed_shop.settings.generations
    first = generation.current(folder).name
    before = catalog_report.create(settings)
    assert before.published is not None
    assert (before.published.generation_id, before.published.rolled_back) == (first, ())
    assert "rollback" not in [entry.kind for entry in before.history()]

    second = publish_with(indexed_shop, opened, "NEW1", hours=1)
    reindex.rollback(settings)
    after = catalog_report.create(settings)
    assert after.published is not None
    published = after.published
    assert (published.generation_id, published.rolled_back, published.is_rollback) == (first, (second,), True)
    assert after.history()[0].kind == "rollback"
    assert second in after.history()[0].message
    assert published.text() in catalog_report.render_html(after, settings)
    assert asdict(after)["published"]["rolled_back"] == (second,)

    third = publish_with(indexed_shop, opened, "NEW2", hours=2)
    again = catalog_report.create(settings).published
    assert again is not None
    assert (again.generation_id, again.rolled_back, again.is_rollback) == (third, (second,), False)
    assert second in again.text()


def test_a_shop_without_an_index_has_a_report(empty_shop):
    report = catalog_report.create(empty_shop.settings)
    assert (report.findings, report.runs, report.imports, report.published) == ((), [], [], None)
    assert "No findings" in catalog_report.render_html(report, empty_shop.settings)
