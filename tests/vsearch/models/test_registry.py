import shutil
from pathlib import Path

import pytest

from tests.fakes import fake_checkpoint
from vsearch.core.errors import CheckpointError, CheckpointMismatch, CheckpointMissing
from vsearch.core.settings import Settings
from vsearch.models import checkpoint as checkpoints
from vsearch.models import registry, store
from vsearch.models.checkpoint import Checkpoint
from vsearch.models.trained_heads import HeadSpec, TrainedHeads


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings of a new data folder."""
    return Settings(data=tmp_path / "data")


def reader(folder: Path, length: int = 4, plan: str = "tags") -> Checkpoint:
    """Write a checkpoint that says it reads digits; no network is in it."""
    heads = (HeadSpec("number", "digits", length=length), HeadSpec("readable", "softmax", ("no", "yes")))
    trained = TrainedHeads(heads, "stretch", (32, 96), (32, 96))
    return checkpoints.save(folder, weights={}, about={"plan": {"name": plan}}, trained_heads=trained)


def test_the_bundled_one_is_always_there(settings: Settings) -> None:
    """Also where there is no data folder, and none is made."""
    entry = registry.listed(settings)[0]
    assert (entry.where, entry.plan, entry.role, entry.heads) == ("bundled", "pocket", "search", ("search (204)",))
    assert registry.find(settings, "bundled").checkpoint_id == entry.checkpoint_id
    assert registry.find(settings, entry.checkpoint_id[:6]).folder == entry.folder
    assert not settings.data.exists()


def test_what_a_checkpoint_is_good_for_and_says(settings: Settings, tmp_path: Path) -> None:
    """One that has retrieval parts searches, one with digits reads tags, any other judges."""
    judge = checkpoints.save(tmp_path / "classifier", weights={}, about={})
    for checkpoint in (fake_checkpoint(tmp_path / "search"), reader(tmp_path / "reader"), judge):
        store.add(settings, checkpoint)
    found = {entry.role: (entry.heads, entry.plan) for entry in registry.listed(settings)[1:]}
    assert found == {
        "search": (("search (2)",), "fake"),
        "reader": (("number (4 digits)", "readable (2)"), "tags"),
        "classifier": ((), ""),
        "finder": (("products (boxes)",), "finder"),  # the one that ships
    }


def test_one_that_is_damaged_is_listed_with_the_reason(settings: Settings, tmp_path: Path) -> None:
    """The others are not the worse for it."""
    own = store.add(settings, fake_checkpoint(tmp_path / "search"))
    (own.folder / "heads.npz").write_bytes(b"")
    entry = registry.listed(settings)[-1]
    assert (entry.checkpoint_id, entry.role) == (own.checkpoint_id, "classifier")
    assert "heads.npz" in entry.problem
    with pytest.raises(CheckpointMismatch, match=r"heads\.npz"):
        registry.find(settings, own.checkpoint_id)


def test_names_that_fit_none_or_several(settings: Settings, tmp_path: Path) -> None:
    """The sentence says what a name may be."""
    own = store.add(settings, fake_checkpoint(tmp_path / "search"))
    with pytest.raises(CheckpointMissing, match=r"but 'nothing' is none of them; `vsearch models list`"):
        registry.find(settings, "nothing")
    with pytest.raises(CheckpointMissing, match="is none of them"):
        registry.find(settings, own.checkpoint_id[:3])
    twin = f"{own.checkpoint_id[:5]}{'0' * 11}"
    shutil.copytree(own.folder, settings.checkpoints / twin)
    with pytest.raises(CheckpointMissing, match="must fit one checkpoint"):
        registry.find(settings, own.checkpoint_id[:5])
    with pytest.raises(CheckpointMismatch, match=f"holds {own.checkpoint_id}; rename it"):
        registry.find(settings, twin)


def test_a_reader_is_put_into_use_and_taken_back(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before the first one the bundled one reads, or none."""
    bundled = reader(tmp_path / "bundled", length=8)
    monkeypatch.setattr(registry, "bundled_reader", lambda: tmp_path / "nowhere")
    assert registry.reader_checkpoint(settings) is None
    with pytest.raises(CheckpointError, match="needs a tag reader that was promoted, but none was"):
        registry.rollback_reader(settings)
    monkeypatch.setattr(registry, "bundled_reader", lambda: bundled.folder)
    first, second = (store.add(settings, reader(tmp_path / plan, plan=plan)) for plan in ("one", "two"))
    used = []
    for step in (None, first, second):
        if step:
            registry.use_reader(settings, step.checkpoint_id)
        now = registry.reader_checkpoint(settings)
        used.append(now and now.checkpoint_id)
    assert used == [bundled.checkpoint_id, first.checkpoint_id, second.checkpoint_id]
    back = [registry.rollback_reader(settings) for _ in range(2)]
    assert [step and step.checkpoint_id for step in back] == used[1::-1]


def test_a_reader_that_is_gone_is_not_gone_back_to(settings: Settings, tmp_path: Path) -> None:
    """The present one stays in use."""
    first, second = (store.add(settings, reader(tmp_path / plan, plan=plan)) for plan in ("one", "two"))
    registry.use_reader(settings, first.checkpoint_id)
    registry.use_reader(settings, second.checkpoint_id)
    shutil.rmtree(first.folder)
    with pytest.raises(CheckpointMissing):
        registry.rollback_reader(settings)
    now = registry.reader_checkpoint(settings)
    assert now is not None
    assert now.checkpoint_id == second.checkpoint_id
