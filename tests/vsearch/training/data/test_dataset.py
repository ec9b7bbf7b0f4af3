"""From sources to pictures and targets, kept on disk."""

import errno
import json
import logging
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.vsearch.training import sample_data
from vsearch.core.errors import DatasetError
from vsearch.training.data import dataset, image_cache, samples
from vsearch.training import plan as plans

pytestmark = pytest.mark.keras

LABELS = 'labels = { kind = "kind" }'
HEADS = '[[head]]\nname = "kind"\nkind = "softmax"'
PHOTOS = Path(os.environ.get("SHARED_DATA", Path(__file__).parents[5] / "shared" / "data"))


def several_heads(*heads: str) -> str:
    """Return the tiny plan's text with all of its labels and these heads."""
    text = sample_data.PLAN.replace(LABELS, 'labels = { kind = "kind", colour = "colour", number = "number" }')
    return text.replace(HEADS, "\n".join(f"[[head]]\n{head}" for head in heads))


def relabel(folder: Path, change: Any) -> None:
    """Change the cells of the manifest: `change` gets the picture's number and its row."""
    lines = (folder / "labels.csv").read_text().splitlines()
    rows = [line.split(",") for line in lines[1:]]
    changed = [change(int(row[0].partition(".")[0]), row) for row in rows]
    (folder / "labels.csv").write_text("\n".join([lines[0], *(",".join(row) for row in changed if row)]) + "\n")


def prepared(folder: Path, text: str = sample_data.PLAN) -> dataset.Dataset:
    """Prepare the tiny plan's pictures, which lie in the folder already."""
    return dataset.prepare(plans.parse(text, "tiny"), folder, work=folder / "work")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the tiny pictures."""
    sample_data.write(tmp_path)
    return tmp_path


def test_pictures_are_kept_with_their_targets(folder: Path) -> None:
    """Squared to the plan's size; classes sorted; the fingerprint names the folder they are kept in."""
    found = prepared(folder)

    assert found.heads[0].classes == ("bar", "disc")
    assert found.train.pictures.shape == (48, 40, 40, 3)
    assert found.train.pictures.dtype == np.uint8
    assert found.val.targets["kind"].tolist() == [0, 1] * 4
    assert found.val.names == tuple(f"{number}.jpg" for number in range(48, 56))
    assert found.train.groups == found.train.names
    assert found.train.repeat.tolist() == [1] * 48
    assert (found.unreadable, found.notes) == ((), ())
    assert (folder / "work" / "cache" / found.fingerprint / "train.npy").is_file()
    disc = found.train.pictures[1]
    assert np.abs(disc[20, 20].astype(int) - disc[0, 0]).max() > 40  # a disc in the middle, white around


def test_a_second_run_opens_what_the_first_decoded(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is decoded again, whatever the heads are."""
    first = prepared(folder)
    monkeypatch.setattr(samples, "frame", None)

    again = prepared(folder, sample_data.PLAN.replace(HEADS, HEADS.replace("softmax", "sigmoid")))

    assert isinstance(again.train.pictures, np.memmap)
    assert again.fingerprint == first.fingerprint
    assert again.train.targets["kind"].shape == (48, 2)


def test_the_fingerprint_follows_content_not_time(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A touched file is the same; another label, picture or size is not."""
    before = prepared(folder).fingerprint
    os.utime(folder / "images.tar", (1, 1))
    assert prepared(folder).fingerprint == before

    others = {before, prepared(folder, sample_data.PLAN.replace("cache_size = 40", "cache_size = 48")).fingerprint}
    relabel(folder, lambda number, row: [row[0], "shapes/disc", *row[2:]] if number == 2 else row)
    others.add(prepared(folder).fingerprint)
    assert len(others) == 3


def test_each_kind_of_head_has_its_targets(folder: Path) -> None:
    """Several at once; a picture without a label has -1 there, and its other labels count."""
    text = several_heads(
        'name = "kind"\nkind = "softmax"',
        'name = "look"\nkind = "sigmoid"\nlabel = "colour"',
        'name = "number"\nkind = "digits"\nlength = 4',
        'name = "same"\nkind = "metric"\nlabel = "colour"',
    )
    relabel(folder, lambda number, row: [row[0], "", row[2], row[3], "", ""] if number == 3 else row)

    train = prepared(folder, text).train

    assert train.targets["kind"].dtype == np.int32
    assert train.targets["kind"][[2, 3, 5]].tolist() == [0, -1, 1]
    assert train.targets["look"].shape == (48, 2)
    assert train.targets["look"][3].tolist() == [-1, -1]
    assert sorted(train.targets["look"][4].tolist()) == [0, 1]
    assert train.targets["number"][[3, 37]].tolist() == [[-1] * 4, [0, 0, 3, 7]]
    assert train.targets["same"].dtype == np.int64
    assert train.targets["same"][3] >= 2  # a product of its own
    assert set(np.delete(train.targets["same"], 3)) == {0, 1}


def test_a_metric_head_without_labels_takes_each_picture_for_a_product(folder: Path) -> None:
    """No number is in both splits."""
    found = prepared(folder, several_heads('name = "same"\nkind = "metric"\nlabel = "nothing"'))

    assert len({*found.train.targets["same"], *found.val.targets["same"]}) == 56


def test_made_photos_are_learned_from_and_show_the_same_product(folder: Path) -> None:
    """Two of each training picture after it, none for validation; a product of its own includes what was made of it."""
    text = several_heads('name = "same"\nkind = "metric"\nlabel = "nothing"').replace(
        'kind = "csv"', 'kind = "csv"\nmade = 2'
    )

    found = prepared(folder, text)

    assert (len(found.train), len(found.val)) == (3 * 48, 8)
    same = found.train.targets["same"].reshape(48, 3)
    assert (same == same[:, :1]).all()
    assert len({*found.train.targets["same"], *found.val.targets["same"]}) == 56
    pictures = found.train.pictures.reshape(48, 3, 40, 40, 3).astype(int)
    assert np.abs(pictures[:, 1] - pictures[:, 2]).mean(axis=(1, 2, 3)).min() > 1  # none like another


def test_several_values_and_a_separator(folder: Path) -> None:
    """A sigmoid head's label may hold more than one."""
    relabel(folder, lambda number, row: [*row[:4], "red; big" if number % 3 else "red", row[5]])

    found = prepared(folder, several_heads('name = "colour"\nkind = "sigmoid"\nseparator = ";"'))

    assert found.heads[0].classes == ("big", "red")
    assert found.train.targets["colour"][:3].tolist() == [[0, 1], [1, 1], [1, 1]]


def test_a_source_may_count_several_times(folder: Path) -> None:
    """In training; a validation picture counts once."""
    found = prepared(folder, sample_data.PLAN.replace('terms = "drawn here"', 'terms = "drawn here"\nrepeat = 3'))

    assert found.train.repeat.tolist() == [3] * 48
    assert found.val.repeat.tolist() == [1] * 8


def test_classes_that_the_splits_do_not_share_are_said(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    """One is not measured; the other cannot be learned, and its label is left out."""
    kinds = {1: "shapes/ring", 50: "shapes/star"}
    relabel(folder, lambda number, row: [row[0], kinds.get(number, row[1]), *row[2:]])

    with caplog.at_level(logging.WARNING):
        found = prepared(folder)

    assert found.heads[0].classes == ("bar", "disc", "ring")
    assert found.val.targets["kind"].tolist() == [0, 1, -1, 1, 0, 1, 0, 1]
    assert len(found.notes) == 2
    assert "no validation picture shows ring" in found.notes[0]
    assert "no training picture shows star" in found.notes[1]
    assert all(note in caplog.text for note in found.notes)


def test_numbers_that_are_not_measured_are_said(folder: Path) -> None:
    """No validation picture has one."""
    relabel(folder, lambda number, row: [*row[:5], ""] if number >= 48 else row)

    found = prepared(folder, several_heads('name = "number"\nkind = "digits"\nlength = 4'))

    assert found.notes == ("Head 'number': no validation picture has its label; how well it reads is not measured.",)


@pytest.mark.parametrize(
    ("head", "sentence"),
    [
        ('name = "kind"\nkind = "softmax"\nclasses = ["disc"]', "of picture '0.jpg': .*but a label is 'bar'; correct"),
        ('name = "kind"\nkind = "softmax"\nclasses = ["bar", "disc", "ring"]', "ring of head 'kind' has none; add"),
        ('name = "number"\nkind = "digits"\nlength = 8', "reads 8 digits, but a label is '0000'; correct"),
        ('name = "made"\nkind = "digits"', "no training picture has the label 'made' of head 'made'"),
        ('name = "made"\nkind = "softmax"', "no training picture has the label 'made' of head 'made'"),
    ],
)
def test_labels_that_cannot_be_learned_are_one_sentence(folder: Path, head: str, sentence: str) -> None:
    """An unknown label, an empty class, no number, no label at all."""
    with pytest.raises(DatasetError, match=sentence) as caught:
        prepared(folder, several_heads(head))
    assert "\n" not in str(caught.value)


def test_no_training_picture_is_said(folder: Path) -> None:
    """A manifest with validation rows alone cannot be trained on."""
    relabel(folder, lambda number, row: row if number >= 48 else None)

    with pytest.raises(DatasetError, match="needs training pictures"):
        prepared(folder)


def test_an_unreadable_picture_is_left_out_and_said(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    """One bad file does not end a training, and a second run says it too."""
    archive = bytearray((folder / "images.tar").read_bytes())
    archive[512:520] = bytes(8)
    (folder / "images.tar").write_bytes(archive)

    with caplog.at_level(logging.WARNING):
        found = prepared(folder)

    assert len(found.train) == 47
    assert found.unreadable == prepared(folder).unreadable == ("0.jpg",)
    assert found.notes == ("Unreadable pictures were left out: 0.jpg.",)
    assert "training picture 0.jpg is left out" in caplog.text


def test_a_full_disk_leaves_nothing_half_written(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next run, with room, does it all."""
    append = image_cache._Rows.append

    def full(rows: Any, picture: Any) -> None:
        if rows._count == 9:
            raise OSError(errno.ENOSPC, "No space left on device")
        append(rows, picture)

    monkeypatch.setattr(image_cache._Rows, "append", full)
    with pytest.raises(OSError, match="No space left"):
        prepared(folder)
    assert [path.name for path in (folder / "work" / "cache").iterdir()] == ["checksums.json"]
    monkeypatch.undo()
    assert len(prepared(folder).train) == 48


def test_a_source_that_breaks_is_said_as_it_is(folder: Path) -> None:
    """Errors from the threads that read ahead are not worded by TensorFlow."""
    relabel(folder, lambda number, row: ["99.jpg", *row[1:]] if number == 40 else row)

    with pytest.raises(DatasetError, match=r"has no '99\.jpg'"):
        prepared(folder)


def test_pictures_may_be_stretched(folder: Path) -> None:
    """To any height and width, without a look at the border."""
    text = sample_data.PLAN.replace("cache_size = 40", 'cache_size = [24, 60]\nframing = "stretch"')

    found = prepared(folder, text)

    assert found.train.pictures.shape == (48, 24, 60, 3)
    wide = found.train.pictures[1].astype(int).min(axis=(0, 2)) < 200
    assert wide.sum() > 35  # the disc has become an ellipse of 0.7 of the width


@pytest.mark.shared_data
@pytest.mark.slow
@pytest.mark.skipif(
    not (PHOTOS / "furniture_photos" / "images.tar").is_file(),
    reason="the development photographs are not here (folder shared/data beside the project, or SHARED_DATA)",
)
def test_real_furniture_is_read(tmp_path: Path) -> None:
    """All pictures of the set, by its own splits."""
    text = sample_data.PLAN.replace('"labels.csv"', '"furniture_photos/labels.csv"')
    text = text.replace('"images.tar"', '"furniture_photos/images.tar"').replace(
        LABELS, 'labels = { kind = "category" }'
    )
    plan = plans.parse(text.replace('where = { source = "ours/" }\n', ""), "furniture")

    found = dataset.prepare(plan, PHOTOS, work=tmp_path)

    assert (len(found.train), len(found.val), found.unreadable) == (2640, 465, ())
    assert len(found.heads[0].classes) == 8
    assert json.loads((tmp_path / "cache" / "checksums.json").read_text())
