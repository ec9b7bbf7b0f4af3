"""The overview, jobs, and rolling back the index."""

import json
import shutil
from datetime import timedelta
from pathlib import Path

from sqlalchemy import select

from catalog import jobs
from catalog.models import Image, IndexRun, Job, utc_now
from vsearch.index import generation as generations


def test_overview_without_an_index(staff, visitor):
    for folder in staff.settings.generations.iterdir():
        if folder.name == "CURRENT":
            folder.unlink()
    answer = visitor("viewer").get("/admin/")
    assert answer.status_code == 200
    assert "No index has been published" in answer.text
    assert "No worker is running" in answer.text


def test_overview(staff, visitor):
    now = utc_now()
    with staff.sessions.begin() as session:
        jobs.record_worker(session, "host:7", now)
        failed = jobs.add(session, "nightly", {}, now)
        jobs.finish(session, failed, "failed", "No space left on postgresql://u:secret@db/shop.", now)
        running = jobs.add(session, "index", {}, now)
        jobs.claim(session, running, "host:7", now)
        jobs.beat(session, running, {"stage": "encode pictures", "done": 3, "total": 12}, now)
        session.add(IndexRun(state="failed", finished_at=now, message="Drift."))
    text = visitor("viewer").get("/admin/").text
    assert "No worker is running" not in text
    assert "host:7" in text
    assert "No space left" in text
    assert "secret" not in text
    assert "encode pictures: 3 of 12" in text
    assert generations.current_id(staff.settings.generations) in text
    with staff.sessions.begin() as session:
        jobs.finish(session, jobs.add(session, "nightly", {}, now), "done", "Fine.", now)
    assert "No space left" not in visitor("viewer").get("/admin/").text, "a later success ends the alarm"


def test_starting_cancelling_and_repeating_jobs(staff, visitor):
    ada = visitor("admin")
    page = ada.post("/admin/jobs/start/nightly").location
    assert ada.get(page).status_code == 200
    assert ada.post("/admin/jobs/start/nightly").status_code == 409, "one at a time"
    assert ada.post("/admin/jobs/start/train").status_code == 404
    assert ada.post(f"{page}/retry").status_code == 503
    assert ada.post(f"{page}/cancel").location == page
    again = ada.post(f"{page}/retry").location
    assert again != page
    with staff.sessions() as session:
        first, second = reversed(jobs.latest(session, 2))
        assert (first.state, first.kind, first.requested_by) == ("cancelled", "nightly", "ada")
        assert (second.state, second.kind, second.requested_by) == ("queued", "nightly", "ada")
    assert ada.get("/admin/jobs/").status_code == 200
    assert ada.get("/admin/jobs/99").status_code == 404


def test_logs_are_shown_from_the_end_without_passwords(staff, visitor):
    with staff.sessions.begin() as session:
        job_id = jobs.add(session, "index", {"feed": "https://u:secret@shop.example/feed"}, utc_now())
    staff.settings.jobs.mkdir()
    lines = [f"line {number} postgresql://u:secret@db/shop <b>\n" for number in range(1000)]
    (staff.settings.jobs / f"{job_id}.log").write_text("".join(lines))
    text = visitor("viewer").get(f"/admin/jobs/{job_id}/state").text
    assert "line 999" in text
    assert "line 1 " not in text
    assert "secret" not in text
    assert "<b>" not in text


def test_a_job_that_waits_for_its_time(staff, visitor):
    with staff.sessions.begin() as session:
        jobs.add(session, "promote", {"model": "x"}, utc_now(), start_at=utc_now() + timedelta(hours=3))
    assert "waits until" in visitor("viewer").get("/admin/jobs/").text


def test_rolling_back_shows_what_changes_first(staff, visitor):
    folder = staff.settings.generations
    live = generations.current_id(folder)
    older = add_older_generation(folder)
    ada = visitor("admin")
    assert older in ada.get("/admin/index").text
    text = ada.get(f"/admin/index/rollback?to={older}").text
    assert live in text
    assert older in text
    form = {"what": "index", "to": older, "live": live}
    assert ada.post("/admin/index/rollback", form | {"live": older}).status_code == 400, "something else is live"
    assert ada.post("/admin/index/rollback", form).status_code == 303
    with staff.sessions() as session:
        job: Job = jobs.newest(session, "rollback")
        assert job.arguments == {"what": "index", "to": older}
    for address, status in (
        ("/admin/index/rollback?to=20200101T000000Z-0000", 404),
        ("/admin/index/rollback?what=everything", 400),
        ("/admin/index/rollback?what=search", 404),
    ):
        assert ada.get(address).status_code == status


def add_older_generation(folder: Path) -> str:
    """Copy the live generation as one built earlier, and return its id."""
    live = generations.current_id(folder)
    older = f"20200101T000000Z-{live[-4:]}"
    shutil.copytree(folder / live, folder / older)
    manifest = folder / older / "manifest.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"generation_id": older}))
    return older


def test_pictures_of_all_products_are_shown_to_those_who_signed_in(staff, visitor, site):
    with site.sessions() as session:
        sha256 = session.scalar(select(Image.sha256).limit(1))
    address = f"/admin/pictures/{sha256}-320.jpg"
    assert visitor().get(address).status_code == 302
    assert visitor("viewer").get(address).mimetype == "image/jpeg"
    assert visitor("viewer").get(f"/admin/pictures/{'0' * 64}-320.jpg").status_code == 404
