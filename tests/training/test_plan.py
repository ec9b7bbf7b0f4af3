"""Training plans."""

from pathlib import Path

import pytest

from vsearch.errors import PlanError
from vsearch.training import plan as plans

GOOD = """
name = "tiny"
backbones = ["pocket_vgg"]
seed = 1
[[source]]
kind = "npz"
file = "photos.npz"
terms = "ours"
[[phase]]
name = "only"
side = 32
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


def test_a_plan_without_phases_keeps_pretrained_weights() -> None:
    """Phases may be left out."""
    assert plans.parse(GOOD.split("[[phase]]")[0], "here").phase == ()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("name =", "nmae ="), "nmae"),
        (("epochs = 1", "epochs = 0"), "epochs"),
        (("side = 32", 'side = "big"'), "side"),
        (('kind = "npz"', 'kind = "zip"'), "zip"),
        (("pocket_vgg", "pocket_vgg99"), "pocket_vgg99"),
        (("seed = 1", "seed ="), "TOML"),
        (("learning_rate = 0.1", "learning_rate = -1"), "learning_rate"),
        (('terms = "ours"\n', ""), "terms"),
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
