import errno
import logging
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.vsearch.training import sample_data
from vsearch.core.errors import DatasetError
from vsearch.imaging.codec import encode_jpeg
from vsearch.training import plan as plans
from vsearch.training.data import dataset, image_cache, samples

LABELS = 'labels = { kind = "kind" }'
HEADS = '[[head]]\nname = "kind"\nkind = "softmax"'
PHOTOS = Path(os.environ.get("SHARED_DATA", Path(__file__).parents[5] / "shared" / "data"))


def with_heads(*heads: str) -> str:
    """Return the sample plan with all of its labels and these heads."""
    text = sample_data.PLAN.replace(LABELS, 'labels = { kind = "kind", color = "color", number = "number" }')
    return text.replace(HEADS, "\n".join(f"[[head]]\n{head}" for head in heads))


def relabel(folder: Path, change: Any) -> None:
    """Change the fields of the manifest; `change` gets the number of a picture and its row."""
    lines = (folder / "labels.csv").read_text().splitlines()
    rows = [line.split(",") for line in lines[1:]]
    changed = [change(int(row[0].partition(".")[0]), row) for row in rows]
    (folder / "labels.csv").write_text("\n".join([lines[0], *(",".join(row) for row in changed if row)]) + "\n")


def prepare(folder: Path, text: str = sample_data.PLAN) -> dataset.Dataset:
    return dataset.prepare(plans.parse(text, "tiny"), folder, work=folder / "work")


@pytest.fixture
def folder(tmp_path) -> Path:
    """A folder with the sample pictures."""
    sample_data.write(tmp_path)
    return tmp_path


def test_pictures_are_cached_with_their_targets(folder):
    found = prepare(folder)

    assert found.heads[0].classes == ("bar", "disc")
    assert found.train.pictures.shape == (48, 40, 40, 3)
    assert found.train.pictures.dtype == np.uint8
    assert found.val.targets["kind"].tolist() == [0, 1] * 4
    assert found.val.names == tuple(f"{number}.jpg" for number in range(48, 56))
    assert found.train.repeat.tolist() == [1] * 48
    assert (found.unreadable, found.notes, len(found.held_out)) == ((), (), 0)
    assert (folder / "work" / "cache" / found.fingerprint / "train.npy").is_file()
    disc = found.train.pictures[1]
    assert np.abs(disc[20, 20].astype(int) - disc[0, 0]).max() > 40


def test_a_second_run_uses_the_cache(folder, monkeypatch):
    first = prepare(folder)
    monkeypatch.setattr(samples, "frame", None)

    again = prepare(folder, sample_data.PLAN.replace(HEADS, HEADS.replace("softmax", "sigmoid")))

    assert isinstance(again.train.pictures, np.memmap)
    assert again.fingerprint == first.fingerprint
    assert again.train.targets["kind"].shape == (48, 2)


def test_the_fingerprint_follows_content_not_time(folder):
    before = prepare(folder).fingerprint
    os.utime(folder / "images.tar", (1, 1))
    assert prepare(folder).fingerprint == before

    others = {before, prepare(folder, sample_data.PLAN.replace("cache_size = 40", "cache_size = 48")).fingerprint}
    relabel(folder, lambda number, row: [row[0], "shapes/disc", *row[2:]] if number == 2 else row)
    others.add(prepare(folder).fingerprint)
    assert len(others) == 3


def test_each_kind_of_head_has_its_targets(folder):
    text = with_heads(
        'name = "kind"\nkind = "softmax"',
        'name = "look"\nkind = "sigmoid"\nlabel = "color"',
        'name = "number"\nkind = "digits"\nlength = 4',
        'name = "same"\nkind = "metric"\nlabel = "color"',
    )
    relabel(folder, lambda number, row: [row[0], "", row[2], row[3], "", ""] if number == 3 else row)

    targets = prepare(folder, text).train.targets

    assert targets["kind"].dtype == np.int32
    assert targets["kind"][[2, 3, 5]].tolist() == [0, -1, 1]
    assert targets["look"].shape == (48, 2)
    assert targets["look"][3].tolist() == [-1, -1]
    assert sorted(targets["look"][4].tolist()) == [0, 1]
    assert targets["number"][[3, 37]].tolist() == [[-1] * 4, [0, 0, 3, 7]]
    assert targets["same"].dtype == np.int64
    assert targets["same"][3] >= 2  # counts as its own product
    assert set(np.delete(targets["same"], 3)) == {0, 1}


def test_boxes_are_padded_and_unknown_ones_marked(tmp_path):
    more = '[[source]]\nkind = "csv"\nmanifest = "more.csv"\nimages = "photos"\nlabels = { kind = "kind" }\nterms = "x"'
    (tmp_path / "more.csv").write_text("image,kind,split\n0.jpg,lamp,train\n")
    plan = sample_data.write_rooms(tmp_path, sample_data.ROOMS.replace("[[head]]", more + "\n[[head]]", 1))

    found = dataset.prepare(plan, tmp_path, work=tmp_path / "work")

    targets = dict(zip(found.train.names, found.train.targets["products"], strict=True))
    assert targets["1.jpg"].shape == (2, 4)
    np.testing.assert_allclose(targets["1.jpg"], np.array(sample_data.room(1)[1]) / (80, 60, 80, 60), rtol=1e-5)
    np.testing.assert_allclose(targets["2.jpg"][1], 0)
    assert (targets["empty.jpg"] == 0).all()
    assert (found.train.targets["products"][-1] == -1).all()
    assert len(found.val) == 4


def test_a_metric_head_without_labels_takes_each_picture_for_a_product(folder):
    text = with_heads('name = "same"\nkind = "metric"\nlabel = "nothing"').replace(
        'kind = "csv"', 'kind = "csv"\nsynthetic_views = 2'
    )

    found = prepare(folder, text)

    assert (len(found.train), len(found.val)) == (3 * 48, 8)
    same = found.train.targets["same"].reshape(48, 3)  # synthetic views follow their picture
    assert (same == same[:, :1]).all()
    assert len({*found.train.targets["same"], *found.val.targets["same"]}) == 56
    pictures = found.train.pictures.reshape(48, 3, 40, 40, 3).astype(int)
    assert np.abs(pictures[:, 1] - pictures[:, 2]).mean(axis=(1, 2, 3)).min() > 1


def test_synthetic_rooms_replace_their_pictures(tmp_path):
    for number in range(6):
        folder = tmp_path / "shots" / ("train" if number else "val") / "lamp"
        folder.mkdir(parents=True, exist_ok=True)
        shot = np.full((50, 50, 3), 255, np.uint8)
        shot[10:40, 15:35] = (200, 30 * number, 60)
        (folder / f"{number}.jpg").write_bytes(encode_jpeg(shot))
    source = 'kind = "folder"\nfolder = "shots"\nsynthetic_views = 3\nterms = "drawn here"\n'
    start, end = sample_data.ROOMS.index('kind = "csv"'), sample_data.ROOMS.index("[[head]]")
    plan = plans.parse(sample_data.ROOMS[:start] + source + sample_data.ROOMS[end:], "rooms")

    found, again = (dataset.prepare(plan, tmp_path, work=tmp_path / name) for name in ("one", "two"))

    assert (len(found.train), len(found.val)) == (15, 1)
    counts = (found.train.targets["products"].max(axis=2) > 0).sum(axis=1)
    assert counts.min() >= 1
    assert 2 <= counts.max() <= 4
    np.testing.assert_array_equal(found.train.pictures, again.train.pictures)
    np.testing.assert_array_equal(found.train.targets["products"], again.train.targets["products"])


def test_a_sigmoid_label_may_have_several_values(folder):
    relabel(folder, lambda number, row: [*row[:4], "red; big" if number % 3 else "red", row[5]])

    found = prepare(folder, with_heads('name = "color"\nkind = "sigmoid"\nseparator = ";"'))

    assert found.heads[0].classes == ("big", "red")
    assert found.train.targets["color"][:3].tolist() == [[0, 1], [1, 1], [1, 1]]


def test_only_training_pictures_repeat(folder):
    found = prepare(folder, sample_data.PLAN.replace('terms = "drawn here"', 'terms = "drawn here"\nrepeat = 3'))

    assert found.train.repeat.tolist() == [3] * 48
    assert found.val.repeat.tolist() == [1] * 8


def test_held_out_combinations_form_a_split_of_their_own(folder):
    text = with_heads('name = "kind"\nkind = "softmax"', 'name = "color"\nkind = "softmax"')
    every = prepare(folder, text)

    found = prepare(folder, text.replace("[[head]]", 'hold_out = [{ kind = "disc", color = "red" }]\n[[head]]', 1))

    total = len(every.train) + len(every.val)
    assert len(found.train) + len(found.val) + len(found.held_out) == total
    assert {*zip(*(found.held_out.targets[head].tolist() for head in ("kind", "color")), strict=True)} == {(1, 1)}
    for split in (found.train, found.val):
        assert not ((split.targets["kind"] == 1) & (split.targets["color"] == 1)).any()


def test_classes_that_the_splits_do_not_share_are_reported(folder, caplog):
    kinds = {1: "shapes/ring", 50: "shapes/star"}
    relabel(folder, lambda number, row: [row[0], kinds.get(number, row[1]), *row[2:]])

    with caplog.at_level(logging.WARNING):
        found = prepare(folder)

    assert found.heads[0].classes == ("bar", "disc", "ring")
    assert found.val.targets["kind"].tolist() == [0, 1, -1, 1, 0, 1, 0, 1]
    assert [name for note, name in zip(found.notes, ("ring", "star"), strict=True) if name not in note] == []
    assert all(note in caplog.text for note in found.notes)


def test_a_head_without_validation_labels_is_reported(folder):
    relabel(folder, lambda number, row: [*row[:5], ""] if number >= 48 else row)

    found = prepare(folder, with_heads('name = "number"\nkind = "digits"\nlength = 4'))

    assert [note for note in found.notes if "'number'" in note] == list(found.notes) != []


@pytest.mark.parametrize(
    ("head", "message"),
    [
        ('name = "kind"\nkind = "softmax"\nclasses = ["disc"]', "'0.jpg'.*'bar'"),
        ('name = "number"\nkind = "digits"\nlength = 8', "8 digits.*'0000'"),
        ('name = "missing"\nkind = "digits"', "'missing'"),
        ('name = "missing"\nkind = "softmax"', "'missing'"),
    ],
)
def test_labels_that_do_not_fit_their_head_are_refused(folder, head, message):
    with pytest.raises(DatasetError, match=message) as caught:
        prepare(folder, with_heads(head))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("classes", ['["bar", "disc", "ring"]', '["bar", "ring", "disc"]'])
def test_a_class_without_training_pictures_cannot_be_learned(folder, classes):
    found = prepare(folder, with_heads(f'name = "kind"\nkind = "softmax"\nclasses = {classes}'))

    with pytest.raises(DatasetError, match="ring.*'kind'"):
        dataset.check_learnable(found)


def test_a_plan_without_training_pictures_is_refused(folder):
    relabel(folder, lambda number, row: row if number >= 48 else None)

    with pytest.raises(DatasetError, match="no training images"):
        prepare(folder)


def test_unreadable_pictures_are_skipped_and_reported(folder, caplog):
    archive = bytearray((folder / "images.tar").read_bytes())
    archive[512:520] = bytes(8)
    (folder / "images.tar").write_bytes(archive)

    with caplog.at_level(logging.WARNING):
        found = prepare(folder)

    assert len(found.train) == 47
    assert found.unreadable == prepare(folder).unreadable == ("0.jpg",)
    assert "0.jpg" in found.notes[0]
    assert "Skipping training image 0.jpg" in caplog.text


def test_a_full_disk_leaves_no_incomplete_cache(folder, monkeypatch):
    def full(*arguments: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(image_cache, "_write_header", full)
    with pytest.raises(OSError, match="No space left"):
        prepare(folder)
    assert [path.name for path in (folder / "work" / "cache").iterdir()] == ["checksums.json"]
    monkeypatch.undo()
    assert len(prepare(folder).train) == 48


def test_an_error_in_a_source_ends_the_preparation(folder):
    relabel(folder, lambda number, row: ["99.jpg", *row[1:]] if number == 40 else row)

    with pytest.raises(DatasetError, match=r"'99\.jpg'"):
        prepare(folder)


def test_pictures_may_be_stretched(folder):
    text = sample_data.PLAN.replace("cache_size = 40", 'cache_size = [24, 60]\nframing = "stretch"')

    found = prepare(folder, text)

    assert found.train.pictures.shape == (48, 24, 60, 3)
    wide = found.train.pictures[1].astype(int).min(axis=(0, 2)) < 200
    assert wide.sum() > 35  # the disc is an ellipse as wide as 0.7 of the image


@pytest.mark.shared_data
@pytest.mark.slow
@pytest.mark.skipif(
    not (PHOTOS / "furniture_photos" / "images.tar").is_file(),
    reason="the development photos are not available (folder shared/data next to the project, or SHARED_DATA)",
)
def test_the_furniture_photos_are_readable(tmp_path):
    text = sample_data.PLAN.replace('"labels.csv"', '"furniture_photos/labels.csv"')
    text = text.replace('"images.tar"', '"furniture_photos/images.tar"').replace(
        LABELS, 'labels = { kind = "category" }'
    )
    plan = plans.parse(text.replace('where = { source = "ours/" }\n', ""), "furniture")

    found = dataset.prepare(plan, PHOTOS, work=tmp_path)

    assert (len(found.train), len(found.val), found.unreadable) == (2640, 465, ())
    assert len(found.heads[0].classes) == 8
