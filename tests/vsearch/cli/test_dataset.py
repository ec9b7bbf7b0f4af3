import numpy as np
import pytest
from click.testing import CliRunner

from tests.vsearch.training import sample_data
from vsearch import cli
from vsearch.imaging.codec import encode_jpeg
from vsearch.training.data import tfrecord

pytestmark = pytest.mark.keras


def run(*arguments: object) -> str:
    """Run the command, which must succeed, and return its output joined into one line."""
    result = CliRunner().invoke(cli.cli, ["dataset", *map(str, arguments)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return " ".join(result.stdout.split())


@pytest.fixture
def plan(tmp_path):
    """The file of the sample plan, with its pictures next to it."""
    sample_data.write(tmp_path)
    (tmp_path / "tiny.toml").write_text(sample_data.PLAN)
    return tmp_path / "tiny.toml"


def test_the_sources_of_a_plan_are_packed_and_inspected(plan, tmp_path):
    packed = run("pack", plan, "--photos", tmp_path, "--out", tmp_path / "new" / "packed", "--shards", 3)

    assert "images 48 8" in packed
    assert "disc 24 4" in packed
    assert run("inspect", tmp_path / "new" / "packed") == packed
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["packed"]


def test_the_labels_of_a_manifest_are_renamed(plan, tmp_path):
    manifest = ("pack", tmp_path / "labels.csv", "--images", tmp_path / "images.tar", "--out", tmp_path / "packed")

    packed = run(*manifest, "--label", "kind", "--label", "tint=color")

    assert "label tint" in packed
    assert "other 1 0" in packed


def test_a_folder_of_classes_is_packed_unchanged(tmp_path):
    for number in range(8):
        file = tmp_path / "set" / f"class{number % 2}" / f"{number}.jpg"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"any bytes")

    packed = run("pack", tmp_path / "set", "--out", tmp_path / "packed", "--val-share", 1)

    assert "images 8" in packed
    assert "class1 4" in packed


@pytest.mark.parametrize("columns", ["box", "boxes"])
def test_boxes_are_packed(tmp_path, columns):
    rows = ["photo,kind,l,t,r,b,split"]
    for number in range(4):
        (tmp_path / f"{number}.jpg").write_bytes(encode_jpeg(np.full((40, 40, 3), 60 * number, np.uint8)))
        rows.append(f"{number}.jpg,kind{number % 2},0.1,{number + 1}.5,20,30,train")
    (tmp_path / "photos.csv").write_text("\n".join(rows))
    text = sample_data.ROOMS.replace('images = "photos"', 'images = "."').replace(
        'boxes = ["left", "top", "right", "bottom"]', f'{columns} = ["l", "t", "r", "b"]\nlabels = {{ kind = "kind" }}'
    )
    (tmp_path / "plan.toml").write_text(text)

    run("pack", tmp_path / "plan.toml", "--photos", tmp_path, "--out", tmp_path / "packed")

    found = sorted(tfrecord.read(tmp_path / "packed"), key=lambda image: image.name)
    boxes = [(0.1, number + 1.5, 20, 30) for number in range(4)]
    assert [image.box for image in found] == (boxes if columns == "box" else [None] * 4)
    assert [image.boxes for image in found] == ([None] * 4 if columns == "box" else [(box,) for box in boxes])


@pytest.mark.parametrize(
    ("source", "message"),
    [("labels.csv", "--images"), ("no.tar", "does not exist"), ("no_such_plan", "no_such_plan")],
)
def test_a_failure_leaves_no_files_behind(tmp_path, failed, source, message):
    assert message in failed("dataset", "pack", source, "--photos", tmp_path, "--out", tmp_path / "packed")
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_shard_is_named(plan, tmp_path, failed):
    run("pack", plan, "--photos", tmp_path, "--out", tmp_path / "packed")
    shard = tmp_path / "packed" / "val-00001-of-00004.tfrecord"
    shard.write_bytes(shard.read_bytes()[:-1] + b"?")

    assert "val-00001-of-00004.tfrecord is damaged" in failed("dataset", "inspect", tmp_path / "packed")
