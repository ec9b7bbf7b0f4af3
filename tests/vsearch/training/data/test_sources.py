"""Sources of training pictures."""

import io
import tarfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.vsearch.training import sample_data
from vsearch.core.errors import DatasetError, ImageRejected
from vsearch.imaging.codec import Limits, encode_jpeg
from vsearch.training.data.examples import Example, split_of
from vsearch.training.plan_sources import CsvSource, FolderSource, NpzSource, Source
from vsearch.training.data.sources import examples


def read(source: Source, root: Path, seed: int = 0) -> list[Example]:
    """Return all examples of a source."""
    return list(examples(source, root, work=root, seed=seed))


def manifest(folder: Path, rows: str, **options: object) -> CsvSource:
    """Write a manifest over pictures 1.jpg to 9.jpg, which are no pictures, and return its source."""
    (folder / "labels.csv").write_text(rows)
    (folder / "images").mkdir(exist_ok=True)
    for number in range(1, 10):
        (folder / "images" / f"{number}.jpg").write_bytes(bytes([number]))
    given = {"manifest": "labels.csv", "images": "images", "labels": {"kind": "kind"}, "terms": "ours"}
    return CsvSource.model_validate({"kind": "csv", **given, **options})


def class_folders(folder: Path, *names: str) -> FolderSource:
    """Write empty files of these names and return their source."""
    for name in names:
        (folder / "set" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "set" / name).write_bytes(name.encode())
    return FolderSource(kind="folder", folder=Path("set"), terms="ours")


def test_a_manifest_is_read_by_split_and_filtered(tmp_path: Path) -> None:
    """Rows that `where` leaves out are not seen; the value is what follows the last slash."""
    found = read(sample_data.write(tmp_path).source[0], tmp_path)

    assert len(found) == 56
    assert {example.labels["kind"] for example in found} == {"bar", "disc"}
    assert [example.name for example in found if example.split == "val"] == [f"{n}.jpg" for n in range(48, 56)]


def test_values_are_cleaned_and_empty_ones_are_missing(tmp_path: Path) -> None:
    """A missing label has no key, whether its cell is empty or not there at all."""
    source = manifest(tmp_path, "image,split,kind\n./1.jpg,train,seats/arm_chair \n2.jpg,val,\n3.jpg,test,x\n4.jpg,val")

    assert [(e.data, dict(e.labels), e.split) for e in read(source, tmp_path)] == [
        (b"\1", {"kind": "arm chair"}, "train"),
        (b"\2", {}, "val"),
        (b"\4", {}, "val"),
    ]


def test_without_a_split_column_groups_are_put_aside(tmp_path: Path) -> None:
    """Pictures of one product stay together, and where they lie stays when pictures are added."""
    rows = [f"{number}.jpg,chair,p{number // 2}" for number in range(1, 10)]
    few = manifest(tmp_path, "\n".join(["image,kind,product", *rows[:5]]), group="product", val_share=0.5)
    before = {example.group: example.split for example in read(few, tmp_path)}
    all_of_them = manifest(tmp_path, "\n".join(["image,kind,product", *rows]), group="product", val_share=0.5)

    found = read(all_of_them, tmp_path)

    after = {example.group: example.split for example in found}
    assert len({(example.group, example.split) for example in found}) == len(after) == 5
    assert before.items() <= after.items()
    assert {split_of(str(number), 0, 0.5) for number in range(20)} == {"train", "val"}
    assert [split_of(str(n), 0, 0.5) for n in range(20)] != [split_of(str(n), 1, 0.5) for n in range(20)]


def test_a_box_cuts_what_counts(tmp_path: Path) -> None:
    """The same photo may stand in several rows, in pixels or in shares; what lies outside the photo is left out."""
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

    sofa, lamp, rug, wall = read(source, tmp_path)

    assert (sofa.name, lamp.group) == ("a.jpg (10.0, 4.0, 30.0, 24.0)", "a.jpg")
    whole = replace(sofa, box=None).picture(Limits(min_side=8))
    np.testing.assert_array_equal(sofa.picture(Limits(min_side=8)), whole[4:24, 10:30])
    np.testing.assert_array_equal(lamp.picture(Limits(min_side=8)), whole[30:, :9])
    np.testing.assert_array_equal(wall.picture(Limits(min_side=8)), whole[:20, 30:])
    with pytest.raises(ImageRejected, match="at least 8 pixels each way"):
        rug.picture(Limits(min_side=8))


def test_a_box_that_is_no_box_is_said(tmp_path: Path) -> None:
    """One sentence with the row."""
    source = manifest(tmp_path, "image,split,kind,l\n1.jpg,train,sofa,ten", box=("l", "l", "l", "l"))

    with pytest.raises(DatasetError, match=r"four numbers, but .* has 'ten, ten, ten, ten' for 1\.jpg"):
        read(source, tmp_path)


def test_a_group_in_both_splits_is_refused(tmp_path: Path) -> None:
    """What was learned would be measured."""
    source = manifest(tmp_path, "image,split,kind,sku\n1.jpg,train,a,X\n2.jpg,val,a,X\n", group="sku")

    with pytest.raises(DatasetError, match=r"'X' of labels\.csv is in train and in val"):
        read(source, tmp_path)


@pytest.mark.parametrize(
    ("rows", "options", "sentence"),
    [
        ("image,split\n1.jpg,train\n", {}, "needs the column 'kind', but .*labels.csv has image, split"),
        ("image,kind\n1.jpg,a\n", {"split": "fold"}, "needs the column 'fold'"),
        ("image,kind\n1.jpg,a\n", {"group": "sku"}, "needs the column 'sku'"),
        ("image,kind\n1.jpg,a\n", {"where": {"from": "x"}}, "needs the column 'from'"),
        ("image,kind\n0.jpg,a\n", {}, "has no '0.jpg'; add it, or take its row out"),
        ("", {}, "has none; add it"),
    ],
)
def test_a_manifest_that_does_not_fit_is_one_sentence(
    tmp_path: Path, rows: str, options: dict[str, object], sentence: str
) -> None:
    """Which column or picture is missing, and where."""
    with pytest.raises(DatasetError, match=sentence):
        read(manifest(tmp_path, rows, **options), tmp_path)


def test_a_manifest_in_another_encoding_is_refused(tmp_path: Path) -> None:
    """Rather than learn names nobody can read."""
    source = manifest(tmp_path, "")
    (tmp_path / "labels.csv").write_bytes("image,kind\n1.jpg,Stühle\n".encode("latin1"))

    with pytest.raises(DatasetError, match="CSV in UTF-8"):
        read(source, tmp_path)


def test_folders_are_classes(tmp_path: Path) -> None:
    """Files beside them are none; a folder inside a class is a product, whose pictures stay together."""
    source = class_folders(tmp_path, "arm_chair/1.jpg", "sofa/p1/1.jpg", "sofa/p1/2.jpg", "LICENCE.txt", "sofa/.x.jpg")

    found = {e.name: (e.labels["class"], e.group) for e in read(source, tmp_path)}

    assert found == {
        "arm_chair/1.jpg": ("arm chair", "arm_chair/1.jpg"),
        "sofa/p1/1.jpg": ("sofa", "sofa/p1"),
        "sofa/p1/2.jpg": ("sofa", "sofa/p1"),
    }


def test_folders_may_say_the_split(tmp_path: Path) -> None:
    """Above the classes; a test folder is left alone."""
    source = class_folders(tmp_path, "train/a/1.jpg", "train/b/2.jpg", "val/a/3.jpg", "test/a/4.jpg")

    found = sorted((e.labels["class"], e.split, e.name) for e in read(source, tmp_path))

    assert found == [("a", "train", "train/a/1.jpg"), ("a", "val", "val/a/3.jpg"), ("b", "train", "train/b/2.jpg")]


def test_an_archive_of_folders_may_have_an_outer_one(tmp_path: Path) -> None:
    """As most that one downloads have; nothing is unpacked."""
    class_folders(tmp_path, "flowers/rose/1.jpg", "flowers/tulip/2.jpg", "flowers/LICENSE.txt")
    with tarfile.open(tmp_path / "flowers.tgz", "w:gz") as archive:
        archive.add(tmp_path / "set" / "flowers", "flowers")

    found = read(FolderSource(kind="folder", folder=Path("flowers.tgz"), terms="ours", label="kind"), tmp_path)

    assert {e.name: dict(e.labels) for e in found} == {
        "flowers/rose/1.jpg": {"kind": "rose"},
        "flowers/tulip/2.jpg": {"kind": "tulip"},
    }


def test_a_folder_without_classes_is_refused(tmp_path: Path) -> None:
    """Pictures that lie there loose have no class."""
    with pytest.raises(DatasetError, match="one folder of pictures for each class"):
        read(class_folders(tmp_path, "1.jpg", "2.jpg"), tmp_path)


def test_packed_pictures_are_read(tmp_path: Path) -> None:
    """The .npz form gives the same as files; of several names for a class the first counts."""
    encoded = [encode_jpeg(np.full((20, 20, 3), shade, np.uint8)) for shade in (10, 200, 90)]
    np.savez(
        tmp_path / "photos.npz",
        data=np.frombuffer(b"".join(encoded), np.uint8),
        offsets=np.cumsum([0, *map(len, encoded)]),
        labels=np.array([0, 1, 1]),
        split=np.array([0, 0, 1]),
        names=np.array(["dark, dim", "light"]),
    )

    found = read(NpzSource(kind="npz", file=Path("photos.npz"), terms="ours"), tmp_path)

    assert [(e.data, e.labels["class"], e.split) for e in found] == [
        (encoded[0], "dark", "train"),
        (encoded[1], "light", "train"),
        (encoded[2], "light", "val"),
    ]


def test_an_npz_that_lacks_an_array_is_refused(tmp_path: Path) -> None:
    """The array is named."""
    np.savez(tmp_path / "photos.npz", data=np.zeros(3, np.uint8))

    with pytest.raises(DatasetError, match=r"photos\.npz does not .*offsets"):
        read(NpzSource(kind="npz", file=Path("photos.npz"), terms="ours"), tmp_path)


@pytest.mark.parametrize(
    ("change", "said"),
    [({"offsets": [0, 1]}, "2 labels, 2 splits and 2 offsets"), ({"labels": [0, 5]}, "a label outside its 1 names")],
)
def test_an_npz_whose_arrays_disagree_is_refused(tmp_path: Path, change: dict[str, list[int]], said: str) -> None:
    """Before any picture is taken from the wrong place."""
    arrays = {"offsets": [0, 1, 2], "labels": [0, 0], "split": [0, 1]} | change
    with (tmp_path / "photos.npz").open("wb") as file:
        np.savez(file, data=np.zeros(2, np.uint8), names=np.array(["a"]), **arrays)  # type: ignore[arg-type]

    with pytest.raises(DatasetError, match=said):
        read(NpzSource(kind="npz", file=Path("photos.npz"), terms="ours"), tmp_path)


def test_values_get_our_names_and_the_rest_is_left_out(tmp_path: Path) -> None:
    """A value that is not listed is a missing label; without any label there is nothing to learn."""
    rows = "image,split,kind,colour\n1.jpg,train,dining_table,red\n2.jpg,train,stool,red\n3.jpg,val,stool,blue\n"
    labels = {"kind": "kind", "colour": "colour"}
    source = manifest(tmp_path, rows, labels=labels, values={"dining table": "table", "red": "warm"})

    found = [(example.name, dict(example.labels)) for example in read(source, tmp_path)]

    assert found == [("1.jpg", {"kind": "table", "colour": "warm"}), ("2.jpg", {"colour": "warm"})]


def test_a_source_may_be_learned_from_only(tmp_path: Path) -> None:
    """Its validation pictures are left out."""
    rows = "image,split,kind\n1.jpg,train,bar\n2.jpg,val,bar\n"

    assert [e.name for e in read(manifest(tmp_path, rows, judge=False), tmp_path)] == ["1.jpg"]
    assert [e.name for e in read(manifest(tmp_path, rows), tmp_path)] == ["1.jpg", "2.jpg"]


@pytest.mark.parametrize("missing", ["images.tar", "labels.csv"])
def test_a_missing_file_is_said(tmp_path: Path, missing: str) -> None:
    """The sentence names the file and the option."""
    plan = sample_data.write(tmp_path)
    (tmp_path / missing).unlink()

    with pytest.raises(DatasetError, match=rf"{missing} does not exist.*--photos"):
        read(plan.source[0], tmp_path)


def test_a_damaged_archive_is_said(tmp_path: Path) -> None:
    """One sentence, not what the archive's reader says in three lines."""
    plan = sample_data.write(tmp_path)
    (tmp_path / "images.tar").write_bytes(io.BytesIO(b"no archive" * 100).getvalue())

    with pytest.raises(DatasetError, match=r"images\.tar is not .*copy it again") as caught:
        read(plan.source[0], tmp_path)
    assert "\n" not in str(caught.value)
