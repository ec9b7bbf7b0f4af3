"""A plan from pictures to a checkpoint, by the commands."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from tests.vsearch.training import sample_data
from vsearch.cli import main
from vsearch.models import checkpoint as checkpoints
from vsearch.models.classifier import open_classifier

pytestmark = [pytest.mark.keras, pytest.mark.slow]

PLAN = (
    sample_data.PLAN.replace('labels = { kind = "kind" }', 'labels = { kind = "kind", colour = "colour" }')
    .replace("epochs = 2", "epochs = 1")
    .replace("[[phase]]", '[[head]]\nname = "colour"\nkind = "sigmoid"\n[[phase]]', 1)
    .replace("cache_size = 40", 'cache_size = 40\nmirrored = true\nleave_out = ["kind", "colour"]')
)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished run; no picture shows a blue bar."""
    folder = tmp_path_factory.mktemp("photos")
    sample_data.write(folder)
    with (folder / "labels.csv").open(newline="") as lines:
        rows = [row for row in csv.reader(lines) if not ("shapes/bar" in row and "blue" in row)]
    with (folder / "labels.csv").open("w", newline="") as lines:
        csv.writer(lines).writerows(rows)
    (folder / "tiny.toml").write_text(PLAN)
    train(folder, "--out", str(folder / "copy"))
    return folder


def train(folder: Path, *more: str) -> None:
    """Run `vsearch train`; whatever exit code but 0 fails."""
    command("train", str(folder / "tiny.toml"), "--photos", str(folder), "--runs", str(folder / "runs"), *more)


def command(*words: str) -> None:
    """Run a command of vsearch."""
    with pytest.raises(SystemExit) as ended:
        main(["--log-level", "ERROR", *words])
    assert ended.value.code == 0


def test_a_plan_that_starts_from_another_plans_networks_trains_that_one_first(tmp_path: Path) -> None:
    """In a run of its own, once; the card tells of both. Heads that are not kept are not in the checkpoint."""
    sample_data.write(tmp_path)
    first, then = (
        sample_data.PLAN.replace('"tiny"', '"before"').replace("epochs = 2", "epochs = 1"),
        tmp_path / "tiny.toml",
    )
    (tmp_path / "before.toml").write_text(first[: first.rindex("[[phase]]")])
    later, last = PLAN.index('[[phase]]\nname = "second"'), PLAN.index("[assemble]")
    text = f'start = "plan:{tmp_path / "before.toml"}"\n{PLAN[:later]}{PLAN[last:]}keep_heads = false\n'
    text = text.replace('leave_out = ["kind", "colour"]', "")
    then.write_text(text.replace("[[source]]", "[[source]]\nstrangers = 7", 1))
    train(tmp_path)
    earlier = tmp_path / "runs" / "before" / "checkpoint"

    made = checkpoints.load(tmp_path / "runs" / "tiny" / "checkpoint")
    card = (made.folder / "CARD.md").read_text()
    assert made.searchable
    assert made.trained_heads is None
    assert made.background_cohort.shape == (7, sum(made.block_sizes.values()))
    assert earlier.is_dir()
    assert "### Before: before\n\nFrom random weights, seed 1:" in card

    kept = earlier.stat().st_mtime_ns
    train(tmp_path)
    assert earlier.stat().st_mtime_ns == kept


def test_a_run_leaves_all_that_it_promises(trained: Path) -> None:
    """Checkpoint, report, curves, and four files for each head."""
    run = trained / "runs" / "tiny"
    names = {file.name for file in run.iterdir()}

    assert {"checkpoint", "report.json", "learning_curves.png", "plan.json", "unseen", "pocket_vgg"} <= names
    for head in ("kind", "colour"):
        assert {f"confusion_{head}.png", f"worst_{head}.png", f"calibration_{head}.png"} <= names
        assert (run / f"per_class_{head}.csv").read_text().startswith("value,support,precision,recall,f1\n")
    card = (run / "checkpoint" / "CARD.md").read_text()
    assert "drawn here" in card
    assert "all right" in card


def test_the_report_is_what_the_saved_checkpoint_reaches(trained: Path) -> None:
    """Judged anew from disk, the figures are the same; half precision changed nothing."""
    run = trained / "runs" / "tiny"
    said = json.loads((run / "report.json").read_text())

    command(
        "evaluate", "checkpoint", str(trained / "copy"), "--plan", str(trained / "tiny.toml"),
        "--photos", str(trained), "--runs", str(trained / "runs"), "--out", str(trained / "judged"),
    )  # fmt: skip

    again = json.loads((trained / "judged" / "report.json").read_text())
    assert again["checkpoint_id"] == said["checkpoint_id"]
    assert again["validation"]["heads"] == said["validation"]["heads"]
    assert said["saved_as_trained"] == {"pocket_vgg": 1.0}
    assert said["data"]["classes"]["kind"]["bar"][1] + said["data"]["classes"]["kind"]["disc"][1] == again["pictures"]


def test_the_checkpoint_judges_and_can_be_searched_with(trained: Path) -> None:
    """Both sets of heads, and the retrieval parts, in the copy as in the run."""
    found = checkpoints.load(trained / "copy")
    classifier = open_classifier(found)
    dark = np.full((30, 60, 3), 30, np.uint8)

    said = classifier.predict([dark, dark[:, ::-1]])

    assert found.searchable
    assert dict(found.block_sizes) == {"pocket_vgg": 12, "shape": 10, "colour": 6}
    assert found.classes == ("bar", "disc")
    assert said.vote("kind")[0] in ("bar", "disc")
    np.testing.assert_allclose(said.mean("kind")[0], said.mean("kind")[1], atol=1e-4)  # mirrored
    assert found.about["data"]["train"] > 0
    assert found.about["plan"]["name"] == "tiny"


def test_pairs_are_left_out_and_judged(trained: Path) -> None:
    """Of three pairs one can be judged; without either other pair a value has no picture left."""
    said = json.loads((trained / "runs" / "tiny" / "report.json").read_text())["unseen"]
    reasons = {" ".join(entry["values"].values()): entry.get("reason", "") for entry in said["pairs"]}

    assert reasons == {"bar red": "no other bar in training", "disc blue": "no other blue in training", "disc red": ""}
    assert (trained / "runs" / "tiny" / "unseen" / "disc-red" / "judged.json").is_file()
    assert said["pooled"]["pocket_vgg"]["n"] == next(e["n"] for e in said["pairs"] if "judges" in e)


def test_a_finished_run_is_not_done_again(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The same command prints the same figures and writes nothing but who holds the lock."""
    run = trained / "runs" / "tiny"
    before = {file: file.stat().st_mtime_ns for file in run.rglob("*.*") if file.is_file()}

    train(trained)

    assert before == {file: file.stat().st_mtime_ns for file in run.rglob("*.*") if file.is_file()}
    assert "all together" in capsys.readouterr().out


def test_predict_asks_the_trained_heads(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every head, with its confidence."""
    from vsearch.imaging.codec import encode_jpeg

    (trained / "photo.jpg").write_bytes(encode_jpeg(np.full((60, 60, 3), 90, np.uint8)))

    command("predict", str(trained / "photo.jpg"), "--checkpoint", str(trained / "copy"))

    printed = capsys.readouterr().out
    assert "kind" in printed
    assert "colour" in printed
    assert "%" in printed


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("epochs = 1", "epochs = 3"), "phase of 'tiny' changed"),
        (("seed = 1", "seed = 2"), "seed of 'tiny' changed"),
    ],
)
def test_a_changed_plan_is_refused(
    trained: Path, change: tuple[str, str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """What was begun by one plan is not gone on with by another."""
    (trained / "other.toml").write_text(PLAN.replace(*change))

    assert failed("train", str(trained / "other.toml"), "--photos", str(trained), "--runs", str(trained / "runs"))
    assert said in capsys.readouterr().err


def test_a_checkpoint_is_never_copied_over_another(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Said before anything is trained."""
    plan, runs = str(trained / "tiny.toml"), str(trained / "runs")

    assert failed("train", plan, "--photos", str(trained), "--runs", runs, "--out", str(trained / "copy"))
    assert "new folder" in capsys.readouterr().err


def test_a_plan_with_other_heads_cannot_judge_a_checkpoint(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The sentence names the heads of both."""
    (trained / "stranger.toml").write_text(sample_data.PLAN.replace('name = "kind"', 'name = "form"\nlabel = "kind"'))

    assert failed(
        "evaluate", "checkpoint", str(trained / "copy"), "--plan", str(trained / "stranger.toml"),
        "--photos", str(trained), "--runs", str(trained / "runs"),
    )  # fmt: skip
    assert "kind, colour and tiny names form" in capsys.readouterr().err


def failed(*words: str) -> bool:
    """Run a command and return whether it ended with exit code 1."""
    with pytest.raises(SystemExit) as ended:
        main(["--log-level", "ERROR", *words])
    return ended.value.code == 1
