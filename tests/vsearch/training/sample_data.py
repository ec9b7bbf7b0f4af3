"""A data set small enough to train on in a test: discs and bars of two colors."""

import csv
import io
import tarfile
from pathlib import Path

import numpy as np

from tests.vsearch.imaging.test_descriptors import square
from vsearch.imaging.codec import encode_jpeg
from vsearch.training import plan as plans

PLAN = """
name = "tiny"
backbones = ["pocket_strip"]
seed = 1
cache_size = 40
[[source]]
kind = "csv"
manifest = "labels.csv"
images = "images.tar"
labels = { kind = "kind" }
where = { source = "ours/" }
terms = "drawn here"
[[head]]
name = "kind"
kind = "softmax"
[[phase]]
name = "first"
size = 32
epochs = 2
batch = 8
learning_rate = 0.002
[[phase]]
name = "second"
size = 40
epochs = 1
batch = 8
learning_rate = 0.0005
[assemble]
network_block = 12
middle_block = 10
color_block = 6
fit_pictures = 40
fit_views = 1
embedding_size = 16
"""


def write(folder: Path, text: str = PLAN) -> plans.Plan:
    """Write 48 training and 8 validation pictures with a manifest into the folder; return the plan in `text`.

    Columns besides the kind: `color` is red or blue, whichever is stronger; `number` is the picture's 4-digit number.
    """
    rows = []
    with tarfile.open(folder / "images.tar", "w") as tar:
        for number in range(56):
            kind = "disc" if number % 2 else "bar"
            tint = tuple(int(c) for c in np.random.default_rng(number).integers(20, 200, 3))
            data = encode_jpeg(square(48, kind, tint))
            info = tarfile.TarInfo(f"{number}.jpg")
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
            color = "red" if tint[0] > tint[2] else "blue"
            split = "val" if number >= 48 else "train"
            rows.append((f"{number}.jpg", f"shapes/{kind}", split, "ours/drawn", color, f"{number:04}"))
        rows.append(("0.jpg", "shapes/other", "train", "theirs", "", ""))
    with (folder / "labels.csv").open("w", newline="") as lines:
        csv.writer(lines).writerows([("image", "kind", "split", "source", "color", "number"), *rows])
    return plans.parse(text, "tiny")


ROOMS = """
name = "rooms"
backbones = ["efficientnet_lite0"]
start = "bundled"
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
unfreeze = "none"
views = 2
"""


def room(number: int) -> tuple[np.ndarray, list[list[int]]]:
    """Return a gray picture 80 px wide and 60 high with one or two bright rectangles, and their boxes in pixels."""
    rng = np.random.default_rng(number)
    picture = rng.integers(60, 90, (60, 80, 3)).astype(np.uint8)
    boxes = []
    for side in range(1 + number % 2):
        width, height = rng.integers(16, 30), rng.integers(16, 40)
        left, top = 40 * side + rng.integers(0, 40 - width), rng.integers(0, 60 - height)
        picture[top : top + height, left : left + width] = (230, 200 - 150 * side, 40)
        boxes.append([int(left), int(top), int(left + width), int(top + height)])
    return picture, boxes


def write_rooms(folder: Path, text: str = ROOMS) -> plans.Plan:
    """Write 16 rooms, every fourth for validation, and an empty one into the folder; return the plan in `text`."""
    (folder / "photos").mkdir()
    rows: list[tuple[object, ...]] = []
    for number in range(16):
        picture, boxes = room(number)
        (folder / "photos" / f"{number}.jpg").write_bytes(encode_jpeg(picture))
        rows += [(f"{number}.jpg", *box, "unseen" if number % 4 == 3 else "train") for box in boxes]
    (folder / "photos" / "empty.jpg").write_bytes(encode_jpeg(np.full((60, 80, 3), 80, np.uint8)))
    rows.append(("empty.jpg", "", "", "", "", "train"))
    with (folder / "photos.csv").open("w", newline="") as lines:
        csv.writer(lines).writerows([("photo", "left", "top", "right", "bottom", "split"), *rows])
    return plans.parse(text, "rooms")
