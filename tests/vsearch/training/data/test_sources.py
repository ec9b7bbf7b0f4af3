import tarfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.vsearch.training import sample_data
from vsearch.core.errors import DatasetError, ImageRejected
from vsearch.imaging.codec import Limits, encode_jpeg
from vsearch.training.data.sources import LabeledImage, read_source
from vsearch.training.plan import CsvSource, FolderSource, Source


def read(source: Source, root: Path, seed: int = 0) -> list[LabeledImage]:
    return list(read_source(source, root, work=root, seed=seed))


def manifest(folder: Path, rows: str, **options: object) -> CsvSource:
    """Write a manifest of the files 1.jpg to 9.jpg, which are not images, and return its source."""
    (folder / "labels.csv").write_text(rows)
    (folder / "images").mkdir(exist_ok=True)
    for number in range(1, 10):
        (folder / "images" / f"{number}.jpg").write_bytes(bytes([number]))
    given = {"manifest": "labels.csv", "images": "images", "labels": {"kind": "kind"}, "terms": "ours"}
    return CsvSource.model_validate({"kind": "csv", **given, **options})


def class_folders(folder: Path, *names: str) -> FolderSource:
    """Write files with these names, which are not images, and return their source."""
    for name in names:
        (folder / "set" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "set" / name).write_bytes(name.encode())
    return FolderSource(kind="folder", folder=Path("set"), terms="ours")


def test_a_manifest_is_split_and_filtered(tmp_path):
    found = read(sample_data.write(tmp_path).source[0], tmp_path)

    assert len(found) == 56
    assert {image.labels["kind"] for image in found} == {"bar", "disc"}
    assert [image.name for image in found if image.split == "val"] == [f"{n}.jpg" for n in range(48, 56)]


def test_values_are_cleaned_and_empty_fields_are_missing_labels(tmp_path):
    source = manifest(tmp_path, "image,split,kind\n./1.jpg,train,seats/arm_chair \n2.jpg,val,\n3.jpg,test,x\n4.jpg,val")

    assert [(image.data, dict(image.labels), image.split) for image in read(source, tmp_path)] == [
        (b"\1", {"kind": "arm chair"}, "train"),
        (b"\2", {}, "val"),
        (b"\4", {}, "val"),
    ]


def test_without_a_split_column_groups_are_split_and_stay_when_images_are_added(tmp_path):
    rows = [f"{number}.jpg,chair,p{number // 2}" for number in range(1, 10)]
    options = {"group": "product", "val_share": 0.5}
    few = manifest(tmp_path, "\n".join(["image,kind,product", *rows[:5]]), **options)
    before = {image.group: image.split for image in read(few, tmp_path)}
    every = manifest(tmp_path, "\n".join(["image,kind,product", *rows]), **options)

    found = read(every, tmp_path)
    after = {image.group: image.split for image in found}

    assert len({(image.group, image.split) for image in found}) == len(after) == 5
    assert before.items() <= after.items()
    assert set(after.values()) == {"train", "val"}
    assert any({i.group: i.split for i in read(every, tmp_path, seed)} != after for seed in range(1, 5))


def test_a_box_crops_the_image(tmp_path):
    photo = np.arange(40 * 60 * 3, dtype=np.uint32).reshape(40, 60, 3).astype(np.uint8)
    (tmp_path / "rooms").mkdir()
    (tmp_path / "rooms" / "a.jpg").write_bytes(encode_jpeg(photo, quality=100))
    (tmp_path / "boxes.csv").write_text(
        "photo,split,kind,l,t,r,b\na.jpg,train,sofa,10,4,30,24\na.jpg,train,lamp,-5,30,9,50\na.jpg,train,rug,50,0,52,9\n"
        "a.jpg,train,wall,0.5,0,1,0.5\n"
    )
    source = CsvSource(
        kind="csv", manifest=Path("boxes.csv"), images=Path("rooms"), image="photo", box=("l", "t", "r", "b"),
        labels={"kind": "kind"}, terms="ours",
    )  # fmt: skip
    limits = Limits(min_side=8)

    sofa, lamp, rug, wall = read(source, tmp_path)

    assert (sofa.name, lamp.group) == ("a.jpg (10.0, 4.0, 30.0, 24.0)", "a.jpg")
    whole = replace(sofa, box=None).decode(limits)
    np.testing.assert_array_equal(sofa.decode(limits), whole[4:24, 10:30])
    np.testing.assert_array_equal(lamp.decode(limits), whole[30:, :9])
    np.testing.assert_array_equal(wall.decode(limits), whole[:20, 30:])
    with pytest.raises(ImageRejected, match="smaller than 8 px"):
        rug.decode(limits)


def test_rows_with_boxes_are_joined_by_image(tmp_path):
    plan = sample_data.write_rooms(tmp_path)

    found = {image.name: image for image in read(plan.source[0], tmp_path)}

    assert len(found) == 17
    assert found["3.jpg"].boxes == tuple(map(tuple, sample_data.room(3)[1]))
    assert (found["3.jpg"].split, found["2.jpg"].split) == ("val", "train")
    assert found["empty.jpg"].boxes == ()


@pytest.mark.parametrize(
    ("rows", "options", "message"),
    [
        ("image,split\n1.jpg,train\n", {}, "labels.csv has no column 'kind'.*image, split"),
        ("image,kind\n1.jpg,a\n", {"split": "fold"}, "no column 'fold'"),
        ("image,kind\n1.jpg,a\n", {"group": "sku"}, "no column 'sku'"),
        ("image,kind\n1.jpg,a\n", {"where": {"from": "x"}}, "no column 'from'"),
        ("image,kind\n0.jpg,a\n", {}, "no image '0.jpg'"),
        ("", {}, "no column"),
        ("image,split,kind,l\n1.jpg,train,sofa,ten", {"box": ("l",) * 4}, r"ten, ten, ten, ten.*'1\.jpg'"),
        ("image,split,kind,l\n1.jpg,train,sofa,ten", {"boxes": ("l",) * 4}, r"ten, ten, ten, ten.*'1\.jpg'"),
        ("image,split,kind,sku\n1.jpg,train,a,X\n2.jpg,val,a,X\n", {"group": "sku"}, "'X' of labels.csv"),
    ],
)
def test_invalid_manifests_are_refused(tmp_path, rows, options, message):
    with pytest.raises(DatasetError, match=message):
        read(manifest(tmp_path, rows, **options), tmp_path)


def test_a_manifest_must_be_utf_8(tmp_path):
    source = manifest(tmp_path, "")
    (tmp_path / "labels.csv").write_bytes("image,kind\n1.jpg,Stühle\n".encode("latin1"))

    with pytest.raises(DatasetError, match="UTF-8"):
        read(source, tmp_path)


def test_folders_are_classes_and_products(tmp_path):
    source = class_folders(tmp_path, "arm_chair/1.jpg", "sofa/p1/1.jpg", "sofa/p1/2.jpg", "LICENSE.txt", "sofa/.x.jpg")

    found = {image.name: (image.labels["class"], image.group) for image in read(source, tmp_path)}

    assert found == {
        "arm_chair/1.jpg": ("arm chair", "arm_chair/1.jpg"),
        "sofa/p1/1.jpg": ("sofa", "sofa/p1"),
        "sofa/p1/2.jpg": ("sofa", "sofa/p1"),
    }


def test_folders_may_be_splits(tmp_path):
    source = class_folders(tmp_path, "train/a/1.jpg", "train/b/2.jpg", "val/a/3.jpg", "test/a/4.jpg")

    found = sorted((image.labels["class"], image.split, image.name) for image in read(source, tmp_path))

    assert found == [("a", "train", "train/a/1.jpg"), ("a", "val", "val/a/3.jpg"), ("b", "train", "train/b/2.jpg")]


def test_an_archive_may_have_a_top_folder(tmp_path):
    class_folders(tmp_path, "flowers/rose/1.jpg", "flowers/tulip/2.jpg", "flowers/LICENSE.txt")
    with tarfile.open(tmp_path / "flowers.tgz", "w:gz") as archive:
        archive.add(tmp_path / "set" / "flowers", "flowers")

    found = read(FolderSource(kind="folder", folder=Path("flowers.tgz"), terms="ours", label="kind"), tmp_path)

    assert {image.name: dict(image.labels) for image in found} == {
        "flowers/rose/1.jpg": {"kind": "rose"},
        "flowers/tulip/2.jpg": {"kind": "tulip"},
    }


def test_a_folder_without_classes_is_refused(tmp_path):
    with pytest.raises(DatasetError, match="no class folders"):
        read(class_folders(tmp_path, "1.jpg", "2.jpg"), tmp_path)


COLORS = "image,split,kind,color\n1.jpg,train,dining_table,red\n2.jpg,train,stool,red\n3.jpg,val,stool,blue\n"
TWO_LABELS = {"labels": {"kind": "kind", "color": "color"}}


def test_values_are_renamed_and_others_dropped(tmp_path):
    source = manifest(tmp_path, COLORS, **TWO_LABELS, values={"dining table": "table", "red": "warm"})

    found = [(image.name, dict(image.labels)) for image in read(source, tmp_path)]

    assert found == [("1.jpg", {"kind": "table", "color": "warm"}), ("2.jpg", {"color": "warm"})]


def test_a_source_may_be_for_training_only(tmp_path):
    assert [image.name for image in read(manifest(tmp_path, COLORS, validate_on=False), tmp_path)] == ["1.jpg", "2.jpg"]


@pytest.mark.parametrize(("validate_on", "expected"), [(True, {"2.jpg": True, "3.jpg": False}), (False, {})])
def test_held_out_combinations_leave_the_training_split(tmp_path, validate_on, expected):
    hold_out = ({"kind": "stool", "color": "red"},)
    source = manifest(tmp_path, COLORS, **TWO_LABELS, hold_out=hold_out, validate_on=validate_on)

    found = read(source, tmp_path)

    assert [image.name for image in found if image.split == "train"] == ["1.jpg"]
    assert {image.name: image.held_out for image in found if image.split == "val"} == expected


@pytest.mark.parametrize("missing", ["images.tar", "labels.csv"])
def test_a_missing_file_is_named(tmp_path, missing):
    plan = sample_data.write(tmp_path)
    (tmp_path / missing).unlink()

    with pytest.raises(DatasetError, match=rf"{missing}.*--photos"):
        read(plan.source[0], tmp_path)


def test_a_damaged_archive_is_named_in_one_line(tmp_path):
    plan = sample_data.write(tmp_path)
    (tmp_path / "images.tar").write_bytes(b"no archive" * 100)

    with pytest.raises(DatasetError, match=r"images\.tar") as caught:
        read(plan.source[0], tmp_path)
    assert "\n" not in str(caught.value)
