"""Boxes from a manifest to a trained head: read, moved with their pictures, assigned to cells, learned."""

import csv
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.vsearch.training.augment.test_batch import STILL
from vsearch.core.errors import DatasetError, PlanError
from vsearch.imaging.codec import encode_jpeg
from vsearch.training import plan as plans
from vsearch.training.data.sources import examples
from vsearch.training.plan_parts import Augment

PLAN = """
name = "rooms"
backbones = ["pocket_detector"]
seed = 3
framing = "stretch"
cache_size = 64
dropout = 0
[[source]]
kind = "csv"
manifest = "photos.csv"
images = "photos"
image = "photo"
val = "unseen"
boxes = ["left", "top", "right", "bottom"]
terms = "drawn here"
[[head]]
name = "products"
kind = "boxes"
[augment]
crop_area = [0.8, 1.0]
[[phase]]
name = "all"
size = 64
epochs = 2
batch = 8
learning_rate = 0.01
"""


def room(number: int) -> tuple[np.ndarray, list[list[int]]]:
    """Return a grey picture 80 px wide and 60 high with one or two bright rectangles, and their boxes in pixels."""
    rng = np.random.default_rng(number)
    picture = rng.integers(60, 90, (60, 80, 3)).astype(np.uint8)
    boxes = []
    for side in range(1 + number % 2):
        width, height = rng.integers(16, 30), rng.integers(16, 40)
        left, top = 40 * side + rng.integers(0, 40 - width), rng.integers(0, 60 - height)
        picture[top : top + height, left : left + width] = (230, 200 - 150 * side, 40)
        boxes.append([int(left), int(top), int(left + width), int(top + height)])
    return picture, boxes


def write(folder: Path, count: int = 16, text: str = PLAN) -> plans.Plan:
    """Write so many rooms, every fourth one to judge by and one without anything, and return the plan."""
    (folder / "photos").mkdir()
    rows: list[tuple[object, ...]] = []
    for number in range(count):
        picture, boxes = room(number)
        (folder / "photos" / f"{number}.jpg").write_bytes(encode_jpeg(picture))
        split = "unseen" if number % 4 == 3 else "train"
        rows += [(f"{number}.jpg", *box, split, "main") for box in boxes]
    (folder / "photos" / "empty.jpg").write_bytes(encode_jpeg(np.full((60, 80, 3), 80, np.uint8)))
    rows.append(("empty.jpg", "", "", "", "", "train", ""))
    with (folder / "photos.csv").open("w", newline="") as lines:
        csv.writer(lines).writerows([("photo", "left", "top", "right", "bottom", "split", "role"), *rows])
    return plans.parse(text, "rooms")


def test_rows_of_a_picture_are_one_example(tmp_path: Path) -> None:
    """With all their boxes, in pixels; a row of empty cells says that there is nothing."""
    plan = write(tmp_path)

    found = {example.name: example for example in examples(plan.source[0], tmp_path, work=tmp_path)}

    assert len(found) == 17
    assert found["3.jpg"].boxes == tuple(map(tuple, room(3)[1]))
    assert (found["3.jpg"].split, found["2.jpg"].split) == ("val", "train")
    assert found["empty.jpg"].boxes == ()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (('framing = "stretch"', ""), 'framing = "stretch"'),
        (('["pocket_detector"]', '["pocket_detector", "pocket_vgg"]'), "one backbone"),
        (("dropout = 0", "mirrored = true"), "mirrored = false"),
        (("crop_area = [0.8, 1.0]", "mix = 0.5"), "mix = 0"),
        (("crop_area = [0.8, 1.0]", "scramble = 0.5"), "scramble_hides"),
        (("batch = 8", 'batch = 8\nunfreeze = "none"'), "no phase"),
        (("[augment]", '[[head]]\nname = "same"\nkind = "metric"\n[augment]'), "no metric head"),
        (("boxes = [", 'box = ["a", "b", "c", "d"]\nboxes = ['), "take one of them"),
        (('boxes = ["left", "top", "right", "bottom"]', ""), "needs labels or boxes"),
    ],
)
def test_what_tears_boxes_from_pictures_is_refused(change: tuple[str, str], says: str) -> None:
    """With the key to correct."""
    with pytest.raises(PlanError, match=says):
        plans.parse(PLAN.replace(*change), "here.toml")


def test_a_box_that_is_no_number_is_refused(tmp_path: Path) -> None:
    """With its row."""
    plan = write(tmp_path)
    file = tmp_path / "photos.csv"
    file.write_text(file.read_text().replace(f"0.jpg,{room(0)[1][0][0]},", "0.jpg,much,"))

    with pytest.raises(DatasetError, match=r"four numbers, but .* has 'much, .* for 0\.jpg"):
        list(examples(plan.source[0], tmp_path, work=tmp_path))


@pytest.mark.keras
def test_boxes_become_padded_targets(tmp_path: Path) -> None:
    """In shares of the sides; nobody knows where things stand in pictures of a source without boxes."""
    from vsearch.training.data import dataset

    more = '[[source]]\nkind = "csv"\nmanifest = "more.csv"\nimages = "photos"\nlabels = { kind = "kind" }\nterms = "x"'
    (tmp_path / "more.csv").write_text("image,kind,split\n0.jpg,lamp,train\n")
    plan = write(tmp_path, text=PLAN.replace("[[head]]", more + "\n[[head]]", 1))

    data = dataset.prepare(plan, tmp_path, work=tmp_path / "work")

    targets = dict(zip(data.train.names, data.train.targets["products"], strict=True))
    assert targets["1.jpg"].shape == (2, 4)
    np.testing.assert_allclose(targets["1.jpg"], np.array(room(1)[1]) / (80, 60, 80, 60), rtol=1e-5)
    np.testing.assert_allclose(targets["2.jpg"][1], 0)
    assert (targets["empty.jpg"] == 0).all()
    assert (data.train.targets["products"][-1] == -1).all()
    assert len(data.val) == 4


@pytest.mark.keras
def test_made_rooms_stand_in_place_of_packshots(tmp_path: Path) -> None:
    """With one to four products each, the same ones every time; one room for a validation picture."""
    from vsearch.training.data import dataset

    for number in range(6):
        folder = tmp_path / "shots" / ("train" if number else "val") / "lamp"
        folder.mkdir(parents=True, exist_ok=True)
        shot = np.full((50, 50, 3), 255, np.uint8)
        shot[10:40, 15:35] = (200, 30 * number, 60)
        (folder / f"{number}.jpg").write_bytes(encode_jpeg(shot))
    source = 'kind = "folder"\nfolder = "shots"\nmade = 3\nterms = "drawn here"\n'
    start, end = PLAN.index('kind = "csv"'), PLAN.index("[[head]]")
    plan = plans.parse(PLAN[:start] + source + PLAN[end:], "rooms")

    data = dataset.prepare(plan, tmp_path, work=tmp_path / "one")
    again = dataset.prepare(plan, tmp_path, work=tmp_path / "two")

    assert (len(data.train), len(data.val)) == (15, 1)
    counts = (data.train.targets["products"].max(axis=2) > 0).sum(axis=1)
    assert counts.min() >= 1
    assert 2 <= counts.max() <= 4
    np.testing.assert_array_equal(data.train.pictures, again.train.pictures)
    np.testing.assert_array_equal(data.train.targets["products"], again.train.targets["products"])


@pytest.mark.keras
def test_shards_keep_boxes(tmp_path: Path) -> None:
    """Known and empty ones, and that nobody knows."""
    from vsearch.training.data import records
    from vsearch.training.data.examples import Example

    given = [((1.5, 2.0, 3.0, 4.0), (0.0, 0.0, 9.0, 9.0)), (), None]
    shown = [Example(b"x", {}, "train", "g", str(number), boxes=boxes) for number, boxes in enumerate(given)]
    records.pack(shown, tmp_path / "shards", shards=1, about={})

    assert [example.boxes for example in records.read(tmp_path / "shards")] == given


@pytest.mark.keras
@pytest.mark.parametrize(
    "box", [(3.0, 5.0, 61.0, 47.0), (0.1, 0.2, 1 / 3, 0.9999999), (0.0, 0.0, 4032.5, 30000001.0), None]
)
def test_shards_keep_the_box_that_counts(tmp_path: Path, box: tuple[float, float, float, float] | None) -> None:
    """In pixels and in shares, the very same numbers."""
    from vsearch.training.data import records
    from vsearch.training.data.examples import Example

    shown = [Example(b"x", {"kind": "chair"}, "train", "g", "one", box, box and (box, box))]
    records.pack(shown, tmp_path / "shards", shards=1, about={})

    assert list(records.read(tmp_path / "shards")) == shown


@pytest.mark.keras
def test_boxes_of_earlier_shards_are_read() -> None:
    """They were lists of whole numbers and of floats."""
    import tensorflow as tf

    from vsearch.training.data import records
    from vsearch.training.data.examples import Example

    texts = {"image": b"x", "name": b"one", "group": b"g", "split": b"train"}
    feature = {name: tf.train.Feature(bytes_list=tf.train.BytesList(value=[text])) for name, text in texts.items()}
    feature["box"] = tf.train.Feature(int64_list=tf.train.Int64List(value=[1, 2, 3, 4]))
    feature["boxes"] = tf.train.Feature(float_list=tf.train.FloatList(value=[0.5, 0.25, 1, 1]))
    record = tf.train.Example(features=tf.train.Features(feature=feature))

    assert records._unpacked(record) == Example(b"x", {}, "train", "g", "one", (1, 2, 3, 4), ((0.5, 0.25, 1, 1),))


@pytest.mark.keras
@pytest.mark.parametrize("columns", ["box", "boxes"])
def test_a_source_with_boxes_is_packed(tmp_path: Path, columns: str) -> None:
    """By the command, and what comes back are the numbers of the table."""
    from click.testing import CliRunner

    from vsearch import cli
    from vsearch.training.data import records

    rows = ["photo,kind,l,t,r,b,split"]
    for number in range(4):
        (tmp_path / f"{number}.jpg").write_bytes(encode_jpeg(np.full((40, 40, 3), 60 * number, np.uint8)))
        rows.append(f"{number}.jpg,kind{number % 2},0.1,{number + 1}.5,20,30,{'train' if number < 2 else 'val'}")
    (tmp_path / "table.csv").write_text("\n".join(rows), encoding="utf8")
    kind = "softmax" if columns == "box" else "boxes"
    labels = 'labels = { kind = "kind" }\n' if columns == "box" else ""
    (tmp_path / "plan.toml").write_text(
        f"""name = "p"
seed = 1
cache_size = 40
framing = "stretch"
backbones = ["pocket_vgg"]
[[phase]]
name = "one"
size = 32
epochs = 1
batch = 2
learning_rate = 0.001
[[head]]
name = "kind"
kind = "{kind}"
[[source]]
kind = "csv"
manifest = "table.csv"
images = "."
image = "photo"
{labels}{columns} = ["l", "t", "r", "b"]
val = "val"
terms = "drawn here"
"""
    )
    result = CliRunner().invoke(
        cli.cli,
        ["dataset", "pack", str(tmp_path / "plan.toml"), "--photos", str(tmp_path), "--out", str(tmp_path / "out")],
    )

    assert result.exit_code == 0, result.output
    found = sorted(records.read(tmp_path / "out"), key=lambda example: example.name)
    given = [(0.1, number + 1.5, 20, 30) for number in range(4)]
    assert [example.box for example in found] == (given if columns == "box" else [None] * 4)
    assert [example.boxes for example in found] == ([None] * 4 if columns == "box" else [(box,) for box in given])


def framed(box: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Return a black picture with a white box."""
    height, width = shape
    left, top, right, bottom = np.round(box * (width, height, width, height)).astype(int)
    picture = np.zeros((height, width, 3), np.uint8)
    picture[top:bottom, left:right] = 255
    return picture


def seen(picture: np.ndarray) -> np.ndarray:
    """Return what frames the bright part of a picture, in shares of the sides."""
    rows, columns = np.flatnonzero(picture.max(axis=(1, 2)) > 127), np.flatnonzero(picture.max(axis=(0, 2)) > 127)
    height, width = picture.shape[:2]
    return np.array([columns[0] / width, rows[0] / height, (columns[-1] + 1) / width, (rows[-1] + 1) / height])


@pytest.mark.keras
@pytest.mark.parametrize(
    ("how", "shape"),
    [
        ({}, (120, 160)),
        ({}, (96, 64)),
        ({"crop_area": (0.6, 0.9), "crop_shape": 0.3}, (120, 160)),
        ({"mirror": True}, (90, 100)),
        ({"turn": 20}, (120, 160)),
        ({"perspective": 0.1}, (120, 160)),
        ({"crop_area": (0.7, 1), "mirror": True, "turn": 10, "perspective": 0.05}, (100, 90)),
    ],
    ids=["still", "resized", "cut", "mirrored", "turned", "tilted", "all"],
)
def test_boxes_move_with_their_pictures(how: Mapping[str, Any], shape: tuple[int, int]) -> None:
    """A bright rectangle is found again where its box went, within two pixels."""
    import tensorflow as tf

    from vsearch.training.augment.batch import perturb
    from vsearch.training.augment.boxes import moved

    boxes = np.tile(np.array([0.3, 0.35, 0.6, 0.7], np.float32), (24, 1, 1))
    pictures = np.stack([framed(box[0], (120, 160)) for box in boxes])

    found = perturb(tf.constant(pictures), Augment(**STILL | how), shape=shape, seed=tf.constant([1, 2], tf.int64))
    went = moved(boxes, found.matrices, (120, 160), shape).numpy()[:, 0]

    inside = ((went > 0.02) & (went < 0.98)).all(axis=1)
    assert inside.sum() > 5
    if how:
        assert np.abs(went - boxes[:, 0]).max() > 0.05
    expected = np.stack([seen(picture) for picture in found.pictures.numpy()[inside]])
    np.testing.assert_allclose(went[inside], expected, atol=2 / min(shape))


@pytest.mark.keras
def test_a_box_that_is_mostly_gone_is_dropped() -> None:
    """What is left of others is cut to the picture; missing ones stay missing, empty ones empty."""
    from vsearch.training.augment.boxes import moved

    right_half = np.array([[[0.5, 0, 40], [0, 1, 0], [0, 0, 1]]], np.float32)  # of a picture 80 px wide, doubled
    boxes = np.array([[[0.1, 0.2, 0.7, 0.4], [0.4, 0.2, 0.8, 0.4], [0, 0, 0, 0]]], np.float32)

    found = moved(boxes, right_half, (60, 80), (60, 80)).numpy()

    np.testing.assert_allclose(found[0, 1], [0, 0.2, 0.6, 0.4], atol=0.01)
    assert (found[0, [0, 2]] == 0).all()
    assert (moved(np.full((1, 2, 4), -1, np.float32), right_half, (60, 80), (60, 80)).numpy() == -1).all()


def plainly_assigned(boxes: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """Return for each cell the number of the smallest box in whose core its middle lies, or -1."""
    found = np.full((rows, columns), -1)
    for row in range(rows):
        for column in range(columns):
            x, y, smallest = (column + 0.5) / columns, (row + 0.5) / rows, 9.0
            for number, (left, top, right, bottom) in enumerate(boxes):
                area = (right - left) * (bottom - top)
                near_x = abs(x - (left + right) / 2) <= max((right - left) / 4, 0.5 / columns)
                near_y = abs(y - (top + bottom) / 2) <= max((bottom - top) / 4, 0.5 / rows)
                if 0 < area < smallest and near_x and near_y:
                    found[row, column], smallest = number, area
    return found


@pytest.mark.keras
@pytest.mark.parametrize("seed", range(5))
def test_cells_answer_for_the_smallest_box_around_them(seed: int) -> None:
    """As loops over cells and boxes find; every box has a cell unless a smaller one lies on it."""
    from vsearch.training.box_losses import assigned

    rng = np.random.default_rng(seed)
    low = rng.uniform(0, 0.7, (4, 2))
    boxes = np.concatenate([low, low + rng.uniform(0.02, 0.3, (4, 2)), np.zeros((4, 0))], axis=1).astype(np.float32)
    boxes[3] = 0

    has, wanted = (part.numpy()[0] for part in assigned(boxes[None], (9, 12)))

    expected = plainly_assigned(boxes, 9, 12)
    np.testing.assert_array_equal(has == 1, expected >= 0)
    np.testing.assert_array_equal(wanted[expected >= 0], boxes[expected[expected >= 0]])
    assert has.sum() >= 3


@pytest.mark.keras
def test_giou_is_one_for_equal_boxes_and_negative_for_far_ones() -> None:
    """And by hand in between: overlap 1/7, hull 9, both together 7."""
    from vsearch.training.box_losses import giou

    one = np.array([[0, 0, 2, 2], [0, 0, 2, 2], [0, 0, 1, 1]], np.float32)
    other = np.array([[0, 0, 2, 2], [1, 1, 3, 3], [3, 3, 4, 4]], np.float32)

    np.testing.assert_allclose(giou(one, other).numpy(), [1, 1 / 7 - 2 / 9, -14 / 16], atol=1e-6)


@pytest.mark.keras
def test_the_focal_loss_minds_what_is_hard() -> None:
    """A sure right answer costs next to nothing, a sure wrong one most; by hand at even chances."""
    from vsearch.training.box_losses import focal

    truth, logits = np.array([1, 1, 0, 0], np.float32), np.array([5, 0, 0, 5], np.float32)

    found = focal(truth, logits).numpy()

    np.testing.assert_allclose(found[1:3], [0.25 * 0.25 * np.log(2), 0.75 * 0.25 * np.log(2)], rtol=1e-5)
    assert found[0] < 1e-6
    assert found[3] > 3


@pytest.mark.keras
def test_unknown_boxes_cost_nothing() -> None:
    """Not even a number that is none; a picture known to be empty costs what is said of it."""
    from vsearch.models.trained_heads import HeadSpec
    from vsearch.training.losses import Objective

    objective = Objective(HeadSpec("products", "boxes"))
    logits = np.random.default_rng(0).normal(0, 3, (3, 4, 4, 5)).astype(np.float32)
    logits[2, ..., 0] = -9
    targets = np.zeros((3, 2, 4), np.float32)
    targets[0] = -1

    sums = [objective.sums(targets[rows], logits[rows], training=True).numpy() for rows in ([0], [1], [2], [0, 1, 2])]

    assert sums[0].tolist() == [0, 0, 0]
    assert sums[1][0] > 1
    assert sums[1][1:].tolist() == [0, 1]
    assert sums[2][0] < 1e-3
    assert sums[2][1:].tolist() == [1, 1]
    np.testing.assert_allclose(sums[3], sums[1] + sums[2], rtol=1e-4)


@pytest.mark.keras
@pytest.mark.slow
def test_a_finder_learns_a_few_rooms_by_heart(tmp_path: Path) -> None:
    """By the one training path: the checkpoint as saved finds the boxes, and the report and card say so."""
    from vsearch.models import checkpoint as checkpoints
    from vsearch.models.classifier import open_classifier
    from vsearch.training import experiment
    from vsearch.training.outcome import Run

    start, end = PLAN.index("[[source]]"), PLAN.index("[[head]]")
    again = PLAN[start:end].replace("photos.csv", "again.csv")
    text = PLAN.replace("[[head]]", again + "[[head]]").replace("epochs = 2", "epochs = 10")
    plan = write(tmp_path, text=text.replace("[[source]]", "[[source]]\nrepeat = 10", 1))
    rows = (tmp_path / "photos.csv").read_text().replace("unseen", "train")
    (tmp_path / "photos.csv").write_text(rows)
    (tmp_path / "again.csv").write_text(rows.replace("train", "unseen"))

    said = experiment.carry_out(Run(plan, tmp_path, tmp_path / "run"))

    found = said["validation"]["heads"]["products"]["judges"]["pocket_detector"]["found"]
    assert found["3"]["mean"] > 0.9
    assert (tmp_path / "run" / "boxes_products.png").is_file()
    made = checkpoints.load(tmp_path / "run" / "checkpoint")
    assert "products in 3" in (made.folder / "CARD.md").read_text()
    assert json.loads((tmp_path / "run" / "report.json").read_text())["saved_as_trained"]["pocket_detector"] > 0.8
    cells = open_classifier(made).predict([room(1)[0]]).probabilities_of("pocket_detector", "products")
    assert cells.shape == (1, 8, 8, 5)
