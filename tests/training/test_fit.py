"""Training, resuming and joining a very small network for real."""

import logging
from pathlib import Path

import numpy as np
import pytest

from tests.training import data
from vsearch.encoder import open_encoder
from vsearch.errors import CheckpointMissing
from vsearch.training import plan as plans
from vsearch.training import sources

pytestmark = pytest.mark.keras


@pytest.fixture
def trained(tmp_path: Path) -> tuple[plans.Plan, Path]:
    """A finished run of the tiny plan; its pictures and its run share the folder."""
    from vsearch.training import fit

    plan = data.write(tmp_path)
    names, pictures = sources.decoded(plan.source, tmp_path, plan.cache_side)
    fit.run(plan, "pocket_vgg", names, pictures, tmp_path)
    return plan, tmp_path


def test_a_finished_phase_is_not_run_again(trained: tuple[plans.Plan, Path]) -> None:
    """Run once more, the weights come from the finished phases, bit by bit the same."""
    from vsearch.training import fit

    plan, folder = trained
    before = {file.name: file.stat().st_mtime_ns for file in (folder / "pocket_vgg").glob("*.jsonl")}
    names, pictures = sources.decoded(plan.source, folder, plan.cache_side)
    done: list[int] = []

    fit.run(plan, "pocket_vgg", names, pictures, folder, lambda at, total: done.append(at))

    assert done == []
    assert before == {file.name: file.stat().st_mtime_ns for file in (folder / "pocket_vgg").glob("*.jsonl")}


def test_an_interrupted_phase_goes_on_after_its_last_whole_epoch(tmp_path: Path) -> None:
    """Stopped in the second epoch, the next run starts with the second epoch."""
    from vsearch.training import fit

    plan = data.write(tmp_path)
    names, pictures = sources.decoded(plan.source, tmp_path, plan.cache_side)

    def stop(at: int, total: int) -> None:
        if at == 8:  # six steps an epoch
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit.run(plan, "pocket_vgg", names, pictures, tmp_path, stop)
    assert not (tmp_path / "pocket_vgg" / "first.weights.h5").exists()
    steps: list[tuple[int, int]] = []

    fit.run(plan, "pocket_vgg", names, pictures, tmp_path, lambda at, total: steps.append((at, total)))

    assert steps[0] == (7, 12)
    assert (tmp_path / "pocket_vgg" / "backbone.weights.h5").is_file()


def test_trained_backbones_are_joined_into_a_checkpoint_that_encodes(trained: tuple[plans.Plan, Path]) -> None:
    """The checkpoint tells discs from bars on pictures it did not see, and its encoder gives the blocks it says."""
    from vsearch.training import assemble

    plan, folder = trained

    checkpoint = assemble.assemble(plan, folder, assemble.trained_networks(plan, folder), folder / "checkpoint")

    encoder = open_encoder(checkpoint)
    unseen = assemble.sample(plan, folder, "val", 8)
    blocks = encoder.blocks(unseen.pictures)
    assert dict(checkpoint.block_sizes) == {"pocket_vgg": 12, "shape": 10, "colour": 6}
    assert blocks.shape == (8, 28)
    assert blocks.dtype == np.float16
    assert checkpoint.whitening.project(blocks).shape == (8, checkpoint.whitening.size)
    assert "drawn here" in (checkpoint.folder / "CARD.md").read_text()
    np.testing.assert_allclose(encoder.blocks(unseen.pictures[:1])[0], blocks[0], atol=5e-3)
    assert checkpoint.heads.predict(blocks).winners.shape == (8,)


def test_joining_needs_every_backbone_trained(tmp_path: Path) -> None:
    """What is missing is named."""
    from vsearch.training import assemble

    with pytest.raises(CheckpointMissing, match="pocket_vgg"):
        assemble.trained_networks(data.write(tmp_path), tmp_path)


def test_an_unreadable_training_picture_is_left_out_and_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """One bad file does not end a training."""
    plan = data.write(tmp_path)
    archive = bytearray((tmp_path / "images.tar").read_bytes())
    archive[512:520] = bytes(8)
    (tmp_path / "images.tar").write_bytes(archive)

    with caplog.at_level(logging.WARNING):
        _, pictures = sources.decoded(plan.source, tmp_path, 40)

    assert len(pictures["train"].labels) == 47
    assert "left out" in caplog.text
