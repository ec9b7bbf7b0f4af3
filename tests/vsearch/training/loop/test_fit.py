"""Training by phases for real: what a run leaves, what it refuses, and what a kill costs."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from numpy.typing import NDArray

from tests.vsearch.training import sample_data
from tests.vsearch.training.killed_fit import Trainer, Training
from vsearch.core.errors import CheckpointMissing, PlanError
from vsearch.training import plan as plans
from vsearch.training.data import dataset as datasets
from vsearch.training.data.dataset import Dataset
from vsearch.training.plan import Plan

pytestmark = pytest.mark.keras

SOURCE = """
name = "tiny"
backbones = ["pocket_strip"]
seed = 1
cache_size = 40
precision = "float32"
[[source]]
kind = "csv"
manifest = "labels.csv"
images = "images.tar"
labels = { kind = "kind", colour = "colour", number = "number" }
where = { source = "ours/" }
terms = "drawn here"
"""

HEADS = """
[[head]]
name = "kind"
kind = "softmax"
label_smoothing = 0.1
[[head]]
name = "colour"
kind = "sigmoid"
class_weights = "balanced"
[[head]]
name = "number"
kind = "digits"
length = 4
weight = 0.5
[[head]]
name = "product"
kind = "metric"
size = 16
"""

KIND = """
[[head]]
name = "kind"
kind = "softmax"
"""

PHASES = """
[[phase]]
name = "whole"
size = 32
epochs = 2
batch = 8
learning_rate = 0.002
[[phase]]
name = "still"
size = [24, 40]
epochs = 3
batch = 8
learning_rate = 0.001
unfreeze = "none"
[[phase]]
name = "last"
size = 40
epochs = 2
batch = 8
learning_rate = 0.0005
unfreeze = "stage3"
schedule = "step"
every_steps = 6
ema = 0.9
"""

KILLED = """
[[phase]]
name = "whole"
size = [16, 48]
epochs = 3
batch = 8
learning_rate = 0.002
warm_up_epochs = 0.5
ema = 0.8
patience = 3
[[phase]]
name = "still"
size = [16, 48]
epochs = 2
batch = 8
learning_rate = 0.001
unfreeze = "none"
"""

STEPS = 6  # of an epoch: 48 pictures in batches of 8


def phase(**keys: Any) -> str:
    """Return one short phase with some keys of its own."""
    said = {"name": '"one"', "size": 24, "epochs": 1, "batch": 8, "learning_rate": 0.001} | keys
    return "[[phase]]\n" + "".join(f"{key} = {value}\n" for key, value in said.items())


def prepared(folder: Path, text: str) -> tuple[Plan, Dataset]:
    """Write the pictures and return the plan of that text with its data."""
    plan = sample_data.write(folder, text)
    return plan, datasets.prepare(plan, folder, work=folder / "work")


def fit(plan: Plan, pictures: Dataset, folder: Path, **keys: Any) -> Path:
    """Train the plan's backbone below the folder."""
    from vsearch.training.loop import fit

    return fit.run(plan, "pocket_strip", pictures, folder / "runs", work=folder / "work", **keys)


def weights(folder: Path) -> dict[str, NDArray[Any]]:
    """Return all arrays of the weights that a run left."""
    found: dict[str, NDArray[Any]] = {}

    def take(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset):
            found[name] = np.array(item)

    with h5py.File(folder / "runs" / "pocket_strip" / "network.weights.h5") as file:
        file.visititems(take)
    return found


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Plan, Dataset, list[tuple[int, int]]]:
    """A finished run with every kind of head and of phase, and what it told of its progress."""
    folder = tmp_path_factory.mktemp("tiny")
    plan, pictures = prepared(folder, SOURCE + HEADS + PHASES)
    told: list[tuple[int, int]] = []
    fit(plan, pictures, folder, advance=lambda done, total: told.append((done, total)))
    return folder, plan, pictures, told


Tiny = tuple[Path, Plan, Dataset, list[tuple[int, int]]]


def test_a_run_leaves_weights_and_a_history(tiny: Tiny) -> None:
    """Nothing else; a line for each epoch with losses, and accuracies of every head."""
    from vsearch.training.loop.fit import history

    folder = tiny[0]
    rows = history(folder / "runs", "pocket_strip")

    left = {file.name for file in (folder / "runs" / "pocket_strip").iterdir()}
    assert left == {"network.weights.h5", "history.jsonl"}
    assert [(row["phase"], row["epoch"]) for row in rows] == [
        ("whole", 1), ("whole", 2), ("still", 1), ("still", 2), ("still", 3), ("last", 1), ("last", 2),
    ]  # fmt: skip
    heads = {"kind", "colour", "number", "product"}
    assert rows[0].keys() == {"phase", "epoch", "learning_rate", "seconds", "loss", "val_loss"} | heads | {
        f"val_{head}" for head in heads
    }
    assert [row["learning_rate"] for row in rows[-2:]] == pytest.approx([0.0005, 0.0005 / 3])


def test_a_network_learns(tiny: Tiny) -> None:
    """Losses fall within each phase, and bars are told from discs."""
    from vsearch.training.loop.fit import history

    rows = history(tiny[0] / "runs", "pocket_strip")

    assert rows[1]["loss"] < rows[0]["loss"]
    assert rows[4]["loss"] < rows[2]["loss"]
    assert max(row["kind"] for row in rows) > 0.6


def test_progress_ends_with_all_steps(tiny: Tiny) -> None:
    """Two, three and two epochs; before the still phase the pictures and mirrored pictures that the trunk sees."""
    told = tiny[3]

    assert told[0] == (1, 7 * STEPS)
    assert told[-1] == (7 * STEPS, 7 * STEPS)
    assert (96, 96) in told


def test_a_finished_run_is_not_run_again(tiny: Tiny) -> None:
    """The weights are the file that was there."""
    folder, plan, pictures, _ = tiny
    told: list[int] = []
    before = (folder / "runs" / "pocket_strip" / "network.weights.h5").stat().st_mtime_ns

    file = fit(plan, pictures, folder, advance=lambda done, total: told.append(done))

    assert told == []
    assert file.stat().st_mtime_ns == before


def test_the_trained_network_is_loaded_with_its_heads(tiny: Tiny) -> None:
    """It answers on validation pictures as its history says it did."""
    from vsearch.training.loop.fit import history, load_network
    from vsearch.training.loop.pipeline import validation_batches

    folder, plan, pictures, _ = tiny
    _, network = load_network(plan, "pocket_strip", pictures.heads, folder / "runs")
    shown, targets = next(iter(validation_batches(pictures.val, pictures.heads, (40, 40), 8)))

    said = np.asarray(network(shown, training=False)["kind"]).argmax(axis=1)

    right = (said == np.asarray(targets["kind"]).argmax(axis=1)).mean()
    assert right == pytest.approx(history(folder / "runs", "pocket_strip")[-1]["val_kind"])


def test_a_plan_that_names_no_stage_of_the_backbone_is_refused_before_it_trains(tmp_path: Path) -> None:
    """Even in its last phase."""
    plan, pictures = prepared(tmp_path, SOURCE + KIND + phase() + phase(name='"two"', unfreeze='"conv5"'))

    with pytest.raises(PlanError, match="Phase 'two', unfreeze: 'conv5' is none of"):
        fit(plan, pictures, tmp_path)
    assert not (tmp_path / "runs" / "pocket_strip").exists()


def test_a_backbone_that_the_checkpoint_lacks_cannot_start_from_it(tmp_path: Path) -> None:
    """The sentence names what the checkpoint has."""
    plan, pictures = prepared(tmp_path, 'start = "bundled"\n' + SOURCE + KIND + phase())

    with pytest.raises(CheckpointMissing, match=r"starts pocket_strip .* has pocket_inception, pocket_resnet"):
        fit(plan, pictures, tmp_path)


def test_training_starts_from_the_bundled_weights() -> None:
    """Put into a backbone, they are those of the ensemble that ships."""
    from vsearch.models import checkpoint, weights
    from vsearch.models.backbones import build
    from vsearch.training.loop.start import put_weights

    network = build("pocket_vgg")
    put_weights(network, "pocket_vgg", "bundled", runs=Path("runs"))

    for ours, theirs in zip(
        network.get_weights(), weights.read_packed(checkpoint.bundled() / "pocket_vgg.weights.npz"), strict=True
    ):
        np.testing.assert_array_equal(ours, theirs.astype(np.float32))


def test_without_validation_pictures_there_is_no_validation_loss(tmp_path: Path) -> None:
    """The column is there, and empty."""
    from vsearch.training.loop.fit import history

    plan, pictures = prepared(tmp_path, SOURCE + KIND + phase())
    nothing = pictures.val.where(np.zeros(len(pictures.val), np.bool_))
    fit(plan, replace(pictures, val=nothing), tmp_path)

    row = history(tmp_path / "runs", "pocket_strip")[0]
    assert (row["val_loss"], row["val_kind"]) == (None, None)


@pytest.fixture(scope="module")
def train() -> Iterator[Trainer]:
    """Trains in processes of their own."""
    with closing(Trainer()) as trainer:
        yield trainer


@pytest.mark.slow
def test_a_killed_run_goes_on_and_ends_as_if_nothing_had_happened(train: Trainer, tmp_path: Path) -> None:
    """Killed in the middle of an epoch: no kept step is done again, and the weights are the same to rounding."""
    text = SOURCE + KIND + KILLED
    for name in ("undisturbed", "killed"):
        (tmp_path / name).mkdir()
        sample_data.write(tmp_path / name, text)
    assert train(Training(tmp_path / "undisturbed", text))[0] == 0

    first = train(Training(tmp_path / "killed", text, step=9))
    last = train(Training(tmp_path / "killed", text))

    assert (first[0], last[0]) == (-9, 0)
    assert (first[1][-1], last[1][0]) == (9, 9)  # it was killed before the ninth was kept
    found, expected = weights(tmp_path / "killed"), weights(tmp_path / "undisturbed")
    assert found.keys() == expected.keys()
    for name in expected:
        np.testing.assert_allclose(found[name], expected[name], atol=1e-5, err_msg=name)


@pytest.mark.slow
def test_two_devices_learn_what_one_does(train: Trainer, tmp_path: Path) -> None:
    """Each takes half of every batch; where nothing depends on the rest of the batch the weights are the same."""
    still = phase(epochs=2, unfreeze='"none"')
    text = "dropout = 0.0\n" + SOURCE + KIND + still
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        sample_data.write(tmp_path / name, text)

    assert train(Training(tmp_path / "one", text))[0] == 0
    assert train(Training(tmp_path / "two", text, devices=("CPU:0", "CPU:1")))[0] == 0

    found, expected = weights(tmp_path / "two"), weights(tmp_path / "one")
    for name in expected:
        np.testing.assert_allclose(found[name], expected[name], atol=1e-5, err_msg=name)


@pytest.mark.slow
def test_two_devices_train_a_whole_network(train: Trainer, tmp_path: Path) -> None:
    """With every kind of head, batch norm and running means of the weights."""
    text = SOURCE + HEADS + phase(ema=0.9)
    sample_data.write(tmp_path, text)

    assert train(Training(tmp_path, text, devices=("CPU:0", "CPU:1")))[0] == 0

    assert all(np.isfinite(array).all() for array in weights(tmp_path).values())


def test_devices_share_a_batch_evenly(tmp_path: Path) -> None:
    """A batch that they cannot share is refused."""
    from vsearch.training.loop import fit as module

    class Three:
        num_replicas_in_sync = 3

    plan = plans.parse(SOURCE + KIND + phase(), "tiny")
    from vsearch.models.backbones import build

    with pytest.raises(PlanError, match="3 devices share a batch evenly, but phase 'one' has batches of 8"):
        module._check(build("pocket_strip"), "pocket_strip", plan.phase[0], Three())
