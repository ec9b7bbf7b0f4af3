"""A data set small enough to train on in a test: discs and bars of two colours."""

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
backbones = ["pocket_vgg"]
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
grid = 2
network_block = 12
shape_block = 10
colour_block = 6
fit_pictures = 40
fit_views = 1
embedding_size = 16
"""


def write(folder: Path, text: str = PLAN) -> plans.Plan:
    """Write 48 training and 8 validation pictures with a manifest into the folder; return the plan of that text.

    Columns besides the kind: `colour` is red or blue, whichever is stronger; `number` the picture's number in 4 digits.
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
            colour = "red" if tint[0] > tint[2] else "blue"
            split = "val" if number >= 48 else "train"
            rows.append((f"{number}.jpg", f"shapes/{kind}", split, "ours/drawn", colour, f"{number:04}"))
        rows.append(("0.jpg", "shapes/other", "train", "theirs", "", ""))
    with (folder / "labels.csv").open("w", newline="") as lines:
        csv.writer(lines).writerows([("image", "kind", "split", "source", "colour", "number"), *rows])
    return plans.parse(text, "tiny")
