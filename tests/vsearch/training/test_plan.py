from pathlib import Path

import pytest

from tests.vsearch.training import sample_data
from vsearch.core.errors import PlanError
from vsearch.training import plan as plans

PLAN = sample_data.PLAN.replace('kind = "softmax"', 'kind = "softmax"\nclasses = ["bar", "disc"]')
TERMS = 'terms = "drawn here"\n'


@pytest.mark.parametrize("name", plans.list_shipped())
def test_shipped_plans_are_valid_and_document_their_command(name):
    text = (Path(plans.__file__).parent / "plans" / f"{name}.toml").read_text()

    assert plans.read(name).name == name
    assert f"vsearch train {name}" in text.split("\n\n")[0]


def test_a_plan_without_phases_needs_assemble():
    text = PLAN.split("[[phase]]", maxsplit=1)[0]

    assert plans.parse(text + "[assemble]", "here").phase == ()
    with pytest.raises(PlanError, match="assemble"):
        plans.parse(text, "here")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("name =", "nmae ="), "nmae: unknown key"),
        ((TERMS, f"{TERMS}repaet = 2\n"), "repaet: unknown key"),
        ((TERMS, ""), "terms: this key is required"),
        (("epochs = 2", "epochs = 0"), "epochs"),
        (("size = 32", 'size = "big"'), "size"),
        (("seed = 1", "seed ="), "TOML"),
        (("seed = 1", "seed = -1"), "seed"),
        (("seed = 1", "seed = 1\ndropout = 2"), "dropout: Input should be less than 1"),
        (('kind = "csv"', 'kind = "zip"'), "zip"),
        (("pocket_strip", "pocket_strip99"), "unknown backbone 'pocket_strip99'"),
        (('["pocket_strip"]', '["pocket_strip", "pocket_strip"]'), "'pocket_strip' is given twice"),
        (('["bar", "disc"]', '["bar", "bar"]'), "'bar' is given twice"),
        (("learning_rate = 0.002", "learning_rate = -1"), "learning_rate"),
        (("[assemble]", "[augment]\ncrop_area = [1.0, 0.3]\n[assemble]"), "crop_area"),
        (("[assemble]", '[augment]\nrecolor_hides = ["shape"]\n[assemble]'), "'shape'"),
        ((TERMS, f'{TERMS}hold_out = [{{ size = "big" }}]\n'), "hold_out.*'size'"),
        (('labels = { kind = "kind" }', ""), "labels or boxes"),
        ((TERMS, f"{TERMS}only_differences = true\n"), "only_differences needs .* a metric head"),
        (("batch = 8", 'batch = 8\nschedule = "step"'), "every_epochs and every_steps"),
        (('kind = "softmax"', 'kind = "softmax"\nmiddle = true\ngrid = 2'), "middle.*grid"),
        (("[assemble]", '[[head]]\nname = "color"\nkind = "softmax"\nmiddle = true\n[assemble]'), "middle.*equal"),
        (("batch = 8", 'batch = 8\nunfreeze = { vgg16 = "block5" }'), "unfreeze must name each backbone"),
        (("batch = 8", "batch = 8\naverage_with_start = 0.5"), "average_with_start.*random"),
        (("batch = 8", 'batch = 8\naverage_with_start = 0.5\nunfreeze = "none"'), "average_with_start.*unfreezes"),
    ],
)
def test_invalid_plans_are_refused(change, message):
    with pytest.raises(PlanError, match=message) as caught:
        plans.parse(PLAN.replace(*change), "here.toml")

    assert "here.toml" in str(caught.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (('framing = "stretch"', ""), "framing"),
        (('["efficientnet_lite0"]', '["efficientnet_lite0", "pocket_strip"]'), "single backbone"),
        (("dropout = 0", "mirrored = true"), "mirrored"),
        (("crop_area = [0.8, 1.0]", "scramble = 0.5"), "scramble_hides"),
        (("size = 64", "size = 72"), "multiples of 32"),
        (('"efficientnet_lite0"', '"pocket_strip"'), "efficientnet_lite0"),
        (("[augment]", '[[head]]\nname = "same"\nkind = "metric"\n[augment]'), "metric"),
        (("boxes = [", 'box = ["a", "b", "c", "d"]\nboxes = ['), "mutually exclusive"),
    ],
)
def test_what_a_boxes_head_cannot_be_trained_with_is_refused(change, message):
    plans.parse(sample_data.ROOMS, "here.toml")
    with pytest.raises(PlanError, match=message):
        plans.parse(sample_data.ROOMS.replace(*change), "here.toml")


@pytest.mark.parametrize("name", ["nowhere", "nowhere.toml", "folder.toml"])
def test_a_plan_that_cannot_be_read_is_refused(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder.toml").mkdir()

    with pytest.raises(PlanError, match=rf"{name}.*furniture"):
        plans.read(name)


def test_a_plan_must_be_utf_8(tmp_path):
    (tmp_path / "a.toml").write_bytes(PLAN.replace("drawn here", "für uns").encode("latin1"))
    with pytest.raises(PlanError, match="UTF-8"):
        plans.read(str(tmp_path / "a.toml"))
