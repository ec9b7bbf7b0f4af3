"""What a run refuses before anything is trained, and that it goes on when that is corrected."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.vsearch.training import sample_data
from vsearch.core.errors import CheckpointError, DatasetError, PlanError, RunInProgress, VSearchError
from vsearch.core.lock import run_lock
from vsearch.models import checkpoint as checkpoints
from vsearch.training import plan as plans

pytestmark = pytest.mark.keras


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the tiny data set."""
    sample_data.write(tmp_path)
    return tmp_path


def refused(folder: Path, kind: type[VSearchError], text: str = sample_data.PLAN) -> str:
    """Carry a plan out, which must fail, and return the sentence."""
    from vsearch.training import experiment
    from vsearch.training.outcome import Run

    plan = plans.parse(text, "tiny")
    with pytest.raises(kind) as caught:
        experiment.carry_out(Run(plan, folder, folder / "runs" / plan.name))
    return str(caught.value)


def relabelled(folder: Path, value: str) -> None:
    """Give every bar another kind."""
    text = (folder / "labels.csv").read_text()
    (folder / "labels.csv").write_text(text.replace("shapes/bar", f"shapes/{value}"))


def test_two_trainings_of_one_run(folder: Path) -> None:
    """The second is refused and touches nothing."""
    run = folder / "runs" / "tiny"
    with run_lock(run / "lock", datetime.now(UTC)):
        assert "Another training in" in refused(folder, RunInProgress)
    assert [file.name for file in run.iterdir()] == ["lock"]


def test_what_is_mended_before_anything_is_trained_is_taken(folder: Path) -> None:
    """Each sentence is of what is wrong now, none of a plan or pictures that changed."""
    stage, layer = (
        sample_data.PLAN.replace("[[phase]]", f"[[phase]]\nunfreeze = {what}", 1) for what in ('"stage9"', 999)
    )

    assert "'stage9' is none of" in refused(folder, PlanError, stage)
    relabelled(folder, "rod")
    assert "but 999 was given" in refused(folder, PlanError, layer)


def test_one_value_is_nothing_to_learn(folder: Path) -> None:
    """It would be right always, and say nothing."""
    relabelled(folder, "disc")

    assert "show 'disc'; add pictures" in refused(folder, DatasetError)


def test_weights_to_start_from_are_compared_with_their_hashes(folder: Path) -> None:
    """A changed file is said, whatever is in it."""
    start = folder / "start"
    start.mkdir()
    for file in checkpoints.bundled().iterdir():
        (start / file.name).write_bytes(b"no zip" if file.name == "pocket_vgg.weights.npz" else file.read_bytes())

    said = refused(folder, CheckpointError, f'start = "{start}"\n{sample_data.PLAN}')

    assert "pocket_vgg.weights.npz" in said
    assert "damaged" in said
