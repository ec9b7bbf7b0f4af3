"""Imports with their preview, and the catalog report."""

import io
import json

import pytest

from catalog import imports, jobs, queries
from catalog.models import FeedImport, Job, utc_now
from indexer import catalog_report
from indexer.jobs import execution, kinds

HEADER = "sku,title,category,image,brand,description,url,stock,variant_group,attr:color,dimensions,price\n"
REST = "Seating > Chairs,0.jpg,Nordhem,Fine,https://shop.example/p,3,g,red,width=40cm"


@pytest.fixture
def pictures(staff, tmp_path):
    """A folder with a copy of a catalog image, that the settings name as the feed's images."""
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "0.jpg").write_bytes(staff.photo(0))
    return tmp_path / "images"


def run_job(staff, pictures) -> Job:
    """Run the next job as a worker does."""
    settings = staff.settings.model_copy(update={"feed_images": str(pictures)})
    job = execution.claim_next(staff.sessions, "worker:1", utc_now())
    assert job is not None
    execution.execute(settings, job.job_id, "worker:1", kinds.FUNCTIONS)
    with staff.sessions() as session:
        done = jobs.one(session, job.job_id)
    assert done is not None
    return done


def feed(*, title: str = "Chair", rows: int = 12) -> bytes:
    """Return a feed of the first products of the shop, each with the same image."""
    lines = [f"P-{number:02d},{title} {number},{REST},{100 + 10.5 * number:.2f}\n" for number in range(rows)]
    return (HEADER + "".join(lines)).encode()


def upload(ada, data: bytes, name: str = "feed.csv") -> str:
    ada.get("/admin/imports/")
    answer = ada.post("/admin/imports/preview", {"feed": (io.BytesIO(data), name)})
    assert answer.status_code == 303, answer.text
    return answer.location


def test_an_import_is_previewed_confirmed_and_listed(staff, visitor, pictures):
    ada = visitor("admin")
    page = upload(ada, feed(rows=11).replace(b"P-00", b"New"))
    assert "queued" in ada.get(page).text
    with staff.sessions() as session:
        before = queries.snapshot(session)
    run_job(staff, pictures)
    text = ada.get(page).text
    for shown in (
        "Withdrawn: no longer in the feed (2)",
        "Changed (10)",
        "New (1)",
        "Chair Model 3 velvet",
        "Import this feed",
    ):
        assert shown in text
    with staff.sessions() as session:
        assert queries.snapshot(session) == before
        assert imports.latest(session) == []
    answer = ada.post(f"{page}/confirm")
    assert answer.location.startswith("/admin/jobs/")
    assert run_job(staff, pictures).state == "done"
    with staff.sessions() as session:
        assert queries.snapshot(session)["P-03"].title == "Chair 3"
        (record,) = imports.latest(session)
    assert "10 changed" in ada.get("/admin/imports/").text
    assert ada.get(f"/admin/imports/{record.import_id}").status_code == 200
    assert "Another feed was imported since" in ada.get(page).text


def test_a_feed_that_was_replaced_after_the_preview_is_not_imported(staff, visitor, pictures):
    ada = visitor("admin")
    page = upload(ada, feed())
    run_job(staff, pictures)
    (file,) = staff.settings.feeds.iterdir()
    file.write_bytes(feed(title="Other"))
    ada.post(f"{page}/confirm")
    job = run_job(staff, pictures)
    assert (job.state, "changed since its preview" in job.message) == ("failed", True)


def test_a_refused_feed_shows_why_and_can_be_overridden(staff, visitor, pictures):
    ada = visitor("admin")
    page = upload(ada, feed(rows=1))
    run_job(staff, pictures)
    text = ada.get(page).text
    assert "11 of the catalog&#39;s 12 products are missing" in text
    assert "Import this feed" not in text
    assert ada.post(f"{page}/confirm").status_code == 400
    assert ada.post(f"{page}/override", {"accept": "rows"}).status_code == 400, "it is not the one that refused"
    again = ada.post(f"{page}/override", {"accept": ["shrink", "columns"]}).location
    run_job(staff, pictures)
    assert "Withdrawn: no longer in the feed (11)" in ada.get(again).text
    ada.post(f"{again}/confirm")
    assert run_job(staff, pictures).result["counts"]["withdrawn"] == 11


def test_the_configured_feed(staff, visitor, pictures, tmp_path):
    ada = visitor("admin")
    ada.get("/admin/imports/")
    assert ada.post("/admin/imports/preview", {"configured": "yes"}).status_code == 400, "there is none"
    assert ada.post("/admin/imports/preview", {"feed": (io.BytesIO(b""), "empty.csv")}).status_code == 400


@pytest.mark.parametrize("name", ["../../../etc/passwd", "<script>alert(1)</script>.csv", ".hidden", "", "a" * 500])
def test_names_of_uploaded_feeds_are_harmless(staff, visitor, name):
    ada = visitor("admin")
    if not name:
        ada.get("/admin/imports/")
        assert ada.post("/admin/imports/preview", {"feed": (io.BytesIO(b"x"), name)}).status_code == 400
        return
    page = upload(ada, b"sku\n", name)
    (file,) = staff.settings.feeds.iterdir()
    assert file.parent == staff.settings.feeds
    assert not file.name.startswith(".")
    assert len(file.name) < 100
    assert "<script>alert" not in ada.get(page).text
    assert "<script>alert" not in ada.get("/admin/imports/").text


def test_hostile_texts_of_feeds_are_escaped(staff, visitor, pictures):
    hostile = "\"><script>alert('x')</script>"
    now = utc_now()
    finding = {"line": 2, "sku": hostile, "reason": hostile, "kind": "row"}
    with staff.sessions.begin() as session:
        values = {"feed": hostile, "message": hostile, "findings": [finding], "counts": {hostile: 1}}
        session.add(FeedImport(started_at=now, finished_at=now, state="refused", **values))
        example = {"sku": hostile, "title": hostile, "image": "", "fields": {hostile: [hostile, hostile]}}
        result = {"refused": "", "gates": {}, "counts": {"added": 1, "changed": 1}, "checksum": "0" * 64}
        result |= {"findings": [finding], "finding_count": 1, "warnings": [hostile]}
        result |= {"examples": {"added": [example], "changed": [example]}}
        previewed = jobs.add(session, "import", {"dry_run": "yes", "feed": hostile, "accept": [hostile]}, now)
        jobs.finish(session, previewed, "done", hostile, now, result=result)
        refused = jobs.add(session, "import", {"dry_run": "yes"}, now)
        jobs.finish(
            session, refused, "done", "", now, result=result | {"refused": hostile, "gates": {hostile: hostile}}
        )
    ada = visitor("admin")
    folder = staff.settings.data / "report"
    folder.mkdir()
    report = {
        "created_at": now.isoformat(), "counts": {hostile: 1}, "titles": {hostile: hostile},
        "headings": {hostile: hostile},
        "findings": [{"kind": hostile, "skus": [hostile], "pictures": [hostile], "text": hostile}],
    }  # fmt: skip
    (folder / "report.json").write_text(json.dumps(report))
    pages = ["imports/", "imports/1", f"imports/preview/{previewed}", f"imports/preview/{refused}", "report"]
    for page in pages:
        answer = ada.get(f"/admin/{page}")
        assert answer.status_code == 200, page
        assert "<script>alert" not in answer.text


def test_only_an_admin_imports(staff, visitor, pictures):
    page = upload(visitor("admin"), feed())
    run_job(staff, pictures)
    eddie = visitor("editor")
    assert "Import this feed" not in eddie.get(page).text
    for address in ("/admin/imports/preview", f"{page}/confirm", f"{page}/override"):
        assert eddie.post(address).status_code == 403
    assert visitor("viewer").get(page).status_code == 200


def test_other_jobs_are_not_previews(staff, visitor):
    with staff.sessions.begin() as session:
        job_id = jobs.add(session, "import", {"feed": "x"}, utc_now())
    ada = visitor("admin")
    assert ada.get(f"/admin/imports/preview/{job_id}").status_code == 404
    assert ada.post(f"/admin/imports/preview/{job_id}/confirm").status_code == 404
    assert ada.get("/admin/imports/7").status_code == 404


def test_the_report(staff, visitor):
    vera = visitor("viewer")
    assert "There is no report yet" in vera.get("/admin/report").text
    catalog_report.save(staff.settings, catalog_report.create(staff.settings))
    text = vera.get("/admin/report").text
    assert "Different products that look nearly identical" in text
    assert "/admin/pictures/" in text
    assert 'href="/admin/products/P-00"' in text
