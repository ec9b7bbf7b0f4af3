"""Running plans from pictures to checkpoint with the commands, and what a run refuses."""

import csv
import json
import shutil
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from tests.vsearch.training import sample_data
from vsearch.cli import main
from vsearch.core.errors import CheckpointError, DatasetError, PlanError, RunInProgress
from vsearch.core.lock import run_lock
from vsearch.imaging.codec import encode_jpeg
from vsearch.models import checkpoint as checkpoints
from vsearch.models.classifier import Classifier
from vsearch.training import plan as plans
from vsearch.training.run import Run, train

pytestmark = pytest.mark.keras
slow = pytest.mark.slow

PLAN = (
    sample_data.PLAN.replace(
        'labels = { kind = "kind" }',
        'labels = { kind = "kind", color = "color" }\nhold_out = [{ kind = "bar", color = "blue" }]',
    )
    .replace("epochs = 2", "epochs = 1")
    .replace("[[phase]]", '[[head]]\nname = "color"\nkind = "sigmoid"\n[[phase]]', 1)
    .replace("cache_size = 40", "cache_size = 40\nmirrored = true")
)


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    """The folder of a finished run with two heads, and a copy of its checkpoint."""
    folder = tmp_path_factory.mktemp("photos")
    sample_data.write(folder)
    (folder / "tiny.toml").write_text(PLAN)
    train_command(folder, "--out", str(folder / "copy"))
    return folder


def command(*words: str) -> int:
    """Run a vsearch command and return its exit code."""
    with pytest.raises(SystemExit) as ended:
        main(["--log-level", "ERROR", *words])
    return ended.value.code


def train_command(folder: Path, *more: str, plan: str = "tiny.toml") -> None:
    assert command("train", str(folder / plan), "--photos", str(folder), "--runs", str(folder / "runs"), *more) == 0


@slow
def test_a_plan_that_starts_from_another_trains_that_one_first(tmp_path):
    sample_data.write(tmp_path)
    first = sample_data.PLAN.replace('"tiny"', '"before"').replace("epochs = 2", "epochs = 1")
    (tmp_path / "before.toml").write_text(first[: first.rindex("[[phase]]")])
    later, last = PLAN.index('[[phase]]\nname = "second"'), PLAN.index("[assemble]")
    text = f'start = "plan:{tmp_path / "before.toml"}"\n{PLAN[:later]}{PLAN[last:]}keep_heads = false\n'
    (tmp_path / "tiny.toml").write_text(text.replace("[[source]]", "[[source]]\nbackground = 7", 1))
    train_command(tmp_path)
    earlier = tmp_path / "runs" / "before" / "checkpoint"

    made = checkpoints.load(tmp_path / "runs" / "tiny" / "checkpoint")
    assert made.searchable
    assert made.trained_heads is None
    assert made.retrieval.background_cohort.shape == (7, sum(made.retrieval.block_sizes.values()))
    assert "### Before: before\n\nFrom random weights, seed 1:" in (made.folder / "CARD.md").read_text()

    kept = earlier.stat().st_mtime_ns
    train_command(tmp_path)
    assert earlier.stat().st_mtime_ns == kept


@slow
def test_a_run_writes_all_its_results(trained):
    run = trained / "runs" / "tiny"
    names = {file.name for file in run.iterdir()}

    assert {"checkpoint", "report.json", "learning_curves.png", "plan.json", "pocket_strip"} <= names
    for head in ("kind", "color"):
        assert {f"confusion_{head}.png", f"errors_{head}.png", f"calibration_{head}.png"} <= names
    card = (run / "checkpoint" / "CARD.md").read_text()
    assert "drawn here" in card
    assert "all heads" in card


@slow
def test_the_report_holds_for_the_saved_checkpoint(trained):
    run = trained / "runs" / "tiny"
    report = json.loads((run / "report.json").read_text())

    assert command(
        "evaluate", "checkpoint", str(trained / "copy"), "--plan", str(trained / "tiny.toml"),
        "--photos", str(trained), "--runs", str(trained / "runs"), "--out", str(trained / "evaluated"),
    ) == 0  # fmt: skip

    again = json.loads((trained / "evaluated" / "report.json").read_text())
    assert again["checkpoint_id"] == report["checkpoint_id"]
    assert again["validation"]["heads"] == report["validation"]["heads"]
    assert (
        report["data"]["classes"]["kind"]["bar"][1] + report["data"]["classes"]["kind"]["disc"][1] == again["pictures"]
    )


@slow
def test_held_out_combinations_are_evaluated_apart(trained):
    report = json.loads((trained / "runs" / "tiny" / "report.json").read_text())
    with (trained / "labels.csv").open(newline="") as lines:
        blue_bars = sum(row["kind"] == "shapes/bar" and row["color"] == "blue" for row in csv.DictReader(lines))

    held_out = report["held_out"]["all_correct"]["pocket_strip"]
    assert held_out["n"] == report["data"]["held_out"] == blue_bars > 0
    assert report["data"]["train"] + report["data"]["val"] == 56 - blue_bars


@slow
def test_the_checkpoint_classifies_and_can_be_searched_with(trained):
    found = checkpoints.load(trained / "copy")
    dark = np.full((30, 60, 3), 30, np.uint8)

    predicted = Classifier(found).predict([dark, dark[:, ::-1]])

    assert found.searchable
    assert list(found.retrieval.block_sizes.values()) == [12, 10, 6]
    assert found.retrieval.heads.classes == ("bar", "disc")
    assert predicted.vote("kind")[0] in ("bar", "disc")
    np.testing.assert_allclose(predicted.mean("kind")[0], predicted.mean("kind")[1], atol=1e-4)  # mirrored
    assert found.about["plan"]["name"] == "tiny"


@slow
def test_a_finished_run_is_not_repeated(trained):
    run = trained / "runs" / "tiny"
    before = {file: file.stat().st_mtime_ns for file in run.rglob("*.*") if file.is_file()}

    train_command(trained)

    assert before == {file: file.stat().st_mtime_ns for file in run.rglob("*.*") if file.is_file()}


@slow
def test_predict_uses_the_trained_heads(trained, capsys):
    (trained / "photo.jpg").write_bytes(encode_jpeg(np.full((60, 60, 3), 90, np.uint8)))

    assert command("predict", str(trained / "photo.jpg"), "--checkpoint", str(trained / "copy")) == 0

    printed = capsys.readouterr().out
    assert [word for word in ("kind", "color", "%") if word not in printed] == []


@slow
@pytest.mark.parametrize(
    ("change", "key"), [(("epochs = 1", "epochs = 3"), "phase"), (("seed = 1", "seed = 2"), "seed")]
)
def test_a_changed_plan_does_not_continue_a_run(trained, change, key):
    plan = plans.parse(PLAN.replace(*change), "other")

    with pytest.raises(PlanError, match=rf"'tiny'.*\({key}\)"):
        train(Run(plan, trained, trained / "runs" / "tiny"))


@slow
def test_changed_pictures_do_not_continue_a_run(trained):
    text = (trained / "labels.csv").read_text()
    try:
        (trained / "labels.csv").write_text(text.replace("shapes/bar", "shapes/rod"))
        with pytest.raises(DatasetError, match="changed"):
            train(Run(plans.parse(PLAN, "tiny"), trained, trained / "runs" / "tiny"))
    finally:
        (trained / "labels.csv").write_text(text)


@slow
def test_a_checkpoint_is_never_overwritten(trained, capsys):
    plan, runs = str(trained / "tiny.toml"), str(trained / "runs")

    assert command("train", plan, "--photos", str(trained), "--runs", runs, "--out", str(trained / "copy")) == 1
    assert "exists" in capsys.readouterr().err


@slow
def test_a_plan_with_other_heads_cannot_evaluate_a_checkpoint(trained, capsys):
    other = sample_data.PLAN.replace('name = "kind"', 'name = "form"\nlabel = "kind"')
    (trained / "other.toml").write_text(other)

    assert command(
        "evaluate", "checkpoint", str(trained / "copy"), "--plan", str(trained / "other.toml"),
        "--photos", str(trained), "--runs", str(trained / "runs"),
    ) == 1  # fmt: skip
    assert "form" in capsys.readouterr().err


@slow
def test_a_plan_without_phases_joins_backbones_as_they_are(tmp_path):
    text = (
        'start = "bundled"\nstart_terms = "bought"\n'
        + PLAN[: PLAN.index("[[phase]]")]
        + PLAN[PLAN.index("[assemble]") :]
    )
    plan = sample_data.write(tmp_path, text.replace("pocket_strip", "efficientnet_lite0"))

    report = train(Run(plan, tmp_path, tmp_path / "run"))

    made = checkpoints.load(tmp_path / "run" / "checkpoint")
    assert made.searchable
    assert made.trained_heads is None
    assert report["block_heads"].keys() == {"efficientnet_lite0", "vote"}
    card = (made.folder / "CARD.md").read_text()
    assert "nothing was trained" in card
    assert "bought" in card


@slow
def test_a_detector_learns_a_few_rooms(tmp_path):
    text = sample_data.ROOMS
    start, end = text.index("[[source]]"), text.index("[[head]]")
    again = text[start:end].replace("photos.csv", "again.csv")
    text = text.replace("[[head]]", again + "[[head]]").replace("epochs = 2", "epochs = 10")
    plan = sample_data.write_rooms(tmp_path, text.replace("[[source]]", "[[source]]\nrepeat = 10", 1))
    rows = (tmp_path / "photos.csv").read_text().replace("unseen", "train")
    (tmp_path / "photos.csv").write_text(rows)
    (tmp_path / "again.csv").write_text(rows.replace("train", "unseen"))

    report = train(Run(plan, tmp_path, tmp_path / "run"))

    assert report["validation"]["heads"]["products"]["predictors"]["efficientnet_lite0"]["recall"]["3"]["mean"] > 0.9
    assert (tmp_path / "run" / "boxes_products.png").is_file()
    made = checkpoints.load(tmp_path / "run" / "checkpoint")
    assert "products in 3" in (made.folder / "CARD.md").read_text()
    cells = Classifier(made).predict([sample_data.room(1)[0]]).probabilities_of("efficientnet_lite0", "products")
    assert cells.shape == (1, 4, 4, 5)


@pytest.fixture
def folder(tmp_path) -> Path:
    """A folder with the sample pictures."""
    sample_data.write(tmp_path)
    return tmp_path


def refusal(folder: Path, kind: type[Exception], text: str = sample_data.PLAN) -> str:
    """Return the message with which training a plan fails."""
    plan = plans.parse(text, "tiny")
    with pytest.raises(kind) as caught:
        train(Run(plan, folder, folder / "runs" / plan.name))
    return str(caught.value)


def relabel(folder: Path, value: str) -> None:
    text = (folder / "labels.csv").read_text()
    (folder / "labels.csv").write_text(text.replace("shapes/bar", f"shapes/{value}"))


def test_a_run_is_trained_by_one_process_at_a_time(folder):
    run = folder / "runs" / "tiny"
    with run_lock(run / "lock", datetime.now(UTC)):
        assert str(run) in refusal(folder, RunInProgress)
    assert [file.name for file in run.iterdir()] == ["lock"]


def test_plan_and_pictures_may_change_until_something_is_trained(folder):
    stage, layer = (
        sample_data.PLAN.replace("[[phase]]", f"[[phase]]\nunfreeze = {what}", 1) for what in ('"stage9"', 999)
    )

    assert "'stage9'" in refusal(folder, PlanError, stage)
    relabel(folder, "rod")
    assert "999" in refusal(folder, PlanError, layer)


def test_a_head_with_a_single_value_is_refused(folder):
    relabel(folder, "disc")

    assert "disc of head 'kind'" in refusal(folder, DatasetError)


def test_a_plan_that_starts_from_itself_is_refused(folder):
    text = f'start = "plan:{folder / "tiny.toml"}"\n{sample_data.PLAN}'
    (folder / "tiny.toml").write_text(text)

    assert "itself" in refusal(folder, PlanError, text)


def test_initial_weights_are_verified(folder):
    start = folder / "start"
    shutil.copytree(checkpoints.bundled(), start)
    (start / "efficientnet_lite0.weights.npz").write_bytes(b"no zip")
    text = f'start = "{start}"\n{sample_data.PLAN.replace("pocket_strip", "efficientnet_lite0")}'

    assert "efficientnet_lite0.weights.npz" in refusal(folder, CheckpointError, text)


@slow
def test_networks_learn_from_different_layers_on_and_vote(tmp_path):
    """The phases are those of the plan for the large networks, with small ones."""
    small, large = sample_data.write(tmp_path), plans.read("ensemble")
    backbones = {"pocket_strip": "stage3", "smaller_vgg": "block3"}
    phases = [
        phase.model_copy(update={"size": 32, "epochs": 1, "batch": 16, "views": 1, "average_with_start": 0.0})
        for phase in large.phase
    ]
    phases[1] = phases[1].model_copy(update={"unfreeze": backbones})
    changed = {"start": "random", "cache_size": 40, "phase": tuple(phases), "source": small.source}
    head = large.head[0].model_copy(update={"label": "kind", "middle": True})
    more = {"backbones": tuple(backbones), "head": (head,), "assemble": small.assemble}

    report = train(Run(large.model_copy(update=changed | more), tmp_path, tmp_path / "run"))

    assert report["validation"]["heads"]["class"]["predictors"].keys() == {*backbones, "vote"}
    assert report["block_heads"].keys() == {*backbones, "vote"}
    image = np.full((50, 60, 3), 90, np.uint8)
    assert Classifier(checkpoints.load(tmp_path / "run" / "checkpoint")).predict([image]).vote("class")[0] in (
        "bar",
        "disc",
    )
    assert "stage3 of pocket_strip, block3 of smaller_vgg" in (tmp_path / "run" / "checkpoint" / "CARD.md").read_text()
