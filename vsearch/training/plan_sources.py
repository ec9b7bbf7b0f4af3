"""The sources of a training plan: where images and labels come from."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Name = Annotated[str, Field(pattern="^[a-z0-9_]+$")]
Seed = Annotated[int, Field(ge=0, lt=1_000_000)]
Share = Annotated[float, Field(ge=0, le=1)]
Columns = tuple[str, str, str, str]


class Table(BaseModel):
    """A table of a plan. Unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class BaseSource(Table):
    """The keys that every source has.

    Attributes:
        terms: license of the images, for the model card.
        repeat: how often each training image counts in an epoch; 0.25 draws another quarter of them for each epoch.
        background: number of training images, evenly over the classes, that go into the background cohort.
        validate_on: whether to validate on the source's validation images; they are dropped otherwise.
        synthetic_views: number of synthetic shopper photos to add for each training image. In a plan with a boxes head,
            they are rooms furnished with the image and up to three others, and they replace the image; a validation
            image gets one room.
        hold_out: combinations of label values (label -> value) to exclude from training. Images that show one form a
            test set of their own, unless `validate_on` is false.
    """

    terms: str
    repeat: float = Field(1, gt=0)
    background: int = Field(0, ge=0, le=10_000)
    validate_on: bool = True
    synthetic_views: int = Field(0, ge=0, le=64)
    hold_out: tuple[dict[str, str], ...] = ()


class _RenamingSource(BaseSource):
    """A source whose values can be renamed.

    Attributes:
        values: value in the source -> value to learn. Unlisted values become missing labels; images without any label
            are dropped.
    """

    values: dict[str, str] = Field(default_factory=dict)


class NpzSource(_RenamingSource):
    """JPEG files in one .npz: arrays data, offsets, labels, split (0 train, 1 validation), names."""

    kind: Literal["npz"]
    file: Path
    label: Name = "class"


class CsvSource(_RenamingSource):
    """A CSV manifest with a column of file names, and a folder, tar or zip of images.

    Attributes:
        labels: label -> column. Only the part of a value after the last slash is used; an empty field is a missing
            label. Optional if `boxes` is given.
        where: column -> prefix; other rows are ignored.
        split: column with the split, train or `val`. Without it, `val_share` of the groups is set aside.
        val: name of the validation split in that column.
        image: column with the file name.
        box: columns with left, top, right, bottom of the crop to use: in pixels, or relative if all four are at most 1.
        boxes: the same columns of a manifest with one row for each object: the rows of an image are joined into one
            example. A row with empty fields marks an image without objects.
        group: column whose equal values stay in one split; by default each image is its own group.
    """

    kind: Literal["csv"]
    manifest: Path
    images: Path
    labels: dict[str, str] = Field(default_factory=dict)
    where: dict[str, str] = Field(default_factory=dict)
    split: str = "split"
    val: str = "val"
    image: str = "image"
    box: Columns | None = None
    boxes: Columns | None = None
    group: str = ""
    val_share: Share = 0.2

    @model_validator(mode="after")
    def _check_labels(self) -> Self:
        if self.box and self.boxes:
            raise ValueError("box and boxes exclude each other: box crops an image, boxes lists its objects")
        if not self.labels and not self.boxes:
            raise ValueError("a csv source needs labels or boxes")
        return self


class FolderSource(_RenamingSource):
    """A folder, tar or zip with a folder of images for each class, or with train/CLASS and val/CLASS."""

    kind: Literal["folder"]
    folder: Path
    label: Name = "class"
    val_share: Share = 0.2


class TfrecordSource(BaseSource):
    """A folder of TFRecord shards written by `vsearch dataset pack`, with their labels and splits."""

    kind: Literal["tfrecord"]
    folder: Path


class TagsSource(BaseSource):
    """Synthetic shelf tags, drawn once and kept as TFRecord shards.

    A tag has the labels `number` (its digits) and `readable`, "yes"; the share `blanks` has no number, "no".
    """

    kind: Literal["tags"]
    digits: Literal[4, 8]
    train: int = Field(ge=1)
    val: int = Field(ge=1)
    blanks: Share = 0.1
    seed: Seed = 0


Source = Annotated[NpzSource | CsvSource | FolderSource | TfrecordSource | TagsSource, Field(discriminator="kind")]
