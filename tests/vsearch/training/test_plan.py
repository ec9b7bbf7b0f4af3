"""Training plans."""

from pathlib import Path

import pytest

from vsearch.core.errors import PlanError
from vsearch.training import plan as plans

GOOD = """
name = "tiny"
backbones = ["pocket_vgg"]
seed = 1
[[source]]
kind = "npz"
file = "photos.npz"
terms = "ours"
[[head]]
name = "colour"
kind = "softmax"
classes = ["red", "blue"]
[[head]]
name = "number"
kind = "digits"
[[phase]]
name = "only"
size = 32
epochs = 1
batch = 2
learning_rate = 0.1
"""


@pytest.mark.parametrize("name", plans.shipped())
def test_every_shipped_plan_is_valid_and_opens_with_its_command(name: str) -> None:
    """A plan that ships can be read, has the name of its file, and says how it is run."""
    plan = plans.read(name)
    text = (Path(plans.__file__).parent / "plans" / f"{name}.toml").read_text()

    assert plan.name == name
    assert f"vsearch train {name}" in text.split("\n\n")[0]


def test_a_plan_without_phases_is_assembled_as_it_starts() -> None:
    """Phases may be left out, if anything is left to do."""
    text = GOOD.split("[[phase]]")[0]
    assert plans.parse(text + "[assemble]", "here").phase == ()
    with pytest.raises(PlanError, match="without phases needs"):
        plans.parse(text, "here")


@pytest.mark.parametrize("pair", ['["colour", "colour"]', '["colour", "number"]'])
def test_only_pairs_of_classes_are_left_out(pair: str) -> None:
    """Not a head with itself, and no number."""
    with pytest.raises(PlanError, match="two different heads, each softmax or sigmoid"):
        plans.parse(GOOD.replace("seed = 1", f"seed = 1\nleave_out = {pair}"), "here.toml")


def test_a_folder_is_no_plan(tmp_path: Path) -> None:
    """Though it is there, and ends as a plan does."""
    (tmp_path / "a.toml").mkdir()
    with pytest.raises(PlanError, match="is no file; give"):
        plans.read(str(tmp_path / "a.toml"))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("name =", "nmae ="), "nmae"),
        (("epochs = 1", "epochs = 0"), "epochs"),
        (("size = 32", 'size = "big"'), "size"),
        (('kind = "npz"', 'kind = "zip"'), "zip"),
        (("pocket_vgg", "pocket_vgg99"), "pocket_vgg99"),
        (("seed = 1", "seed ="), "TOML"),
        (("learning_rate = 0.1", "learning_rate = -1"), "learning_rate"),
        (('terms = "ours"\n', ""), "terms: this key must be there"),
        (('terms = "ours"\n', 'terms = "ours"\nrepaet = 2\n'), "repaet: there is no such key.*fix its name"),
        (("seed = 1", "seed = -1"), "seed"),
        (("seed = 1", "seed = 1\ncache_size = 0"), "cache_size: Input should be greater"),
        (('["pocket_vgg"]', '["pocket_vgg", "pocket_vgg"]'), "'pocket_vgg' stands twice"),
        (("[[phase]]", "[augment]\ncrop_area = [1.0, 0.3]\n[[phase]]"), "crop_area is the least and the most"),
        (('["red", "blue"]', '["red", "red"]'), "of head 'colour' stands once"),
    ],
)
def test_a_bad_plan_is_refused_with_its_place(change: tuple[str, str], said: str) -> None:
    """The sentence names the key, what was received, and where."""
    with pytest.raises(PlanError, match=said) as caught:
        plans.parse(GOOD.replace(*change), "here.toml")

    assert "here.toml" in str(caught.value)
    assert "\n" not in str(caught.value).rstrip().removesuffix(".")


@pytest.mark.parametrize("name", ["nowhere", "nowhere.toml"])
def test_a_missing_plan_is_said_with_those_there_are(name: str) -> None:
    """Neither a shipped name nor a file."""
    with pytest.raises(PlanError, match="pocket"):
        plans.read(name)
