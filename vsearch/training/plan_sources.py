"""The sources of a training plan: where pictures and labels come from, and what is made of them."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from vsearch.training.plan_parts import Name, Part, Seed, Share

Columns = tuple[str, str, str, str]


class _Source(Part):
    """What all sources have.

    Attributes:
        terms: licence of the pictures; goes into the model card.
        repeat: how often each training picture counts in an epoch; 0.25 shows a quarter of them, others each time.
        strangers: so many of its training pictures, evenly over its classes, stand for what no shop sells, see
            `vsearch.search.score_normalization`.
        judge: whether its validation pictures are judged on; if not, they are left out.
        made: so many made shopper photos of each training picture are learned from as well, see
        `vsearch.imaging.synthetic`. In a
            plan that finds boxes they are rooms with this picture and up to three others of the source, in place of the
            picture; of a validation picture there is one.
    """

    terms: str
    repeat: float = Field(1, gt=0)
    strangers: int = Field(0, ge=0, le=10_000)
    judge: bool = True
    made: int = Field(0, ge=0, le=64)


class _Named(_Source):
    """A source whose values may need other names.

    Attributes:
        values: value in the source -> ours. Given, a value it does not list is a missing label, and a picture without
            any label is left out.
    """

    values: dict[str, str] = Field(default_factory=dict)


class NpzSource(_Named):
    """Pictures as JPEG bytes in one .npz: arrays data, offsets, labels, split (0 train, 1 validation), names."""

    kind: Literal["npz"]
    file: Path
    label: Name = "class"


class CsvSource(_Named):
    """A CSV manifest with a column of names, beside a folder, tar or zip of pictures.

    Attributes:
        labels: our name of a label -> column. Of a value the part after the last slash counts; an empty cell is a
            missing label. May be left out where there are `boxes`.
        where: keeps the rows whose column starts with the given text.
        split: column that says train or val; without such a column `val_share` of the groups is put aside.
        val: what that column says of a validation picture.
        image: column with the picture's name.
        box: columns of left, top, right, bottom of the part of the picture that counts: in pixels, or in shares of its
            sides where none of the four is above 1. None is all of it.
        boxes: the same columns, of a manifest whose rows are what stands in a picture: the rows of one picture are one
            example with all their boxes. A row of empty cells says that its picture shows nothing.
        group: column whose equal values never lie in two splits; each picture is its own group without it.
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
    def _says_something(self) -> Self:
        if self.box and self.boxes:
            raise ValueError("box cuts a picture to one thing and boxes says where all are; take one of them")
        if not self.labels and not self.boxes:
            raise ValueError("a csv source needs labels or boxes, but has neither; add one")
        return self


class FolderSource(_Named):
    """A folder, tar or zip with one folder of pictures for each class, or with train/CLASS and val/CLASS."""

    kind: Literal["folder"]
    folder: Path
    label: Name = "class"
    val_share: Share = 0.2


class TfrecordSource(_Source):
    """A folder of TFRecord shards that `vsearch dataset pack` wrote; labels and splits travel in them."""

    kind: Literal["tfrecord"]
    folder: Path


class TagsSource(_Source):
    """Shelf tags drawn here, packed into TFRecord shards once, and read from there.

    Every tag has the labels `number` (its digits) and `readable` = "yes"; a share of `blanks` shows none, "no".
    """

    kind: Literal["tags"]
    digits: Literal[4, 8]
    train: int = Field(ge=1)
    val: int = Field(ge=1)
    blanks: Share = 0.1
    seed: Seed = 0


Source = Annotated[NpzSource | CsvSource | FolderSource | TfrecordSource | TagsSource, Field(discriminator="kind")]
