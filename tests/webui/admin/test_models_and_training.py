"""Comparing, promoting and training models on the admin pages; the work itself is that of jobs."""

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from catalog import jobs
from catalog.models import utc_now
from vsearch.index.generation import PredictedAttribute
from webui.admin import training
from webui.admin.models import next_night

PAIRED = {"first": 0.5, "second": 0.75, "difference": {"mean": 0.25, "low": 0.1, "high": 0.4}}
COMPARED = {
    "first": "the model in use", "second": "abcdef", "skipped": 1, "pictures": 24, "evaluation": "3f9c: 2 own photos",
    "synthetic": False, "milliseconds": [70.2, 80.9], "class_accuracy": PAIRED,
    "comparison": {"queries": 2, "hit_at_1": PAIRED, "hit_at_5": PAIRED, "mrr": PAIRED},
    "photos": [
        {"name": "0.jpg", "skus": ["<b>A</b>"], "ranks": [3, 1], "class_name": "chair", "classes": ["lamp", "chair"]},
        {"name": "0001.jpg", "skus": ["B"], "ranks": [1, 0], "class_name": "lamp", "classes": ["lamp", "lamp"]},
    ],
}  # fmt: skip


@pytest.fixture
def compared(staff):
    with staff.sessions.begin() as session:
        job_id = jobs.add(session, "compare", {"model": "abcdef"}, utc_now())
        jobs.finish(session, job_id, "done", "Better.", utc_now(), result=COMPARED)
    return f"/admin/models/comparisons/{job_id}"


def queued(staff):
    with staff.sessions() as session:
        return jobs.latest(session, 1)[0]


def test_models_and_their_comparison(staff, visitor, compared):
    browser = visitor("viewer")
    text = browser.get("/admin/models/").text
    assert compared in text
    page = browser.get(compared)
    assert page.status_code == 200
    assert "+25.0" in page.text
    assert "&lt;b&gt;A&lt;/b&gt;" in page.text
    assert browser.get("/admin/models/comparisons/99").status_code == 404
    assert browser.get("/admin/models/evaluation/3f9c/0000.jpg").status_code == 404


def test_the_model_in_use_is_fitted_to_labels(staff, visitor):
    ada = visitor("admin")
    assert ada.post("/admin/models/compare", {"model": ""}).status_code == 303
    assert (queued(staff).kind, queued(staff).arguments) == ("compare", {})
    assert ada.post("/admin/models/compare", {"model": ""}).status_code == 409, "it is queued already"
    assert ada.post("/admin/models/promote", {"model": ""}).status_code == 303
    assert (queued(staff).kind, queued(staff).arguments, queued(staff).start_at) == ("promote", {}, None)


def test_promotion_despite_a_loss_needs_a_reason(staff, visitor):
    ada = visitor("admin")
    (folder,) = staff.settings.checkpoints.iterdir()
    form = {"model": folder.name, "despite": "yes"}
    assert ada.post("/admin/models/promote", form | {"reason": " no "}).status_code == 400
    assert ada.post("/admin/models/promote", form | {"reason": "The new range matters more."}).status_code == 303
    expected = {"model": folder.name, "allow_drop": "1", "reason": "The new range matters more."}
    assert queued(staff).arguments == expected
    assert ada.post("/admin/models/promote", {"model": "unknown"}).status_code == 400


def test_promotion_before_the_next_night(staff, visitor):
    ada = visitor("admin")
    assert ada.post("/admin/models/promote", {"model": "", "when": "night"}).status_code == 303
    assert queued(staff).start_at == next_night(staff.settings.schedule)
    assert queued(staff).start_at > utc_now()
    assert next_night("") is None


def test_what_there_is_to_train_on(staff, visitor):
    text = visitor("viewer").get("/admin/training/").text
    assert "Seating &gt; Chairs" in text
    assert "own_catalog" in visitor("editor").get("/admin/training/").text


def test_starting_watching_and_resuming_a_run(staff, visitor):
    eddie = visitor("editor")
    eddie.get("/admin/training/")
    assert eddie.post("/admin/training/", {"plan": "../x"}).status_code == 400
    assert eddie.post("/admin/training/", {"plan": "own_catalog", "reviewed": "yes"}).status_code == 303
    job = queued(staff)
    run = job.arguments["run"]
    assert job.arguments == {"plan": "own_catalog", "run": run}
    assert eddie.get(f"/admin/training/runs/{run}").status_code == 404, "it has not begun"

    folder = staff.settings.data / "runs" / run / "efficientnet_lite0"
    folder.mkdir(parents=True)
    (folder.parent / "plan.json").write_text("{}")
    rows = [{"phase": "heads", "epoch": n, "seconds": 1.0, "loss": 2.0 / n, "val_loss": 3.0 / n} for n in (1, 2, 3)]
    (folder / "history.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows) + '{"phase": "he')
    text = eddie.get(f"/admin/training/runs/{run}/state").text
    assert "validation 1" in text
    assert 'points="0.0,0.0' in text or "polyline" in text
    assert "Resume" not in text
    with staff.sessions.begin() as session:
        jobs.cancel(session, job.job_id, utc_now())
    assert "Resume" in eddie.get(f"/admin/training/runs/{run}").text
    assert eddie.post("/admin/models/compare", {"model": f"run:{run}"}).status_code == 400, "no model yet"
    assert eddie.post(f"/admin/training/runs/{run}/resume").status_code == 303
    assert queued(staff).arguments == job.arguments

    (folder.parent / "checkpoint").mkdir()
    (folder.parent / "errors_class.png").write_bytes(b"png")
    assert eddie.get(f"/admin/training/runs/{run}/errors_class.png").data == b"png"
    assert eddie.get(f"/admin/training/runs/{run}/other.png").status_code == 404
    assert eddie.post("/admin/models/compare", {"model": f"run:{run}"}).status_code == 303
    assert queued(staff).arguments["model"].endswith(f"{run}/checkpoint")
    assert eddie.get("/admin/training/runs/..%2F..").status_code == 404


def test_curves_of_equal_values_are_drawn():
    curve = training.Curve("loss", (1.0, 1.0), (1.0,))
    assert curve.points(curve.training) == "0.0,140.0 320.0,140.0"
    assert curve.points(curve.validation) == "0.0,140.0"


def test_the_next_night_is_in_the_future():
    for schedule in ("30 1 * * *", "* * * * *"):
        start = next_night(schedule)
        assert start is not None
        assert start >= datetime.now(UTC).replace(second=0, microsecond=0)


def test_predicted_attributes_are_marked_and_give_way_to_the_feed(staff, visitor):
    predicted = (PredictedAttribute(1, "style", "modern", 0.93), PredictedAttribute(1, "color", "green", 0.99))
    serving = staff.engine.serving
    staff.engine._serving = replace(serving, generation=replace(serving.generation, predicted_attributes=predicted))
    text = visitor("viewer").get("/admin/products/P-00").text
    assert "modern" in text
    assert "predicted, 93%" in text.replace("\N{NO-BREAK SPACE}", "")
    assert "green" not in text, "the feed has a color"
