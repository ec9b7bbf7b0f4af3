"""Jobs of kind import with dry_run=yes, and imports of a feed that was previewed."""

import hashlib
from typing import Any

import pytest

from catalog import imports, queries
from catalog.models import Job, utc_now
from indexer.feed import import_preview
from indexer.jobs import execution, kinds
from tests import pictures as drawn
from tests.indexer.jobs.conftest import row
from vsearch.core.errors import VSearchError

HEADER = "sku,title,price,stock,image,category,attr:color\n"
FIRST = HEADER + "A,Sofa,10,1,0.jpg,Sofas,red\nB,Lamp,20,in stock,1.jpg,Lamps,\nC,Rug,30,,0.jpg,Rugs,\n"


@pytest.fixture
def files(tmp_path):
    (tmp_path / "images").mkdir()
    for number in range(3):
        (tmp_path / "images" / f"{number}.jpg").write_bytes(drawn.jpeg(40 + number, 30))
    return tmp_path


@pytest.fixture
def run(shop, sessions, files):
    """Return a function that runs an import job of a feed with this text."""

    def call(text: str, **arguments: Any) -> Job:
        (files / "feed.csv").write_text(text)
        values = {"feed": str(files / "feed.csv"), "images": str(files / "images")} | arguments
        job_id = execution.add(sessions, "import", values, utc_now())
        execution.claim_next(sessions, "worker:1", utc_now())
        execution.execute(shop, job_id, "worker:1", kinds.FUNCTIONS)
        return row(sessions, job_id)

    return call


def catalog(sessions) -> tuple[Any, int]:
    with sessions() as session:
        return queries.snapshot(session), len(imports.latest(session))


def test_a_preview_says_what_would_change_and_changes_nothing(run, sessions, shop):
    done = run(FIRST)
    assert done.state == "done", done.message
    assert done.result["counts"]["added"] == 3
    before, stored = catalog(sessions), sorted(shop.pictures.rglob("*"))
    text = HEADER + "A,Sofa,12.50,1,0.jpg|2.jpg,Couches,\nB,Lamp,20,in stock,1.jpg,Lamps,\nD,Bed,5,,2.jpg,Beds,\n"
    result = run(text, dry_run="yes").result
    assert (catalog(sessions), sorted(shop.pictures.rglob("*"))) == (before, stored)
    assert result["refused"] == ""
    assert result["checksum"] == hashlib.sha256(text.encode()).hexdigest()
    assert {name: result["counts"][name] for name in ("added", "changed", "withdrawn", "unchanged")} == {
        "added": 1,
        "changed": 1,
        "withdrawn": 1,
        "unchanged": 1,
    }
    (changed,) = result["examples"]["changed"]
    image = before[0]["A"].images[0]
    assert (changed["sku"], changed["image"]) == ("A", image)
    assert changed["fields"] == {
        "category": ["Sofas", "Couches"],
        "price": ["10.00 EUR", "12.50 EUR"],
        "attributes.color": ["red", ""],
        "images": ["1", "2, of which 1 new"],
    }
    (added,), (withdrawn,) = result["examples"]["added"], result["examples"]["withdrawn"]
    assert (added["sku"], added["image"], added["fields"]["price"]) == ("D", "", ["", "5.00 EUR"])
    assert (withdrawn["sku"], withdrawn["title"], withdrawn["fields"]) == ("C", "Rug", {})
    assert run(text, checksum=result["checksum"]).state == "done"
    assert catalog(sessions)[0]["A"].category == "Couches"


def test_a_feed_that_changed_since_its_preview_is_not_imported(run, sessions):
    checksum = run(FIRST, dry_run="yes").result["checksum"]
    job = run(FIRST.replace("Sofa,", "Couch,"), checksum=checksum)
    assert (job.state, job.result) == ("failed", {})
    assert "Preview it again" in job.message
    assert catalog(sessions)[0] == {}
    with sessions() as session:
        assert imports.latest(session)[0].state == "refused"


def test_the_preview_of_a_refused_feed_says_why(run, sessions, monkeypatch):
    monkeypatch.setattr(import_preview, "MAX_FINDINGS", 2)
    bad = HEADER + "".join(f"X{n},,1,1,0.jpg,Sofas,\n" for n in range(4)) + "A,Sofa,10,1,0.jpg,Sofas,red\n"
    result = run(bad, dry_run="yes").result
    assert (result["gates"], result["finding_count"]) == ({"rows": "4 of 5 rows are bad"}, 4)
    assert len(result["findings"]) == 2
    assert result["findings"][0] == {"line": 2, "sku": "X0", "reason": "title is missing; fill it in.", "kind": "row"}
    assert "4 of 5 rows are bad" in result["refused"]
    assert run(bad, dry_run="yes", accept=["rows"]).result["counts"]["added"] == 1
    empty = run("", dry_run="yes")
    assert empty.state == "done"
    assert empty.result["refused"]
    assert catalog(sessions) == ({}, 0)


def test_arguments_of_a_preview_are_checked(shop, files):
    (files / "feed.csv").write_text(FIRST)
    feed = f"feed={files / 'feed.csv'}"
    assert kinds.parse_arguments(shop, "import", (feed, "dry_run=yes"))["dry_run"] == "yes"
    with pytest.raises(VSearchError, match="dry_run"):
        kinds.parse_arguments(shop, "import", (feed, "dry_run=maybe"))
