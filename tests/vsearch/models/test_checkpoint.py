import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.fakes import fake_checkpoint, nearest_mean_heads
from vsearch.core.errors import CheckpointMismatch, CheckpointMissing
from vsearch.models import checkpoint as checkpoints
from vsearch.models.class_heads import ClassHeads
from vsearch.models.trained_heads import Framing, HeadSpec, TrainedHeads


def other_heads() -> ClassHeads:
    blocks = np.random.default_rng(3).uniform(size=(30, 16)).astype(np.float16)
    return nearest_mean_heads(blocks, ["bed", "sofa", "table"] * 10)


def test_ids_are_hashes_of_the_content(tmp_path: Path) -> None:
    one, same, other = (fake_checkpoint(tmp_path / name, trunk=trunk) for name, trunk in (("a", 1), ("b", 1), ("c", 2)))
    assert (one.checkpoint_id, one.blocks_id) == (same.checkpoint_id, same.blocks_id)
    assert one.blocks_id != other.blocks_id


def test_own_heads_change_the_checkpoint_id_but_not_the_blocks_id(tmp_path: Path) -> None:
    base = fake_checkpoint(tmp_path / "base")
    own = checkpoints.save_with_heads(base, other_heads(), tmp_path / "own")
    assert own.blocks_id == base.blocks_id
    assert own.checkpoint_id != base.checkpoint_id
    assert own.folder == tmp_path / "own" / own.checkpoint_id
    assert own.retrieval.heads.classes == ("bed", "sofa", "table")
    assert checkpoints.save_with_heads(base, other_heads(), tmp_path / "own") == own
    assert [item.name for item in (tmp_path / "own").iterdir()] == [own.checkpoint_id]


def test_class_sizes_are_kept(tmp_path: Path) -> None:
    base = fake_checkpoint(tmp_path / "base")
    sizes = {"sofa": 3, "bed": 5, "table": 1}
    own = checkpoints.save_with_heads(base, other_heads(), tmp_path / "own", sizes)
    copy = checkpoints.save_with_heads(own, own.retrieval.heads, tmp_path / "copy")
    more = checkpoints.save_with_heads(own, own.retrieval.heads, tmp_path / "more", sizes | {"bed": 6})
    assert base.retrieval.class_sizes is None
    assert own.retrieval.class_sizes == copy.retrieval.class_sizes == sizes
    assert more.retrieval.class_sizes == sizes | {"bed": 6}
    assert own.checkpoint_id == copy.checkpoint_id != more.checkpoint_id
    assert own.blocks_id == more.blocks_id == base.blocks_id


@pytest.mark.parametrize("damage", ["changed", "missing"])
@pytest.mark.parametrize("name", ["heads.npz", "blocks.npz", "whitening.npz"])
def test_damaged_files_are_detected(tmp_path: Path, name: str, damage: str) -> None:
    folder = fake_checkpoint(tmp_path / "base").folder
    data = bytearray((folder / name).read_bytes())
    data[len(data) // 2] ^= 1
    (folder / name).unlink()
    if damage == "changed":
        (folder / name).write_bytes(data)
    with pytest.raises(CheckpointMismatch, match=name):
        checkpoints.load(folder)


def test_a_folder_without_a_description_is_not_a_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(CheckpointMissing, match=r"model\.json"):
        checkpoints.load(tmp_path)


@pytest.mark.parametrize("text", ["{", "[]", '{"format": 1}', '{"format": 2}'])
def test_invalid_descriptions_are_rejected(tmp_path: Path, text: str) -> None:
    folder = fake_checkpoint(tmp_path / "base").folder
    (folder / "model.json").write_text(text)
    with pytest.raises(CheckpointMismatch):
        checkpoints.load(folder)


def test_an_existing_folder_is_never_overwritten(tmp_path: Path) -> None:
    folder = fake_checkpoint(tmp_path / "base").folder
    before = (folder / "model.json").read_bytes()
    with pytest.raises(CheckpointMismatch, match="exists"):
        fake_checkpoint(folder)
    assert (folder / "model.json").read_bytes() == before


def test_the_bundled_ensemble_is_small_and_its_card_names_data_and_terms() -> None:
    bundled = checkpoints.load(checkpoints.bundled())
    card = (bundled.folder / "CARD.md").read_text()
    assert (bundled.searchable, bundled.specs, len(bundled.backbones)) == (True, (), 3)
    assert sum(file.stat().st_size for file in bundled.folder.parent.glob("*/*.npz")) < 45_000_000
    assert all(words in card for words in ("ImageNet", "Apache-2.0", "Caltech"))
    assert sum(bundled.retrieval.block_sizes.values()) <= 3072


TRAINED = TrainedHeads(
    specs=(HeadSpec("colour", "sigmoid", ("blue", "red")), HeadSpec("number", "digits", length=4)),
    framing="stretch",
    frame=(40, 80),
    shape=(32, 64),
    mirrored=True,
    temperatures={"smaller_vgg": {"colour": 1.5}},
)


def test_a_different_input_side_changes_the_blocks(tmp_path: Path) -> None:
    bundled = checkpoints.load(checkpoints.bundled())
    assert {bundled.retrieval.sides[name] for name in bundled.backbones} == {224, 240, 260}
    shutil.copytree(bundled.folder, tmp_path / "other")
    description = json.loads((bundled.folder / "model.json").read_text())
    (tmp_path / "other" / "model.json").write_text(
        json.dumps(description | {"sides": dict.fromkeys(bundled.backbones, 64)})
    )
    other = checkpoints.load(tmp_path / "other")
    assert {other.retrieval.sides[name] for name in other.backbones} == {64}
    assert other.blocks_id != bundled.blocks_id


def test_a_checkpoint_with_trained_heads_only_is_not_searchable(tmp_path: Path) -> None:
    np.savez(tmp_path / "file.npz", w0000=np.zeros(3, np.float16))
    files = {"smaller_vgg": tmp_path / "file.npz"}
    about = {"plan": {"name": "tiny"}}
    kept = checkpoints.save(tmp_path / "checkpoint", weights=files, tops=files, trained_heads=TRAINED, about=about)
    assert kept.trained_heads == TRAINED
    assert kept.trained_heads.calibrated("smaller_vgg")[0].temperature == 1.5
    assert kept.trained_heads.calibrated("smaller_vgg")[1].temperature == 1
    assert kept.about == about
    assert not kept.searchable
    with pytest.raises(CheckpointMismatch, match="cannot be used to search"):
        _ = kept.retrieval


@pytest.mark.parametrize(("framing", "frame"), [("stretch", (40, 80)), ("product", (40, 40)), ("product", (20, 60))])
def test_images_are_framed(framing: Framing, frame: tuple[int, int]) -> None:
    trained = replace(TRAINED, framing=framing, frame=frame)
    pictures = [np.full((30, 50, 3), 200, np.uint8), np.full((90, 20, 3), 10, np.uint8)]
    assert trained.preprocess(pictures).shape == (2, *frame, 3)
    assert trained.preprocess([]).shape == (0, *frame, 3)
