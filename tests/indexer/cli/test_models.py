import json
import shutil
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import get_args
from unittest.mock import Mock

import pytest
from click.testing import CliRunner, Result

from indexer.cli import models
from indexer.cli.models import models as command
from indexer.promotion import promote, reader_promotion
from tests.fakes import fake_checkpoint
from tests.indexer.promotion.test_reader_promotion import FakePredictor, reader, tags
from tests.indexer.shop import BAD, GOOD, Shop, encoder_by_trunk, open_shop
from vsearch.core.errors import CheckpointMissing, DatasetError, WeightsUnavailable
from vsearch.core.settings import Settings
from vsearch.index import generation as generations
from vsearch.models import checkpoint as checkpoints
from vsearch.models import registry, weights

pytestmark = pytest.mark.slow


@pytest.fixture
def shop(indexed, tmp_path, monkeypatch):
    """An indexed shop with its own model and fake encoders."""
    given = open_shop(shutil.copytree(indexed, tmp_path / "data"))
    for name in ("promote", "compare"):
        monkeypatch.setattr(promote, name, partial(getattr(promote, name), open_encoder=encoder_by_trunk))
    yield Shop(given.settings.model_copy(update={"checkpoint": ""}), given.sessions, given.store)
    given.close()


@pytest.fixture
def empty(tmp_path):
    """Settings of a data folder that does not exist."""
    return Settings(data=tmp_path / "new")


def invoke(settings: Settings, *arguments: object) -> Result:
    return CliRunner().invoke(command, [str(word) for word in arguments], obj=settings)


def current(shop: Shop) -> str:
    return generations.read_manifest(generations.current(shop.settings.generations)).checkpoint_id


def in_use(shop: Shop) -> dict[str, str]:
    """Return the last column of the model list, by id."""
    entries = json.loads(invoke(shop.settings, "list", "--json").output)
    return {entry["checkpoint_id"]: entry["in_use"] for entry in entries}


def test_promote_compare_and_rollback(shop, tmp_path):
    old, good = current(shop), fake_checkpoint(tmp_path / "good", trunk=GOOD)
    compared = invoke(shop.settings, "compare", good.folder)
    assert compared.exit_code == 0, compared.output
    assert "reciprocal rank" in compared.output
    promoted = invoke(shop.settings, "promote", good.folder, "--allow-drop", 1)
    new = current(shop)
    assert new in promoted.output
    assert in_use(shop) | {new: "active", good.checkpoint_id: "same networks", old: "previous"} == in_use(shop)
    back = invoke(shop.settings, "rollback")
    assert old in back.output
    assert in_use(shop) | {old: "active", new: "previous"} == in_use(shop)
    before = generations.current_id(shop.settings.generations)
    assert old in invoke(shop.settings, "promote", old).stdout
    assert generations.current_id(shop.settings.generations) == before, "it is the active model already"


def test_models_are_compared_by_prefixes_of_their_ids(shop, tmp_path):
    invoke(shop.settings, "promote", fake_checkpoint(tmp_path / "bad", trunk=BAD).folder)
    ids = [entry.checkpoint_id for entry in registry.list_checkpoints(shop.settings) if entry.where == "shop"]
    found = invoke(shop.settings, "compare", ids[0][:6], ids[1][:6], "--json")
    said = json.loads(found.stdout)
    assert (said["first"], said["second"]) == (ids[0], ids[1])
    assert said["comparison"]["queries"] == 12
    assert invoke(shop.settings, "compare", *ids, "bundled").exit_code == 2


def test_a_promotion_can_be_interrupted(shop, monkeypatch):
    monkeypatch.setattr(promote, "promote", Mock(side_effect=KeyboardInterrupt))
    result = invoke(shop.settings, "promote", current(shop))
    assert result.exit_code == 130
    assert "Traceback" not in result.output


def test_the_setting_checkpoint_is_mentioned(shop, tmp_path):
    invoke(shop.settings, "promote", fake_checkpoint(tmp_path / "good", trunk=GOOD).folder, "--allow-drop", 1)
    overridden = shop.settings.model_copy(update={"checkpoint": "given"})
    for act in ("list", "rollback"):
        assert "VSEARCH_CHECKPOINT" in invoke(overridden, act).output


def test_the_list_without_a_data_folder(empty):
    said = invoke(empty, "list").output
    assert "search (13)" in said
    assert not empty.data.exists()


def test_show(empty):
    said = invoke(empty, "show", "bundled").output
    vote = checkpoints.load(checkpoints.bundled()).about["figures"]["block_heads"]["vote"]
    for part in (
        "efficientnet_lite0, efficientnet_lite1",
        "2112 dimensions",
        "vote",
        f"{vote:.4f}",
        "Model card: bundled",
    ):
        assert part in said
    assert isinstance(invoke(empty, "show", "nothing").exception, CheckpointMissing)


def test_export(empty, tmp_path):
    target = tmp_path / "model.zip"
    assert invoke(empty, "export", "bundled", "--out", target).exit_code == 0
    assert invoke(empty, "show", target).exit_code == 0


def test_an_evaluation_set_of_own_photos(shop, tmp_path):
    folder, answers = tmp_path / "photos", tmp_path / "answers.csv"
    folder.mkdir()
    rows = {row.sku: row for row in shop.rows()}
    for sku, row in list(rows.items())[:3]:
        (folder / f"of {sku}.jpg").write_bytes(shop.store.read(row.sha256))
    skus = list(rows)[:3]
    answers.write_text(f"photo,sku\nof {skus[0]}.jpg,{skus[0]}\nof {skus[1]},{skus[1]}\nof {skus[0]}.jpg,{skus[2]}\n")
    said = invoke(shop.settings, "evaluation-set", "--photos", folder, "--answers", answers)
    assert "2 " in said.output, said.exception
    assert isinstance(invoke(shop.settings, "evaluation-set").exception, DatasetError)
    assert "12 " in invoke(shop.settings, "evaluation-set", "--replace").output
    assert invoke(shop.settings, "evaluation-set", "--photos", folder).exit_code == 2


@pytest.mark.parametrize(
    ("rows", "detail"),
    [
        ("nowhere.jpg,S000", "nowhere"),
        ("bad.jpg,S000", "bad.jpg"),
        ("good.jpg,S999", "S999"),
        ("", "answers.csv"),
    ],
)
def test_invalid_lists_of_photos(shop, tmp_path, rows, detail):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "good.jpg").write_bytes(shop.store.read(shop.rows()[0].sha256))
    (tmp_path / "photos" / "bad.jpg").write_bytes(b"no picture")
    (tmp_path / "answers.csv").write_text(f"photo,sku\n{rows}\n")
    options = ("--photos", tmp_path / "photos", "--answers", tmp_path / "answers.csv")
    found = invoke(shop.settings, "evaluation-set", *options).exception
    assert isinstance(found, DatasetError)
    assert detail in str(found)
    assert not (shop.settings.data / "evaluation" / "CURRENT").exists()


def test_article_number_readers_are_promoted_and_rolled_back(empty, tmp_path, monkeypatch):
    monkeypatch.setattr(registry, "bundled_reader", lambda: tmp_path / "nowhere")
    monkeypatch.setattr(
        reader_promotion, "promote_reader", partial(reader_promotion.promote_reader, open_predictor=FakePredictor)
    )
    monkeypatch.setattr(models, "_draw_tags", tags)
    first = reader(tmp_path / "first", wrong=4)
    said = invoke(empty, "promote", first.folder)
    assert f"({first.checkpoint_id}) reads 90.0%" in said.output, said.exception
    assert "number (4 digits)" in invoke(empty, "list").output
    assert invoke(empty, "rollback", "--role", "reader").exit_code == 0
    assert registry.active(empty, "reader") is None


def test_tags_are_reproducible(monkeypatch):
    monkeypatch.setattr(models, "TAGS", 3)
    drawn = [models._draw_tags(4) for _ in range(2)]
    assert [number for _, number in drawn[0]] == [number for _, number in drawn[1]]
    assert {len(number) for _, number in drawn[0]} == {4}
    assert all((one == other).all() for (one, _), (other, _) in zip(*drawn, strict=True))


@pytest.fixture
def asked(monkeypatch):
    """The names of downloaded networks; "resnet101" is not available."""
    names: list[str] = []

    def load_pretrained(name: str, folder: Path) -> SimpleNamespace:
        if name == "resnet101":
            raise WeightsUnavailable("Pretrained weights are not on this machine.")
        names.append(name)
        return SimpleNamespace(save_weights=lambda file: file.write_bytes(b"weights"))

    monkeypatch.setattr(weights, "load_pretrained", load_pretrained)
    monkeypatch.setattr("vsearch.models.tensorflow_startup.import_tensorflow", lambda: None)
    return names


def test_weights_are_downloaded_once(empty, asked):
    folder = empty.data / "weights"
    first = invoke(empty, "pull").output
    assert asked == list(weights.LARGE_ENSEMBLE)
    assert f"Set VSEARCH_WEIGHTS={folder} so that" in first
    assert "vgg16.weights.h5 already exists." in invoke(empty, "pull", "vgg16").output
    assert sorted(path.name for path in folder.iterdir()) == sorted(f"{name}.weights.h5" for name in asked)
    set_ = empty.model_copy(update={"weights": folder})
    assert "Set VSEARCH_WEIGHTS" not in invoke(set_, "pull", "vgg16").output


def test_unavailable_weights_leave_no_folder(empty, asked):
    assert isinstance(invoke(empty, "pull", "resnet101").exception, WeightsUnavailable)
    assert not empty.data.exists()


def test_every_role_of_a_checkpoint_is_described():
    assert set(models._PURPOSES) == set(get_args(registry.Role))
