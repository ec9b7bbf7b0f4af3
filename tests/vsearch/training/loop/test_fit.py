"""Real training runs: their results, what they refuse, and how they resume after being killed."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.vsearch.training import sample_data
from tests.vsearch.training.killed_fit import Trainer, Training
from vsearch.core.errors import PlanError
from vsearch.training.data import dataset as datasets
from vsearch.training.data.dataset import Dataset
from vsearch.training.loop import resume
from vsearch.training.plan import Plan
from vsearch.training.run import Run

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
labels = { kind = "kind", color = "color", number = "number" }
where = { source = "ours/" }
terms = "drawn here"
"""

HEADS = """
[[head]]
name = "kind"
kind = "softmax"
label_smoothing = 0.1
[[head]]
name = "color"
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
name = "frozen"
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
name = "frozen"
size = [16, 48]
epochs = 2
batch = 8
learning_rate = 0.001
unfreeze = "none"
"""

STEPS = 6  # of an epoch: 48 pictures in batches of 8


def phase(**keys: Any) -> str:
    """Return a short phase with some keys replaced."""
    values = {"name": '"one"', "size": 24, "epochs": 1, "batch": 8, "learning_rate": 0.001} | keys
    return "[[phase]]\n" + "".join(f"{key} = {value}\n" for key, value in values.items())


def prepare(folder: Path, text: str) -> tuple[Plan, Dataset]:
    plan = sample_data.write(folder, text)
    return plan, datasets.prepare(plan, folder, work=folder / "work")


def run_of(plan: Plan, folder: Path) -> Run:
    return Run(plan, folder, folder / "runs")


def train(plan: Plan, data: Dataset, folder: Path, *advance: Any) -> None:
    from vsearch.training.loop import fit

    fit.train_backbone(run_of(plan, folder), "pocket_strip", data, *advance)


def history(folder: Path) -> list[dict[str, Any]]:
    return resume.load(folder / "runs" / "pocket_strip" / "state.npz").history


def weights(folder: Path) -> dict[str, NDArray[Any]]:
    """Return all variables of the network that a run saved."""
    with np.load(folder / "runs" / "pocket_strip" / "state.npz") as arrays:
        return {name: arrays[name] for name in arrays.files if name != "state"}


Tiny = tuple[Path, Plan, Dataset, list[tuple[int, int]]]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory) -> Tiny:
    """A finished run with every kind of head and phase, and the progress it reported."""
    folder = tmp_path_factory.mktemp("tiny")
    plan, data = prepare(folder, SOURCE + HEADS + PHASES)
    progress: list[tuple[int, int]] = []
    train(plan, data, folder, lambda done, total: progress.append((done, total)))
    return folder, plan, data, progress


def test_a_run_leaves_weights_and_a_history(tiny):
    rows = history(tiny[0])

    left = {file.name for file in (tiny[0] / "runs" / "pocket_strip").iterdir()}
    assert left == {"state.npz", "history.jsonl"}
    assert [(row["phase"], row["epoch"]) for row in rows] == [
        ("whole", 1), ("whole", 2), ("frozen", 1), ("frozen", 2), ("frozen", 3), ("last", 1), ("last", 2),
    ]  # fmt: skip
    heads = {"kind", "color", "number", "product"}
    assert rows[0].keys() == {"phase", "epoch", "learning_rate", "seconds", "loss", "val_loss"} | heads | {
        f"val_{head}" for head in heads
    }
    assert [row["learning_rate"] for row in rows[-2:]] == pytest.approx([0.0005, 0.0005 / 3])


def test_a_network_learns(tiny):
    rows = history(tiny[0])

    assert rows[1]["loss"] < rows[0]["loss"]
    assert rows[4]["loss"] < rows[2]["loss"]
    assert max(row["kind"] for row in rows) > 0.6


def test_progress_counts_the_steps_of_all_phases_and_the_pictures_of_a_frozen_trunk(tiny):
    progress = tiny[3]

    assert progress[0] == (1, 7 * STEPS)
    assert progress[-1] == (7 * STEPS, 7 * STEPS)
    assert (48, 48) in progress


def test_a_finished_run_is_not_repeated(tiny):
    folder, plan, data, _ = tiny
    before = (folder / "runs" / "pocket_strip" / "state.npz").stat().st_mtime_ns
    progress: list[int] = []

    train(plan, data, folder, lambda done, total: progress.append(done))

    assert progress == []
    assert (folder / "runs" / "pocket_strip" / "state.npz").stat().st_mtime_ns == before


def test_the_saved_network_has_the_accuracy_of_its_history(tiny):
    """It has the averaged weights of the last phase."""
    from vsearch.training.loop.batches import of_pictures
    from vsearch.training.loop.fit import load_network

    folder, plan, data, _ = tiny
    _, network = load_network(run_of(plan, folder), "pocket_strip", data.heads)
    pictures, targets = next(iter(of_pictures(data, plan.phase[-1], plan.augment, seed=0).validation))

    predicted = np.asarray(network(pictures, training=False)["kind"]).argmax(axis=1)

    accuracy = (predicted == np.asarray(targets["kind"]).argmax(axis=1)).mean()
    assert accuracy == pytest.approx(history(folder)[-1]["val_kind"])


@pytest.mark.parametrize(
    ("change", "message"),
    [({"unfreeze": '"conv5"'}, "'two'.*'conv5'"), ({"batch": 9}, "'two'.*batch 9.*2 devices")],
)
def test_every_phase_is_checked_before_anything_is_trained(tmp_path, monkeypatch, change, message):
    import tensorflow as tf

    from vsearch.training.loop import fit

    class TwoReplicas:
        num_replicas_in_sync = 2
        scope = tf.distribute.get_strategy().scope

    monkeypatch.setattr(fit, "choose_strategy", lambda devices: TwoReplicas())
    plan, data = prepare(tmp_path, SOURCE + KIND + phase() + phase(name='"two"', **change))

    with pytest.raises(PlanError, match=message):
        train(plan, data, tmp_path)
    assert not (tmp_path / "runs" / "pocket_strip").exists()


def test_without_validation_pictures_there_is_no_validation_loss(tmp_path):
    plan, data = prepare(tmp_path, SOURCE + KIND + phase())
    train(plan, replace(data, val=data.val.select(np.zeros(len(data.val), np.bool_))), tmp_path)

    row = history(tmp_path)[0]
    assert (row["val_loss"], row["val_kind"]) == (None, None)
    assert 0 <= row["kind"] <= 1


def test_patience_stops_a_phase_and_restores_its_best_epoch(tmp_path, monkeypatch):
    """The validation loss is faked so that the second epoch is the best of four."""
    from vsearch.training.loop import fit

    losses, finished = iter([3.0, 1.0, 2.0, 2.0]), {}
    end = fit._StateSaver.on_epoch_end

    def on_epoch_end(saver: Any, epoch: int, logs: Any) -> None:
        finished[epoch] = [np.array(weight) for weight in saver.model.trainable_weights]
        end(saver, epoch, logs | {"val_loss": next(losses)})

    monkeypatch.setattr(fit._StateSaver, "on_epoch_end", on_epoch_end)
    plan, data = prepare(tmp_path, SOURCE + KIND + phase(epochs=9, patience=2))
    train(plan, data, tmp_path)
    _, network = fit.load_network(run_of(plan, tmp_path), "pocket_strip", data.heads)

    assert [row["val_loss"] for row in history(tmp_path)] == [3.0, 1.0, 2.0, 2.0]
    for weight, best in zip(network.trainable_weights, finished[1], strict=True):
        np.testing.assert_allclose(weight, best)


def test_a_loss_that_becomes_nan_ends_the_training(tmp_path):
    plan, data = prepare(tmp_path, SOURCE + KIND + phase(learning_rate=1e30, epochs=3))

    with pytest.raises(PlanError, match=r"pocket_strip.*'one'"):
        train(plan, data, tmp_path)


@pytest.fixture(scope="module")
def train_in_process() -> Iterator[Trainer]:
    with closing(Trainer()) as trainer:
        yield trainer


@pytest.mark.slow
@pytest.mark.parametrize("step", [9, 3 * STEPS + 4], ids=["mid-epoch", "frozen-phase"])
def test_a_killed_run_ends_like_an_undisturbed_one(train_in_process, tmp_path, step):
    text = SOURCE + KIND + KILLED
    for name in ("undisturbed", "killed"):
        (tmp_path / name).mkdir()
        sample_data.write(tmp_path / name, text)
    assert train_in_process(Training(tmp_path / "undisturbed", text))[0] == 0

    first = train_in_process(Training(tmp_path / "killed", text, step=step))
    last = train_in_process(Training(tmp_path / "killed", text))

    assert (first[0], last[0]) == (-9, 0)
    assert (first[1][-1], last[1][0]) == (step, step)  # killed before that step was saved
    found, expected = weights(tmp_path / "killed"), weights(tmp_path / "undisturbed")
    assert found.keys() == expected.keys()
    for name in expected:
        np.testing.assert_allclose(found[name], expected[name], atol=1e-5, err_msg=name)


@pytest.mark.slow
def test_two_devices_learn_what_one_does(train_in_process, tmp_path):
    """The weights are equal if nothing depends on the rest of the batch."""
    text = "dropout = 0.0\n" + SOURCE + KIND + phase(epochs=2, unfreeze='"none"')
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        sample_data.write(tmp_path / name, text)

    assert train_in_process(Training(tmp_path / "one", text))[0] == 0
    assert train_in_process(Training(tmp_path / "two", text, devices=("CPU:0", "CPU:1")))[0] == 0

    found, expected = weights(tmp_path / "two"), weights(tmp_path / "one")
    for name in expected:
        np.testing.assert_allclose(found[name], expected[name], atol=1e-5, err_msg=name)


@pytest.mark.slow
def test_two_devices_train_a_whole_network(train_in_process, tmp_path):
    """With every kind of head, batch norm and averaged weights."""
    text = SOURCE + HEADS + phase(ema=0.9)
    sample_data.write(tmp_path, text)

    assert train_in_process(Training(tmp_path, text, devices=("CPU:0", "CPU:1")))[0] == 0

    assert all(np.isfinite(array).all() for array in weights(tmp_path).values())


def trained_weights(start: Path, folder: Path, **keys: Any) -> list[NDArray[np.float32]]:
    """Return a backbone's weights after a phase with these keys, starting from a checkpoint."""
    from vsearch.training.loop.fit import load_network

    text = f'start = "{start}"\n{SOURCE}{KIND}{phase(learning_rate=0.01, **keys)}'
    folder.mkdir()
    plan, data = prepare(folder, text)
    train(plan, data, folder)
    trunk, _ = load_network(run_of(plan, folder), "pocket_strip", data.heads)
    return trunk.get_weights()  # type: ignore[no-any-return]


def test_averaged_weights_lie_between_the_start_and_the_trained_ones(tmp_path):
    from vsearch.models import checkpoint as checkpoints
    from vsearch.models import weights as packed
    from vsearch.models.backbones import build

    trunk = build("pocket_strip")
    file = packed.pack(trunk.weights, tmp_path / "trunk.npz")
    start = checkpoints.save(tmp_path / "start", weights={"pocket_strip": file}, about={}).folder
    still = {"freeze_batch_norm": "true"}

    trained = trained_weights(start, tmp_path / "trained", **still)
    averaged = trained_weights(start, tmp_path / "averaged", average_with_start=0.75, **still)

    learned = [weight.name == "kernel" for weight in trunk.weights]  # the others belong to batch norm
    for number, (before, after, between) in enumerate(zip(packed.read_packed(file), trained, averaged, strict=True)):
        np.testing.assert_allclose(between, 0.75 * before.astype(np.float32) + 0.25 * after, atol=1e-6)
        assert (before != after).any() == learned[number]
